//! Role assignments.

mod wire;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use tenantry_shared::access::{AddRoleAssignment, DeleteRoleAssignment, ViewRoleAssignment};
use tenantry_shared::objects;
use tenantry_shared::role_assignments::{self, NewRoleAssignment, RoleAssignment, RoleAssignmentFilter};
use uuid::Uuid;

use self::wire::{RoleAssignmentIn, RoleAssignmentOut, RoleAssignmentPatchIn, RoleAssignmentStored};
use crate::app::App;
use crate::auth::SignedIn;
use crate::input::Body;
use crate::objects::{BatchIn, BatchOut, Batched, CascadeOut, How, IdList, batch, ids};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Created, Found, NoContent, Once, Turn, etag};

pub(crate) struct Api;

#[OpenApi(tag = "super::openapi::Tags::RoleAssignments")]
impl Api {
    /// List role assignments
    ///
    /// Those in folders over which you hold `view_role_assignment`, and published ones above. Ordered by `name`, `created_at`
    /// or `updated_at`; `search` looks at name and description. A filter finds nothing by what you may not see.
    #[oai(path = "/orgs/:organization_slug/role-assignments", method = "get", operation_id = "list_role_assignments")]
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
        /// Only what was given to one of these users directly, ids separated by commas.
        user: Query<Option<IdList>>,
        /// Only what was given to one of these groups, ids separated by commas.
        user_group: Query<Option<IdList>>,
        /// Only assignments of one of these roles, ids separated by commas.
        role: Query<Option<IdList>>,
        /// Only those with one of these folders in their perimeter, ids separated by commas.
        perimeter_folders: Query<Option<IdList>>,
    ) -> ApiResult<Json<List<RoleAssignmentOut>>> {
        let (mut tx, by) = app.enter::<ViewRoleAssignment>(&caller, &organization_slug).await?;
        let filter = RoleAssignmentFilter {
            ids: ids("id", id.0)?,
            folders: ids("folder", folder.0)?,
            users: ids("user", user.0)?,
            user_groups: ids("user_group", user_group.0)?,
            roles: ids("role", role.0)?,
            perimeter_folders: ids("perimeter_folders", perimeter_folders.0)?,
        };
        let page = role_assignments::list(&mut tx, &by, &filter, &paging.request).await?;
        app.listed(&caller, tx, &paging, page).await
    }

    /// Give a role
    ///
    /// To a user or a group: to one of them. Needs `add_role_assignment` over the folder it lies in, and over every folder of
    /// its perimeter `add_role_assignment` and all that the role allows; over all below them as well, if it is recursive. The user
    /// is tied to a folder of the perimeter already (is in a group there, or holds a role over it), or is one whom you may change
    /// (403 `permission_denied`); unless you hold `add_role_assignment` over all folders.
    /// Errors: 403 `cannot_grant`.
    #[oai(path = "/orgs/:organization_slug/role-assignments", method = "post", operation_id = "create_role_assignment")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<RoleAssignmentIn>,
    ) -> ApiResult<Created<RoleAssignmentStored>> {
        let (mut tx, by) = app.enter::<AddRoleAssignment>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "create_role_assignment", idempotency_key.0, &body.0).await?
        {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let new: NewRoleAssignment = body.0.into();
        let made = role_assignments::create(&mut tx, &by, &new).await?;
        app.made(&caller, tx, once, made).await
    }

    /// Change or delete many role assignments
    ///
    /// Each is held to the rules of the single call, and what fails for one spoils no other: its `code` says why. The answer
    /// is 200 even then. `change_field` takes `name`, `description`, `is_published`, `is_recursive` and `role`; the actions for
    /// lists take `perimeter_folders`. A value that is wrong by itself is 400, and nothing is done. One that would lose all of
    /// its perimeter fails with `perimeter_empty`.
    #[oai(
        path = "/orgs/:organization_slug/role-assignments/batch-action",
        method = "post",
        operation_id = "batch_role_assignments"
    )]
    async fn batch(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<BatchIn>,
    ) -> ApiResult<Json<BatchOut>> {
        batch::<RoleAssignment>(&app, &caller, &organization_slug, body.0).await
    }

    /// Read a role assignment
    ///
    /// Needs `view_role_assignment` over its folder. What it names is empty where you may not see it; folders of its perimeter
    /// that you may not see are left out.
    #[oai(path = "/orgs/:organization_slug/role-assignments/:id", method = "get", operation_id = "get_role_assignment")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role assignment's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<RoleAssignmentOut>> {
        let (mut tx, by) = app.enter::<ViewRoleAssignment>(&caller, &organization_slug).await?;
        let row: RoleAssignment = objects::get(&mut tx, &by, id.0).await?;
        app.found(&caller, tx, row).await
    }

    /// Read a role assignment as it is stored
    ///
    /// What a form needs: bare ids. Needs `view_role_assignment` over its folder. What you may not see is `{}`, or left out of
    /// the perimeter.
    #[oai(
        path = "/orgs/:organization_slug/role-assignments/:id/object",
        method = "get",
        operation_id = "get_role_assignment_object"
    )]
    async fn object(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role assignment's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<RoleAssignmentStored>> {
        let (mut tx, by) = app.enter::<ViewRoleAssignment>(&caller, &organization_slug).await?;
        let row: RoleAssignment = objects::get(&mut tx, &by, id.0).await?;
        app.found_stored(&caller, tx, row).await
    }

    /// See what deleting a role assignment would do
    ///
    /// Nothing else would go. For those who may delete it. Errors: 409 `builtin`.
    #[oai(
        path = "/orgs/:organization_slug/role-assignments/:id/cascade-info",
        method = "get",
        operation_id = "get_role_assignment_cascade_info"
    )]
    async fn cascade(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role assignment's id.
        id: Path<Uuid>,
    ) -> ApiResult<Json<CascadeOut>> {
        let (mut tx, by) = app.enter::<DeleteRoleAssignment>(&caller, &organization_slug).await?;
        Ok(Json(objects::cascade::<RoleAssignment, _>(&mut tx, &by, id.0).await?.into()))
    }

    /// Replace a role assignment
    ///
    /// What is not given goes back to its default, but for the folder, which stays, and folders of the perimeter that you may
    /// not see, which stay in it. Rules and errors as `change_role_assignment`.
    #[oai(
        path = "/orgs/:organization_slug/role-assignments/:id",
        method = "put",
        operation_id = "replace_role_assignment"
    )]
    async fn replace(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role assignment's id.
        id: Path<Uuid>,
        /// The `ETag` of the role assignment as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<RoleAssignmentIn>,
    ) -> ApiResult<Found<RoleAssignmentStored>> {
        app.change::<RoleAssignment>(&caller, &organization_slug, id.0, if_match.0, body.0.into()).await
    }

    /// Change a role assignment
    ///
    /// Needs `change_role_assignment` over its folder, and to move it `delete_role_assignment` there too, and
    /// `add_role_assignment` over the other. Who changes its role, its holder, its perimeter or `is_recursive` needs
    /// `change_role_assignment` and all that the role allows over every folder of the perimeter it then has; over all below
    /// them as well, if it is recursive. Folders of the perimeter that you may not see stay in it. A user whom it did not name
    /// before is tied to the perimeter already, or is one whom you may change.
    /// Errors: 403 `cannot_grant`; 409 `builtin`, `perimeter_empty`, `perimeter_too_large`, `last_administrator`,
    /// `cannot_change_oneself`.
    #[oai(
        path = "/orgs/:organization_slug/role-assignments/:id",
        method = "patch",
        operation_id = "change_role_assignment"
    )]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role assignment's id.
        id: Path<Uuid>,
        /// The `ETag` of the role assignment as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<RoleAssignmentPatchIn>,
    ) -> ApiResult<Found<RoleAssignmentStored>> {
        let patch = RoleAssignment::patch(body.0, How::Set)?;
        app.change::<RoleAssignment>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Take a role away
    ///
    /// The role is taken from whoever was given it. Needs `delete_role_assignment` over its folder.
    /// Errors: 409 `builtin`, `last_administrator`, `cannot_change_oneself`.
    #[oai(
        path = "/orgs/:organization_slug/role-assignments/:id",
        method = "delete",
        operation_id = "delete_role_assignment"
    )]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The role assignment's id.
        id: Path<Uuid>,
        /// The `ETag` of the role assignment as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        app.delete::<RoleAssignment>(&caller, &organization_slug, id.0, if_match.0).await
    }
}
