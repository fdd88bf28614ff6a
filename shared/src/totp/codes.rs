//! Seeds, and the codes that an app makes of them.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use totp_rs::{Algorithm, Builder, Totp};
use uuid::Uuid;

use super::Factor;
use crate::error::{Error, Refusal, Result};
use crate::ids::UserId;
use crate::seal::Seals;
use crate::secret::fill_random;
use crate::tenant::Tenant;

/// As RFC 4226 recommends.
const SEED: usize = 20;

/// A new seed.
pub(super) fn new_seed() -> Result<SecretSlice<u8>> {
    let mut seed = vec![0; SEED];
    fill_random(&mut seed)?;
    Ok(seed.into())
}

/// What every app can do: SHA-1, six digits, thirty seconds. One step of tolerance either side, for clocks and slow fingers.
pub(super) fn totp(seed: &SecretSlice<u8>, issuer: &str, account: &str) -> Result<Totp> {
    // A colon stands between the two in the URL.
    let text = |text: &str| text.replace(':', " ");
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(30)
        .with_skew(1)
        .with_secret(seed.expose_secret().to_vec())
        .with_issuer(Some(text(issuer)))
        .with_account_name(text(account))
        .build()
        .map_err(|e| Error::Internal(format!("a seed of our own: {e}")))
}

/// What a seed is bound to where it is stored.
pub(super) fn owner(tenant: &Tenant, user: UserId) -> Vec<u8> {
    [*Uuid::from(tenant.id()).as_bytes(), *Uuid::from(user).as_bytes()].concat()
}

/// Which time step a code is of, if it is one of now. People type codes in groups of three.
///
/// Errors: 409 `second_factor_unreadable`.
pub(super) fn step_of(
    seals: &Seals,
    tenant: &Tenant,
    factor: &Factor,
    code: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).take(7).collect();
    let seed = seals.open(&factor.sealed, &owner(tenant, factor.user_id)).map_err(|error| {
        tracing::error!(%error, user = %factor.user_id, "a second factor can't be read");
        unreadable()
    })?;
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let step = totp(&seed, "", "")?.check(&code, seconds);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

/// For people: no code is right, whatever they type.
fn unreadable() -> Refusal {
    let detail = "Codes can't be checked: what they are made of is encrypted with a server key that this service does not have. \
                  Whoever runs it must set that key again. Until then, a recovery code works.";
    Refusal::conflict("second_factor_unreadable", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_6238() {
        let seed: SecretSlice<u8> = b"12345678901234567890".to_vec().into();
        let totp = totp(&seed, "Acme: Zebras", "bob@example.com").expect("a seed");
        // Appendix B, of whose eight digits an app of six shows the last.
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(totp.generate(seconds).to_string(), code);
            assert_eq!(totp.check(code, seconds), Some(seconds / 30));
            assert_eq!(totp.check(code, seconds + 30), Some(seconds / 30));
            assert_eq!(totp.check(code, seconds - 30), Some(seconds / 30));
            assert_eq!(totp.check(code, seconds + 60), None);
        }
        let url = totp.to_url().expect("a URL");
        assert!(url.starts_with("otpauth://totp/Acme%20%20Zebras:bob%40example.com?secret=GEZDGNBVGY3TQOJQ"), "{url}");
    }
}
