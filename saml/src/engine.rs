//! XML signatures, by samael over xmlsec: the one place that names it, so that another could take its place.
//!
//! It is given only what came through the gate, and of samael only this is used: its parser of responses takes what nobody
//! signed where a certificate is missing, its decryption panics, its metadata nests without end. Its verification withstood
//! every attack that we know, once nothing but the one form of signature reaches it.

use samael::crypto::{AllowedSignatureAlgorithm, CertificateDer, Crypto, CryptoProvider, ReduceMode};

use crate::certificate::Certificate;
use crate::xml::Writer;
use crate::{Error, Reason, Refusal, algorithms, key_pair, start};

const ALLOWED: [AllowedSignatureAlgorithm; 6] = [
    AllowedSignatureAlgorithm::RsaSha256,
    AllowedSignatureAlgorithm::RsaSha384,
    AllowedSignatureAlgorithm::RsaSha512,
    AllowedSignatureAlgorithm::EcdsaSha256,
    AllowedSignatureAlgorithm::EcdsaSha384,
    AllowedSignatureAlgorithm::EcdsaSha512,
];

/// What was signed, and by whom.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The bytes that were digested: the signed element, canonicalized, without its signature. If a response and its assertion
    /// are signed, the response.
    pub(crate) xml: String,
    /// SHA-256 of the certificate.
    pub(crate) fingerprint: String,
}

/// Verifies every signature of the document, all with the same one of these certificates. What they say of their keys is
/// not heeded.
pub(crate) fn verify(xml: &str, certificates: &[Certificate]) -> Result<Verified, Refusal> {
    verify_by(ReduceMode::PreDigest, xml, certificates)
}

/// `PreDigest` hands back the very bytes that were digested. The other modes look for them again in the document, which
/// takes time that is worse than quadratic.
pub(crate) fn verify_by(mode: ReduceMode, xml: &str, certificates: &[Certificate]) -> Result<Verified, Refusal> {
    start::initialize().map_err(|e| Reason::Failed.because(e))?;
    reduce(mode, xml, certificates).ok_or_else(|| Reason::InvalidSignature.refuse())
}

fn reduce(mode: ReduceMode, xml: &str, certificates: &[Certificate]) -> Option<Verified> {
    for certificate in certificates {
        // One at a time: a key of another kind than the signature's ends a loop over several.
        let key = [CertificateDer::from(certificate.der().to_vec())];
        if let Ok(xml) = Crypto::reduce_xml_to_signed_with_allowed_algorithms(xml, &key, mode, Some(&ALLOWED)) {
            return Some(Verified { xml, fingerprint: certificate.fingerprint() });
        }
    }
    None
}

/// Signs a message of ours that has a [`template`] in it. The key is PKCS #1 or SEC 1, DER.
pub(crate) fn sign(xml: &str, key: &[u8]) -> Result<String, Error> {
    start::initialize()?;
    sign_at_once(xml, key)
}

fn sign_at_once(xml: &str, key: &[u8]) -> Result<String, Error> {
    Crypto::sign_xml(xml, key).map_err(|e| Error(format!("signing a message: {e}")))
}

/// An empty signature over the element with this id, to be put right inside of it.
pub(crate) fn template(id: &str, algorithm: &str, certificate: Option<&Certificate>) -> Result<String, Error> {
    const EXCLUSIVE: (&str, &str) = ("Algorithm", crate::xml::EXC_C14N);
    let mut xml = Writer::new();
    xml.start("ds:Signature", &[("xmlns:ds", crate::xml::DSIG)]);
    xml.start("ds:SignedInfo", &[]);
    xml.empty("ds:CanonicalizationMethod", &[EXCLUSIVE]);
    xml.empty("ds:SignatureMethod", &[("Algorithm", algorithm)]);
    xml.start("ds:Reference", &[("URI", &format!("#{id}"))]);
    xml.start("ds:Transforms", &[]);
    xml.empty("ds:Transform", &[("Algorithm", "http://www.w3.org/2000/09/xmldsig#enveloped-signature")]);
    xml.empty("ds:Transform", &[EXCLUSIVE]);
    xml.end();
    xml.empty("ds:DigestMethod", &[("Algorithm", algorithms::SHA256)]);
    xml.empty("ds:DigestValue", &[]);
    xml.end();
    xml.end();
    xml.empty("ds:SignatureValue", &[]);
    if let Some(certificate) = certificate {
        xml.start("ds:KeyInfo", &[]);
        xml.start("ds:X509Data", &[]);
        xml.leaf("ds:X509Certificate", &[], &certificate.base64());
        xml.end();
        xml.end();
    }
    xml.end();
    xml.finish()
}

/// A signed message, and whose certificate verifies it. The first use of xmlsec makes its tables.
pub(crate) fn sample() -> Result<(String, Certificate), Error> {
    let (key, certificate) = key_pair::passing()?;
    let message = format!("<a ID=\"a\">{}<b/></a>", template("a", algorithms::ECDSA_SHA256, None)?);
    Ok((sign_at_once(&message, &key)?, certificate))
}

/// Can it tell a right signature from a wrong one?
pub(crate) fn self_test() -> Result<(), Error> {
    let (signed, certificate) = sample()?;
    let verify = |xml: &str| reduce(ReduceMode::PreDigest, xml, std::slice::from_ref(&certificate));
    let right = verify(&signed).is_some_and(|verified| verified.xml == "<a ID=\"a\"><b></b></a>");
    let wrong = verify(&signed.replace("<b/>", "<c/>")).is_some();
    if right && !wrong { Ok(()) } else { Err(Error("xmlsec does not verify signatures as it should".to_owned())) }
}
