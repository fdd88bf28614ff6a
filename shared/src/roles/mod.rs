//! Roles: named sets of permissions. The built-in ones are born with their organization.

mod builtin;
mod write;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use builtin::BuiltinRole;
pub(crate) use builtin::{create_builtin, create_builtin_groups, get_builtin, grantable};
pub use write::{NewRole, RolePatch, create};

use crate::access::{Access, Oneself, ViewRole};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::UserId;
use crate::objects::{self, Kind, Object, Wanted, only_seen};
use crate::page::{Listed, Page, PageRequest, Sort};

/// A role.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Role {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub folder_id: Uuid,
    /// Code names.
    pub permissions: Vec<String>,
    pub builtin: bool,
    pub is_published: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl Listed for Role {
    const SORTS: &'static [Sort] = &[
        Sort::text("name", "o.name_key"),
        Sort::time("created_at", "o.created_at"),
        Sort::time("updated_at", "o.updated_at"),
    ];
    const DEFAULT_SORT: &'static str = "name";
    const ID: &'static str = "o.id";
}

impl Object for Role {
    const KIND: Kind = Kind::Role;
    const COLUMNS: &'static str = "o.id, o.name, o.description, o.folder_id, o.permissions, o.builtin, o.is_published, \
        o.created_at, o.updated_at, o.version";

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
        self.builtin
    }
    fn want(&self, wanted: &mut Wanted) {
        wanted.one(Kind::Folder, Some(self.folder_id));
    }
}

/// Which roles.
#[derive(Clone, Debug, Default)]
pub struct RoleFilter {
    /// With one of these ids.
    pub ids: Option<Vec<Uuid>>,
    /// In one of these folders.
    pub folders: Option<Vec<Uuid>>,
    /// That allow this: a code name.
    pub permission: Option<String>,
}

/// The names of the roles that the caller holds, which he may know also where he may not look at roles.
pub async fn list_own_names(tx: &mut Tx, by: &Access<Oneself>) -> Result<Vec<String>> {
    let names = sqlx::query_scalar!(
        r#"select distinct role_name as "name!" from grants_of($1) order by 1"#,
        by.caller().user_id as UserId
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(names)
}

/// The roles that the caller sees.
pub async fn list(tx: &mut Tx, by: &Access<ViewRole>, filter: &RoleFilter, page: &PageRequest) -> Result<Page<Role>> {
    let folders = only_seen(tx, by.caller(), Kind::Folder, filter.folders.as_deref()).await?;
    objects::list(tx, by, page, |query| {
        query.ids(filter.ids.clone());
        query.any("o.folder_id", folders);
        query.compare("o.permissions @> ", filter.permission.clone().map(|permission| vec![permission]));
        query.search(&["o.name", "coalesce(o.description, '')"], page.search.as_deref());
    })
    .await
}
