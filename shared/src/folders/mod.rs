//! Folders: the tree that an organization's objects lie in, and that rights are held over.

mod write;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use write::{FolderPatch, NewFolder, create};

use crate::access::{Access, ViewFolder};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{FolderId, OrganizationId};
use crate::objects::{self, Kind, Object, Wanted};
use crate::page::{Listed, Page, PageRequest, Sort};

/// A folder.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Folder {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub parent_folder_id: Option<Uuid>,
    /// From the root to itself.
    pub ancestors: Vec<Uuid>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl Listed for Folder {
    const SORTS: &'static [Sort] = &[
        Sort::text("name", "o.name_key"),
        Sort::time("created_at", "o.created_at"),
        Sort::time("updated_at", "o.updated_at"),
    ];
    const DEFAULT_SORT: &'static str = "name";
    const ID: &'static str = "o.id";
}

impl Object for Folder {
    const KIND: Kind = Kind::Folder;
    const COLUMNS: &'static str =
        "o.id, o.name, o.description, o.parent_folder_id, o.ancestors, o.created_at, o.updated_at, o.version";

    fn id(&self) -> Uuid {
        self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn version(&self) -> i64 {
        self.version
    }
    /// The root is born with the organization.
    fn is_builtin(&self) -> bool {
        self.parent_folder_id.is_none()
    }
    fn want(&self, wanted: &mut Wanted) {
        wanted.one(Kind::Folder, self.parent_folder_id);
    }
}

/// Which folders.
#[derive(Clone, Debug, Default)]
pub struct FolderFilter {
    /// With one of these ids.
    pub ids: Option<Vec<Uuid>>,
    /// Directly in one of these.
    pub parent_folders: Option<Vec<Uuid>>,
}

/// The folders that the caller sees.
pub async fn list(
    tx: &mut Tx,
    by: &Access<ViewFolder>,
    filter: &FolderFilter,
    page: &PageRequest,
) -> Result<Page<Folder>> {
    let parents = objects::only_seen(tx, by.caller(), Kind::Folder, filter.parent_folders.as_deref()).await?;
    objects::list(tx, by, page, |query| {
        query.ids(filter.ids.clone());
        query.any("o.parent_folder_id", parents);
        query.search(&["o.name", "coalesce(o.description, '')"], page.search.as_deref());
    })
    .await
}

/// The root of the organization's tree.
pub async fn get_root(tx: &mut Tx) -> Result<FolderId> {
    Ok(sqlx::query_scalar!(
        r#"select id as "id: FolderId" from folders where organization_id = $1 and parent_folder_id is null"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Makes the root of a new organization.
pub(crate) async fn create_root(tx: &mut Tx) -> Result<FolderId> {
    let root: FolderId = tx.new_id();
    sqlx::query!(
        "insert into folders (organization_id, id, name, created_at, updated_at) values ($1, $2, 'Global', $3, $3)",
        tx.organization_id() as OrganizationId,
        root as FolderId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(root)
}
