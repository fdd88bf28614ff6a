//! What the commands for operators have in common.

use tenantry_shared::config::ConfigError;

/// For a command, what is wrong is a sentence.
pub(crate) fn readable(error: tenantry_shared::Error) -> ConfigError {
    ConfigError(error.to_string())
}

/// Prints rows, each column as wide as its widest cell. The first row holds the titles.
#[expect(clippy::print_stdout, reason = "an operator reads it")]
pub(crate) fn print_table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
