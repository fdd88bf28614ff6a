//! What stands before the engine: it sees only messages whose every signature has the one form that we take.

mod lexical;
mod shape;
mod signatures;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

pub(crate) use lexical::{Limits, check as check_text};
pub(crate) use shape::{Content, assertion, check_ids, check_references, check_status, response};
pub(crate) use signatures::check as check_signatures;

use crate::{Reason, Refusal};

/// Base64 of a message.
const MAX_BASE64: usize = 700_000;
/// With the line breaks and blanks around it.
const MAX_FIELD: usize = 1_000_000;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Base64 as providers write it: in lines, or in one.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, Refusal> {
    if text.len() > MAX_FIELD {
        return Err(Reason::TooLarge.refuse());
    }
    let bare: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if bare.len() > MAX_BASE64 {
        return Err(Reason::TooLarge.refuse());
    }
    BASE64.decode(bare).map_err(|_| Reason::BadEncoding.refuse())
}

/// The text of a message; nothing is parsed yet.
pub(crate) fn decode_text(bytes: Vec<u8>) -> Result<String, Refusal> {
    let text = String::from_utf8(bytes).map_err(|_| Reason::BadEncoding.refuse())?;
    check_text(&text, &Limits::MESSAGE).map_err(|fault| fault.reason().because(fault))?;
    Ok(text)
}

/// Parses what `check_text` let through.
pub(crate) fn parse(text: &str) -> Result<roxmltree::Document<'_>, Refusal> {
    // The parser's own words would show what it stumbled over.
    crate::xml::parse(text).map_err(|_| Reason::BadXml.refuse())
}
