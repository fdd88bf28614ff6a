//! The worker's spans for the collector, by OpenTelemetry's semantic conventions for messaging and clients. They hold no
//! address and no word of a mail server, which may quote one.

use tenantry_shared::outbox::{Claim, JobRef};
use tenantry_shared::trace;
use tracing::Span;
use tracing::field::Empty;

use crate::mail::{Accepted, SendError};

/// A job, as the child of its push.
pub(crate) fn job(job: &JobRef) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET, "process", otel.kind = "consumer", otel.status_code = Empty,
        messaging.system = "redis", messaging.operation.name = "process", messaging.operation.type = "process",
        messaging.destination.name = Empty, tenantry.job = Empty
    );
    trace::continue_from(&span, job.trace_parent.as_deref());
    span
}

/// What job it turned out to be.
pub(crate) fn taken(span: &Span, claim: &Claim) {
    span.record("messaging.destination.name", claim.lane.name());
    span.record("tenantry.job", claim.job.name());
    trace::rename(span, format!("process {}", claim.lane.name()));
}

/// It could not be done, and comes again.
pub(crate) fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// A conversation with the mail server.
pub(crate) fn conversation(host: &str, port: u16) -> Span {
    tracing::info_span!(
        target: trace::TARGET, "smtp", otel.name = "SMTP send", otel.kind = "client", otel.status_code = Empty,
        network.protocol.name = "smtp", server.address = host, server.port = port, error.type = Empty,
        tenantry.email.outcome = Empty
    )
}

/// What came of it.
pub(crate) fn answered(span: &Span, answer: &Result<Accepted, SendError>) {
    let outcome = match answer {
        Ok(_) => "accepted",
        Err(SendError::Transient(_)) => "deferred",
        Err(SendError::Permanent(_)) => "refused",
    };
    span.record("tenantry.email.outcome", outcome);
    if answer.is_err() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", outcome);
    }
}
