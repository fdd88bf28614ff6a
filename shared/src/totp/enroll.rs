//! From a new seed to a second factor that is on.

use totp_rs::Totp;

use super::{Factor, demand, lock, recovery, wrong_code};
use crate::access::{Access, InPerson};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Error, Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::seal::{Sealed, Seals};
use crate::sessions;

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

/// Switches the caller's second factor on, for a code that his app shows. His other sessions end: they were begun with less
/// than is demanded from now on.
///
/// Errors: 400 `invalid_code` at `code`; 409 `totp_not_begun`, `totp_already_enabled`; 429 `too_many_codes`.
pub async fn confirm(mut tx: Tx, by: &Access<InPerson>, seals: &Seals, code: &str) -> Result<RecoveryCodes> {
    let caller = by.caller();
    let factor: Factor = match lock(&mut tx, caller.user_id).await? {
        Some(factor) if factor.confirmed_at.is_none() => factor,
        Some(_) => return Err(already_enabled().into()),
        None => {
            let detail = "There is nothing to confirm: ask for a secret first, by a request without a code.";
            return Err(Refusal::conflict("totp_not_begun", detail).into());
        }
    };
    let mut tx = demand(tx, seals, &factor, code, wrong_code).await?;
    sqlx::query!(
        "update totp_secrets set confirmed_at = $3 where organization_id = $1 and user_id = $2",
        tx.organization_id() as OrganizationId,
        caller.user_id as UserId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let codes = recovery::renew(&mut tx, caller.user_id).await?;
    sessions::kill_all(&mut tx, caller.user_id, caller.session()).await?;
    tx.audit(Event::new("totp.enabled", "user", caller.user_id, &caller.email)).await?;
    tx.commit().await?;
    Ok(codes)
}
