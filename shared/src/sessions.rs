//! Sign-ins: a password for a session token, the token for a caller.

mod login;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

pub use login::{Credentials, Door, login};

use crate::access::{Access, Actor, Caller, Credential, Oneself, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, SessionId, UserId};
use crate::schedules::Part;
use crate::secret::Token;

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

/// Resolves a token: who calls, if the session lives, the user may sign in, and the organization is there.
pub async fn authenticate(db: &Db, token: &str) -> Result<Caller> {
    let token = Token::parse(token).ok_or_else(not_signed_in)?;
    let tenant = token.claimed_tenant();
    let mut tx = db.begin(&tenant, Actor::Anonymous, Origin::default()).await?;
    let row = sqlx::query!(
        r#"select s.id as "id: SessionId", s.user_id as "user_id: UserId", u.email, u.is_superuser, o.slug
           from sessions s
           join users u on u.organization_id = s.organization_id and u.id = s.user_id
           join organizations o on o.organization_id = s.organization_id
           where s.organization_id = $1 and s.token_digest = $2 and s.expires_at > $3
             and u.is_active and (u.expiry_date is null or u.expiry_date >= $4) and o.deleted_at is null"#,
        tx.organization_id() as OrganizationId,
        token.digest(),
        tx.now(),
        tx.now().date_naive()
    )
    .fetch_optional(tx.connection())
    .await?;
    tx.commit().await?;
    let row = row.ok_or_else(not_signed_in)?;
    Ok(Caller {
        tenant,
        organization_slug: row.slug,
        user_id: row.user_id,
        credential: Credential::Session(row.id),
        email: row.email,
        is_superuser: row.is_superuser,
    })
}

/// Begins a session for a user who has proven who he is.
pub(crate) async fn create(tx: &mut Tx, user: UserId) -> Result<NewSession> {
    let id: SessionId = tx.new_id();
    let token = Token::new_session(tx.tenant())?;
    let expires_at = tx.now() + SESSION_LASTS;
    let origin = tx.origin().clone();
    sqlx::query!(
        "update users set last_login = $3 where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        user as UserId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into sessions (organization_id, id, user_id, token_digest, created_at, expires_at, client_address,
             user_agent, client_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tx.organization_id() as OrganizationId,
        id as SessionId,
        user as UserId,
        token.digest(),
        tx.now(),
        expires_at,
        origin.client_address,
        origin.user_agent,
        origin.client_id
    )
    .execute(tx.connection())
    .await?;
    if let Actor::User { id: actor, name, .. } = tx.actor().clone() {
        tx.act_as(Actor::User { id: actor, name, credential: Some(Credential::Session(id)) });
    }
    Ok(NewSession { token, expires_at })
}

/// Ends the caller's session.
pub async fn logout(tx: &mut Tx, by: &Access<Oneself>) -> Result<()> {
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

/// Ends all of the caller's sessions, this one too.
pub async fn logout_all(tx: &mut Tx, by: &Access<Oneself>) -> Result<()> {
    let caller = by.caller();
    let count = kill_all(tx, caller.user_id, None).await?;
    let event = Event::new("sessions.ended", "user", caller.user_id, &caller.email);
    tx.audit(event.with(json!({ "count": count }))).await
}

/// Ends all of the caller's sessions but this one, and says how many that were.
pub async fn revoke_others(tx: &mut Tx, by: &Access<Oneself>) -> Result<u64> {
    let caller = by.caller();
    let count = kill_all(tx, caller.user_id, caller.session()).await?;
    let event = Event::new("sessions.revoked", "user", caller.user_id, &caller.email);
    tx.audit(event.with(json!({ "count": count }))).await?;
    Ok(count)
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

/// How many a statement deletes.
const AT_A_TIME: i64 = 1_000;

/// Deletes some sessions whose time is over: nobody could use them any more.
pub async fn purge_some(tx: &mut Tx) -> Result<Part> {
    let purged = sqlx::query!(
        "with dead as (
             select organization_id, id from sessions where organization_id = $1 and expires_at <= $2
             limit $3 for update skip locked)
         delete from sessions s using dead where s.organization_id = dead.organization_id and s.id = dead.id",
        tx.organization_id() as OrganizationId,
        tx.now(),
        AT_A_TIME
    )
    .execute(tx.connection())
    .await?;
    Ok(Part::of(purged.rows_affected(), AT_A_TIME))
}
