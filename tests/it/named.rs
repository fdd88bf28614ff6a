//! What documents say is shown by tests: the rows of their tables, and whether there are such tests.

use harness::repository;

/// The cells of the tables of a document, row by row, with heads and rules.
pub(crate) fn rows(document: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(repository(document)).expect(document);
    let cells = |line: &str| {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    text.lines().filter_map(cells).collect()
}

/// What stands between backticks.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Panics unless this file has a test of this name.
pub(crate) fn demand_test(file: &str, name: &str) {
    let source =
        std::fs::read_to_string(repository(file)).unwrap_or_else(|_| panic!("{file}::{name}: there is no such file"));
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| {
        line.trim_start_matches("async ").strip_prefix("fn ").is_some_and(|rest| rest.starts_with(&format!("{name}(")))
    });
    let at = at.unwrap_or_else(|| panic!("{file}::{name}: there is no such test"));
    assert!(matches!(lines[at - 1], "#[test]" | "#[tokio::test]"), "{file}::{name} is no test");
}
