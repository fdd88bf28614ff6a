//! What a process is to its operator, alike in both: logs, metrics, signals, exit codes.

use std::net::SocketAddr;
use std::process::{ExitCode, Termination};

use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{fmt, util::SubscriberInitExt};

use crate::config::{CommonConfig, ConfigError};
use crate::trace;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For a person at a terminal.
    Human,
}

/// What must be stopped at the end, so that what it holds gets out.
#[derive(Debug)]
#[must_use = "traces that are not sent yet are lost without `stop`"]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Sends logs to standard error, and traces to the collector if there is one, from here on.
    pub fn start(config: &CommonConfig, name: &str) -> Result<Self, ConfigError> {
        let service = config.otel_service_name.clone().filter(|service| !service.is_empty());
        let provider = config
            .collector()?
            .map(|collector| trace::provider(&collector, service.unwrap_or_else(|| name.to_owned())))
            .transpose()?;
        let is_trace = filter_fn(|about| about.target() == trace::TARGET);
        let traces = provider.as_ref().map(|provider| {
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tenantry"));
            let layer =
                layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
            layer.with_filter(is_trace.clone())
        });
        let logs = fmt::layer().with_writer(std::io::stderr);
        let logs = match config.log_format {
            // A line names the span that it was written in; that one's fields are all there are.
            LogFormat::Json => logs.json().flatten_event(true).with_span_list(false).boxed(),
            LogFormat::Human => logs.compact().boxed(),
        };
        let logs = logs.with_filter(log_filter(&config.log)?.and(is_trace.not()));
        let set = tracing_subscriber::registry().with(logs).with(traces).try_init();
        set.map_err(|e| ConfigError(format!("Logging can't be set up: {e}")))?;
        Ok(Self(provider))
    }

    /// Sends what is left to send, and waits for it a moment.
    pub async fn stop(self) {
        if let Some(provider) = self.0 {
            let sent = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(trace::LAST_PATIENCE)).await;
            if !matches!(sent, Ok(Ok(()))) {
                tracing::warn!("the last traces are lost: the collector did not take them in time");
            }
        }
    }
}

/// Sends warnings to standard error: for a command that ends.
pub fn warn_on_stderr() -> Result<(), ConfigError> {
    let logs = fmt().compact().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr);
    logs.try_init().map_err(|e| ConfigError(format!("Logging can't be set up: {e}")))
}

/// What `LOG` says, understood.
pub(crate) fn log_filter(text: &str) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(text).map_err(|e| ConfigError(format!("LOG={text} is not a filter: {e}.")))
}

/// Upper bounds of the buckets of every duration, in seconds.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Serves Prometheus metrics, and nothing else, on a port of their own.
pub fn serve_metrics(address: SocketAddr) -> Result<(), ConfigError> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        // Without buckets these would be quantiles, which can't be added up over processes.
        .set_buckets(&BUCKETS)
        .and_then(PrometheusBuilder::install)
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
