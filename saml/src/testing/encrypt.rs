//! Encrypts for us.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use openssl::encrypt::Encrypter;
use openssl::hash::MessageDigest;
use openssl::rsa::Padding;
use openssl::symm::{Cipher, Crypter, Mode, encrypt_aead};

use super::ours;

/// How to encrypt; what is not known is encrypted as if it were AES-256-GCM and named as told.
#[derive(Clone, Copy)]
pub(crate) struct Encryption {
    pub(crate) data: &'static str,
    pub(crate) key: &'static str,
    pub(crate) digest: Option<&'static str>,
    pub(crate) mask: Option<&'static str>,
    /// The key's place: beside the data, not inside.
    pub(crate) beside: bool,
}

pub(crate) const OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
pub(crate) const GCM256: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";

impl Default for Encryption {
    fn default() -> Self {
        Self { data: GCM256, key: OAEP, digest: None, mask: None, beside: false }
    }
}

impl Encryption {
    pub(crate) fn encrypt(&self, plain: &str) -> String {
        let cipher = match self.data.rsplit_once('#').map(|(_, name)| name) {
            Some("aes128-gcm") => Cipher::aes_128_gcm(),
            Some("aes128-cbc") => Cipher::aes_128_cbc(),
            Some("aes256-cbc") => Cipher::aes_256_cbc(),
            _ => Cipher::aes_256_gcm(),
        };
        let key = vec![7; cipher.key_len()];
        let iv = vec![9; cipher.iv_len().expect("an IV")];
        let data =
            if self.data.ends_with("cbc") { cbc(cipher, &key, &iv, plain) } else { gcm(cipher, &key, &iv, plain) };
        self.xml(&self.wrap(&key), &data)
    }

    fn wrap(&self, key: &[u8]) -> Vec<u8> {
        let pkey = ours().certificate.public_key().expect("a key");
        let digest = |name: Option<&str>| match name {
            Some(name) if name.ends_with("sha256") => MessageDigest::sha256(),
            _ => MessageDigest::sha1(),
        };
        let mut encrypter = Encrypter::new(&pkey).expect("an encrypter");
        encrypter.set_rsa_padding(Padding::PKCS1_OAEP).expect("OAEP");
        encrypter.set_rsa_oaep_md(digest(self.digest)).expect("a digest");
        encrypter.set_rsa_mgf1_md(digest(self.mask)).expect("a mask");
        let mut out = vec![0; encrypter.encrypt_len(key).expect("a length")];
        let length = encrypter.encrypt(key, &mut out).expect("encrypted");
        out.truncate(length);
        out
    }

    fn xml(&self, key: &[u8], data: &[u8]) -> String {
        let digest = self.digest.map(|uri| format!("<ds:DigestMethod Algorithm=\"{uri}\"/>")).unwrap_or_default();
        let mask =
            self.mask.map(|uri| format!("<x:MGF xmlns:x=\"http://www.w3.org/2009/xmlenc11#\" Algorithm=\"{uri}\"/>"));
        let value = |bytes: &[u8]| {
            format!(
                "<xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData>",
                BASE64_STANDARD.encode(bytes)
            )
        };
        let key = format!(
            "<xenc:EncryptedKey xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><xenc:EncryptionMethod Algorithm=\"{}\">{digest}{}</xenc:EncryptionMethod>{}</xenc:EncryptedKey>",
            self.key,
            mask.unwrap_or_default(),
            value(key)
        );
        let (inside, beside) = if self.beside { (String::new(), key) } else { (key, String::new()) };
        format!(
            "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"><xenc:EncryptedData xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\" Type=\"http://www.w3.org/2001/04/xmlenc#Element\"><xenc:EncryptionMethod Algorithm=\"{}\"/><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{inside}</ds:KeyInfo>{}</xenc:EncryptedData>{beside}</saml:EncryptedAssertion>",
            self.data,
            value(data)
        )
    }
}

fn gcm(cipher: Cipher, key: &[u8], iv: &[u8], plain: &str) -> Vec<u8> {
    let mut tag = [0; 16];
    let data = encrypt_aead(cipher, key, Some(iv), &[], plain.as_bytes(), &mut tag).expect("encrypted");
    [iv, &data, &tag].concat()
}

fn cbc(cipher: Cipher, key: &[u8], iv: &[u8], plain: &str) -> Vec<u8> {
    let mut padded = plain.as_bytes().to_vec();
    let padding = 16 - padded.len() % 16;
    padded.extend(std::iter::repeat_n(0xaa, padding - 1));
    padded.push(padding as u8);
    let mut crypter = Crypter::new(cipher, Mode::Encrypt, key, Some(iv)).expect("a cipher");
    crypter.pad(false);
    let mut out = vec![0; padded.len() + 16];
    let length = crypter.update(&padded, &mut out).expect("encrypted");
    out.truncate(length);
    [iv, &out].concat()
}
