//! What we must be able to read again and nobody else may: encrypted at rest, under a key that is not in the database.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use secrecy::SecretSlice;

use crate::error::{Error, Result};
use crate::secret::{SecretKey, fill_random, sha256};

const NONCE: usize = 12;

/// Encrypts by AES-256-GCM under a key derived from the server key. A value is bound to what it is of: it opens nowhere
/// else, so that a row can't be put in place of another.
#[derive(Clone)]
pub struct Seals {
    cipher: Aes256Gcm,
    key_id: String,
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seals({})", self.key_id)
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
    /// Derives the key for seeds of second factors, and its name.
    pub(crate) fn new(key: &SecretKey) -> Result<Self> {
        // Of the name nothing can be told about the key: it is derived by itself.
        let name = sha256(&key.derive("tenantry/seal/totp/1/name")?);
        Ok(Self {
            cipher: Aes256Gcm::new(&Key::<Aes256Gcm>::from(key.derive("tenantry/seal/totp/1")?)),
            key_id: bs58::encode(&name[..8]).into_string(),
        })
    }

    /// Encrypts a value that is `of` something.
    pub(crate) fn seal(&self, value: &[u8], of: &[u8]) -> Result<Sealed> {
        // Random: by its birthday bound a key is good for billions of values.
        let mut nonce = [0; NONCE];
        fill_random(&mut nonce)?;
        let payload = Payload { msg: value, aad: of };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.map_err(|e| Error::Internal(format!("encrypting: {e}")))?;
        Ok(Sealed { bytes: [&nonce[..], &sealed].concat(), key_id: self.key_id.clone() })
    }

    /// Decrypts it. An error if it is of something else, was changed, or is of another server key.
    pub(crate) fn open(&self, sealed: &Sealed, of: &[u8]) -> Result<SecretSlice<u8>> {
        let internal = |why: &str| Error::Internal(format!("a value sealed with the key {} {why}", sealed.key_id));
        if sealed.key_id != self.key_id {
            return Err(internal(&format!("can't be opened with {}: SECRET_KEY was changed", self.key_id)));
        }
        let (nonce, msg) = sealed.bytes.split_first_chunk::<NONCE>().ok_or_else(|| internal("is too short"))?;
        let opened = self.cipher.decrypt(&Nonce::from(*nonce), Payload { msg, aad: of });
        opened.map(Into::into).map_err(|_| internal("was changed, or is of something else"))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn seals(material: u8) -> Seals {
        Seals::new(&SecretKey::new(&[material; 32])).expect("a key")
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
        assert_ne!(ours.key_id, theirs.key_id);
        assert!(theirs.open(&sealed, b"bob").is_err());
        assert!(theirs.open(&Sealed { key_id: theirs.key_id.clone(), ..sealed }, b"bob").is_err());
    }
}
