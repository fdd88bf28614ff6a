//! Ids in a parameter.

use std::borrow::Cow;

use poem_openapi::registry::MetaSchemaRef;
use poem_openapi::types::{ParseFromParameter, ParseResult, Type};
use tenantry_shared::Refusal;
use uuid::Uuid;

use crate::problem::Problem;

/// Ids separated by commas, as the document says; or the parameter repeated, as other clients send a list: of a filter that is
/// said twice, no half is dropped.
#[derive(Debug)]
pub(crate) struct IdList(String);

impl Type for IdList {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        String::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        String::schema_ref()
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for IdList {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self(value.to_owned()))
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(values: I) -> ParseResult<Self> {
        let values: Vec<String> = values.into_iter().map(|value| value.as_ref().to_owned()).collect();
        Ok(Self(values.join(",")))
    }
}

/// The ids in a parameter.
pub(crate) fn ids(field: &'static str, list: Option<IdList>) -> Result<Option<Vec<Uuid>>, Problem> {
    let parse = |text: &str| {
        Uuid::parse_str(text.trim()).map_err(|_| {
            Refusal::invalid_field(field, "invalid", format!("{field} is a list of UUIDs, separated by commas."))
        })
    };
    list.map(|IdList(text)| text.split(',').map(parse).collect()).transpose().map_err(Problem::from)
}
