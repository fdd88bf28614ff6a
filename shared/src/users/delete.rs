//! Deleting users.

use super::{User, lock, may_manage};
use crate::access::{Access, Caller, DeleteUser, Rights};
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::UserId;
use crate::objects::{self, Cascade, drop_object};

/// Deletes a user with his credentials and what was assigned to him. What he did stays in the audit log, under his address.
///
/// Errors: 403 `permission_denied`, `outranked`, 409 `last_superuser`, `last_administrator`, `cannot_change_oneself`, 412.
pub(super) async fn delete(tx: &mut Tx, by: &Access<DeleteUser>, id: UserId, if_version: Option<i64>) -> Result<()> {
    let rights = Rights::lock(tx, by.caller()).await?;
    let user = get_to_delete(tx, by.caller(), id, if_version).await?;
    lock(tx, id).await?;
    drop_object(tx, &user, "user.deleted").await?;
    rights.check(tx).await?;
    not_oneself(by.caller(), id)
}

/// What deleting a user would do.
///
/// Errors: 403 `permission_denied`, `outranked`, 409 `cannot_change_oneself`.
pub async fn cascade(tx: &mut Tx, by: &Access<DeleteUser>, id: UserId) -> Result<Cascade> {
    let user = get_to_delete(tx, by.caller(), id, None).await?;
    not_oneself(by.caller(), id)?;
    objects::preview(tx, by.caller(), &user).await
}

async fn get_to_delete(tx: &mut Tx, caller: &Caller, id: UserId, if_version: Option<i64>) -> Result<User> {
    let permission = crate::access::Permission::DeleteUser;
    let user: User = objects::get_to_change(tx, caller, id.into(), permission, if_version).await?;
    may_manage(tx, caller, id).await?;
    Ok(user)
}

fn not_oneself(caller: &Caller, id: UserId) -> Result<()> {
    if id == caller.user_id {
        return Err(Refusal::conflict("cannot_change_oneself", "Nobody deletes himself.").into());
    }
    Ok(())
}
