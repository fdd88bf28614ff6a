//! `tenantry-worker`: does the jobs that the API asks for, and what recurs.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tenantry_shared::clock::Clock;
use tenantry_shared::config::ConfigError;
use tenantry_shared::telemetry;
use tenantry_worker::WorkerConfig;

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
    /// See what recurs, or run some of it now.
    #[command(subcommand)]
    Schedule(commands::schedule::Command),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(config) => telemetry::run("tenantry-worker", run(&config)),
        Command::Schedule(command) => telemetry::run("tenantry-worker", commands::schedule::run(&command)),
    }
}

async fn run(config: &WorkerConfig) -> Result<(), ConfigError> {
    telemetry::log_to_stderr(config.common.log_format, &config.common.log)?;
    telemetry::serve_metrics(config.metrics_addr)?;
    let running = tenantry_worker::start(config, Clock::default()).await?;
    tracing::info!(metrics = %config.metrics_addr, "taking jobs");
    running.until(telemetry::told_to_stop()).await
}
