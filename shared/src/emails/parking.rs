//! Mails whose job was put aside, and taken up again.

use super::GIVE_UP_AFTER;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{EmailId, OrganizationId};

/// Gives up a mail whose job is put aside in the same transaction. An administrator can retry it. Its inviter is not told: it was not the address
/// that failed.
pub async fn give_up(tx: &mut Tx, id: EmailId) -> Result<()> {
    sqlx::query!(
        "update email_messages set status = 'failed', last_error = 'The worker ended several times over this mail.',
             version = version + 1
         where organization_id = $1 and id = $2 and status in ('queued', 'sending', 'deferred')",
        tx.organization_id() as OrganizationId,
        id as EmailId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes up again what [`give_up`] has given up.
pub(crate) async fn requeue(tx: &mut Tx, id: EmailId) -> Result<()> {
    sqlx::query!(
        "update email_messages set status = 'queued', attempts = 0, give_up_at = $3, version = version + 1
         where organization_id = $1 and id = $2 and status = 'failed'",
        tx.organization_id() as OrganizationId,
        id as EmailId,
        tx.now() + GIVE_UP_AFTER
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
