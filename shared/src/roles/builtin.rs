//! The roles that every organization is born with, and the groups that hold them.

use uuid::Uuid;

use crate::access::{Holder, Permission};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{FolderId, OrganizationId, RoleId, new_uuid};

/// A role every organization has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuiltinRole {
    /// Everything.
    Administrator,
    /// People, groups and folders of a domain; invites into it.
    DomainManager,
    /// Reads; the product beside us gives it more.
    Analyst,
    /// Reads; the product beside us lets it approve.
    Approver,
    /// Reads everything, the audit log too.
    Auditor,
    /// Reads.
    Reader,
}

impl BuiltinRole {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Administrator, Self::DomainManager, Self::Analyst, Self::Approver, Self::Auditor, Self::Reader];

    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::DomainManager => "domain_manager",
            Self::Analyst => "analyst",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Reader => "reader",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    fn allows(self, permission: Permission) -> bool {
        let name = permission.codename();
        let of_the_tree = ["_user", "_user_group", "_folder", "_role_assignment", "_team"];
        let reads =
            name.starts_with("view_") && (name == "view_role" || of_the_tree.iter().any(|kind| name.ends_with(kind)));
        match self {
            Self::Administrator => true,
            Self::DomainManager => {
                reads
                    || name == "invite_user"
                    || name == "view_invitation"
                    || name == "view_email"
                    || (["add_", "change_", "delete_"].iter().any(|verb| name.starts_with(verb))
                        && of_the_tree.iter().any(|kind| name.ends_with(kind)))
            }
            Self::Auditor => name.starts_with("view_"),
            Self::Analyst | Self::Approver | Self::Reader => reads,
        }
    }

    /// The code names it allows.
    #[must_use]
    pub fn permissions(self) -> Vec<String> {
        Permission::ALL.iter().filter(|p| self.allows(**p)).map(|p| p.codename().to_owned()).collect()
    }
}

/// Makes the built-in roles of a new organization, and for each a group at `root` whose members hold it over the whole tree.
/// They are published: whoever may look at roles anywhere sees them.
pub(crate) async fn create_builtin(tx: &mut Tx, root: FolderId) -> Result<()> {
    for role in BuiltinRole::ALL {
        let id: RoleId = tx.new_id();
        sqlx::query!(
            "insert into roles (organization_id, id, folder_id, name, builtin, is_published, permissions, created_at, updated_at)
             values ($1, $2, $3, $4, true, true, $5, $6, $6)",
            tx.organization_id() as OrganizationId,
            id as RoleId,
            root as FolderId,
            role.name(),
            &role.permissions(),
            tx.now()
        )
        .execute(tx.connection())
        .await?;
    }
    create_builtin_groups(tx, root).await
}

/// Makes the groups that a folder is born with: one for each built-in role, whose members hold it from there down.
pub(crate) async fn create_builtin_groups(tx: &mut Tx, folder: FolderId) -> Result<()> {
    let ids: Vec<Uuid> = BuiltinRole::ALL.iter().flat_map(|_| [new_uuid(tx.now()), new_uuid(tx.now())]).collect();
    sqlx::query!(
        "with r as (
             select id, name, ($3::uuid[])[2 * row_number() over (order by id) - 1] as group_id,
                 ($3::uuid[])[2 * row_number() over (order by id)] as assignment_id
             from roles where organization_id = $1 and builtin
         ), g as (
             insert into user_groups (organization_id, id, folder_id, name, builtin_role_id, created_at, updated_at)
             select $1, group_id, $2, name, id, $4, $4 from r
         ), a as (
             insert into role_assignments (organization_id, id, folder_id, name, user_group_id, role_id, is_recursive, builtin,
                 created_at, updated_at)
             select $1, assignment_id, $2, name, group_id, id, true, true, $4, $4 from r
         )
         insert into role_assignment_folders (organization_id, role_assignment_id, folder_id)
         select $1, assignment_id, $2 from r",
        tx.organization_id() as OrganizationId,
        folder as FolderId,
        &ids,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether someone holds all that a role allows over a folder and below it, and so may give it there.
pub(crate) async fn grantable(tx: &mut Tx, holder: Holder<'_>, role: RoleId, folder: FolderId) -> Result<bool> {
    let permissions = sqlx::query_scalar!(
        "select permissions from roles where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        role as RoleId
    )
    .fetch_one(tx.connection())
    .await?;
    holder.holds(tx, &permissions, folder, true).await
}

/// The built-in role of a name, as this organization has it.
pub(crate) async fn get_builtin(tx: &mut Tx, role: BuiltinRole) -> Result<RoleId> {
    let row = sqlx::query!(
        r#"select id as "id: RoleId" from roles where organization_id = $1 and name = $2 and builtin"#,
        tx.organization_id() as OrganizationId,
        role.name()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.id)
}
