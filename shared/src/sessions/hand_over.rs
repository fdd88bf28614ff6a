//! From a program's session to a browser's: a token for once, which the sign-in page exchanges for a session of its own.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Beginning, NewSession, at_provider, begin, lock_user, not_signed_in};
use crate::access::{Access, Actor, InPerson, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, SessionId, SessionTokenId, UserId};
use crate::schedules::Part;
use crate::secret::{Token, TokenKind};

/// How long the token is good: the way from an answer to a browser.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(60);

/// A token to be carried into a browser: the only moment it is known.
#[derive(Debug)]
pub struct HandOver {
    /// Which one.
    pub id: SessionTokenId,
    /// To be sent to the sign-in page.
    pub token: Token,
}

/// Whom the sign-in page would sign in.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in the organization and the user")]
pub struct Preview {
    pub organization_name: String,
    pub organization_slug: String,
    pub branding: Value,
    pub email: String,
    pub name: String,
    pub locale: String,
}

fn dead() -> Refusal {
    Refusal::missing(
        "session_token_dead",
        "This sign-in was used already, or took longer than a minute. Begin it again.",
    )
}

/// Makes a token that a browser can exchange for a session. It dies with the caller's own.
pub async fn hand_over(tx: &mut Tx, by: &Access<InPerson>) -> Result<HandOver> {
    let caller = by.caller();
    // Locked, so that it can't end unseen meanwhile.
    let session = sqlx::query_scalar!(
        r#"select id as "id: SessionId" from sessions where organization_id = $1 and id = $2 for key share"#,
        tx.organization_id() as OrganizationId,
        caller.session() as Option<SessionId>
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(not_signed_in)?;
    let (id, token) = (tx.new_id::<SessionTokenId>(), Token::new(TokenKind::Browser, tx.tenant())?);
    sqlx::query!(
        "insert into session_tokens (organization_id, id, session_id, token_digest, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
        tx.organization_id() as OrganizationId,
        id as SessionTokenId,
        session as SessionId,
        token.digest(),
        tx.now(),
        tx.now() + GOOD_FOR
    )
    .execute(tx.connection())
    .await?;
    tx.audit(Event::new("session_token.created", "user", caller.user_id, &caller.email)).await?;
    Ok(HandOver { id, token })
}

fn read(token: &str) -> Result<Token, Refusal> {
    Token::parse(token).filter(|token| token.kind() == TokenKind::Browser).ok_or_else(dead)
}

struct Carried {
    user_id: UserId,
    session_id: SessionId,
    session_ends: DateTime<Utc>,
    shown: Preview,
}

async fn get_carried(tx: &mut Tx, token: &Token) -> Result<Carried> {
    let row = sqlx::query!(
        r#"select u.id as "user_id: UserId", u.email, trim(concat(u.first_name, ' ', u.last_name)) as "name!",
                  s.id as "session_id: SessionId", s.expires_at, o.name as organization_name, o.slug as organization_slug,
                  o.branding, coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from session_tokens t
           join sessions s on s.organization_id = t.organization_id and s.id = t.session_id
           join users u on u.organization_id = s.organization_id and u.id = s.user_id
           join organizations o on o.organization_id = t.organization_id
           where t.organization_id = $1 and t.token_digest = $2 and t.expires_at > $3 and s.expires_at > $3
             and u.is_active and (u.expiry_date is null or u.expiry_date >= $4) and o.deleted_at is null"#,
        tx.organization_id() as OrganizationId,
        token.digest(),
        tx.now(),
        tx.now().date_naive()
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(dead)?;
    let shown = Preview {
        organization_name: row.organization_name,
        organization_slug: row.organization_slug,
        branding: row.branding,
        email: row.email,
        name: row.name,
        locale: row.locale,
    };
    Ok(Carried { user_id: row.user_id, session_id: row.session_id, session_ends: row.expires_at, shown })
}

/// Whom a token would sign in, if it is good still. Changes nothing.
pub async fn preview_hand_over(db: &Db, token: &str) -> Result<Preview> {
    let token = read(token)?;
    let mut tx = db.begin(&token.claimed_tenant(), Actor::Anonymous, Origin::default()).await?;
    Ok(get_carried(&mut tx, &token).await?.shown)
}

/// Exchanges the token for a session of the browser's own: once, also when two come at once. It ends when the session does
/// that the token was made with, so that nobody gets round signing in by exchanging again and again.
pub async fn take_over(db: &Db, token: &str, origin: Origin) -> Result<NewSession> {
    let token = read(token)?;
    let mut tx = db.begin(&token.claimed_tenant(), Actor::Anonymous, origin).await?;
    let user = get_carried(&mut tx, &token).await?.user_id;
    lock_user(&mut tx, user).await?;
    // The session that the token was made with can't end unseen from here on.
    sqlx::query!(
        "select s.id from sessions s join session_tokens t on t.organization_id = s.organization_id and t.session_id = s.id
         where t.organization_id = $1 and t.token_digest = $2 for key share of s",
        tx.organization_id() as OrganizationId,
        token.digest()
    )
    .fetch_optional(tx.connection())
    .await?;
    // Under the locks: is it all still there?
    let carried = get_carried(&mut tx, &token).await?;
    sqlx::query!(
        "delete from session_tokens where organization_id = $1 and token_digest = $2",
        tx.organization_id() as OrganizationId,
        token.digest()
    )
    .execute(tx.connection())
    .await?;
    let email = carried.shown.email;
    tx.act_as(Actor::User { id: user, name: email.clone(), credential: None });
    let at = at_provider(&mut tx, carried.session_id).await?;
    let (expires_at, details) = (carried.session_ends, json!({ "by": "session_token" }));
    let beginning = Beginning { user, email: &email, signs_in: false, expires_at, at: at.as_ref(), details };
    let session = begin(&mut tx, beginning).await?;
    tx.commit().await?;
    Ok(session)
}

/// Deletes some that nobody could use any more.
pub(super) async fn purge_some(tx: &mut Tx, at_a_time: i64) -> Result<Part> {
    // Nobody takes over by one that is over, so nobody holds its lock.
    let purged = sqlx::query!(
        "with dead as (
             select id from session_tokens where organization_id = $1 and expires_at <= $2 limit $3)
         delete from session_tokens t using dead where t.organization_id = $1 and t.id = dead.id",
        tx.organization_id() as OrganizationId,
        tx.now(),
        at_a_time
    )
    .execute(tx.connection())
    .await?;
    Ok(Part::of(purged.rows_affected(), at_a_time))
}
