//! What each user likes.

use std::borrow::Cow;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;
use tenantry_shared::access::Oneself;
use tenantry_shared::organizations::LOCALES;
use tenantry_shared::user_preferences::{self, UserPreferences};

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::problem::ApiResult;
use crate::reply::{Found, etag, if_match};

pub(crate) struct Api;

/// A JSON object: some members of it are known, the others are the client's own.
#[derive(Debug)]
pub(crate) struct Preferences(pub(crate) Value);

/// What the document calls a language.
struct Locale;

fn text(name: &'static str, description: &'static str) -> (&'static str, MetaSchema) {
    (name, MetaSchema { nullable: true, description: Some(description), ..MetaSchema::new("string") })
}

fn schema() -> MetaSchema {
    let inline = |(name, schema)| (name, MetaSchemaRef::Inline(Box::new(schema)));
    let lang = MetaSchema {
        nullable: true,
        description: Some("The language of mails and pages."),
        all_of: vec![MetaSchemaRef::Reference("Locale".to_owned())],
        ..MetaSchema::ANY
    };
    let ui = MetaSchema {
        nullable: true,
        description: Some("How the product looks."),
        properties: vec![inline(text("theme", "For example `dark`."))],
        ..MetaSchema::new("object")
    };
    let members = [("lang", lang), text("date_format", "For example `YYYY-MM-DD`."), ("ui", ui)];
    MetaSchema {
        description: Some("Beside these, any members: at most 16 KiB in all. In a `PATCH`, `null` removes one."),
        properties: members.into_iter().map(inline).collect(),
        additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
        ..MetaSchema::new("object")
    }
}

impl Type for Preferences {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "preferences".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference("UserPreferences".to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Locale, _>("Locale".to_owned(), |_| MetaSchema {
            description: Some("A language that mails and pages are written in."),
            enum_items: LOCALES.iter().map(|locale| Value::from(*locale)).collect(),
            ..MetaSchema::new("string")
        });
        registry.create_schema::<Self, _>("UserPreferences".to_owned(), |_| schema());
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for Preferences {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

impl ParseFromJSON for Preferences {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(value @ Value::Object(_)) => Ok(Self(value)),
            other => Err(ParseError::expected_type(other.unwrap_or(Value::Null))),
        }
    }
}

impl Input for Preferences {}

impl Found<Preferences> {
    fn of(preferences: UserPreferences) -> Self {
        Self::Object(Json(Preferences(preferences.value)), etag(preferences.version))
    }
}

#[OpenApi(tag = "super::openapi::Tags::Users")]
impl Api {
    /// Read your preferences
    ///
    /// Everyone has his own. Empty until something is put there.
    #[oai(path = "/orgs/:organization_slug/user-preferences", method = "get", operation_id = "get_user_preferences")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Found<Preferences>> {
        let (mut tx, by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        let preferences = user_preferences::get(&mut tx, &by).await?;
        tx.commit().await?;
        Ok(Found::of(preferences))
    }

    /// Change your preferences
    ///
    /// Merged into what is there (RFC 7396). Not with a personal access token that has a scope.
    ///
    /// Errors: 403 `session_required`; 412.
    #[oai(
        path = "/orgs/:organization_slug/user-preferences",
        method = "patch",
        operation_id = "change_user_preferences"
    )]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The `ETag` of the preferences as you read them.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
        body: Body<Preferences>,
    ) -> ApiResult<Found<Preferences>> {
        let (mut tx, by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        let version = if_match(if_match_header.0.as_deref())?;
        let preferences = user_preferences::change(&mut tx, &by, &body.0.0, version).await?;
        tx.commit().await?;
        Ok(Found::of(preferences))
    }
}
