//! The algorithms of signatures that are taken: SHA-256 or better.

use openssl::hash::MessageDigest;

use crate::certificate::KeyKind;

pub(crate) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(crate) const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
pub(crate) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

type Signature = (&'static str, KeyKind, fn() -> MessageDigest);

const SIGNATURES: [Signature; 6] = [
    (RSA_SHA256, KeyKind::Rsa, MessageDigest::sha256),
    ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", KeyKind::Rsa, MessageDigest::sha384),
    ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", KeyKind::Rsa, MessageDigest::sha512),
    (ECDSA_SHA256, KeyKind::EllipticCurve, MessageDigest::sha256),
    ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", KeyKind::EllipticCurve, MessageDigest::sha384),
    ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512", KeyKind::EllipticCurve, MessageDigest::sha512),
];

const DIGESTS: [&str; 3] =
    [SHA256, "http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha512"];

pub(crate) fn is_signature(uri: &str) -> bool {
    signature(uri).is_some()
}

pub(crate) fn is_digest(uri: &str) -> bool {
    DIGESTS.contains(&uri)
}

/// Whose signature it is, and of which digest.
pub(crate) fn signature(uri: &str) -> Option<(KeyKind, MessageDigest)> {
    SIGNATURES.iter().find(|(known, ..)| *known == uri).map(|(_, kind, digest)| (*kind, digest()))
}
