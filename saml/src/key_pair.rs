//! The keys of a service provider: it signs its requests with them, and identity providers encrypt for them.

use chrono::{DateTime, TimeDelta, Utc};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Name};
use secrecy::SecretSlice;

use crate::{Certificate, Error};

/// An RSA key. It shows itself in no log.
#[derive(Clone)]
pub struct PrivateKey(PKey<Private>);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl PrivateKey {
    /// Reads PKCS #8, DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let key = PKey::private_key_from_pkcs8(der).map_err(|_| Error("a private key is not PKCS #8".to_owned()))?;
        if key.id() == Id::RSA { Ok(Self(key)) } else { Err(Error("a private key is not RSA".to_owned())) }
    }

    /// PKCS #8, DER, not encrypted: seal it before it goes anywhere.
    pub fn to_der(&self) -> Result<SecretSlice<u8>, Error> {
        Ok(self.0.private_key_to_pkcs8().map_err(Error::openssl)?.into())
    }

    /// RSA (PKCS #1 v1.5) with SHA-256.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signed = || Signer::new(MessageDigest::sha256(), &self.0)?.sign_oneshot_to_vec(message);
        signed().map_err(Error::openssl)
    }

    /// PKCS #1, DER, for the engine.
    pub(crate) fn pkcs1(&self) -> Result<SecretSlice<u8>, Error> {
        Ok(self.0.rsa().and_then(|key| key.private_key_to_der()).map_err(Error::openssl)?.into())
    }

    pub(crate) fn pkey(&self) -> &PKey<Private> {
        &self.0
    }
}

/// A key and the certificate that says whose it is.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// Never leaves the process unsealed.
    pub private_key: PrivateKey,
    /// For identity providers.
    pub certificate: Certificate,
}

/// What a new key should be.
#[derive(Clone, Debug)]
pub struct KeyRequest<'a> {
    /// Of the certificate's subject: 1 to 64 characters, none of them a control character.
    pub common_name: &'a str,
    /// How long the certificate is valid: 365 to 3,650.
    pub days: u32,
    /// Bits: 2048, 3072 or 4096.
    pub key_size: u32,
    /// When it begins.
    pub now: DateTime<Utc>,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum BadKeyRequest {
    /// Empty, longer than 64 characters, or with control characters.
    #[error("the common name must have 1 to 64 characters, and no control characters")]
    CommonName,
    /// Less than a year or more than ten.
    #[error("a certificate is valid for 365 to 3650 days")]
    Days,
    /// Another size.
    #[error("a key has 2048, 3072 or 4096 bits")]
    KeySize,
    /// Not the request's fault.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl KeyRequest<'_> {
    /// Could a key be made of it?
    pub fn check(&self) -> Result<(), BadKeyRequest> {
        let name = self.common_name;
        if name.trim().is_empty() || name.chars().count() > 64 || name.contains(char::is_control) {
            return Err(BadKeyRequest::CommonName);
        }
        if !(365..=3650).contains(&self.days) {
            return Err(BadKeyRequest::Days);
        }
        if ![2048, 3072, 4096].contains(&self.key_size) {
            return Err(BadKeyRequest::KeySize);
        }
        Ok(())
    }
}

impl KeyPair {
    /// Makes an RSA key and a self-signed certificate for it (X.509 v3, SHA-256). Takes a second or more: call it off the
    /// async threads.
    pub fn generate(request: &KeyRequest<'_>) -> Result<Self, BadKeyRequest> {
        request.check()?;
        let made = Rsa::generate(request.key_size).and_then(PKey::from_rsa);
        let key = made.map_err(Error::openssl)?;
        let x509 = self_signed(&key, request).map_err(Error::openssl)?;
        let certificate = Certificate::new(&x509).map_err(|e| Error(format!("the certificate that was made {e}")))?;
        Ok(Self { private_key: PrivateKey(key), certificate })
    }
}

pub(crate) fn self_signed(key: &PKey<Private>, request: &KeyRequest<'_>) -> Result<X509, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_text("CN", request.common_name)?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    // At most 20 bytes and positive, as RFC 5280 has it; its first bit set, so never zero.
    serial.rand(159, MsbOption::ONE, false)?;
    let end = request.now + TimeDelta::days(request.days.into());

    let mut builder = X509Builder::new()?;
    builder.set_version(2)?; // that is v3
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&*Asn1Time::from_unix(request.now.timestamp())?)?;
    builder.set_not_after(&*Asn1Time::from_unix(end.timestamp())?)?;
    builder.set_pubkey(key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().key_encipherment().build()?)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// A key on an elliptic curve, which is made at once, and its certificate: for a moment's use. The key is SEC 1, DER.
pub(crate) fn passing() -> Result<(Vec<u8>, Certificate), Error> {
    let request = KeyRequest { common_name: "test", days: 365, key_size: 2048, now: DateTime::UNIX_EPOCH };
    let made = || {
        let key = PKey::ec_gen("prime256v1")?;
        Ok((key.private_key_to_der()?, self_signed(&key, &request)?))
    };
    let (key, x509) = made().map_err(Error::openssl)?;
    Ok((key, Certificate::new(&x509).map_err(|e| Error(format!("the certificate that was made {e}")))?))
}
