//! Switching a second factor off: by its owner, who shows it once more, or by an administrator for whoever has lost it.

use super::{demand_of_caller, lock_enabled, not_enabled};
use crate::access::{Access, InPerson, Permission, SetPassword};
use crate::audit::Event;
use crate::db::Tx;
use crate::emails::{self, Kind};
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::seal::Seals;
use crate::{sessions, users};

/// Switches the caller's second factor off, for a code of either kind.
///
/// Errors: 400 `invalid_code` at `code`; 409 `totp_not_enabled`, `second_factor_demanded`; 429 `too_many_codes`.
pub async fn remove(mut tx: Tx, by: &Access<InPerson>, seals: &Seals, code: &str) -> Result<()> {
    let caller = by.caller();
    // Shared with others who remove theirs, and not with whoever makes the organization demand one just now.
    let is_demanded = sqlx::query_scalar!(
        "select mfa_required from organizations where organization_id = $1 for share",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    if is_demanded {
        let detail = "Your organization demands a second factor. An administrator can remove it if you have lost it.";
        return Err(Refusal::conflict("second_factor_demanded", detail).into());
    }
    let mut tx = demand_of_caller(tx, seals, caller, code).await?;
    delete(&mut tx, caller.user_id).await?;
    tx.audit(Event::new("totp.disabled", "user", caller.user_id, &caller.email)).await?;
    tx.commit().await
}

/// Switches the second factor of someone else off, who has lost it. His sessions end, and he is told by mail. It takes the
/// same right as to set his password, for it takes away as much.
///
/// Errors: 403 `outranked`; 404; 409 `cannot_change_oneself`, `totp_not_enabled`.
pub async fn reset(tx: &mut Tx, by: &Access<SetPassword>, user: UserId) -> Result<()> {
    let caller = by.caller();
    if user == caller.user_id {
        let detail = "Switch off your own second factor with a code, or with a recovery code.";
        return Err(Refusal::conflict("cannot_change_oneself", detail).into());
    }
    let found = users::lock_held(tx, caller, user, Permission::SetPassword).await?;
    lock_enabled(tx, user).await?.ok_or_else(not_enabled)?;
    delete(tx, user).await?;
    sessions::kill_credentials(tx, user).await?;
    emails::queue_to_user(tx, Kind::SecondFactorRemoved, user).await?;
    tx.audit(Event::new("totp.reset", "user", user, &found.email)).await
}

async fn delete(tx: &mut Tx, user: UserId) -> Result<()> {
    sqlx::query!(
        "delete from totp_secrets where organization_id = $1 and user_id = $2",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
