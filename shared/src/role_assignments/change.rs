//! Changing role assignments, by `PUT` and `PATCH` alike.

use serde_json::json;
use uuid::Uuid;

use super::write::add_folders;
use super::{Holding, MAX_PERIMETER, RoleAssignment};
use crate::access::{Access, Caller, ChangeRoleAssignment, DeleteRoleAssignment, Permission, Rights};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, Refusal, Result};
use crate::ids::{FolderId, OrganizationId, RoleAssignmentId, RoleId, UserGroupId, UserId};
use crate::objects::{self, Edit, Kind, Managed, check_description};
use crate::text::check_name;

/// What to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct RoleAssignmentPatch {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub folder: Option<Uuid>,
    pub is_published: Option<bool>,
    pub user: Option<Option<Uuid>>,
    pub user_group: Option<Option<Uuid>>,
    pub role: Option<Uuid>,
    pub perimeter_folders: Option<Edit<Uuid>>,
    pub is_recursive: Option<bool>,
}

/// Changes an assignment: who holds which role where, within what the caller holds himself; or what it is called, and where
/// it lies.
///
/// Errors: 400 for what is not there, 403 `permission_denied`, `cannot_grant`, 409 `builtin`, `perimeter_empty`,
/// `perimeter_too_large`, `last_administrator`, `cannot_change_oneself`, 412.
async fn change(
    tx: &mut Tx,
    by: &Access<ChangeRoleAssignment>,
    id: RoleAssignmentId,
    patch: &RoleAssignmentPatch,
    if_version: Option<i64>,
) -> Result<RoleAssignment> {
    let caller = by.caller();
    let mut check = Check::default();
    let name = patch.name.as_deref().map(|name| check_name(&mut check, name));
    let description = patch.description.as_ref().map(|text| check_description(&mut check, text.as_deref()));
    let clears = matches!(&patch.perimeter_folders, Some(Edit::Set(folders)) if folders.is_empty());
    check.that(!clears, "perimeter_folders", "required", "A role is given over one folder at least.");
    let named = patch.perimeter_folders.as_ref().map_or(0, |edit| edit.named().len());
    let message = format!("A role is given over at most {MAX_PERIMETER} folders.");
    check.that(named <= MAX_PERIMETER, "perimeter_folders", "too_many", message);
    check.done()?;
    let rights = Rights::lock(tx, caller).await?;
    let permission = Permission::ChangeRoleAssignment;
    let old: RoleAssignment = objects::get_to_change(tx, caller, id.into(), permission, if_version).await?;
    let add = Permission::AddRoleAssignment;
    let folder = objects::get_new_housing::<RoleAssignment>(tx, caller, add, old.folder_id, patch.folder).await?;
    let before = Holding::from(&old);
    let after = patch.apply(tx, caller, &before).await?;
    if after != before {
        after.check().map_err(|error| Refusal::invalid(vec![error]))?;
        after.check_seen(tx, caller, Some(&before)).await?;
        after.demand_grantable(tx, caller, permission).await?;
        after.demand_not_drafted(tx, caller, permission, Some(&before)).await?;
    }
    sqlx::query!(
        "update role_assignments set name = coalesce($3, name), description = case when $4 then $5 else description end,
             folder_id = coalesce($6, folder_id), is_published = coalesce($7, is_published), version = version + 1,
             updated_at = $8
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as RoleAssignmentId,
        name,
        description.is_some(),
        description.flatten(),
        folder as Option<FolderId>,
        patch.is_published,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    store(tx, id, &after).await?;
    rights.check(tx).await?;
    let new: RoleAssignment = objects::load(tx, id.into()).await?;
    let event = Event::new("role_assignment.changed", "role_assignment", id, &new.name);
    let changed = (after != before).then(|| json!({ "from": before.for_audit(), "to": after.for_audit() }));
    tx.audit(event.with(json!({ "changed": changed }))).await?;
    Ok(new)
}

impl RoleAssignmentPatch {
    /// What is held after it. Folders that the caller does not see stay.
    async fn apply(&self, tx: &mut Tx, caller: &Caller, before: &Holding) -> Result<Holding> {
        let mut after = before.clone();
        after.user = self.user.unwrap_or(before.user);
        after.user_group = self.user_group.unwrap_or(before.user_group);
        after.role = self.role.unwrap_or(before.role);
        after.is_recursive = self.is_recursive.unwrap_or(before.is_recursive);
        let Some(edit) = &self.perimeter_folders else { return Ok(after) };
        let seen = objects::find_seen_of(tx, caller, Kind::Folder, &before.perimeter_folders).await?;
        let mut folders = edit.apply_to_seen(&before.perimeter_folders, |id| seen.contains(id));
        folders.sort_unstable();
        folders.dedup();
        if folders.is_empty() {
            let detail = "Nothing would be left of the perimeter: delete the assignment instead.";
            return Err(Refusal::conflict("perimeter_empty", detail).into());
        }
        if folders.len() > MAX_PERIMETER {
            let detail = format!("With these, it would go over more than {MAX_PERIMETER} folders.");
            return Err(Refusal::conflict("perimeter_too_large", detail).into());
        }
        after.perimeter_folders = folders;
        Ok(after)
    }
}

async fn store(tx: &mut Tx, id: RoleAssignmentId, holding: &Holding) -> Result<()> {
    let Holding { user, user_group, role, is_recursive, perimeter_folders } = holding;
    sqlx::query!(
        "update role_assignments set user_id = $3, user_group_id = $4, role_id = $5, is_recursive = $6
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as RoleAssignmentId,
        user.map(UserId::from) as Option<UserId>,
        user_group.map(UserGroupId::from) as Option<UserGroupId>,
        RoleId::from(*role) as RoleId,
        is_recursive
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "delete from role_assignment_folders
         where organization_id = $1 and role_assignment_id = $2 and folder_id <> all($3)",
        tx.organization_id() as OrganizationId,
        id as RoleAssignmentId,
        perimeter_folders
    )
    .execute(tx.connection())
    .await?;
    add_folders(tx, id, perimeter_folders).await
}

impl Managed for RoleAssignment {
    type Patch = RoleAssignmentPatch;
    type MayChange = ChangeRoleAssignment;
    type MayDelete = DeleteRoleAssignment;

    async fn change(
        tx: &mut Tx,
        by: &Access<ChangeRoleAssignment>,
        id: Uuid,
        patch: &RoleAssignmentPatch,
        if_version: Option<i64>,
    ) -> Result<Self> {
        change(tx, by, id.into(), patch, if_version).await
    }

    /// Takes a role from whoever was given it.
    ///
    /// Errors: 403 `permission_denied`, 409 `builtin`, `last_administrator`, `cannot_change_oneself`, 412.
    async fn delete(tx: &mut Tx, by: &Access<DeleteRoleAssignment>, id: Uuid, if_version: Option<i64>) -> Result<()> {
        objects::delete::<RoleAssignment>(tx, by.caller(), id, if_version, "role_assignment.deleted").await
    }
}
