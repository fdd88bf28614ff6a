//! What we say of ourselves.

use openssl::sha::sha256;

use super::{POST, REDIRECT, SAML2};
use crate::certificate::hexadecimal;
use crate::outgoing::sign;
use crate::xml::{DSIG, METADATA, Writer};
use crate::{Certificate, Error, KeyPair};

/// What identity providers should encrypt with, the best first.
const ENCRYPTION: [&str; 3] = [
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
];

/// What we say of ourselves.
#[derive(Clone, Copy, Debug)]
pub struct ServiceProvider<'a> {
    /// Our name: the address of this document.
    pub entity_id: &'a str,
    /// Where assertions are taken, by POST.
    pub acs_url: &'a str,
    /// Where logout messages are taken, by redirect and POST.
    pub slo_url: &'a str,
    /// For people.
    pub organization_name: &'a str,
    /// Kinds of names that we take, the best first.
    pub name_id_formats: &'a [&'a str],
}

/// Writes our metadata, signed. Each certificate is for signing and for encryption, the signing key's first. The same input
/// gives the same bytes.
pub fn service_provider_metadata(
    provider: &ServiceProvider<'_>,
    signing: &KeyPair,
    others: &[Certificate],
) -> Result<String, Error> {
    let certificates: Vec<&Certificate> = std::iter::once(&signing.certificate).chain(others).collect();
    // An id that says what is in it.
    let (draft, _) = write(provider, &certificates, "_")?;
    let id = format!("_{}", hexadecimal(&sha256(draft.as_bytes())[..20]));
    let (xml, signature_at) = write(provider, &certificates, &id)?;
    sign(&xml, signature_at, &id, signing)
}

fn write(provider: &ServiceProvider<'_>, certificates: &[&Certificate], id: &str) -> Result<(String, usize), Error> {
    let mut xml = Writer::new();
    let names = [("xmlns:md", METADATA), ("xmlns:ds", DSIG), ("ID", id), ("entityID", provider.entity_id)];
    xml.start("md:EntityDescriptor", &names);
    // The signature comes first.
    let signature_at = xml.position();
    let role =
        [("AuthnRequestsSigned", "true"), ("WantAssertionsSigned", "true"), ("protocolSupportEnumeration", SAML2)];
    xml.start("md:SPSSODescriptor", &role);
    for purpose in ["signing", "encryption"] {
        for certificate in certificates {
            write_key(&mut xml, purpose, certificate);
        }
    }
    for binding in [REDIRECT, POST] {
        xml.empty("md:SingleLogoutService", &[("Binding", binding), ("Location", provider.slo_url)]);
    }
    for format in provider.name_id_formats {
        xml.leaf("md:NameIDFormat", &[], format);
    }
    let acs = [("Binding", POST), ("Location", provider.acs_url), ("index", "0"), ("isDefault", "true")];
    xml.empty("md:AssertionConsumerService", &acs);
    xml.end();
    write_organization(&mut xml, provider);
    xml.end();
    Ok((xml.finish()?, signature_at))
}

fn write_key(xml: &mut Writer, purpose: &str, certificate: &Certificate) {
    xml.start("md:KeyDescriptor", &[("use", purpose)]);
    xml.start("ds:KeyInfo", &[]);
    xml.start("ds:X509Data", &[]);
    xml.leaf("ds:X509Certificate", &[], &certificate.base64());
    xml.end();
    xml.end();
    if purpose == "encryption" {
        for algorithm in ENCRYPTION {
            xml.empty("md:EncryptionMethod", &[("Algorithm", algorithm)]);
        }
    }
    xml.end();
}

fn write_organization(xml: &mut Writer, provider: &ServiceProvider<'_>) {
    const ENGLISH: [(&str, &str); 1] = [("xml:lang", "en")];
    xml.start("md:Organization", &[]);
    xml.leaf("md:OrganizationName", &ENGLISH, provider.organization_name);
    xml.leaf("md:OrganizationDisplayName", &ENGLISH, provider.organization_name);
    xml.leaf("md:OrganizationURL", &ENGLISH, provider.entity_id);
    xml.end();
}
