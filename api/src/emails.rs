//! Mails and how their delivery stands.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use tenantry_shared::access::{RetryEmail, ViewEmail};
use tenantry_shared::emails::{self, Email, EmailFilter};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Accepted, Found, Once, Turn, etag};

pub(crate) struct Api;

/// How the delivery of a mail stands.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum DeliveryStatus {
    /// Waits to be sent.
    Queued,
    /// Is being sent, or waits for the mail server to have time for it.
    Sending,
    /// The mail server has taken it.
    Sent,
    /// The mail server would not take it yet: it is tried again.
    Deferred,
    /// The mail server refused it, or would not take it for a day.
    Failed,
    /// It came back.
    Bounced,
    /// The recipient called it spam.
    Complained,
    /// It was not sent: the address is on the suppression list.
    Suppressed,
    /// What it was about is no more: revoked, resent, used.
    Canceled,
}

impl DeliveryStatus {
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "queued" => Self::Queued,
            "sending" => Self::Sending,
            "sent" => Self::Sent,
            "deferred" => Self::Deferred,
            "bounced" => Self::Bounced,
            "complained" => Self::Complained,
            "suppressed" => Self::Suppressed,
            "canceled" => Self::Canceled,
            _ => Self::Failed,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Suppressed => "suppressed",
            Self::Canceled => "canceled",
        }
    }
}

/// A mail. Its body is not kept.
#[derive(Debug, Object)]
#[oai(rename = "Email")]
pub(crate) struct EmailOut {
    /// Its id; its `Message-ID` begins with it.
    id: Uuid,
    /// Which mail: `invitation`, `welcome`, `password_reset`, `password_changed`, `invitation_accepted`, `invitation_declined`,
    /// `invitation_bounced`, `invitation_reminder`, `account_expiring`, `certificate_expiring`,
    /// `password_set`, `second_factor_enabled`, `second_factor_removed`, `login_url`.
    kind: String,
    /// To whom.
    to: String,
    /// In which language.
    locale: String,
    /// About which invitation.
    invitation: Option<Uuid>,
    /// To which user.
    user: Option<Uuid>,
    /// How its delivery stands.
    status: DeliveryStatus,
    /// How often it was tried.
    attempts: i32,
    /// Why it did not arrive, in the mail system's words.
    last_error: Option<String>,
    /// When it was asked for.
    created_at: DateTime<Utc>,
    /// When the mail server took it.
    sent_at: Option<DateTime<Utc>>,
    /// When the recipient's mail server had it, where that was reported.
    delivered_at: Option<DateTime<Utc>>,
}

impl From<Email> for EmailOut {
    fn from(email: Email) -> Self {
        Self {
            id: email.id,
            status: DeliveryStatus::from_name(&email.status),
            kind: email.kind,
            to: email.to_address,
            locale: email.locale,
            invitation: email.invitation_id,
            user: email.user_id,
            attempts: email.attempts,
            last_error: email.last_error,
            created_at: email.created_at,
            sent_at: email.sent_at,
            delivered_at: email.delivered_at,
        }
    }
}

#[OpenApi(tag = "super::openapi::Tags::Emails")]
impl Api {
    /// List mails
    ///
    /// Newest first: mails to invitees, where they are invited into folders over which you hold `view_email`, and to the people of
    /// those folders. Ordered by `created_at`, `status`, `kind` or `to_address`.
    #[oai(path = "/orgs/:organization_slug/emails", method = "get", operation_id = "list_emails")]
    #[expect(clippy::too_many_arguments, reason = "a handler's arguments are its parameters")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only those that stand so.
        status: Query<Option<DeliveryStatus>>,
        /// Only of this kind.
        kind: Query<Option<String>>,
        /// Only about this invitation.
        invitation: Query<Option<Uuid>>,
    ) -> ApiResult<Json<List<EmailOut>>> {
        let (mut tx, by) = app.enter::<ViewEmail>(&caller, &organization_slug).await?;
        let status = status.0.map(|status| status.name().to_owned());
        let filter = EmailFilter { status, kind: kind.0, invitation: invitation.0 };
        let page = emails::list(&mut tx, &by, &filter, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope(page)))
    }

    /// Read a mail's state
    ///
    /// Needs `view_email` over the folder that its invitation leads to, or that its user belongs to.
    #[oai(path = "/orgs/:organization_slug/emails/:id", method = "get", operation_id = "get_email")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The mail's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<EmailOut>> {
        let (mut tx, by) = app.enter::<ViewEmail>(&caller, &organization_slug).await?;
        let email = emails::get(&mut tx, &by, id.0.into()).await?;
        tx.commit().await?;
        let tag = etag(email.version);
        Ok(Found::Object(Json(email.into()), tag))
    }

    /// Send a mail again
    ///
    /// One that failed, came back, was complained of, was suppressed, or waits for its next attempt is sent now. Needs
    /// `retry_email` over the folder that its invitation leads to, or that its user belongs to. Errors: 409 `email_not_retryable`; 409 `address_suppressed`, as long as the address is on the
    /// suppression list.
    #[oai(path = "/orgs/:organization_slug/emails/:id/retry", method = "post", operation_id = "retry_email")]
    async fn retry(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The mail's id.
        id: Path<Uuid>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> ApiResult<Accepted<EmailOut>> {
        let (mut tx, by) = app.enter::<RetryEmail>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "retry_email", idempotency_key.0, &id.0).await? {
            Turn::Again(first) => return Ok(Accepted::Later(Json(first))),
            Turn::First(once) => once,
        };
        let email: EmailOut = emails::retry(&mut tx, &by, id.0.into()).await?.into();
        once.remember(&mut tx, &email).await?;
        tx.commit().await?;
        Ok(Accepted::Later(Json(email)))
    }
}
