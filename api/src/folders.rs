//! Folders.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::Refusal;
use tenantry_shared::access::{AddFolder, DeleteFolder, ViewFolder};
use tenantry_shared::folders::{self, Folder, FolderFilter, FolderPatch, NewFolder};
use tenantry_shared::objects::{self, Kind, Object as _};
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

/// A folder of the organization's tree.
#[derive(Debug, Object)]
#[oai(rename = "Folder")]
pub(crate) struct FolderOut {
    /// Its id.
    id: Uuid,
    /// The folders from the root to it, as far as you may see them.
    path: Vec<Ref>,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// The folder it lies in; none for the root.
    parent_folder: Option<Ref>,
    /// Whether it is the root: then it can't be changed or deleted.
    builtin: bool,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

/// A folder as it is stored.
#[derive(Debug, Object)]
#[oai(rename = "FolderObject")]
pub(crate) struct FolderStored {
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
    /// Whether it is the root: then it can't be changed or deleted.
    builtin: bool,
    /// The folder it lies in; none for the root.
    parent_folder: Option<StoredRef>,
}

impl Shape for Folder {
    type Out = FolderOut;
    type Stored = FolderStored;

    fn out(self, view: &View<'_>) -> FolderOut {
        FolderOut {
            id: self.id,
            path: Ref::all(&view.names, Kind::Folder, &self.ancestors),
            builtin: self.is_builtin(),
            name: self.name,
            description: self.description,
            parent_folder: self.parent_folder_id.map(|id| Ref::new(&view.names, Kind::Folder, id)),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    fn stored(self, view: &View<'_>) -> FolderStored {
        FolderStored {
            id: self.id,
            created_at: self.created_at,
            updated_at: self.updated_at,
            builtin: self.is_builtin(),
            name: self.name,
            description: self.description,
            parent_folder: self.parent_folder_id.map(|id| StoredRef::new(&view.names, Kind::Folder, id)),
        }
    }
}

/// A folder to be made, or to take the place of one.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct FolderIn {
    /// Its name: unique in the folder it lies in whatever its case, at most 200 characters.
    name: String,
    /// What it is for, at most 4000 characters.
    description: Option<String>,
    /// The folder it lies in; the root if not given.
    parent_folder: Option<Uuid>,
}

/// What to change of a folder (RFC 7396): what is absent stays, `null` clears.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct FolderPatchIn {
    /// Its name.
    name: MaybeUndefined<String>,
    /// What it is for; `null` clears it.
    description: MaybeUndefined<String>,
    /// The folder it lies in.
    parent_folder: MaybeUndefined<Uuid>,
}

const READ_ONLY: &[&str] = &["id", "created_at", "updated_at", "builtin", "path"];

impl Input for FolderIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Input for FolderPatchIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Batched for Folder {
    type PatchIn = FolderPatchIn;
    const FIELDS: &'static [&'static str] = &["name", "description"];
    const FOLDER: Option<&'static str> = Some("parent_folder");

    fn patch(body: FolderPatchIn, _: How) -> Result<FolderPatch, Refusal> {
        Ok(FolderPatch {
            name: kept("name", body.name)?,
            description: cleared(body.description),
            parent_folder: kept("parent_folder", body.parent_folder)?,
        })
    }
}

#[OpenApi(tag = "super::openapi::Tags::Folders")]
impl Api {
    /// List folders
    ///
    /// The folders over which you hold `view_folder`, and those directly in them. Ordered by `name`, `created_at` or
    /// `updated_at`; `search` looks at name and description.
    #[oai(path = "/orgs/:organization_slug/folders", method = "get", operation_id = "list_folders")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only these ids, separated by commas.
        id: Query<Option<IdList>>,
        /// Only those directly in one of these folders, ids separated by commas.
        parent_folder: Query<Option<IdList>>,
    ) -> ApiResult<Json<List<FolderOut>>> {
        let (mut tx, by) = app.enter::<ViewFolder>(&caller, &organization_slug).await?;
        let filter = FolderFilter { ids: ids("id", id.0)?, parent_folders: ids("parent_folder", parent_folder.0)? };
        let page = folders::list(&mut tx, &by, &filter, &paging.request).await?;
        app.listed(&caller, tx, &paging, page).await
    }

    /// Make a folder
    ///
    /// It is born with a group for each built-in role, whose members hold it from there down. Needs `add_folder` over the
    /// folder it lies in. Errors: 409 `name_taken`, `too_deep` (a tree has at most 64 levels).
    #[oai(path = "/orgs/:organization_slug/folders", method = "post", operation_id = "create_folder")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<FolderIn>,
    ) -> ApiResult<Created<FolderStored>> {
        let (mut tx, by) = app.enter::<AddFolder>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "create_folder", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let FolderIn { name, description, parent_folder } = body.0;
        let new = NewFolder { name, description, parent_folder };
        let made = folders::create(&mut tx, &by, &new).await?;
        app.made(&caller, tx, once, made).await
    }

    /// Change or delete many folders
    ///
    /// Each is held to the rules of the single call, and what fails for one spoils no other: its `code` says why. The answer
    /// is 200 even then. `change_field` takes `name` and `description`. A value that is wrong by itself is 400, and nothing is
    /// done.
    #[oai(path = "/orgs/:organization_slug/folders/batch-action", method = "post", operation_id = "batch_folders")]
    async fn batch(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<BatchIn>,
    ) -> ApiResult<Json<BatchOut>> {
        batch::<Folder>(&app, &caller, &organization_slug, body.0).await
    }

    /// Read a folder
    ///
    /// Needs `view_folder` over it, or over the folder it lies in.
    #[oai(path = "/orgs/:organization_slug/folders/:id", method = "get", operation_id = "get_folder")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The folder's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<FolderOut>> {
        let (mut tx, by) = app.enter::<ViewFolder>(&caller, &organization_slug).await?;
        let folder: Folder = objects::get(&mut tx, &by, id.0).await?;
        app.found(&caller, tx, folder).await
    }

    /// Read a folder as it is stored
    ///
    /// What a form needs: bare ids. Needs `view_folder` over it, or over the folder it lies in.
    #[oai(path = "/orgs/:organization_slug/folders/:id/object", method = "get", operation_id = "get_folder_object")]
    async fn object(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The folder's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<FolderStored>> {
        let (mut tx, by) = app.enter::<ViewFolder>(&caller, &organization_slug).await?;
        let folder: Folder = objects::get(&mut tx, &by, id.0).await?;
        app.found_stored(&caller, tx, folder).await
    }

    /// See what deleting a folder would do
    ///
    /// All that is in it and below it would go. For those who may delete it. Errors: 409 `builtin` (the root).
    #[oai(
        path = "/orgs/:organization_slug/folders/:id/cascade-info",
        method = "get",
        operation_id = "get_folder_cascade_info"
    )]
    async fn cascade(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The folder's id.
        id: Path<Uuid>,
    ) -> ApiResult<Json<CascadeOut>> {
        let (mut tx, by) = app.enter::<DeleteFolder>(&caller, &organization_slug).await?;
        Ok(Json(objects::cascade::<Folder, _>(&mut tx, &by, id.0).await?.into()))
    }

    /// Replace a folder
    ///
    /// What is not given goes back to its default, but for the folder it lies in, which stays. Rules and errors as `change_folder`.
    #[oai(path = "/orgs/:organization_slug/folders/:id", method = "put", operation_id = "replace_folder")]
    async fn replace(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The folder's id.
        id: Path<Uuid>,
        /// The `ETag` of the folder as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<FolderIn>,
    ) -> ApiResult<Found<FolderStored>> {
        let FolderIn { name, description, parent_folder } = body.0;
        let patch = FolderPatch { name: Some(name), description: Some(description), parent_folder };
        app.change::<Folder>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Change a folder
    ///
    /// Or move it, with all that is in it. Needs `change_folder` over the folder it lies in. A move needs `add_folder` over the
    /// other one too, and every right that someone gains by it over the folder or below.
    /// Errors: 403 `cannot_grant`; 409 `builtin` (the root), `name_taken`, `below_itself`, `too_deep`.
    #[oai(path = "/orgs/:organization_slug/folders/:id", method = "patch", operation_id = "change_folder")]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The folder's id.
        id: Path<Uuid>,
        /// The `ETag` of the folder as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<FolderPatchIn>,
    ) -> ApiResult<Found<FolderStored>> {
        let patch = Folder::patch(body.0, How::Set)?;
        app.change::<Folder>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Delete a folder
    ///
    /// With all that is in it and below it: folders, groups, teams, roles, assignments. Open invitations into it are revoked.
    /// Needs `delete_folder` over the folder it lies in. Errors: 409 `builtin` (the root), `last_administrator`, `cannot_change_oneself`.
    #[oai(path = "/orgs/:organization_slug/folders/:id", method = "delete", operation_id = "delete_folder")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The folder's id.
        id: Path<Uuid>,
        /// The `ETag` of the folder as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        app.delete::<Folder>(&caller, &organization_slug, id.0, if_match.0).await
    }
}
