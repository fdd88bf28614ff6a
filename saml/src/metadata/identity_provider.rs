//! What an identity provider says of itself.

use chrono::{DateTime, Utc};
use roxmltree::{Document, Node};

use super::{BadUrl, POST, REDIRECT, SAML2, check_url};
use crate::gate::{Limits, check_text};
use crate::refusal::shown;
use crate::xml::{self, DSIG, METADATA, attribute, children, is, text};
use crate::{BadCertificate, Certificate};

/// Metadata of federations has thousands of entities; a company's has one.
const MAX_DOCUMENT: usize = 5_000_000;
/// Each is tried for each signature.
const MAX_CERTIFICATES: usize = 10;
/// Bytes: databases find providers by it, in an index whose entries end at 2,700.
pub const MAX_ENTITY_ID: usize = 1024;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// `HTTP-Redirect`: in the query.
    Redirect,
    /// `HTTP-POST`: in a form.
    Post,
}

/// Where an identity provider takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How.
    pub binding: Binding,
    /// Where; checked by [`check_url`].
    pub url: String,
    /// Where answers go, if not there.
    pub response_url: Option<String>,
}

/// What an identity provider says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProvider {
    /// Its name.
    pub entity_id: String,
    /// Where people sign in: at least one, in the document's order.
    pub sso: Vec<Endpoint>,
    /// Where they sign out; may be empty.
    pub slo: Vec<Endpoint>,
    /// What its signatures are verified with: one to ten.
    pub certificates: Vec<Certificate>,
    /// Kinds of names that it knows.
    pub name_id_formats: Vec<String>,
    /// It takes signed requests only.
    pub wants_signed_requests: bool,
    /// Until when this holds.
    pub valid_until: Option<DateTime<Utc>>,
}

/// Why metadata was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// More than 5 MB.
    #[error("the document is larger than 5 MB")]
    TooLarge,
    /// Not UTF-8, not XML, or XML with what it must not have.
    #[error("the document can't be read: {0}")]
    Unreadable(String),
    /// Some other XML.
    #[error("the document is not SAML 2.0 metadata: an EntityDescriptor is expected")]
    NotMetadata,
    /// No entity of that name.
    #[error("the document has no identity provider with this entity id")]
    NotFound,
    /// Which one?
    #[error("the document has several identity providers: say the entity id of one")]
    Several,
    /// That of a service provider, for example.
    #[error("the document describes no identity provider for SAML 2.0")]
    NoIdentityProvider,
    /// Empty, too long, or with blanks or control characters.
    #[error("the entity id is empty, too long or has blanks")]
    EntityId,
    /// An address.
    #[error("the address “{0}” {1}")]
    Url(String, BadUrl),
    /// Neither by redirect nor by POST.
    #[error("there is no address to sign in at, by HTTP-Redirect or HTTP-POST")]
    NoSignOn,
    /// None to verify signatures with.
    #[error("there is no certificate to verify signatures with")]
    NoCertificate,
    /// None that is good.
    #[error("a certificate {0}")]
    Certificate(BadCertificate),
    /// More than ten.
    #[error("there are more than ten certificates")]
    TooManyCertificates,
    /// Its time is over.
    #[error("it was valid until {0}")]
    Expired(DateTime<Utc>),
    /// Not a time.
    #[error("validUntil is not a time")]
    BadTime,
}

/// Reads an identity provider's metadata. Its signature is not looked at: where it comes from is what is trusted.
///
/// An `EntitiesDescriptor` with several needs the `entity_id` of one; where that is given, it must be there.
pub fn parse_metadata(
    document: &[u8],
    entity_id: Option<&str>,
    now: DateTime<Utc>,
) -> Result<IdentityProvider, MetadataError> {
    if document.len() > MAX_DOCUMENT {
        return Err(MetadataError::TooLarge);
    }
    let unreadable = |what: &str| MetadataError::Unreadable(what.to_owned());
    let text = std::str::from_utf8(document).map_err(|_| unreadable("it is not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_start();
    check_text(text, &Limits::METADATA).map_err(|fault| unreadable(&fault.to_string()))?;
    let document = xml::parse(text).map_err(|_| unreadable("it is not well-formed XML"))?;

    let (entity, role) = find(&document, entity_id)?;
    let valid_until = valid_until(role)?;
    if let Some(end) = valid_until.filter(|end| *end <= now) {
        return Err(MetadataError::Expired(end));
    }
    let sso = endpoints(role, "SingleSignOnService")?;
    if sso.is_empty() {
        return Err(MetadataError::NoSignOn);
    }
    Ok(IdentityProvider {
        entity_id: entity.to_owned(),
        sso,
        slo: endpoints(role, "SingleLogoutService")?,
        certificates: certificates(role)?,
        name_id_formats: children(role, METADATA, "NameIDFormat")
            .filter_map(xml::text)
            .map(|format| format.trim().to_owned())
            .collect(),
        wants_signed_requests: attribute(role, "WantAuthnRequestsSigned")
            .is_some_and(|value| value == "true" || value == "1"),
        valid_until,
    })
}

/// The entity's name and what it says as an identity provider.
fn find<'a, 'i>(document: &'a Document<'i>, wanted: Option<&str>) -> Result<(&'a str, Node<'a, 'i>), MetadataError> {
    let root = document.root_element();
    if !is(root, METADATA, "EntityDescriptor") && !is(root, METADATA, "EntitiesDescriptor") {
        return Err(MetadataError::NotMetadata);
    }
    let entities = document.descendants().filter(|node| is(*node, METADATA, "EntityDescriptor"));
    let entities = entities.filter(|entity| wanted.is_none_or(|wanted| attribute(*entity, "entityID") == Some(wanted)));
    let entities: Vec<_> = entities.collect();
    if entities.is_empty() {
        return Err(if wanted.is_some() { MetadataError::NotFound } else { MetadataError::NotMetadata });
    }
    let mut roles = entities.iter().flat_map(|entity| {
        let roles = children(*entity, METADATA, "IDPSSODescriptor").filter(|role| speaks_saml2(*role));
        roles.map(|role| (*entity, role))
    });
    let (entity, role) = roles.next().ok_or(MetadataError::NoIdentityProvider)?;
    if roles.next().is_some() {
        return Err(MetadataError::Several);
    }
    let id = attribute(entity, "entityID").unwrap_or_default();
    if id.is_empty() || id.len() > MAX_ENTITY_ID || id.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(MetadataError::EntityId);
    }
    Ok((id, role))
}

fn speaks_saml2(role: Node<'_, '_>) -> bool {
    attribute(role, "protocolSupportEnumeration")
        .is_some_and(|list| list.split_ascii_whitespace().any(|one| one == SAML2))
}

/// The earliest of its own and of what it lies in.
fn valid_until(role: Node<'_, '_>) -> Result<Option<DateTime<Utc>>, MetadataError> {
    let mut earliest: Option<DateTime<Utc>> = None;
    for text in role.ancestors().filter_map(|node| attribute(node, "validUntil")) {
        let end = DateTime::parse_from_rfc3339(text).map_err(|_| MetadataError::BadTime)?.to_utc();
        earliest = Some(earliest.map_or(end, |so_far| so_far.min(end)));
    }
    Ok(earliest)
}

fn endpoints(role: Node<'_, '_>, name: &'static str) -> Result<Vec<Endpoint>, MetadataError> {
    let mut endpoints = Vec::new();
    for node in children(role, METADATA, name) {
        let binding = match attribute(node, "Binding") {
            Some(REDIRECT) => Binding::Redirect,
            Some(POST) => Binding::Post,
            // SOAP, artifacts: there is another way.
            _ => continue,
        };
        let url = address(attribute(node, "Location").unwrap_or_default())?;
        let response_url = attribute(node, "ResponseLocation").map(address).transpose()?;
        endpoints.push(Endpoint { binding, url, response_url });
    }
    Ok(endpoints)
}

fn address(text: &str) -> Result<String, MetadataError> {
    check_url(text).map_err(|bad| MetadataError::Url(shown(text), bad))?;
    Ok(text.to_owned())
}

/// Those for signatures. One that can't be used does not matter while there is another.
fn certificates(role: Node<'_, '_>) -> Result<Vec<Certificate>, MetadataError> {
    let descriptors = children(role, METADATA, "KeyDescriptor");
    let signing = descriptors.filter(|node| attribute(*node, "use").is_none_or(|r#use| r#use == "signing"));
    let texts = signing
        .flat_map(|node| children(node, DSIG, "KeyInfo"))
        .flat_map(|node| children(node, DSIG, "X509Data"))
        .flat_map(|node| children(node, DSIG, "X509Certificate"))
        .filter_map(text);
    let (mut found, mut bad) = (Vec::new(), None);
    for text in texts {
        match Certificate::from_text(&text) {
            Ok(certificate) if found.contains(&certificate) => {}
            Ok(certificate) => found.push(certificate),
            Err(error) => bad = bad.or(Some(error)),
        }
        if found.len() > MAX_CERTIFICATES {
            return Err(MetadataError::TooManyCertificates);
        }
    }
    match (found.is_empty(), bad) {
        (false, _) => Ok(found),
        (true, Some(bad)) => Err(MetadataError::Certificate(bad)),
        (true, None) => Err(MetadataError::NoCertificate),
    }
}
