//! Signing reports of delivery, as the mail system does.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What the API under test and the mail system that reports to it share.
pub const EMAIL_EVENTS_SECRET: &str = "shared with the mail system, in tests only";

/// The HMAC-SHA256 of time, dot and body, in hex.
#[must_use]
pub fn signature(secret: &str, time: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(format!("{time}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
