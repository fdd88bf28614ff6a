//! What Tenantry costs, each figure beside that of something plainer that is measured in the same minutes on the same
//! machine: only their ratio says something elsewhere. `./dev bench` runs it, on a release build.

mod acs;
mod bare;
mod batch;
mod current_user;
mod growth;
mod idle;
mod invitation;
mod load;
mod login;
mod permission_check;
mod processes;
mod report;
mod usage;
mod users_list;
mod world;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use futures_util::FutureExt;

use report::{Comparison, Report};

/// Measures Tenantry against what it is compared with, prints a table and writes it as JSON. Ends with 1 if a target was missed.
#[derive(Debug, Parser)]
struct Options {
    /// Only these rows.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Row>,
    /// Fewer and shorter rounds: for a first look, not for the record.
    #[arg(long)]
    short: bool,
    /// Where the figures go as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the handler that `current-user` is compared with.
    #[command(hide = true)]
    Bare(bare::Options),
}

/// What is measured, each with data of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Row {
    CurrentUser,
    UsersList,
    PermissionCheck,
    Login,
    Batch,
    Invitation,
    Acs,
    Idle,
    Processes,
    Growth,
}

impl Row {
    async fn measure(self, effort: &Effort) -> Vec<Comparison> {
        match self {
            Self::CurrentUser => current_user::measure(effort).await,
            Self::UsersList => users_list::measure(effort).await,
            Self::PermissionCheck => permission_check::measure(effort).await,
            Self::Login => login::measure(effort).await,
            Self::Batch => batch::measure(effort).await,
            Self::Invitation => invitation::measure(effort).await,
            Self::Acs => acs::measure(effort).await,
            Self::Idle => idle::measure(effort).await,
            Self::Processes => processes::measure(effort).await,
            Self::Growth => growth::measure(effort).await,
        }
    }
}

/// How long to look.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// How often each of two takes its turn.
    rounds: usize,
    /// How long a turn is, where it is not a number of things to do.
    turn: Duration,
}

const THOROUGH: Effort = Effort { rounds: 7, turn: Duration::from_secs(5) };
const SHORT: Effort = Effort { rounds: 3, turn: Duration::from_secs(2) };

#[expect(clippy::print_stdout, reason = "a person reads it")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match options.command {
        Some(Command::Bare(bare)) => {
            runtime.block_on(bare::serve(&bare));
            ExitCode::SUCCESS
        }
        None => runtime.block_on(measure(&options)),
    }
}

async fn measure(options: &Options) -> ExitCode {
    let effort = if options.short { SHORT } else { THOROUGH };
    let rows = if options.only.is_empty() { Row::value_variants() } else { &options.only };
    let mut report = Report::new(options.short);
    for row in rows {
        let name = row.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        say(&format!("{name}: measuring"));
        match AssertUnwindSafe(row.measure(&effort)).catch_unwind().await {
            Ok(comparisons) => {
                for comparison in &comparisons {
                    say(&comparison.loads_table());
                }
                report.add(&name, comparisons);
            }
            Err(_) => {
                say(&format!("{name}: could not be measured, the reason stands above"));
                report.fail(&name);
            }
        }
    }
    say(&report.table());
    let written = std::fs::write(&options.json, format!("{:#}\n", report.json()));
    written.unwrap_or_else(|e| panic!("{} can't be written: {e}", options.json.display()));
    say(&format!("Written to {} as well.", options.json.display()));
    ExitCode::from(u8::from(!report.is_good()))
}
