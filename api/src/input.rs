//! JSON bodies: strict about what is unknown, lenient about what is read-only.

use poem::{Request, RequestBody, Result};
use poem_openapi::error::{ContentTypeError, ParseRequestPayloadError};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaRequest, Registry};
use poem_openapi::types::{ParseFromJSON, ToJSON};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;

use crate::edge::unreadable;
use crate::problem::Problem;

/// What a client may send: fields of the object as we show it that it can't set are dropped before the body is read, so that
/// what was read can be sent back. Unknown fields are refused.
pub(crate) trait Input: ParseFromJSON + ToJSON {
    /// Names of read-only fields.
    const READ_ONLY: &'static [&'static str] = &[];

    /// Reads one object, as a body or as a row of a batch.
    fn read(mut value: Value) -> Result<Self, Problem> {
        if let Value::Object(members) = &mut value {
            members.retain(|name, _| !Self::READ_ONLY.contains(&name.as_str()));
        }
        if has_nul(&value) {
            return Err(unreadable("a text contains a NUL character"));
        }
        Self::parse_from_json(Some(value)).map_err(|error| unreadable(&error.into_message()))
    }
}

/// Postgres' texts hold everything but NUL, and nobody means it.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<'a, T: Input> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        <Json<T> as ApiExtractor>::request_meta()
    }

    async fn from_request(request: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        match request.content_type() {
            Some(kind) if Json::<T>::check_content_type(kind) => {}
            Some(kind) => return Err(ContentTypeError::NotSupported { content_type: kind.to_owned() }.into()),
            None => return Err(ContentTypeError::ExpectContentType.into()),
        }
        let bytes: Vec<u8> = body.take()?.into_vec().await?;
        let value =
            serde_json::from_slice(&bytes).map_err(|error| ParseRequestPayloadError { reason: error.to_string() })?;
        Ok(Self(T::read(value)?))
    }
}
