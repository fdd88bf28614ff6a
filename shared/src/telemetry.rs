//! Logs and metrics, alike in both processes.

use std::net::SocketAddr;

use metrics_exporter_prometheus::PrometheusBuilder;
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
