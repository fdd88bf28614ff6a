//! Analysts, and what they have consented to.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::access::{InPerson, Oneself, ViewUser};
use tenantry_shared::analysts::{self, Consent, OwnConsent};
use tenantry_shared::users::User;
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::objects::kept;
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Found, etag, if_match};

pub(crate) struct Api;

/// Someone who holds the role `analyst`.
#[derive(Debug, Object)]
#[oai(rename = "Analyst")]
pub(crate) struct AnalystOut {
    /// Their id.
    user_uuid: Uuid,
    /// Their address.
    email: String,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Whether they may sign in.
    is_active: bool,
    /// Whether they have consented.
    consent_given: bool,
    /// When they last said so, or the contrary; null where they never said a word.
    consent_changed_at: Option<DateTime<Utc>>,
}

impl AnalystOut {
    fn new((user, consent): (User, Option<Consent>)) -> Self {
        Self {
            user_uuid: user.id,
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            is_active: user.is_active,
            consent_given: consent.is_some_and(|consent| consent.consent_given),
            consent_changed_at: consent.map(|consent| consent.at),
        }
    }
}

/// Something that was said.
#[derive(Debug, Object)]
#[oai(rename = "AnalystConsentWord")]
pub(crate) struct WordOut {
    /// Whether it was for.
    consent_given: bool,
    /// When.
    at: DateTime<Utc>,
}

/// One's own consent.
#[derive(Debug, Object)]
#[oai(rename = "AnalystConsent")]
pub(crate) struct ConsentOut {
    /// Whether it is given. It is not until one says so.
    consent_given: bool,
    /// Whose it is.
    user_uuid: Uuid,
    /// When it was last given or withdrawn; null where it never was.
    consent_changed_at: Option<DateTime<Utc>>,
    /// What was said, newest first, at most the last hundred.
    history: Vec<WordOut>,
}

impl Found<ConsentOut> {
    fn of(consent: OwnConsent) -> Self {
        let tag = etag(consent.version);
        let shown = ConsentOut {
            consent_given: consent.is_given(),
            user_uuid: consent.user_id,
            consent_changed_at: consent.history.first().map(|last| last.at),
            history: consent
                .history
                .into_iter()
                .map(|word| WordOut { consent_given: word.consent_given, at: word.at })
                .collect(),
        };
        Self::Object(Json(shown), tag)
    }
}

/// A word for or against.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct AnalystConsentPatchIn {
    /// Whether it is given.
    consent_given: MaybeUndefined<bool>,
}

impl Input for AnalystConsentPatchIn {
    const READ_ONLY: &'static [&'static str] = &["user_uuid", "consent_changed_at", "history"];
}

#[OpenApi(tag = "super::openapi::Tags::Users")]
impl Api {
    /// List analysts
    ///
    /// People who hold the built-in role `analyst`, somewhere, directly or through groups. Needs `view_user`, and shows those whom
    /// you see; none to whoever sees no roles. Ordered by `email`, `number`, `username`, `first_name`, `last_name`, `date_joined` or `last_login`.
    #[oai(path = "/orgs/:organization_slug/analysts", method = "get", operation_id = "list_analysts")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<List<AnalystOut>>> {
        let (mut tx, by) = app.enter::<ViewUser>(&caller, &organization_slug).await?;
        let page = analysts::list(&mut tx, &by, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope_with(page, AnalystOut::new)))
    }

    /// Read your consent as an analyst
    ///
    /// With its history.
    #[oai(path = "/orgs/:organization_slug/analysts/current", method = "get", operation_id = "get_analyst_consent")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Found<ConsentOut>> {
        let (mut tx, by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        let consent = analysts::current(&mut tx, &by).await?;
        tx.commit().await?;
        Ok(Found::of(consent))
    }

    /// Give or withdraw your consent as an analyst
    ///
    /// Nobody does it for you: it takes a session. What you said before stays in the history. Errors: 403 `session_required`.
    #[oai(
        path = "/orgs/:organization_slug/analysts/current",
        method = "patch",
        operation_id = "change_analyst_consent"
    )]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The `ETag` of the consent as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
        body: Body<AnalystConsentPatchIn>,
    ) -> ApiResult<Found<ConsentOut>> {
        let (mut tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
        let version = if_match(if_match_header.0.as_deref())?;
        let given = kept("consent_given", body.0.consent_given)?;
        let consent = analysts::change(&mut tx, &by, given, version).await?;
        tx.commit().await?;
        Ok(Found::of(consent))
    }
}
