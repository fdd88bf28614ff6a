//! `parked`: jobs that were put aside because they crashed too often, listed and replayed from the command line.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tenantry_shared::clock::Clock;
use tenantry_shared::config::{ConfigError, DatabaseConfig};
use tenantry_shared::db::Db;
use tenantry_shared::parked::{self, Parked};
use uuid::Uuid;

use crate::command::{print_table, readable};

/// What to do with jobs that were put aside.
#[derive(Debug, Subcommand)]
pub enum ParkedCommand {
    /// Show them, of all organizations, oldest first.
    List(#[command(flatten)] DatabaseConfig),
    /// Let some of them, or all, begin anew. Mend first what they crashed over.
    Replay(Replay),
}

/// Which jobs begin anew.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the fields say it to clap")]
pub struct Replay {
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// Their ids, as `parked list` shows them.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub ids: Vec<Uuid>,
    /// All of them.
    #[arg(long)]
    pub all: bool,
}

/// Does it. Exit code 1 if an id was not found.
pub async fn run(command: &ParkedCommand) -> Result<ExitCode, ConfigError> {
    let database = match command {
        ParkedCommand::List(database) => database,
        ParkedCommand::Replay(replay) => &replay.database,
    };
    let db = Db::open(database, Clock::default()).await?;
    let parked = parked::list(&db).await.map_err(readable)?;
    match command {
        ParkedCommand::List(_) => {
            list(&parked);
            Ok(ExitCode::SUCCESS)
        }
        ParkedCommand::Replay(replay) => begin_anew(&db, &parked, replay).await,
    }
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
fn list(parked: &[Parked]) {
    if parked.is_empty() {
        println!("Nothing is parked.");
        return;
    }
    let mut rows = vec![["ID", "ORGANIZATION", "JOB", "PARKED SINCE"].map(str::to_owned)];
    rows.extend(parked.iter().map(row));
    print_table(&rows);
}

fn row(job: &Parked) -> [String; 4] {
    let since = job.parked_at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    [job.id.to_string(), job.organization.clone(), job.job.clone(), since]
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "an operator reads it")]
async fn begin_anew(db: &Db, parked: &[Parked], replay: &Replay) -> Result<ExitCode, ConfigError> {
    let chosen = parked.iter().filter(|job| replay.all || replay.ids.contains(&job.id));
    for job in chosen {
        if parked::replay(db, job).await.map_err(readable)? {
            println!("{}: {} of {} begins anew.", job.id, job.job, job.organization);
        } else {
            println!("{}: was begun anew by someone else.", job.id);
        }
    }
    if parked.is_empty() && replay.all {
        println!("Nothing is parked.");
    }
    let unknown: Vec<&Uuid> = replay.ids.iter().filter(|id| !parked.iter().any(|job| job.id == **id)).collect();
    for id in &unknown {
        eprintln!("{id}: no such job is parked.");
    }
    Ok(if unknown.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
