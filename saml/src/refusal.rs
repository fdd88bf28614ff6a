//! Why a message was refused, for the administrators of whom it was sent to: codes, and their words.

/// Longer values are cut: they are shown to people.
const MAX_SHOWN: usize = 200;

macro_rules! reasons {
    ($($name:ident $code:literal $words:literal,)*) => {
        /// Why a message was refused. Codes never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $words] $name,)*
        }

        impl Reason {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// A stable name, in snake case.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it means, in words: a sentence or two.
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

reasons! {
    // What it is made of.
    TooLarge "too_large" "The message is larger than any that is needed.",
    BadEncoding "bad_encoding" "The message is not base64, or is not UTF-8 text inside.",
    BadDeflate "bad_deflate" "The message can't be decompressed, or is too large when it is.",
    BadQuery "bad_query" "The parameters of the request are not those of one message: one is missing, or there twice.",
    ForbiddenMarkup "forbidden_markup" "The message has a document type, a comment, CDATA, a processing instruction or another encoding than UTF-8.",
    TooComplex "too_complex" "The message has more elements, attributes or levels than any that is needed.",
    BadXml "bad_xml" "The message is not well-formed XML.",
    UnexpectedMessage "unexpected_message" "This is not the kind of message that belongs here.",
    NoAssertion "no_assertion" "The response has no assertion.",
    SeveralAssertions "several_assertions" "The response has more than one assertion.",
    MisplacedAssertion "misplaced_assertion" "The assertion is not where it belongs: directly in the response.",
    DuplicateId "duplicate_id" "Two elements of the message have the same id.",
    BadId "bad_id" "An id is missing or is not a name as XML demands it, beginning with a letter or an underscore.",
    // Its signatures.
    MisplacedSignature "misplaced_signature" "A signature is not where it belongs: directly in the message or its assertion, once in each.",
    BadSignature "bad_signature" "A signature does not have the form that SAML demands: exclusive canonicalization, one reference, enveloped, nothing else.",
    SignatureAlgorithm "signature_algorithm" "The message is signed with an algorithm that is not taken. RSA and ECDSA with SHA-256, SHA-384 or SHA-512 are.",
    BadReference "bad_reference" "A signature refers to something else than the element that it is in.",
    NotSigned "not_signed" "Neither the message nor the assertion is signed: one must be.",
    InvalidSignature "invalid_signature" "No certificate of this connection verifies the signature. The identity provider may have a new one, or the message was changed on its way.",
    // What is encrypted.
    BadEncryption "bad_encryption" "The encrypted assertion does not have the form that is expected: one key, encrypted for us, and the data.",
    EncryptionAlgorithm "encryption_algorithm" "The assertion is encrypted with an algorithm that is not taken. AES-128 and AES-256 in GCM with RSA-OAEP are.",
    CbcNotAllowed "cbc_not_allowed" "The assertion is encrypted with AES-CBC, which this connection does not allow. Let the identity provider use AES-GCM.",
    DecryptionFailed "decryption_failed" "The assertion can't be decrypted with a key of ours, or is not what it should be inside. The identity provider may have an old certificate of ours.",
    EncryptedId "encrypted_id" "The name of the person is encrypted by itself, which is not taken. Let the identity provider encrypt the whole assertion.",
    // What it says.
    Status "status" "The identity provider did not sign the person in.",
    Version "version" "The message is not SAML 2.0.",
    Issuer "issuer" "The message is not from this connection's identity provider.",
    Destination "destination" "The message is meant for another address.",
    Recipient "recipient" "The assertion is meant for another address.",
    Audience "audience" "The assertion is meant for another service.",
    NoAudience "no_audience" "The assertion does not say which service it is meant for.",
    InResponseTo "in_response_to" "The message answers another request than the one that was asked.",
    Unasked "unasked" "The message was begun at the identity provider, but says that it answers a request.",
    NotYetValid "not_yet_valid" "The message is not valid yet. Is the identity provider's clock right?",
    Expired "expired" "The message is not valid any more. Is the identity provider's clock right?",
    BadTime "bad_time" "A time is missing, not in the form 2026-01-31T12:00:00Z, or an end that is not behind its beginning.",
    UnknownCondition "unknown_condition" "The assertion has a condition that is not understood.",
    NoConditions "no_conditions" "The assertion does not say how long and for whom it is valid.",
    NoConfirmation "no_confirmation" "The assertion does not confirm its bearer, who comes with a browser.",
    NoAuthentication "no_authentication" "The assertion does not say that and when the person was authenticated.",
    SessionEnded "session_ended" "The person's session at the identity provider has ended.",
    BadNameId "bad_name_id" "The person's name is missing, too long, or not plain text.",
    // Ours.
    Failed "failed" "The message could not be verified because of a failure on our side.",
}

impl Reason {
    pub(crate) fn refuse(self) -> Refusal {
        Refusal { reason: self, detail: self.words().to_owned(), issuer: None, assertion_id: None, fingerprint: None }
    }

    /// With what exactly is wrong, which must not be anything that the assertion says of a person.
    pub(crate) fn because(self, what: impl std::fmt::Display) -> Refusal {
        let mut refusal = self.refuse();
        refusal.detail = format!("{} ({what})", refusal.detail);
        refusal
    }
}

/// A refused message: say little of it to the browser, all to the administrators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.code())]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// In words for an administrator: what it means, and where it helps which value was expected and which was found.
    /// Nothing of what an assertion says of a person.
    pub detail: String,
    /// Who the message says it is from, as far as it was read. Not verified.
    pub issuer: Option<String>,
    /// The assertion's (or message's) id, as far as it was read. Not verified.
    pub assertion_id: Option<String>,
    /// SHA-256 of the certificate that verified it, if it was verified.
    pub fingerprint: Option<String>,
}

/// A value of a message as people may see it: short, and in one line.
pub(crate) fn shown(value: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = value.chars().take(MAX_SHOWN).map(clean).collect();
    if value.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_reason_has_a_code_of_its_own_and_a_sentence() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(reason.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{reason:?}");
            assert!(reason.words().ends_with(['.', '?']), "{reason:?}");
        }
    }

    #[test]
    fn what_is_shown_is_short_and_in_one_line() {
        assert_eq!(shown("a\nb\u{1b}[0m"), "a\u{fffd}b\u{fffd}[0m");
        assert_eq!(shown(&"ä".repeat(300)), format!("{}…", "ä".repeat(200)));
    }
}
