//! JSON bodies: strict about what is unknown, lenient about what is read-only.

use chrono::NaiveDate;
use poem::{Request, RequestBody, Result};
use poem_openapi::error::{ContentTypeError, ParseRequestPayloadError};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, ToJSON};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;
use tenantry_shared::error::{FieldError, Refusal};
use uuid::Uuid;

use crate::edge::unreadable;
use crate::problem::Problem;

/// What a client may send: fields of the object as we show it that it can't set are dropped before the body is read, so that
/// what was read can be sent back. Unknown fields are refused.
pub(crate) trait Input: ParseFromJSON + ToJSON {
    /// Names of read-only fields; `branding.logo` is one within another.
    const READ_ONLY: &'static [&'static str] = &[];

    /// Reads one object, as a body or as a row of a batch.
    fn read(mut value: Value) -> Result<Self, Problem> {
        for name in Self::READ_ONLY {
            drop_field(&mut value, name);
        }
        if has_nul(&value) {
            return Err(unreadable("a text contains a NUL character"));
        }
        // The parser stops at the first error, does not say where, and takes a number for a text: the schema comes first.
        let mut registry = Registry::new();
        Self::register(&mut registry);
        let schema = registry.schemas.get(Self::name().as_ref());
        let errors = schema.map(|schema| wrong_fields("", &value, schema, &registry)).unwrap_or_default();
        if !errors.is_empty() {
            return Err(Refusal::invalid(errors).into());
        }
        Self::parse_from_json(Some(value)).map_err(|error| unreadable(&error.into_message()))
    }
}

fn drop_field(value: &mut Value, name: &str) {
    match name.split_once('.') {
        Some((outer, inner)) => value.get_mut(outer).into_iter().for_each(|value| drop_field(value, inner)),
        None => value.as_object_mut().into_iter().for_each(|members| members.retain(|member, _| member != name)),
    }
}

/// Which fields of an object are missing or of the wrong type, by its schema. Those of an object within it are called by both names.
fn wrong_fields(within: &str, value: &Value, schema: &MetaSchema, registry: &Registry) -> Vec<FieldError> {
    let Value::Object(members) = value else { return Vec::new() };
    let mut errors = Vec::new();
    for (name, property) in &schema.properties {
        let Some(property) = resolve(property, registry) else { continue };
        let required = schema.required.contains(name);
        let field = format!("{within}{name}");
        match members.get(*name).filter(|value| !value.is_null()) {
            None if required => errors.push(FieldError::new(field.clone(), "required", format!("{field} is needed."))),
            Some(value) if !fits(value, property) => {
                let message = format!("{field} is not {}.", expected(property));
                errors.push(FieldError::new(field, "invalid_type", message));
            }
            Some(value) if !property.properties.is_empty() => {
                errors.extend(wrong_fields(&format!("{field}."), value, property, registry));
            }
            _ => {}
        }
    }
    let is_unknown = |name: &&String| !schema.properties.iter().any(|(known, _)| known == name);
    // What knows no fields is an object of any.
    let unknown = members.keys().filter(|_| !schema.properties.is_empty()).filter(is_unknown);
    errors.extend(unknown.map(|name| {
        let field = format!("{within}{name}");
        FieldError::new(field.clone(), "unknown_field", format!("{field} is not known here."))
    }));
    errors
}

/// The schema that a field's schema stands for: a field with a description of its own has it beside a reference.
fn resolve<'a>(schema: &'a MetaSchemaRef, registry: &'a Registry) -> Option<&'a MetaSchema> {
    match schema {
        MetaSchemaRef::Inline(schema) => {
            match schema.all_of.iter().find(|part| matches!(part, MetaSchemaRef::Reference(_))) {
                Some(part) => resolve(part, registry),
                None => Some(schema),
            }
        }
        MetaSchemaRef::Reference(name) => registry.schemas.get(name),
    }
}

fn fits(value: &Value, schema: &MetaSchema) -> bool {
    if !schema.enum_items.is_empty() {
        return schema.enum_items.contains(value);
    }
    match (schema.ty, schema.format) {
        ("string", Some("uuid")) => value.as_str().is_some_and(|text| Uuid::parse_str(text).is_ok()),
        ("string", Some("naive-date" | "date")) => value.as_str().is_some_and(|text| text.parse::<NaiveDate>().is_ok()),
        ("string", _) => value.is_string(),
        ("integer", _) => value.is_i64() || value.is_u64(),
        ("number", _) => value.is_number(),
        ("boolean", _) => value.is_boolean(),
        ("object", _) => value.is_object() || schema.properties.is_empty(),
        ("array", _) => {
            let item = schema.items.as_deref().and_then(|items| match items {
                MetaSchemaRef::Inline(item) => Some(item),
                MetaSchemaRef::Reference(_) => None,
            });
            value.as_array().is_some_and(|values| values.iter().all(|value| item.is_none_or(|item| fits(value, item))))
        }
        _ => true,
    }
}

fn expected(schema: &MetaSchema) -> String {
    if !schema.enum_items.is_empty() {
        let items: Vec<&str> = schema.enum_items.iter().filter_map(Value::as_str).collect();
        return format!("one of {}", items.join(", "));
    }
    match (schema.ty, schema.format) {
        ("string", Some("uuid")) => "a UUID".into(),
        ("string", Some("naive-date" | "date")) => "a date (YYYY-MM-DD)".into(),
        ("string", _) => "a text".into(),
        ("integer", _) => "a whole number".into(),
        ("number", _) => "a number".into(),
        ("boolean", _) => "true or false".into(),
        ("object", _) => "an object".into(),
        ("array", _) => "a list of the right things".into(),
        _ => "what is expected".into(),
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

/// A body that says it is JSON, and is.
pub(crate) fn json<T: ParseFromJSON + ToJSON>(request: &Request, bytes: &[u8]) -> Result<Value> {
    match request.content_type() {
        Some(kind) if Json::<T>::check_content_type(kind) => {}
        Some(kind) => return Err(ContentTypeError::NotSupported { content_type: kind.to_owned() }.into()),
        None => return Err(ContentTypeError::ExpectContentType.into()),
    }
    serde_json::from_slice(bytes).map_err(|error| ParseRequestPayloadError { reason: error.to_string() }.into())
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
        let bytes: Vec<u8> = body.take()?.into_vec().await?;
        Ok(Self(T::read(json::<T>(request, &bytes)?)?))
    }
}
