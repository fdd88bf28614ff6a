//! Users: the people of one organization.

mod change;
mod create;
mod delete;
mod expiry;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use uuid::Uuid;

pub use change::UserPatch;
pub use create::{NewUser, UserInput, create};
pub(crate) use create::{create_by_provider, create_first_administrator, create_invited};
pub use delete::cascade;
use delete::delete;
pub(crate) use expiry::is_near;
pub use expiry::{end_some, notify_some};

use crate::access::{self, Access, Caller, Permission, Reach, ViewUser};
use crate::db::Tx;
use crate::error::{Check, FieldError, Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::objects::{self, Kind, Object, Wanted};
use crate::page::{Listed, Page, PageRequest, Sort};

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
    /// Whether an identity provider knows him.
    pub is_sso: bool,
    pub expiry_date: Option<NaiveDate>,
    pub observation: Option<String>,
    pub date_joined: DateTime<Utc>,
    pub last_login: Option<DateTime<Utc>>,
    pub profile: Value,
    pub preferences: Value,
    pub version: i64,
    /// Groups he is in.
    pub user_groups: Vec<Uuid>,
    /// Roles he holds, directly or through groups.
    pub roles: Vec<Uuid>,
}

impl Listed for User {
    const SORTS: &'static [Sort] = &[
        Sort::number("number", "o.number"),
        Sort::text("email", "o.email_key"),
        Sort::text("username", "o.username_key"),
        Sort::text("first_name", "lower(o.first_name)"),
        Sort::text("last_name", "lower(o.last_name)"),
        Sort::time("date_joined", "o.date_joined"),
        Sort::time("last_login", "coalesce(o.last_login, '-infinity')"),
    ];
    const DEFAULT_SORT: &'static str = "email";
    const ID: &'static str = "o.id";
}

impl Object for User {
    const KIND: Kind = Kind::User;
    const COLUMNS: &'static str = "o.id, o.number, o.username, o.email, o.first_name, o.last_name, o.is_active, o.is_superuser, o.is_local, \
         o.keep_local_login, o.is_third_party, o.is_email_verified, o.expiry_date, o.observation, o.date_joined, o.last_login, \
         o.profile, o.preferences, o.version, \
         exists (select from totp_secrets t where t.organization_id = o.organization_id and t.user_id = o.id \
             and t.confirmed_at is not null) as has_mfa_enabled, \
         exists (select from saml_identities s where s.organization_id = o.organization_id and s.user_id = o.id) as is_sso, \
         array(select m.user_group_id from user_group_members m \
             where m.organization_id = o.organization_id and m.user_id = o.id order by 1) as user_groups, \
         array(select a.role_id from role_assignments a where a.organization_id = o.organization_id and a.user_id = o.id \
             union select a.role_id from user_group_members m \
             join role_assignments a on a.organization_id = m.organization_id and a.user_group_id = m.user_group_id \
             where m.organization_id = o.organization_id and m.user_id = o.id order by 1) as roles";

    fn id(&self) -> Uuid {
        self.id
    }
    fn name(&self) -> &str {
        &self.email
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn want(&self, wanted: &mut Wanted) {
        wanted.all(Kind::UserGroup, &self.user_groups);
        wanted.all(Kind::Role, &self.roles);
    }
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
    pub is_analyst: Option<bool>,
    pub expiry_date: Option<NaiveDate>,
    pub user_groups: Option<Vec<Uuid>>,
    pub exclude_current: bool,
}

const IS_APPROVER: &str = "(o.id in (select coalesce(a.user_id, m.user_id) from roles r \
     join role_assignments a on a.organization_id = r.organization_id and a.role_id = r.id \
     left join user_group_members m on m.organization_id = a.organization_id and m.user_group_id = a.user_group_id \
     where r.organization_id = o.organization_id and r.builtin and r.name = 'approver' \
     and coalesce(a.user_id, m.user_id) is not null))";
const IS_ANALYST: &str = "(o.id in (select coalesce(a.user_id, m.user_id) from roles r \
     join role_assignments a on a.organization_id = r.organization_id and a.role_id = r.id \
     left join user_group_members m on m.organization_id = a.organization_id and m.user_group_id = a.user_group_id \
     where r.organization_id = o.organization_id and r.builtin and r.name = 'analyst' \
     and coalesce(a.user_id, m.user_id) is not null))";
const IN_GROUPS: &str = "exists (select from user_group_members m where m.organization_id = o.organization_id \
     and m.user_id = o.id and m.user_group_id = any(";

/// The users that the caller sees: the people of the folders over which he holds `view_user`, and himself.
pub async fn list(tx: &mut Tx, by: &Access<ViewUser>, filter: &UserFilter, page: &PageRequest) -> Result<Page<User>> {
    let groups = objects::only_seen(tx, by.caller(), Kind::UserGroup, filter.user_groups.as_deref()).await?;
    // To whoever sees no role, nobody has one, and nobody has none.
    let hides_roles = (filter.is_approver.is_some() || filter.is_analyst.is_some())
        && Reach::load(tx, by.caller().holder(), Permission::ViewRole).await?.is_empty();
    objects::list(tx, by, page, |query| {
        query.ids(filter.ids.clone());
        query.equals("o.email_key", filter.email.as_deref().map(crate::email_address::key));
        query.equals("lower(o.first_name)", filter.first_name.as_ref().map(|name| name.to_lowercase()));
        query.equals("lower(o.last_name)", filter.last_name.as_ref().map(|name| name.to_lowercase()));
        query.equals("o.is_active", filter.is_active);
        query.equals("o.is_third_party", filter.is_third_party);
        query.equals("o.keep_local_login", filter.keep_local_login);
        query.equals("o.expiry_date", filter.expiry_date);
        query.equals(IS_APPROVER, filter.is_approver);
        query.equals(IS_ANALYST, filter.is_analyst);
        if hides_roles {
            query.condition(false);
        }
        query.enclosed(IN_GROUPS, groups, "))");
        query.compare("o.id <> ", filter.exclude_current.then_some(Uuid::from(by.caller().user_id)));
        query.search(&["o.email", "o.username", "o.first_name", "o.last_name"], page.search.as_deref());
    })
    .await
}

/// The caller himself.
pub async fn current<P>(tx: &mut Tx, by: &Access<P>) -> Result<User> {
    objects::load(tx, by.caller().user_id.into()).await
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

/// A user, locked for a change: nobody else changes him, or anyone's rights, until this unit of work ends. Under the lock of
/// the organization's rights.
async fn lock(tx: &mut Tx, id: UserId) -> Result<User> {
    sqlx::query!(
        "select id from users where organization_id = $1 and id = $2 for no key update",
        tx.organization_id() as OrganizationId,
        id as UserId
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    objects::load(tx, id.into()).await
}

/// A user, locked so, over whom the caller holds `permission` and who does not outrank him.
pub(crate) async fn lock_held(tx: &mut Tx, caller: &Caller, id: UserId, permission: Permission) -> Result<User> {
    access::lock(tx).await?;
    objects::get_held::<User>(tx, caller, id.into(), permission).await?;
    let user = lock(tx, id).await?;
    may_manage(tx, caller, id).await?;
    Ok(user)
}

/// Only a superuser, as of now, makes or unmakes superusers. To be asked under the lock.
async fn demand_superuser(tx: &mut Tx, caller: &Caller) -> Result<()> {
    if caller.holder().is_superuser(tx).await? {
        Ok(())
    } else {
        Err(Refusal::forbidden("superuser_only", "Only a superuser makes or unmakes superusers.").into())
    }
}

/// Refuses unless the caller holds everything the other holds, where he holds it: else changing the other's address would be a
/// way to his rights.
async fn may_manage(tx: &mut Tx, caller: &Caller, other: UserId) -> Result<()> {
    let holder = caller.holder();
    let may = sqlx::query_scalar!(
        r#"select (not he.is_superuser or ($3::text[] is null and me.is_superuser)) and not exists (
               select from grants_of(he.id) g
               where not holds(me.id, $3, g.permissions, g.folder_id, g.is_recursive)) as "may!"
           from users me join users he on he.organization_id = me.organization_id
           where me.organization_id = $1 and me.id = $2 and he.id = $4"#,
        tx.organization_id() as OrganizationId,
        holder.user as UserId,
        holder.scope,
        other as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    if may {
        Ok(())
    } else {
        Err(Refusal::forbidden("outranked", "This user holds permissions that you don't.").into())
    }
}
