//! A new password in place of the present one, by whoever knows it.

use secrecy::SecretString;

use super::{Wearer, check_policy, check_same, store};
use crate::access::{Access, Oneself, Origin};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::sessions::{self, Door};

/// What changing one's own password takes.
#[derive(Debug)]
pub struct Change {
    /// The present one.
    pub old: SecretString,
    /// The one to be.
    pub new: SecretString,
    /// The one to be, typed again.
    pub confirm: SecretString,
}

/// Changes one's own password. Every other session ends.
pub async fn change(door: &Door<'_>, tx: Tx, by: &Access<Oneself>, change: Change, origin: Origin) -> Result<()> {
    check_same("confirm_new_password", &change.new, &change.confirm)?;
    let caller = by.caller();
    let mut tx = tx;
    let user = get_password(&mut tx, caller.user_id).await?;
    drop(tx);
    let attempt = door.limiter.own_secret(caller.user_id).await?;
    if !door.hasher.verify(&change.old, user.hash.clone()).await? {
        return Err(Refusal::invalid_field("old_password", "wrong_password", "This is not your password.").into());
    }
    attempt.succeeded().await;
    let wearer = Wearer { email: &caller.email, organization: &user.organization };
    check_policy("new_password", &change.new, user.min_length, &wearer)?;
    let hash = door.hasher.hash(&change.new).await?;
    let mut tx = door.db.begin(&caller.tenant, caller.actor(), origin).await?;
    if get_password(&mut tx, caller.user_id).await?.hash != user.hash {
        return Err(Refusal::conflict("password_changed_meanwhile", "Your password was changed meanwhile.").into());
    }
    store(&mut tx, caller.user_id, &hash, false).await?;
    sessions::kill_all(&mut tx, caller.user_id, caller.session()).await?;
    tx.audit(Event::new("password.changed", "user", caller.user_id, &caller.email)).await?;
    tx.commit().await
}

struct Stored {
    hash: Option<String>,
    min_length: i32,
    organization: String,
}

async fn get_password(tx: &mut Tx, user: UserId) -> Result<Stored> {
    let row = sqlx::query!(
        "select u.password_hash, o.password_min_length, o.name from users u
         join organizations o on o.organization_id = u.organization_id
         where u.organization_id = $1 and u.id = $2 for update of u",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Stored { hash: row.password_hash, min_length: row.password_min_length, organization: row.name })
}
