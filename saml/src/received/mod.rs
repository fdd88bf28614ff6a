//! What an identity provider answers: a response with one assertion.

mod assertion;
mod envelope;
#[cfg(test)]
mod tests;

pub(crate) use assertion::read_name_id;
pub(crate) use envelope::{check_answer, check_equal, check_kind, not_on_or_after, time_of};

use chrono::{DateTime, Utc};
use roxmltree::Document;

use crate::decrypt::{self, Plain};
use crate::gate::{self, Content};
use crate::xml::{ASSERTION, attribute, is, only_child, text};
use crate::{Certificate, PrivateKey, Reason, Refusal, engine, refusal::shown};

/// A response that came through the gate: it has the one shape that we take, but nobody vouches for it yet.
pub struct Received {
    xml: String,
    issuer: String,
    in_response_to: Option<String>,
    is_signed: bool,
    is_encrypted: bool,
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Received(from {})", shown(&self.issuer))
    }
}

/// What the response must match.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Ours: the audience.
    pub entity_id: &'a str,
    /// Ours: destination and recipient.
    pub acs_url: &'a str,
    /// Theirs.
    pub issuer: &'a str,
    /// Theirs: one of these verifies the signature.
    pub certificates: &'a [Certificate],
    /// The request that it must answer; `None`: it must answer none (begun at the identity provider).
    pub in_response_to: Option<&'a str>,
    /// The time; 60 seconds of tolerance are added.
    pub now: DateTime<Utc>,
    /// Takes AES-CBC, which is not authenticated.
    pub allow_cbc: bool,
    /// Ours, all that may be in use: active, next, previous. None are needed for what [is not encrypted](Received::is_encrypted).
    pub decryption_keys: &'a [PrivateKey],
}

/// What a verified assertion says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Must not be taken twice, until `expires_at`.
    pub assertion_id: String,
    /// The identity provider.
    pub issuer: String,
    /// Who signs in.
    pub name_id: NameId,
    /// Of the session there: a logout may name it.
    pub session_index: Option<String>,
    /// When the session there ends at the latest.
    pub session_not_on_or_after: Option<DateTime<Utc>>,
    /// When he showed there who he is.
    pub authn_instant: DateTime<Utc>,
    /// What else it says of him, in its order. A name may be there several times.
    pub attributes: Vec<Attribute>,
    /// SHA-256 of the certificate that verified it.
    pub fingerprint: String,
    /// From then on it would be refused for its age: its id needs no remembering.
    pub expires_at: DateTime<Utc>,
}

/// A name of someone at an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameId {
    /// 1 to 1,024 bytes, none of them a control character.
    pub value: String,
    /// `urn:…:persistent`, `urn:…:emailAddress`…
    pub format: Option<String>,
    /// The domain that qualifies it.
    pub name_qualifier: Option<String>,
    /// The service provider that qualifies it.
    pub sp_name_qualifier: Option<String>,
}

impl NameId {
    /// Good for one sign-in only: nobody can be found by it again.
    pub fn is_transient(&self) -> bool {
        self.format.as_deref() == Some("urn:oasis:names:tc:SAML:2.0:nameid-format:transient")
    }
}

/// An attribute of an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, often a URI.
    pub name: String,
    /// Its name for people.
    pub friendly_name: Option<String>,
    /// Its values that are plain text, in their order.
    pub values: Vec<String>,
}

impl Received {
    /// Reads the form field `SAMLResponse`, and refuses what is not plain, small and of the one shape.
    pub fn parse(form_value: &str) -> Result<Self, Refusal> {
        let xml = gate::decode_text(gate::decode_base64(form_value)?)?;
        let (issuer, in_response_to, is_signed, is_encrypted) = {
            let document = gate::parse(&xml)?;
            let (is_signed, is_encrypted) = look_at(&document).map_err(|refusal| refusal.about(&document))?;
            let in_response_to = attribute(document.root_element(), "InResponseTo").map(str::to_owned);
            (issuer(&document).unwrap_or_default(), in_response_to, is_signed, is_encrypted)
        };
        Ok(Self { xml, issuer, in_response_to, is_signed, is_encrypted })
    }

    /// Who it says it is from: for finding the connection, and nothing else.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Which request it says it answers: for finding that, and nothing else.
    pub fn in_response_to(&self) -> Option<&str> {
        self.in_response_to.as_deref()
    }

    /// Whether its assertion is encrypted: only then are keys needed that open it.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Verifies, decrypts and checks everything but what only a database knows: whether the request is open and this
    /// browser's, and whether the assertion was taken before. Blocks, for milliseconds.
    pub fn verify(self, expected: &Expected<'_>) -> Result<SignIn, Refusal> {
        let document = gate::parse(&self.xml)?;
        self.verify_document(&document, expected).map_err(|refusal| refusal.about(&document))
    }

    /// Reads everything from what was verified; but from the envelope of an assertion that was signed alone, or encrypted:
    /// what an envelope says can only lead to a refusal.
    fn verify_document(&self, document: &Document<'_>, expected: &Expected<'_>) -> Result<SignIn, Refusal> {
        if !self.is_signed {
            // So it is encrypted, and the signature is inside, or nowhere.
            let (assertion, fingerprint) = self.decrypt(document, expected, None)?;
            return read(document, &gate::parse(&assertion)?, expected, &fingerprint);
        }
        let verified = engine::verify(&self.xml, expected.certificates)?;
        let signed = gate::parse(&verified.xml)?;
        if is(signed.root_element(), ASSERTION, "Assertion") {
            return read(document, &signed, expected, &verified.fingerprint);
        }
        match gate::response(&signed)? {
            Content::Plain(_) => read(&signed, &signed, expected, &verified.fingerprint),
            Content::Encrypted(_) => {
                let (assertion, fingerprint) = self.decrypt(&signed, expected, Some(verified.fingerprint))?;
                read(&signed, &gate::parse(&assertion)?, expected, &fingerprint)
            }
        }
    }

    /// The assertion inside, verified, and whose certificate verified it. `outer`: whose verified what is around it.
    fn decrypt(
        &self,
        document: &Document<'_>,
        expected: &Expected<'_>,
        outer: Option<String>,
    ) -> Result<(String, String), Refusal> {
        let Content::Encrypted(encrypted) = gate::response(document)? else {
            return Err(Reason::NotSigned.refuse());
        };
        let plain = decrypt::decrypt(encrypted, expected.decryption_keys, expected.allow_cbc)?;
        // A ciphertext that nobody signed may be someone else's attempt to read it.
        let may_tell = plain.is_authentic || outer.is_some();
        let verified = verify_inside(plain, expected.certificates, outer);
        verified.map_err(|refusal| if may_tell { refusal } else { Reason::DecryptionFailed.refuse() })
    }
}

/// The gate again, for what was encrypted.
fn verify_inside(
    plain: Plain,
    certificates: &[Certificate],
    outer: Option<String>,
) -> Result<(String, String), Refusal> {
    let xml = gate::decode_text(plain.bytes)?;
    let is_signed = {
        let document = gate::parse(&xml)?;
        gate::check_ids(&document)?;
        gate::check_references(&document)?;
        gate::assertion(&document)?;
        gate::check_signatures(&document, &[document.root_element()])?.contains(&true)
    };
    if is_signed {
        let verified = engine::verify(&xml, certificates)?;
        return Ok((verified.xml, verified.fingerprint));
    }
    outer.map(|fingerprint| (xml, fingerprint)).ok_or_else(|| Reason::NotSigned.refuse())
}

/// The shape. Answers whether there is a signature, and whether the assertion is encrypted.
fn look_at(document: &Document<'_>) -> Result<(bool, bool), Refusal> {
    gate::check_ids(document)?;
    gate::check_references(document)?;
    let root = document.root_element();
    match gate::response(document)? {
        Content::Plain(assertion) => {
            let signed = gate::check_signatures(document, &[root, assertion])?;
            if signed.contains(&true) { Ok((true, false)) } else { Err(Reason::NotSigned.refuse()) }
        }
        Content::Encrypted(_) => Ok((gate::check_signatures(document, &[root])?.contains(&true), true)),
    }
}

fn read(
    envelope: &Document<'_>,
    assertion: &Document<'_>,
    expected: &Expected<'_>,
    fingerprint: &str,
) -> Result<SignIn, Refusal> {
    let read = || {
        envelope::check(envelope.root_element(), expected)?;
        let root = assertion.root_element();
        let assertion = only_child(root, ASSERTION, "Assertion").unwrap_or(root);
        assertion::read(assertion, expected, fingerprint)
    };
    read().map_err(|refusal| Refusal { fingerprint: Some(fingerprint.to_owned()), ..refusal })
}

fn issuer(document: &Document<'_>) -> Option<String> {
    let mut issuers = document.descendants().filter(|node| is(*node, ASSERTION, "Issuer"));
    issuers.next().and_then(text)
}

impl Refusal {
    /// With who sent it and what, as far as it says so.
    pub(crate) fn about(self, document: &Document<'_>) -> Self {
        let assertion = document.descendants().find(|node| is(*node, ASSERTION, "Assertion"));
        let id = attribute(assertion.unwrap_or(document.root_element()), "ID").map(shown);
        Self { issuer: issuer(document).as_deref().map(shown), assertion_id: id, ..self }
    }
}
