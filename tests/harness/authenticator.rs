//! An authenticator app, as people have it on their telephones.

use serde_json::Value;
use tenantry_shared::clock::Clock;
use totp_rs::Totp;

/// An app that was told a secret.
#[derive(Clone, Debug)]
pub struct Authenticator {
    totp: Totp,
    clock: Clock,
}

impl Authenticator {
    /// Reads the answer that begins an enrollment, as from a QR code. Its clock goes as this one.
    ///
    /// # Panics
    /// If it holds no address for apps.
    #[must_use]
    pub fn of(enrollment: &Value, clock: &Clock) -> Self {
        let totp = Totp::from_url(enrollment["otpauth_url"].as_str().expect("an address")).expect("an otpauth address");
        Self { totp, clock: clock.clone() }
    }

    /// The same of a secret that was typed, with spaces or without.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn of_secret(secret: &str, clock: &Clock) -> Self {
        let url = format!("otpauth://totp/acme:bob?issuer=acme&secret={}", secret.replace(' ', ""));
        Self::of(&serde_json::json!({ "otpauth_url": url }), clock)
    }

    /// The secret, in base32.
    #[must_use]
    pub fn secret(&self) -> String {
        self.totp.secret().to_base32()
    }

    /// The code that it shows now.
    #[must_use]
    pub fn code(&self) -> String {
        self.code_in(0)
    }

    /// The code that it shows in so many steps of thirty seconds; before now, if negative.
    ///
    /// # Panics
    /// Before 1970.
    #[must_use]
    pub fn code_in(&self, steps: i64) -> String {
        let seconds = self.clock.now().timestamp() + 30 * steps;
        self.totp.generate(u64::try_from(seconds).expect("after 1970")).to_string()
    }
}
