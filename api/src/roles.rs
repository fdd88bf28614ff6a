//! Roles.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::Refusal;
use tenantry_shared::access::{AddRole, DeleteRole, ViewRole};
use tenantry_shared::objects::{self, Edit, Kind};
use tenantry_shared::roles::{self, NewRole, Role, RoleFilter, RolePatch};
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

/// A named set of permissions.
#[derive(Debug, Object)]
#[oai(rename = "Role")]
pub(crate) struct RoleOut {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// The folder it lies in.
    folder: Ref,
    /// Code names of what it allows.
    permissions: Vec<String>,
    /// Whether the organization was born with it: then it can't be changed or deleted.
    builtin: bool,
    /// Whether those who see roles somewhere below its folder see it, too.
    is_published: bool,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

/// A role as it is stored.
#[derive(Debug, Object)]
#[oai(rename = "RoleObject")]
pub(crate) struct RoleStored {
    /// Its id.
    id: Uuid,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// The folder it lies in.
    folder: StoredRef,
    /// Code names of what it allows.
    permissions: Vec<String>,
    /// Whether the organization was born with it: then it can't be changed or deleted.
    builtin: bool,
    /// Whether those who see roles somewhere below its folder see it, too.
    is_published: bool,
}

impl Shape for Role {
    type Out = RoleOut;
    type Stored = RoleStored;

    fn out(self, view: &View<'_>) -> RoleOut {
        RoleOut {
            id: self.id,
            name: self.name,
            description: self.description,
            folder: Ref::new(&view.names, Kind::Folder, self.folder_id),
            permissions: self.permissions,
            builtin: self.builtin,
            is_published: self.is_published,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    fn stored(self, view: &View<'_>) -> RoleStored {
        RoleStored {
            id: self.id,
            created_at: self.created_at,
            updated_at: self.updated_at,
            name: self.name,
            description: self.description,
            folder: StoredRef::new(&view.names, Kind::Folder, self.folder_id),
            permissions: self.permissions,
            builtin: self.builtin,
            is_published: self.is_published,
        }
    }
}

/// A role to be made, or to take the place of one.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct RoleIn {
    /// Its name: unique in its folder whatever its case, at most 200 characters.
    name: String,
    /// What it is for, at most 4000 characters.
    description: Option<String>,
    /// The folder it lies in; the root if not given.
    folder: Option<Uuid>,
    /// Code names of what it allows, of those that `list_permissions` shows.
    permissions: Vec<String>,
    /// Whether those who see roles somewhere below its folder see it, too.
    #[oai(default)]
    is_published: bool,
}

/// What to change of a role (RFC 7396): what is absent stays, `null` clears.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct RolePatchIn {
    /// Its name.
    name: MaybeUndefined<String>,
    /// What it is for; `null` clears it.
    description: MaybeUndefined<String>,
    /// The folder it lies in.
    folder: MaybeUndefined<Uuid>,
    /// Code names of what it allows, all of them.
    permissions: MaybeUndefined<Vec<String>>,
    /// Whether those who see roles somewhere below its folder see it, too.
    is_published: MaybeUndefined<bool>,
}

const READ_ONLY: &[&str] = &["id", "created_at", "updated_at", "builtin"];

impl Input for RoleIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Input for RolePatchIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Batched for Role {
    type PatchIn = RolePatchIn;
    const FIELDS: &'static [&'static str] = &["name", "description", "is_published"];
    const LISTS: &'static [&'static str] = &["permissions"];

    fn patch(body: RolePatchIn, lists: How) -> Result<RolePatch, Refusal> {
        Ok(RolePatch {
            name: kept("name", body.name)?,
            description: cleared(body.description),
            folder: kept("folder", body.folder)?,
            permissions: kept("permissions", body.permissions)?.map(|list| lists.edit(list)),
            is_published: kept("is_published", body.is_published)?,
        })
    }
}

#[OpenApi(tag = "super::openapi::Tags::Roles")]
impl Api {
    /// List roles
    ///
    /// Those in folders over which you hold `view_role`, and published ones above, such as the built-in ones. Ordered by `name`, `created_at` or
    /// `updated_at`; `search` looks at name and description.
    #[oai(path = "/orgs/:organization_slug/roles", method = "get", operation_id = "list_roles")]
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
        /// Only those in one of these folders, ids separated by commas.
        folder: Query<Option<IdList>>,
        /// Only those that allow this: a code name.
        permission: Query<Option<String>>,
    ) -> ApiResult<Json<List<RoleOut>>> {
        let (mut tx, by) = app.enter::<ViewRole>(&caller, &organization_slug).await?;
        let filter = RoleFilter { ids: ids("id", id.0)?, folders: ids("folder", folder.0)?, permission: permission.0 };
        let page = roles::list(&mut tx, &by, &filter, &paging.request).await?;
        app.listed(&caller, tx, &paging, page).await
    }

    /// Make a role
    ///
    /// It gives nobody anything until it is assigned. Needs `add_role` over the folder, and every permission of it over the
    /// folder and below: nobody gives what he does not hold. Errors: 403 `cannot_grant`; 409 `name_taken`.
    #[oai(path = "/orgs/:organization_slug/roles", method = "post", operation_id = "create_role")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<RoleIn>,
    ) -> ApiResult<Created<RoleStored>> {
        let (mut tx, by) = app.enter::<AddRole>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "create_role", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let RoleIn { name, description, folder, permissions, is_published } = body.0;
        let new = NewRole { name, description, folder, permissions, is_published };
        let made = roles::create(&mut tx, &by, &new).await?;
        app.made(&caller, tx, once, made).await
    }

    /// Change or delete many roles
    ///
    /// Each is held to the rules of the single call, and what fails for one spoils no other: its `code` says why. The answer
    /// is 200 even then. `change_field` takes `name`, `description` and `is_published`; the actions for lists take `permissions`.
    /// A value that is wrong by itself is 400, and nothing is done.
    #[oai(path = "/orgs/:organization_slug/roles/batch-action", method = "post", operation_id = "batch_roles")]
    async fn batch(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<BatchIn>,
    ) -> ApiResult<Json<BatchOut>> {
        batch::<Role>(&app, &caller, &organization_slug, body.0).await
    }

    /// Read a role
    ///
    /// Needs `view_role` over its folder. The folder is empty where you may not see it.
    #[oai(path = "/orgs/:organization_slug/roles/:id", method = "get", operation_id = "get_role")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<RoleOut>> {
        let (mut tx, by) = app.enter::<ViewRole>(&caller, &organization_slug).await?;
        let row: Role = objects::get(&mut tx, &by, id.0).await?;
        app.found(&caller, tx, row).await
    }

    /// Read a role as it is stored
    ///
    /// What a form needs: bare ids. Needs `view_role` over its folder.
    #[oai(path = "/orgs/:organization_slug/roles/:id/object", method = "get", operation_id = "get_role_object")]
    async fn object(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<RoleStored>> {
        let (mut tx, by) = app.enter::<ViewRole>(&caller, &organization_slug).await?;
        let row: Role = objects::get(&mut tx, &by, id.0).await?;
        app.found_stored(&caller, tx, row).await
    }

    /// See what deleting a role would do
    ///
    /// Its assignments would go. For those who may delete it. Errors: 409 `builtin`.
    #[oai(
        path = "/orgs/:organization_slug/roles/:id/cascade-info",
        method = "get",
        operation_id = "get_role_cascade_info"
    )]
    async fn cascade(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role's id.
        id: Path<Uuid>,
    ) -> ApiResult<Json<CascadeOut>> {
        let (mut tx, by) = app.enter::<DeleteRole>(&caller, &organization_slug).await?;
        Ok(Json(objects::cascade::<Role, _>(&mut tx, &by, id.0).await?.into()))
    }

    /// Replace a role
    ///
    /// What is not given goes back to its default, but for the folder, which stays. Rules and errors as `change_role`.
    #[oai(path = "/orgs/:organization_slug/roles/:id", method = "put", operation_id = "replace_role")]
    async fn replace(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role's id.
        id: Path<Uuid>,
        /// The `ETag` of the role as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<RoleIn>,
    ) -> ApiResult<Found<RoleStored>> {
        let RoleIn { name, description, folder, permissions, is_published } = body.0;
        let patch = RolePatch {
            name: Some(name),
            description: Some(description),
            folder,
            permissions: Some(Edit::Set(permissions)),
            is_published: Some(is_published),
        };
        app.change::<Role>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Change a role
    ///
    /// For all who hold it. Needs `change_role` over its folder, and to move it `delete_role` there too, and `add_role` and all
    /// that it allows over the other. What is added to it, you hold yourself over its folder, and over every folder where
    /// someone holds the role.
    /// Errors: 403 `cannot_grant`; 409 `builtin`, `name_taken`, `cannot_change_oneself`.
    #[oai(path = "/orgs/:organization_slug/roles/:id", method = "patch", operation_id = "change_role")]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role's id.
        id: Path<Uuid>,
        /// The `ETag` of the role as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<RolePatchIn>,
    ) -> ApiResult<Found<RoleStored>> {
        let patch = Role::patch(body.0, How::Set)?;
        app.change::<Role>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Delete a role
    ///
    /// With every assignment of it. Needs `delete_role` over its folder. Errors: 409 `builtin`, `cannot_change_oneself`.
    #[oai(path = "/orgs/:organization_slug/roles/:id", method = "delete", operation_id = "delete_role")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role's id.
        id: Path<Uuid>,
        /// The `ETag` of the role as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        app.delete::<Role>(&caller, &organization_slug, id.0, if_match.0).await
    }
}
