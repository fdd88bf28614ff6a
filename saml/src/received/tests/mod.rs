//! Each rule has a test that breaks just this.

mod encryption;
mod hostile;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use samael::crypto::ReduceMode;

use super::*;
use crate::testing::{Encryption, ISSUER, Mint, elliptic, now, rsa, stranger};

fn every_form() -> Vec<(&'static str, Mint)> {
    let both = Mint { sign_response: Some(rsa()), ..Mint::default() };
    let encrypted = || Mint::encrypted(Encryption::default());
    vec![
        ("the assertion", Mint::default()),
        ("the response", Mint::signed_around()),
        ("both", both),
        ("the assertion, ECDSA", Mint { sign_assertion: Some(elliptic()), ..Mint::default() }),
        ("the response, ECDSA", Mint { sign_response: Some(elliptic()), ..Mint::signed_around() }),
        ("inside of what is encrypted", encrypted()),
        ("around what is encrypted", Mint { encryption: Some(Encryption::default()), ..Mint::signed_around() }),
        ("inside and around", Mint { sign_response: Some(elliptic()), ..encrypted() }),
    ]
}

#[test]
fn every_form_of_a_valid_sign_in_is_taken() {
    for (form, mint) in every_form() {
        let sign_in = mint.verify().unwrap_or_else(|refusal| panic!("{form}: {refusal}"));
        assert_eq!(sign_in.assertion_id, "_assertion");
        assert_eq!(sign_in.issuer, ISSUER);
        assert_eq!(sign_in.name_id.value, "b&b");
        assert_eq!(sign_in.name_id.sp_name_qualifier.as_deref(), Some("acme"));
        assert!(!sign_in.name_id.is_transient());
        assert_eq!(sign_in.session_index.as_deref(), Some("_session"));
        assert_eq!(sign_in.session_not_on_or_after, Some(now() + chrono::TimeDelta::hours(8)));
        assert_eq!(sign_in.authn_instant, now() - chrono::TimeDelta::hours(1));
        assert_eq!(sign_in.expires_at, now() + chrono::TimeDelta::minutes(6));
        let [mail, groups] = &sign_in.attributes[..] else { panic!("{form}: {:?}", sign_in.attributes) };
        assert_eq!(
            (mail.friendly_name.as_deref(), &mail.values[..]),
            (Some("mail"), &["bob@example.com".to_owned()][..])
        );
        assert_eq!(groups.values, ["Sales", "Köln <1>"]);
        let signer = if form.contains("ECDSA") { elliptic() } else { rsa() };
        assert_eq!(sign_in.fingerprint, signer.certificate.fingerprint(), "{form}");
    }
}

/// What is read of a document: names, attributes, text. The slow mode loses blanks between elements.
fn flat(xml: &str) -> Vec<String> {
    let document = crate::xml::parse(xml).expect("XML");
    let is_read =
        |node: &roxmltree::Node<'_, '_>| node.is_element() || node.text().is_some_and(|text| !text.trim().is_empty());
    let flat = document.descendants().filter(is_read).map(|node| {
        let attributes =
            node.attributes().map(|found| format!("{:?} {}={}", found.namespace(), found.name(), found.value()));
        let mut attributes: Vec<_> = attributes.collect();
        attributes.sort();
        let text = node.text().filter(|_| node.is_text());
        format!("{:?} {attributes:?} {text:?}", node.tag_name())
    });
    flat.collect()
}

/// The mode that is used is the fast one; the other finds what was signed by looking for it in the document.
#[test]
fn both_modes_of_the_engine_hand_back_the_same() {
    let unencrypted = every_form().into_iter().filter(|(_, mint)| mint.encryption.is_none());
    for (form, mint) in unencrypted {
        let xml = mint.xml();
        let certificates = [rsa().certificate.clone(), elliptic().certificate.clone()];
        let verify = |mode| engine::verify_by(mode, &xml, &certificates).expect("verified").xml;
        let (fast, slow) = (verify(ReduceMode::PreDigest), verify(ReduceMode::ValidateAndMarkNoAncestors));
        assert_eq!(flat(&fast), flat(&slow), "{form}");
    }
}

#[test]
fn base64_may_be_in_lines_and_without_padding() {
    let mint = Mint::default();
    let field = BASE64_STANDARD.encode(mint.xml());
    let lines: Vec<_> = field.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line)).collect();
    for field in [lines.join("\r\n"), format!(" {field}\n"), field.trim_end_matches('=').to_owned()] {
        assert!(mint.verify_field(&field).is_ok());
    }
    for field in ["", "<a/>", "####", &format!("{field}="), &BASE64_STANDARD.encode([0xff, 0xfe])] {
        assert!(
            matches!(mint.verify_field(field).expect_err("refused").reason, Reason::BadEncoding | Reason::BadXml),
            "{field}"
        );
    }
    let large = BASE64_STANDARD.encode(" ".repeat(600_000));
    assert_eq!(mint.verify_field(&large).expect_err("refused").reason, Reason::TooLarge);
    assert_eq!(mint.verify_field(&" ".repeat(1_000_001)).expect_err("refused").reason, Reason::TooLarge);
}

#[test]
fn what_an_identity_provider_may_leave_out_it_may() {
    let time = "2026-11-22T12:00:00";
    for mint in [
        Mint::default().edit(" NotBefore=\"2026-11-22T11:59:30Z\"", ""),
        Mint::default().edit(" SessionNotOnOrAfter=\"2026-11-22T20:00:00Z\"", ""),
        Mint::default().edit(" SessionIndex=\"_session\"", ""),
        Mint::default().edit(&format!("{time}Z"), &format!("{time}.1234567Z")),
        Mint::default().edit("<saml:AudienceRestriction>", "<saml:OneTimeUse/><saml:AudienceRestriction>"),
        Mint::default().edit("<saml:Audience>", "<saml:Audience>https://other.example</saml:Audience><saml:Audience>"),
        // Another way to confirm does not matter where the bearer is confirmed.
        Mint::default().edit("<saml:SubjectConfirmation ", "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:sender-vouches\"/><saml:SubjectConfirmation "),
        // A minute of tolerance, at both ends.
        Mint::default().edit("2026-11-22T11:59:30Z", "2026-11-22T12:01:00Z"),
        Mint::default().edit("2026-11-22T12:05:00Z", "2026-11-22T11:59:01Z"),
        Mint::default().edit("T11:59:30Z", "T11:50:00Z").edit("2026-11-22T12:10:00Z", "2026-11-22T11:59:01Z"),
    ] {
        assert!(mint.verify().is_ok(), "{:?}: {}", mint.verify(), mint.assertion);
    }
}

#[test]
fn what_was_begun_there_answers_nothing() {
    let answer = " InResponseTo=\"_request\"";
    let unasked = || Mint { in_response_to: None, ..Mint::default() };
    assert!(unasked().edit(answer, "").edit_envelope(answer, "").verify().is_ok());
    assert_eq!(unasked().edit(answer, "").reason(), Reason::Unasked);
    assert_eq!(unasked().edit_envelope(answer, "").reason(), Reason::Unasked);
}

#[test]
fn an_assertion_is_for_us_and_for_now() {
    use Reason::*;
    let later = "2026-11-22T12:01:01Z";
    let earlier = "2026-11-22T11:59:00Z";
    let confirmation = "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\">";
    for (from, to, reason) in [
        ("Version=\"2.0\"", "Version=\"1.1\"", Version),
        (" Version=\"2.0\"", "", Version),
        ("IssueInstant=\"2026-11-22T12:00:00Z\"", "", BadTime),
        ("IssueInstant=\"2026-11-22T12:00:00Z\"", "IssueInstant=\"2026-11-22T12:00:00+00:00\"", BadTime),
        ("IssueInstant=\"2026-11-22T12:00:00Z\"", &format!("IssueInstant=\"{later}\""), NotYetValid),
        ("<saml:Issuer>https://idp.example/metadata</saml:Issuer>", "<saml:Issuer></saml:Issuer>", Issuer),
        ("https://idp.example/metadata", "https://idp.example/metadata/", Issuer),
        ("https://idp.example/metadata", " https://idp.example/metadata", Issuer),
        ("<saml:Issuer>", "<saml:Issuer Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">", Issuer),
        ("saml:Conditions", "saml:Advice", NoConditions),
        (" NotOnOrAfter=\"2026-11-22T12:10:00Z\"", "", NoConditions),
        ("2026-11-22T12:10:00Z", "9999-12-31T23:59:59Z", BadTime),
        ("2026-11-22T12:10:00Z", "2026-11-22T12:10:00", BadTime),
        ("2026-11-22T12:10:00Z", earlier, Expired),
        ("2026-11-22T11:59:30Z", later, NotYetValid),
        // Either would do by itself.
        (
            "NotBefore=\"2026-11-22T11:59:30Z\" NotOnOrAfter=\"2026-11-22T12:10:00Z\"",
            "NotBefore=\"2026-11-22T12:00:50Z\" NotOnOrAfter=\"2026-11-22T11:59:30Z\"",
            BadTime,
        ),
        (
            "NotOnOrAfter=\"2026-11-22T12:05:00Z\"",
            "NotBefore=\"2026-11-22T12:00:30Z\" NotOnOrAfter=\"2026-11-22T12:00:30Z\"",
            BadTime,
        ),
        ("saml:AudienceRestriction", "saml:ProxyRestriction", NoAudience),
        ("acme/metadata</saml:Audience>", "evil/metadata</saml:Audience>", Audience),
        ("<saml:Audience>https://tenantry.example/v1/saml/acme/metadata</saml:Audience>", "", Audience),
        (
            "</saml:Conditions>",
            "<saml:AudienceRestriction><saml:Audience>https://other.example</saml:Audience></saml:AudienceRestriction></saml:Conditions>",
            Audience,
        ),
        ("</saml:Conditions>", "<saml:Condition/></saml:Conditions>", UnknownCondition),
        ("</saml:Conditions>", "<OneTimeUse/></saml:Conditions>", UnknownCondition),
        ("cm:bearer", "cm:holder-of-key", NoConfirmation),
        (" NotOnOrAfter=\"2026-11-22T12:05:00Z\"", "", NoConfirmation),
        ("saml:SubjectConfirmationData", "saml:Other", NoConfirmation),
        ("2026-11-22T12:05:00Z", earlier, Expired),
        ("<saml:SubjectConfirmationData", &format!("<saml:SubjectConfirmationData NotBefore=\"{later}\""), NotYetValid),
        (
            "Recipient=\"https://tenantry.example/v1/saml/acme/acs\"",
            "Recipient=\"https://tenantry.example/v1/saml/evil/acs\"",
            Recipient,
        ),
        ("Recipient=\"https://tenantry.example/v1/saml/acme/acs\"", "", Recipient),
        ("InResponseTo=\"_request\"", "InResponseTo=\"_another\"", InResponseTo),
        ("InResponseTo=\"_request\"", "", InResponseTo),
        ("saml:AuthnStatement", "saml:Statement", NoAuthentication),
        (" AuthnInstant=\"2026-11-22T11:00:00Z\"", "", NoAuthentication),
        ("2026-11-22T11:00:00Z", later, NotYetValid),
        ("2026-11-22T20:00:00Z", earlier, SessionEnded),
        ("2026-11-22T20:00:00Z", "never", BadTime),
        ("saml:Subject>", "saml:Other>", BadNameId),
        ("saml:NameID", "saml:BaseID", BadNameId),
        ("saml:NameID", "saml:EncryptedID", EncryptedId),
        ("b&amp;b", " ", BadNameId),
        ("b&amp;b", "b&#10;b", BadNameId),
        ("b&amp;b", "b<b/>b", BadNameId),
        ("b&amp;b", &"b".repeat(1025), BadNameId),
        ("b&amp;b", &"中".repeat(342), BadNameId),
        ("SPNameQualifier=\"acme\"", "SPNameQualifier=\"&#9;\"", BadNameId),
        ("</saml:NameID>", "</saml:NameID><saml:NameID>eve</saml:NameID>", BadNameId),
        (
            "<saml:Subject>",
            &format!(
                "<saml:Subject><saml:NameID>eve</saml:NameID></saml:Subject><saml:Subject>{confirmation}</saml:SubjectConfirmation>"
            ),
            BadNameId,
        ),
    ] {
        for mint in [Mint::default(), Mint::signed_around(), Mint::encrypted(Encryption::default())] {
            assert_eq!(mint.edit(from, to).reason(), reason, "{from} → {to}");
        }
    }
}

#[test]
fn an_assertion_is_remembered_until_its_last_confirmation_ends() {
    let confirmations = "</saml:SubjectConfirmation>";
    let and = |from: &str, end: &str, method: &str| {
        let data = "InResponseTo=\"_request\" Recipient=\"https://tenantry.example/v1/saml/acme/acs\"";
        let also = format!(
            "{confirmations}<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:{method}\">\
             <saml:SubjectConfirmationData NotBefore=\"{from}\" NotOnOrAfter=\"{end}\" {data}/>{confirmations}"
        );
        let mint = Mint::default().edit(confirmations, &also).edit("12:10:00Z", "18:00:00Z");
        mint.verify().unwrap_or_else(|refusal| panic!("{from} to {end}: {refusal}")).expires_at - now()
    };
    let minutes = chrono::TimeDelta::minutes;
    assert_eq!(and("2026-11-22T11:00:00Z", "2026-11-22T13:00:00Z", "bearer"), minutes(61), "both are good");
    assert_eq!(and("2026-11-22T12:10:00Z", "2026-11-22T13:00:00Z", "bearer"), minutes(61), "the second will be");
    assert_eq!(and("2026-11-22T11:00:00Z", "2026-11-22T11:30:00Z", "bearer"), minutes(6), "the second was");
    assert_eq!(and("2026-11-22T11:00:00Z", "never", "bearer"), minutes(6), "the second never is");
    assert_eq!(and("2026-11-22T11:00:00Z", "2026-11-22T13:00:00Z", "sender-vouches"), minutes(6), "not by its bearer");
    assert_eq!(
        and("2026-11-22T11:00:00Z", "2026-11-22T23:00:00Z", "bearer"),
        minutes(361),
        "the conditions end before"
    );
}

/// Also where nobody signed it: it leads to refusals only.
#[test]
fn the_envelope_must_be_right_too() {
    use Reason::*;
    let success = "urn:oasis:names:tc:SAML:2.0:status:Success";
    for (from, to, reason) in [
        ("Version=\"2.0\"", "Version=\"2.1\"", Version),
        (" ID=\"_response\"", "", BadId),
        ("IssueInstant=\"2026-11-22T12:00:00Z\"", "", BadTime),
        ("2026-11-22T12:00:00Z", "2026-11-22T12:01:01Z", NotYetValid),
        ("<saml:Issuer>https://idp.example/metadata</saml:Issuer>", "", Issuer),
        ("https://idp.example", "https://evil.example", Issuer),
        ("Destination=\"https://tenantry.example/v1/saml/acme/acs\"", "", Destination),
        ("acme/acs", "evil/acs", Destination),
        ("_request", "_another", InResponseTo),
        (" InResponseTo=\"_request\"", "", InResponseTo),
        (success, "urn:oasis:names:tc:SAML:2.0:status:Responder", Status),
        (&format!("<samlp:StatusCode Value=\"{success}\"/>"), "", Status),
        ("samlp:Status>", "samlp:Extensions>", Status),
    ] {
        assert_eq!(Mint::default().edit_envelope(from, to).reason(), reason, "{from} → {to}");
        if reason != BadId && !from.starts_with("<saml:Issuer>") {
            assert_eq!(Mint::signed_around().edit_envelope(from, to).reason(), reason, "signed: {from} → {to}");
        }
    }
}

#[test]
fn a_refusal_says_whom_and_what_it_is_about_but_nothing_of_the_person() {
    let refusal = Mint::default()
        .edit("acme/metadata</saml:Audience>", "evil/metadata</saml:Audience>")
        .verify()
        .expect_err("refused");
    assert_eq!(refusal.issuer.as_deref(), Some(ISSUER));
    assert_eq!(refusal.assertion_id.as_deref(), Some("_assertion"));
    assert_eq!(refusal.fingerprint, Some(rsa().certificate.fingerprint()));
    assert!(
        refusal.detail.contains("saml/evil/metadata") && refusal.detail.contains("saml/acme/metadata"),
        "{refusal}"
    );
    let unsigned = Mint { sign_assertion: Some(stranger()), ..Mint::default() }.verify().expect_err("refused");
    assert_eq!((unsigned.fingerprint, unsigned.issuer.as_deref()), (None, Some(ISSUER)));
    let name = Mint::default().edit("b&amp;b", "bob&#10;").verify().expect_err("refused");
    assert_eq!(name.detail, Reason::BadNameId.words());
}

#[test]
fn a_person_who_was_not_signed_in_there_is_told_so() {
    let mint = Mint { sign_assertion: None, ..Mint::default() };
    let status = "urn:oasis:names:tc:SAML:2.0:status:Responder";
    let failed =
        mint.clone().edit_envelope("urn:oasis:names:tc:SAML:2.0:status:Success", status).edit_envelope("ASSERTION", "");
    let refusal = failed.verify().expect_err("refused");
    assert_eq!(refusal.reason, Reason::Status);
    assert!(refusal.detail.contains(status));
    assert_eq!(mint.edit_envelope("ASSERTION", "").reason(), Reason::NoAssertion);
}
