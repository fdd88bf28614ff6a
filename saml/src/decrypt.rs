//! Encrypted assertions: a key of AES for our RSA key, and the assertion for that.

use openssl::encrypt::Decrypter;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::rand::rand_bytes;
use openssl::rsa::Padding;
use openssl::symm::{Cipher, Crypter, Mode, decrypt_aead};
use roxmltree::Node;

use crate::gate::decode_base64;
use crate::xml::{DSIG, XENC, XENC11, attribute, is, only_child, text};
use crate::{PrivateKey, Reason, Refusal, refusal::shown};

const GCM_NONCE: usize = 12;
const GCM_TAG: usize = 16;
const BLOCK: usize = 16;

/// How the assertion is encrypted.
#[derive(Clone, Copy)]
enum Method {
    Gcm(Cipher),
    Cbc(Cipher),
}

/// How its key is.
struct Oaep {
    digest: MessageDigest,
    mask: MessageDigest,
}

/// What was encrypted.
pub(crate) struct Plain {
    pub(crate) bytes: Vec<u8>,
    /// It is what was encrypted, bit for bit. If not, whoever can tell one wrong text from another can read it, by changing
    /// the ciphertext and asking thousands of times: so no more must be said than that it is wrong.
    pub(crate) is_authentic: bool,
}

/// Decrypts an `EncryptedAssertion`. Whatever goes wrong after the form was looked at, the answer is the same.
pub(crate) fn decrypt(encrypted: Node<'_, '_>, keys: &[PrivateKey], allow_cbc: bool) -> Result<Plain, Refusal> {
    let bad = |what: &str| Reason::BadEncryption.because(what);
    let data = only_child(encrypted, XENC, "EncryptedData").ok_or_else(|| bad("not exactly one EncryptedData"))?;
    // Inside of the data's KeyInfo, or beside the data.
    let mut found = encrypted.descendants().filter(|node| is(*node, XENC, "EncryptedKey"));
    let (Some(key), None) = (found.next(), found.next()) else {
        return Err(bad("not exactly one EncryptedKey"));
    };
    let method = method(data, allow_cbc)?;
    let oaep = oaep(key)?;
    let (key, data) = (cipher_value(key)?, cipher_value(data)?);

    let cipher = method.cipher();
    let key = unwrap_key(&key, keys, &oaep, cipher.key_len());
    let decrypted = match method {
        Method::Gcm(_) => gcm(cipher, &key, &data),
        Method::Cbc(_) => cbc(cipher, &key, &data),
    };
    let bytes = decrypted.ok_or_else(|| Reason::DecryptionFailed.refuse())?;
    Ok(Plain { bytes, is_authentic: matches!(method, Method::Gcm(_)) })
}

impl Method {
    fn cipher(self) -> Cipher {
        match self {
            Self::Gcm(cipher) | Self::Cbc(cipher) => cipher,
        }
    }
}

fn method(data: Node<'_, '_>, allow_cbc: bool) -> Result<Method, Refusal> {
    let method = only_child(data, XENC, "EncryptionMethod").and_then(|method| attribute(method, "Algorithm"));
    let method = match method.unwrap_or_default() {
        "http://www.w3.org/2009/xmlenc11#aes128-gcm" => Method::Gcm(Cipher::aes_128_gcm()),
        "http://www.w3.org/2009/xmlenc11#aes256-gcm" => Method::Gcm(Cipher::aes_256_gcm()),
        "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => Method::Cbc(Cipher::aes_128_cbc()),
        "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => Method::Cbc(Cipher::aes_256_cbc()),
        other => return Err(Reason::EncryptionAlgorithm.because(shown(other))),
    };
    if matches!(method, Method::Cbc(_)) && !allow_cbc { Err(Reason::CbcNotAllowed.refuse()) } else { Ok(method) }
}

/// RSA-OAEP; the older name fixes SHA-1 in its mask, which is no weakness there.
fn oaep(key: Node<'_, '_>) -> Result<Oaep, Refusal> {
    let refused = |what: &str| Err(Reason::EncryptionAlgorithm.because(shown(what)));
    let Some(method) = only_child(key, XENC, "EncryptionMethod") else {
        return refused("the key's is not named");
    };
    let parameter = |namespace, name| only_child(method, namespace, name).and_then(|node| attribute(node, "Algorithm"));
    let digest = match parameter(DSIG, "DigestMethod") {
        None | Some("http://www.w3.org/2000/09/xmldsig#sha1") => MessageDigest::sha1(),
        Some("http://www.w3.org/2001/04/xmlenc#sha256") => MessageDigest::sha256(),
        Some(other) => return refused(other),
    };
    let mask = match (attribute(method, "Algorithm").unwrap_or_default(), parameter(XENC11, "MGF")) {
        ("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", _) => MessageDigest::sha1(),
        ("http://www.w3.org/2009/xmlenc11#rsa-oaep", None | Some("http://www.w3.org/2009/xmlenc11#mgf1sha1")) => {
            MessageDigest::sha1()
        }
        ("http://www.w3.org/2009/xmlenc11#rsa-oaep", Some("http://www.w3.org/2009/xmlenc11#mgf1sha256")) => {
            MessageDigest::sha256()
        }
        ("http://www.w3.org/2009/xmlenc11#rsa-oaep", Some(other)) | (other, _) => return refused(other),
    };
    if only_child(method, XENC, "OAEPparams").is_some() {
        return refused("OAEP with parameters");
    }
    Ok(Oaep { digest, mask })
}

fn cipher_value(node: Node<'_, '_>) -> Result<Vec<u8>, Refusal> {
    let value =
        only_child(node, XENC, "CipherData").and_then(|data| only_child(data, XENC, "CipherValue")).and_then(text);
    decode_base64(&value.ok_or_else(|| Reason::BadEncryption.because("no CipherValue"))?)
}

/// The key, or one of chance: that the RSA part was wrong must look no other than that the rest was.
fn unwrap_key(wrapped: &[u8], keys: &[PrivateKey], oaep: &Oaep, length: usize) -> Vec<u8> {
    let mut unwrapped = vec![0; length];
    // If there is no randomness, the zeros are no less wrong.
    let _ = rand_bytes(&mut unwrapped);
    for key in keys {
        match decrypt_oaep(wrapped, key, oaep) {
            Ok(found) if found.len() == length => unwrapped = found,
            _ => {}
        }
    }
    unwrapped
}

fn decrypt_oaep(wrapped: &[u8], key: &PrivateKey, oaep: &Oaep) -> Result<Vec<u8>, ErrorStack> {
    let mut decrypter = Decrypter::new(key.pkey())?;
    decrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
    decrypter.set_rsa_oaep_md(oaep.digest)?;
    decrypter.set_rsa_mgf1_md(oaep.mask)?;
    let mut out = vec![0; decrypter.decrypt_len(wrapped)?];
    let length = decrypter.decrypt(wrapped, &mut out)?;
    out.truncate(length);
    Ok(out)
}

fn gcm(cipher: Cipher, key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (nonce, data) = data.split_at_checked(GCM_NONCE)?;
    let (data, tag) = data.split_at_checked(data.len().checked_sub(GCM_TAG)?)?;
    decrypt_aead(cipher, key, Some(nonce), &[], data, tag).ok()
}

fn cbc(cipher: Cipher, key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (iv, data) = data.split_at_checked(BLOCK)?;
    if data.is_empty() || data.len() % BLOCK != 0 {
        return None;
    }
    let mut crypter = Crypter::new(cipher, Mode::Decrypt, key, Some(iv)).ok()?;
    // XML encryption pads by its own rule: the last byte says how many, the others are anything.
    crypter.pad(false);
    let mut plain = vec![0; data.len() + BLOCK];
    let mut length = crypter.update(data, &mut plain).ok()?;
    length += crypter.finalize(&mut plain[length..]).ok()?;
    plain.truncate(length);
    let padding = usize::from(*plain.last()?);
    if !(1..=BLOCK).contains(&padding) {
        return None;
    }
    plain.truncate(length.checked_sub(padding)?);
    Some(plain)
}
