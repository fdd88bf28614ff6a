//! Writes down what came of each message of an identity provider: administrators read it at `/saml/events`.

use super::refused::{Refused, Told};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{OrganizationId, SamlConnectionId, SamlEventId, UserId};

/// How much of what a message says of itself is kept, in characters.
const LONGEST: usize = 500;

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    SignIn,
    Connect,
    Test,
    Logout,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Connect => "connect",
            Self::Test => "test",
            Self::Logout => "logout",
        }
    }
}

/// An attempt and what came of it.
#[derive(Clone, Debug)]
pub(super) struct NewEvent<'a> {
    pub(super) kind: Kind,
    /// Why it was refused, as a code and in words; none where it was not.
    pub(super) refused: Option<(&'a str, &'a str)>,
    pub(super) connection: Option<(SamlConnectionId, &'a str)>,
    /// What the message says of itself, verified or not.
    pub(super) seen: &'a Seen,
    pub(super) user: Option<UserId>,
}

/// What is known of a message. Nothing of what it says of a person.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) issuer: Option<String>,
    pub(super) assertion_id: Option<String>,
    /// Of the certificate that verified it.
    pub(super) fingerprint: Option<String>,
}

impl Seen {
    /// Keeps what a message that is refused has told of itself.
    pub(super) fn refuse(&mut self, refusal: tenantry_saml::Refusal) -> Refused {
        let tenantry_saml::Refusal { reason, detail, issuer, assertion_id, fingerprint } = refusal;
        *self = Self { issuer: issuer.or(self.issuer.take()), assertion_id, fingerprint };
        Refused::new(Told::Refused, reason.code(), detail)
    }
}

/// Writes an event.
pub(super) async fn note(tx: &mut Tx, event: &NewEvent<'_>) -> Result<()> {
    let id: SamlEventId = tx.new_id();
    let origin = tx.origin().clone();
    let cut = |text: &Option<String>| text.as_deref().map(storable);
    sqlx::query!(
        "insert into saml_events (organization_id, id, created_at, kind, outcome, reason, detail, connection_id,
             connection_name, issuer, assertion_id, fingerprint, user_id, client_address, user_agent, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        tx.organization_id() as OrganizationId,
        id as SamlEventId,
        tx.now(),
        event.kind.name(),
        if event.refused.is_some() { "refused" } else { "accepted" },
        event.refused.map(|(reason, _)| reason),
        event.refused.map(|(_, detail)| storable(detail)),
        event.connection.map(|(id, _)| id) as Option<SamlConnectionId>,
        event.connection.map(|(_, name)| name),
        cut(&event.seen.issuer),
        cut(&event.seen.assertion_id),
        event.seen.fingerprint,
        event.user as Option<UserId>,
        origin.client_address,
        origin.user_agent,
        origin.request_id
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What strangers wrote, as Postgres takes it, and no more than someone reads.
fn storable(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(LONGEST).collect()
}
