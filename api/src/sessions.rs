//! Signing in and out, and who I am.

pub(crate) mod own;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use secrecy::SecretString;
use tenantry_shared::access::{InPerson, Permission};
use tenantry_shared::sessions::{self, Credentials, Entry, NewSession};
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Enrolling, From, Introduced, SignedIn};
use crate::input::{Body, Input};
use crate::objects::{Shape as _, View};
use crate::problem::{ApiResult, Problem};
use crate::reply::NoContent;
use crate::user_preferences::Preferences;
use crate::users::UserOut;

pub(crate) struct Api;

/// User name and password.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct LoginIn {
    /// User name, or e-mail address.
    username: String,
    /// The password.
    password: String,
    /// A code of the second factor: of the authenticator app, or a recovery code. Not looked at where there is none.
    code: Option<String>,
}

impl Input for LoginIn {}

/// A session.
#[derive(Object)]
#[oai(rename = "NewSession")]
pub(crate) struct SessionOut {
    /// Send it as `Authorization: Bearer <token>`. It is shown this once.
    token: String,
    /// Until when it is good.
    expiry: DateTime<Utc>,
}

impl core::convert::From<NewSession> for SessionOut {
    fn from(session: NewSession) -> Self {
        Self { token: session.token.expose().to_owned(), expiry: session.expires_at }
    }
}

/// How many sessions ended.
#[derive(Debug, Object)]
pub(crate) struct RevokedSessions {
    /// How many.
    revoked_sessions: u64,
}

/// An organization, in short.
#[derive(Debug, Object)]
pub(crate) struct OrganizationRef {
    /// Its id.
    uuid: Uuid,
    /// Its name.
    name: String,
    /// Its slug.
    slug: String,
}

/// The caller.
#[derive(Debug, Object)]
pub(crate) struct CurrentUser {
    #[oai(flatten)]
    user: UserOut,
    /// Who he is where something points at "someone": his own id.
    actor_id: Uuid,
    /// His organization.
    organization: OrganizationRef,
    /// Code names of all he may do somewhere.
    permissions: Vec<String>,
    /// The same, by the id of the folder where it was granted; it holds from there down.
    domain_permissions: BTreeMap<String, Vec<String>>,
    /// The root of the organization's folders.
    root_folder_id: Uuid,
    /// His preferences.
    preferences: Preferences,
    /// Whether he holds every permission, as superuser or administrator of the whole organization.
    is_admin: bool,
}

fn mfa_required() -> Problem {
    let detail = "The password is right. Send it again with a code of the second factor.";
    Problem::new(StatusCode::UNAUTHORIZED, "mfa_required", detail)
}

fn password_change_required(ticket: SecretString) -> Problem {
    let detail =
        "An administrator has set this password, or it is too short by now. Choose another one with the change_token.";
    Problem { change_token: Some(ticket), ..Problem::new(StatusCode::FORBIDDEN, "password_change_required", detail) }
}

#[OpenApi(tag = "super::openapi::Tags::Iam")]
impl Api {
    /// Sign in
    ///
    /// With user name or address and password. Errors: 401 `invalid_credentials`, one answer for all that can be wrong;
    /// 429 `too_many_attempts` after many of these, for a minute at most.
    ///
    /// Whoever knows the password is told more. With a second factor: 401 `mfa_required` without a `code`, 401 `invalid_code`
    /// with one that is wrong, too old or used before, 429 `too_many_codes` for a minute after the fifth wrong one in a row.
    /// 409 `second_factor_unreadable` where the service has lost the server key that it was enrolled under: recovery codes work.
    /// Where an administrator has set the password, or it is shorter than the organization demands by now and there is no second
    /// factor: 403 `password_change_required`, with a `change_token` that
    /// `iam_change_password` takes in place of a session. Where the organization demands a second factor and there is none:
    /// a session that does nothing but set one up.
    #[oai(path = "/orgs/:organization_slug/iam/login", method = "post", operation_id = "iam_login")]
    async fn login(
        &self,
        app: Data<&App>,
        from: From,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<LoginIn>,
    ) -> ApiResult<Json<SessionOut>> {
        let LoginIn { username, password, code } = body.0;
        let (slug, password) = (&organization_slug, password.into());
        let given = Credentials { slug, username: &username, password: &password, code: code.as_deref() };
        match sessions::login(&app.door(), &given, from.0).await? {
            Entry::Session(session) => Ok(Json(session.into())),
            Entry::CodeNeeded(_) => Err(mfa_required()),
            Entry::PasswordChangeNeeded(ticket) => Err(password_change_required(ticket)),
        }
    }

    /// Sign out
    ///
    /// Ends this session. Errors: 403 `session_required`, for a personal access token: delete it instead.
    #[oai(path = "/orgs/:organization_slug/iam/logout", method = "post", operation_id = "iam_logout")]
    async fn logout(
        &self,
        caller: Enrolling,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<InPerson>(&caller.0, &organization_slug).await?;
        sessions::logout(&mut tx, &by).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }

    /// Sign out everywhere
    ///
    /// Ends all of one's own sessions, this one too, and all of one's own personal access tokens. Errors: 403
    /// `session_required`, for a personal access token.
    #[oai(path = "/orgs/:organization_slug/iam/logoutall", method = "post", operation_id = "iam_logoutall")]
    async fn logout_all(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
        sessions::logout_all(&mut tx, &by).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }

    /// Sign out everywhere else
    ///
    /// Ends all of one's own sessions but this one; personal access tokens live on. Errors: 403 `session_required`, for a
    /// personal access token.
    #[oai(path = "/orgs/:organization_slug/iam/revoke-sessions", method = "post", operation_id = "iam_revoke_sessions")]
    async fn revoke_sessions(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<RevokedSessions>> {
        let (mut tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
        let revoked_sessions = sessions::revoke_others(&mut tx, &by).await?;
        tx.commit().await?;
        Ok(Json(RevokedSessions { revoked_sessions }))
    }

    /// Who am I?
    ///
    /// The caller, his organization, and what he may do there, as of now; with a personal access token, what he may do by
    /// it.
    #[oai(path = "/orgs/:organization_slug/iam/current-user", method = "get", operation_id = "iam_current_user")]
    async fn current_user(
        &self,
        caller: Introduced,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<CurrentUser>> {
        let Introduced { signed_in, user, standing } = caller;
        signed_in.demand_own(&organization_slug)?;

        let permissions: BTreeSet<String> = standing.grants.values().flatten().cloned().collect();
        let at_root = standing.grants.get(&standing.root_folder.to_string());
        let is_admin = at_root.is_some_and(|held| held.len() == Permission::ALL.len());
        Ok(Json(CurrentUser {
            actor_id: user.id,
            organization: OrganizationRef {
                uuid: standing.organization_id.into(),
                name: standing.organization_name,
                slug: standing.organization_slug,
            },
            permissions: permissions.into_iter().collect(),
            domain_permissions: standing
                .grants
                .into_iter()
                .map(|(at, held)| (at, held.into_iter().collect()))
                .collect(),
            root_folder_id: standing.root_folder.into(),
            preferences: Preferences(user.preferences.clone()),
            is_admin,
            user: user.out(&View { names: standing.names, app: *app, slug: &signed_in.caller.organization_slug }),
        }))
    }
}
