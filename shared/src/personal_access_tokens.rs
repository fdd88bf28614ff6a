//! Personal access tokens: what a person's programs call with. One does what its owner may, within its scope.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::access::{Access, Credential, InPerson, ManageTokens, Oneself, Permission, session_required};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, Error, Kind, Refusal, Result};
use crate::ids::{OrganizationId, PersonalAccessTokenId, UserId};
use crate::objects;
use crate::page::{Listed, Page, PageRequest, Query, Sort};
use crate::schedules::Part;
use crate::secret::{Token, TokenKind};
use crate::sessions::lock_caller;
use crate::text::check_name;
use crate::users::User;

/// How many live ones a user can have.
const MOST: i64 = 50;
/// For how many days one is good where its maker doesn't say, if the organization allows so many.
const USUAL_DAYS: i32 = 30;

/// A token to be.
#[derive(Debug)]
pub struct NewToken {
    name: String,
    days: Option<i32>,
    scope: Option<Vec<String>>,
}

impl NewToken {
    /// Checks what can be checked without looking.
    pub fn check(name: &str, days: Option<i32>, scope: Option<Vec<String>>) -> Result<Self, Refusal> {
        let mut check = Check::default();
        let name = check_name(&mut check, name);
        check.that(days.is_none_or(|days| days >= 1), "expiry", "out_of_range", "A token is good for a day at least.");
        let unknown = scope.iter().flatten().find(|name| Permission::find(name).is_none());
        let message = unknown.map_or_else(String::new, |name| format!("There is no permission {name:?}."));
        check.that(unknown.is_none(), "permissions", "unknown_permission", message);
        check.done()?;
        let scope = scope.map(|names| names.into_iter().collect::<BTreeSet<_>>().into_iter().collect());
        Ok(Self { name, days, scope })
    }
}

/// A token, as far as it is known after it was made.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct PersonalAccessToken {
    pub id: Uuid,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub digest: String,
    pub last_used_at: Option<DateTime<Utc>>,
    pub permissions: Option<Vec<String>>,
}

const COLUMNS: &str = "t.id, t.name, t.created_at, t.expires_at, left(encode(t.token_digest, 'hex'), 16) as digest, \
     t.last_used_at, t.permissions";

impl Listed for PersonalAccessToken {
    const SORTS: &'static [Sort] = &[
        Sort::time("created", "t.created_at"),
        Sort::text("name", "lower(t.name)"),
        Sort::time("expiry", "t.expires_at"),
        Sort::time("last_used_at", "coalesce(t.last_used_at, '-infinity')"),
    ];
    const DEFAULT_SORT: &'static str = "-created";
    const ID: &'static str = "t.id";
}

/// A token that has just been made: the only moment it is known.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in the list")]
pub struct MadeToken {
    pub id: PersonalAccessTokenId,
    pub name: String,
    pub expires_at: DateTime<Utc>,
    pub token: Token,
}

/// Makes a token for the caller.
///
/// Errors: 400 `out_of_range` for more days than the organization allows; 403 `third_party_user`; 409 `too_many_tokens`.
pub async fn create(tx: &mut Tx, by: &Access<InPerson>, new: NewToken) -> Result<MadeToken> {
    let caller = by.caller();
    let most_days = get_most_days(tx).await?;
    demand_owner(tx, by).await?;
    let days = new.days.unwrap_or(USUAL_DAYS.min(most_days));
    if days > most_days {
        let message = format!("In this organization a token is good for {most_days} days at most.");
        return Err(Refusal::invalid_field("expiry", "out_of_range", message).into());
    }
    let live = sqlx::query_scalar!(
        r#"select count(*) as "live!" from personal_access_tokens
           where organization_id = $1 and user_id = $2 and expires_at > $3"#,
        tx.organization_id() as OrganizationId,
        caller.user_id as UserId,
        tx.now()
    )
    .fetch_one(tx.connection())
    .await?;
    if live >= MOST {
        let detail = format!("You have {MOST} tokens already: delete one that you don't need.");
        return Err(Refusal::conflict("too_many_tokens", detail).into());
    }
    let (id, token) = (tx.new_id::<PersonalAccessTokenId>(), Token::new(TokenKind::Personal, tx.tenant())?);
    let expires_at = tx.now() + TimeDelta::days(days.into());
    sqlx::query!(
        "insert into personal_access_tokens (organization_id, id, user_id, name, token_digest, permissions, created_at,
             expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        tx.organization_id() as OrganizationId,
        id as PersonalAccessTokenId,
        caller.user_id as UserId,
        new.name,
        token.digest(),
        new.scope.as_deref(),
        tx.now(),
        expires_at
    )
    .execute(tx.connection())
    .await?;
    let event = Event::new("personal_access_token.created", "personal_access_token", id, &new.name);
    tx.audit(event.with(json!({ "expiry": expires_at, "permissions": new.scope }))).await?;
    Ok(MadeToken { id, name: new.name, expires_at, token })
}

/// For how many days a token may be good. Locked against whoever lowers it: he shortens what is there, and could not see
/// a token that is just being made.
async fn get_most_days(tx: &mut Tx) -> Result<i32> {
    let days = sqlx::query_scalar!(
        "select token_max_days from organizations where organization_id = $1 for share",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(days)
}

/// Locks the caller, so that his tokens are made one after the other and none while all of them end, and looks whether he
/// may have one now.
async fn demand_owner(tx: &mut Tx, by: &Access<InPerson>) -> Result<()> {
    let caller = by.caller();
    lock_caller(tx, caller).await?;
    let is_third_party = sqlx::query_scalar!(
        "select is_third_party from users where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        caller.user_id as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    if is_third_party {
        let detail = "Someone of another company can't have a personal access token.";
        return Err(Refusal::forbidden("third_party_user", detail).into());
    }
    Ok(())
}

/// The caller's live tokens, newest first.
pub async fn list_own(tx: &mut Tx, by: &Access<InPerson>, page: &PageRequest) -> Result<Page<PersonalAccessToken>> {
    list_of(tx, by.caller().user_id, page).await
}

/// Another user's live tokens, newest first: of one over whom the caller holds `manage_tokens`.
pub async fn list(
    tx: &mut Tx,
    by: &Access<ManageTokens>,
    user: UserId,
    page: &PageRequest,
) -> Result<Page<PersonalAccessToken>> {
    objects::get_held::<User>(tx, by.caller(), user.into(), Permission::ManageTokens).await?;
    list_of(tx, user, page).await
}

async fn list_of(tx: &mut Tx, user: UserId, page: &PageRequest) -> Result<Page<PersonalAccessToken>> {
    let mut query = Query::new(COLUMNS, "personal_access_tokens t", "t.organization_id", tx);
    query.equals("t.user_id", Some(user));
    query.compare("t.expires_at > ", Some(tx.now()));
    query.search(&["t.name"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// Ends a token: one's own, with a session or with the token itself; another user's, with `manage_tokens` over him.
///
/// Errors: 403 `session_required`; 404, also for another user's without the permission.
pub async fn delete(tx: &mut Tx, by: &Access<Oneself>, id: PersonalAccessTokenId) -> Result<()> {
    let caller = by.caller();
    let row = sqlx::query!(
        r#"delete from personal_access_tokens where organization_id = $1 and id = $2 and expires_at > $3
           returning user_id as "user_id: UserId", name"#,
        tx.organization_id() as OrganizationId,
        id as PersonalAccessTokenId,
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    // A refusal undoes the unit of work, and so the deletion.
    if row.user_id != caller.user_id {
        demand_manager(tx, by, row.user_id).await?;
    } else if matches!(caller.credential, Credential::Token { id: with, .. } if with != id) {
        return Err(session_required().into());
    }
    let event = Event::new("personal_access_token.deleted", "personal_access_token", id, &row.name);
    tx.audit(event.with(json!({ "user": row.user_id.to_string() }))).await
}

/// To whoever may not manage his tokens, they are not there.
async fn demand_manager(tx: &mut Tx, by: &Access<Oneself>, owner: UserId) -> Result<()> {
    match objects::get_held::<User>(tx, by.caller(), owner.into(), Permission::ManageTokens).await {
        Err(Error::Refused(Refusal { kind: Kind::Forbidden, .. })) => Err(Refusal::not_found().into()),
        other => other.map(drop),
    }
}

/// Ends the tokens of everyone in the organization.
pub(crate) async fn end_everyones(tx: &mut Tx) -> Result<u64> {
    let ended = sqlx::query!(
        "delete from personal_access_tokens where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .execute(tx.connection())
    .await?;
    Ok(ended.rows_affected())
}

/// Ends all of a user's tokens. They are deleted: what was killed stays dead. Locked in the order of their ids, as by whoever
/// shortens them all.
pub(crate) async fn kill_all(tx: &mut Tx, user: UserId) -> Result<u64> {
    let killed = sqlx::query!(
        "with doomed as (
             select id from personal_access_tokens where organization_id = $1 and user_id = $2
             order by id for update)
         delete from personal_access_tokens t using doomed
         where t.organization_id = $1 and t.id = doomed.id",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .execute(tx.connection())
    .await?;
    Ok(killed.rows_affected())
}

/// Moves the end of every token that would live longer than so many days, counted from when it was made.
pub(crate) async fn shorten_all(tx: &mut Tx, most_days: i32) -> Result<u64> {
    let shortened = sqlx::query!(
        "with long as (
             select id from personal_access_tokens
             where organization_id = $1 and expires_at > created_at + make_interval(days => $2)
             order by id for update)
         update personal_access_tokens t set expires_at = t.created_at + make_interval(days => $2) from long
         where t.organization_id = $1 and t.id = long.id",
        tx.organization_id() as OrganizationId,
        most_days
    )
    .execute(tx.connection())
    .await?;
    Ok(shortened.rows_affected())
}

/// Deletes some whose time is over.
pub(crate) async fn purge_some(tx: &mut Tx, at_a_time: i64) -> Result<Part> {
    let purged = sqlx::query!(
        "with dead as (
             select id from personal_access_tokens where organization_id = $1 and expires_at <= $2
             limit $3 for update skip locked)
         delete from personal_access_tokens t using dead
         where t.organization_id = $1 and t.id = dead.id",
        tx.organization_id() as OrganizationId,
        tx.now(),
        at_a_time
    )
    .execute(tx.connection())
    .await?;
    Ok(Part::of(purged.rows_affected(), at_a_time))
}
