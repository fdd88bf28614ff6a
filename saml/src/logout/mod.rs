//! Single logout, in both directions and by both bindings.

mod outgoing;
mod query;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use roxmltree::{Document, Node};

pub use outgoing::{NewLogoutRequest, NewLogoutResponse};
use query::Query;

use crate::outgoing::Field;
use crate::received::{check_answer, check_equal, check_kind, not_on_or_after, read_name_id, time_of};
use crate::time::TOLERANCE;
use crate::xml::{PROTOCOL, attribute, children, is, only_child, text};
use crate::{Certificate, NameId, Reason, Refusal, engine, gate, refusal::shown};

/// How old a message may be that does not say itself how long it is valid.
const MAX_AGE: TimeDelta = TimeDelta::minutes(5);
const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// A logout message that came through the gate, but nobody vouches for it yet.
pub struct ReceivedLogout {
    xml: String,
    field: Field,
    issuer: String,
    in_response_to: Option<String>,
    relay_state: Option<String>,
    /// What a signature of the redirect binding is over, and it; without, the signature is in the message.
    detached: Option<query::Detached>,
}

impl std::fmt::Debug for ReceivedLogout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReceivedLogout({} from {})", self.field.name(), shown(&self.issuer))
    }
}

/// What a logout message must match.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedLogout<'a> {
    /// Theirs.
    pub issuer: &'a str,
    /// Ours: the destination.
    pub slo_url: &'a str,
    /// Theirs: one of these verifies the signature. There must be one.
    pub certificates: &'a [Certificate],
    /// The request of ours that a response must answer. It does not concern requests.
    pub in_response_to: Option<&'a str>,
    /// The time; 60 seconds of tolerance are added.
    pub now: DateTime<Utc>,
}

/// A verified logout message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutMessage {
    /// Someone signed out there.
    Request(LogoutRequest),
    /// They did what we asked, or not.
    Response(LogoutResponse),
}

/// Someone signed out at the identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutRequest {
    /// To be answered with, and not taken twice until `expires_at`.
    pub id: String,
    /// The identity provider.
    pub issuer: String,
    /// Who.
    pub name_id: NameId,
    /// Which of his sessions; none: all.
    pub session_indexes: Vec<String>,
    /// SHA-256 of the certificate that verified it.
    pub fingerprint: String,
    /// From then on it would be refused for its age.
    pub expires_at: DateTime<Utc>,
}

/// What came of our own request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutResponse {
    /// Its own id.
    pub id: String,
    /// The identity provider.
    pub issuer: String,
    /// The request's id.
    pub in_response_to: String,
    /// All are signed out. `false`: some may not be.
    pub success: bool,
    /// SHA-256 of the certificate that verified it.
    pub fingerprint: String,
}

impl ReceivedLogout {
    /// Reads the query string of the redirect binding, raw, as it came: the signature is over its very bytes.
    pub fn from_query(raw_query: &str) -> Result<Self, Refusal> {
        let query = Query::parse(raw_query)?;
        let xml = query.inflated()?;
        let detached = query.detached()?;
        // Whatever signs what the query's signature does not cover is no part of this binding.
        Self::look_at(query, xml, Some(detached))
    }

    /// Reads the form of the POST binding, raw (`application/x-www-form-urlencoded`).
    pub fn from_form(raw_form: &str) -> Result<Self, Refusal> {
        let form = Query::parse(raw_form)?;
        let xml = gate::decode_text(gate::decode_base64(&form.message)?)?;
        Self::look_at(form, xml, None)
    }

    fn look_at(query: Query, xml: String, detached: Option<query::Detached>) -> Result<Self, Refusal> {
        let (issuer, in_response_to) = {
            let document = gate::parse(&xml)?;
            let looked = check_shape(&document, query.field, detached.is_some());
            looked.map_err(|refusal| refusal.about(&document))?;
            let root = document.root_element();
            let issuer = only_child(root, crate::xml::ASSERTION, "Issuer").and_then(text);
            (issuer.unwrap_or_default(), attribute(root, "InResponseTo").map(str::to_owned))
        };
        Ok(Self { xml, field: query.field, issuer, in_response_to, relay_state: query.relay_state, detached })
    }

    /// Who it says it is from: for finding the connection, and nothing else.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Is it a request? Else it is a response.
    pub fn is_request(&self) -> bool {
        self.field == Field::Request
    }

    /// Which request it says it answers, if it is a response: for finding that, and nothing else.
    pub fn in_response_to(&self) -> Option<&str> {
        self.in_response_to.as_deref()
    }

    /// What came as `RelayState`: to be given back with the answer to a request, or ours.
    pub fn relay_state(&self) -> Option<&str> {
        self.relay_state.as_deref()
    }

    /// Verifies the signature, which there must be, and checks issuer, destination and times. Blocks, for milliseconds.
    pub fn verify(self, expected: &ExpectedLogout<'_>) -> Result<LogoutMessage, Refusal> {
        let verify = || {
            let (xml, fingerprint) = match &self.detached {
                Some(detached) => (self.xml.clone(), detached.verify(expected.certificates)?),
                None => {
                    let verified = engine::verify(&self.xml, expected.certificates)?;
                    (verified.xml, verified.fingerprint)
                }
            };
            let document = gate::parse(&xml)?;
            let read = read(document.root_element(), self.field, expected, &fingerprint);
            read.map_err(|refusal| Refusal { fingerprint: Some(fingerprint), ..refusal })
        };
        let document = gate::parse(&self.xml)?;
        verify().map_err(|refusal: Refusal| refusal.about(&document))
    }
}

/// The gate's second look. By the POST binding the message is signed, by the other one what carries it.
fn check_shape(document: &Document<'_>, field: Field, is_detached: bool) -> Result<(), Refusal> {
    gate::check_ids(document)?;
    gate::check_references(document)?;
    let root = document.root_element();
    let name = match field {
        Field::Request => "LogoutRequest",
        Field::Response => "LogoutResponse",
    };
    if !is(root, PROTOCOL, name) {
        return Err(Reason::UnexpectedMessage.refuse());
    }
    if is_detached {
        gate::check_signatures(document, &[])?;
    } else if gate::check_signatures(document, &[root])? != [true] {
        return Err(Reason::NotSigned.refuse());
    }
    Ok(())
}

fn read(
    root: Node<'_, '_>,
    field: Field,
    expected: &ExpectedLogout<'_>,
    fingerprint: &str,
) -> Result<LogoutMessage, Refusal> {
    let issued = check_kind(root, expected.issuer, expected.now)?;
    check_equal(Reason::Destination, attribute(root, "Destination"), expected.slo_url)?;
    let stated = time_of(root, "NotOnOrAfter")?;
    if let Some(end) = stated {
        not_on_or_after(end, expected.now, "NotOnOrAfter")?;
    }
    let end = stated.unwrap_or(issued + MAX_AGE);
    not_on_or_after(end, expected.now, "IssueInstant and five minutes")?;

    let id = attribute(root, "ID").unwrap_or_default().to_owned();
    let (issuer, fingerprint) = (expected.issuer.to_owned(), fingerprint.to_owned());
    if field == Field::Request {
        return Ok(LogoutMessage::Request(LogoutRequest {
            id,
            issuer,
            name_id: read_name_id(root)?,
            session_indexes: children(root, PROTOCOL, "SessionIndex").filter_map(text).collect(),
            fingerprint,
            expires_at: end + TOLERANCE,
        }));
    }
    let asked = expected.in_response_to.ok_or_else(|| Reason::InResponseTo.because("nothing was asked"))?;
    check_answer(attribute(root, "InResponseTo"), Some(asked))?;
    let status = only_child(root, PROTOCOL, "Status").ok_or_else(|| Reason::Status.because("there is no status"))?;
    let codes: Vec<_> = status.descendants().filter(|node| is(*node, PROTOCOL, "StatusCode")).collect();
    // "Partial logout" is said below success, by some.
    let success = matches!(codes[..], [only] if attribute(only, "Value") == Some(SUCCESS));
    Ok(LogoutMessage::Response(LogoutResponse { id, issuer, in_response_to: asked.to_owned(), success, fingerprint }))
}
