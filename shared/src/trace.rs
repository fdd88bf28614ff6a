//! Traces: one from a request through Redis to the mail server. It travels as a W3C `traceparent`, in the outbox and beside
//! the reference to a job.
//!
//! Spans that are made with [`TARGET`] go to the collector and not to the log; all others go to the log and not to the
//! collector. So what leaves this deployment is what was put there for it: never an address, a token or a secret.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use url::Url;

use crate::config::ConfigError;
use crate::tls;

/// The target of spans for the collector.
pub const TARGET: &str = "tenantry_trace";

const HEADER: &str = "traceparent";
/// What the collector gets to answer in, and what is left to send gets at the end.
const PATIENCE: Duration = Duration::from_secs(5);
pub(crate) const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// The open span, for work that is asked for now and done later. None where nothing is traced.
#[must_use]
pub fn current() -> Option<String> {
    parent_in(&Context::current())
}

/// A span that is not open, for work that is done elsewhere.
#[must_use]
pub fn parent_of(span: &Span) -> Option<String> {
    parent_in(&span.context())
}

fn parent_in(context: &Context) -> Option<String> {
    let span = context.span();
    let span = span.span_context();
    let text = || format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags());
    span.is_valid().then(text)
}

/// Makes a span that was not open yet the child of another process' one. What is no `traceparent` is passed over.
pub fn continue_from(span: &Span, parent: Option<&str>) {
    if let Some(parent) = parent.filter(|_| !span.is_disabled()) {
        let carrier = HashMap::from([(HEADER.to_owned(), parent.to_owned())]);
        // It fails only for a span that is open already.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
    }
}

/// Names a span anew that is open already.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// The id of a span's trace, for log lines.
#[must_use]
pub fn id_of(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let id = span.span_context().trace_id();
    span.span_context().is_valid().then(|| id.to_string())
}

/// What sends spans to the collector at `endpoint`, from a thread of its own: nobody waits for it, and when it can't keep up,
/// spans are dropped.
pub(crate) fn provider(endpoint: &Url, service: String) -> Result<SdkTracerProvider, ConfigError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .with_http_client(client()?)
        .build()
        .map_err(|_| ConfigError("OTEL_EXPORTER_OTLP_ENDPOINT can't be used.".into()))?;
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

fn client() -> Result<Client<impl HttpClient + Clone>, ConfigError> {
    let tls = tls::client_config().map_err(|e| ConfigError(format!("TLS can't be set up: {e}.")))?;
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    let http = HyperClient::new(connector, PATIENCE, None);
    Ok(Client { http, runtime: Handle::current(), is_in_trouble: Arc::default() })
}

/// Sends on the runtime's threads what the exporter hands over on its own, which has no runtime.
#[derive(Clone, Debug)]
struct Client<C> {
    http: C,
    runtime: Handle,
    is_in_trouble: Arc<AtomicBool>,
}

impl<C> Client<C> {
    /// Logs once an outage.
    fn note(&self, result: &Result<Response<Bytes>, HttpError>) {
        let is_good = result.as_ref().is_ok_and(|response| response.status().is_success());
        match (self.is_in_trouble.swap(!is_good, Ordering::Relaxed), is_good) {
            (false, false) => tracing::warn!("traces are lost: the collector does not take them"),
            (true, true) => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

// The trait is theirs, and written like this by its macro.
#[async_trait::async_trait]
impl<C: HttpClient + Clone + 'static> HttpClient for Client<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let result = match self.runtime.spawn(async move { http.send_bytes(request).await }).await {
            Ok(result) => result,
            Err(error) => Err(error.into()),
        };
        self.note(&result);
        result
    }
}
