//! `tenantry-worker schedule`: how each schedule stands, and running one by hand.
#![expect(clippy::print_stdout, reason = "an operator reads it")]

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand};
use tenantry_shared::clock::Clock;
use tenantry_shared::config::{ConfigError, DatabaseConfig};
use tenantry_shared::db::Db;
use tenantry_shared::schedules::{self, Schedule, Standing, Tally};
use tenantry_shared::telemetry;
use tokio_util::sync::CancellationToken;

use super::{Ended, run_now};
use crate::command::{print_table, readable};

/// What to do with what recurs.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Show every schedule: how often it runs, when next, and how the last run ended.
    List(DatabaseConfig),
    /// Run one now, to its end, due or not.
    Run(Box<RunCommand>),
}

/// Which one to run, and where.
#[derive(Debug, Args)]
pub struct RunCommand {
    #[command(flatten)]
    database: DatabaseConfig,
    /// Which one.
    name: Schedule,
}

/// Does it. Exit code 1 if the schedule was not run to its end, or failed for an organization.
pub async fn run(command: &ScheduleCommand) -> Result<ExitCode, ConfigError> {
    telemetry::warn_on_stderr()?;
    match command {
        ScheduleCommand::List(database) => list(database).await,
        ScheduleCommand::Run(command) => run_one(&command.database, command.name).await,
    }
}

async fn run_one(database: &DatabaseConfig, schedule: Schedule) -> Result<ExitCode, ConfigError> {
    let db = Db::open(database, Clock::default()).await?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let watch = tokio::spawn(async move {
        telemetry::told_to_stop().await;
        stopping.cancel();
    });
    let ended = run_now(&db, schedule, &stop).await.map_err(readable)?;
    watch.abort();
    db.close().await;
    let (said, code) = match ended {
        Some(Ended::Finished(tally)) if tally.failed == 0 => (done(&tally), ExitCode::SUCCESS),
        Some(Ended::Finished(tally)) => (done(&tally), ExitCode::FAILURE),
        Some(Ended::Interrupted) => ("interrupted; a worker goes on with it.".to_owned(), ExitCode::FAILURE),
        Some(Ended::Lost) => ("another worker has taken it over, and goes on with it.".to_owned(), ExitCode::FAILURE),
        None => ("another worker is running it just now. Nothing was done here.".to_owned(), ExitCode::FAILURE),
    };
    println!("{}: {said}", schedule.name());
    Ok(code)
}

fn done(tally: &Tally) -> String {
    let Tally { organizations, objects, failed, last_error } = tally;
    let ended = format!("{organizations} organizations, {objects} objects");
    match last_error {
        Some(error) => format!("{ended}, {failed} organizations failed, the last of them: {error}"),
        None => ended,
    }
}

async fn list(database: &DatabaseConfig) -> Result<ExitCode, ConfigError> {
    let db = Db::open(database, Clock::default()).await?;
    let standings = schedules::list(&db).await.map_err(readable)?;
    db.close().await;
    let mut rows = vec![["NAME", "EVERY", "NEXT RUN", "LAST RUN", "HOW IT ENDED"].map(str::to_owned)];
    rows.extend(standings.iter().map(row));
    print_table(&rows);
    Ok(ExitCode::SUCCESS)
}

fn row(standing: &Standing) -> [String; 5] {
    let ended = match (standing.is_running, standing.last_finished_at) {
        (true, _) => format!("under way: {} so far", done(&standing.tally)),
        (false, Some(_)) => done(&standing.tally),
        (false, None) => "-".to_owned(),
    };
    let schedule = standing.schedule;
    [schedule.name().to_owned(), every(schedule), time(standing.next_run_at), time(standing.last_started_at), ended]
}

fn every(schedule: Schedule) -> String {
    match schedule.every() {
        whole if whole == TimeDelta::days(whole.num_days()) => format!("{} d", whole.num_days()),
        part => format!("{} h", part.num_hours()),
    }
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
