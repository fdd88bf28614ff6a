//! What we must be able to read again and nobody else may: encrypted at rest, under a key that is not in the database.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use secrecy::{ExposeSecret, SecretSlice};

use crate::error::{Error, Result};
use crate::secret::{SecretKey, SecretKeys, fill_random, sha256};

const NONCE: usize = 12;

/// What is sealed. Each has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Seeds of second factors.
    TotpSeeds,
    /// Private keys of SAML service providers.
    SamlKeys,
}

impl Purpose {
    /// Never change one: what was sealed would open no more.
    const fn label(self) -> &'static str {
        match self {
            Self::TotpSeeds => "tenantry/seal/totp/1",
            Self::SamlKeys => "tenantry/seal/saml/1",
        }
    }
}

/// Encrypts by AES-256-GCM under a key derived from the server key. A value is bound to what it is of: it opens nowhere
/// else, so that a row can't be put in place of another. What the server key before has sealed opens, too, until
/// [`crate::reseal`] has been to all of them.
#[derive(Clone)]
pub struct Seals {
    current: SealKey,
    previous: Option<SealKey>,
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seals({})", self.current.id)
    }
}

#[derive(Clone)]
struct SealKey {
    cipher: Aes256Gcm,
    id: String,
}

impl SealKey {
    /// Derives a key, and its name.
    fn new(purpose: Purpose, key: &SecretKey) -> Result<Self> {
        // Of the name nothing can be told about the key: it is derived by itself.
        let name = sha256(&key.derive(&format!("{}/name", purpose.label()))?);
        Ok(Self {
            cipher: Aes256Gcm::new(&Key::<Aes256Gcm>::from(key.derive(purpose.label())?)),
            id: bs58::encode(&name[..8]).into_string(),
        })
    }
}

/// An encrypted value, and which key opens it.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    /// Nonce, ciphertext, tag.
    pub(crate) bytes: Vec<u8>,
    /// The name of the key: it tells which one to use while a new one takes the place of an old one.
    pub(crate) key_id: String,
}

impl Seals {
    /// Derives the keys of a purpose.
    pub fn new(purpose: Purpose, keys: &SecretKeys) -> Result<Self> {
        let previous = keys.previous.as_ref().map(|key| SealKey::new(purpose, key)).transpose()?;
        Ok(Self { current: SealKey::new(purpose, &keys.current)?, previous })
    }

    /// Encrypts a value that is `of` something.
    pub(crate) fn seal(&self, value: &[u8], of: &[u8]) -> Result<Sealed> {
        // Random: by its birthday bound a key is good for billions of values.
        let mut nonce = [0; NONCE];
        fill_random(&mut nonce)?;
        let payload = Payload { msg: value, aad: of };
        let sealed = self.current.cipher.encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.map_err(|e| Error::Internal(format!("encrypting: {e}")))?;
        Ok(Sealed { bytes: [&nonce[..], &sealed].concat(), key_id: self.current.id.clone() })
    }

    /// The name of the key that seals now.
    pub(crate) fn key_id(&self) -> &str {
        &self.current.id
    }

    /// Names of the keys that we have.
    pub(crate) fn key_ids(&self) -> Vec<String> {
        std::iter::once(&self.current).chain(&self.previous).map(|key| key.id.clone()).collect()
    }

    /// Whether we have the key of this name.
    #[must_use]
    pub fn has_key(&self, id: &str) -> bool {
        self.key(id).is_some()
    }

    fn key(&self, id: &str) -> Option<&SealKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == id)
    }

    /// Decrypts it. An error if it is of something else, was changed, or is of another server key.
    pub(crate) fn open(&self, sealed: &Sealed, of: &[u8]) -> Result<SecretSlice<u8>> {
        let internal = |why: &str| Error::Internal(format!("a value sealed with the key {} {why}", sealed.key_id));
        let key = self.key(&sealed.key_id).ok_or_else(|| {
            internal("can't be opened: it was sealed under another SECRET_KEY. Set that one as PREVIOUS_SECRET_KEY.")
        })?;
        let (nonce, msg) = sealed.bytes.split_first_chunk::<NONCE>().ok_or_else(|| internal("is too short"))?;
        let opened = key.cipher.decrypt(&Nonce::from(*nonce), Payload { msg, aad: of });
        opened.map(Into::into).map_err(|_| internal("was changed, or is of something else"))
    }

    /// The same value, sealed with the key of now.
    pub(crate) fn renew(&self, sealed: &Sealed, of: &[u8]) -> Result<Sealed> {
        self.seal(self.open(sealed, of)?.expose_secret(), of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(material: u8) -> SecretKey {
        SecretKey::new(&[material; 32])
    }

    fn seals(material: u8) -> Seals {
        Seals::new(Purpose::TotpSeeds, &SecretKeys { current: key(material), previous: None }).expect("keys")
    }

    #[test]
    fn a_sealed_value_opens_only_where_it_belongs_and_unchanged() {
        let seals = seals(7);
        let sealed = seals.seal(b"the value", b"bob").expect("sealed");
        assert_eq!(seals.open(&sealed, b"bob").expect("opened").expose_secret(), b"the value");
        assert!(!sealed.bytes.windows(9).any(|window| window == b"the value"));
        assert!(seals.open(&sealed, b"eve").is_err());
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[at] ^= 1;
            assert!(seals.open(&changed, b"bob").is_err(), "changed at {at}");
        }
        for length in 0..sealed.bytes.len() {
            let cut = Sealed { bytes: sealed.bytes[..length].to_vec(), ..sealed.clone() };
            assert!(seals.open(&cut, b"bob").is_err(), "cut to {length}");
        }
        assert_ne!(seals.seal(b"the value", b"bob").expect("sealed").bytes, sealed.bytes, "each time another nonce");
    }

    #[test]
    fn another_server_key_has_another_name_and_opens_nothing() {
        let (ours, theirs) = (seals(7), seals(8));
        let sealed = ours.seal(b"the value", b"bob").expect("sealed");
        assert_ne!(ours.current.id, theirs.current.id);
        assert!(theirs.open(&sealed, b"bob").is_err());
        assert!(theirs.open(&Sealed { key_id: theirs.current.id.clone(), ..sealed }, b"bob").is_err());
    }

    #[test]
    fn what_is_sealed_for_one_purpose_is_nothing_for_another() {
        let keys = SecretKeys { current: key(7), previous: None };
        let other = Seals::new(Purpose::SamlKeys, &keys).expect("keys");
        let sealed = seals(7).seal(b"the value", b"bob").expect("sealed");
        assert!(other.open(&sealed, b"bob").is_err());
        assert!(other.open(&Sealed { key_id: other.current.id.clone(), ..sealed }, b"bob").is_err());
    }

    #[test]
    fn the_key_before_opens_what_it_sealed_and_the_key_of_now_seals_it_anew() {
        let old = seals(7).seal(b"the value", b"bob").expect("sealed");
        let both = SecretKeys { current: key(8), previous: Some(key(7)) };
        let both = Seals::new(Purpose::TotpSeeds, &both).expect("keys");
        assert_eq!(both.open(&old, b"bob").expect("opened").expose_secret(), b"the value");
        let new = both.renew(&old, b"bob").expect("sealed anew");
        assert_eq!(seals(8).open(&new, b"bob").expect("opened").expose_secret(), b"the value");
        assert!(seals(7).open(&new, b"bob").is_err());
        assert_eq!(both.key_ids(), [seals(8).key_id(), seals(7).key_id()]);
        assert!(both.renew(&old, b"eve").is_err() && seals(9).renew(&old, b"bob").is_err());
    }
}
