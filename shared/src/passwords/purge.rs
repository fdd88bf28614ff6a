//! Clearing away links to choose a password that are long dead.

use chrono::TimeDelta;

use crate::db::Tx;
use crate::error::Result;
use crate::ids::OrganizationId;
use crate::schedules::Part;

/// For how long a dead link still gets the reason why it is dead.
const KEPT: TimeDelta = TimeDelta::days(30);
/// How many a statement deletes.
const AT_A_TIME: i64 = 1_000;

/// Deletes some that were used, superseded or over for long. The mails about them stay.
pub async fn purge_some(tx: &mut Tx) -> Result<Part> {
    let purged = sqlx::query!(
        "with dead as (
             select id from password_resets
             where organization_id = $1 and least(used_at, superseded_at, valid_until) <= $2
             limit $3 for update skip locked)
         delete from password_resets p using dead where p.organization_id = $1 and p.id = dead.id",
        tx.organization_id() as OrganizationId,
        tx.now() - KEPT,
        AT_A_TIME
    )
    .execute(tx.connection())
    .await?;
    Ok(Part::of(purged.rows_affected(), AT_A_TIME))
}
