//! Organizations: the tenants themselves. Operators make and delete them; a member sees his own.

mod change;
mod end;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::access::{Actor, Caller, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::email_address::EmailAddress;
use crate::emails::check_locale;
use crate::error::{Check, FieldError, Refusal, Result, on_constraint};
use crate::ids::{FolderId, OrganizationId, TypedId, new_uuid};
use crate::page::{Listed, Page, PageRequest, Query, Sort};
use crate::passwords::{Hasher, Wearer, check_policy};
use crate::tenant::{Tenant, ascii};
use crate::text::check_name;
use crate::{folders, invitations, roles, users};

pub use change::{Changer, change};
pub use end::{RESTORABLE, delete, purge_some, restore};

/// Languages that mails and pages are written in.
pub const LOCALES: [&str; 3] = ["en", "de", "fr"];

/// Proof that the caller is a superuser of the platform organization.
#[derive(Debug)]
pub struct Operator {
    _proven: (),
}

impl Operator {
    /// Looks at the caller; the platform organization's slug is configuration. A token with a scope is for less: no
    /// permission that a scope could name stands for what operators may.
    #[must_use]
    pub fn find(caller: &Caller, platform_slug: &str) -> Option<Self> {
        let is_superuser = caller.is_superuser && caller.scope().is_none();
        (is_superuser && caller.organization_slug.eq_ignore_ascii_case(platform_slug)).then_some(Self { _proven: () })
    }
}

/// An organization to be.
#[derive(Debug)]
pub struct NewOrganization {
    name: String,
    slug: String,
    locale: String,
    admin_email: Option<EmailAddress>,
}

impl NewOrganization {
    /// Checks the input.
    pub fn check(name: &str, slug: &str, locale: Option<&str>, admin_email: Option<&str>) -> Result<Self, Refusal> {
        let mut check = Check::default();
        let name = check_name(&mut check, name);
        check.that(
            (1..=200).contains(&slug.len())
                && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "slug",
            "invalid_slug",
            "A slug has 1 to 200 letters, digits, hyphens and underscores.",
        );
        let locale = locale.unwrap_or("en");
        check.that(check_locale(locale), "locale", "invalid_locale", "A locale is a language tag such as en or de-AT.");
        let admin_email = admin_email.and_then(|text| check.take(EmailAddress::parse("admin_email", text)));
        check.done()?;
        Ok(Self { name, slug: slug.to_owned(), locale: locale.to_owned(), admin_email })
    }
}

/// An organization.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Organization {
    pub organization_id: Uuid,
    pub name: String,
    pub slug: String,
    pub created_at: DateTime<Utc>,
    pub branding: serde_json::Value,
    pub deleted_at: Option<DateTime<Utc>>,
    pub version: i64,
}

const COLUMNS: &str = "o.organization_id, o.name, o.slug, o.branding, o.created_at, o.deleted_at, o.version";
const FROM: &str = "organizations o";

impl Listed for Organization {
    const SORTS: &'static [Sort] =
        &[Sort::time("created_at", "o.created_at"), Sort::text("name", "o.name"), Sort::text("slug", "lower(o.slug)")];
    const DEFAULT_SORT: &'static str = "slug";
    const ID: &'static str = "o.organization_id";
}

/// Which organizations.
#[derive(Clone, Debug, Default)]
pub struct OrganizationFilter {
    /// With one of these ids.
    pub ids: Option<Vec<Uuid>>,
    /// Of this name.
    pub name: Option<String>,
    /// Of this slug, whatever its case.
    pub slug: Option<String>,
    /// Those that are deleted and can be restored, in place of those that are there.
    pub is_deleted: bool,
}

/// The organizations a caller may know of: all, for an operator; else his own.
async fn known(tx: &mut Tx, operator: Option<&Operator>, is_deleted: bool) -> Result<Query> {
    let mut query = match operator {
        Some(_) => {
            tx.open_directory().await?;
            Query::everywhere(COLUMNS, FROM)
        }
        None => Query::new(COLUMNS, FROM, "o.organization_id", tx),
    };
    if is_deleted {
        query.compare("o.deleted_at > ", Some(tx.now() - RESTORABLE));
    } else {
        query.condition("o.deleted_at is null");
    }
    Ok(query)
}

/// Lists the organizations a caller may know of.
pub async fn list(
    tx: &mut Tx,
    operator: Option<&Operator>,
    filter: &OrganizationFilter,
    page: &PageRequest,
) -> Result<Page<Organization>> {
    let mut query = known(tx, operator, filter.is_deleted).await?;
    query.any("o.organization_id", filter.ids.clone());
    query.equals("o.name", filter.name.as_deref());
    query.equals("lower(o.slug)", filter.slug.as_ref().map(|slug| slug.to_lowercase()));
    query.search(&["o.name", "o.slug"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// One organization by its slug, if the caller may know of it.
pub async fn get(tx: &mut Tx, operator: Option<&Operator>, slug: &str) -> Result<Organization> {
    let mut query = known(tx, operator, false).await?;
    query.equals("lower(o.slug)", Some(slug.to_lowercase()));
    query.find(tx).await?.ok_or_else(|| Refusal::not_found().into())
}

/// An organization that an operator has stepped into.
struct SteppedInto {
    slug: String,
    version: i64,
    deleted_at: Option<DateTime<Utc>>,
}

/// Goes on in the organization of a slug, with its row locked against all who are about to write down what they did in it.
async fn step_into(tx: &mut Tx, _by: &Operator, slug: &str, also_deleted: bool) -> Result<SteppedInto> {
    tx.open_directory().await?;
    let row = sqlx::query!(
        r#"select organization_id as "id: OrganizationId", slug, version, deleted_at from organizations
           where lower(slug) = lower($1) and (deleted_at is null or $2) for update"#,
        ascii(slug),
        also_deleted
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    tx.switch_to(Tenant::proven(row.id)).await?;
    Ok(SteppedInto { slug: row.slug, version: row.version, deleted_at: row.deleted_at })
}

/// Goes on in the organization of a slug, for what operators may look at there.
pub(crate) async fn visit(tx: &mut Tx, by: &Operator, slug: &str) -> Result<()> {
    let found = get(tx, Some(by), slug).await?;
    tx.switch_to(Tenant::proven(found.organization_id.into())).await
}

/// Makes an organization, with its root folder and built-in roles, and invites its first administrator.
pub async fn create(tx: &mut Tx, _by: &Operator, new: &NewOrganization) -> Result<Organization> {
    let Some(admin) = &new.admin_email else {
        let missing = FieldError::new("admin_email", "required", "An organization needs a first administrator.");
        return Err(Refusal::invalid(vec![missing]).into());
    };
    let operators = tx.tenant().clone();
    let tenant = Tenant::proven(OrganizationId::from_uuid(new_uuid(tx.now())));
    tx.switch_to(tenant.clone()).await?;
    let root = insert(tx, new).await?;
    invitations::invite_first_administrator(tx, admin, &new.locale, root).await?;
    let created = get(tx, None, &new.slug).await?;
    tx.switch_to(operators).await?;
    tx.audit(Event::new("organization.created", "organization", tenant.id(), &new.slug)).await?;
    Ok(created)
}

/// How the first administrator of an organization made on the command line gets in.
#[derive(Debug)]
pub enum FirstAdministrator {
    /// By a mailed invitation.
    Invited,
    /// With this password.
    WithPassword(SecretString),
}

/// Makes an organization from the command line. False if there is one of this slug already: nothing is changed then.
pub async fn bootstrap(db: &Db, hasher: &Hasher, new: &NewOrganization, first: FirstAdministrator) -> Result<bool> {
    if Tenant::find(db, &new.slug).await?.is_some() {
        return Ok(false);
    }
    let Some(admin) = &new.admin_email else {
        return Err(
            Refusal::invalid_field("admin_email", "required", "An organization needs a first administrator.").into()
        );
    };
    let hash = match &first {
        FirstAdministrator::Invited => None,
        FirstAdministrator::WithPassword(password) => {
            check_policy("password", password, 15, &Wearer { email: admin.as_str(), organization: &new.name })?;
            Some(hasher.hash(password).await?)
        }
    };
    let tenant = Tenant::proven(OrganizationId::from_uuid(new_uuid(db.clock().now())));
    let mut tx = db.begin(&tenant, Actor::System("command line"), Origin::default()).await?;
    let root = insert(&mut tx, new).await?;
    match hash {
        None => invitations::invite_first_administrator(&mut tx, admin, &new.locale, root).await?,
        Some(hash) => users::create_first_administrator(&mut tx, admin, &hash).await?,
    }
    tx.commit().await?;
    Ok(true)
}

async fn insert(tx: &mut Tx, new: &NewOrganization) -> Result<FolderId> {
    sqlx::query!(
        "insert into organization_slugs (slug_key, organization_id) values (lower($1), $2)",
        new.slug,
        tx.organization_id() as OrganizationId
    )
    .execute(tx.connection())
    .await
    .map_err(|e| {
        on_constraint(e, "organization_slugs_pkey", || {
            Refusal::conflict(
                "slug_taken",
                "This slug is, or was, another organization's. A slug is never given out again.",
            )
        })
    })?;
    sqlx::query!(
        "insert into organizations (organization_id, slug, name, locale, created_at, updated_at) values ($1, $2, $3, $4, $5, $5)",
        tx.organization_id() as OrganizationId,
        new.slug,
        new.name,
        new.locale,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let root = folders::create_root(tx).await?;
    roles::create_builtin(tx, root).await?;
    let event = Event::new("organization.created", "organization", tx.organization_id(), &new.slug);
    tx.audit(event.with(json!({ "name": new.name }))).await?;
    Ok(root)
}
