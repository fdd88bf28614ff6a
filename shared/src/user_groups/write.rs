//! Making, changing and deleting groups.

use uuid::Uuid;

use super::UserGroup;
use crate::access::{Access, AddUserGroup, ChangeUserGroup, DeleteUserGroup, Permission};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, Error, Refusal, Result, on_constraint};
use crate::ids::{FolderId, OrganizationId, UserGroupId};
use crate::objects::{self, Managed, check_description};
use crate::text::check_name;

/// A group to be.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct NewUserGroup {
    pub name: String,
    pub description: Option<String>,
    /// The root if not given.
    pub folder: Option<Uuid>,
    pub is_published: bool,
}

/// What to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct UserGroupPatch {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub folder: Option<Uuid>,
    pub is_published: Option<bool>,
}

/// Makes a group. It gives nothing until a role is assigned to it.
///
/// Errors: 400 for a folder that is not there, 403 `permission_denied`, 409 `name_taken`.
pub async fn create(tx: &mut Tx, by: &Access<AddUserGroup>, new: &NewUserGroup) -> Result<UserGroup> {
    let mut check = Check::default();
    let name = check_name(&mut check, &new.name);
    let description = check_description(&mut check, new.description.as_deref());
    check.done()?;
    crate::access::lock(tx).await?;
    let folder = objects::get_housing(tx, by.caller(), Permission::AddUserGroup, "folder", new.folder).await?;
    let id: UserGroupId = tx.new_id();
    sqlx::query!(
        "insert into user_groups (organization_id, id, folder_id, name, description, is_published, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)",
        tx.organization_id() as OrganizationId,
        id as UserGroupId,
        folder as FolderId,
        name,
        description,
        new.is_published,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    tx.audit(Event::new("user_group.created", "user_group", id, &name)).await?;
    objects::load(tx, id.into()).await
}

/// Changes a group, or moves it to another folder. Its people move with it: who manages the folder sees them.
///
/// Errors: 400 for a folder that is not there, 403 `permission_denied`, 409 `builtin`, `name_taken`, 412.
async fn change(
    tx: &mut Tx,
    by: &Access<ChangeUserGroup>,
    id: UserGroupId,
    patch: &UserGroupPatch,
    if_version: Option<i64>,
) -> Result<UserGroup> {
    let mut check = Check::default();
    let name = patch.name.as_deref().map(|name| check_name(&mut check, name));
    let description = patch.description.as_ref().map(|text| check_description(&mut check, text.as_deref()));
    check.done()?;
    crate::access::lock(tx).await?;
    let old: UserGroup =
        objects::get_to_change(tx, by.caller(), id.into(), Permission::ChangeUserGroup, if_version).await?;
    let folder =
        objects::get_new_housing::<UserGroup>(tx, by.caller(), Permission::AddUserGroup, old.folder_id, patch.folder)
            .await?;
    sqlx::query!(
        "update user_groups set name = coalesce($3, name), description = case when $4 then $5 else description end,
             folder_id = coalesce($6, folder_id), is_published = coalesce($7, is_published), version = version + 1,
             updated_at = $8
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as UserGroupId,
        name,
        description.is_some(),
        description.flatten(),
        folder as Option<FolderId>,
        patch.is_published,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    let new: UserGroup = objects::load(tx, id.into()).await?;
    tx.audit(Event::new("user_group.changed", "user_group", id, &new.name)).await?;
    Ok(new)
}

fn taken(error: sqlx::Error) -> Error {
    on_constraint(error, "user_groups_one_per_name", || {
        Refusal::conflict("name_taken", "There is a group of this name in this folder already.")
    })
}

impl Managed for UserGroup {
    type Patch = UserGroupPatch;
    type MayChange = ChangeUserGroup;
    type MayDelete = DeleteUserGroup;

    async fn change(
        tx: &mut Tx,
        by: &Access<ChangeUserGroup>,
        id: Uuid,
        patch: &UserGroupPatch,
        if_version: Option<i64>,
    ) -> Result<Self> {
        change(tx, by, id.into(), patch, if_version).await
    }

    /// Deletes a group with what was assigned to it. Its members stay, without it.
    ///
    /// Errors: 403 `permission_denied`, 409 `builtin`, `last_administrator`, `cannot_change_oneself`, 412.
    async fn delete(tx: &mut Tx, by: &Access<DeleteUserGroup>, id: Uuid, if_version: Option<i64>) -> Result<()> {
        objects::delete::<UserGroup>(tx, by.caller(), id, if_version, "user_group.deleted").await
    }
}
