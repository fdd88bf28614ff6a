//! Taking an invitation back, and what every end of one has in common.

use super::{Status, demand_held, status};
use crate::access::{Access, InviteUser};
use crate::audit::Event;
use crate::db::Tx;
use crate::emails;
use crate::error::{Refusal, Result};
use crate::ids::{EmailId, InvitationId, OrganizationId};

/// Revokes an invitation: its link is dead at once, and a mail not yet sent is not sent. Revoking one that is revoked or
/// expired is harmless.
///
/// Errors: 403 `permission_denied`, 409 `invitation_accepted`, `invitation_declined`, 412.
pub async fn revoke(tx: &mut Tx, by: &Access<InviteUser>, id: InvitationId, if_version: Option<i64>) -> Result<()> {
    demand_held(tx, by.caller(), id).await?;
    let row = sqlx::query!(
        r#"select invitee_identifier, state, valid_until, version from invitations
           where organization_id = $1 and id = $2 for update"#,
        tx.organization_id() as OrganizationId,
        id as InvitationId
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    if if_version.is_some_and(|version| version != row.version) {
        return Err(Refusal::stale().into());
    }
    match status(&row.state, row.valid_until, tx.now()) {
        Status::Accepted => {
            return Err(Refusal::conflict("invitation_accepted", "It was accepted: the invitee is a user now.").into());
        }
        Status::Declined => return Err(Refusal::conflict("invitation_declined", "It was declined.").into()),
        Status::Revoked => return Ok(()),
        Status::Pending | Status::Expired => {}
    }
    close(tx, id, "revoked").await?;
    tx.audit(Event::new("invitation.revoked", "invitation", id, &row.invitee_identifier)).await
}

/// Revokes an invitation whose folder is deleted.
pub(crate) async fn revoke_with_folder(tx: &mut Tx, id: InvitationId) -> Result<()> {
    close(tx, id, "revoked").await
}

/// Revokes every invitation of the organization that is open. Their mails are the caller's to withdraw.
pub(crate) async fn revoke_all(tx: &mut Tx) -> Result<u64> {
    let revoked = sqlx::query!(
        "update invitations set state = 'revoked', closed_at = $2, version = version + 1
         where organization_id = $1 and state = 'open'",
        tx.organization_id() as OrganizationId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(revoked.rows_affected())
}

/// Ends an invitation. Its mail, if it waits still, is withdrawn.
pub(super) async fn close(tx: &mut Tx, id: InvitationId, state: &str) -> Result<()> {
    let row = sqlx::query!(
        r#"update invitations set state = $3, closed_at = $4, version = version + 1
           where organization_id = $1 and id = $2 returning email_id as "email_id: EmailId""#,
        tx.organization_id() as OrganizationId,
        id as InvitationId,
        state,
        tx.now()
    )
    .fetch_one(tx.connection())
    .await?;
    match row.email_id {
        Some(email) => emails::cancel(tx, email).await,
        None => Ok(()),
    }
}
