//! What we asked an identity provider and wait for, and what has been answered: each counts once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use tenantry_saml::message_id;

use crate::db::Tx;
use crate::error::Result;
use crate::ids::{InvitationId, OrganizationId, SamlConnectionId, SessionId, UserId};
use crate::invitations::Carried;
use crate::secret::{fill_random, sha256};

/// How long someone may take to show his identity provider who he is.
pub(super) const ANSWERED_WITHIN: TimeDelta = TimeDelta::minutes(20);
/// How many sign-ins a browser has under way at most: one a tab. The oldest gives way.
const OF_ONE_BROWSER: i64 = 20;

/// A browser, by a random value in a cookie of its own: an answer is taken from the one that was sent to ask.
#[derive(Clone)]
pub struct Browser(String);

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Browser(…)")
    }
}

impl Browser {
    /// One that has no cookie yet.
    pub fn new() -> Result<Self> {
        let mut random = [0; 32];
        fill_random(&mut random)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(random)))
    }

    /// The one of a cookie; none if that can't be ours.
    #[must_use]
    pub fn of_cookie(value: &str) -> Option<Self> {
        let is_ours = URL_SAFE_NO_PAD.decode(value).is_ok_and(|bytes| bytes.len() == 32);
        is_ours.then(|| Self(value.to_owned()))
    }

    /// For its cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn digest(&self) -> Vec<u8> {
        sha256(self.0.as_bytes())
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    SignIn,
    /// Someone who is signed in here connects his account there.
    Connect,
    /// An administrator tries the connection; nobody is signed in.
    Test,
    /// We told that someone signed out here.
    Logout,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Connect => "connect",
            Self::Test => "test",
            Self::Logout => "logout",
        }
    }
}

/// A request to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewRequest<'a> {
    pub(super) connection: SamlConnectionId,
    pub(super) purpose: Purpose,
    pub(super) browser: &'a Browser,
    /// A path of ours.
    pub(super) return_to: &'a str,
    /// Whose test it is, or who connects his account.
    pub(super) user: Option<UserId>,
    /// The session in which he asked for that.
    pub(super) session: Option<SessionId>,
    /// Whose link led here.
    pub(super) invitation: Option<Carried>,
}

impl<'a> NewRequest<'a> {
    /// One that is nobody's yet.
    pub(super) fn new(connection: SamlConnectionId, purpose: Purpose, browser: &'a Browser) -> Self {
        Self { connection, purpose, browser, return_to: "/", user: None, session: None, invitation: None }
    }
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) connection_id: SamlConnectionId,
    purpose: String,
    pub(super) relay_state: String,
    browser_digest: Vec<u8>,
    pub(super) return_to: String,
    pub(super) user_id: Option<UserId>,
    session_id: Option<SessionId>,
    invitation_id: Option<InvitationId>,
    invitation_generation: Option<i32>,
    pub(super) expires_at: DateTime<Utc>,
}

impl Request {
    pub(super) fn is_of(&self, browser: Option<&Browser>) -> bool {
        browser.is_some_and(|browser| browser.digest() == self.browser_digest)
    }

    pub(super) fn is_for(&self, purpose: Purpose) -> bool {
        self.purpose == purpose.name()
    }

    /// Who connects his account, and the session in which he asked for it; none if it is for something else.
    pub(super) fn asker(&self) -> Option<(UserId, SessionId)> {
        self.user_id.zip(self.session_id).filter(|_| self.is_for(Purpose::Connect))
    }

    /// The invitation whose link led here.
    pub(super) fn invitation(&self) -> Option<Carried> {
        let (id, generation) = self.invitation_id.zip(self.invitation_generation)?;
        Some(Carried { id, generation })
    }
}

/// Writes down what is asked, with an id and a RelayState that nobody guesses.
pub(super) async fn begin(tx: &mut Tx, new: &NewRequest<'_>) -> Result<Request> {
    let (mut id, mut relay_state) = ([0; 20], [0; 24]);
    fill_random(&mut id)?;
    fill_random(&mut relay_state)?;
    let request = Request {
        id: message_id(&id),
        connection_id: new.connection,
        purpose: new.purpose.name().to_owned(),
        relay_state: URL_SAFE_NO_PAD.encode(relay_state),
        browser_digest: new.browser.digest(),
        return_to: new.return_to.to_owned(),
        user_id: new.user,
        session_id: new.session,
        invitation_id: new.invitation.map(|carried| carried.id),
        invitation_generation: new.invitation.map(|carried| carried.generation),
        expires_at: tx.now() + ANSWERED_WITHIN,
    };
    sqlx::query!(
        "delete from saml_requests where organization_id = $1 and id in (
             select id from saml_requests where organization_id = $1 and browser_digest = $2
             order by created_at desc, id offset $3)",
        tx.organization_id() as OrganizationId,
        request.browser_digest,
        OF_ONE_BROWSER - 1
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into saml_requests (organization_id, id, connection_id, purpose, relay_state, browser_digest, return_to,
             user_id, session_id, invitation_id, invitation_generation, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        tx.organization_id() as OrganizationId,
        request.id,
        request.connection_id as SamlConnectionId,
        request.purpose,
        request.relay_state,
        request.browser_digest,
        request.return_to,
        request.user_id as Option<UserId>,
        request.session_id as Option<SessionId>,
        request.invitation_id as Option<InvitationId>,
        request.invitation_generation,
        tx.now(),
        request.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(request)
}

/// The request of an id, also if its time is over.
pub(super) async fn find(tx: &mut Tx, id: &str) -> Result<Option<Request>> {
    find_by(tx, Some(id), None).await
}

/// The request of a RelayState, also if its time is over.
pub(super) async fn find_by_relay_state(tx: &mut Tx, relay_state: &str) -> Result<Option<Request>> {
    find_by(tx, None, Some(relay_state)).await
}

async fn find_by(tx: &mut Tx, id: Option<&str>, relay_state: Option<&str>) -> Result<Option<Request>> {
    // What no column can hold was never ours.
    if [id, relay_state].into_iter().flatten().any(|text| text.contains('\0')) {
        return Ok(None);
    }
    Ok(sqlx::query_as!(
        Request,
        r#"select id, connection_id as "connection_id: SamlConnectionId", purpose, relay_state, browser_digest, return_to,
                  user_id as "user_id: UserId", session_id as "session_id: SessionId",
                  invitation_id as "invitation_id: InvitationId", invitation_generation, expires_at
           from saml_requests where organization_id = $1 and (id = $2 or relay_state = $3)"#,
        tx.organization_id() as OrganizationId,
        id,
        relay_state
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Takes the answer to a request. Of two at the same moment one gets `true`.
pub(super) async fn take(tx: &mut Tx, request: &Request) -> Result<bool> {
    let taken = sqlx::query!(
        "delete from saml_requests where organization_id = $1 and id = $2 and expires_at > $3",
        tx.organization_id() as OrganizationId,
        request.id,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Ends what others began in a browser to connect their accounts: someone else is signed in there now, and what the identity
/// provider says next is about him.
pub(super) async fn end_of_others(tx: &mut Tx, browser: &Browser, user: UserId) -> Result<()> {
    sqlx::query!(
        "delete from saml_requests
         where organization_id = $1 and browser_digest = $2 and purpose = 'connect' and user_id <> $3",
        tx.organization_id() as OrganizationId,
        browser.digest(),
        user as UserId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Remembers a message by its id until it would be refused for its age. `false` if it was taken before.
pub(super) async fn remember(
    tx: &mut Tx,
    connection: SamlConnectionId,
    id: &str,
    expires_at: DateTime<Utc>,
) -> Result<bool> {
    let remembered = sqlx::query!(
        "insert into saml_messages (organization_id, connection_id, digest, expires_at) values ($1, $2, $3, $4)
         on conflict do nothing",
        tx.organization_id() as OrganizationId,
        connection as SamlConnectionId,
        sha256(id.as_bytes()),
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(remembered.rows_affected() == 1)
}
