//! Signed requests of other systems: `t=<unix time>,v1=<hex HMAC-SHA256 of "t.body">`.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// How old, or how far in the future, a signature may be, in seconds.
const TOLERANCE: u64 = 300;
/// How many `v1=` are looked at: a sender who changes his secret sends two.
const CANDIDATES: usize = 4;

/// A secret shared with whoever signs.
#[derive(Clone, Debug)]
pub struct SigningSecret(SecretString);

impl SigningSecret {
    /// Takes the secret; none if it is shorter than 32 characters.
    #[must_use]
    pub fn new(secret: SecretString) -> Option<Self> {
        (secret.expose_secret().chars().count() >= 32).then_some(Self(secret))
    }

    /// Whether a header signs these bytes, now. Compares in constant time.
    #[must_use]
    pub fn verifies(&self, header: &str, body: &[u8], now: DateTime<Utc>) -> bool {
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let mut times = parts().filter(|(name, _)| *name == "t").map(|(_, value)| value);
        let (Some(time), None) = (times.next(), times.next()) else { return false };
        if !time.parse::<i64>().is_ok_and(|at| at.abs_diff(now.timestamp()) <= TOLERANCE) {
            return false;
        }
        let signatures = parts().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| from_hex(value));
        // Each is compared, whatever came of the one before.
        signatures.take(CANDIDATES).fold(false, |good, mac| self.mac(time, body).verify_slice(&mac).is_ok() | good)
    }

    fn mac(&self, time: &str, body: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes()).expect("a key of any length");
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret for tests only: 0123456789abcdef";
    // printf '1795961100.[]' | openssl dgst -sha256 -hmac "$SECRET"
    const GOOD: &str = "a07c3101a2abf7a1339947a34d01d928303c2c72c17d068842d385006fb3a948";

    fn verifies(header: &str, body: &str, now: i64) -> bool {
        let secret = SigningSecret::new(SECRET.to_owned().into()).expect("long enough");
        secret.verifies(header, body.as_bytes(), DateTime::from_timestamp(now, 0).expect("a time"))
    }

    #[test]
    fn what_openssl_signs_is_good_for_five_minutes_both_ways() {
        let header = format!("t=1795961100,v1={GOOD}");
        for (now, good) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
            assert_eq!(verifies(&header, "[]", 1_795_961_100 + now), good, "{now}");
        }
        assert!(verifies(&format!("t=1795961100, v1={}", GOOD.to_uppercase()), "[]", 1_795_961_100));
        assert!(!verifies(&header, "[ ]", 1_795_961_100));
    }

    #[test]
    fn one_good_signature_among_several_is_enough() {
        let other = "0".repeat(64);
        assert!(verifies(&format!("t=1795961100,v1={other},v1={GOOD}"), "[]", 1_795_961_100));
        assert!(verifies(&format!("t=1795961100,v1={GOOD},v1=nonsense,v0=x"), "[]", 1_795_961_100));
        assert!(!verifies(&format!("t=1795961100,v1={other}"), "[]", 1_795_961_100));
    }

    #[test]
    fn what_is_no_signature_is_none() {
        let long = format!("t=1795961100,v1={}", "é".repeat(32));
        for header in [
            "",
            "t=1795961100",
            &format!("v1={GOOD}"),
            &format!("t=,v1={GOOD}"),
            &format!("t=1795961100,t=1795961100,v1={GOOD}"),
            &format!("t=-9223372036854775808,v1={GOOD}"),
            &format!("t=1795961101,v1={GOOD}"),
            &format!("t=1795961100,v1={}", &GOOD[..62]),
            &long,
        ] {
            assert!(!verifies(header, "[]", 1_795_961_100), "{header}");
        }
        assert!(SigningSecret::new("short".to_owned().into()).is_none());
    }
}
