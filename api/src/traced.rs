//! A request's span for the collector, by OpenTelemetry's semantic conventions for HTTP servers. The template of its path
//! stands there, never the path: that names organizations and people.

use poem::Request;
use poem::http::StatusCode;
use tenantry_shared::trace;
use tracing::Span;
use tracing::field::Empty;

/// Begins the span: the child of the caller's, if it sent a `traceparent`.
pub(crate) fn begin(request: &Request) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET, "request", otel.kind = "server", otel.status_code = Empty,
        http.request.method = Empty, http.route = Empty, http.response.status_code = Empty, error.type = Empty
    );
    trace::continue_from(&span, request.headers().get("traceparent").and_then(|value| value.to_str().ok()));
    span
}

/// Says what came of it.
pub(crate) fn end(span: &Span, method: &str, route: Option<&str>, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    // As the conventions call what they do not know.
    let method = if method == "OTHER" { "_OTHER" } else { method };
    span.record("http.request.method", method);
    span.record("http.response.status_code", status.as_u16());
    match route {
        Some(route) => {
            span.record("http.route", route);
            trace::rename(span, format!("{method} {route}"));
        }
        None => trace::rename(span, if method == "_OTHER" { "HTTP" } else { method }.to_owned()),
    }
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.as_str());
    }
}
