//! What we ask identity providers.

use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;

use super::{ACS_URL, ENTITY_ID, now, ours};
use crate::xml::{DSIG, PROTOCOL};
use crate::{AuthnRequest, check_url, engine, gate, message_id};

fn request(destination: &str) -> AuthnRequest<'_> {
    AuthnRequest {
        id: "_request",
        issue_instant: now(),
        destination,
        issuer: ENTITY_ID,
        acs_url: ACS_URL,
        name_id_format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"),
        force_authn: true,
    }
}

#[test]
fn an_id_is_a_name_of_160_bits() {
    assert_eq!(message_id(&[0xab; 20]), format!("_{}", "ab".repeat(20)));
}

#[test]
fn a_redirect_is_signed_over_its_very_query() {
    let url = request("https://idp.example/sso?a=b")
        .message()
        .expect("a message")
        .redirect_url(Some(ours()), Some("a/b+c"))
        .expect("a URL");
    assert_eq!(check_url(&url), Ok(()));
    let query = url.strip_prefix("https://idp.example/sso?a=b&").expect("its own query stays");
    let (signed, signature) = query.split_once("&Signature=").expect("a signature");
    let value = |text: &str| percent_decode_str(text).decode_utf8().expect("text").into_owned();
    let signature = BASE64_STANDARD.decode(value(signature)).expect("base64");
    let key = ours().certificate.public_key().expect("a key");
    let mut verifier = openssl::sign::Verifier::new(openssl::hash::MessageDigest::sha256(), &key).expect("a verifier");
    assert!(verifier.verify_oneshot(&signature, signed.as_bytes()).expect("a check"));

    let parameters: Vec<_> = signed.split('&').map(|part| part.split_once('=').expect("a value")).collect();
    let [("SAMLRequest", message), ("RelayState", "a%2Fb%2Bc"), ("SigAlg", _)] = parameters[..] else {
        panic!("{signed}")
    };
    let mut xml = String::new();
    let deflated = BASE64_STANDARD.decode(value(message)).expect("base64");
    flate2::read::DeflateDecoder::new(&deflated[..]).read_to_string(&mut xml).expect("text");
    let document = crate::xml::parse(&xml).expect("XML");
    let root = document.root_element();
    assert!(root.has_tag_name((PROTOCOL, "AuthnRequest")));
    for (name, value) in [
        ("ID", "_request"),
        ("Version", "2.0"),
        ("IssueInstant", "2026-11-22T12:00:00Z"),
        ("ForceAuthn", "true"),
        ("Destination", "https://idp.example/sso?a=b"),
        ("AssertionConsumerServiceURL", ACS_URL),
        ("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"),
    ] {
        assert_eq!(root.attribute(name), Some(value), "{name}");
    }
    assert!(!root.descendants().any(|node| node.has_tag_name((DSIG, "Signature"))));
}

#[test]
fn a_post_has_its_signature_inside() {
    let message = request("https://idp.example/sso").message().expect("a message");
    let form = message.post_form(Some(ours())).expect("a form");
    assert_eq!((form.action.as_str(), form.field), ("https://idp.example/sso", "SAMLRequest"));
    let xml = String::from_utf8(BASE64_STANDARD.decode(&form.value).expect("base64")).expect("text");
    let document = gate::parse(&xml).expect("XML");
    let root = document.root_element();
    assert_eq!(gate::check_signatures(&document, &[root]), Ok(vec![true]));
    // The schema wants it right after the issuer.
    let children: Vec<_> =
        root.children().filter(|node| node.is_element()).map(|node| node.tag_name().name()).collect();
    assert_eq!(children, ["Issuer", "Signature", "NameIDPolicy"]);
    assert!(engine::verify(&xml, &[ours().certificate.clone()]).is_ok());
    assert!(xml.contains("<ds:X509Certificate>"));
    let unsigned = message.post_form(None).expect("a form").value;
    assert!(!String::from_utf8(BASE64_STANDARD.decode(unsigned).expect("base64")).expect("text").contains("Signature"));
}
