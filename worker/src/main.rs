//! `tenantry-worker`: does the jobs that the API asks for, and what recurs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tenantry_shared::clock::Clock;
use tenantry_shared::config::ConfigError;
use tenantry_shared::telemetry;
use tenantry_worker::WorkerConfig;
use tenantry_worker::parked::{self, ParkedCommand};
use tenantry_worker::schedule::command::{self, ScheduleCommand};

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
    /// Look after jobs that were put aside because they crashed too often.
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// See what recurs, or run some of it now.
    #[command(subcommand)]
    Schedule(ScheduleCommand),
}

fn main() -> ExitCode {
    const NAME: &str = "tenantry-worker";
    match Cli::parse().command {
        Command::Run(config) => telemetry::run(NAME, run(&config)),
        Command::Parked(command) => telemetry::run(NAME, parked::run(&command)),
        Command::Schedule(command) => telemetry::run(NAME, command::run(&command)),
    }
}

async fn run(config: &WorkerConfig) -> Result<(), ConfigError> {
    telemetry::log_to_stderr(config.common.log_format, &config.common.log)?;
    telemetry::serve_metrics(config.metrics_addr)?;
    let running = tenantry_worker::start(config, Clock::default()).await?;
    tracing::info!(metrics = %config.metrics_addr, "taking jobs");
    running.until(telemetry::told_to_stop()).await
}
