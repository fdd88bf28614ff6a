//! The second factor: an authenticator app, and recovery codes.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use tenantry_shared::access::{InPerson, SetPassword};
use tenantry_shared::totp::{self, Proof, RecoveryCodes, Status};
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Enrolling, SignedIn};
use crate::input::{Body, Input};
use crate::problem::ApiResult;
use crate::reply::NoContent;

pub(crate) struct Api;

/// How one's own second factor stands.
#[derive(Debug, Object)]
#[oai(rename = "Totp")]
pub(crate) struct StatusOut {
    /// Whether it is on: a sign-in demands a code.
    is_enabled: bool,
    /// Whether a secret was asked for and not confirmed yet.
    is_pending: bool,
    /// Since when it is on.
    confirmed_at: Option<DateTime<Utc>>,
    /// How many recovery codes are left.
    recovery_codes_left: i64,
}

impl From<Status> for StatusOut {
    fn from(status: Status) -> Self {
        let Status { is_enabled, is_pending, confirmed_at, recovery_codes_left, takes_password: _ } = status;
        Self { is_enabled, is_pending, confirmed_at, recovery_codes_left }
    }
}

/// Nothing, to begin; a code of the app and the password, to switch on.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct TotpIn {
    /// The code that the app shows for the secret.
    code: Option<String>,
    /// The present password, with a code. Whoever signs in without one needs none.
    password: Option<String>,
}

/// A proof that one has the second factor.
#[derive(Object)]
#[oai(rename = "TotpCodeIn", deny_unknown_fields)]
pub(crate) struct CodeIn {
    /// The code that the app shows, or a recovery code.
    code: String,
}

impl Input for TotpIn {}
impl Input for CodeIn {}

/// What an authenticator app is told.
#[derive(Object)]
pub(crate) struct TotpSecret {
    /// The secret in base32, to be typed into an app. It is shown this once.
    secret: String,
    /// The same as an address that apps open, also from a QR code.
    otpauth_url: String,
}

/// A set of recovery codes.
#[derive(Object)]
#[oai(rename = "NewRecoveryCodes")]
pub(crate) struct RecoveryCodesOut {
    /// Ten codes, each good once in place of one of the app. They are shown this once.
    recovery_codes: Vec<String>,
}

impl From<RecoveryCodes> for RecoveryCodesOut {
    fn from(codes: RecoveryCodes) -> Self {
        Self { recovery_codes: codes.expose() }
    }
}

/// The first step, or the second.
#[derive(ApiResponse)]
pub(crate) enum Progress {
    /// Without a code: a secret for an authenticator app.
    #[oai(status = 201)]
    Begun(Json<TotpSecret>),
    /// With a code: it is on.
    #[oai(status = 200)]
    On(Json<RecoveryCodesOut>),
}

#[OpenApi(tag = "super::openapi::Tags::Iam")]
impl Api {
    /// How one's own second factor stands
    ///
    /// Errors: 403 `session_required` with a personal access token.
    #[oai(path = "/orgs/:organization_slug/iam/totp", method = "get", operation_id = "iam_totp")]
    async fn status(
        &self,
        caller: Enrolling,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<StatusOut>> {
        let (mut tx, by) = app.enter::<InPerson>(&caller.0, &organization_slug).await?;
        let status = totp::status(&mut tx, &by).await?;
        tx.commit().await?;
        Ok(Json(status.into()))
    }

    /// Set up a second factor
    ///
    /// In two steps (RFC 6238: SHA-1, six digits, thirty seconds). Without a `code`: 201 with a new secret for an authenticator
    /// app; nothing is demanded yet, and asking again gives another one in its place. With the `code` that the app then shows
    /// and the present `password`: 200, and it is on. Every other session of the caller and all his personal access tokens end,
    /// for they were begun with less, and a mail tells about it; the answer has ten recovery codes.
    ///
    /// It takes no `Idempotency-Key`: a repeated first step gives another secret, and a repeated second one is refused, for it is
    /// on.
    ///
    /// A code is good once, and for thirty seconds before and after its time. After five wrong ones in a row, codes of the
    /// app are not looked at for a minute after each wrong one; recovery codes always are.
    ///
    /// Errors: 400 `invalid_code` at `code`, `required` or `wrong_password` at `password`; 403 `session_required` with a
    /// personal access token; 409 `totp_not_begun`, `totp_already_enabled`, `password_changed_meanwhile`, `second_factor_unreadable`;
    /// 429 `too_many_codes`,
    /// `too_many_attempts` after many wrong passwords.
    #[oai(path = "/orgs/:organization_slug/iam/totp", method = "post", operation_id = "iam_set_up_totp")]
    async fn set_up(
        &self,
        caller: Enrolling,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<TotpIn>,
    ) -> ApiResult<Progress> {
        let (mut tx, by) = app.enter::<InPerson>(&caller.0, &organization_slug).await?;
        if let Some(code) = body.0.code {
            let proof = Proof { code, password: body.0.password.map(Into::into) };
            let codes = totp::confirm(&app.door(), tx, &by, proof, caller.0.origin.clone()).await?;
            return Ok(Progress::On(Json(codes.into())));
        }
        let enrollment = totp::begin(&mut tx, &by, &app.sign_in_keys.seals).await?;
        tx.commit().await?;
        let (secret, otpauth_url) = (enrollment.secret(), enrollment.otpauth_url()?);
        Ok(Progress::Begun(Json(TotpSecret { secret, otpauth_url })))
    }

    /// Switch one's own second factor off
    ///
    /// For a code of the app or a recovery code. Errors: 400 `invalid_code` at `code`; 403 `session_required` with a personal
    /// access token; 409 `totp_not_enabled`, `second_factor_unreadable`, `second_factor_demanded` where the organization demands one; 429
    /// `too_many_codes`.
    #[oai(path = "/orgs/:organization_slug/iam/totp", method = "delete", operation_id = "iam_remove_totp")]
    async fn remove(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<CodeIn>,
    ) -> ApiResult<NoContent> {
        let (tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
        totp::remove(tx, &by, &app.sign_in_keys.seals, &body.0.code).await?;
        Ok(NoContent::Done)
    }

    /// Get new recovery codes
    ///
    /// For a code of the app or a recovery code. The codes before are dead. It takes no `Idempotency-Key`: a repeated request is
    /// refused, for its code was used. Errors: 400 `invalid_code` at `code`; 403
    /// `session_required` with a personal access token; 409 `totp_not_enabled`, `second_factor_unreadable`; 429
    /// `too_many_codes`.
    #[oai(
        path = "/orgs/:organization_slug/iam/totp/recovery-codes",
        method = "post",
        operation_id = "iam_replace_recovery_codes"
    )]
    async fn replace(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<CodeIn>,
    ) -> ApiResult<Json<RecoveryCodesOut>> {
        let (tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
        let codes = totp::replace(tx, &by, &app.sign_in_keys.seals, &body.0.code).await?;
        Ok(Json(codes.into()))
    }

    /// Remove the second factor of someone who has lost it
    ///
    /// Needs `set_password`, and everything that this user holds. The user's sessions and personal access tokens end,
    /// and a mail tells about it. Errors:
    /// 403 `outranked`; 409 `totp_not_enabled`, `cannot_change_oneself`: one's own is switched off by `iam_remove_totp`.
    #[oai(path = "/orgs/:organization_slug/users/:id/totp", method = "delete", operation_id = "reset_totp")]
    async fn reset(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The user's id.
        id: Path<Uuid>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<SetPassword>(&caller, &organization_slug).await?;
        totp::reset(&mut tx, &by, id.0.into()).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }
}
