//! Signing in with a password. Whoever can't gets one answer, after the same work: a stranger learns neither from what it
//! says nor from how long it takes which organizations and accounts there are.

use chrono::NaiveDate;
use secrecy::SecretString;
use serde_json::json;

use super::steps::{CODE_WITHIN, Entry, SignInKeys, code_state, enter, lock_entitled, ticket};
use crate::access::{Actor, Origin};
use crate::audit::Event;
use crate::db::Db;
use crate::email_address::key;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::limits::Limiter;
use crate::passwords::{self, Hasher};
use crate::tenant::{Addressee, Tenant};
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
    let addressee = Addressee::find(door.db, given.slug, door.platform_slug).await?;
    let found = find_account(door.db, &addressee, given.username).await?;
    let hash = found.as_ref().and_then(|found| found.password_hash.clone());
    let is_right = door.hasher.verify(given.password, hash.clone()).await?;
    let today = door.db.clock().now().date_naive();
    let refused = reason(&addressee, found.as_ref(), is_right, today);
    let (None, Some(tenant), Some(found), Some(hash)) = (refused, addressee.tenant(), &found, hash) else {
        return refuse(door, &addressee, found.as_ref(), refused.unwrap_or("wrong_password"), origin).await;
    };
    let rehashed = if Hasher::is_outdated(&hash) { Some(door.hasher.hash(given.password).await?) } else { None };
    let proven = Proven { tenant, account: found, hash: &hash, rehashed, given };
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

/// Looks an account up. It asks as much where the slug was no organization's, and finds nobody.
async fn find_account(db: &Db, addressee: &Addressee, username: &str) -> Result<Option<Account>> {
    let Some(keeper) = addressee.keeper() else { return Ok(None) };
    let mut tx = db.look(keeper, Actor::Anonymous, Origin::default()).await?;
    // An address wins over a user name that looks like it.
    let row = sqlx::query_as!(
        Account,
        r#"select u.id as "user_id: UserId", u.email, u.password_hash, u.is_active, u.is_local, u.expiry_date,
                  may_use_password(u.is_local, u.keep_local_login, o.sso_required_from, $4) as "may_use_password!"
           from users u join organizations o on o.organization_id = u.organization_id
           where u.organization_id = $1 and (u.email_key = $2 or u.username_key = $2) and $3
           order by (u.email_key = $2) desc limit 1"#,
        tx.organization_id() as OrganizationId,
        key(username),
        addressee.tenant().is_some(),
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?;
    tx.commit().await?;
    Ok(row)
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

/// Goes on to what else is demanded, if the password is still the one that was verified, and he may still sign in.
async fn go_on(door: &Door<'_>, proven: Proven<'_>, origin: Origin) -> Result<Option<Entry>> {
    let Proven { tenant, account, hash, rehashed, given } = proven;
    let actor = Actor::User { id: account.user_id, name: account.email.clone(), credential: None };
    let mut tx = door.db.begin(tenant, actor, origin).await?;
    if lock_entitled(&mut tx, account.user_id, Some(hash)).await?.is_none() {
        return Ok(None);
    }
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
        tx = totp::demand_at_sign_in(tx, door, account.user_id, &account.email, code).await?;
    } else if let Some(state) = code_state(&mut tx, account.user_id).await? {
        let ticket = ticket(door.keys, TicketKind::Code, &tx, account.user_id, CODE_WITHIN, &state);
        tx.commit().await?;
        return Ok(Some(Entry::CodeNeeded(ticket)));
    }
    passwords::outgrow(&mut tx, account.user_id, given.password).await?;
    enter(tx, door.keys, account.user_id, &account.email).await.map(Some)
}
