//! The one shape of every error: RFC 9457 `application/problem+json`.

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{ApiResponse, Object};
use secrecy::{ExposeSecret, SecretString};
use tenantry_shared::error::{Error, FieldError, Kind, Refusal};
use uuid::Uuid;

/// What every handler answers with.
pub(crate) type ApiResult<T> = Result<T, Problem>;

/// Why a request was refused (RFC 9457).
#[derive(Clone, Debug, Object)]
#[oai(rename = "Problem")]
pub(crate) struct ProblemBody {
    /// A URI that names the kind of problem; `about:blank`, for `code` says it.
    #[oai(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What went wrong, for a person.
    detail: String,
    /// What went wrong, for a program: stable, `snake_case`.
    code: String,
    /// Which fields of the request are wrong. Empty where that can't be said.
    errors: Vec<FieldProblem>,
    /// The same text as `detail`.
    message: String,
    /// What was made, where the answer that named it can't be given again (`secret_already_shown`); else null.
    id: Option<Uuid>,
    /// The id of this request, as in `X-Request-Id`. Quote it when you ask for help.
    request_id: String,
    /// With `password_change_required` only: what `iam_change_password` takes in place of a session, once, within ten minutes.
    #[oai(skip_serializing_if_is_none)]
    change_token: Option<String>,
}

/// A field of the request that is wrong.
#[derive(Clone, Debug, Object)]
pub(crate) struct FieldProblem {
    /// Its name in the request.
    field: String,
    /// Stable, `snake_case`.
    code: String,
    /// A sentence for a person.
    message: String,
}

impl From<FieldError> for FieldProblem {
    fn from(error: FieldError) -> Self {
        Self { field: error.field.into_owned(), code: error.code.to_owned(), message: error.message.into_owned() }
    }
}

/// A problem on its way to the edge, which adds the request's id.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// Stable, `snake_case`.
    pub(crate) code: &'static str,
    /// A sentence for a person.
    pub(crate) detail: String,
    /// Which fields are wrong.
    pub(crate) errors: Vec<FieldProblem>,
    /// Seconds, for `Retry-After`.
    pub(crate) retry_after: Option<u64>,
    /// What was made by an earlier request.
    pub(crate) made: Option<Uuid>,
    /// What takes a session's place for the one thing that has to be done first.
    pub(crate) change_token: Option<SecretString>,
}

impl Problem {
    /// A problem without fields.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            made: None,
            change_token: None,
        }
    }

    /// Not there for this caller.
    pub(crate) fn not_found() -> Self {
        Refusal::not_found().into()
    }

    /// The answer to a repeated request held a secret, which we don't keep.
    pub(crate) fn secret_already_shown(made: Uuid) -> Self {
        let detail = "This request was done, and its answer held a secret that is shown only once.";
        Self { made: Some(made), ..Self::new(StatusCode::CONFLICT, "secret_already_shown", detail) }
    }

    /// Our fault. The cause is logged here, and stays here.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side.")
    }

    /// A dependency is down, or busy beyond waiting.
    pub(crate) fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a dependency failed");
        Self {
            retry_after: Some(5),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The service is busy or partly down. Try again soon.",
            )
        }
    }

    /// Its body, for a request.
    pub(crate) fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("Error").into(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.into(),
            errors: self.errors.clone(),
            message: self.detail.clone(),
            id: self.made,
            request_id: request_id.into(),
            change_token: self.change_token.as_ref().map(|token| token.expose_secret().to_owned()),
        }
    }

    /// The answer to a request.
    pub(crate) fn respond(&self, request_id: &str) -> Response {
        let mut response = self
            .body(request_id)
            .to_json_string()
            .with_content_type("application/problem+json")
            .with_status(self.status)
            .into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tenantry\""));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, retry_after) = match refusal.kind {
            Kind::Invalid => (StatusCode::BAD_REQUEST, None),
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, None),
            Kind::Forbidden => (StatusCode::FORBIDDEN, None),
            Kind::NotFound => (StatusCode::NOT_FOUND, None),
            Kind::Conflict => (StatusCode::CONFLICT, None),
            Kind::Stale => (StatusCode::PRECONDITION_FAILED, None),
            Kind::TooOften(seconds) => (StatusCode::TOO_MANY_REQUESTS, Some(seconds)),
        };
        let errors = refusal.errors.into_iter().map(Into::into).collect();
        Self { errors, retry_after, ..Self::new(status, refusal.code, refusal.detail) }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        use tenantry_shared::error::{database_is_down, is_data_exception};
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::Database(error) if database_is_down(&error) => Self::unavailable(&error),
            Error::Busy => Self::unavailable(&error),
            Error::Database(sqlx_error) if is_data_exception(&sqlx_error) => Self::new(
                StatusCode::BAD_REQUEST,
                "out_of_range",
                "A value of the request is outside of what can be stored.",
            ),
            other => Self::internal(&other),
        }
    }
}

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        let mut error = poem::Error::from_status(problem.status);
        error.set_data(problem);
        error
    }
}

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        let described = [
            (400, "The request is malformed, or breaks a rule: `errors` names the fields."),
            (401, "No credential, or a dead one."),
            (403, "The caller lacks the right."),
            (404, "Not there, for this caller: what does not exist and what is another organization's look alike."),
            (409, "The state of things forbids it."),
            (412, "`If-Match` names another state of the object than the present one."),
            (413, "The body is too large."),
            (415, "The body is not of a type that is taken here."),
            (429, "Too often."),
            (500, "Something went wrong on our side."),
            (503, "The service is busy or partly down."),
        ];
        let response = |(status, description)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "application/problem+json",
                schema: ProblemBody::schema_ref(),
            }],
            headers: if matches!(status, 429 | 503) { vec![retry_after()] } else { vec![] },
        };
        MetaResponses { responses: described.into_iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}

fn retry_after() -> MetaHeader {
    MetaHeader {
        name: "Retry-After".into(),
        description: Some("Seconds to wait.".into()),
        required: true,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(poem_openapi::registry::MetaSchema::new("integer"))),
    }
}

impl FieldProblem {
    /// A field that is wrong.
    pub(crate) fn new(field: &str, code: &str, message: &str) -> Self {
        Self { field: field.into(), code: code.into(), message: message.into() }
    }

    /// The same field, of one row of a list: `3.at`.
    pub(crate) fn of_row(self, index: usize) -> Self {
        Self { field: format!("{index}.{}", self.field), ..self }
    }
}
