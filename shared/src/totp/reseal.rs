//! Seeds that are sealed anew.

use super::codes::owner;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{OrganizationId, UserId};
use crate::seal::{Sealed, Seals};

/// Seals the organization's seeds with the key of now that are sealed with another one. Answers how many.
pub(crate) async fn reseal(tx: &mut Tx, seals: &Seals) -> Result<u64> {
    let rows = sqlx::query!(
        r#"select user_id as "user_id: UserId", sealed, key_id from totp_secrets
           where organization_id = $1 and key_id <> $2 order by user_id for update"#,
        tx.organization_id() as OrganizationId,
        seals.key_id()
    )
    .fetch_all(tx.connection())
    .await?;
    let mut count = 0;
    for row in rows {
        let sealed = Sealed { bytes: row.sealed, key_id: row.key_id };
        let Sealed { bytes, key_id } = seals.renew(&sealed, &owner(tx.tenant(), row.user_id))?;
        sqlx::query!(
            "update totp_secrets set sealed = $3, key_id = $4 where organization_id = $1 and user_id = $2",
            tx.organization_id() as OrganizationId,
            row.user_id as UserId,
            bytes,
            key_id
        )
        .execute(tx.connection())
        .await?;
        count += 1;
    }
    Ok(count)
}
