//! Groups: users who get the same rights. Those that a folder is born with hold a built-in role over it.

mod members;
mod write;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) use members::{add_member, check_grantable, get_builtin, grantable, remove_member};
pub use write::{NewUserGroup, UserGroupPatch, create};

use crate::access::{Access, ViewUserGroup};
use crate::db::Tx;
use crate::error::Result;
use crate::objects::{self, Kind, Object, Wanted, only_seen};
use crate::page::{Listed, Page, PageRequest, Sort};

/// A group.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct UserGroup {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub folder_id: Uuid,
    /// From the root to its folder.
    pub path: Vec<Uuid>,
    /// The built-in role its members hold, for a group that its folder was born with.
    pub builtin_role: Option<String>,
    pub is_published: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl Listed for UserGroup {
    const SORTS: &'static [Sort] = &[
        Sort::text("name", "o.name_key"),
        Sort::time("created_at", "o.created_at"),
        Sort::time("updated_at", "o.updated_at"),
    ];
    const DEFAULT_SORT: &'static str = "name";
    const ID: &'static str = "o.id";
}

impl Object for UserGroup {
    const KIND: Kind = Kind::UserGroup;
    const COLUMNS: &'static str = "o.id, o.name, o.description, o.folder_id, o.is_published, o.created_at, o.updated_at, o.version, \
        (select f.ancestors from folders f where f.organization_id = o.organization_id and f.id = o.folder_id) as path, \
        (select r.name from roles r where r.organization_id = o.organization_id and r.id = o.builtin_role_id) as builtin_role";

    fn id(&self) -> Uuid {
        self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn is_builtin(&self) -> bool {
        self.builtin_role.is_some()
    }
    fn want(&self, wanted: &mut Wanted) {
        wanted.all(Kind::Folder, &self.path);
    }
}

/// Which groups.
#[derive(Clone, Debug, Default)]
pub struct UserGroupFilter {
    /// With one of these ids.
    pub ids: Option<Vec<Uuid>>,
    /// In one of these folders.
    pub folders: Option<Vec<Uuid>>,
}

/// The groups that the caller sees.
pub async fn list(
    tx: &mut Tx,
    by: &Access<ViewUserGroup>,
    filter: &UserGroupFilter,
    page: &PageRequest,
) -> Result<Page<UserGroup>> {
    let folders = only_seen(tx, by.caller(), Kind::Folder, filter.folders.as_deref()).await?;
    objects::list(tx, by, page, |query| {
        query.ids(filter.ids.clone());
        query.any("o.folder_id", folders);
        query.search(&["o.name", "coalesce(o.description, '')"], page.search.as_deref());
    })
    .await
}
