//! How an object names another.

use std::borrow::Cow;

use poem_openapi::Object;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::{Value, json};
use tenantry_shared::objects::{Kind, Names};
use uuid::Uuid;

/// Another object. Empty, if there is one that you may not see.
#[derive(Debug, Object)]
pub(crate) struct Ref {
    /// Its id.
    #[oai(skip_serializing_if_is_none)]
    id: Option<Uuid>,
    /// Its name.
    #[oai(skip_serializing_if_is_none)]
    str: Option<String>,
}

impl Ref {
    /// One.
    pub(crate) fn new(names: &Names, kind: Kind, id: Uuid) -> Self {
        let name = names.get(kind, id);
        Self { id: name.map(|_| id), str: name.map(str::to_owned) }
    }

    /// Those of a list that are seen.
    pub(crate) fn all(names: &Names, kind: Kind, ids: &[Uuid]) -> Vec<Self> {
        ids.iter().map(|id| Self::new(names, kind, *id)).filter(|reference| reference.id.is_some()).collect()
    }
}

/// Another object's id; `{}` where the caller may not see it, so that a form can't send back as empty what was hidden.
#[derive(Debug)]
pub(crate) struct StoredRef(Option<Uuid>);

impl StoredRef {
    /// One.
    pub(crate) fn new(names: &Names, kind: Kind, id: Uuid) -> Self {
        Self(names.get(kind, id).map(|_| id))
    }

    /// Those of a list that are seen.
    pub(crate) fn all(names: &Names, kind: Kind, ids: &[Uuid]) -> Vec<Uuid> {
        ids.iter().copied().filter(|id| names.get(kind, *id).is_some()).collect()
    }
}

impl Type for StoredRef {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "id or hidden".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            any_of: vec![
                MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "uuid"))),
                MetaSchemaRef::Reference("Hidden".to_owned()),
            ],
            ..MetaSchema::ANY
        }))
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>("Hidden".to_owned(), |_| MetaSchema {
            description: Some("`{}`: there is one that you may not see."),
            ..MetaSchema::new("object")
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for StoredRef {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.map_or_else(|| json!({}), |id| json!(id)))
    }
}

impl ParseFromJSON for StoredRef {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::Object(_)) => Ok(Self(None)),
            Some(Value::String(text)) => Uuid::parse_str(&text).map(|id| Self(Some(id))).map_err(ParseError::custom),
            other => Err(ParseError::expected_type(other.unwrap_or(Value::Null))),
        }
    }
}
