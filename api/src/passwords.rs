//! Passwords: forgotten, reset, changed.

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use secrecy::SecretString;
use tenantry_shared::access::{InPerson, SetPassword};
use tenantry_shared::email_address::EmailAddress;
use tenantry_shared::passwords::{self, Change};
use tenantry_shared::sessions;
use tenantry_shared::{Refusal, tenant::Tenant};
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Changing, From, SignedIn};
use crate::input::{Body, Input};
use crate::problem::ApiResult;
use crate::reply::NoContent;

pub(crate) struct Api;

/// Whose password is forgotten.
#[derive(Debug, Object)]
#[oai(rename = "PasswordResetIn", deny_unknown_fields)]
pub(crate) struct ResetIn {
    /// The address.
    email: String,
}

/// A new password, with the token of the mailed link.
#[derive(Object)]
#[oai(rename = "PasswordResetConfirmIn", deny_unknown_fields)]
pub(crate) struct ConfirmIn {
    /// The token of the link.
    token: String,
    /// The new password: at least as many characters as the organization demands (15, if it says nothing else), at most 128,
    /// and nothing easy to guess.
    new_password: String,
    /// The same again.
    confirm_new_password: String,
}

/// A new password in place of the present one.
#[derive(Object)]
#[oai(rename = "PasswordChangeIn", deny_unknown_fields)]
pub(crate) struct ChangeIn {
    /// The present password. With a `change_token`, which was given for it, it is not asked for again.
    old_password: Option<String>,
    /// The new password: at least as many characters as the organization demands (15, if it says nothing else), at most 128,
    /// and nothing easy to guess.
    new_password: String,
    /// The same again.
    confirm_new_password: String,
    /// Whether personal access tokens end, too. Other sessions always do.
    #[oai(default)]
    revoke_tokens: bool,
    /// What a sign-in gave with `password_change_required`, in place of a session.
    change_token: Option<String>,
}

/// A password for someone else.
#[derive(Object)]
#[oai(rename = "PasswordSetIn", deny_unknown_fields)]
pub(crate) struct SetIn {
    /// The user's id.
    user: Uuid,
    /// The new password: at least as many characters as the organization demands (15, if it says nothing else), at most 128,
    /// and nothing easy to guess.
    new_password: String,
    /// The same again.
    confirm_new_password: String,
}

/// Whose password was set.
#[derive(Debug, Object)]
#[oai(rename = "PasswordSet")]
pub(crate) struct SetOut {
    /// The user's id.
    user: Uuid,
}

impl Input for ResetIn {}
impl Input for ConfirmIn {}
impl Input for ChangeIn {}
impl Input for SetIn {}

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
    /// With the token of a mailed link. Verifies the address and ends all sessions and personal access tokens.
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
    /// All other sessions end. Errors: 400 `wrong_password` at `old_password`, or for a new one that is not good; 403
    /// `session_required` with a personal access token; 409 `password_changed_meanwhile`;
    /// 429 `too_many_attempts` after many wrong ones.
    ///
    /// With a `change_token` no `Authorization` is needed, and none may be sent. A token works once, within ten minutes, and
    /// not under another organization's slug. Sign in with the new password afterwards. Errors: 400 `password_unchanged` at
    /// `new_password`; 401 `sign_in_again` for a token that is not, or no longer, good; 429 `too_many_attempts` after many of
    /// these.
    #[oai(path = "/orgs/:organization_slug/iam/change-password", method = "post", operation_id = "iam_change_password")]
    async fn change(
        &self,
        caller: Changing,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<ChangeIn>,
    ) -> ApiResult<NoContent> {
        let ChangeIn { old_password, new_password, confirm_new_password, revoke_tokens, change_token } = body.0;
        let (new, confirm) = (SecretString::from(new_password), SecretString::from(confirm_new_password));
        let same = passwords::check_same("confirm_new_password", &new, &confirm);
        match (caller, change_token) {
            (Changing::SignedIn(caller), ticket) => {
                let (tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
                if ticket.is_some() {
                    return Err(one_credential().into());
                }
                same?;
                let old = old_password.ok_or_else(old_password_needed)?.into();
                let change = Change { old, new, revoke_tokens };
                passwords::change(&app.door(), tx, &by, change, caller.origin.clone()).await?;
            }
            (Changing::ByTicket(origin), Some(ticket)) => {
                same?;
                let tenant = Tenant::find(&app.db, &organization_slug).await?;
                let changed =
                    passwords::change_by_ticket(&app.door(), tenant.as_ref(), &ticket, &new, origin.clone()).await;
                app.of_link(&origin, changed).await?;
            }
            (Changing::ByTicket(_), None) => return Err(sessions::not_signed_in().into()),
        }
        Ok(NoContent::Done)
    }

    /// Set someone's password
    ///
    /// For someone whom no mail reaches; whom it does is better helped by `iam_password_reset`, with which nobody but the user
    /// ever knows the password. Needs `set_password`, and everything that this user holds. The user's sessions and personal
    /// access tokens end, links to choose a password die, and a mail tells about it, for whoever sets a password can sign in
    /// with it where there is no second factor. The next sign-in with this password is answered with 403
    /// `password_change_required`, and leads to a password that only the user knows.
    ///
    /// It takes no `Idempotency-Key`, for nothing that tells about the password is kept to compare a repeated request with. Sent
    /// again, it sets the same password again.
    ///
    /// Errors: 400 `not_found` at `user`, or for a password that is not good; 403 `outranked`; 409
    /// `cannot_change_oneself`, `no_local_login`, `set_password_disabled` where the organization's settings forbid it.
    #[oai(path = "/orgs/:organization_slug/iam/set-password", method = "post", operation_id = "iam_set_password")]
    async fn set(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<SetIn>,
    ) -> ApiResult<Json<SetOut>> {
        let (tx, by) = app.enter::<SetPassword>(&caller, &organization_slug).await?;
        let SetIn { user, new_password, confirm_new_password } = body.0;
        let (new, confirm) = (new_password.into(), confirm_new_password.into());
        passwords::check_same("confirm_new_password", &new, &confirm)?;
        passwords::set(&app.db, &app.hasher, tx, &by, user.into(), &new, caller.origin.clone()).await?;
        Ok(Json(SetOut { user }))
    }
}

fn old_password_needed() -> Refusal {
    Refusal::invalid_field("old_password", "required", "old_password is needed.")
}

fn one_credential() -> Refusal {
    let detail = "Send a session in Authorization, or a change_token in the body, and not both.";
    Refusal::invalid_field("change_token", "invalid", detail)
}
