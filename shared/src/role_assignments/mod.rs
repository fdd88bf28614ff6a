//! Role assignments: a user or a group holds a role over some folders.

mod change;
mod write;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use change::RoleAssignmentPatch;
pub use write::{Holding, NewRoleAssignment, create};

use crate::access::{Access, ViewRoleAssignment};
use crate::db::Tx;
use crate::error::Result;
use crate::objects::{self, Kind, Object, Wanted, only_seen};
use crate::page::{Listed, Page, PageRequest, Sort};

/// Over how many folders one assignment goes at most.
pub const MAX_PERIMETER: usize = 1_000;

/// A role assignment.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct RoleAssignment {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub folder_id: Uuid,
    pub is_published: bool,
    pub is_recursive: bool,
    pub builtin: bool,
    /// Who holds it: this or the group.
    pub user_id: Option<Uuid>,
    pub user_group_id: Option<Uuid>,
    pub role_id: Uuid,
    pub perimeter_folders: Vec<Uuid>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl Listed for RoleAssignment {
    const SORTS: &'static [Sort] = &[
        Sort::text("name", "o.name_key"),
        Sort::time("created_at", "o.created_at"),
        Sort::time("updated_at", "o.updated_at"),
    ];
    const DEFAULT_SORT: &'static str = "name";
    const ID: &'static str = "o.id";
}

impl Object for RoleAssignment {
    const KIND: Kind = Kind::RoleAssignment;
    const COLUMNS: &'static str = "o.id, o.name, o.description, o.folder_id, o.is_published, o.is_recursive, o.builtin, \
        o.user_id, o.user_group_id, o.role_id, o.created_at, o.updated_at, o.version, \
        array(select p.folder_id from role_assignment_folders p \
            where p.organization_id = o.organization_id and p.role_assignment_id = o.id order by 1) as perimeter_folders";

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
        wanted.all(Kind::Folder, &self.perimeter_folders);
        wanted.one(Kind::Role, Some(self.role_id));
        wanted.one(Kind::User, self.user_id);
        wanted.one(Kind::UserGroup, self.user_group_id);
    }
}

/// Which assignments.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the filters of the list, described on the wire")]
pub struct RoleAssignmentFilter {
    pub ids: Option<Vec<Uuid>>,
    pub folders: Option<Vec<Uuid>>,
    pub users: Option<Vec<Uuid>>,
    pub user_groups: Option<Vec<Uuid>>,
    pub roles: Option<Vec<Uuid>>,
    pub perimeter_folders: Option<Vec<Uuid>>,
}

impl RoleAssignmentFilter {
    /// Without ids of what the caller does not see: or a filter would tell what an answer hides.
    async fn only_seen<P>(&self, tx: &mut Tx, by: &Access<P>) -> Result<Self> {
        let caller = by.caller();
        Ok(Self {
            ids: self.ids.clone(),
            folders: only_seen(tx, caller, Kind::Folder, self.folders.as_deref()).await?,
            users: only_seen(tx, caller, Kind::User, self.users.as_deref()).await?,
            user_groups: only_seen(tx, caller, Kind::UserGroup, self.user_groups.as_deref()).await?,
            roles: only_seen(tx, caller, Kind::Role, self.roles.as_deref()).await?,
            perimeter_folders: only_seen(tx, caller, Kind::Folder, self.perimeter_folders.as_deref()).await?,
        })
    }
}

const OVER_FOLDERS: &str = "exists (select from role_assignment_folders p where p.organization_id = o.organization_id \
     and p.role_assignment_id = o.id and p.folder_id = any(";

/// The assignments that the caller sees.
pub async fn list(
    tx: &mut Tx,
    by: &Access<ViewRoleAssignment>,
    filter: &RoleAssignmentFilter,
    page: &PageRequest,
) -> Result<Page<RoleAssignment>> {
    let filter = filter.only_seen(tx, by).await?;
    objects::list(tx, by, page, |query| {
        query.ids(filter.ids);
        query.any("o.folder_id", filter.folders);
        query.any("o.user_id", filter.users);
        query.any("o.user_group_id", filter.user_groups);
        query.any("o.role_id", filter.roles);
        query.enclosed(OVER_FOLDERS, filter.perimeter_folders, "))");
        query.search(&["o.name", "coalesce(o.description, '')"], page.search.as_deref());
    })
    .await
}
