//! Groups.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::Refusal;
use tenantry_shared::access::{AddUserGroup, DeleteUserGroup, ViewUserGroup};
use tenantry_shared::objects::{self, Kind};
use tenantry_shared::user_groups::{self, NewUserGroup, UserGroup, UserGroupFilter, UserGroupPatch};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::objects::{
    BatchIn, BatchOut, Batched, CascadeOut, How, IdList, Ref, Shape, StoredRef, View, batch, cleared, ids, kept,
};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Created, Found, NoContent, Once, Turn, etag};

pub(crate) struct Api;

/// A group of users, who get the same rights.
#[derive(Debug, Object)]
#[oai(rename = "UserGroup")]
pub(crate) struct UserGroupOut {
    /// Its id.
    id: Uuid,
    /// The folders from the root to it, as far as you may see them.
    path: Vec<Ref>,
    /// Its name.
    name: String,
    /// For a built-in group: which role its members hold over which folder, to be said in any language.
    localization_dict: Option<Localization>,
    /// The folder it lies in.
    folder: Ref,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
    /// Whether those who see groups somewhere below its folder see it, too.
    is_published: bool,
    /// What it is for.
    description: Option<String>,
    /// Whether its folder was born with it: then it can't be changed or deleted.
    builtin: bool,
}

/// What a built-in group is.
#[derive(Debug, Object)]
#[oai(rename = "UserGroupLocalization")]
pub(crate) struct Localization {
    /// Name of the built-in role.
    role: String,
    /// Name of the folder, if you may see it.
    folder: Option<String>,
}

/// A group as it is stored.
#[derive(Debug, Object)]
#[oai(rename = "UserGroupObject")]
pub(crate) struct UserGroupStored {
    /// Its id.
    id: Uuid,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
    /// Whether those who see groups somewhere below its folder see it, too.
    is_published: bool,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Whether its folder was born with it: then it can't be changed or deleted.
    builtin: bool,
    /// The folder it lies in.
    folder: StoredRef,
}

impl Shape for UserGroup {
    type Out = UserGroupOut;
    type Stored = UserGroupStored;

    fn out(self, view: &View<'_>) -> UserGroupOut {
        let folder = view.names.get(Kind::Folder, self.folder_id).map(str::to_owned);
        UserGroupOut {
            id: self.id,
            path: Ref::all(&view.names, Kind::Folder, &self.path),
            name: self.name,
            builtin: self.builtin_role.is_some(),
            localization_dict: self.builtin_role.map(|role| Localization { role, folder }),
            folder: Ref::new(&view.names, Kind::Folder, self.folder_id),
            created_at: self.created_at,
            updated_at: self.updated_at,
            is_published: self.is_published,
            description: self.description,
        }
    }

    fn stored(self, view: &View<'_>) -> UserGroupStored {
        UserGroupStored {
            id: self.id,
            created_at: self.created_at,
            updated_at: self.updated_at,
            is_published: self.is_published,
            name: self.name,
            description: self.description,
            builtin: self.builtin_role.is_some(),
            folder: StoredRef::new(&view.names, Kind::Folder, self.folder_id),
        }
    }
}

/// A group to be made, or to take the place of one.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct UserGroupIn {
    /// Its name: unique in its folder whatever its case, at most 200 characters.
    name: String,
    /// What it is for, at most 4000 characters.
    description: Option<String>,
    /// The folder it lies in; the root if not given.
    folder: Option<Uuid>,
    /// Whether those who see groups somewhere below its folder see it, too.
    #[oai(default)]
    is_published: bool,
}

/// What to change of a group (RFC 7396): what is absent stays, `null` clears.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct UserGroupPatchIn {
    /// Its name.
    name: MaybeUndefined<String>,
    /// What it is for; `null` clears it.
    description: MaybeUndefined<String>,
    /// The folder it lies in.
    folder: MaybeUndefined<Uuid>,
    /// Whether those who see groups somewhere below its folder see it, too.
    is_published: MaybeUndefined<bool>,
}

const READ_ONLY: &[&str] = &["id", "created_at", "updated_at", "builtin", "path", "localization_dict"];

impl Input for UserGroupIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Input for UserGroupPatchIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Batched for UserGroup {
    type PatchIn = UserGroupPatchIn;
    const FIELDS: &'static [&'static str] = &["name", "description", "is_published"];

    fn patch(body: UserGroupPatchIn, _: How) -> Result<UserGroupPatch, Refusal> {
        Ok(UserGroupPatch {
            name: kept("name", body.name)?,
            description: cleared(body.description),
            folder: kept("folder", body.folder)?,
            is_published: kept("is_published", body.is_published)?,
        })
    }
}

#[OpenApi(tag = "super::openapi::Tags::UserGroups")]
impl Api {
    /// List groups
    ///
    /// Those in folders over which you hold `view_user_group`, and published ones above. Ordered by `name`, `created_at` or
    /// `updated_at`; `search` looks at name and description.
    #[oai(path = "/orgs/:organization_slug/user-groups", method = "get", operation_id = "list_user_groups")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only these ids, separated by commas.
        id: Query<Option<IdList>>,
        /// Only those in one of these folders, ids separated by commas.
        folder: Query<Option<IdList>>,
    ) -> ApiResult<Json<List<UserGroupOut>>> {
        let (mut tx, by) = app.enter::<ViewUserGroup>(&caller, &organization_slug).await?;
        let filter = UserGroupFilter { ids: ids("id", id.0)?, folders: ids("folder", folder.0)? };
        let page = user_groups::list(&mut tx, &by, &filter, &paging.request).await?;
        app.listed(&caller, tx, &paging, page).await
    }

    /// Make a group
    ///
    /// It gives its members nothing until a role is assigned to it; who is in it is told by its users. Needs `add_user_group`
    /// over the folder. Errors: 409 `name_taken`.
    #[oai(path = "/orgs/:organization_slug/user-groups", method = "post", operation_id = "create_user_group")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<UserGroupIn>,
    ) -> ApiResult<Created<UserGroupStored>> {
        let (mut tx, by) = app.enter::<AddUserGroup>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "create_user_group", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let UserGroupIn { name, description, folder, is_published } = body.0;
        let new = NewUserGroup { name, description, folder, is_published };
        let made = user_groups::create(&mut tx, &by, &new).await?;
        app.made(&caller, tx, once, made).await
    }

    /// Change or delete many groups
    ///
    /// Each is held to the rules of the single call, and what fails for one spoils no other: its `code` says why. The answer
    /// is 200 even then. `change_field` takes `name`, `description` and `is_published`. A value that is wrong by itself is 400,
    /// and nothing is done.
    #[oai(
        path = "/orgs/:organization_slug/user-groups/batch-action",
        method = "post",
        operation_id = "batch_user_groups"
    )]
    async fn batch(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<BatchIn>,
    ) -> ApiResult<Json<BatchOut>> {
        batch::<UserGroup>(&app, &caller, &organization_slug, body.0).await
    }

    /// Read a group
    ///
    /// Needs `view_user_group` over its folder. The folder is empty where you may not see it.
    #[oai(path = "/orgs/:organization_slug/user-groups/:id", method = "get", operation_id = "get_user_group")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The group's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<UserGroupOut>> {
        let (mut tx, by) = app.enter::<ViewUserGroup>(&caller, &organization_slug).await?;
        let group: UserGroup = objects::get(&mut tx, &by, id.0).await?;
        app.found(&caller, tx, group).await
    }

    /// Read a group as it is stored
    ///
    /// What a form needs: bare ids. Needs `view_user_group` over its folder.
    #[oai(
        path = "/orgs/:organization_slug/user-groups/:id/object",
        method = "get",
        operation_id = "get_user_group_object"
    )]
    async fn object(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The group's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<UserGroupStored>> {
        let (mut tx, by) = app.enter::<ViewUserGroup>(&caller, &organization_slug).await?;
        let group: UserGroup = objects::get(&mut tx, &by, id.0).await?;
        app.found_stored(&caller, tx, group).await
    }

    /// See what deleting a group would do
    ///
    /// Its assignments would go, its members stay without it. For those who may delete it. Errors: 409 `builtin`.
    #[oai(
        path = "/orgs/:organization_slug/user-groups/:id/cascade-info",
        method = "get",
        operation_id = "get_user_group_cascade_info"
    )]
    async fn cascade(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The group's id.
        id: Path<Uuid>,
    ) -> ApiResult<Json<CascadeOut>> {
        let (mut tx, by) = app.enter::<DeleteUserGroup>(&caller, &organization_slug).await?;
        Ok(Json(objects::cascade::<UserGroup, _>(&mut tx, &by, id.0).await?.into()))
    }

    /// Replace a group
    ///
    /// What is not given goes back to its default, but for the folder, which stays. Rules and errors as `change_user_group`.
    #[oai(path = "/orgs/:organization_slug/user-groups/:id", method = "put", operation_id = "replace_user_group")]
    async fn replace(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The group's id.
        id: Path<Uuid>,
        /// The `ETag` of the group as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<UserGroupIn>,
    ) -> ApiResult<Found<UserGroupStored>> {
        let UserGroupIn { name, description, folder, is_published } = body.0;
        let patch = UserGroupPatch {
            name: Some(name),
            description: Some(description),
            folder,
            is_published: Some(is_published),
        };
        app.change::<UserGroup>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Change a group
    ///
    /// Needs `change_user_group` over its folder, and to move it `delete_user_group` there too, and
    /// `add_user_group` over the other.
    /// Errors: 409 `builtin`, `name_taken`.
    #[oai(path = "/orgs/:organization_slug/user-groups/:id", method = "patch", operation_id = "change_user_group")]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The group's id.
        id: Path<Uuid>,
        /// The `ETag` of the group as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<UserGroupPatchIn>,
    ) -> ApiResult<Found<UserGroupStored>> {
        let patch = UserGroup::patch(body.0, How::Set)?;
        app.change::<UserGroup>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Delete a group
    ///
    /// With what was assigned to it; its members stay. Needs `delete_user_group` over its folder.
    /// Errors: 409 `builtin`, `last_administrator`, `cannot_change_oneself`.
    #[oai(path = "/orgs/:organization_slug/user-groups/:id", method = "delete", operation_id = "delete_user_group")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The group's id.
        id: Path<Uuid>,
        /// The `ETag` of the group as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        app.delete::<UserGroup>(&caller, &organization_slug, id.0, if_match.0).await
    }

    /// List groups, by their other name
    ///
    /// The same as `list_user_groups`: those in folders over which you hold `view_user_group`, and published ones above.
    /// Ordered by `name`, `created_at` or `updated_at`; `search` looks at name and description.
    #[oai(path = "/orgs/:organization_slug/groups", method = "get", operation_id = "list_groups")]
    async fn list_groups(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<List<UserGroupOut>>> {
        let (mut tx, by) = app.enter::<ViewUserGroup>(&caller, &organization_slug).await?;
        let page = user_groups::list(&mut tx, &by, &UserGroupFilter::default(), &paging.request).await?;
        app.listed(&caller, tx, &paging, page).await
    }
}
