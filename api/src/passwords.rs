//! Passwords: forgotten, reset, changed.

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, Object, OpenApi};
use tenantry_shared::access::Oneself;
use tenantry_shared::email_address::EmailAddress;
use tenantry_shared::passwords::{self, Change};
use tenantry_shared::{Refusal, tenant::Tenant};

use crate::app::App;
use crate::auth::{From, SignedIn};
use crate::input::{Body, Input};
use crate::problem::ApiResult;
use crate::reply::NoContent;

pub(crate) struct Api;

/// Whose password is forgotten.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ResetIn {
    /// The address.
    email: String,
}

/// A new password, with the token of the mailed link.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ConfirmIn {
    /// The token of the link.
    token: String,
    /// The new password: 15 to 128 characters, nothing easy to guess.
    new_password: String,
    /// The same again.
    confirm_new_password: String,
}

/// A new password in place of the present one.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ChangeIn {
    /// The present password.
    old_password: String,
    /// The new password: 15 to 128 characters, nothing easy to guess.
    new_password: String,
    /// The same again.
    confirm_new_password: String,
    /// Whether personal access tokens end, too. There are none yet; other sessions always end.
    #[oai(default)]
    revoke_tokens: bool,
}

impl Input for ResetIn {}
impl Input for ConfirmIn {}
impl Input for ChangeIn {}

/// 202, whoever asked.
#[derive(ApiResponse)]
pub(crate) enum Asked {
    /// If someone has this address, a mail is on its way.
    #[oai(status = 202)]
    Later,
}

#[OpenApi(tag = "super::openapi::Tags::Iam")]
impl Api {
    /// Ask for a new password
    ///
    /// If a user of the organization has this address, a link is mailed to it, good for an hour and once. The answer
    /// is the same if none has. Errors: 429 `too_many_attempts`.
    #[oai(path = "/orgs/:organization_slug/iam/password-reset", method = "post", operation_id = "iam_password_reset")]
    async fn reset(
        &self,
        app: Data<&App>,
        from: From,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<ResetIn>,
    ) -> ApiResult<Asked> {
        let email = EmailAddress::parse("email", &body.0.email).map_err(|e| Refusal::invalid(vec![e]))?;
        passwords::request_reset(&app.door(), &organization_slug, &email, from.0).await?;
        Ok(Asked::Later)
    }

    /// Choose a new password
    ///
    /// With the token of a mailed link. Verifies the address and ends all sessions.
    /// Errors: 404 `link_dead`; 409 `link_used`, `link_superseded`, `link_expired`; 400 for a password that is not good;
    /// 429 `too_many_attempts` after many links that are none.
    #[oai(
        path = "/orgs/:organization_slug/iam/password-reset/confirm",
        method = "post",
        operation_id = "iam_password_reset_confirm"
    )]
    async fn confirm(
        &self,
        app: Data<&App>,
        from: From,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<ConfirmIn>,
    ) -> ApiResult<NoContent> {
        let ConfirmIn { token, new_password, confirm_new_password } = body.0;
        let password = new_password.into();
        passwords::check_same("confirm_new_password", &password, &confirm_new_password.into())?;
        let tenant = Tenant::find(&app.db, &organization_slug).await?;
        let origin = from.0.clone();
        let confirmed =
            passwords::confirm_reset(&app.db, &app.links, &app.hasher, tenant.as_ref(), &token, &password, from.0)
                .await;
        app.of_link(&origin, confirmed).await?;
        Ok(NoContent::Done)
    }

    /// Change one's own password
    ///
    /// All other sessions end. Errors: 400 `wrong_password` at `old_password`, or for a new one that is not good;
    /// 429 `too_many_attempts` after many wrong ones.
    #[oai(path = "/orgs/:organization_slug/iam/change-password", method = "post", operation_id = "iam_change_password")]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<ChangeIn>,
    ) -> ApiResult<NoContent> {
        let (tx, by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        let ChangeIn { old_password, new_password, confirm_new_password, revoke_tokens: _ } = body.0;
        let change =
            Change { old: old_password.into(), new: new_password.into(), confirm: confirm_new_password.into() };
        passwords::change(&app.door(), tx, &by, change, caller.origin.clone()).await?;
        Ok(NoContent::Done)
    }
}
