//! `tenantry-worker`: does the jobs that the API asks for, and what recurs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tenantry_shared::clock::Clock;
use tenantry_shared::config::ConfigError;
use tenantry_shared::telemetry::{self, Telemetry};
use tenantry_worker::WorkerConfig;
use tenantry_worker::parked::{self, ParkedCommand};
use tenantry_worker::schedule::command::{self, ScheduleCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NAME: &str = "tenantry-worker";

/// The worker of Tenantry: sends mail, and runs what recurs.
#[derive(Debug, Parser)]
#[command(name = "tenantry-worker", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take jobs from Redis and do them, until told to stop.
    Run(Box<WorkerConfig>),
    /// Look at every setting of `run`, at Postgres, Redis and the mail server, and say what is wrong. Ends with 1 if something
    /// is. No mail is sent.
    Check(Box<WorkerConfig>),
    /// Look after jobs that were put aside because they crashed too often.
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// See what recurs, or run some of it now.
    #[command(subcommand)]
    Schedule(ScheduleCommand),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(config) => telemetry::run(NAME, run(&config)),
        Command::Check(config) => telemetry::run(NAME, async { Ok(tenantry_worker::check(&config).await) }),
        Command::Parked(command) => telemetry::run(NAME, parked::run(&command)),
        Command::Schedule(command) => telemetry::run(NAME, command::run(&command)),
    }
}

async fn run(config: &WorkerConfig) -> Result<(), ConfigError> {
    let telemetry = Telemetry::start(&config.common, NAME)?;
    telemetry::serve_metrics(config.metrics_addr)?;
    let running = tenantry_worker::start(config, Clock::default()).await?;
    tracing::info!(metrics = %config.metrics_addr, "taking jobs");
    let ended = running.until(telemetry::told_to_stop()).await;
    telemetry.stop().await;
    ended
}
