//! Messages that an attacker makes of a valid one.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::every_form;
use crate::Reason::{self, *};
use crate::testing::{Chance, Mint, Signer, elliptic, rsa, stranger};

/// A valid message, changed after it was signed.
fn changed(mint: &Mint, from: &str, to: &str) -> Reason {
    let xml = mint.xml();
    assert!(xml.contains(from), "{from}");
    mint.reason_of(&xml.replace(from, to))
}

/// The signature's element in a message, from its first byte to its last.
fn signature(xml: &str) -> &str {
    let from = xml.find("<ds:Signature ").expect("a signature");
    let end = "</ds:Signature>";
    &xml[from..from + xml[from..].find(end).expect("its end") + end.len()]
}

fn assertion(xml: &str) -> &str {
    let from = xml.find("<saml:Assertion ").expect("an assertion");
    let end = "</saml:Assertion>";
    &xml[from..xml.rfind(end).expect("its end") + end.len()]
}

#[test]
fn only_the_identity_providers_own_keys_count() {
    for signer in [stranger(), stranger()] {
        assert_eq!(Mint { sign_assertion: Some(signer), ..Mint::default() }.reason(), InvalidSignature);
        assert_eq!(Mint { sign_response: Some(signer), ..Mint::default() }.reason(), InvalidSignature);
        assert_eq!(Mint { sign_response: Some(signer), ..Mint::signed_around() }.reason(), InvalidSignature);
    }
    assert_eq!(Mint { sign_assertion: None, ..Mint::default() }.reason(), NotSigned);
    let xml = Mint::default().xml();
    assert_eq!(Mint::default().reason_of(&xml.replace(signature(&xml), "")), NotSigned);
    // Whatever key is told along.
    let own = Mint { sign_assertion: Some(stranger()), ..Mint::default() }.xml();
    let told = format!(
        "</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
        stranger().certificate.base64()
    );
    assert_eq!(Mint::default().reason_of(&own.replace("</ds:SignatureValue>", &told)), InvalidSignature);
    let right = Mint::default().xml().replace("</ds:SignatureValue>", &told);
    assert!(Mint::default().verify_xml(&right).is_ok(), "nor does it matter beside a right signature");
}

#[test]
fn what_was_signed_can_not_be_changed() {
    for mint in [Mint::default(), Mint::signed_around(), Mint { sign_response: Some(rsa()), ..Mint::default() }] {
        for (from, to) in
            [("b&amp;b", "eve"), ("Sales", "Admins"), ("bob@example.com", "eve@example.com"), ("_session", "_other")]
        {
            assert_eq!(changed(&mint, from, to), InvalidSignature);
        }
    }
    assert_eq!(changed(&Mint::signed_around(), "<samlp:Status>", "<samlp:Status x=\"\">"), InvalidSignature);
}

/// The eight ways of XML signature wrapping, and some more: a signed assertion stays somewhere, another takes its place.
#[test]
fn a_signed_assertion_can_not_lend_its_signature() {
    let mint = Mint::default();
    let xml = mint.xml();
    let (signed, signature) = (assertion(&xml), signature(&xml));
    let evil = signed.replace("b&amp;b", "eve").replace(signature, "");
    let evil_2 = evil.replace("_assertion", "_evil");
    let unsigned = signed.replace(signature, "");
    let within = |outer: &str, inner: &str| outer.replace("</saml:Assertion>", &format!("{inner}</saml:Assertion>"));
    let object =
        |inner: &str| signature.replace("</ds:Signature>", &format!("<ds:Object>{inner}</ds:Object></ds:Signature>"));
    let moved = |to: &str| xml.replace(signed, to);
    for (what, message, reason) in [
        ("beside, before", moved(&format!("{evil_2}{signed}")), SeveralAssertions),
        ("beside, after", moved(&format!("{signed}{evil_2}")), SeveralAssertions),
        ("beside, with its id", moved(&format!("{signed}{evil}")), DuplicateId),
        ("around", moved(&within(&evil_2, signed)), SeveralAssertions),
        ("within", moved(&within(signed, &evil_2)), SeveralAssertions),
        ("in extensions", moved(&format!("<samlp:Extensions>{signed}</samlp:Extensions>{evil_2}")), SeveralAssertions),
        ("in extensions alone", moved(&format!("<samlp:Extensions>{signed}</samlp:Extensions>")), MisplacedAssertion),
        (
            "in the signature",
            moved(&evil_2.replace("</saml:Issuer>", &format!("</saml:Issuer>{}", object(&unsigned)))),
            BadSignature,
        ),
        ("an object alone", moved(&signed.replace(signature, &object(""))), BadSignature),
        ("in another namespace", moved(&format!("<Assertion>{signed}</Assertion>")), SeveralAssertions),
        (
            "a signature that refers elsewhere",
            moved(&evil_2.replace("</saml:Issuer>", &format!("</saml:Issuer>{signature}"))),
            BadReference,
        ),
        (
            "a signature moved up",
            moved(&unsigned).replace("<samlp:Status>", &format!("{signature}<samlp:Status>")),
            BadReference,
        ),
        (
            "a signature moved down",
            moved(&unsigned.replace("</saml:Subject>", &format!("{signature}</saml:Subject>"))),
            MisplacedSignature,
        ),
        ("two signatures", moved(&signed.replace(signature, &format!("{signature}{signature}"))), MisplacedSignature),
        (
            "an id in another spelling",
            moved(&signed.replace("<saml:Subject>", "<saml:Subject Id=\"_assertion\">")),
            DuplicateId,
        ),
        ("an id of XML", moved(&signed.replace("<saml:Subject>", "<saml:Subject xml:id=\"_assertion\">")), DuplicateId),
        ("another root", format!("<a>{xml}</a>"), UnexpectedMessage),
        ("two roots", format!("{xml}{xml}"), BadXml),
        ("an assertion alone", signed.to_owned(), UnexpectedMessage),
        ("another namespace", xml.replace("SAML:2.0:protocol", "SAML:1.0:protocol"), UnexpectedMessage),
    ] {
        assert_eq!(mint.reason_of(&message), reason, "{what}");
    }
}

#[test]
fn a_signature_has_one_form() {
    let mint = Mint::default();
    let c14n = "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>";
    let exclusive = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>";
    let enveloped = "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
    let xslt = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"><xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\"/></ds:Transform>";
    let reference = |uri: &str| format!("<ds:Reference URI=\"{uri}\">");
    let (right, method) = (reference("#_assertion"), "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
    for (from, to, reason) in [
        (c14n, "", BadSignature),
        (c14n, &c14n.replace("2001/10/xml-exc-c14n#", "TR/2001/REC-xml-c14n-20010315"), BadSignature),
        (c14n, &c14n.replace("c14n#", "c14n#WithComments"), BadSignature),
        (method, "http://www.w3.org/2000/09/xmldsig#rsa-sha1", SignatureAlgorithm),
        (method, "http://www.w3.org/2001/04/xmldsig-more#rsa-md5", SignatureAlgorithm),
        (method, "http://www.w3.org/2000/09/xmldsig#hmac-sha1", SignatureAlgorithm),
        (method, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", SignatureAlgorithm),
        (method, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha224", SignatureAlgorithm),
        (method, "", SignatureAlgorithm),
        (method, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", InvalidSignature),
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1", SignatureAlgorithm),
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#md5", SignatureAlgorithm),
        (enveloped, "", BadSignature),
        (exclusive, "", BadSignature),
        (exclusive, xslt, BadSignature),
        (exclusive, &format!("{exclusive}{xslt}"), BadSignature),
        (exclusive, &exclusive.replace("/>", "><ds:XPath>//*</ds:XPath></ds:Transform>"), BadSignature),
        (exclusive, &exclusive.replace("2001/10/xml-exc-c14n#", "TR/1999/REC-xpath-19991116"), BadSignature),
        (&right, &reference(""), BadReference),
        (&right, &reference("#_response"), BadReference),
        (&right, &reference("#xpointer(id('_assertion'))"), BadReference),
        (&right, &reference("#xpointer(/)"), BadReference),
        (&right, &reference("file:///dev/zero"), BadReference),
        (&right, &reference("http://127.0.0.1:9/"), BadReference),
        (&right, "<ds:Reference>", BadReference),
        (
            &right,
            "<ds:Reference URI=\"#_assertion\" Type=\"http://www.w3.org/2000/09/xmldsig#Manifest\">",
            BadReference,
        ),
        ("</ds:Reference>", &format!("</ds:Reference>{right}</ds:Reference>"), BadSignature),
        (
            "</ds:SignatureValue>",
            "</ds:SignatureValue><ds:KeyInfo><ds:RetrievalMethod URI=\"file:///dev/zero\"/></ds:KeyInfo>",
            BadReference,
        ),
        ("</ds:SignatureValue>", "</ds:SignatureValue><ds:SignatureValue/>", BadSignature),
    ] {
        assert_eq!(changed(&mint, from, to), reason, "{from} → {to}");
    }
    let thousands = "<ds:Reference URI=\"#_assertion\"/>".repeat(3000);
    assert_eq!(changed(&mint, "</ds:Reference>", &format!("</ds:Reference>{thousands}")), BadSignature);
}

/// A library that looks for attributes by their local name takes the first.
#[test]
fn what_is_read_of_a_signature_has_no_other_attribute() {
    let mint = Mint::default();
    let xml = mint.xml();
    for (element, attribute, value, reason) in [
        ("<ds:CanonicalizationMethod ", "Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", BadSignature),
        ("<ds:SignatureMethod ", "Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1", SignatureAlgorithm),
        ("<ds:Transform ", "Algorithm", "http://www.w3.org/2000/09/xmldsig#base64", BadSignature),
        ("<ds:DigestMethod ", "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#md5", SignatureAlgorithm),
        ("<ds:Reference ", "URI", "file:///dev/zero", BadReference),
        ("<saml:Assertion ", "ID", "_other", BadId),
        ("<samlp:Response ", "ID", "_other", BadId),
    ] {
        let twice = xml.replace(element, &format!("{element}xmlns:x=\"urn:x\" x:{attribute}=\"{value}\" "));
        assert_ne!(twice, xml, "{element}");
        assert_eq!(mint.reason_of(&twice), reason, "{element}");
    }
    for transform in ["enveloped-signature\"/>", "xml-exc-c14n#\"/></ds:Transforms>"] {
        let more = transform.replacen("\"", "\" Id=\"_t\"", 1);
        assert_eq!(changed(&mint, transform, &more), BadSignature, "{transform}");
    }
}

#[test]
fn prefixes_may_be_canonicalized_inclusively() {
    let signer: &Signer = rsa();
    let template = crate::engine::template("_assertion", signer.algorithm, None).expect("a template");
    let list = "Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"><ec:InclusiveNamespaces xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"xs\"/></ds:Transform>";
    let template = template.replace(
        "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>",
        &format!("<ds:Transform {list}"),
    );
    let mint = Mint { sign_assertion: None, ..Mint::default() };
    let assertion = signer.sign_template(&mint.assertion, &template);
    let message = mint.response.replace("ASSERTION", &assertion);
    assert!(message.contains("PrefixList"));
    assert!(mint.verify_xml(&message).is_ok(), "{:?}", mint.verify_xml(&message));
    let twice = message.replace("PrefixList=", "xmlns:x=\"urn:x\" x:PrefixList=\"saml\" PrefixList=");
    assert_eq!(mint.reason_of(&twice), BadSignature);
    assert_eq!(mint.reason_of(&message.replace("\"xs\"", &format!("\"{}\"", "xs ".repeat(200)))), BadSignature);
}

#[test]
fn better_digests_than_the_smallest_are_taken() {
    for (method, signer) in [("rsa", rsa()), ("ecdsa", elliptic())] {
        for bits in ["384", "512"] {
            let template = crate::engine::template("_assertion", signer.algorithm, None).expect("a template");
            let template = template.replace(&format!("{method}-sha256"), &format!("{method}-sha{bits}"));
            let mint = Mint { sign_assertion: None, ..Mint::default() };
            let message = mint.response.replace("ASSERTION", &signer.sign_template(&mint.assertion, &template));
            assert!(mint.verify_xml(&message).is_ok(), "{method}-sha{bits}: {:?}", mint.verify_xml(&message));
        }
    }
}

#[test]
fn what_is_not_plain_is_refused_before_it_is_parsed() {
    let mint = Mint::default();
    let xml = mint.xml();
    for (from, to, reason) in [
        ("b&amp;b", "b&amp;b<!-- -->.evil.example", ForbiddenMarkup),
        ("b&amp;b", "<![CDATA[b&b]]>", ForbiddenMarkup),
        ("b&amp;b", "b&amp;b<?evil?>", ForbiddenMarkup),
        ("b&amp;b", "&b;", BadXml),
        ("</saml:Assertion>", "", BadXml),
        ("ID=\"_response\"", "ID=\"_response\" ID=\"_response\"", BadXml),
        ("ID=\"_response\"", "ID=\"1response\"", BadId),
        ("ID=\"_response\"", "ID=\"\"", BadId),
    ] {
        assert_eq!(changed(&mint, from, to), reason, "{from} → {to}");
    }
    let entities = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c SYSTEM \"file:///etc/passwd\">]>";
    assert_eq!(mint.reason_of(&format!("{entities}{xml}")), ForbiddenMarkup);
    assert_eq!(mint.reason_of(&format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{xml}")), ForbiddenMarkup);
    assert_eq!(mint.reason_of(&format!("{}{xml}", "<a>".repeat(100_000))), TooComplex);
    assert_eq!(
        changed(
            &mint,
            "<samlp:Status>",
            &format!("<samlp:Extensions>{}</samlp:Extensions><samlp:Status>", "<a/>".repeat(4000))
        ),
        TooComplex
    );
    let declarations: String = (0..45).map(|n| format!(" xmlns:n{n}=\"urn:{n}\"")).collect();
    let crowded = format!("<e{declarations}><e{declarations}/></e><samlp:Status>");
    assert_eq!(changed(&mint, "<samlp:Status>", &crowded), TooComplex);
    assert!(mint.verify_xml(&format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{xml}\n")).is_ok());
}

/// Whatever is changed in a message, it is refused, or it says the same.
#[test]
fn no_changed_byte_changes_what_is_read() {
    for (form, mint) in [("assertion", Mint::default()), ("response", Mint::signed_around())] {
        let xml = mint.xml();
        let right = mint.verify_xml(&xml).expect("valid");
        let mut chance = Chance(1);
        let mut taken = 0;
        for at in 0..xml.len() {
            let mut bytes = xml.clone().into_bytes();
            bytes[at] ^= 1 << chance.below(7);
            let field = BASE64_STANDARD.encode(bytes);
            if let Ok(read) = mint.verify_field(&field) {
                assert_eq!(read, right, "{form}, byte {at}");
                taken += 1;
            }
        }
        // White space, and what is outside of the signed assertion and not looked at.
        assert!(taken < xml.len() / 10, "{form}: {taken} of {}", xml.len());
    }
}

/// Bounded, and the same each time: pieces are cut out, doubled, moved and changed.
#[test]
fn no_mutated_message_brings_it_down_or_says_something_else() {
    let forms = every_form();
    let messages: Vec<_> = forms.iter().map(|(_, mint)| mint.xml().into_bytes()).collect();
    let tokens: Vec<&[u8]> = vec![
        b"<",
        b">",
        b"\"",
        b"&#0;",
        b"&amp;",
        b"</saml:Assertion>",
        b"ID=\"_assertion\"",
        b"<!--",
        b"]]>",
        b"\0",
        b"\xff",
    ];
    let mut chance = Chance(2026);
    for round in 0..4000 {
        let which = chance.below(forms.len());
        let (form, mint) = &forms[which];
        let mut bytes = messages[which].clone();
        for _ in 0..=chance.below(3) {
            let from = chance.below(bytes.len());
            let to = (from + chance.below(60)).min(bytes.len());
            let at = chance.below(bytes.len());
            let piece = bytes[from..to].to_vec();
            match chance.below(4) {
                0 => drop(bytes.drain(from..to)),
                1 => drop(bytes.splice(at..at, piece)),
                2 => drop(bytes.splice(at..at, tokens[chance.below(tokens.len())].iter().copied())),
                _ => bytes[at] = chance.below(256) as u8,
            }
            if bytes.is_empty() {
                break;
            }
        }
        if let Ok(read) = mint.verify_field(&BASE64_STANDARD.encode(&bytes)) {
            assert_eq!(Ok(read), mint.verify(), "{form}, round {round}");
        }
    }
}

#[test]
fn a_directory_with_many_groups_is_read_in_time() {
    let value = |index: usize| format!("<saml:AttributeValue>group {index}</saml:AttributeValue>");
    let values: String = (0..3900).map(value).collect();
    let mint = Mint::default().edit("<saml:AttributeValue>Sales</saml:AttributeValue>", &values);
    let xml = mint.xml();
    let since = std::time::Instant::now();
    let sign_in = mint.verify_xml(&xml).expect("valid");
    assert_eq!(sign_in.attributes[1].values.len(), 3901);
    // What is quadratic takes half a minute.
    assert!(since.elapsed().as_secs() < 8, "{:?}", since.elapsed());
}
