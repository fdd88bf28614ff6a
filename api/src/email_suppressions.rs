//! Addresses that are never mailed.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use tenantry_shared::access::{AddEmailSuppression, DeleteEmailSuppression, ViewEmailSuppression};
use tenantry_shared::email_suppressions::{self, EmailSuppression, NewEmailSuppression, Reason};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Created, Found, NoContent, Once, Turn, etag, if_match};

pub(crate) struct Api;

/// Why an address is not mailed.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum SuppressionReason {
    /// Mail to it came back.
    Bounced,
    /// Its owner called a mail spam.
    Complained,
    /// An administrator put it on the list.
    Manual,
}

impl SuppressionReason {
    fn from_name(name: &str) -> Self {
        match name {
            "bounced" => Self::Bounced,
            "complained" => Self::Complained,
            _ => Self::Manual,
        }
    }

    fn shared(self) -> Reason {
        match self {
            Self::Bounced => Reason::Bounced,
            Self::Complained => Reason::Complained,
            Self::Manual => Reason::Manual,
        }
    }
}

/// An address that is not mailed.
#[derive(Debug, Object)]
#[oai(rename = "EmailSuppression")]
pub(crate) struct EmailSuppressionOut {
    /// Its id.
    id: Uuid,
    /// The address, as given. It is compared without regard to case, and a domain is the same as its punycode.
    address: String,
    /// Why it is not mailed.
    reason: SuppressionReason,
    /// What else is known: the words of the server that refused a mail, an administrator's note.
    detail: Option<String>,
    /// Since when.
    created_at: DateTime<Utc>,
    /// Which user put it there; null where a report did.
    created_by: Option<Uuid>,
    #[oai(skip)]
    version: i64,
}

impl From<EmailSuppression> for EmailSuppressionOut {
    fn from(suppression: EmailSuppression) -> Self {
        Self {
            id: suppression.id,
            address: suppression.address,
            reason: SuppressionReason::from_name(&suppression.reason),
            detail: suppression.detail,
            created_at: suppression.created_at,
            created_by: suppression.created_by,
            version: suppression.version,
        }
    }
}

/// An address to be put on the list.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct EmailSuppressionIn {
    /// The address.
    address: String,
    /// A note, one line of at most 500 characters.
    detail: Option<String>,
}

impl Input for EmailSuppressionIn {
    const READ_ONLY: &'static [&'static str] = &["id", "reason", "created_at", "created_by"];
}

#[OpenApi(tag = "super::openapi::Tags::Emails")]
impl Api {
    /// List addresses that are not mailed
    ///
    /// Newest first. Needs `view_email_suppression`. Ordered by `created_at`, `address` or `reason`; `search` looks at the
    /// address and the detail.
    #[oai(
        path = "/orgs/:organization_slug/email-suppressions",
        method = "get",
        operation_id = "list_email_suppressions"
    )]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only for this reason.
        reason: Query<Option<SuppressionReason>>,
    ) -> ApiResult<Json<List<EmailSuppressionOut>>> {
        let (mut tx, by) = app.enter::<ViewEmailSuppression>(&caller, &organization_slug).await?;
        let reason = reason.0.map(SuppressionReason::shared);
        let page = email_suppressions::list(&mut tx, &by, reason, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope(page)))
    }

    /// Never mail an address
    ///
    /// From now on nothing is mailed to it, not even a password reset; mails that wait end as `suppressed`. Addresses that
    /// bounced or whose owner complained come onto the list by themselves. Needs `add_email_suppression`.
    /// Errors: 409 `already_suppressed`.
    #[oai(
        path = "/orgs/:organization_slug/email-suppressions",
        method = "post",
        operation_id = "create_email_suppression"
    )]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<EmailSuppressionIn>,
    ) -> ApiResult<Created<EmailSuppressionOut>> {
        let (mut tx, by) = app.enter::<AddEmailSuppression>(&caller, &organization_slug).await?;
        let operation = "create_email_suppression";
        let once = match Once::begin(&mut tx, by.caller(), operation, idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let new = NewEmailSuppression::check(&body.0.address, body.0.detail.as_deref())?;
        let made: EmailSuppressionOut = email_suppressions::create(&mut tx, &by, &new).await?.into();
        once.remember(&mut tx, &made).await?;
        tx.commit().await?;
        let tag = etag(made.version);
        Ok(Created::Object(Json(made), tag))
    }

    /// Read an address that is not mailed
    ///
    /// Needs `view_email_suppression`.
    #[oai(
        path = "/orgs/:organization_slug/email-suppressions/:id",
        method = "get",
        operation_id = "get_email_suppression"
    )]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Its id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<EmailSuppressionOut>> {
        let (mut tx, by) = app.enter::<ViewEmailSuppression>(&caller, &organization_slug).await?;
        let found: EmailSuppressionOut = email_suppressions::get(&mut tx, &by, id.0.into()).await?.into();
        tx.commit().await?;
        let tag = etag(found.version);
        Ok(Found::Object(Json(found), tag))
    }

    /// Mail an address again
    ///
    /// Takes it off the list. Mails that were suppressed can be retried then. Needs `delete_email_suppression`.
    #[oai(
        path = "/orgs/:organization_slug/email-suppressions/:id",
        method = "delete",
        operation_id = "delete_email_suppression"
    )]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Its id.
        id: Path<Uuid>,
        /// The `ETag` of the entry as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<DeleteEmailSuppression>(&caller, &organization_slug).await?;
        email_suppressions::delete(&mut tx, &by, id.0.into(), if_match(if_match_header.0.as_deref())?).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }
}
