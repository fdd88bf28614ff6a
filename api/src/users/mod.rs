//! Users.

mod wire;

use chrono::NaiveDate;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use tenantry_shared::access::{AddUser, DeleteUser, SetPassword, ViewUser};
use tenantry_shared::users::{self, User, UserFilter, UserPatch};
use tenantry_shared::{objects, passwords};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::Body;
use crate::objects::{BatchIn, BatchOut, Batched, CascadeOut, How, IdList, batch, ids};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Created, Found, NoContent, Once, Turn, etag};
pub(crate) use wire::UserOut;
use wire::{UserIn, UserPatchIn, UserStored};

pub(crate) struct Api;

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
        id: Query<Option<IdList>>,
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
        user_groups: Query<Option<IdList>>,
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
    /// With a `password` he is told instead that one was set; that needs `set_password` as well. A repeated request is compared
    /// by all but the password, of which nothing is kept for that.
    /// Errors: 403 `superuser_only`, `cannot_grant`; 409 `already_member`, `username_taken`, and with a password
    /// `no_local_login`, `set_password_disabled`.
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
        mut body: Body<UserIn>,
    ) -> ApiResult<Created<UserStored>> {
        let password_hash = match body.0.password.take() {
            None => None,
            Some(password) => {
                let (tx, by) = app.enter::<SetPassword>(&caller, &organization_slug).await?;
                let password = ("password", &password.into());
                Some(passwords::hash_for_new(&app.hasher, tx, &by, &body.0.email, password).await?)
            }
        };
        let (mut tx, by) = app.enter::<AddUser>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "create_user", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let made = users::create(&mut tx, &by, &body.0.check(password_hash)?).await?;
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
    /// is 200 even then. `change_field` takes what `change_user` does, but no password; the list is `user_groups`. Users lie in no folder.
    /// A value that is wrong by itself is 400, and nothing is done.
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
    /// What is not given goes back to its default, but for the password, which stays. Needs `change_user`; rules and errors as
    /// `change_user`.
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
        mut body: Body<UserIn>,
    ) -> ApiResult<Found<UserStored>> {
        let password = body.0.password.take();
        change(&app, (&caller, &organization_slug), id.0, if_match.0, body.0.replacement(), password).await
    }

    /// Change a user
    ///
    /// Needs `change_user` over every folder that he is tied to: those of his groups, and those over which he holds a role. A user
    /// who is tied to nothing, or is superuser, needs it over all folders. One's own names may be changed without, but not with
    /// a personal access token that has a scope; more of oneself needs a session. A user who is deactivated or past his expiry
    /// date is signed out at once. A `password` needs `set_password` as well, and does what `iam_set_password` does.
    /// Errors: 403 `superuser_only`, `cannot_grant`, `outranked` (he holds what you don't), `session_required`; 409
    /// `last_superuser`, `last_administrator`, `cannot_change_oneself` (also: whether, how and until when one may sign in
    /// oneself), `already_member`, `username_taken`, `too_many_groups`, `profile_too_large`, and with a password `no_local_login`,
    /// `set_password_disabled`.
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
        mut body: Body<UserPatchIn>,
    ) -> ApiResult<Found<UserStored>> {
        let password = body.0.take_password()?;
        let patch = User::patch(body.0, How::Set)?;
        change(&app, (&caller, &organization_slug), id.0, if_match.0, patch, password).await
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

/// Changes a user, and gives him a password if one is said.
async fn change(
    app: &App,
    (caller, slug): (&SignedIn, &str),
    id: Uuid,
    if_version: Option<String>,
    mut patch: UserPatch,
    password: Option<String>,
) -> ApiResult<Found<UserStored>> {
    if let Some(password) = password {
        let (tx, by) = app.enter::<SetPassword>(caller, slug).await?;
        let password = ("password", &password.into());
        patch.password_hash = Some(passwords::hash_for(&app.hasher, tx, &by, id.into(), password).await?);
    }
    app.change::<User>(caller, slug, id, if_version, patch).await
}
