//! E-mail domains that an organization says are its own, and has proven: then a sign-in that begins with an address of one
//! leads to the organization.
//!
//! Several organizations may claim a domain. To have proven it is the row of `proven_email_domains`, whose key is the domain: so
//! it is one organization's at a time, whoever proves it at the same moment.

mod name;
mod prove;
mod resolver;
mod watch;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use prove::{prove, prove_by_word};
pub use resolver::{Look, Resolver};
pub use watch::{find, look_at_some, record_look};

use crate::access::{self, Access, ChangeOrganization};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::error::{Refusal, Result, on_constraint};
use crate::ids::{EmailDomainId, OrganizationId};
use crate::organizations::Operator;
use crate::page::{Listed, Page, PageRequest, Query, Sort};
use crate::secret::fill_random;
use crate::tenant::Tenant;

/// Claims of an organization at most: each is looked up every day.
pub const MOST_CLAIMS: i64 = 200;
/// Below the domain, where a TXT record proves it: a name of its own is free to be a CNAME's neighbour, and tells what it is for.
const LABEL: &str = "_tenantry-challenge";
/// What the record begins with, so that whoever finds it in a zone knows what it is.
const PREFIX: &str = "tenantry-verification=";

/// Proof that someone may look after the e-mail domains of an organization.
///
/// `change_organization`, not `manage_sso`: a proof decides where the sign-in of everybody with such an address leads, whether
/// there is an identity provider or not.
#[derive(Debug)]
pub enum Keeper {
    /// A member who holds `change_organization`.
    Member(Access<ChangeOrganization>),
    /// An operator, in the organization that he named.
    Operator {
        /// Himself.
        operator: Operator,
        /// Where he was before: his own organization,
        home: Tenant,
        /// and the one he named.
        there: Tenant,
    },
}

impl Keeper {
    /// An operator who looks after the organization of a slug; `home` is his own.
    pub async fn operator(db: &Db, operator: Operator, home: &Tenant, slug: &str) -> Result<Self> {
        let there = Tenant::find(db, slug).await?.ok_or_else(Refusal::not_found)?;
        Ok(Self::Operator { operator, home: home.clone(), there })
    }

    /// Goes on in the organization that is looked after.
    async fn enter(&self, tx: &mut Tx) -> Result<()> {
        match self {
            Self::Operator { there, .. } if there != tx.tenant() => tx.switch_to(there.clone()).await,
            _ => Ok(()),
        }
    }

    /// Goes on where the request is remembered: in the caller's own organization.
    async fn leave(&self, tx: &mut Tx) -> Result<()> {
        match self {
            Self::Operator { home, .. } if home != tx.tenant() => tx.switch_to(home.clone()).await,
            _ => Ok(()),
        }
    }
}

/// An e-mail domain that an organization claims.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct EmailDomain {
    pub id: Uuid,
    pub domain: String,
    pub status: String,
    pub token: String,
    pub created_at: DateTime<Utc>,
    pub proven_at: Option<DateTime<Utc>>,
    pub proven_by: Option<String>,
    pub missing_since: Option<DateTime<Utc>>,
    pub checked_at: Option<DateTime<Utc>>,
    pub check_error: Option<String>,
    pub version: i64,
}

impl EmailDomain {
    /// The name of the TXT record that proves it.
    #[must_use]
    pub fn txt_name(&self) -> String {
        txt_name(&self.domain)
    }

    /// What the record says.
    #[must_use]
    pub fn txt_value(&self) -> String {
        txt_value(&self.token)
    }
}

fn txt_name(domain: &str) -> String {
    format!("{LABEL}.{domain}")
}

fn txt_value(token: &str) -> String {
    format!("{PREFIX}{token}")
}

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is a claim.
    Pending,
    /// It is proven.
    Verified,
}

impl Status {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
        }
    }
}

/// A domain to be claimed, in the form in which domains are compared.
#[derive(Debug)]
pub struct NewEmailDomain(String);

impl NewEmailDomain {
    /// Checks the input.
    pub fn check(domain: &str) -> Result<Self, Refusal> {
        name::check(domain).map(Self).map_err(|error| Refusal::invalid(vec![error]))
    }
}

const COLUMNS: &str = "d.id, d.domain, case when p.domain is null then 'pending' else 'verified' end as status, d.token, \
     d.created_at, p.proven_at, p.proven_by, p.missing_since, d.checked_at, d.check_error, d.version";
const FROM: &str = "email_domains d \
     left join proven_email_domains p on p.organization_id = d.organization_id and p.domain = d.domain";

impl Listed for EmailDomain {
    const SORTS: &'static [Sort] = &[Sort::time("created_at", "d.created_at"), Sort::text("domain", "d.domain")];
    const DEFAULT_SORT: &'static str = "domain";
    const ID: &'static str = "d.id";
}

/// The organization's claims, by domain.
pub async fn list(tx: &mut Tx, by: &Keeper, status: Option<Status>, page: &PageRequest) -> Result<Page<EmailDomain>> {
    by.enter(tx).await?;
    let mut query = Query::new(COLUMNS, FROM, "d.organization_id", tx);
    query.equals("(p.domain is not null)", status.map(|status| status == Status::Verified));
    query.search(&["d.domain"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// One of them.
pub async fn get(tx: &mut Tx, by: &Keeper, id: EmailDomainId) -> Result<EmailDomain> {
    by.enter(tx).await?;
    load(tx, id).await
}

async fn load(tx: &mut Tx, id: EmailDomainId) -> Result<EmailDomain> {
    let mut query = Query::new(COLUMNS, FROM, "d.organization_id", tx);
    query.equals("d.id", Some(id));
    query.find(tx).await?.ok_or_else(|| Refusal::not_found().into())
}

/// Claims a domain. That leads nobody anywhere until it is proven.
///
/// Errors: 409 `domain_claimed`, `too_many_domains`.
pub async fn create(tx: &mut Tx, by: &Keeper, new: &NewEmailDomain) -> Result<EmailDomain> {
    by.enter(tx).await?;
    // So that two at once are counted one after the other.
    access::lock(tx).await?;
    let claims = sqlx::query_scalar!(
        r#"select count(*) as "claims!" from email_domains where organization_id = $1"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    if claims >= MOST_CLAIMS {
        let detail = format!("An organization claims {MOST_CLAIMS} e-mail domains at most.");
        return Err(Refusal::conflict("too_many_domains", detail).into());
    }
    let id: EmailDomainId = tx.new_id();
    let mut random = [0; 24];
    fill_random(&mut random)?;
    sqlx::query!(
        "insert into email_domains (organization_id, id, domain, token, created_at) values ($1, $2, $3, $4, $5)",
        tx.organization_id() as OrganizationId,
        id as EmailDomainId,
        new.0,
        URL_SAFE_NO_PAD.encode(random),
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(|error| {
        on_constraint(error, "email_domains_one_per_domain", || {
            Refusal::conflict("domain_claimed", "This organization claims this domain already.")
        })
    })?;
    tx.audit(Event::new("email_domain.created", "email_domain", id, &new.0)).await?;
    let made = load(tx, id).await?;
    by.leave(tx).await?;
    Ok(made)
}

/// Gives a claim up, and with it the proof: another organization can prove the domain from now on.
pub async fn delete(tx: &mut Tx, by: &Keeper, id: EmailDomainId, if_version: Option<i64>) -> Result<()> {
    by.enter(tx).await?;
    let old = load(tx, id).await?;
    let row = sqlx::query!(
        "delete from email_domains where organization_id = $1 and id = $2 returning domain, version",
        tx.organization_id() as OrganizationId,
        id as EmailDomainId
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    // An error undoes the unit of work, and so the deletion.
    if if_version.is_some_and(|version| version != row.version) {
        return Err(Refusal::stale().into());
    }
    let event = Event::new("email_domain.deleted", "email_domain", id, &row.domain);
    tx.audit(event.with(serde_json::json!({ "status": old.status }))).await
}
