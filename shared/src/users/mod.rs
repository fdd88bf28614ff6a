//! Users: the people of one organization.

mod change;
mod create;
mod delete;
mod expiry;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use uuid::Uuid;

pub use change::{Replacement, UserPatch, change};
pub use create::{NewUser, UserInput, create};
pub(crate) use create::{create_first_administrator, create_invited};
pub use delete::delete;
pub(crate) use expiry::is_near;
pub use expiry::{end_some, notify_some};

use crate::access::{Access, ViewUser, is_superuser};
use crate::db::Tx;
use crate::error::{Check, FieldError, Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::page::{Listed, Page, PageRequest, Query, Sort};

/// A user.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct User {
    pub id: Uuid,
    pub number: i32,
    pub username: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub is_active: bool,
    pub is_superuser: bool,
    pub is_local: bool,
    pub keep_local_login: bool,
    pub is_third_party: bool,
    pub is_email_verified: bool,
    pub has_mfa_enabled: bool,
    pub expiry_date: Option<NaiveDate>,
    pub observation: Option<String>,
    pub date_joined: DateTime<Utc>,
    pub last_login: Option<DateTime<Utc>>,
    pub profile: Value,
    pub preferences: Value,
    pub version: i64,
    /// `[{id, str}]`
    pub user_groups: Value,
    /// Names of the roles held, directly or through groups.
    pub roles: Vec<String>,
}

const COLUMNS: &str = "u.id, u.number, u.username, u.email, u.first_name, u.last_name, u.is_active, u.is_superuser, u.is_local, \
     u.keep_local_login, u.is_third_party, u.is_email_verified, u.expiry_date, u.observation, u.date_joined, u.last_login, \
     u.profile, u.preferences, u.version, \
     exists (select from totp_secrets t where t.organization_id = u.organization_id and t.user_id = u.id \
         and t.confirmed_at is not null) as has_mfa_enabled, \
     coalesce((select jsonb_agg(jsonb_build_object('id', g.id, 'str', g.name) order by g.name) \
         from user_group_members m join user_groups g on g.organization_id = m.organization_id and g.id = m.user_group_id \
         where m.organization_id = u.organization_id and m.user_id = u.id), '[]') as user_groups, \
     array(select distinct h.role_name from held_permissions(u.id) h order by 1) as roles";

impl Listed for User {
    const SORTS: &'static [Sort] = &[
        Sort::number("number", "u.number"),
        Sort::text("email", "u.email_key"),
        Sort::text("username", "u.username_key"),
        Sort::text("first_name", "lower(u.first_name)"),
        Sort::text("last_name", "lower(u.last_name)"),
        Sort::time("date_joined", "u.date_joined"),
        Sort::time("last_login", "coalesce(u.last_login, '-infinity')"),
    ];
    const DEFAULT_SORT: &'static str = "email";
    const ID: &'static str = "u.id";
}

/// Which users.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the filters of the list, described on the wire")]
pub struct UserFilter {
    pub ids: Option<Vec<Uuid>>,
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub is_active: Option<bool>,
    pub is_third_party: Option<bool>,
    pub keep_local_login: Option<bool>,
    pub is_approver: Option<bool>,
    pub expiry_date: Option<NaiveDate>,
    pub user_groups: Option<Vec<Uuid>>,
    pub exclude_current: bool,
}

const IS_APPROVER: &str = "exists (select from held_permissions(u.id) h where h.role_name = 'approver')";
const IN_GROUPS: &str = "exists (select from user_group_members m where m.organization_id = u.organization_id \
     and m.user_id = u.id and m.user_group_id = any(";

/// The organization's users.
pub async fn list(tx: &mut Tx, by: &Access<ViewUser>, filter: &UserFilter, page: &PageRequest) -> Result<Page<User>> {
    let mut query = Query::new(COLUMNS, "users u", "u.organization_id", tx);
    query.any("u.id", filter.ids.clone());
    query.equals("u.email_key", filter.email.as_deref().map(crate::email_address::key));
    query.equals("lower(u.first_name)", filter.first_name.as_ref().map(|name| name.to_lowercase()));
    query.equals("lower(u.last_name)", filter.last_name.as_ref().map(|name| name.to_lowercase()));
    query.equals("u.is_active", filter.is_active);
    query.equals("u.is_third_party", filter.is_third_party);
    query.equals("u.keep_local_login", filter.keep_local_login);
    query.equals("u.expiry_date", filter.expiry_date);
    query.equals(IS_APPROVER, filter.is_approver);
    query.enclosed(IN_GROUPS, filter.user_groups.clone(), "))");
    query.compare("u.id <> ", filter.exclude_current.then_some(Uuid::from(by.caller().user_id)));
    query.search(&["u.email", "u.username", "u.first_name", "u.last_name"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// One user.
pub async fn get(tx: &mut Tx, _by: &Access<ViewUser>, id: UserId) -> Result<User> {
    load(tx, id).await
}

/// The caller himself.
pub async fn current<P>(tx: &mut Tx, by: &Access<P>) -> Result<User> {
    load(tx, by.caller().user_id).await
}

async fn load(tx: &mut Tx, id: UserId) -> Result<User> {
    let mut query = Query::new(COLUMNS, "users u", "u.organization_id", tx);
    query.equals("u.id", Some(id));
    query.find(tx).await?.ok_or_else(|| Refusal::not_found().into())
}

/// First and last name, checked: one line each, at most 150 characters. Either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonName {
    pub(crate) first: String,
    pub(crate) last: String,
}

impl PersonName {
    /// Checks both.
    pub fn check(first: &str, last: &str) -> Result<Self, Refusal> {
        let mut check = Check::default();
        let first = check.take(name_part("first_name", first));
        let last = check.take(name_part("last_name", last));
        check.done()?;
        Ok(Self { first: first.unwrap_or_default(), last: last.unwrap_or_default() })
    }
}

fn name_part(field: &'static str, text: &str) -> Result<String, FieldError> {
    let text = text.trim();
    if text.chars().count() > 150 {
        return Err(FieldError::new(field, "too_long", "A name has at most 150 characters."));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new(field, "invalid", "A name is one line of text."));
    }
    Ok(text.to_owned())
}

fn check_profile(check: &mut Check, profile: &Value) {
    check.that(profile.is_object(), "profile", "invalid", "A profile is a JSON object.");
    check.that(profile.to_string().len() <= 16 * 1024, "profile", "too_long", "A profile has at most 16 KiB.");
    check.that(!profile.to_string().contains("\\u0000"), "profile", "invalid", "A profile has no NUL characters.");
}

/// Locks what decides over superusers: one request after the other, so that two can't each think that the other's superuser
/// remains. Always before a user's own row, or two requests would wait for each other.
async fn lock_superusers(tx: &mut Tx) -> Result<()> {
    sqlx::query!(
        "select organization_id from organizations where organization_id = $1 for no key update",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// A user, locked for a change: nobody else changes him, or who is superuser, until this unit of work ends.
pub(crate) async fn lock(tx: &mut Tx, id: UserId) -> Result<User> {
    lock_superusers(tx).await?;
    sqlx::query!(
        "select id from users where organization_id = $1 and id = $2 for no key update",
        tx.organization_id() as OrganizationId,
        id as UserId
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    load(tx, id).await
}

/// Only a superuser, as of now, makes or unmakes superusers. To be asked under the lock.
async fn demand_superuser(tx: &mut Tx, who: UserId) -> Result<()> {
    if is_superuser(tx, who).await? {
        Ok(())
    } else {
        Err(Refusal::forbidden("superuser_only", "Only a superuser makes or unmakes superusers.").into())
    }
}

/// What the last superuser must stay: active, without an end. To be asked under the lock.
async fn keep_a_superuser(tx: &mut Tx, without: UserId) -> Result<()> {
    let row = sqlx::query!(
        r#"select exists (select from users where organization_id = $1 and id <> $2 and is_superuser and is_active
               and expiry_date is null) as "another!""#,
        tx.organization_id() as OrganizationId,
        without as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    if row.another {
        Ok(())
    } else {
        Err(Refusal::conflict("last_superuser", "This is the last active superuser: make another one first.").into())
    }
}

/// Whether the caller holds everything the other holds: else changing the other's address would be a way to his rights.
pub(crate) async fn may_manage(tx: &mut Tx, who: UserId, other: UserId) -> Result<()> {
    let row = sqlx::query!(
        r#"select (me.is_superuser or (not he.is_superuser and not exists (
                   select h.permission from held_permissions(he.id) h
                   except select h.permission from held_permissions(me.id) h))) as "may!"
           from users me join users he on he.organization_id = me.organization_id
           where me.organization_id = $1 and me.id = $2 and he.id = $3"#,
        tx.organization_id() as OrganizationId,
        who as UserId,
        other as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    if row.may {
        Ok(())
    } else {
        Err(Refusal::forbidden("outranked", "This user holds permissions that you don't.").into())
    }
}
