//! E-mail addresses: checked once, mailed as typed, compared without regard to case.

use std::borrow::Cow;

use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

use crate::error::FieldError;

/// An address that mail can be sent to (RFC 5321, with RFC 6531's UTF-8), at most 254 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Checks an address; `field` is what the answer calls it.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, FieldError> {
        let text = text.trim();
        let invalid = |message| FieldError::new(field, "invalid_email", message);
        if text.is_empty() {
            return Err(FieldError::new(field, "required", "An e-mail address is needed."));
        }
        if text.len() > 254 {
            return Err(FieldError::new(field, "too_long", "An e-mail address has at most 254 characters."));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(invalid("An e-mail address has no spaces or control characters."));
        }
        let options =
            email_address::Options::default().with_required_tld().without_domain_literal().without_display_text();
        let parsed = email_address::EmailAddress::parse_with_options(text, options)
            .map_err(|_| invalid("This is not an e-mail address."))?;
        idna::domain_to_ascii_strict(parsed.domain()).map_err(|_| invalid("This is not an e-mail address."))?;
        Ok(Self(text.to_owned()))
    }

    /// As typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is compared by: lower case.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.0)
    }
}

/// What an address or user name is compared by.
#[must_use]
pub fn key(text: &str) -> String {
    text.trim().to_lowercase()
}

/// What tells whether mail to two addresses goes to the same place: lower case, and the domain in ASCII, so that a domain
/// and its punycode are one.
#[must_use]
pub fn mailbox_key(address: &str) -> String {
    let key = key(address);
    match key.rsplit_once('@').map(|(local, domain)| (local, idna::domain_to_ascii(domain))) {
        Some((local, Ok(domain))) => format!("{local}@{domain}"),
        _ => key,
    }
}

/// The domain of an address, as [`parse_domain`] has it.
pub(crate) fn domain_of(email: &str) -> Option<String> {
    mailbox_key(email).rsplit_once('@').map(|(_, domain)| domain.to_owned())
}

/// A domain that addresses can have, in the form in which domains are compared: in lower case and in ASCII (punycode). None
/// where it is no such domain.
pub(crate) fn parse_domain(text: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(text.trim().trim_start_matches('@')).unwrap_or_default();
    let is_domain = ascii.contains('.')
        && ascii.len() <= 253
        && ascii.split('.').all(|label| !label.is_empty())
        && !ascii.rsplit('.').next().is_some_and(|top| top.bytes().all(|byte| byte.is_ascii_digit()));
    is_domain.then_some(ascii)
}

/// An address as people are shown it: a domain that mixes scripts within a label, as look-alikes do (a Cyrillic a in
/// `paypal`), in its punycode. Latin beside Chinese, Japanese or Korean is no such mixture (UTS 39, "highly restrictive").
#[must_use]
pub fn shown(address: &str) -> Cow<'_, str> {
    let Some((local, domain)) = address.rsplit_once('@') else { return address.into() };
    let unicode = idna::domain_to_unicode(domain).0;
    let is_plain = |label: &str| label.check_restriction_level(RestrictionLevel::HighlyRestrictive);
    match idna::domain_to_ascii(domain) {
        Ok(ascii) if !unicode.split('.').all(is_plain) => format!("{local}@{ascii}").into(),
        _ => address.into(),
    }
}

/// An address that a log may hold: `b***@e***.com`.
#[must_use]
pub fn masked(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else { return "***".into() };
    let first = |s: &str| s.chars().next().map(String::from).unwrap_or_default();
    let top = domain.rsplit_once('.').map_or("", |(_, top)| top);
    format!("{}***@{}***.{top}", first(local), first(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_people_have_are_taken() {
        for address in ["bob@example.com", "ü@bücher.example", "a.b+c@x.co", "O'Hara@example.org"] {
            assert!(EmailAddress::parse("email", address).is_ok(), "{address}");
        }
        assert_eq!(EmailAddress::parse("email", " Bob@Example.COM ").expect("good").key(), "bob@example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(250));
        for address in [
            "",
            "bob",
            "bob@",
            "@example.com",
            "a b@example.com",
            "a@b\r\nBcc: x@y.z",
            "a@localhost",
            "Bob <b@example.com>",
            &long,
        ] {
            assert!(EmailAddress::parse("email", address).is_err(), "{address:?}");
        }
    }

    #[test]
    fn a_domain_and_its_punycode_are_one_mailbox() {
        let key = mailbox_key("Bob@Bücher.Example");
        assert_eq!(key, "bob@xn--bcher-kva.example");
        assert_eq!(mailbox_key("bob@XN--BCHER-KVA.example"), key);
        assert_ne!(mailbox_key("bob@bucher.example"), key);
        assert_eq!(mailbox_key("nonsense"), "nonsense");
    }

    #[test]
    fn a_domain_that_mixes_scripts_is_shown_in_punycode() {
        assert_eq!(shown("bob@p\u{430}ypal.example"), "bob@xn--pypal-4ve.example");
        assert!(shown("bob@mail.g\u{3bf}\u{3bf}gle.example").starts_with("bob@mail.xn--"));
        for plain in ["bob@example.com", "ü@bücher.example", "иван@пример.example", "bob@東京tokyo.example", "bob"]
        {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn a_masked_address_names_nobody() {
        assert_eq!(masked("bob@example.com"), "b***@e***.com");
        assert_eq!(masked("nonsense"), "***");
    }
}
