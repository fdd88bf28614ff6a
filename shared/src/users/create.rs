//! Making users: by an administrator, by an accepted invitation, by the command line.

use chrono::NaiveDate;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PersonName, User, demand_superuser, name_part};
use crate::access::{Access, AddUser, Permission, Reach, SetPassword, denied, lock};
use crate::audit::Event;
use crate::db::Tx;
use crate::email_address::{EmailAddress, key};
use crate::emails::Kind;
use crate::error::{Check, Error, Refusal, Result, on_constraint};
use crate::ids::{OrganizationId, UserId};
use crate::user_groups::UserGroup;
use crate::{folders, objects, passwords, roles, user_groups};

/// How many groups a user is in at most.
pub(super) const MAX_GROUPS: usize = 100;

/// A user as a caller asks for it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct UserInput {
    pub email: String,
    pub username: Option<String>,
    pub first_name: String,
    pub last_name: String,
    pub is_active: bool,
    pub is_superuser: bool,
    pub keep_local_login: bool,
    pub is_third_party: bool,
    pub observation: Option<String>,
    pub expiry_date: Option<NaiveDate>,
    pub profile: Value,
    pub user_groups: Vec<Uuid>,
    /// Of a password that is given to him, by [`passwords::hash_for_new`].
    pub password_hash: Option<SecretString>,
}

/// A checked one.
#[derive(Debug)]
pub struct NewUser {
    pub(super) email: EmailAddress,
    pub(super) username: String,
    pub(super) name: PersonName,
    pub(super) is_active: bool,
    pub(super) is_superuser: bool,
    pub(super) keep_local_login: bool,
    pub(super) is_third_party: bool,
    pub(super) observation: Option<String>,
    pub(super) expiry_date: Option<NaiveDate>,
    pub(super) profile: Value,
    pub(super) user_groups: Vec<Uuid>,
    pub(super) password_hash: Option<SecretString>,
}

impl NewUser {
    /// Checks what can be checked without looking.
    pub fn check(input: UserInput) -> Result<Self, Refusal> {
        let mut check = Check::default();
        let email = check.take(EmailAddress::parse("email", &input.email));
        let first = check.take(name_part("first_name", &input.first_name));
        let last = check.take(name_part("last_name", &input.last_name));
        let username = input.username.unwrap_or_else(|| input.email.clone()).trim().to_owned();
        check_username(&mut check, &username);
        check_observation(&mut check, input.observation.as_deref());
        crate::json::check_object(&mut check, "profile", &input.profile);
        check.that(input.user_groups.len() <= MAX_GROUPS, "user_groups", "too_many", "At most 100 groups.");
        check.done()?;
        Ok(Self {
            email: email.ok_or_else(|| Refusal::invalid(Vec::new()))?,
            username,
            name: PersonName { first: first.unwrap_or_default(), last: last.unwrap_or_default() },
            is_active: input.is_active,
            is_superuser: input.is_superuser,
            keep_local_login: input.keep_local_login,
            is_third_party: input.is_third_party,
            observation: input.observation,
            expiry_date: input.expiry_date,
            profile: input.profile,
            user_groups: input.user_groups,
            password_hash: input.password_hash,
        })
    }
}

pub(super) fn check_username(check: &mut Check, username: &str) {
    let good = (1..=254).contains(&username.len()) && !username.chars().any(|c| c.is_control() || c.is_whitespace());
    check.that(good, "username", "invalid", "A user name has 1 to 254 characters, none of them a space.");
}

pub(super) fn check_observation(check: &mut Check, observation: Option<&str>) {
    let good = observation.is_none_or(|text| text.chars().count() <= 4000 && !text.contains('\0'));
    check.that(good, "observation", "too_long", "An observation has at most 4000 characters.");
}

/// Makes a user and mails him a welcome with a link to choose his password. If he is given one, that is set by the rules of
/// [`passwords::set`], and he is told of it instead.
///
/// Errors: 400 for a group that is not there, 403 `superuser_only`, 403 `cannot_grant`, 409 `already_member`; with a password also
/// 409 `set_password_disabled`, `no_local_login`.
pub async fn create(tx: &mut Tx, by: &Access<AddUser>, new: &NewUser) -> Result<User> {
    let caller = by.caller();
    lock(tx).await?;
    if new.is_superuser {
        demand_superuser(tx, caller).await?;
    }
    user_groups::check_grantable(tx, caller, &new.user_groups).await?;
    check_place(tx, by, &new.user_groups).await?;
    let id = insert(tx, &Row { new, is_local: true, is_email_verified: false, password_hash: None }).await?;
    user_groups::add_member(tx, id, &new.user_groups).await?;
    tx.audit(Event::new("user.created", "user", id, new.email.as_str())).await?;
    if let Some(hash) = &new.password_hash {
        let by = caller.may::<SetPassword>(tx).await?;
        passwords::set_hashed(tx, &by, id, hash).await?;
    } else if new.is_active {
        let locale = locale(tx).await?;
        passwords::mail_link(tx, Kind::Welcome, id, new.email.as_str(), &locale).await?;
    }
    objects::load(tx, id.into()).await
}

/// Whoever may make users only in some folders puts them into groups there: else he would make one whom he does not see.
async fn check_place(tx: &mut Tx, by: &Access<AddUser>, groups: &[Uuid]) -> Result<()> {
    let reach = Reach::load(tx, by.caller().holder(), Permission::AddUser).await?;
    let root = folders::get_root(tx).await?;
    if reach.covers(tx, root).await? {
        return Ok(());
    }
    for group in groups {
        let group: UserGroup = objects::load(tx, *group).await?;
        if !reach.covers(tx, group.folder_id.into()).await? {
            return Err(denied(Permission::AddUser).into());
        }
    }
    if groups.is_empty() {
        let detail = "You may make users in some folders only: put this one into a group there.";
        return Err(Refusal::forbidden("permission_denied", detail).into());
    }
    Ok(())
}

async fn locale(tx: &mut Tx) -> Result<String> {
    Ok(sqlx::query_scalar!(
        "select locale from organizations where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?)
}

/// The user an invitation becomes. His address is verified: the link was mailed there.
pub(crate) async fn create_invited(
    tx: &mut Tx,
    email: &str,
    name: &PersonName,
    password_hash: &str,
    is_superuser: bool,
) -> Result<UserId> {
    let new =
        bare(EmailAddress::parse("email", email).map_err(|e| Refusal::invalid(vec![e]))?, name.clone(), is_superuser);
    let id =
        insert(tx, &Row { new: &new, is_local: true, is_email_verified: true, password_hash: Some(password_hash) })
            .await?;
    let event = Event::new("user.created", "user", id, email);
    tx.audit(event.with(json!({ "by": "invitation" }))).await?;
    Ok(id)
}

/// The user that someone becomes who arrives from an identity provider. He has no password, and can't have one set.
pub(crate) async fn create_by_provider(
    tx: &mut Tx,
    email: &EmailAddress,
    name: &PersonName,
    is_email_verified: bool,
    is_superuser: bool,
) -> Result<UserId> {
    let new = bare(email.clone(), name.clone(), is_superuser);
    let row = Row { new: &new, is_local: false, is_email_verified, password_hash: None };
    let id = insert(tx, &row).await?;
    let event = Event::new("user.created", "user", id, email.as_str());
    tx.audit(event.with(json!({ "by": "identity provider" }))).await?;
    Ok(id)
}

/// The superuser of an organization made on the command line.
pub(crate) async fn create_first_administrator(tx: &mut Tx, email: &EmailAddress, password_hash: &str) -> Result<()> {
    let new = bare(email.clone(), PersonName::default(), true);
    let id =
        insert(tx, &Row { new: &new, is_local: true, is_email_verified: true, password_hash: Some(password_hash) })
            .await?;
    let role = roles::get_builtin(tx, roles::BuiltinRole::Administrator).await?;
    let root = folders::get_root(tx).await?;
    let group = user_groups::get_builtin(tx, root, role).await?;
    user_groups::add_member(tx, id, &[group.into()]).await?;
    tx.audit(Event::new("user.created", "user", id, email.as_str())).await
}

fn bare(email: EmailAddress, name: PersonName, is_superuser: bool) -> NewUser {
    NewUser {
        username: email.as_str().to_owned(),
        email,
        name,
        is_active: true,
        is_superuser,
        keep_local_login: false,
        is_third_party: false,
        observation: None,
        expiry_date: None,
        profile: json!({}),
        user_groups: Vec::new(),
        password_hash: None,
    }
}

struct Row<'a> {
    new: &'a NewUser,
    is_local: bool,
    is_email_verified: bool,
    password_hash: Option<&'a str>,
}

async fn insert(tx: &mut Tx, row: &Row<'_>) -> Result<UserId> {
    let id: UserId = tx.new_id();
    let new = row.new;
    let number = sqlx::query_scalar!(
        "update organizations set next_user_number = next_user_number + 1 where organization_id = $1
         returning next_user_number - 1 as \"number!\"",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    sqlx::query!(
        "insert into users (organization_id, id, number, username, email, username_key, email_key, first_name, last_name,
             is_active, is_superuser, keep_local_login, is_third_party, is_email_verified, observation, expiry_date, profile,
             password_hash, password_changed_at, date_joined, updated_at, is_local)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
             case when $18::text is not null then $19::timestamptz end, $19, $19, $20)",
        tx.organization_id() as OrganizationId,
        id as UserId,
        number,
        new.username,
        new.email.as_str(),
        key(&new.username),
        new.email.key(),
        new.name.first,
        new.name.last,
        new.is_active,
        new.is_superuser,
        new.keep_local_login,
        new.is_third_party,
        row.is_email_verified,
        new.observation,
        new.expiry_date,
        new.profile,
        row.password_hash,
        tx.now(),
        row.is_local
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    Ok(id)
}

/// Says which unique field is taken.
pub(super) fn taken(error: sqlx::Error) -> Error {
    let already = || Refusal::conflict("already_member", "Someone with this address is in the organization already.");
    match on_constraint(error, "users_one_per_email", already) {
        Error::Database(error) => on_constraint(error, "users_one_per_username", || {
            Refusal::conflict("username_taken", "Someone in the organization has this user name.")
        }),
        refused => refused,
    }
}
