//! Users.

use chrono::{DateTime, NaiveDate, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::{Any, MaybeUndefined};
use poem_openapi::{Object, OpenApi};
use serde_json::{Value, json};
use tenantry_shared::Refusal;
use tenantry_shared::access::{AddUser, DeleteUser, ViewUser};
use tenantry_shared::objects::{self, Edit, Kind};
use tenantry_shared::users::{self, NewUser, User, UserFilter, UserInput, UserPatch};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::objects::{
    BatchIn, BatchOut, Batched, CascadeOut, How, Ref, Shape, StoredRef, View, batch, cleared, ids, kept,
};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Created, Found, NoContent, Once, Turn, etag};

pub(crate) struct Api;

/// What a user is, beside what he belongs to.
#[derive(Debug, Object)]
pub(crate) struct UserFields {
    /// Their id.
    id: Uuid,
    /// The same id.
    uuid: Uuid,
    /// A small number, unique in the organization.
    number: i32,
    /// What they sign in with, beside the address.
    username: String,
    /// Their address, as typed.
    email: String,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Both names.
    full_name: String,
    /// Whether they may sign in.
    is_active: bool,
    /// Whether they hold every permission in the organization.
    is_superuser: bool,
    /// Whether they are of the platform organization. Read-only.
    is_staff: bool,
    /// Whether they may sign in with a password. Read-only.
    is_local: bool,
    /// Whether they may do so even where single sign-on is enforced.
    keep_local_login: bool,
    /// Whether they belong to another company.
    is_third_party: bool,
    /// Whether they sign in through the company's identity provider. Read-only.
    is_sso: bool,
    /// Whether mail to the address was answered. Read-only.
    is_email_verified: bool,
    /// Whether a second factor is on. Read-only.
    has_mfa_enabled: bool,
    /// The last day, in UTC, on which they may sign in.
    expiry_date: Option<NaiveDate>,
    /// A note about them.
    observation: Option<String>,
    /// When they were made. Read-only.
    date_joined: DateTime<Utc>,
    /// When they last signed in. Read-only.
    last_login: Option<DateTime<Utc>>,
    /// The product's own attributes: a JSON object of at most 16 KiB.
    profile: Any<Value>,
}

/// A user of an organization.
#[derive(Debug, Object)]
#[oai(rename = "User")]
pub(crate) struct UserOut {
    #[oai(flatten)]
    fields: UserFields,
    /// Groups they are in, as far as you may see them.
    user_groups: Vec<Ref>,
    /// Names of the roles they hold, directly or through groups, as far as you may see them. Read-only.
    roles: Vec<String>,
}

/// A user as stored.
#[derive(Debug, Object)]
#[oai(rename = "UserObject")]
pub(crate) struct UserStored {
    #[oai(flatten)]
    fields: UserFields,
    /// Groups they are in, as far as you may see them.
    user_groups: Vec<Uuid>,
    /// Names of the roles they hold, directly or through groups, as far as you may see them. Read-only.
    roles: Vec<String>,
}

impl UserFields {
    fn new(user: User, view: &View<'_>) -> Self {
        Self {
            id: user.id,
            uuid: user.id,
            number: user.number,
            username: user.username,
            full_name: format!("{} {}", user.first_name, user.last_name).trim().to_owned(),
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            is_active: user.is_active,
            is_superuser: user.is_superuser,
            is_staff: view.slug.eq_ignore_ascii_case(&view.app.platform_slug),
            is_local: user.is_local,
            keep_local_login: user.keep_local_login,
            is_third_party: user.is_third_party,
            is_sso: user.is_sso,
            is_email_verified: user.is_email_verified,
            has_mfa_enabled: user.has_mfa_enabled,
            expiry_date: user.expiry_date,
            observation: user.observation,
            date_joined: user.date_joined,
            last_login: user.last_login,
            profile: Any(user.profile),
        }
    }
}

fn role_names(user: &User, view: &View<'_>) -> Vec<String> {
    let mut names: Vec<String> =
        user.roles.iter().filter_map(|id| view.names.get(Kind::Role, *id)).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Shape for User {
    type Out = UserOut;
    type Stored = UserStored;

    fn out(self, view: &View<'_>) -> UserOut {
        UserOut {
            user_groups: Ref::all(&view.names, Kind::UserGroup, &self.user_groups),
            roles: role_names(&self, view),
            fields: UserFields::new(self, view),
        }
    }

    fn stored(self, view: &View<'_>) -> UserStored {
        UserStored {
            user_groups: StoredRef::all(&view.names, Kind::UserGroup, &self.user_groups),
            roles: role_names(&self, view),
            fields: UserFields::new(self, view),
        }
    }
}

/// A user to be made, or to take the place of one.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct UserIn {
    /// The address: unique in the organization whatever its case, at most 254 characters.
    email: String,
    /// What they sign in with, beside the address; the address if not given.
    username: Option<String>,
    /// At most 150 characters.
    #[oai(default)]
    first_name: String,
    /// At most 150 characters.
    #[oai(default)]
    last_name: String,
    /// Whether they may sign in; `true` if not given.
    #[oai(default = "yes")]
    is_active: bool,
    /// Whether they hold every permission. Only a superuser sets it.
    #[oai(default)]
    is_superuser: bool,
    /// Whether they may sign in with a password even where single sign-on is enforced.
    #[oai(default)]
    keep_local_login: bool,
    /// Whether they belong to another company.
    #[oai(default)]
    is_third_party: bool,
    /// A note about them, at most 4000 characters.
    observation: Option<String>,
    /// The last day, in UTC, on which they may sign in.
    expiry_date: Option<NaiveDate>,
    /// The product's own attributes: a JSON object of at most 16 KiB.
    profile: Option<Any<Value>>,
    /// Groups to be in.
    #[oai(default)]
    user_groups: Vec<Uuid>,
}

impl Input for UserIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Input for UserPatchIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

const READ_ONLY: &[&str] = &[
    "id",
    "uuid",
    "number",
    "full_name",
    "is_staff",
    "is_local",
    "is_sso",
    "is_email_verified",
    "has_mfa_enabled",
    "date_joined",
    "last_login",
    "roles",
];

fn yes() -> bool {
    true
}

/// What to change of a user (RFC 7396): what is absent stays, `null` clears.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct UserPatchIn {
    /// The address.
    email: MaybeUndefined<String>,
    /// What they sign in with, beside the address.
    username: MaybeUndefined<String>,
    /// At most 150 characters; `null` empties it.
    first_name: MaybeUndefined<String>,
    /// At most 150 characters; `null` empties it.
    last_name: MaybeUndefined<String>,
    /// Whether they may sign in.
    is_active: MaybeUndefined<bool>,
    /// Whether they hold every permission. Only a superuser sets it.
    is_superuser: MaybeUndefined<bool>,
    /// Whether they may sign in with a password even where single sign-on is enforced.
    keep_local_login: MaybeUndefined<bool>,
    /// Whether they belong to another company.
    is_third_party: MaybeUndefined<bool>,
    /// A note about them; `null` clears it.
    observation: MaybeUndefined<String>,
    /// The last day, in UTC, on which they may sign in; `null` clears it.
    expiry_date: MaybeUndefined<NaiveDate>,
    /// Merged into the profile (RFC 7396); `null` clears it.
    profile: MaybeUndefined<Any<Value>>,
    /// Groups to be in, in place of those they are in; `null` takes them out of all.
    user_groups: MaybeUndefined<Vec<Uuid>>,
}

impl UserIn {
    fn check(self) -> Result<NewUser, Refusal> {
        NewUser::check(UserInput {
            email: self.email,
            username: self.username,
            first_name: self.first_name,
            last_name: self.last_name,
            is_active: self.is_active,
            is_superuser: self.is_superuser,
            keep_local_login: self.keep_local_login,
            is_third_party: self.is_third_party,
            observation: self.observation,
            expiry_date: self.expiry_date,
            profile: self.profile.map_or_else(|| json!({}), |profile| profile.0),
            user_groups: self.user_groups,
        })
    }

    /// All that can be changed, changed: what is not given goes back to its default.
    fn replacement(self) -> UserPatch {
        UserPatch {
            username: Some(self.username.unwrap_or_else(|| self.email.clone())),
            email: Some(self.email),
            first_name: Some(self.first_name),
            last_name: Some(self.last_name),
            is_active: Some(self.is_active),
            is_superuser: Some(self.is_superuser),
            keep_local_login: Some(self.keep_local_login),
            is_third_party: Some(self.is_third_party),
            observation: Some(self.observation),
            expiry_date: Some(self.expiry_date),
            profile: Some(self.profile.map_or_else(|| json!({}), |profile| profile.0)),
            merges_profile: false,
            user_groups: Some(Edit::Set(self.user_groups)),
        }
    }
}

impl Batched for User {
    type PatchIn = UserPatchIn;
    const FIELDS: &'static [&'static str] = &[
        "email",
        "username",
        "first_name",
        "last_name",
        "is_active",
        "is_superuser",
        "keep_local_login",
        "is_third_party",
        "observation",
        "expiry_date",
        "profile",
    ];
    const LISTS: &'static [&'static str] = &["user_groups"];
    const FOLDER: Option<&'static str> = None;

    fn patch(body: UserPatchIn, lists: How) -> Result<UserPatch, Refusal> {
        // RFC 7396: null removes, and a removed name is the empty one.
        let name = |value| cleared(value).map(Option::unwrap_or_default);
        let (profile, merges_profile) = match body.profile {
            MaybeUndefined::Undefined => (None, true),
            MaybeUndefined::Null => (Some(json!({})), false),
            MaybeUndefined::Value(profile) => (Some(profile.0), true),
        };
        Ok(UserPatch {
            email: kept("email", body.email)?,
            username: kept("username", body.username)?,
            first_name: name(body.first_name),
            last_name: name(body.last_name),
            is_active: kept("is_active", body.is_active)?,
            is_superuser: kept("is_superuser", body.is_superuser)?,
            keep_local_login: kept("keep_local_login", body.keep_local_login)?,
            is_third_party: kept("is_third_party", body.is_third_party)?,
            observation: cleared(body.observation),
            expiry_date: cleared(body.expiry_date),
            profile,
            merges_profile,
            user_groups: cleared(body.user_groups).map(|groups| lists.edit(groups.unwrap_or_default())),
        })
    }
}

#[OpenApi(tag = "super::openapi::Tags::Users")]
impl Api {
    /// List users
    ///
    /// The people of the folders over which you hold `view_user`: members of groups there, and holders of roles; and yourself.
    /// Ordered by `email`, `username`, `first_name`, `last_name`, `number`, `date_joined` or
    /// `last_login`; `search` looks at names and address.
    #[oai(path = "/orgs/:organization_slug/users", method = "get", operation_id = "list_users")]
    #[expect(clippy::too_many_arguments, reason = "a handler's arguments are its parameters")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only these ids, separated by commas.
        id: Query<Option<String>>,
        /// Only this address, whatever its case.
        email: Query<Option<String>>,
        /// Only this first name, whatever its case.
        first_name: Query<Option<String>>,
        /// Only this last name, whatever its case.
        last_name: Query<Option<String>>,
        /// Only active ones, or only others.
        is_active: Query<Option<bool>>,
        /// Only those who hold the role `approver`, or only others.
        is_approver: Query<Option<bool>>,
        /// Only those of other companies, or only others.
        is_third_party: Query<Option<bool>>,
        /// Only those who keep a local sign-in, or only others.
        keep_local_login: Query<Option<bool>>,
        /// Only those whose last day this is.
        expiry_date: Query<Option<NaiveDate>>,
        /// Only members of one of these groups, ids separated by commas.
        user_groups: Query<Option<String>>,
        /// Leave the caller out.
        exclude_current: Query<Option<bool>>,
    ) -> ApiResult<Json<List<UserOut>>> {
        let (mut tx, by) = app.enter::<ViewUser>(&caller, &organization_slug).await?;
        let filter = UserFilter {
            ids: ids("id", id.0)?,
            email: email.0,
            first_name: first_name.0,
            last_name: last_name.0,
            is_active: is_active.0,
            is_third_party: is_third_party.0,
            keep_local_login: keep_local_login.0,
            is_approver: is_approver.0,
            is_analyst: None,
            expiry_date: expiry_date.0,
            user_groups: ids("user_groups", user_groups.0)?,
            exclude_current: exclude_current.0.unwrap_or(false),
        };
        let page = users::list(&mut tx, &by, &filter, &paging.request).await?;
        app.listed(&caller, tx, &paging, page).await
    }

    /// Make a user
    ///
    /// He is mailed a welcome with a link to choose his password. Needs `add_user`, and all that the groups give. To let
    /// someone decide himself, invite him.
    /// Errors: 403 `superuser_only`, `cannot_grant`; 409 `already_member`, `username_taken`.
    #[oai(path = "/orgs/:organization_slug/users", method = "post", operation_id = "create_user")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<UserIn>,
    ) -> ApiResult<Created<UserStored>> {
        let (mut tx, by) = app.enter::<AddUser>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "create_user", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let made = users::create(&mut tx, &by, &body.0.check()?).await?;
        app.made(&caller, tx, once, made).await
    }

    /// Read a user
    ///
    /// Needs `view_user`.
    #[oai(path = "/orgs/:organization_slug/users/:id", method = "get", operation_id = "get_user")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The user's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<UserOut>> {
        let (mut tx, by) = app.enter::<ViewUser>(&caller, &organization_slug).await?;
        let user: User = objects::get(&mut tx, &by, id.0).await?;
        app.found(&caller, tx, user).await
    }

    /// Read a user as stored
    ///
    /// What a form needs: bare ids. Needs `view_user`.
    #[oai(path = "/orgs/:organization_slug/users/:id/object", method = "get", operation_id = "get_user_object")]
    async fn object(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The user's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<UserStored>> {
        let (mut tx, by) = app.enter::<ViewUser>(&caller, &organization_slug).await?;
        let user: User = objects::get(&mut tx, &by, id.0).await?;
        app.found_stored(&caller, tx, user).await
    }

    /// See what deleting a user would do
    ///
    /// What was assigned to him would go, with his credentials, which are counted only; groups and teams would lose him.
    /// For those who may delete him. Errors: 403 `outranked`; 409 `cannot_change_oneself`.
    #[oai(
        path = "/orgs/:organization_slug/users/:id/cascade-info",
        method = "get",
        operation_id = "get_user_cascade_info"
    )]
    async fn cascade(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The user's id.
        id: Path<Uuid>,
    ) -> ApiResult<Json<CascadeOut>> {
        let (mut tx, by) = app.enter::<DeleteUser>(&caller, &organization_slug).await?;
        Ok(Json(users::cascade(&mut tx, &by, id.0.into()).await?.into()))
    }

    /// Change or delete many users
    ///
    /// Each is held to the rules of the single call, and what fails for one spoils no other: its `code` says why. The answer
    /// is 200 even then. `change_field` takes what `change_user` does; the list is `user_groups`. Users lie in no folder. A value
    /// that is wrong by itself is 400, and nothing is done.
    #[oai(path = "/orgs/:organization_slug/users/batch-action", method = "post", operation_id = "batch_users")]
    async fn batch(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<BatchIn>,
    ) -> ApiResult<Json<BatchOut>> {
        batch::<User>(&app, &caller, &organization_slug, body.0).await
    }

    /// Replace a user
    ///
    /// What is not given goes back to its default. Needs `change_user`; rules and errors as `change_user`.
    #[oai(path = "/orgs/:organization_slug/users/:id", method = "put", operation_id = "replace_user")]
    async fn replace(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The user's id.
        id: Path<Uuid>,
        /// The `ETag` of the user as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<UserIn>,
    ) -> ApiResult<Found<UserStored>> {
        app.change::<User>(&caller, &organization_slug, id.0, if_match.0, body.0.replacement()).await
    }

    /// Change a user
    ///
    /// Needs `change_user` over every folder that he is tied to: those of his groups, and those over which he holds a role. A user
    /// who is tied to nothing, or is superuser, needs it over all folders. One's own names may be changed without, but not with
    /// a personal access token that has a scope; more of oneself needs a session. A user who is deactivated or past his expiry
    /// date is signed out at once.
    /// Errors: 403 `superuser_only`, `cannot_grant`, `outranked` (he holds what you don't), `session_required`; 409
    /// `last_superuser`, `last_administrator`, `cannot_change_oneself` (also: whether, how and until when one may sign in
    /// oneself), `already_member`, `username_taken`, `too_many_groups`, `profile_too_large`.
    #[oai(path = "/orgs/:organization_slug/users/:id", method = "patch", operation_id = "change_user")]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The user's id.
        id: Path<Uuid>,
        /// The `ETag` of the user as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<UserPatchIn>,
    ) -> ApiResult<Found<UserStored>> {
        let patch = User::patch(body.0, How::Set)?;
        app.change::<User>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Delete a user
    ///
    /// With his sessions; what he did stays in the audit log. Needs `delete_user` over every folder that he is tied to: those of
    /// his groups, and those over which he holds a role; over all folders for one who is tied to nothing, or is superuser.
    /// Errors: 403 `outranked`; 409 `last_superuser`, `cannot_change_oneself`.
    #[oai(path = "/orgs/:organization_slug/users/:id", method = "delete", operation_id = "delete_user")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The user's id.
        id: Path<Uuid>,
        /// The `ETag` of the user as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        app.delete::<User>(&caller, &organization_slug, id.0, if_match.0).await
    }
}
