//! What an assertion says, and whether it says it to us, now.

use chrono::{DateTime, Utc};
use roxmltree::Node;

use super::envelope::{check_answer, check_equal, check_kind, not_before, not_on_or_after, time_of};
use super::{Attribute, Expected, NameId, SignIn};
use crate::time::TOLERANCE;
use crate::xml::{ASSERTION, attribute, children, only_child, text};
use crate::{Reason, Refusal, refusal::shown};

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
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
    if let Some(from) = time_of(conditions, "NotBefore")? {
        not_before(from, expected.now, "NotBefore")?;
    }
    let end = time_of(conditions, "NotOnOrAfter")?.ok_or_else(|| Reason::NoConditions.because("no NotOnOrAfter"))?;
    not_on_or_after(end, expected.now, "NotOnOrAfter")?;

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

/// One of the audiences of each restriction is us.
fn check_audience(restriction: Node<'_, '_>, entity_id: &str) -> Result<(), Refusal> {
    let audiences: Vec<_> = children(restriction, ASSERTION, "Audience").filter_map(text).collect();
    if audiences.iter().any(|audience| audience == entity_id) {
        return Ok(());
    }
    let found = shown(&audiences.join(", "));
    Err(Reason::Audience.because(format_args!("found “{found}”, expected “{}”", shown(entity_id))))
}

/// One of the confirmations is for whoever brings it, here and now. Answers until when; or why the last was not.
fn check_confirmations(subject: Node<'_, '_>, expected: &Expected<'_>) -> Result<DateTime<Utc>, Refusal> {
    let mut refusal = Reason::NoConfirmation.refuse();
    for confirmation in children(subject, ASSERTION, "SubjectConfirmation") {
        if attribute(confirmation, "Method") != Some(BEARER) {
            continue;
        }
        match check_confirmation(confirmation, expected) {
            Ok(end) => return Ok(end),
            Err(refused) => refusal = refused,
        }
    }
    Err(refusal)
}

fn check_confirmation(confirmation: Node<'_, '_>, expected: &Expected<'_>) -> Result<DateTime<Utc>, Refusal> {
    let data = only_child(confirmation, ASSERTION, "SubjectConfirmationData")
        .ok_or_else(|| Reason::NoConfirmation.because("no SubjectConfirmationData"))?;
    check_equal(Reason::Recipient, attribute(data, "Recipient"), expected.acs_url)?;
    check_answer(attribute(data, "InResponseTo"), expected.in_response_to)?;
    if let Some(from) = time_of(data, "NotBefore")? {
        not_before(from, expected.now, "NotBefore of the confirmation")?;
    }
    let end = time_of(data, "NotOnOrAfter")?.ok_or_else(|| Reason::NoConfirmation.because("no NotOnOrAfter"))?;
    not_on_or_after(end, expected.now, "NotOnOrAfter of the confirmation")?;
    Ok(end)
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
    let is_good = |text: &str| text.chars().count() <= MAX_NAME_ID && !text.contains(char::is_control);
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
