//! Metadata, theirs and ours.

use chrono::TimeDelta;

use super::*;
use crate::testing::{ACS_URL, ENTITY_ID, ISSUER, elliptic, generate, now, ours, rsa, stranger};
use crate::{BadCertificate, Certificate, engine, gate};

fn key(r#use: &str, certificate: &Certificate) -> String {
    let lines = certificate.pem().lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>().join("\n        ");
    format!(
        "<md:KeyDescriptor{use}><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data><ds:X509Certificate>\n{lines}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )
}

fn document() -> String {
    format!(
        r##"<?xml version="1.0" encoding="UTF-8"?>
<!-- from the shelf -->
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ISSUER}" validUntil="2026-12-01T00:00:00.000Z">
  <md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol urn:oasis:names:tc:SAML:2.0:protocol">
    {}{}{}{}
    <md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example/slo" ResponseLocation="https://idp.example/slo/answer"/>
    <md:NameIDFormat> urn:oasis:names:tc:SAML:2.0:nameid-format:persistent
    </md:NameIDFormat>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="https://idp.example/soap"/>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example/sso?a=b"/>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="http://127.0.0.1:8080/sso"/>
  </md:IDPSSODescriptor>
</md:EntityDescriptor>"##,
        key(" use=\"signing\"", &rsa().certificate),
        key("", &elliptic().certificate),
        key(" use=\"signing\"", &rsa().certificate),
        key(" use=\"encryption\"", &stranger().certificate),
    )
}

fn parse(document: &str) -> Result<IdentityProvider, MetadataError> {
    parse_metadata(document.as_bytes(), None, now())
}

#[test]
fn an_identity_providers_metadata_is_read() {
    let read = parse(&document()).expect("metadata");
    assert_eq!(read.entity_id, ISSUER);
    assert_eq!(read.certificates, [rsa().certificate.clone(), elliptic().certificate.clone()]);
    let endpoint = |binding, url: &str| Endpoint { binding, url: url.to_owned(), response_url: None };
    let post = endpoint(Binding::Post, "https://idp.example/sso?a=b");
    assert_eq!(read.sso, [post, endpoint(Binding::Redirect, "http://127.0.0.1:8080/sso")]);
    assert_eq!(read.slo[0].response_url.as_deref(), Some("https://idp.example/slo/answer"));
    assert_eq!(read.name_id_formats, ["urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"]);
    assert!(read.wants_signed_requests);
    assert_eq!(read.valid_until, Some(now() + TimeDelta::hours(8 * 24 + 12)));
    assert_eq!(parse(&format!("\u{feff}{}", document())).as_ref(), Ok(&read));
    assert_eq!(parse_metadata(document().as_bytes(), Some(ISSUER), now()).as_ref(), Ok(&read));
}

#[test]
fn metadata_that_could_do_harm_is_refused() {
    use MetadataError::*;
    let url = |text: &str, bad| Url(text.to_owned(), bad);
    let place = "https://idp.example/sso?a=b";
    let script = "javascript:alert(1)";
    for (from, to, error) in [
        (place, script, url(script, BadUrl::Scheme)),
        (place, "http://idp.example/sso", url("http://idp.example/sso", BadUrl::Scheme)),
        (place, "https://a:b@idp.example", url("https://a:b@idp.example", BadUrl::Credentials)),
        (place, "", url("", BadUrl::NotAbsolute)),
        ("https://idp.example/slo\"", "//idp.example\"", url("//idp.example", BadUrl::NotAbsolute)),
        ("https://idp.example/slo/answer", "file:///etc/passwd", url("file:///etc/passwd", BadUrl::Scheme)),
        ("SingleSignOnService", "ArtifactResolutionService", NoSignOn),
        ("IDPSSODescriptor", "SPSSODescriptor", NoIdentityProvider),
        ("urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.0:protocol", NoIdentityProvider),
        (ISSUER, "", EntityId),
        (ISSUER, "a b", EntityId),
        ("md:EntityDescriptor", "md:Other", NotMetadata),
        ("ds:X509Certificate", "ds:Other", NoCertificate),
        ("MII", "AAAA", Certificate(BadCertificate::Unreadable)),
        ("2026-12-01T00:00:00.000Z", "2026-11-22T12:00:00Z", Expired(now())),
        ("2026-12-01T00:00:00.000Z", "never", BadTime),
        (
            "<!-- from the shelf -->",
            "<!DOCTYPE a [<!ENTITY b \"c\">]>",
            Unreadable("markup that begins with <! or <?".to_owned()),
        ),
        ("</md:EntityDescriptor>", "", Unreadable("it is not well-formed XML".to_owned())),
    ] {
        let changed = document().replace(from, to);
        assert_ne!(document(), changed, "{from}");
        assert_eq!(parse(&changed).expect_err(from), error, "{from} → {to}");
    }
    assert_eq!(parse(&" ".repeat(5_000_001)), Err(TooLarge));
    assert!(matches!(parse_metadata(&[0xff], None, now()), Err(Unreadable(_))));
    assert_eq!(parse_metadata(document().as_bytes(), Some("https://other.example"), now()), Err(NotFound));
}

#[test]
fn one_certificate_that_can_not_be_used_does_not_matter_beside_another() {
    let first = rsa().certificate.pem().lines().nth(1).expect("a line").to_owned();
    let read = parse(&document().replace(&first, "AAAA")).expect("metadata");
    assert_eq!(read.certificates, [elliptic().certificate.clone()]);
    let many: String = (0..11).map(|_| key("", &crate::key_pair::passing().expect("a key").1)).collect();
    let many = document().replace("<md:SingleLogoutService", &format!("{many}<md:SingleLogoutService"));
    assert_eq!(parse(&many), Err(MetadataError::TooManyCertificates));
}

#[test]
fn one_of_many_is_found_by_its_entity_id() {
    let one = document().split_once("-->").expect("a comment").1.to_owned();
    let other = one.replace(ISSUER, "https://other.example");
    let wrap = |inside: &str| {
        format!(
            "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">{inside}</md:EntitiesDescriptor>"
        )
    };
    let find = |document: &str, id| parse_metadata(document.as_bytes(), id, now()).map(|found| found.entity_id);
    let both = wrap(&format!("{}{other}", wrap(&one)));
    assert_eq!(find(&both, Some(ISSUER)).as_deref(), Ok(ISSUER));
    assert_eq!(find(&both, Some("https://other.example")).as_deref(), Ok("https://other.example"));
    assert_eq!(find(&both, None), Err(MetadataError::Several));
    assert_eq!(find(&wrap(&one), None).as_deref(), Ok(ISSUER));
    assert_eq!(find(&wrap(&format!("{one}{one}")), Some(ISSUER)), Err(MetadataError::Several));
    assert_eq!(find(&wrap(""), None), Err(MetadataError::NotMetadata));
    let ended =
        wrap(&one).replacen("EntitiesDescriptor ", "EntitiesDescriptor validUntil=\"2026-01-01T00:00:00Z\" ", 1);
    assert!(matches!(find(&ended, None), Err(MetadataError::Expired(_))));
    let mut deep = one;
    for _ in 0..500 {
        deep = wrap(&deep);
    }
    assert!(matches!(find(&deep, None), Err(MetadataError::Unreadable(_))));
}

#[test]
fn addresses_lead_to_https_only() {
    for good in ["https://idp.example/a?b=c", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost:8080/x"] {
        assert_eq!(check_url(good), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("", BadUrl::NotAbsolute),
        ("/path", BadUrl::NotAbsolute),
        (" https://idp.example", BadUrl::NotAbsolute),
        ("https://idp.exa\nmple", BadUrl::NotAbsolute),
        ("https://idp.example/\"><script>", BadUrl::NotAbsolute),
        ("https://idp.example/\\", BadUrl::NotAbsolute),
        ("http://idp.example", BadUrl::Scheme),
        ("http://localhost.evil.example", BadUrl::Scheme),
        ("http://10.0.0.1", BadUrl::Scheme),
        ("data:text/html,x", BadUrl::Scheme),
        ("https://user@idp.example", BadUrl::Credentials),
        ("https://idp.example/#x", BadUrl::Fragment),
    ] {
        assert_eq!(check_url(bad), Err(why), "{bad}");
    }
    assert_eq!(check_url(&format!("https://idp.example/{}", "a".repeat(2048))), Err(BadUrl::TooLong));
}

fn provider() -> ServiceProvider<'static> {
    ServiceProvider {
        entity_id: ENTITY_ID,
        acs_url: ACS_URL,
        slo_url: "https://tenantry.example/v1/saml/acme/slo",
        organization_name: "A <& B>",
        name_id_formats: &["urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"],
    }
}

#[test]
fn our_metadata_is_signed_and_has_each_certificate_for_both_purposes() {
    let next = generate();
    let others = std::slice::from_ref(&next.certificate);
    let xml = service_provider_metadata(&provider(), ours(), others).expect("metadata");
    assert_eq!(service_provider_metadata(&provider(), ours(), others).expect("metadata"), xml, "the same each time");

    let document = crate::xml::parse(&xml).expect("XML");
    let root = document.root_element();
    gate::check_ids(&document).expect("ids");
    assert_eq!(gate::check_signatures(&document, &[root]), Ok(vec![true]));
    let verified = engine::verify(&xml, &[ours().certificate.clone()]).expect("signed by the active key");
    let document = crate::xml::parse(&verified.xml).expect("XML");
    let of = |name: &str| document.descendants().filter(|node| node.tag_name().name() == name).collect::<Vec<_>>();
    let keys: Vec<_> = of("KeyDescriptor")
        .into_iter()
        .map(|node| {
            let text = node
                .descendants()
                .find(|node| node.tag_name().name() == "X509Certificate")
                .and_then(|node| node.text());
            (node.attribute("use").expect("a use"), Certificate::from_text(text.expect("text")).expect("a certificate"))
        })
        .collect();
    let (active, next) = (ours().certificate.clone(), next.certificate);
    assert_eq!(
        keys,
        [("signing", active.clone()), ("signing", next.clone()), ("encryption", active), ("encryption", next)]
    );
    assert_eq!(of("AssertionConsumerService")[0].attribute("Location"), Some(ACS_URL));
    assert_eq!(of("SingleLogoutService").len(), 2);
    assert_eq!(of("OrganizationName")[0].text(), Some("A <& B>"));
    assert_eq!(document.root_element().attribute("entityID"), Some(ENTITY_ID));
}
