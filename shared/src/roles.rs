//! Roles: named sets of permissions. The built-in ones are born with their organization.

use crate::access::Permission;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{FolderId, OrganizationId, RoleAssignmentId, RoleId, UserGroupId, UserId};

/// A role every organization has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
pub(crate) async fn create_builtin(tx: &mut Tx, root: FolderId) -> Result<()> {
    for role in BuiltinRole::ALL {
        let (role_id, group_id, assignment_id): (RoleId, UserGroupId, RoleAssignmentId) =
            (tx.new_id(), tx.new_id(), tx.new_id());
        sqlx::query!(
            "with r as (
                 insert into roles (organization_id, id, name, builtin, permissions, created_at)
                 values ($1, $2, $3, true, $4, $8)
             ), g as (
                 insert into user_groups (organization_id, id, folder_id, name, builtin_role_id, created_at)
                 values ($1, $5, $6, $3, $2, $8)
             ), a as (
                 insert into role_assignments (organization_id, id, user_group_id, role_id, is_recursive, builtin, created_at)
                 values ($1, $7, $5, $2, true, true, $8)
             )
             insert into role_assignment_folders (organization_id, role_assignment_id, folder_id) values ($1, $7, $6)",
            tx.organization_id() as OrganizationId,
            role_id as RoleId,
            role.name(),
            &role.permissions(),
            group_id as UserGroupId,
            root as FolderId,
            assignment_id as RoleAssignmentId,
            tx.now()
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Whether `who` holds every permission of a role, and so may grant it.
pub(crate) async fn may_grant(tx: &mut Tx, who: UserId, role: RoleId) -> Result<bool> {
    let row = sqlx::query!(
        r#"select (u.is_superuser or r.permissions <@ array(select h.permission from held_permissions(u.id) h)) as "may!"
           from users u join roles r on r.organization_id = u.organization_id
           where u.organization_id = $1 and u.id = $2 and r.id = $3"#,
        tx.organization_id() as OrganizationId,
        who as UserId,
        role as RoleId
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.is_some_and(|row| row.may))
}

/// Whether `who` holds every permission that the members of these groups get.
pub(crate) async fn may_grant_groups(tx: &mut Tx, who: UserId, groups: &[UserGroupId]) -> Result<bool> {
    let groups: Vec<uuid::Uuid> = groups.iter().map(|g| (*g).into()).collect();
    let row = sqlx::query!(
        r#"select (u.is_superuser or not exists (
               select unnest(r.permissions)
               from role_assignments a join roles r on r.organization_id = a.organization_id and r.id = a.role_id
               where a.organization_id = $1 and a.user_group_id = any($3)
               except select h.permission from held_permissions(u.id) h)) as "may!"
           from users u where u.organization_id = $1 and u.id = $2"#,
        tx.organization_id() as OrganizationId,
        who as UserId,
        &groups
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.is_some_and(|row| row.may))
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

/// The root of the organization's tree of folders.
pub async fn get_root_folder(tx: &mut Tx) -> Result<FolderId> {
    let row = sqlx::query!(
        r#"select id as "id: FolderId" from folders where organization_id = $1 and parent_folder_id is null"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.id)
}

/// Whether a folder is there.
pub(crate) async fn folder_exists(tx: &mut Tx, folder: FolderId) -> Result<bool> {
    let row = sqlx::query!(
        r#"select exists (select from folders where organization_id = $1 and id = $2) as "there!""#,
        tx.organization_id() as OrganizationId,
        folder as FolderId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.there)
}

/// Which of these groups are not there.
pub(crate) async fn missing_groups(tx: &mut Tx, groups: &[UserGroupId]) -> Result<bool> {
    let mut ids: Vec<uuid::Uuid> = groups.iter().map(|g| (*g).into()).collect();
    ids.sort_unstable();
    ids.dedup();
    let row = sqlx::query!(
        r#"select count(*) as "found!" from user_groups where organization_id = $1 and id = any($2)"#,
        tx.organization_id() as OrganizationId,
        &ids
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(usize::try_from(row.found).unwrap_or(0) != ids.len())
}

/// Makes a user a member of groups; one he is in already stays.
pub(crate) async fn add_to_groups(tx: &mut Tx, user: UserId, groups: &[UserGroupId]) -> Result<()> {
    let ids: Vec<uuid::Uuid> = groups.iter().map(|g| (*g).into()).collect();
    sqlx::query!(
        "insert into user_group_members (organization_id, user_group_id, user_id)
         select $1, unnest($2::uuid[]), $3 on conflict do nothing",
        tx.organization_id() as OrganizationId,
        &ids,
        user as UserId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The built-in group of a role at a folder, whose members hold the role from there down.
pub(crate) async fn get_builtin_group(tx: &mut Tx, folder: FolderId, role: RoleId) -> Result<UserGroupId> {
    let row = sqlx::query!(
        r#"select id as "id: UserGroupId" from user_groups
           where organization_id = $1 and folder_id = $2 and builtin_role_id = $3"#,
        tx.organization_id() as OrganizationId,
        folder as FolderId,
        role as RoleId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.id)
}
