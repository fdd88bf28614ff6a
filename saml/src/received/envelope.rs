//! What every message says of itself: version, time, sender, addressee.

use chrono::{DateTime, Utc};
use roxmltree::Node;

use super::Expected;
use crate::gate::check_status;
use crate::time::{self, TOLERANCE};
use crate::xml::{ASSERTION, attribute, only_child, text};
use crate::{Reason, Refusal, refusal::shown};

/// The response around an assertion.
pub(super) fn check(response: Node<'_, '_>, expected: &Expected<'_>) -> Result<(), Refusal> {
    check_status(response)?;
    check_kind(response, expected.issuer, expected.now)?;
    check_equal(Reason::Destination, attribute(response, "Destination"), expected.acs_url)?;
    check_answer(attribute(response, "InResponseTo"), expected.in_response_to)
}

/// Version, id, time of issue and issuer, which messages and assertions have alike. Answers when it was issued.
pub(crate) fn check_kind(node: Node<'_, '_>, issuer: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    check_equal(Reason::Version, attribute(node, "Version"), "2.0")?;
    if attribute(node, "ID").is_none_or(str::is_empty) {
        return Err(Reason::BadId.refuse());
    }
    check_issuer(node, issuer)?;
    let issued = time_of(node, "IssueInstant")?.ok_or_else(|| Reason::BadTime.because("IssueInstant"))?;
    not_before(issued, now, "IssueInstant")?;
    Ok(issued)
}

fn check_issuer(node: Node<'_, '_>, expected: &str) -> Result<(), Refusal> {
    const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";
    let issuer = only_child(node, ASSERTION, "Issuer");
    if issuer.and_then(|issuer| attribute(issuer, "Format")).is_some_and(|format| format != ENTITY) {
        return Err(Reason::Issuer.because("the issuer's name is not that of an entity"));
    }
    check_equal(Reason::Issuer, issuer.and_then(text).as_deref(), expected)
}

/// A message answers the request that was asked, or none.
pub(crate) fn check_answer(found: Option<&str>, expected: Option<&str>) -> Result<(), Refusal> {
    match expected {
        Some(expected) => check_equal(Reason::InResponseTo, found, expected),
        None if found.is_some() => Err(Reason::Unasked.refuse()),
        None => Ok(()),
    }
}

pub(crate) fn check_equal(reason: Reason, found: Option<&str>, expected: &str) -> Result<(), Refusal> {
    match found {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(reason.because(format_args!("found “{}”, expected “{}”", shown(found), shown(expected)))),
        None => Err(reason.because(format_args!("found nothing, expected “{}”", shown(expected)))),
    }
}

/// A time that an attribute says, if it is there.
pub(crate) fn time_of(node: Node<'_, '_>, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    let read =
        |text| time::parse(text).ok_or_else(|| Reason::BadTime.because(format_args!("{name}: “{}”", shown(text))));
    attribute(node, name).map(read).transpose()
}

pub(crate) fn not_before(from: DateTime<Utc>, now: DateTime<Utc>, name: &str) -> Result<(), Refusal> {
    if now + TOLERANCE >= from { Ok(()) } else { Err(Reason::NotYetValid.because(since(name, from, now))) }
}

pub(crate) fn not_on_or_after(end: DateTime<Utc>, now: DateTime<Utc>, name: &str) -> Result<(), Refusal> {
    if now < end + TOLERANCE { Ok(()) } else { Err(Reason::Expired.because(since(name, end, now))) }
}

fn since(name: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{name} {}, here it is {}", time::format(at), time::format(now))
}
