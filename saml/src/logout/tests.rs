//! Logout messages: ours are read as theirs.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::*;
use crate::Reason::{self, *};
use crate::testing::{ISSUER, Signer, elliptic, now, ours, rsa, stranger};
use crate::{KeyPair, Outgoing};

const SLO_URL: &str = "https://tenantry.example/v1/saml/acme/slo";

fn name_id() -> NameId {
    NameId {
        value: "b&b <x>\" ö".to_owned(),
        format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned()),
        name_qualifier: Some("a\"b'<&>".to_owned()),
        sp_name_qualifier: None,
    }
}

fn request() -> Outgoing {
    let request = NewLogoutRequest {
        id: "_logout",
        issue_instant: now(),
        not_on_or_after: now() + TimeDelta::minutes(2),
        destination: SLO_URL,
        issuer: ISSUER,
        name_id: &name_id(),
        session_indexes: &["_one", "<two>"],
    };
    request.message().expect("a message")
}

fn response(success: bool) -> Outgoing {
    let response = NewLogoutResponse {
        id: "_answer",
        issue_instant: now(),
        destination: SLO_URL,
        issuer: ISSUER,
        in_response_to: "_ours",
        success,
    };
    response.message().expect("a message")
}

fn query(message: &Outgoing, relay_state: Option<&str>) -> String {
    let url = message.redirect_url(Some(ours()), relay_state).expect("a URL");
    url.strip_prefix(SLO_URL).expect("the destination")[1..].to_owned()
}

fn form(message: &Outgoing, signer: Option<&KeyPair>) -> String {
    let form = message.post_form(signer).expect("a form");
    assert_eq!(form.action, SLO_URL);
    format!("{}={}&RelayState=a%20b", form.field, encoded(&form.value))
}

fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

fn expected(certificates: &[Certificate]) -> ExpectedLogout<'_> {
    ExpectedLogout { issuer: ISSUER, slo_url: SLO_URL, certificates, in_response_to: Some("_ours"), now: now() }
}

/// The two parties' keys are the same here: what we write is what we read.
fn certificates() -> Vec<Certificate> {
    vec![elliptic().certificate.clone(), rsa().certificate.clone(), ours().certificate.clone()]
}

fn verify(received: Result<ReceivedLogout, Refusal>) -> Result<LogoutMessage, Refusal> {
    received?.verify(&expected(&certificates()))
}

fn reason(received: Result<ReceivedLogout, Refusal>) -> Reason {
    verify(received).expect_err("it should have been refused").reason
}

#[test]
fn a_request_is_read_as_it_was_written() {
    for received in [
        ReceivedLogout::from_query(&query(&request(), Some("a b"))),
        ReceivedLogout::from_form(&form(&request(), Some(ours()))),
    ] {
        let received = received.expect("a message");
        assert!(received.is_request());
        assert_eq!((received.issuer(), received.in_response_to()), (ISSUER, None));
        assert_eq!(received.relay_state(), Some("a b"));
        let LogoutMessage::Request(read) = verify(Ok(received)).expect("valid") else { panic!("a request") };
        assert_eq!((read.id.as_str(), read.issuer.as_str()), ("_logout", ISSUER));
        assert_eq!(read.name_id, name_id());
        assert_eq!(read.session_indexes, ["_one", "<two>"]);
        assert_eq!(read.fingerprint, ours().certificate.fingerprint());
        assert_eq!(read.expires_at, now() + TimeDelta::minutes(3));
    }
}

#[test]
fn a_response_is_read_as_it_was_written() {
    for success in [true, false] {
        for received in [
            ReceivedLogout::from_query(&query(&response(success), None)),
            ReceivedLogout::from_form(&form(&response(success), Some(ours()))),
        ] {
            let received = received.expect("a message");
            assert_eq!(received.in_response_to(), Some("_ours"));
            let LogoutMessage::Response(read) = verify(Ok(received)).expect("valid") else { panic!("a response") };
            assert_eq!((read.success, read.in_response_to.as_str()), (success, "_ours"));
        }
    }
}

#[test]
fn a_response_answers_what_was_asked() {
    for in_response_to in [None, Some("_another")] {
        let certificates = certificates();
        let expected = ExpectedLogout { in_response_to, ..expected(&certificates) };
        let received = ReceivedLogout::from_query(&query(&response(true), None)).expect("a message");
        assert_eq!(received.verify(&expected).expect_err("refused").reason, InResponseTo);
    }
}

#[test]
fn a_message_is_signed_by_its_sender() {
    let only = |signer: &Signer| vec![signer.certificate.clone()];
    for certificates in [only(stranger()), only(elliptic()), Vec::new()] {
        for received in [
            ReceivedLogout::from_query(&query(&request(), None)),
            ReceivedLogout::from_form(&form(&request(), Some(ours()))),
        ] {
            let refusal = received.expect("a message").verify(&expected(&certificates)).expect_err("refused");
            assert_eq!(refusal.reason, InvalidSignature);
        }
    }
    assert_eq!(reason(ReceivedLogout::from_form(&form(&request(), None))), NotSigned);
    let unsigned = request().redirect_url(None, None).expect("a URL");
    assert_eq!(reason(ReceivedLogout::from_query(unsigned.split_once('?').expect("a query").1)), NotSigned);
}

/// What is over the query, and by whom: RSA, or ECDSA in either of its two spellings.
#[test]
fn a_query_may_be_signed_on_an_elliptic_curve() {
    let unsigned = request().redirect_url(None, Some("x")).expect("a URL");
    let unsigned = unsigned.split_once('?').expect("a query").1;
    let signed = format!("{unsigned}&SigAlg={}", encoded(elliptic().algorithm));
    let der = elliptic().sign_raw(signed.as_bytes());
    let numbers = openssl::ecdsa::EcdsaSig::from_der(&der).expect("a signature");
    let number = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).expect("a number");
    let raw = [number(numbers.r()), number(numbers.s())].concat();
    for signature in [&der, &raw] {
        let query = format!("{signed}&Signature={}", encoded(&BASE64_STANDARD.encode(signature)));
        assert!(verify(ReceivedLogout::from_query(&query)).is_ok());
        let other = query.replace("RelayState=x", "RelayState=y");
        assert_eq!(reason(ReceivedLogout::from_query(&other)), InvalidSignature);
    }
}

#[test]
fn the_signature_is_over_the_query_as_it_came() {
    let query = query(&request(), Some("a b"));
    let parse = |query: &str| ReceivedLogout::from_query(query);
    assert!(verify(parse(&query)).is_ok());
    assert!(verify(parse(&format!("{query}&other=1"))).is_ok(), "what is not SAML's is not looked at");
    let (message, rest) = query.split_once('&').expect("parameters");
    assert!(verify(parse(&format!("{rest}&{message}"))).is_ok(), "in whatever order it came");
    for (what, changed, wanted) in [
        ("another spelling", query.replace("a%20b", "a+b"), InvalidSignature),
        ("another state", query.replace("a%20b", "c"), InvalidSignature),
        ("no state", query.replace("RelayState=a%20b&", ""), InvalidSignature),
        ("another algorithm", query.replace("rsa-sha256", "rsa-sha512"), InvalidSignature),
        ("a weak algorithm", query.replace("xmldsig-more%23rsa-sha256", "xmldsig%23rsa-sha1"), InvalidSignature),
        ("a name in another spelling", query.replace("RelayState", "Relay%53tate"), BadQuery),
        ("twice", format!("{query}&RelayState=c"), BadQuery),
        ("the message twice", format!("{message}&{query}"), BadQuery),
        ("a response, too", format!("{query}&SAMLResponse=x"), BadQuery),
        ("twice, in another spelling", format!("{query}&Relay%53tate=c"), BadQuery),
        ("no message", rest.to_owned(), BadQuery),
        ("nothing", String::new(), BadQuery),
        ("no algorithm", query.replace("SigAlg", "Other"), NotSigned),
        ("no signature", query.replace("&Signature", "&Other"), NotSigned),
        ("a request as a response", query.replace("SAMLRequest", "SAMLResponse"), UnexpectedMessage),
        ("another encoding", format!("{query}&SAMLEncoding=x"), BadDeflate),
        ("not base64", query.replace("SAMLRequest=", "SAMLRequest=%25"), BadEncoding),
        ("not UTF-8", query.replace("RelayState=", "RelayState=%ff"), BadQuery),
        ("large", format!("{query}&x={}", "x".repeat(1_000_000)), TooLarge),
    ] {
        let found = reason(parse(&changed));
        let weak = what == "a weak algorithm" && changed.contains("rsa-sha1");
        assert_eq!(found, if weak { SignatureAlgorithm } else { wanted }, "{what}");
    }
}

/// A message of the redirect binding, of any text, signed.
fn redirected(xml: &[u8]) -> String {
    use std::io::Write as _;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(xml).expect("deflated");
    let deflated = BASE64_STANDARD.encode(encoder.finish().expect("deflated"));
    let signed = format!("SAMLRequest={}&SigAlg={}", encoded(&deflated), encoded(rsa().algorithm));
    let signature = rsa().sign_raw(signed.as_bytes());
    format!("{signed}&Signature={}", encoded(&BASE64_STANDARD.encode(signature)))
}

fn xml() -> String {
    let form = request().post_form(None).expect("a form");
    String::from_utf8(BASE64_STANDARD.decode(form.value).expect("base64")).expect("text")
}

#[test]
fn a_message_that_is_huge_when_it_is_inflated_is_cut_off() {
    let bomb = redirected(&vec![b' '; 100_000_000]);
    assert!(bomb.len() < 200_000);
    assert_eq!(reason(ReceivedLogout::from_query(&bomb)), BadDeflate);
    assert_eq!(reason(ReceivedLogout::from_query(&redirected(b""))), BadXml);
    assert_eq!(reason(ReceivedLogout::from_query(&redirected(&[0xff]))), BadEncoding);
    assert_eq!(reason(ReceivedLogout::from_query(&format!("SAMLRequest={}", encoded("////")))), BadDeflate);
    assert_eq!(reason(ReceivedLogout::from_query(&redirected(b"<!DOCTYPE a><a/>"))), ForbiddenMarkup);
}

#[test]
fn a_message_is_for_us_and_for_now() {
    let two = |minutes: i64| crate::time::format(now() + TimeDelta::minutes(minutes));
    let stated = format!(" NotOnOrAfter=\"{}\"", two(2));
    let signed = request().post_form(Some(ours())).expect("a form").value;
    let signature = String::from_utf8(BASE64_STANDARD.decode(signed).expect("base64")).expect("text");
    let signature = signature[signature.find("<ds:Signature ").expect("its begin")..]
        .split_once("<saml:NameID")
        .expect("its end")
        .0
        .to_owned();
    for (from, to, wanted) in [
        ("Version=\"2.0\"", "Version=\"1.1\"".to_owned(), Version),
        (" ID=\"_logout\"", String::new(), BadId),
        (ISSUER, "https://evil.example".to_owned(), Issuer),
        (SLO_URL, "https://evil.example".to_owned(), Destination),
        (" Destination=\"https://tenantry.example/v1/saml/acme/slo\"", String::new(), Destination),
        (&stated, format!(" NotOnOrAfter=\"{}\"", two(-1)), Expired),
        (&two(0), two(2), NotYetValid),
        ("saml:NameID", "saml:EncryptedID".to_owned(), EncryptedId),
        ("saml:NameID", "saml:BaseID".to_owned(), BadNameId),
        ("</saml:Issuer>", format!("</saml:Issuer>{signature}"), MisplacedSignature),
    ] {
        let xml = xml();
        assert!(xml.contains(from), "{from}");
        assert_eq!(
            reason(ReceivedLogout::from_query(&redirected(xml.replace(from, &to).as_bytes()))),
            wanted,
            "{from}"
        );
    }
    // One that does not say how long it is valid is so for five minutes.
    let silent = |at: i64| redirected(xml().replace(&stated, "").replace(&two(0), &two(at)).as_bytes());
    let Ok(LogoutMessage::Request(read)) = verify(ReceivedLogout::from_query(&silent(-5))) else { panic!("valid") };
    assert_eq!(read.expires_at, now() + TimeDelta::minutes(1));
    assert_eq!(reason(ReceivedLogout::from_query(&silent(-6))), Expired);
}

#[test]
fn what_was_posted_can_not_be_changed() {
    let value = request().post_form(Some(ours())).expect("a form").value;
    let xml = String::from_utf8(BASE64_STANDARD.decode(value).expect("base64")).expect("text");
    let post = |xml: &str| ReceivedLogout::from_form(&format!("SAMLRequest={}", encoded(&BASE64_STANDARD.encode(xml))));
    assert!(verify(post(&xml)).is_ok());
    for (from, to, wanted) in [
        ("b&amp;b", "eve", InvalidSignature),
        ("_one", "_two", InvalidSignature),
        ("#_logout", "#_other", BadReference),
        ("#_logout", "", BadReference),
        ("rsa-sha256", "rsa-sha1", SignatureAlgorithm),
    ] {
        assert!(xml.contains(from), "{from}");
        assert_eq!(reason(post(&xml.replace(from, to))), wanted, "{from}");
    }
}

#[test]
fn what_no_xml_can_hold_is_not_written() {
    let bad = NameId { value: "a\u{1}b".to_owned(), ..name_id() };
    let request = NewLogoutRequest {
        id: "_logout",
        issue_instant: now(),
        not_on_or_after: now(),
        destination: SLO_URL,
        issuer: ISSUER,
        name_id: &bad,
        session_indexes: &[],
    };
    assert!(request.message().is_err());
}
