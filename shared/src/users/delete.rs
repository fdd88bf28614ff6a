//! Deleting users.

use super::{keep_a_superuser, lock, may_manage};
use crate::access::{Access, DeleteUser};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};

/// Deletes a user with his sessions and tokens. What he did stays in the audit log, under his name.
pub async fn delete(tx: &mut Tx, by: &Access<DeleteUser>, id: UserId, if_version: Option<i64>) -> Result<()> {
    let caller = by.caller();
    let user = lock(tx, id).await?;
    if if_version.is_some_and(|version| version != user.version) {
        return Err(Refusal::stale().into());
    }
    may_manage(tx, caller.user_id, id).await?;
    if user.is_superuser {
        keep_a_superuser(tx, id).await?;
    }
    if id == caller.user_id {
        return Err(Refusal::conflict("cannot_change_oneself", "Nobody deletes himself.").into());
    }
    sqlx::query!(
        "delete from users where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as UserId
    )
    .execute(tx.connection())
    .await?;
    tx.audit(Event::new("user.deleted", "user", id, &user.email)).await
}
