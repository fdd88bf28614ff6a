//! An identity provider for tests: it writes, signs and encrypts what it is told to.

mod encrypt;
mod keys;
mod requests;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use openssl::pkey::PKey;
use secrecy::ExposeSecret;

pub(crate) use encrypt::Encryption;

use crate::{
    Certificate, Expected, KeyPair, KeyRequest, Reason, Received, Refusal, SignIn, algorithms, engine, key_pair,
};

pub(crate) const ENTITY_ID: &str = "https://tenantry.example/v1/saml/acme/metadata";
pub(crate) const ACS_URL: &str = "https://tenantry.example/v1/saml/acme/acs";
pub(crate) const ISSUER: &str = "https://idp.example/metadata";
pub(crate) const REQUEST: &str = "_request";

/// 2026-11-22T12:00:00Z
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_795_348_800)
}

/// Who signs, and how.
pub(crate) struct Signer {
    key: Vec<u8>,
    pub(crate) certificate: Certificate,
    pub(crate) algorithm: &'static str,
}

impl Signer {
    pub(crate) fn key(&self) -> Vec<u8> {
        self.key.clone()
    }

    fn rsa() -> Self {
        let pair = generate();
        let key = pair.private_key.pkcs1().expect("a key").expose_secret().to_vec();
        Self { key, certificate: pair.certificate, algorithm: algorithms::RSA_SHA256 }
    }

    pub(crate) fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        let key = PKey::private_key_from_der(&self.key).expect("a key");
        let (_, digest) = algorithms::signature(self.algorithm).expect("an algorithm");
        openssl::sign::Signer::new(digest, &key)
            .and_then(|mut signer| signer.sign_oneshot_to_vec(message))
            .expect("signed")
    }

    /// With an empty signature after the first issuer, filled.
    pub(crate) fn sign(&self, xml: &str, id: &str) -> String {
        self.sign_template(xml, &engine::template(id, self.algorithm, None).expect("a template"))
    }

    pub(crate) fn sign_template(&self, xml: &str, template: &str) -> String {
        let end = "</saml:Issuer>";
        let xml = xml.replacen(end, &format!("{end}{template}"), 1);
        let signed = engine::sign(&xml, &self.key).expect("signed");
        signed.split_once("?>").expect("a declaration").1.trim().to_owned()
    }
}

pub(crate) fn generate() -> KeyPair {
    KeyPair::generate(&KeyRequest { common_name: "test", days: 365, key_size: 2048, now: now() }).expect("a key")
}

/// The identity provider's key.
pub(crate) fn rsa() -> &'static Signer {
    static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::rsa);
    &SIGNER
}

/// Nobody's.
pub(crate) fn stranger() -> &'static Signer {
    static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::rsa);
    &SIGNER
}

/// The identity provider's other key.
pub(crate) fn elliptic() -> &'static Signer {
    static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
        let (key, certificate) = key_pair::passing().expect("a key");
        Signer { key, certificate, algorithm: algorithms::ECDSA_SHA256 }
    });
    &SIGNER
}

/// Ours.
pub(crate) fn ours() -> &'static KeyPair {
    static PAIR: LazyLock<KeyPair> = LazyLock::new(generate);
    &PAIR
}

/// A response to be: valid, until it is edited.
#[derive(Clone)]
pub(crate) struct Mint {
    pub(crate) response: String,
    pub(crate) assertion: String,
    pub(crate) sign_assertion: Option<&'static Signer>,
    pub(crate) sign_response: Option<&'static Signer>,
    pub(crate) encryption: Option<Encryption>,
    pub(crate) in_response_to: Option<&'static str>,
    pub(crate) allow_cbc: bool,
}

const RESPONSE: &str = r##"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_response" Version="2.0" IssueInstant="2026-11-22T12:00:00Z" Destination="https://tenantry.example/v1/saml/acme/acs" InResponseTo="_request">
  <saml:Issuer>https://idp.example/metadata</saml:Issuer>
  <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
  ASSERTION
</samlp:Response>"##;

const ASSERTION: &str = r##"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="_assertion" Version="2.0" IssueInstant="2026-11-22T12:00:00Z">
    <saml:Issuer>https://idp.example/metadata</saml:Issuer>
    <saml:Subject>
      <saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" SPNameQualifier="acme">b&amp;b</saml:NameID>
      <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="2026-11-22T12:05:00Z" Recipient="https://tenantry.example/v1/saml/acme/acs" InResponseTo="_request"/></saml:SubjectConfirmation>
    </saml:Subject>
    <saml:Conditions NotBefore="2026-11-22T11:59:30Z" NotOnOrAfter="2026-11-22T12:10:00Z">
      <saml:AudienceRestriction><saml:Audience>https://tenantry.example/v1/saml/acme/metadata</saml:Audience></saml:AudienceRestriction>
    </saml:Conditions>
    <saml:AuthnStatement AuthnInstant="2026-11-22T11:00:00Z" SessionIndex="_session" SessionNotOnOrAfter="2026-11-22T20:00:00Z"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>
    <saml:AttributeStatement>
      <saml:Attribute Name="urn:oid:0.9.2342.19200300.100.1.3" FriendlyName="mail"><saml:AttributeValue>bob@example.com</saml:AttributeValue></saml:Attribute>
      <saml:Attribute Name="groups"><saml:AttributeValue>Sales</saml:AttributeValue><saml:AttributeValue>Köln &lt;1&gt;</saml:AttributeValue></saml:Attribute>
    </saml:AttributeStatement>
  </saml:Assertion>"##;

impl Default for Mint {
    fn default() -> Self {
        Self {
            response: RESPONSE.to_owned(),
            assertion: ASSERTION.to_owned(),
            sign_assertion: Some(rsa()),
            sign_response: None,
            encryption: None,
            in_response_to: Some(REQUEST),
            allow_cbc: false,
        }
    }
}

impl Mint {
    /// Only the response is signed.
    pub(crate) fn signed_around() -> Self {
        Self { sign_assertion: None, sign_response: Some(rsa()), ..Self::default() }
    }

    /// Encrypted, with the signature inside.
    pub(crate) fn encrypted(encryption: Encryption) -> Self {
        Self { encryption: Some(encryption), ..Self::default() }
    }

    /// Changes the assertion before it is signed.
    pub(crate) fn edit(mut self, from: &str, to: &str) -> Self {
        assert!(self.assertion.contains(from), "{from}");
        self.assertion = self.assertion.replace(from, to);
        self
    }

    /// Changes the envelope before it is signed.
    pub(crate) fn edit_envelope(mut self, from: &str, to: &str) -> Self {
        assert!(self.response.contains(from), "{from}");
        self.response = self.response.replace(from, to);
        self
    }

    pub(crate) fn signed_assertion(&self) -> String {
        match self.sign_assertion {
            Some(signer) => signer.sign(&self.assertion, "_assertion"),
            None => self.assertion.clone(),
        }
    }

    /// The whole message.
    pub(crate) fn xml(&self) -> String {
        let mut assertion = self.signed_assertion();
        if let Some(encryption) = &self.encryption {
            assertion = encryption.encrypt(&assertion);
        }
        let xml = self.response.replace("ASSERTION", &assertion);
        match self.sign_response {
            Some(signer) => signer.sign(&xml, "_response"),
            None => xml,
        }
    }

    pub(crate) fn verify(&self) -> Result<SignIn, Refusal> {
        self.verify_xml(&self.xml())
    }

    pub(crate) fn verify_xml(&self, xml: &str) -> Result<SignIn, Refusal> {
        self.verify_field(&BASE64_STANDARD.encode(xml))
    }

    pub(crate) fn verify_field(&self, field: &str) -> Result<SignIn, Refusal> {
        let certificates = [elliptic().certificate.clone(), rsa().certificate.clone()];
        let decryption_keys = [stranger_key(), ours().private_key.clone()];
        Received::parse(field)?.verify(&Expected {
            entity_id: ENTITY_ID,
            acs_url: ACS_URL,
            issuer: ISSUER,
            certificates: &certificates,
            in_response_to: self.in_response_to,
            now: now(),
            allow_cbc: self.allow_cbc,
            decryption_keys: &decryption_keys,
        })
    }

    pub(crate) fn reason(&self) -> Reason {
        reason(self.verify())
    }

    pub(crate) fn reason_of(&self, xml: &str) -> Reason {
        reason(self.verify_xml(xml))
    }
}

fn stranger_key() -> crate::PrivateKey {
    static PAIR: LazyLock<KeyPair> = LazyLock::new(generate);
    PAIR.private_key.clone()
}

fn reason(verified: Result<SignIn, Refusal>) -> Reason {
    verified.expect_err("it should have been refused").reason
}

/// Numbers that look like chance, the same each time.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
