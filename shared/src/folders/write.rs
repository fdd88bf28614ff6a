//! Making, changing, moving and deleting folders.

use serde_json::json;
use uuid::Uuid;

use super::Folder;
use crate::access::{Access, AddFolder, Caller, ChangeFolder, DeleteFolder, Permission, Rights, cannot_grant};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, Error, Refusal, Result, violates};
use crate::ids::{FolderId, OrganizationId};
use crate::objects::{self, Managed, check_description};
use crate::roles;
use crate::text::check_name;

/// A folder to be.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct NewFolder {
    pub name: String,
    pub description: Option<String>,
    /// The root if not given.
    pub parent_folder: Option<Uuid>,
}

/// What to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct FolderPatch {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub parent_folder: Option<Uuid>,
}

/// Makes a folder, with a built-in group for each built-in role.
///
/// Errors: 400 for a parent that is not there, 403 `permission_denied`, 409 `name_taken`, `too_deep`.
pub async fn create(tx: &mut Tx, by: &Access<AddFolder>, new: &NewFolder) -> Result<Folder> {
    let mut check = Check::default();
    let name = check_name(&mut check, &new.name);
    let description = check_description(&mut check, new.description.as_deref());
    check.done()?;
    crate::access::lock(tx).await?;
    let parent =
        objects::get_housing(tx, by.caller(), Permission::AddFolder, "parent_folder", new.parent_folder).await?;
    let id: FolderId = tx.new_id();
    sqlx::query!(
        "insert into folders (organization_id, id, parent_folder_id, name, description, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $6)",
        tx.organization_id() as OrganizationId,
        id as FolderId,
        parent as FolderId,
        name,
        description,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(misplaced)?;
    roles::create_builtin_groups(tx, id).await?;
    tx.audit(Event::new("folder.created", "folder", id, &name).with(json!({ "parent_folder": parent }))).await?;
    objects::load(tx, id.into()).await
}

/// Changes or moves a folder.
///
/// Errors: 400 for a parent that is not there, 403 `permission_denied`, `cannot_grant`, 409 `below_itself`, `too_deep`,
/// `name_taken`, `builtin` (the root), 412.
async fn change(
    tx: &mut Tx,
    by: &Access<ChangeFolder>,
    id: FolderId,
    patch: &FolderPatch,
    if_version: Option<i64>,
) -> Result<Folder> {
    let mut check = Check::default();
    let name = patch.name.as_deref().map(|name| check_name(&mut check, name));
    let description = patch.description.as_ref().map(|text| check_description(&mut check, text.as_deref()));
    check.done()?;
    let rights = Rights::lock(tx, by.caller()).await?;
    let old: Folder = objects::get_to_change(tx, by.caller(), id.into(), Permission::ChangeFolder, if_version).await?;
    let parent = match patch.parent_folder {
        Some(parent) if Some(parent) != old.parent_folder_id => Some(check_move(tx, by.caller(), &old, parent).await?),
        _ => None,
    };
    sqlx::query!(
        "update folders set name = coalesce($3, name), description = case when $4 then $5 else description end,
             parent_folder_id = coalesce($6, parent_folder_id), version = version + 1, updated_at = $7
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as FolderId,
        name,
        description.is_some(),
        description.flatten(),
        parent as Option<FolderId>,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(misplaced)?;
    rights.check(tx).await?;
    let new: Folder = objects::load(tx, id.into()).await?;
    let moved = parent.map(|parent| json!({ "from": old.parent_folder_id, "to": parent }));
    tx.audit(Event::new("folder.changed", "folder", id, &new.name).with(json!({ "moved": moved }))).await?;
    Ok(new)
}

/// A move gives whoever holds rights over the new parent the same over the folder: the caller must hold them there himself.
/// Groups that nobody is in, or is invited into, give nothing to anybody: those that a folder is born with are mostly so.
async fn check_move(tx: &mut Tx, caller: &Caller, folder: &Folder, parent: Uuid) -> Result<FolderId> {
    let parent = objects::get_housing(tx, caller, Permission::AddFolder, "parent_folder", Some(parent)).await?;
    let gained = sqlx::query_scalar!(
        r#"select array(select distinct given.permission
               from folders f
               join role_assignment_folders p on p.organization_id = f.organization_id and p.folder_id = any(f.ancestors)
               join role_assignments a on a.organization_id = p.organization_id and a.id = p.role_assignment_id
               join roles r on r.organization_id = a.organization_id and r.id = a.role_id
               cross join lateral unnest(r.permissions) given(permission)
               where f.organization_id = $1 and f.id = $2
                 and case when a.is_recursive then p.folder_id <> all($3)
                     else p.folder_id = $2 and given.permission in ('view_folder', 'change_folder', 'delete_folder') end
                 and (a.user_id is not null
                     or exists (select from user_group_members m
                         where m.organization_id = $1 and m.user_group_id = a.user_group_id)
                     or exists (select from invitation_user_groups j
                         join invitations i on i.organization_id = j.organization_id and i.id = j.invitation_id
                         where j.organization_id = $1 and j.user_group_id = a.user_group_id and i.state = 'open')
                     or exists (select from user_groups g
                         join invitations i on i.organization_id = g.organization_id and i.folder_id = g.folder_id
                         where g.organization_id = $1 and g.id = a.user_group_id
                           and i.role_id = g.builtin_role_id and i.state = 'open'))) as "gained!""#,
        tx.organization_id() as OrganizationId,
        parent as FolderId,
        &folder.ancestors
    )
    .fetch_one(tx.connection())
    .await?;
    if !caller.holder().holds(tx, &gained, folder.id.into(), true).await? {
        return Err(cannot_grant().into());
    }
    Ok(parent)
}

/// Says why a folder can't be where it was to be.
fn misplaced(error: sqlx::Error) -> Error {
    let reasons = [
        ("folders_no_cycle", "below_itself", "A folder can't be moved into itself or below itself."),
        ("folders_depth", "too_deep", "The tree has at most 64 levels."),
        ("folders_one_per_name", "name_taken", "There is a folder of this name here already."),
    ];
    let reason = reasons.into_iter().find(|(constraint, ..)| violates(&error, constraint));
    reason.map_or_else(|| error.into(), |(_, code, detail)| Refusal::conflict(code, detail).into())
}

impl Managed for Folder {
    type Patch = FolderPatch;
    type MayChange = ChangeFolder;
    type MayDelete = DeleteFolder;

    async fn change(
        tx: &mut Tx,
        by: &Access<ChangeFolder>,
        id: Uuid,
        patch: &FolderPatch,
        if_version: Option<i64>,
    ) -> Result<Self> {
        change(tx, by, id.into(), patch, if_version).await
    }

    /// Deletes a folder with all that is in it and below it. Invitations into it are revoked.
    ///
    /// Errors: 403 `permission_denied`, 409 `builtin`, `last_administrator`, `cannot_change_oneself`, 412.
    async fn delete(tx: &mut Tx, by: &Access<DeleteFolder>, id: Uuid, if_version: Option<i64>) -> Result<()> {
        objects::delete::<Folder>(tx, by.caller(), id, if_version, "folder.deleted").await
    }
}
