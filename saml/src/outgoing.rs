//! Messages that we send, through the browser.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;

use crate::certificate::hexadecimal;
use crate::xml::{ASSERTION, PROTOCOL, Writer};
use crate::{Error, KeyPair, algorithms, engine, time};

/// What needs no escape in a query, RFC 3986.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The id of a message, from 160 random bits: `_` and hexadecimal digits.
pub fn message_id(random: &[u8; 20]) -> String {
    format!("_{}", hexadecimal(random))
}

/// Asks an identity provider who the person in front of the browser is.
#[derive(Clone, Copy, Debug)]
pub struct AuthnRequest<'a> {
    /// From [`message_id`].
    pub id: &'a str,
    /// Now.
    pub issue_instant: DateTime<Utc>,
    /// The identity provider's endpoint.
    pub destination: &'a str,
    /// Our entity id.
    pub issuer: &'a str,
    /// Where the answer shall go.
    pub acs_url: &'a str,
    /// Which kind of name is asked for; `None` leaves it to the identity provider.
    pub name_id_format: Option<&'a str>,
    /// He shall show anew who he is, also if he has a session there.
    pub force_authn: bool,
}

/// A message that is ready to go, by either binding.
#[derive(Clone, Debug)]
pub struct Outgoing {
    id: String,
    destination: String,
    field: Field,
    xml: String,
    /// Where in it a signature belongs.
    signature_at: usize,
}

/// What carries a message: in a query, or in a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Request,
    Response,
}

impl Field {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// A form that the browser posts by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostForm {
    /// Where to.
    pub action: String,
    /// `SAMLRequest` or `SAMLResponse`.
    pub field: &'static str,
    /// Its value, base64.
    pub value: String,
}

impl AuthnRequest<'_> {
    /// Writes it.
    pub fn message(&self) -> Result<Outgoing, Error> {
        let head = Head {
            element: "samlp:AuthnRequest",
            field: Field::Request,
            id: self.id,
            issue_instant: self.issue_instant,
            destination: self.destination,
            issuer: self.issuer,
        };
        let mut attributes = vec![
            ("AssertionConsumerServiceURL", self.acs_url),
            ("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"),
        ];
        if self.force_authn {
            attributes.push(("ForceAuthn", "true"));
        }
        head.write(&attributes, |xml| {
            let mut policy = vec![("AllowCreate", "true")];
            policy.extend(self.name_id_format.map(|format| ("Format", format)));
            xml.empty("samlp:NameIDPolicy", &policy);
        })
    }
}

/// What all messages begin with.
pub(crate) struct Head<'a> {
    pub(crate) element: &'static str,
    pub(crate) field: Field,
    pub(crate) id: &'a str,
    pub(crate) issue_instant: DateTime<Utc>,
    pub(crate) destination: &'a str,
    pub(crate) issuer: &'a str,
}

impl Head<'_> {
    pub(crate) fn write(&self, more: &[(&str, &str)], body: impl FnOnce(&mut Writer)) -> Result<Outgoing, Error> {
        let issue_instant = time::format(self.issue_instant);
        let mut attributes = vec![
            ("xmlns:samlp", PROTOCOL),
            ("xmlns:saml", ASSERTION),
            ("ID", self.id),
            ("Version", "2.0"),
            ("IssueInstant", &issue_instant),
            ("Destination", self.destination),
        ];
        attributes.extend(more);
        let mut xml = Writer::new();
        xml.start(self.element, &attributes);
        xml.leaf("saml:Issuer", &[], self.issuer);
        let signature_at = xml.position();
        body(&mut xml);
        xml.end();
        Ok(Outgoing {
            id: self.id.to_owned(),
            destination: self.destination.to_owned(),
            field: self.field,
            xml: xml.finish()?,
            signature_at,
        })
    }
}

impl Outgoing {
    /// The address to redirect to. The signature is over the very query string; RSA with SHA-256.
    pub fn redirect_url(&self, signer: Option<&KeyPair>, relay_state: Option<&str>) -> Result<String, Error> {
        let mut query = parameter(self.field.name(), &deflated(&self.xml)?);
        if let Some(relay_state) = relay_state {
            query.push_str(&format!("&{}", parameter("RelayState", relay_state)));
        }
        if let Some(signer) = signer {
            query.push_str(&format!("&{}", parameter("SigAlg", algorithms::RSA_SHA256)));
            let signature = signer.private_key.sign(query.as_bytes())?;
            query.push_str(&format!("&{}", parameter("Signature", &BASE64_STANDARD.encode(signature))));
        }
        // Some endpoints have a query of their own.
        let separator = if self.destination.contains('?') { '&' } else { '?' };
        Ok(format!("{}{separator}{query}", self.destination))
    }

    /// The form to post, with the signature inside the message. `RelayState` is another field, the caller's.
    pub fn post_form(&self, signer: Option<&KeyPair>) -> Result<PostForm, Error> {
        let xml = match signer {
            Some(signer) => sign(&self.xml, self.signature_at, &self.id, signer)?,
            None => self.xml.clone(),
        };
        let value = BASE64_STANDARD.encode(xml);
        Ok(PostForm { action: self.destination.clone(), field: self.field.name(), value })
    }
}

/// Signs a document of ours: its root, which has this id.
pub(crate) fn sign(xml: &str, at: usize, id: &str, signer: &KeyPair) -> Result<String, Error> {
    let mut xml = xml.to_owned();
    xml.insert_str(at, &engine::template(id, algorithms::RSA_SHA256, Some(&signer.certificate))?);
    engine::sign(&xml, signer.private_key.pkcs1()?.expose_secret())
}

fn deflated(xml: &str) -> Result<String, Error> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let deflated = encoder.write_all(xml.as_bytes()).and_then(|()| encoder.finish());
    Ok(BASE64_STANDARD.encode(deflated.map_err(|e| Error(e.to_string()))?))
}

fn parameter(name: &str, value: &str) -> String {
    format!("{name}={}", utf8_percent_encode(value, &UNRESERVED))
}
