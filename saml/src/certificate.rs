//! X.509 certificates: of identity providers, pinned; and ours.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::x509::X509;

/// More than any certificate has.
const MAX_TEXT: usize = 64 * 1024;

/// An X.509 certificate whose key is good enough: RSA of 2,048 to 8,192 bits, or an elliptic curve P-256, P-384 or P-521.
///
/// Its times, its issuer and its extensions are not looked at: an identity provider's certificate is pinned, it is its key
/// that is trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    kind: KeyKind,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

/// What a key can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Rsa,
    EllipticCurve,
}

/// Why something is not a certificate that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// Neither PEM, nor base64, nor DER.
    #[error("is not an X.509 certificate: PEM or base64 is expected")]
    Unreadable,
    /// PEM with more than one.
    #[error("has several certificates: give each by itself")]
    Several,
    /// A private key: it must not be sent to anyone.
    #[error("is a private key, which nobody else should have: give the certificate")]
    PrivateKey,
    /// RSA below 2,048 bits.
    #[error("has an RSA key of less than 2048 bits")]
    WeakKey,
    /// DSA, Ed25519, another curve, more than 8,192 bits…
    #[error("has a key of another kind than RSA or an elliptic curve P-256, P-384 or P-521")]
    KeyKind,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", self.fingerprint())
    }
}

impl Certificate {
    /// Reads PEM, or bare base64 as metadata has it, with or without line breaks.
    pub fn from_text(text: &str) -> Result<Self, BadCertificate> {
        if text.len() > MAX_TEXT {
            return Err(BadCertificate::Unreadable);
        }
        if text.contains("PRIVATE KEY-----") {
            return Err(BadCertificate::PrivateKey);
        }
        if text.contains("-----BEGIN") {
            let found = X509::stack_from_pem(text.as_bytes()).map_err(|_| BadCertificate::Unreadable)?;
            return match found.as_slice() {
                [one] => Self::new(one),
                [] => Err(BadCertificate::Unreadable),
                _ => Err(BadCertificate::Several),
            };
        }
        let bare: String = text.split_ascii_whitespace().collect();
        Self::from_der(&BASE64_STANDARD.decode(bare).map_err(|_| BadCertificate::Unreadable)?)
    }

    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Self, BadCertificate> {
        let Ok(x509) = X509::from_der(der) else {
            let is_private = der.len() <= MAX_TEXT && PKey::private_key_from_der(der).is_ok();
            return Err(if is_private { BadCertificate::PrivateKey } else { BadCertificate::Unreadable });
        };
        let read = Self::new(&x509)?;
        // Nothing may follow it: two texts would be one certificate.
        if read.der == der { Ok(read) } else { Err(BadCertificate::Unreadable) }
    }

    pub(crate) fn new(x509: &X509) -> Result<Self, BadCertificate> {
        let unreadable = |_| BadCertificate::Unreadable;
        Ok(Self {
            kind: key_kind(&x509.public_key().map_err(|_| BadCertificate::KeyKind)?)?,
            not_before: time(x509.not_before()).ok_or(BadCertificate::Unreadable)?,
            not_after: time(x509.not_after()).ok_or(BadCertificate::Unreadable)?,
            der: x509.to_der().map_err(unreadable)?,
        })
    }

    /// DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Base64 of the DER, in one line.
    pub(crate) fn base64(&self) -> String {
        BASE64_STANDARD.encode(&self.der)
    }

    /// PEM, with a line break at its end.
    pub fn pem(&self) -> String {
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for line in self.base64().as_bytes().chunks(64) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// SHA-256 of the DER, hexadecimal, lower case.
    pub fn fingerprint(&self) -> String {
        hexadecimal(&openssl::sha::sha256(&self.der))
    }

    /// From when on it is valid.
    pub fn not_before(&self) -> DateTime<Utc> {
        self.not_before
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// Whose it is, as it says itself, for people: `CN=idp.example.com, O=Example`.
    pub fn subject(&self) -> String {
        let Ok(x509) = X509::from_der(&self.der) else { return String::new() };
        let parts = x509.subject_name().entries().map(|entry| {
            let name = entry.object().nid().short_name().unwrap_or("?");
            let value = entry.data().to_string().unwrap_or_default();
            format!("{name}={value}")
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn kind(&self) -> KeyKind {
        self.kind
    }

    pub(crate) fn public_key(&self) -> Result<PKey<Public>, openssl::error::ErrorStack> {
        X509::from_der(&self.der)?.public_key()
    }
}

fn key_kind(key: &PKey<Public>) -> Result<KeyKind, BadCertificate> {
    match key.id() {
        Id::RSA if key.bits() < 2048 => Err(BadCertificate::WeakKey),
        // A larger one would make each verification slow.
        Id::RSA if key.bits() <= 8192 => Ok(KeyKind::Rsa),
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            match curve {
                Some(Nid::X9_62_PRIME256V1 | Nid::SECP384R1 | Nid::SECP521R1) => Ok(KeyKind::EllipticCurve),
                _ => Err(BadCertificate::KeyKind),
            }
        }
        _ => Err(BadCertificate::KeyKind),
    }
}

fn time(time: &Asn1TimeRef) -> Option<DateTime<Utc>> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    let since = TimeDelta::try_days(since.days.into())? + TimeDelta::seconds(since.secs.into());
    DateTime::UNIX_EPOCH.checked_add_signed(since)
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
