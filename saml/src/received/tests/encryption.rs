//! Encrypted assertions.

use crate::Reason::*;
use crate::testing::{Encryption, Mint, rsa, stranger};

const GCM128: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
const CBC128: &str = "http://www.w3.org/2001/04/xmlenc#aes128-cbc";
const CBC256: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
const OAEP11: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
const SHA1: Option<&str> = Some("http://www.w3.org/2000/09/xmldsig#sha1");
const SHA256: Option<&str> = Some("http://www.w3.org/2001/04/xmlenc#sha256");

fn encryption(data: &'static str) -> Encryption {
    Encryption { data, ..Encryption::default() }
}

#[test]
fn each_good_way_to_encrypt_is_taken() {
    let default = Encryption::default();
    for encryption in [
        default,
        encryption(GCM128),
        Encryption { digest: SHA1, ..default },
        Encryption { digest: SHA256, ..default },
        Encryption { key: OAEP11, ..default },
        Encryption { key: OAEP11, digest: SHA256, mask: Some("http://www.w3.org/2009/xmlenc11#mgf1sha256"), ..default },
        Encryption { key: OAEP11, digest: SHA256, mask: Some("http://www.w3.org/2009/xmlenc11#mgf1sha1"), ..default },
        Encryption { beside: true, ..default },
    ] {
        let verified = Mint::encrypted(encryption).verify();
        assert!(verified.is_ok(), "{verified:?}");
    }
    for data in [CBC128, CBC256] {
        assert_eq!(Mint::encrypted(encryption(data)).reason(), CbcNotAllowed);
        let allowed = Mint { allow_cbc: true, ..Mint::encrypted(encryption(data)) };
        assert!(allowed.verify().is_ok());
    }
}

#[test]
fn other_ways_are_refused() {
    let default = Encryption::default();
    for encryption in [
        encryption("http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
        encryption(""),
        Encryption { key: "http://www.w3.org/2001/04/xmlenc#rsa-1_5", ..default },
        Encryption { digest: Some("http://www.w3.org/2001/04/xmldsig-more#md5"), ..default },
        Encryption { key: OAEP11, mask: Some("http://www.w3.org/2009/xmlenc11#mgf1sha512"), ..default },
    ] {
        assert_eq!(Mint::encrypted(encryption).reason(), EncryptionAlgorithm);
    }
    let mint = Mint::encrypted(default);
    let xml = mint.xml();
    for (from, to, reason) in [
        ("xenc:EncryptedKey", "xenc:OtherKey", BadEncryption),
        ("xenc:EncryptedData", "xenc:OtherData", BadEncryption),
        ("</ds:KeyInfo>", "<xenc:EncryptedKey/></ds:KeyInfo>", BadEncryption),
        ("xenc:CipherValue", "xenc:CipherReference", BadReference),
        ("<ds:KeyInfo ", "<ds:KeyInfo><ds:RetrievalMethod/></ds:KeyInfo><ds:KeyInfo ", BadXml),
        ("</ds:KeyInfo>", "<ds:RetrievalMethod/></ds:KeyInfo>", BadReference),
    ] {
        assert_eq!(mint.reason_of(&xml.replace(from, to)), reason, "{from} → {to}");
    }
}

#[test]
fn what_is_encrypted_is_signed_inside_or_around() {
    let encrypted = || Mint::encrypted(Encryption::default());
    assert_eq!(Mint { sign_assertion: None, ..encrypted() }.reason(), NotSigned);
    assert_eq!(Mint { sign_assertion: Some(stranger()), ..encrypted() }.reason(), InvalidSignature);
    assert_eq!(
        Mint { sign_assertion: Some(stranger()), sign_response: Some(rsa()), ..encrypted() }.reason(),
        InvalidSignature
    );
    assert_eq!(Mint { sign_response: Some(stranger()), ..encrypted() }.reason(), InvalidSignature);
}

/// Or they would tell an attacker, change by change, what is inside.
#[test]
fn whatever_is_wrong_with_a_ciphertext_the_answer_is_the_same() {
    let field = "<xenc:CipherValue>";
    for data in [GCM128, CBC128] {
        let mint = Mint { allow_cbc: true, ..Mint::encrypted(encryption(data)) };
        let xml = mint.xml();
        let mut answers = std::collections::HashSet::new();
        let values: Vec<_> = xml.match_indices(field).map(|(at, _)| at + field.len()).collect();
        assert_eq!(values.len(), 2);
        for start in values {
            let end = start + xml[start..].find('<').expect("an end");
            let cut = |length: usize| format!("{}{}{}", &xml[..start], &xml[start..start + length], &xml[end..]);
            for length in [0, 4, 16, 20, 24, 40, 64, 340] {
                answers.insert(mint.verify_xml(&cut(length)).expect_err("refused").detail);
            }
            for at in (start..end - 4).step_by(37) {
                let mut changed = xml.clone();
                let other = if xml[at..].starts_with('A') { "B" } else { "A" };
                changed.replace_range(at..=at, other);
                answers.insert(mint.verify_xml(&changed).expect_err("refused").detail);
            }
        }
        // What is inside may be wrong in every way, too; only a ciphertext that can't be changed may say how.
        let inside = [
            Mint { sign_assertion: Some(stranger()), ..mint.clone() },
            Mint { sign_assertion: None, ..mint.clone() },
            Mint { assertion: "<a".to_owned(), sign_assertion: None, ..mint.clone() },
            Mint { assertion: "<a/>".to_owned(), sign_assertion: None, ..mint.clone() },
            Mint { assertion: "<!-- -->".to_owned(), sign_assertion: None, ..mint.clone() },
        ];
        if data == CBC128 {
            answers.extend(inside.iter().map(|mint| mint.verify().expect_err("refused").detail));
        }
        assert_eq!(Vec::from_iter(answers), [DecryptionFailed.words()], "{data}");
    }
}
