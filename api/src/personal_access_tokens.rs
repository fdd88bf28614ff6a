//! Personal access tokens: `/iam/auth-tokens`, as the product's clients know them.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::access::{InPerson, ManageTokens, Oneself};
use tenantry_shared::personal_access_tokens::{self, MadeToken, NewToken, PersonalAccessToken};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{NoContent, Once, Shown};

pub(crate) struct Api;

/// A personal access token.
#[derive(Debug, Object)]
#[oai(rename = "AuthToken")]
pub(crate) struct AuthTokenOut {
    /// Its id.
    id: Uuid,
    /// What its owner calls it.
    name: String,
    /// When it was made.
    created: DateTime<Utc>,
    /// Until when it is good.
    expiry: DateTime<Utc>,
    /// The beginning of the token's SHA-256, in hexadecimal: tells which one a token is that was found somewhere.
    digest: String,
    /// When it was last used, to the minute; null if never.
    last_used_at: Option<DateTime<Utc>>,
    /// What it may be used for, of all that its owner may do; null if for everything.
    permissions: Option<Vec<String>>,
}

impl From<PersonalAccessToken> for AuthTokenOut {
    fn from(token: PersonalAccessToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            created: token.created_at,
            expiry: token.expires_at,
            digest: token.digest,
            last_used_at: token.last_used_at,
            permissions: token.permissions,
        }
    }
}

/// A personal access token to be made.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct AuthTokenIn {
    /// What you call it: one line of 1 to 200 characters.
    name: String,
    /// For how many days it is good: from 1 to as many as the organization allows (`token_max_days`). 30 if not given, or as
    /// many as it allows, if that is less.
    expiry: Option<i32>,
    /// What it may be used for, as code names of permissions: of all that you may do, now or later, this and no more. An empty
    /// list: only to ask who you are. If not given, there is no such limit.
    permissions: Option<Vec<String>>,
}

impl Input for AuthTokenIn {
    const READ_ONLY: &'static [&'static str] = &["id", "created", "digest", "last_used_at", "token"];
}

/// A personal access token that was made.
#[derive(Object)]
#[oai(rename = "NewAuthToken")]
pub(crate) struct NewAuthTokenOut {
    /// Its id.
    id: Uuid,
    /// What you call it.
    name: String,
    /// Until when it is good.
    expiry: DateTime<Utc>,
    /// Send it as `Authorization: Bearer <token>`. It is shown this once.
    token: String,
}

impl From<MadeToken> for NewAuthTokenOut {
    fn from(made: MadeToken) -> Self {
        Self { id: made.id.into(), name: made.name, expiry: made.expires_at, token: made.token.expose().to_owned() }
    }
}

#[OpenApi(tag = "super::openapi::Tags::Iam")]
impl Api {
    /// List personal access tokens
    ///
    /// Those that live, newest first: one's own, for which a session is needed; with `manage_tokens` over him, another user's.
    /// Ordered by `created`, `name`, `expiry` or `last_used_at`; `search` looks at the name.
    /// Errors: 403 `session_required`, for one's own with a personal access token; 404 for a user who is not there.
    #[oai(path = "/orgs/:organization_slug/iam/auth-tokens", method = "get", operation_id = "list_auth_tokens")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Whose; one's own if not given.
        user: Query<Option<Uuid>>,
    ) -> ApiResult<Json<List<AuthTokenOut>>> {
        let other = user.0.map(Into::into).filter(|user| *user != caller.caller.user_id);
        let (tx, page) = match other {
            None => {
                let (mut tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
                let page = personal_access_tokens::list_own(&mut tx, &by, &paging.request).await?;
                (tx, page)
            }
            Some(user) => {
                let (mut tx, by) = app.enter::<ManageTokens>(&caller, &organization_slug).await?;
                let page = personal_access_tokens::list(&mut tx, &by, user, &paging.request).await?;
                (tx, page)
            }
        };
        tx.commit().await?;
        Ok(Json(paging.envelope(page)))
    }

    /// Make a personal access token
    ///
    /// For a program of one's own: it does what you may, as of the moment it does it, within its scope. It can't do what takes a
    /// session: make or list tokens, begin or end sessions, change the password. It dies at its end, by `delete_auth_token`, by
    /// `iam_logoutall`, by a password reset, by a change of the password that asks for it or was demanded, when a second factor
    /// is switched on or an administrator removes it or sets the password, and when its owner is deactivated, deleted, past his
    /// expiry date or someone of another company.
    /// Errors: 403 `session_required`, `third_party_user`; 409 `too_many_tokens` (a user has 50 at most),
    /// `secret_already_shown` for a repeated request.
    #[oai(path = "/orgs/:organization_slug/iam/auth-tokens", method = "post", operation_id = "create_auth_token")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<AuthTokenIn>,
    ) -> ApiResult<Shown<NewAuthTokenOut>> {
        let (mut tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
        let (operation, key) = ("create_auth_token", idempotency_key.0);
        let once = Once::begin_secret(&mut tx, by.caller(), operation, key, &body.0).await?;
        let AuthTokenIn { name, expiry, permissions } = body.0;
        let made = personal_access_tokens::create(&mut tx, &by, NewToken::check(&name, expiry, permissions)?).await?;
        once.remember_made(&mut tx, made.id).await?;
        tx.commit().await?;
        Ok(Shown::Once(Json(made.into())))
    }

    /// Delete a personal access token
    ///
    /// It is dead at once. One's own, with a session, or the very token that this request is made with; with `manage_tokens`,
    /// another user's. Errors: 403 `session_required`, for another one of one's own with a personal access token.
    #[oai(path = "/orgs/:organization_slug/iam/auth-tokens/:id", method = "delete", operation_id = "delete_auth_token")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Its id.
        id: Path<Uuid>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        personal_access_tokens::delete(&mut tx, &by, id.0.into()).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }
}
