//! Making, changing and deleting roles.

use serde_json::json;
use uuid::Uuid;

use super::{BuiltinRole, Role};
use crate::access::{
    Access, AddRole, Caller, ChangeRole, DeleteRole, Permission, Rights, cannot_grant, demand_grantable,
};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, Error, Refusal, Result, on_constraint};
use crate::ids::{FolderId, OrganizationId, RoleId, UserId};
use crate::objects::{self, Edit, Managed, check_description};
use crate::text::check_name;

/// A role to be.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct NewRole {
    pub name: String,
    pub description: Option<String>,
    /// The root if not given.
    pub folder: Option<Uuid>,
    /// Code names.
    pub permissions: Vec<String>,
    pub is_published: bool,
}

/// What to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct RolePatch {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub folder: Option<Uuid>,
    pub permissions: Option<Edit<String>>,
    pub is_published: Option<bool>,
}

/// Makes a role of permissions that the caller holds himself over its folder and below it. It gives nothing until it is
/// assigned.
///
/// Errors: 400 for a folder or a permission that is not there, 403 `permission_denied`, `cannot_grant`, 409 `name_taken`.
pub async fn create(tx: &mut Tx, by: &Access<AddRole>, new: &NewRole) -> Result<Role> {
    let mut check = Check::default();
    let name = check_name(&mut check, &new.name);
    let description = check_description(&mut check, new.description.as_deref());
    check_permissions(&mut check, &new.permissions);
    check.done()?;
    demand_free(&name)?;
    let permissions = in_order(&new.permissions);
    crate::access::lock(tx).await?;
    let folder = objects::get_housing(tx, by.caller(), Permission::AddRole, "folder", new.folder).await?;
    demand_grantable(tx, by.caller().holder(), &permissions, &[folder], true).await?;
    let id: RoleId = tx.new_id();
    sqlx::query!(
        "insert into roles (organization_id, id, folder_id, name, description, permissions, is_published, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        tx.organization_id() as OrganizationId,
        id as RoleId,
        folder as FolderId,
        name,
        description,
        &permissions,
        new.is_published,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    tx.audit(Event::new("role.created", "role", id, &name).with(json!({ "permissions": permissions }))).await?;
    objects::load(tx, id.into()).await
}

/// Changes a role, for all who hold it, or moves it to another folder.
///
/// Errors: 400 for a folder or a permission that is not there, 403 `permission_denied`, `cannot_grant`, 409 `builtin`,
/// `name_taken`, `cannot_change_oneself`, 412.
async fn change(
    tx: &mut Tx,
    by: &Access<ChangeRole>,
    id: RoleId,
    patch: &RolePatch,
    if_version: Option<i64>,
) -> Result<Role> {
    let mut check = Check::default();
    let name = patch.name.as_deref().map(|name| check_name(&mut check, name));
    let description = patch.description.as_ref().map(|text| check_description(&mut check, text.as_deref()));
    check_permissions(&mut check, patch.permissions.as_ref().map_or(&[], Edit::named));
    check.done()?;
    name.as_deref().map_or(Ok(()), demand_free)?;
    let rights = Rights::lock(tx, by.caller()).await?;
    let old: Role = objects::get_to_change(tx, by.caller(), id.into(), Permission::ChangeRole, if_version).await?;
    let folder =
        objects::get_new_housing::<Role>(tx, by.caller(), Permission::AddRole, old.folder_id, patch.folder).await?;
    let permissions = patch
        .permissions
        .as_ref()
        .map_or_else(|| old.permissions.clone(), |edit| in_order(&edit.apply(&old.permissions)));
    let added = without(&permissions, &old.permissions);
    // In another folder, it is as if it were made there.
    let (wanted, home) = folder.map_or((&added, FolderId::from(old.folder_id)), |folder| (&permissions, folder));
    demand_grantable(tx, by.caller().holder(), wanted, &[home], true).await?;
    demand_addable(tx, by.caller(), id, &added).await?;
    sqlx::query!(
        "update roles set name = coalesce($3, name), description = case when $4 then $5 else description end,
             folder_id = coalesce($6, folder_id), permissions = $7, is_published = coalesce($8, is_published),
             version = version + 1, updated_at = $9
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as RoleId,
        name,
        description.is_some(),
        description.flatten(),
        folder as Option<FolderId>,
        &permissions,
        patch.is_published,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    rights.check(tx).await?;
    let new: Role = objects::load(tx, id.into()).await?;
    let removed = without(&old.permissions, &permissions);
    let event = Event::new("role.changed", "role", id, &new.name);
    tx.audit(event.with(json!({ "added": added, "removed": removed }))).await?;
    Ok(new)
}

/// What is added to a role, everyone who was given it gets where he was: the caller must hold it there himself.
async fn demand_addable(tx: &mut Tx, caller: &Caller, role: RoleId, added: &[String]) -> Result<()> {
    if added.is_empty() {
        return Ok(());
    }
    let holder = caller.holder();
    let may = sqlx::query_scalar!(
        r#"select not exists (
               select from (
                   select distinct p.folder_id, a.is_recursive
                   from role_assignments a
                   join role_assignment_folders p on p.organization_id = a.organization_id and p.role_assignment_id = a.id
                   where a.organization_id = $1 and a.role_id = $4) given
               where not holds($2, $3, $5, given.folder_id, given.is_recursive)) as "may!""#,
        tx.organization_id() as OrganizationId,
        holder.user as UserId,
        holder.scope,
        role as RoleId,
        added
    )
    .fetch_one(tx.connection())
    .await?;
    if may { Ok(()) } else { Err(cannot_grant().into()) }
}

fn check_permissions(check: &mut Check, codenames: &[String]) {
    let unknown = codenames.iter().find(|name| Permission::find(name).is_none());
    let message = format!("There is no permission {}.", unknown.map_or("", |name| name.as_str()));
    check.that(unknown.is_none(), "permissions", "unknown_permission", message);
}

/// Each once, in the order that all lists of them have.
fn in_order(codenames: &[String]) -> Vec<String> {
    let all = Permission::ALL.iter().map(|permission| permission.codename());
    all.filter(|known| codenames.iter().any(|name| name == known)).map(str::to_owned).collect()
}

fn without(all: &[String], others: &[String]) -> Vec<String> {
    all.iter().filter(|name| !others.contains(name)).cloned().collect()
}

/// A role that is called like a built-in one would be taken for it, wherever it lies.
fn demand_free(name: &str) -> Result<(), Refusal> {
    if BuiltinRole::find(&name.to_lowercase()).is_some() {
        return Err(Refusal::conflict("name_taken", "A built-in role has this name."));
    }
    Ok(())
}

fn taken(error: sqlx::Error) -> Error {
    on_constraint(error, "roles_one_per_name", || {
        Refusal::conflict("name_taken", "There is a role of this name in this folder already.")
    })
}

impl Managed for Role {
    type Patch = RolePatch;
    type MayChange = ChangeRole;
    type MayDelete = DeleteRole;

    async fn change(
        tx: &mut Tx,
        by: &Access<ChangeRole>,
        id: Uuid,
        patch: &RolePatch,
        if_version: Option<i64>,
    ) -> Result<Self> {
        change(tx, by, id.into(), patch, if_version).await
    }

    /// Deletes a role with every assignment of it.
    ///
    /// Errors: 403 `permission_denied`, 409 `builtin`, `cannot_change_oneself`, 412.
    async fn delete(tx: &mut Tx, by: &Access<DeleteRole>, id: Uuid, if_version: Option<i64>) -> Result<()> {
        objects::delete::<Role>(tx, by.caller(), id, if_version, "role.deleted").await
    }
}
