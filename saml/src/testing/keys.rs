//! Certificates and keys.

use chrono::{DateTime, TimeDelta};
use openssl::pkey::PKey;
use openssl::x509::X509;
use secrecy::ExposeSecret;

use super::{elliptic, generate, now, ours, rsa};
use crate::{BadCertificate, BadKeyRequest, Certificate, KeyPair, KeyRequest, PrivateKey, key_pair};

#[test]
fn a_certificate_is_read_in_each_of_its_forms() {
    let certificate = &rsa().certificate;
    let pem = certificate.pem();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for text in [pem.clone(), format!("\n\n{pem}\n"), pem.replace('\n', "\r\n"), base64.clone(), format!(" {base64}\n")]
    {
        assert_eq!(Certificate::from_text(&text).as_ref(), Ok(certificate));
    }
    assert_eq!(Certificate::from_der(certificate.der()).as_ref(), Ok(certificate));
    assert_eq!(certificate.fingerprint().len(), 64);
    assert_eq!(format!("{certificate:?}"), format!("Certificate({})", certificate.fingerprint()));
    assert_eq!(certificate.not_before(), now());
    assert_eq!(certificate.not_after(), now() + TimeDelta::days(365));
}

#[test]
fn what_is_no_good_certificate_is_told_apart() {
    let pem = rsa().certificate.pem();
    let private = ours().private_key.to_der().expect("a key");
    let private_pem =
        PKey::private_key_from_der(private.expose_secret()).and_then(|key| key.private_key_to_pem_pkcs8());
    let private_pem = String::from_utf8(private_pem.expect("PEM")).expect("text");
    let longer = [rsa().certificate.der(), b"x"].concat();
    for (text, why) in [
        ("", BadCertificate::Unreadable),
        ("nonsense", BadCertificate::Unreadable),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", BadCertificate::Unreadable),
        (&format!("{pem}{}", elliptic().certificate.pem()), BadCertificate::Several),
        (&private_pem, BadCertificate::PrivateKey),
        (&format!("{pem}{private_pem}"), BadCertificate::PrivateKey),
        (&"A".repeat(70_000), BadCertificate::Unreadable),
    ] {
        assert_eq!(Certificate::from_text(text), Err(why), "{text:.40}");
    }
    assert_eq!(Certificate::from_der(private.expose_secret()), Err(BadCertificate::PrivateKey));
    assert_eq!(Certificate::from_der(&longer), Err(BadCertificate::Unreadable));
}

#[test]
fn weak_and_unknown_kinds_of_keys_are_refused() {
    let weak = openssl::rsa::Rsa::generate(1024).and_then(PKey::from_rsa).expect("a key");
    let edwards = PKey::ec_gen("secp256k1").expect("a key");
    for (key, why) in [(weak, BadCertificate::WeakKey), (edwards, BadCertificate::KeyKind)] {
        let request = KeyRequest { common_name: "x", days: 365, key_size: 2048, now: now() };
        let x509 = key_pair::self_signed(&key, &request).expect("a certificate");
        assert_eq!(Certificate::from_der(&x509.to_der().expect("DER")), Err(why));
    }
    for curve in ["prime256v1", "secp384r1", "secp521r1"] {
        let key = PKey::ec_gen(curve).expect("a key");
        let request = KeyRequest { common_name: "x", days: 365, key_size: 2048, now: now() };
        let x509 = key_pair::self_signed(&key, &request).expect("a certificate");
        assert!(Certificate::new(&x509).is_ok(), "{curve}");
    }
}

#[test]
fn a_new_key_has_a_certificate_of_its_own() {
    let request = KeyRequest { common_name: "Bücher & Söhne", days: 3650, key_size: 3072, now: now() };
    let pair = KeyPair::generate(&request).expect("a key");
    let x509 = X509::from_der(pair.certificate.der()).expect("a certificate");
    let key = x509.public_key().expect("a key");
    assert_eq!((key.bits(), x509.version()), (3072, 2));
    assert!(x509.verify(&key).expect("a check"), "signed by itself");
    assert!(pair.private_key.pkey().public_eq(&key));
    let name = x509.subject_name().entries().next().expect("a name");
    assert_eq!(name.data().to_string().expect("text"), "Bücher & Söhne");
    let serial = |x509: &X509| x509.serial_number().to_bn().expect("a number");
    assert!(serial(&x509).num_bits() >= 64);
    assert_eq!(pair.certificate.not_after(), now() + TimeDelta::days(3650));
    let other = X509::from_der(generate().certificate.der()).expect("a certificate");
    assert_ne!(serial(&x509), serial(&other));
}

#[test]
fn a_key_can_not_be_asked_for_in_any_way() {
    let good = KeyRequest { common_name: "x", days: 365, key_size: 2048, now: DateTime::UNIX_EPOCH };
    assert!(good.check().is_ok());
    for common_name in ["", " ", "a\nb", &"x".repeat(65)] {
        assert!(matches!(
            KeyPair::generate(&KeyRequest { common_name, ..good.clone() }),
            Err(BadKeyRequest::CommonName)
        ));
    }
    for days in [0, 364, 3651, u32::MAX] {
        assert!(matches!(KeyPair::generate(&KeyRequest { days, ..good.clone() }), Err(BadKeyRequest::Days)));
    }
    for key_size in [0, 1024, 2049, 8192] {
        assert!(matches!(KeyPair::generate(&KeyRequest { key_size, ..good.clone() }), Err(BadKeyRequest::KeySize)));
    }
}

#[test]
fn a_private_key_shows_itself_nowhere_and_comes_back_from_its_der() {
    let der = ours().private_key.to_der().expect("a key");
    let again = PrivateKey::from_der(der.expose_secret()).expect("a key");
    assert!(again.pkey().public_eq(ours().private_key.pkey()));
    assert_eq!(format!("{again:?} {der:?}"), "PrivateKey(…) SecretBox<[u8]>([REDACTED])");
    assert!(PrivateKey::from_der(b"").is_err());
    let curve = PKey::ec_gen("prime256v1").and_then(|key| key.private_key_to_pkcs8()).expect("a key");
    assert!(PrivateKey::from_der(&curve).is_err());
}
