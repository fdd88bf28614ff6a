//! Signing in with a password. Whoever can't gets one answer, after the same work: a stranger learns neither from what it
//! says nor from how long it takes which organizations and accounts there are.

use chrono::NaiveDate;
use secrecy::SecretString;
use serde_json::json;

use super::steps::{CODE_WITHIN, Entry, SignInKeys, code_state, enter, lock_entitled, ticket};
use super::{NewSession, SESSION_LASTS};
use crate::access::{Actor, Origin};
use crate::audit::Event;
use crate::db::Db;
use crate::email_address::key;
use crate::error::{Refusal, Result};
use crate::ids::{AuditEventId, OrganizationId, SessionId, UserId, new_uuid};
use crate::limits::Limiter;
use crate::passwords::{self, Hasher};
use crate::secret::{Token, TokenKind};
use crate::tenant::{Addressee, Tenant, ascii};
use crate::ticket::TicketKind;
use crate::totp;

/// What a sign-in is looked at with.
#[derive(Clone, Copy, Debug)]
pub struct Door<'a> {
    /// Where accounts are.
    pub db: &'a Db,
    /// Who compares passwords.
    pub hasher: &'a Hasher,
    /// Who counts failures.
    pub limiter: &'a Limiter,
    /// What the steps after the password take.
    pub keys: &'a SignInKeys,
    /// The slug of the organization that keeps the record of what was tried at those that do not exist.
    pub platform_slug: &'a str,
}

/// What someone shows who wants to sign in.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The organization's slug.
    pub slug: &'a str,
    /// User name or address.
    pub username: &'a str,
    /// The password.
    pub password: &'a SecretString,
    /// A code of his second factor, if he sent one: an empty one is none. Not looked at where he has no second factor.
    pub code: Option<&'a str>,
}

/// The one answer to all that can be wrong with credentials.
const WRONG: &str = "invalid_credentials";

fn wrong_credentials() -> Refusal {
    Refusal::unauthenticated(WRONG, "User name or password is wrong, or this account can't sign in here.")
}

/// Signs in. Unknown organization, unknown user, wrong password, inactive, expired and not local are one answer; the limits
/// decide before a password is looked at. Who knows the password is told more.
///
/// Errors: 401 `invalid_credentials`, `invalid_code`; 429 `too_many_attempts`, `too_many_codes`.
pub async fn login(door: &Door<'_>, given: &Credentials<'_>, origin: Origin) -> Result<Entry> {
    let attempt = door.limiter.sign_in(given.slug, given.username, &origin).await?;
    match sign_in(door, given, origin).await {
        // Not in yet: this client is not one that has signed in here before.
        Ok(entry @ (Entry::CodeNeeded(_) | Entry::PasswordChangeNeeded(_))) => {
            attempt.forget().await;
            Ok(entry)
        }
        outcome => attempt.judge(outcome, &[WRONG]).await,
    }
}

async fn sign_in(door: &Door<'_>, given: &Credentials<'_>, origin: Origin) -> Result<Entry> {
    let (addressee, found) = find_account(door, given).await?;
    let hash = found.as_ref().and_then(|found| found.password_hash.clone());
    let is_right = door.hasher.verify(given.password, hash.clone()).await?;
    let today = door.db.clock().now().date_naive();
    let refused = reason(&addressee, found.as_ref(), is_right, today);
    let (None, Some(tenant), Some(found), Some(hash)) = (refused, addressee.tenant(), &found, hash) else {
        return refuse(door, &addressee, found.as_ref(), refused.unwrap_or("wrong_password"), origin).await;
    };
    let rehashed = if Hasher::is_outdated(&hash) { Some(door.hasher.hash(given.password).await?) } else { None };
    let proven = Proven { tenant, account: found, hash: &hash, rehashed, given };
    if let Some(session) = enter_at_once(door, &proven, &origin).await? {
        return Ok(Entry::Session(session));
    }
    match go_on(door, proven, origin.clone()).await? {
        Some(entry) => Ok(entry),
        None => refuse(door, &addressee, Some(found), "changed_meanwhile", origin).await,
    }
}

struct Account {
    user_id: UserId,
    email: String,
    password_hash: Option<String>,
    is_active: bool,
    is_local: bool,
    may_use_password: bool,
    expiry_date: Option<NaiveDate>,
}

/// Looks an account up, and whose it is. It asks as much where the slug was no organization's, and finds nobody.
async fn find_account(door: &Door<'_>, given: &Credentials<'_>) -> Result<(Addressee, Option<Account>)> {
    let (slug, name, now) = (ascii(given.slug), &key(given.username), door.db.clock().now());
    let ask = |pool| async move {
        sqlx::query!(
            r#"select organization_id as "keeper!: OrganizationId", is_there as "is_there!", user_id as "user_id: UserId", email,
                      password_hash, is_active, is_local, may_use_password, expiry_date
               from account_of($1, $2, $3, $4) where organization_id is not null"#,
            slug,
            door.platform_slug,
            name,
            now
        )
        .fetch_optional(pool)
        .await
    };
    let Some(row) = door.db.ask(ask).await? else { return Ok((Addressee::default(), None)) };
    let account = row.user_id.zip(row.email).map(|(user_id, email)| Account {
        user_id,
        email,
        password_hash: row.password_hash,
        is_active: row.is_active.unwrap_or_default(),
        is_local: row.is_local.unwrap_or_default(),
        may_use_password: row.may_use_password.unwrap_or_default(),
        expiry_date: row.expiry_date,
    });
    Ok((Addressee::kept_by(row.keeper, row.is_there), account))
}

/// Why someone can't sign in, for administrators.
fn reason(addressee: &Addressee, account: Option<&Account>, is_right: bool, today: NaiveDate) -> Option<&'static str> {
    let Some(account) = account else {
        return Some(if addressee.tenant().is_some() { "unknown_user" } else { "unknown_organization" });
    };
    match account {
        Account { is_active: false, .. } => Some("inactive"),
        Account { expiry_date: Some(last), .. } if *last < today => Some("expired"),
        Account { may_use_password: false, is_local: true, .. } => Some("sso_required"),
        Account { may_use_password: false, .. } => Some("not_local"),
        Account { password_hash: None, .. } => Some("no_password"),
        _ if !is_right => Some("wrong_password"),
        _ => None,
    }
}

/// Writes down who was refused, and why, and refuses. What was typed is not written where no account has that name: people
/// type passwords there.
async fn refuse<T>(
    door: &Door<'_>,
    addressee: &Addressee,
    account: Option<&Account>,
    reason: &'static str,
    origin: Origin,
) -> Result<T> {
    if let Some(keeper) = addressee.keeper().filter(|_| door.limiter.may_note()) {
        let mut tx = door.db.begin(keeper, Actor::Anonymous, origin).await?;
        let event = Event {
            action: "session.refused",
            object_type: "user",
            object_id: account.map(|account| account.user_id.into()),
            object_name: account.map(|account| account.email.as_str()),
            details: json!({ "reason": reason }),
        };
        tx.audit(event).await?;
        tx.commit().await?;
    }
    Err(wrong_credentials().into())
}

/// An account whose password was shown.
struct Proven<'a> {
    tenant: &'a Tenant,
    account: &'a Account,
    hash: &'a str,
    rehashed: Option<String>,
    given: &'a Credentials<'a>,
}

/// The way of nearly all: if nothing else is demanded, it is one statement. None if something is; nothing happened then.
async fn enter_at_once(door: &Door<'_>, proven: &Proven<'_>, origin: &Origin) -> Result<Option<NewSession>> {
    let Proven { tenant, account, hash, rehashed: None, given } = proven else { return Ok(None) };
    let now = door.db.clock().now();
    let expires_at = now + SESSION_LASTS;
    let (session, event) = (SessionId::from(new_uuid(now)), AuditEventId::from(new_uuid(now)));
    let token = Token::new(TokenKind::Session, tenant)?;
    let digest = &token.digest();
    let length = passwords::length_of(given.password);
    let ask = |pool| async move {
        sqlx::query_scalar!(
            r#"select sign_in($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) as "is_in!""#,
            tenant.id() as OrganizationId,
            account.user_id as UserId,
            hash,
            length,
            now,
            expires_at,
            session as SessionId,
            digest,
            origin.client_address.as_deref(),
            origin.user_agent.as_deref(),
            origin.client_id.as_deref(),
            origin.request_id.as_deref(),
            event as AuditEventId
        )
        .fetch_one(pool)
        .await
    };
    Ok(door.db.ask(ask).await?.then_some(NewSession { token, expires_at }))
}

/// Goes on to what else is demanded, if the password is still the one that was verified, and he may still sign in.
async fn go_on(door: &Door<'_>, proven: Proven<'_>, origin: Origin) -> Result<Option<Entry>> {
    let Proven { tenant, account, hash, rehashed, given } = proven;
    let actor = Actor::User { id: account.user_id, name: account.email.clone(), credential: None };
    let mut tx = door.db.begin(tenant, actor, origin).await?;
    let Some(entitled) = lock_entitled(&mut tx, account.user_id, Some(hash)).await? else { return Ok(None) };
    if let Some(rehashed) = rehashed {
        sqlx::query!(
            "update users set password_hash = $3 where organization_id = $1 and id = $2",
            tx.organization_id() as OrganizationId,
            account.user_id as UserId,
            rehashed
        )
        .execute(tx.connection())
        .await?;
    }
    if let Some(code) = given.code.filter(|code| !code.trim().is_empty()) {
        tx = totp::demand_at_sign_in(tx, door, account.user_id, &entitled.email, code).await?;
    } else if let Some(state) = code_state(&mut tx, account.user_id).await? {
        let ticket = ticket(door.keys, TicketKind::Code, &tx, account.user_id, CODE_WITHIN, &state);
        tx.commit().await?;
        return Ok(Some(Entry::CodeNeeded(ticket)));
    }
    let outgrown = passwords::outgrow(&mut tx, account.user_id, given.password, entitled.password_min_length).await?;
    let must_change = entitled.must_change_password || outgrown;
    enter(tx, door.keys, account.user_id, &entitled.email, must_change).await.map(Some)
}
