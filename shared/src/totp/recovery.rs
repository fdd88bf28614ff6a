//! Recovery codes: ten, each for once, in place of a code of the app.

use base32::Alphabet;
use sha2::{Digest, Sha256};

use super::demand_of_caller;
use crate::access::{Access, InPerson};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{OrganizationId, UserId};
use crate::seal::Seals;
use crate::secret::fill_random;

/// How many there are in a set.
const COUNT: usize = 10;
/// Random bytes of each: 120 bits, so that a digest without salt or cost can't be searched (OWASP ASVS 5.0, 6.5.2: 112).
const BYTES: usize = 15;
/// Crockford's: no letter that looks like a digit, and those that do are read as it.
const ALPHABET: Alphabet = Alphabet::Crockford;

/// A set of recovery codes: the only moment they are known.
pub struct RecoveryCodes(Vec<String>);

impl std::fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryCodes")
    }
}

impl RecoveryCodes {
    /// To be shown once: four groups of six, in lower case.
    #[must_use]
    pub fn expose(self) -> Vec<String> {
        self.0
    }
}

/// A new set in place of the present one, for a code of either kind.
///
/// Errors: 400 `invalid_code` at `code`, 409 `totp_not_enabled`, 429 `too_many_codes`.
pub async fn replace(tx: Tx, by: &Access<InPerson>, seals: &Seals, code: &str) -> Result<RecoveryCodes> {
    let caller = by.caller();
    let mut tx = demand_of_caller(tx, seals, caller, code).await?;
    let codes = renew(&mut tx, caller.user_id).await?;
    tx.audit(Event::new("recovery_codes.replaced", "user", caller.user_id, &caller.email)).await?;
    tx.commit().await?;
    Ok(codes)
}

/// Makes a set. The one before it, or what is left of it, is dead.
pub(super) async fn renew(tx: &mut Tx, user: UserId) -> Result<RecoveryCodes> {
    let mut random = [0; COUNT * BYTES];
    fill_random(&mut random)?;
    let codes: Vec<String> = random.chunks(BYTES).map(|bytes| base32::encode(ALPHABET, bytes).to_lowercase()).collect();
    let digests: Vec<Vec<u8>> = codes.iter().filter_map(|code| digest(code)).collect();
    sqlx::query!(
        "delete from recovery_codes where organization_id = $1 and user_id = $2",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into recovery_codes (organization_id, user_id, digest) select $1, $2, unnest($3::bytea[])",
        tx.organization_id() as OrganizationId,
        user as UserId,
        &digests
    )
    .execute(tx.connection())
    .await?;
    Ok(RecoveryCodes(codes.iter().map(|code| grouped(code)).collect()))
}

/// Uses a code up, if it is one of the user's. The factor is locked: of two requests with one code, one finds it.
pub(super) async fn take(tx: &mut Tx, user: UserId, code: &str) -> Result<bool> {
    let Some(digest) = digest(code) else { return Ok(false) };
    let taken = sqlx::query!(
        "delete from recovery_codes where organization_id = $1 and user_id = $2 and digest = $3",
        tx.organization_id() as OrganizationId,
        user as UserId,
        digest
    )
    .execute(tx.connection())
    .await?;
    if taken.rows_affected() == 0 {
        return Ok(false);
    }
    let name = match tx.actor() {
        crate::access::Actor::User { name, .. } => name.clone(),
        _ => String::new(),
    };
    tx.audit(Event::new("recovery_code.used", "user", user, &name)).await?;
    Ok(true)
}

fn grouped(code: &str) -> String {
    let groups: Vec<&str> = (0..code.len()).step_by(6).filter_map(|at| code.get(at..at + 6)).collect();
    groups.join("-")
}

/// SHA-256 of what a code means, however it is typed; none if it can't be one.
fn digest(code: &str) -> Option<Vec<u8>> {
    let typed: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').take(25).collect();
    let bytes = base32::decode(ALPHABET, &typed).filter(|bytes| bytes.len() == BYTES && typed.len() == 24)?;
    Some(Sha256::digest(bytes).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_is_read_however_it_is_typed() {
        let code = base32::encode(ALPHABET, &[0x84; BYTES]).to_lowercase();
        let shown = grouped(&code);
        assert_eq!((code.len(), shown.len(), shown.matches('-').count()), (24, 27, 3), "{shown}");
        let expected = digest(&code).expect("a code");
        for typed in [shown.clone(), shown.to_uppercase(), shown.replace('-', " "), format!(" {shown}\t")] {
            assert_eq!(digest(&typed).as_ref(), Some(&expected), "{typed:?}");
        }
        let confused = |text: &str| digest(&text.repeat(24));
        assert_eq!(confused("o"), confused("0"));
        assert_eq!(confused("l"), confused("1"));
        for bad in ["", "123456", &code[1..], &format!("{code}0"), &"u".repeat(24), &"ä".repeat(24)] {
            assert_eq!(digest(bad), None, "{bad:?}");
        }
    }
}
