//! Answers that succeed, and requests that are safe to repeat.

use poem_openapi::ApiResponse;
use poem_openapi::payload::Json;
use poem_openapi::types::{ParseFromJSON, ToJSON};
use tenantry_shared::access::Caller;
use tenantry_shared::db::Tx;
use tenantry_shared::error::Refusal;
use tenantry_shared::idempotency::{self, Begun, Request};
use uuid::Uuid;

use crate::problem::{ApiResult, Problem};

/// 200 with an object and its `ETag`.
#[derive(ApiResponse)]
pub(crate) enum Found<T: ToJSON> {
    /// The object.
    #[oai(status = 200)]
    Object(
        Json<T>,
        /// Names the state of the object; send it as `If-Match` with a change.
        #[oai(header = "ETag")]
        String,
    ),
}

/// 201 with what was made and its `ETag`.
#[derive(ApiResponse)]
pub(crate) enum Created<T: ToJSON> {
    /// What was made.
    #[oai(status = 201)]
    Object(
        Json<T>,
        /// Names the state of the object; send it as `If-Match` with a change.
        #[oai(header = "ETag")]
        String,
    ),
}

/// 201 with what was made and a secret, which is shown this once.
#[derive(ApiResponse)]
pub(crate) enum Shown<T: ToJSON> {
    /// What was made.
    #[oai(status = 201)]
    Once(Json<T>),
}

/// 202.
#[derive(ApiResponse)]
pub(crate) enum Accepted<T: ToJSON> {
    /// It will happen.
    #[oai(status = 202)]
    Later(Json<T>),
}

/// 204.
#[derive(ApiResponse)]
pub(crate) enum NoContent {
    /// Done; there is nothing to say.
    #[oai(status = 204)]
    Done,
}

/// A version as an `ETag` (RFC 9110).
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The version an `If-Match` names. One that we never gave out matches nothing.
pub(crate) fn if_match(header: Option<&str>) -> ApiResult<Option<i64>> {
    let Some(text) = header.map(str::trim).filter(|text| *text != "*") else { return Ok(None) };
    let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    version.map(Some).ok_or_else(|| Refusal::stale().into())
}

/// A request that is done once, however often it arrives with the same `Idempotency-Key`.
pub(crate) struct Once {
    begun: Option<Begun>,
}

/// Whether to do it.
pub(crate) enum Turn<T> {
    /// It is new: do it, then [`Once::remember`] the answer.
    First(Once),
    /// It was done; this was the answer.
    Again(T),
}

impl Once {
    /// Looks whether it was done.
    pub(crate) async fn begin<T: ParseFromJSON>(
        tx: &mut Tx,
        caller: &Caller,
        operation: &'static str,
        key: Option<String>,
        body: &impl ToJSON,
    ) -> ApiResult<Turn<T>> {
        let body = body.to_json_string();
        match idempotency::begin(tx, caller, operation, key, body.as_bytes()).await? {
            Request::New(begun) => Ok(Turn::First(Self { begun })),
            Request::Repeated(answer) => {
                T::parse_from_json(Some(answer)).map(Turn::Again).map_err(|e| Problem::internal(&e.into_message()))
            }
        }
    }

    /// The same, where the answer holds a secret. The secret is not remembered: asked again, we say only what was made.
    pub(crate) async fn begin_secret(
        tx: &mut Tx,
        caller: &Caller,
        operation: &'static str,
        key: Option<String>,
        body: &impl ToJSON,
    ) -> ApiResult<Self> {
        match Self::begin::<Uuid>(tx, caller, operation, key, body).await? {
            Turn::First(once) => Ok(once),
            Turn::Again(made) => Err(Problem::secret_already_shown(made)),
        }
    }

    /// Remembers what was made, after [`Once::begin_secret`].
    pub(crate) async fn remember_made(self, tx: &mut Tx, made: impl Into<Uuid>) -> ApiResult<()> {
        self.remember(tx, &made.into()).await
    }

    /// Remembers the answer, in the transaction of what was done.
    pub(crate) async fn remember(self, tx: &mut Tx, answer: &impl ToJSON) -> ApiResult<()> {
        let answer = answer.to_json().unwrap_or_default();
        idempotency::complete(tx, self.begun, &answer).await.map_err(Problem::from)
    }
}
