//! Who is in a group, and who may put someone there.

use uuid::Uuid;

use crate::access::{Caller, Holder, cannot_grant};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{FolderId, OrganizationId, RoleId, UserGroupId, UserId};
use crate::objects::{self, Kind};

/// Whether someone holds every right that the members of these groups get.
pub(crate) async fn grantable(tx: &mut Tx, holder: Holder<'_>, groups: &[Uuid]) -> Result<bool> {
    if groups.is_empty() {
        return Ok(true);
    }
    Ok(sqlx::query_scalar!(
        r#"select not exists (
               select from role_assignments a
               join roles r on r.organization_id = a.organization_id and r.id = a.role_id
               join role_assignment_folders p on p.organization_id = a.organization_id and p.role_assignment_id = a.id
               where a.organization_id = $1 and a.user_group_id = any($4)
                 and not holds($2, $3, r.permissions, p.folder_id, a.is_recursive)) as "may!""#,
        tx.organization_id() as OrganizationId,
        holder.user as UserId,
        holder.scope,
        groups
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Groups that someone is to be put into must be there for the caller, and he must hold what they give.
pub(crate) async fn check_grantable(tx: &mut Tx, caller: &Caller, groups: &[Uuid]) -> Result<()> {
    objects::check_seen(tx, caller, Kind::UserGroup, "user_groups", groups.iter().copied()).await?;
    if grantable(tx, caller.holder(), groups).await? { Ok(()) } else { Err(cannot_grant().into()) }
}

/// Makes a user a member of groups; one he is in already stays.
pub(crate) async fn add_member(tx: &mut Tx, user: UserId, groups: &[Uuid]) -> Result<()> {
    sqlx::query!(
        "insert into user_group_members (organization_id, user_group_id, user_id)
         select $1, unnest($2::uuid[]), $3 on conflict do nothing",
        tx.organization_id() as OrganizationId,
        groups,
        user as UserId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes a user out of a group.
pub(crate) async fn remove_member(tx: &mut Tx, user: UserId, group: Uuid) -> Result<()> {
    sqlx::query!(
        "delete from user_group_members where organization_id = $1 and user_group_id = $2 and user_id = $3",
        tx.organization_id() as OrganizationId,
        group,
        user as UserId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The built-in group of a role at a folder, whose members hold the role from there down.
pub(crate) async fn get_builtin(tx: &mut Tx, folder: FolderId, role: RoleId) -> Result<UserGroupId> {
    Ok(sqlx::query_scalar!(
        r#"select id as "id: UserGroupId" from user_groups
           where organization_id = $1 and folder_id = $2 and builtin_role_id = $3"#,
        tx.organization_id() as OrganizationId,
        folder as FolderId,
        role as RoleId
    )
    .fetch_one(tx.connection())
    .await?)
}
