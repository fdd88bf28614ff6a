//! The edge: what holds for every request, whatever handles it. Ids, limits, timeouts, headers, and errors in one shape.

use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use poem::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use poem::web::RemoteAddr;
use poem::{Addr, Body, Endpoint, IntoResponse, Middleware, Request, Response};
use poem_openapi::OperationId;
use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError};
use tenantry_shared::access::Origin;
use tenantry_shared::clock::Clock;
use tenantry_shared::ids::new_uuid;
use tenantry_shared::trace;
use tokio::time::timeout;
use tracing::Instrument;
use tracing::field::Empty;

use crate::allow::Allow;
use crate::meters::InFlight;
use crate::pages::Browser;
use crate::problem::{FieldProblem, Problem};
use crate::traced;

const BODY_LIMIT: usize = 1024 * 1024;
const BATCH_BODY_LIMIT: usize = 5 * 1024 * 1024;
/// How long a client may take to send its body,
const BODY_PATIENCE: Duration = Duration::from_secs(15);
/// and a handler to answer.
const PATIENCE: Duration = Duration::from_secs(30);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    /// Makes request ids.
    pub(crate) clock: Clock,
    /// Whether browsers reach us over TLS.
    pub(crate) https: bool,
    /// The path of each operation, as a template.
    pub(crate) routes: Arc<HashMap<&'static str, &'static str>>,
    /// Whose `X-Forwarded-For` counts.
    pub(crate) trusted_proxies: Arc<[IpAddr]>,
    /// What a 405 says.
    pub(crate) allow: Arc<Allow>,
}

impl<E: Endpoint> Middleware<E> for Edge {
    type Output = EdgeEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        EdgeEndpoint { edge: self.clone(), inner }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct EdgeEndpoint<E> {
    edge: Edge,
    inner: E,
}

impl<E: Endpoint> Endpoint for EdgeEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let _in_flight = InFlight::begin();
        let request_id = request_id(&request, &self.edge.clock);
        let client_address = self.edge.client_address(&request);
        let text = |name: HeaderName| request.headers().get(name)?.to_str().ok().map(|t| t.chars().take(200).collect());
        let origin = Origin {
            request_id: Some(request_id.clone()),
            client_address: client_address.map(|ip| ip.to_string()),
            user_agent: text(header::USER_AGENT),
            client_id: text(HeaderName::from_static("x-client-id")),
        };
        request.extensions_mut().insert(origin);
        let method = request.method().clone();
        // The path only: a query may hold a link's token.
        let path = request.uri().path().to_owned();
        let browser = Browser::find(request.headers(), &path);
        let trace = traced::begin(&request);
        let span = tracing::info_span!(
            "request", request_id, %method, path, organization = Empty, actor = Empty, trace_id = trace::id_of(&trace)
        );
        let answered = self.handle(request).instrument(span.clone()).instrument(trace.clone()).await;
        let _entered = span.entered();
        let mut response = match answered {
            Ok(response) => response.into_response(),
            Err(error) => {
                let operation = error.data::<OperationId>().cloned();
                let problem = problem_of(&error, &path);
                let mut response = match browser {
                    Some(browser) => browser.show(&problem, &path, &request_id),
                    None => problem.respond(&request_id),
                };
                if let Some(operation) = operation {
                    response.set_data(operation);
                }
                response
            }
        };
        if response.status() == StatusCode::METHOD_NOT_ALLOWED
            && let Ok(methods) = HeaderValue::from_str(self.edge.allow.methods(&path))
        {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        self.edge.dress(&mut response, &request_id);
        let operation = response.data::<OperationId>().map(|OperationId(id)| *id);
        traced::end(
            &trace,
            known(&method),
            operation.and_then(|id| self.edge.routes.get(id).copied()),
            response.status(),
        );
        observe(&method, &response, started);
        Ok(response)
    }
}

impl<E: Endpoint> EdgeEndpoint<E> {
    async fn handle(&self, mut request: Request) -> poem::Result<E::Output> {
        if request.uri().to_string().contains("%00") {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed_address",
                "The address contains a NUL character.",
            )
            .into());
        }
        let is_batch = request.uri().path().ends_with("/batch") || request.uri().path().ends_with("/batch-action");
        let limit = if is_batch { BATCH_BODY_LIMIT } else { BODY_LIMIT };
        let body = request.take_body();
        let bytes = timeout(BODY_PATIENCE, body.into_bytes_limit(limit))
            .await
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "body_too_slow", "The body took too long to arrive."))?
            .map_err(|error| match error {
                poem::error::ReadBodyError::PayloadTooLarge => Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "body_too_large",
                    format!("A body has at most {limit} bytes."),
                ),
                _ => Problem::new(StatusCode::BAD_REQUEST, "bad_body", "The body could not be read."),
            })?;
        request.set_body(Body::from_bytes(bytes));
        match timeout(PATIENCE, AssertUnwindSafe(self.inner.call(request)).catch_unwind()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Problem::internal(&"a handler panicked").into()),
            Err(_) => Err(Problem::unavailable(&"a handler took too long").into()),
        }
    }
}

impl Edge {
    /// The peer's address; behind a trusted proxy, the last address in `X-Forwarded-For` that is not such a proxy.
    fn client_address(&self, request: &Request) -> Option<IpAddr> {
        let RemoteAddr(Addr::SocketAddr(peer)) = request.remote_addr() else { return None };
        let mut address = peer.ip();
        let forwarded = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let mut hops: Vec<Option<IpAddr>> =
            forwarded.flat_map(|value| value.split(',')).map(|hop| hop.trim().parse().ok()).collect();
        while self.trusted_proxies.contains(&address) {
            // What stands left of nonsense is nonsense, too.
            let Some(Some(hop)) = hops.pop() else { break };
            address = hop;
        }
        Some(address)
    }

    fn dress(&self, response: &mut Response, request_id: &str) {
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, value);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
        if self.https {
            headers.insert(
                header::STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static("max-age=63072000; includeSubDomains"),
            );
        }
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

fn request_id(request: &Request, clock: &Clock) -> String {
    let sane = |id: &&str| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let sent = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(sane);
    sent.map_or_else(|| new_uuid(clock.now()).to_string(), str::to_owned)
}

/// Ours pass; what the framework made becomes one of ours.
fn problem_of(error: &poem::Error, path: &str) -> Problem {
    if let Some(problem) = error.data::<Problem>() {
        return problem.clone();
    }
    if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        return unreadable(&error.reason);
    }
    if let Some(ParseParamError { name, .. }) = error.downcast_ref() {
        return wrong_parameter(name);
    }
    if error.is::<ContentTypeError>() {
        return Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body is not of a type that is taken here. Where the document names no other, that is application/json.",
        );
    }
    if error.is::<ParsePathError>() {
        // An id that is none: nothing is there.
        return Problem::not_found();
    }
    match error.status() {
        StatusCode::NOT_FOUND if path.starts_with("/v1/") => Problem::not_found(),
        StatusCode::NOT_FOUND => Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such path."),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This path does not take this method.")
        }
        status if status.is_client_error() => Problem::new(status, "bad_request", "The request could not be read."),
        _ => Problem::internal(error),
    }
}

fn wrong_parameter(name: &str) -> Problem {
    let message = format!("The parameter {name} is missing or not of the right form.");
    Problem {
        errors: vec![FieldProblem::new(name, "invalid", &message)],
        ..Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
    }
}

/// What the parser says names our types; callers know fields, and `input.rs` finds those it can.
pub(crate) fn unreadable(reason: &str) -> Problem {
    tracing::debug!(reason, "a body could not be read");
    Problem::new(StatusCode::BAD_REQUEST, "malformed_body", "The body is not the JSON that is expected here.")
}

/// A stranger's inventions are one label, or he could fill our memory with them.
pub(crate) fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

fn observe(method: &Method, response: &Response, started: Instant) {
    let operation = response.data::<OperationId>().map_or("other", |OperationId(id)| id).to_owned();
    let status = response.status().as_u16();
    let took = started.elapsed();
    metrics::histogram!("tenantry_http_request_seconds", "operation" => operation.clone(), "method" => known(method),
        "status" => status.to_string())
    .record(took.as_secs_f64());
    tracing::info!(operation, status, ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "answered");
}
