//! What carries a message: the query of the redirect binding, or the form of the other.

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::sign::Verifier;
use percent_encoding::percent_decode_str;

use crate::certificate::KeyKind;
use crate::outgoing::Field;
use crate::{Certificate, Reason, Refusal, algorithms, gate, refusal::shown};

/// More than any logout message needs; and less than what a browser's address holds, inflated a thousand times.
const MAX_INFLATED: u64 = 100_000;
const MAX_QUERY: usize = 1_000_000;
const DEFLATE: &str = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE";

/// The parameters of one message.
pub(super) struct Query {
    pub(super) field: Field,
    pub(super) message: String,
    pub(super) relay_state: Option<String>,
    signature: Option<(String, String)>,
    signed: String,
}

/// A signature that is not in the message, and what it is over.
pub(super) struct Detached {
    kind: KeyKind,
    digest: MessageDigest,
    signature: Vec<u8>,
    signed: String,
}

#[derive(Default)]
struct Parameters<'a> {
    request: Option<&'a str>,
    response: Option<&'a str>,
    relay_state: Option<&'a str>,
    algorithm: Option<&'a str>,
    signature: Option<&'a str>,
    encoding: Option<&'a str>,
}

impl Query {
    /// Each parameter once, and spelt as it is: what the signature is over must be what is read.
    pub(super) fn parse(raw: &str) -> Result<Self, Refusal> {
        if raw.len() > MAX_QUERY {
            return Err(Reason::TooLarge.refuse());
        }
        let found = Parameters::read(raw)?;
        let (field, message) = match (found.request, found.response) {
            (Some(request), None) => (Field::Request, request),
            (None, Some(response)) => (Field::Response, response),
            _ => return Err(Reason::BadQuery.refuse()),
        };
        if let Some(encoding) = found.encoding
            && decoded(encoding)? != DEFLATE
        {
            return Err(Reason::BadDeflate.refuse());
        }
        // In this order, whatever their order was.
        let mut signed = format!("{}={message}", field.name());
        for (name, value) in [("RelayState", found.relay_state), ("SigAlg", found.algorithm)] {
            if let Some(value) = value {
                signed.push_str(&format!("&{name}={value}"));
            }
        }
        let signature = match (found.algorithm, found.signature) {
            (Some(algorithm), Some(signature)) => Some((decoded(algorithm)?, decoded(signature)?)),
            _ => None,
        };
        let relay_state = found.relay_state.map(decoded).transpose()?;
        Ok(Self { field, message: decoded(message)?, relay_state, signature, signed })
    }

    /// The message of the redirect binding. What is small here may be huge when it is decompressed: it is cut off before.
    pub(super) fn inflated(&self) -> Result<String, Refusal> {
        let deflated = gate::decode_base64(&self.message)?;
        let mut inflated = Vec::new();
        let read = DeflateDecoder::new(&deflated[..]).take(MAX_INFLATED + 1).read_to_end(&mut inflated);
        if read.is_err() || inflated.len() as u64 > MAX_INFLATED {
            return Err(Reason::BadDeflate.refuse());
        }
        gate::decode_text(inflated)
    }

    pub(super) fn detached(&self) -> Result<Detached, Refusal> {
        let (algorithm, signature) = self.signature.as_ref().ok_or_else(|| Reason::NotSigned.refuse())?;
        let known = algorithms::signature(algorithm);
        let (kind, digest) = known.ok_or_else(|| Reason::SignatureAlgorithm.because(shown(algorithm)))?;
        Ok(Detached { kind, digest, signature: gate::decode_base64(signature)?, signed: self.signed.clone() })
    }
}

impl<'a> Parameters<'a> {
    fn read(raw: &'a str) -> Result<Self, Refusal> {
        let mut found = Self::default();
        for part in raw.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let slot = match decoded(name)?.as_str() {
                "SAMLRequest" => &mut found.request,
                "SAMLResponse" => &mut found.response,
                "RelayState" => &mut found.relay_state,
                "SigAlg" => &mut found.algorithm,
                "Signature" => &mut found.signature,
                "SAMLEncoding" => &mut found.encoding,
                _ => continue,
            };
            // Spelt in another way it would not be what was signed.
            if name.contains(['%', '+']) || slot.replace(value).is_some() {
                return Err(Reason::BadQuery.refuse());
            }
        }
        Ok(found)
    }
}

fn decoded(value: &str) -> Result<String, Refusal> {
    let spaced = value.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| Reason::BadQuery.refuse())?;
    Ok(decoded.into_owned())
}

impl Detached {
    /// Answers the fingerprint of the certificate that verifies it.
    pub(super) fn verify(&self, certificates: &[Certificate]) -> Result<String, Refusal> {
        let found = certificates
            .iter()
            .filter(|certificate| certificate.kind() == self.kind)
            .find(|certificate| certificate.public_key().and_then(|key| self.is_by(&key)).unwrap_or(false));
        found.map(Certificate::fingerprint).ok_or_else(|| Reason::InvalidSignature.refuse())
    }

    fn is_by(&self, key: &PKey<Public>) -> Result<bool, ErrorStack> {
        let is_right =
            |signature: &[u8]| Verifier::new(self.digest, key)?.verify_oneshot(signature, self.signed.as_bytes());
        if self.kind == KeyKind::Rsa {
            return is_right(&self.signature);
        }
        // XML signatures have the two numbers of ECDSA one after the other; but for this binding that is not said, and
        // some write DER.
        let (r, s) = self.signature.split_at(self.signature.len() / 2);
        let numbers = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
        Ok(is_right(&numbers.to_der()?).unwrap_or(false) || is_right(&self.signature).unwrap_or(false))
    }
}
