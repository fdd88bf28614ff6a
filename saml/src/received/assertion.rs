//! What an assertion says, and whether it says it to us, now.

use chrono::{DateTime, Utc};
use roxmltree::Node;

use super::envelope::{check_answer, check_equal, check_kind, not_before, not_on_or_after, time_of};
use super::{Attribute, Expected, NameId, SignIn};
use crate::time::TOLERANCE;
use crate::xml::{ASSERTION, attribute, children, only_child, text};
use crate::{Reason, Refusal, refusal::shown};

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
/// Bytes: databases find people by it, in an index whose entries end at 2,700.
const MAX_NAME_ID: usize = 1024;

/// Reads an assertion that was verified.
pub(super) fn read(assertion: Node<'_, '_>, expected: &Expected<'_>, fingerprint: &str) -> Result<SignIn, Refusal> {
    check_kind(assertion, expected.issuer, expected.now)?;
    let end = check_conditions(assertion, expected)?;
    let subject = only_child(assertion, ASSERTION, "Subject").ok_or_else(|| Reason::BadNameId.refuse())?;
    let confirmed_until = check_confirmations(subject, expected)?;
    let authentication = read_authentication(assertion, expected.now)?;
    Ok(SignIn {
        assertion_id: attribute(assertion, "ID").unwrap_or_default().to_owned(),
        issuer: expected.issuer.to_owned(),
        name_id: read_name_id(subject)?,
        session_index: authentication.session_index,
        session_not_on_or_after: authentication.session_end,
        authn_instant: authentication.instant,
        attributes: read_attributes(assertion),
        fingerprint: fingerprint.to_owned(),
        expires_at: end.min(confirmed_until) + TOLERANCE,
    })
}

/// Times and audiences. Answers when it ends.
fn check_conditions(assertion: Node<'_, '_>, expected: &Expected<'_>) -> Result<DateTime<Utc>, Refusal> {
    let conditions = only_child(assertion, ASSERTION, "Conditions").ok_or_else(|| Reason::NoConditions.refuse())?;
    let end = time_of(conditions, "NotOnOrAfter")?.ok_or_else(|| Reason::NoConditions.because("no NotOnOrAfter"))?;
    check_times(conditions, end, expected.now, "")?;

    let mut restricted = false;
    for condition in conditions.children().filter(Node::is_element) {
        match (condition.tag_name().namespace(), condition.tag_name().name()) {
            (Some(ASSERTION), "AudienceRestriction") => check_audience(condition, expected.entity_id)?,
            // The first is what is done with every assertion, the second is about passing it on, which is never done.
            (Some(ASSERTION), "OneTimeUse" | "ProxyRestriction") => continue,
            (_, name) => return Err(Reason::UnknownCondition.because(shown(name))),
        }
        restricted = true;
    }
    if restricted { Ok(end) } else { Err(Reason::NoAudience.refuse()) }
}

/// It has begun, if it says when, and not ended; and began before it ends, or the tolerance would make a moment of none.
fn check_times(node: Node<'_, '_>, end: DateTime<Utc>, now: DateTime<Utc>, of: &str) -> Result<(), Refusal> {
    let from = time_of(node, "NotBefore")?;
    if let Some(from) = from {
        not_before(from, now, &format!("NotBefore{of}"))?;
    }
    not_on_or_after(end, now, &format!("NotOnOrAfter{of}"))?;
    if from.is_some_and(|from| from >= end) {
        return Err(Reason::BadTime.because(format_args!("NotBefore{of} is not before NotOnOrAfter")));
    }
    Ok(())
}

/// One of the audiences of each restriction is us.
fn check_audience(restriction: Node<'_, '_>, entity_id: &str) -> Result<(), Refusal> {
    let audiences: Vec<_> = children(restriction, ASSERTION, "Audience").filter_map(text).collect();
    if audiences.iter().any(|audience| audience == entity_id) {
        return Ok(());
    }
    let found = shown(&audiences.join(", "));
    Err(Reason::Audience.because(format_args!("found “{found}”, expected “{}”", shown(entity_id))))
}

/// One of the confirmations is for whoever brings it, here and now; or why the last was not. Answers when the last of all ends:
/// until then it may be brought again, by one that is not good yet.
fn check_confirmations(subject: Node<'_, '_>, expected: &Expected<'_>) -> Result<DateTime<Utc>, Refusal> {
    let bearer = |confirmation: &Node<'_, '_>| attribute(*confirmation, "Method") == Some(BEARER);
    let (mut is_confirmed, mut latest) = (false, None);
    let mut refusal = Reason::NoConfirmation.refuse();
    for confirmation in children(subject, ASSERTION, "SubjectConfirmation").filter(bearer) {
        let data = only_child(confirmation, ASSERTION, "SubjectConfirmationData");
        // One whose end can't be read is never good.
        latest = latest.max(data.and_then(|data| time_of(data, "NotOnOrAfter").ok().flatten()));
        match check_confirmation(data, expected) {
            Ok(()) => is_confirmed = true,
            Err(refused) => refusal = refused,
        }
    }
    latest.filter(|_| is_confirmed).ok_or(refusal)
}

fn check_confirmation(data: Option<Node<'_, '_>>, expected: &Expected<'_>) -> Result<(), Refusal> {
    let data = data.ok_or_else(|| Reason::NoConfirmation.because("no SubjectConfirmationData"))?;
    check_equal(Reason::Recipient, attribute(data, "Recipient"), expected.acs_url)?;
    check_answer(attribute(data, "InResponseTo"), expected.in_response_to)?;
    let end = time_of(data, "NotOnOrAfter")?.ok_or_else(|| Reason::NoConfirmation.because("no NotOnOrAfter"))?;
    check_times(data, end, expected.now, " of the confirmation")
}

struct Authentication {
    instant: DateTime<Utc>,
    session_index: Option<String>,
    session_end: Option<DateTime<Utc>>,
}

/// The first statement, but the earliest end of all.
fn read_authentication(assertion: Node<'_, '_>, now: DateTime<Utc>) -> Result<Authentication, Refusal> {
    let mut read: Option<Authentication> = None;
    for statement in children(assertion, ASSERTION, "AuthnStatement") {
        let instant = time_of(statement, "AuthnInstant")?.ok_or_else(|| Reason::NoAuthentication.refuse())?;
        not_before(instant, now, "AuthnInstant")?;
        let session_end = time_of(statement, "SessionNotOnOrAfter")?;
        if let Some(end) = session_end {
            not_on_or_after(end, now, "SessionNotOnOrAfter").map_err(|_| Reason::SessionEnded.refuse())?;
        }
        let session_index = attribute(statement, "SessionIndex").map(str::to_owned);
        let first = read.get_or_insert(Authentication { instant, session_index, session_end });
        first.session_end = [first.session_end, session_end].into_iter().flatten().min();
    }
    read.ok_or_else(|| Reason::NoAuthentication.refuse())
}

/// The name of a subject, or of whom a logout is about.
pub(crate) fn read_name_id(parent: Node<'_, '_>) -> Result<NameId, Refusal> {
    if children(parent, ASSERTION, "EncryptedID").next().is_some() {
        return Err(Reason::EncryptedId.refuse());
    }
    let name = only_child(parent, ASSERTION, "NameID").ok_or_else(|| Reason::BadNameId.refuse())?;
    let value = text(name).ok_or_else(|| Reason::BadNameId.refuse())?;
    let optional = |name_of: &str| attribute(name, name_of).map(str::to_owned);
    let name_id = NameId {
        format: optional("Format"),
        name_qualifier: optional("NameQualifier"),
        sp_name_qualifier: optional("SPNameQualifier"),
        value,
    };
    let qualifiers = [&name_id.format, &name_id.name_qualifier, &name_id.sp_name_qualifier];
    let is_good = |text: &str| text.len() <= MAX_NAME_ID && !text.contains(char::is_control);
    let are_good = qualifiers.into_iter().flatten().chain([&name_id.value]).all(|text| is_good(text));
    if are_good && !name_id.value.trim().is_empty() { Ok(name_id) } else { Err(Reason::BadNameId.refuse()) }
}

fn read_attributes(assertion: Node<'_, '_>) -> Vec<Attribute> {
    let statements = children(assertion, ASSERTION, "AttributeStatement");
    let attributes = statements.flat_map(|statement| children(statement, ASSERTION, "Attribute"));
    let read = |node| {
        Some(Attribute {
            name: attribute(node, "Name")?.to_owned(),
            friendly_name: attribute(node, "FriendlyName").map(str::to_owned),
            values: children(node, ASSERTION, "AttributeValue").filter_map(text).collect(),
        })
    };
    attributes.filter_map(read).collect()
}
