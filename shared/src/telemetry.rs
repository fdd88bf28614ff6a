//! What a process is to its operator, alike in both: logs, metrics, signals, exit codes.

use std::net::SocketAddr;
use std::process::{ExitCode, Termination};

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::ConfigError;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For a person at a terminal.
    Human,
}

/// Sends logs to standard error, from here on.
pub fn log_to_stderr(format: LogFormat, filter: &str) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(filter).map_err(|e| ConfigError(format!("LOG={filter} is not a filter: {e}.")))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        LogFormat::Human => subscriber.compact().try_init(),
    };
    set.map_err(|e| ConfigError(format!("Logging can't be set up: {e}")))
}

/// Serves Prometheus metrics, and nothing else, on a port of their own.
pub fn serve_metrics(address: SocketAddr) -> Result<(), ConfigError> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .install()
        .map_err(|e| ConfigError(format!("METRICS_ADDR={address} can't be used: {e}.")))
}

/// Runs a process' work, which may name its exit code; an error is one line for an operator, and exit code 2.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub fn run<T: Termination>(name: &str, work: impl Future<Output = Result<T, ConfigError>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(|e| ConfigError(e.to_string())).and_then(|runtime| runtime.block_on(work));
    match done {
        Ok(done) => done.report(),
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns at SIGTERM or SIGINT.
pub async fn told_to_stop() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
