//! From a new seed to a second factor that is on.

use secrecy::SecretString;
use totp_rs::Totp;

use super::{Factor, demand, lock, recovery};
use crate::access::{Access, InPerson, Origin};
use crate::audit::Event;
use crate::db::Tx;
use crate::emails::{self, Kind};
use crate::error::{Error, Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::seal::{Sealed, Seals};
use crate::sessions::{self, Door, lock_caller};
use crate::{passwords, personal_access_tokens};

use super::codes::{new_seed, owner, totp};
use super::recovery::RecoveryCodes;

/// What an authenticator app is told. Shown once: nobody can ask for it again.
pub struct Enrollment(Totp);

impl std::fmt::Debug for Enrollment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Enrollment")
    }
}

impl Enrollment {
    /// The seed, in base32, to be typed.
    #[must_use]
    pub fn secret(&self) -> String {
        self.0.secret().to_base32()
    }

    /// The same as an address that apps open, or read from a QR code.
    pub fn otpauth_url(&self) -> Result<String> {
        self.0.to_url().map_err(|e| Error::Internal(format!("no otpauth URL: {e}")))
    }
}

fn already_enabled() -> Refusal {
    Refusal::conflict("totp_already_enabled", "A second factor is on already. Switch it off to set up another one.")
}

/// Makes a seed for the caller, in place of one that was not confirmed. Nothing is demanded of him before [`confirm`].
///
/// Errors: 409 `totp_already_enabled`.
pub async fn begin(tx: &mut Tx, by: &Access<InPerson>, seals: &Seals) -> Result<Enrollment> {
    let caller = by.caller();
    lock_caller(tx, caller).await?;
    if lock(tx, caller.user_id).await?.is_some_and(|factor| factor.confirmed_at.is_some()) {
        return Err(already_enabled().into());
    }
    let seed = new_seed()?;
    let issuer = sqlx::query_scalar!(
        "select name from organizations where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    let enrollment = totp(&seed, &issuer, &caller.email)?;
    let Sealed { bytes, key_id } = seals.seal(enrollment.secret().as_bytes(), &owner(tx.tenant(), caller.user_id))?;
    sqlx::query!(
        "insert into totp_secrets (organization_id, user_id, sealed, key_id, created_at) values ($1, $2, $3, $4, $5)
         on conflict on constraint totp_secrets_pkey do update
         set sealed = excluded.sealed, key_id = excluded.key_id, created_at = excluded.created_at, last_step = 0,
             wrong_codes = 0, last_wrong_at = null",
        tx.organization_id() as OrganizationId,
        caller.user_id as UserId,
        bytes,
        key_id,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    tx.audit(Event::new("totp.begun", "user", caller.user_id, &caller.email)).await?;
    Ok(Enrollment(enrollment))
}

/// What switching a second factor on takes.
#[derive(Debug)]
pub struct Proof {
    /// A code that the app shows.
    pub code: String,
    /// The present password, of whoever has one: with a session that he has stolen, nobody locks its owner out.
    pub password: Option<SecretString>,
}

/// Switches the caller's second factor on, for a code that his app shows and his password. His other sessions and his personal
/// access tokens end: they were begun with less than is demanded from now on. He is told by mail.
///
/// Errors: 400 `required` or `wrong_password` at `password`, `invalid_code` at `code`; 409 `totp_not_begun`,
/// `totp_already_enabled`, `password_changed_meanwhile`; 429 `too_many_attempts`, `too_many_codes`.
pub async fn confirm(
    door: &Door<'_>,
    mut tx: Tx,
    by: &Access<InPerson>,
    proof: Proof,
    origin: Origin,
) -> Result<RecoveryCodes> {
    let caller = by.caller();
    let hash = passwords::get_own(&mut tx, caller.user_id).await?.hash;
    demand_pending(&mut tx, caller.user_id).await?;
    drop(tx);
    if hash.is_some() {
        let message = "The present password is needed.";
        let password = proof.password.ok_or_else(|| Refusal::invalid_field("password", "required", message))?;
        passwords::demand_own(door, caller.user_id, "password", &password, hash.clone()).await?;
    }
    // Looking at a password takes a while, so no transaction was held open: look again.
    let mut tx = door.db.begin(&caller.tenant, caller.actor(), origin).await?;
    lock_caller(&mut tx, caller).await?;
    if passwords::get_own(&mut tx, caller.user_id).await?.hash != hash {
        return Err(passwords::changed_meanwhile().into());
    }
    let factor = demand_pending(&mut tx, caller.user_id).await?;
    let mut tx = demand(tx, &door.keys.seals, &factor, &proof.code).await?;
    switch_on(&mut tx, caller.user_id).await?;
    let codes = recovery::renew(&mut tx, caller.user_id).await?;
    sessions::kill_all(&mut tx, caller.user_id, caller.session()).await?;
    personal_access_tokens::kill_all(&mut tx, caller.user_id).await?;
    emails::queue_to_user(&mut tx, Kind::SecondFactorEnabled, caller.user_id).await?;
    tx.audit(Event::new("totp.enabled", "user", caller.user_id, &caller.email)).await?;
    tx.commit().await?;
    Ok(codes)
}

/// A second factor that was begun and not confirmed, locked.
async fn demand_pending(tx: &mut Tx, user: UserId) -> Result<Factor> {
    match lock(tx, user).await? {
        Some(factor) if factor.confirmed_at.is_none() => Ok(factor),
        Some(_) => Err(already_enabled().into()),
        None => {
            let detail = "There is nothing to confirm: ask for a secret first, by a request without a code.";
            Err(Refusal::conflict("totp_not_begun", detail).into())
        }
    }
}

async fn switch_on(tx: &mut Tx, user: UserId) -> Result<()> {
    sqlx::query!(
        "update totp_secrets set confirmed_at = $3 where organization_id = $1 and user_id = $2",
        tx.organization_id() as OrganizationId,
        user as UserId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
