//! Sign-ins: a password for a session token, the token for a caller.

mod at_provider;
mod authenticate;
mod hand_over;
mod list;
mod login;
mod steps;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

pub(crate) use at_provider::{AtProvider, at_provider, create_at_provider, end_at_provider, end_others_at_provider};
pub use authenticate::{authenticate, introduce};
pub use hand_over::{HandOver, Preview, hand_over, preview_hand_over, take_over};
pub use list::{Session, end, list};
pub use login::{Credentials, Door, login};
pub(crate) use steps::{Entitled, begin_with, sign_in_again};
pub use steps::{Entry, SignInKeys, find_unfinished, finish};

use crate::access::{Access, Actor, Caller, Credential, InPerson};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{AuditEventId, OrganizationId, PersonalAccessTokenId, SamlConnectionId, SessionId, UserId};
use crate::personal_access_tokens;
use crate::schedules::Part;
use crate::secret::{Token, TokenKind};

/// How long a session lasts: a working day. There is no sliding window; signing in again is the renewal.
const SESSION_LASTS: TimeDelta = TimeDelta::hours(12);

/// A session that has just begun: the only moment its token is known.
#[derive(Debug)]
pub struct NewSession {
    /// To be sent as `Authorization: Bearer …`.
    pub token: Token,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// No credential, or one that is dead.
#[must_use]
pub fn not_signed_in() -> Refusal {
    Refusal::unauthenticated("not_authenticated", "This needs a valid session. Sign in and send its token.")
}

/// Signed in, but without the second factor that the organization demands.
#[must_use]
pub fn enrollment_required() -> Refusal {
    Refusal::forbidden(
        "mfa_enrollment_required",
        "Your organization demands a second factor. Set one up first: nothing else works until then.",
    )
}

/// Begins a session for a user who has proven who he is, as the log says with these details.
pub(crate) async fn create(tx: &mut Tx, user: UserId, email: &str, details: Value) -> Result<NewSession> {
    let expires_at = tx.now() + SESSION_LASTS;
    begin(tx, Beginning { user, email, signs_in: true, expires_at, at: None, details }).await
}

/// Of what a session begins.
struct Beginning<'a> {
    user: UserId,
    email: &'a str,
    /// And not only goes on from another session.
    signs_in: bool,
    expires_at: DateTime<Utc>,
    at: Option<&'a AtProvider>,
    /// For the log.
    details: Value,
}

async fn begin(tx: &mut Tx, of: Beginning<'_>) -> Result<NewSession> {
    let id: SessionId = tx.new_id();
    let event: AuditEventId = tx.new_id();
    let token = Token::new(TokenKind::Session, tx.tenant())?;
    let origin = tx.origin().clone();
    sqlx::query!(
        "select begin_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        tx.organization_id() as OrganizationId,
        id as SessionId,
        of.user as UserId,
        of.email,
        of.signs_in,
        token.digest(),
        tx.now(),
        of.expires_at,
        origin.client_address,
        origin.user_agent,
        origin.client_id,
        origin.request_id,
        event as AuditEventId,
        of.details,
        of.at.map(|at| at.connection) as Option<SamlConnectionId>,
        of.at.map(|at| at.name_id.as_str()),
        of.at.map(|at| &at.attributes),
        of.at.and_then(|at| at.session_index.as_deref())
    )
    .fetch_one(tx.connection())
    .await?;
    if let Actor::User { id: actor, name, .. } = tx.actor().clone() {
        tx.act_as(Actor::User { id: actor, name, credential: Some(Credential::Session(id)) });
    }
    Ok(NewSession { token, expires_at: of.expires_at })
}

/// Ends the caller's session.
pub async fn logout(tx: &mut Tx, by: &Access<InPerson>) -> Result<()> {
    let caller = by.caller();
    sqlx::query!(
        "delete from sessions where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        caller.session() as Option<SessionId>
    )
    .execute(tx.connection())
    .await?;
    tx.audit(Event::new("session.ended", "user", caller.user_id, &caller.email)).await
}

/// Ends all of the caller's sessions, this one too, and his personal access tokens.
pub async fn logout_all(tx: &mut Tx, by: &Access<InPerson>) -> Result<()> {
    let caller = by.caller();
    lock_user(tx, caller.user_id).await?;
    let Killed { sessions, tokens } = kill_credentials(tx, caller.user_id).await?;
    let event = Event::new("sessions.ended", "user", caller.user_id, &caller.email);
    tx.audit(event.with(json!({ "count": sessions, "tokens": tokens }))).await
}

/// Ends all of the caller's sessions but this one, and says how many that were.
pub async fn revoke_others(tx: &mut Tx, by: &Access<InPerson>) -> Result<u64> {
    let caller = by.caller();
    lock_user(tx, caller.user_id).await?;
    let count = kill_all(tx, caller.user_id, caller.session()).await?;
    let event = Event::new("sessions.revoked", "user", caller.user_id, &caller.email);
    tx.audit(event.with(json!({ "count": count }))).await?;
    Ok(count)
}

/// Locks a user: whoever makes a credential from another one, and whoever ends them all, does so under this lock, or one
/// that is just being made would survive the end of all.
async fn lock_user(tx: &mut Tx, user: UserId) -> Result<()> {
    sqlx::query!(
        "select id from users where organization_id = $1 and id = $2 for no key update",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(())
}

/// Whether a session of a user's lives. It can't end unseen from here on.
pub(crate) async fn lives(tx: &mut Tx, user: UserId, session: SessionId) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select id as "id: SessionId" from sessions
           where organization_id = $1 and id = $2 and user_id = $3 and expires_at > $4 for key share"#,
        tx.organization_id() as OrganizationId,
        session as SessionId,
        user as UserId,
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.is_some())
}

/// Locks the caller, and looks whether he may still call: his credential was found good in an earlier unit of work, and may
/// have ended since, as what someone has stolen does when its owner ends it.
pub(crate) async fn lock_caller(tx: &mut Tx, caller: &Caller) -> Result<()> {
    let (session, token) = match caller.credential {
        Credential::Session(id) => (Some(id), None),
        Credential::Token { id, .. } => (None, Some(id)),
    };
    lock_user(tx, caller.user_id).await?;
    // A statement of its own, which sees what was committed while it waited for the lock: is it all still there?
    let is_there = sqlx::query_scalar!(
        r#"select (exists (select from sessions where organization_id = $1 and user_id = $2 and id = $3 and expires_at > $5)
               or exists (select from personal_access_tokens
                   where organization_id = $1 and user_id = $2 and id = $4 and expires_at > $5)) as "is_there!"
           from users where organization_id = $1 and id = $2 and is_active and (expiry_date is null or expiry_date >= $6)"#,
        tx.organization_id() as OrganizationId,
        caller.user_id as UserId,
        session as Option<SessionId>,
        token as Option<PersonalAccessTokenId>,
        tx.now(),
        tx.now().date_naive()
    )
    .fetch_optional(tx.connection())
    .await?;
    if is_there != Some(true) {
        return Err(not_signed_in().into());
    }
    Ok(())
}

/// What a user had, and has no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Killed {
    pub(crate) sessions: u64,
    pub(crate) tokens: u64,
}

/// Ends all that a user could call with. To be asked under his lock.
pub(crate) async fn kill_credentials(tx: &mut Tx, user: UserId) -> Result<Killed> {
    let sessions = kill_all(tx, user, None).await?;
    Ok(Killed { sessions, tokens: personal_access_tokens::kill_all(tx, user).await? })
}

/// Ends a user's sessions, all but one if so wished. They are deleted: what was killed stays dead.
pub(crate) async fn kill_all(tx: &mut Tx, user: UserId, but: Option<SessionId>) -> Result<u64> {
    let killed = sqlx::query!(
        "delete from sessions where organization_id = $1 and user_id = $2 and id is distinct from $3",
        tx.organization_id() as OrganizationId,
        user as UserId,
        but as Option<SessionId>
    )
    .execute(tx.connection())
    .await?;
    Ok(killed.rows_affected())
}

/// Ends all that anyone of the organization could call with.
pub(crate) async fn end_everyones(tx: &mut Tx) -> Result<Killed> {
    let killed =
        sqlx::query!("delete from sessions where organization_id = $1", tx.organization_id() as OrganizationId)
            .execute(tx.connection())
            .await?;
    Ok(Killed { sessions: killed.rows_affected(), tokens: personal_access_tokens::end_everyones(tx).await? })
}

/// How many a statement deletes.
const AT_A_TIME: i64 = 1_000;

/// Deletes some credentials whose time is over: nobody could use them any more.
pub async fn purge_some(tx: &mut Tx) -> Result<Part> {
    let purged = sqlx::query!(
        "with dead as (
             select id from sessions where organization_id = $1 and expires_at <= $2
             limit $3 for update skip locked)
         delete from sessions s using dead where s.organization_id = $1 and s.id = dead.id",
        tx.organization_id() as OrganizationId,
        tx.now(),
        AT_A_TIME
    )
    .execute(tx.connection())
    .await?;
    let sessions = Part::of(purged.rows_affected(), AT_A_TIME);
    let handed_over = hand_over::purge_some(tx, AT_A_TIME).await?;
    Ok(sessions.and(handed_over).and(personal_access_tokens::purge_some(tx, AT_A_TIME).await?))
}
