//! A change of the server key: what was sealed under the one before is sealed anew, an organization at a time. Safe to repeat,
//! and to run while everything else does, for both keys open meanwhile. What neither opens stays as it is.

use serde_json::json;

use crate::access::{Actor, Origin};
use crate::audit::Event;
use crate::db::Db;
use crate::error::Result;
use crate::ids::OrganizationId;
use crate::seal::{Purpose, Seals};
use crate::secret::SecretKeys;
use crate::tenant::Tenant;
use crate::{saml, totp};

/// The seals of everything that is sealed.
#[derive(Debug)]
struct All {
    totp: Seals,
    saml: Seals,
}

impl All {
    fn new(keys: &SecretKeys) -> Result<Self> {
        Ok(Self { totp: Seals::new(Purpose::TotpSeeds, keys)?, saml: Seals::new(Purpose::SamlKeys, keys)? })
    }
}

/// How many values are sealed with neither of these keys: nobody can read them. Without an error, all is well.
pub async fn count_unreadable(db: &Db, keys: &SecretKeys) -> Result<i64> {
    let all = All::new(keys)?;
    let known = [all.totp.key_ids(), all.saml.key_ids()].concat();
    Ok(others(db, &known).await?.into_iter().map(|(_, count)| count).sum())
}

/// In words for an operator.
#[must_use]
pub fn complain(count: i64) -> String {
    format!(
        "{count} stored secrets (seeds of second factors, private SAML keys) are encrypted with another SECRET_KEY, and can't be \
         read. Nothing is lost yet: set the key that they were written with as SECRET_KEY; or, to change keys, as \
         PREVIOUS_SECRET_KEY, and run `tenantry-api rotate-secret-key`"
    )
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Values sealed anew.
    pub values: u64,
    /// Organizations that have some.
    pub organizations: u64,
    /// Organizations with values that can't be opened: theirs stay as they are.
    pub failed: u64,
}

/// Seals everything with the key of now.
pub async fn run(db: &Db, keys: &SecretKeys) -> Result<Resealed> {
    let all = All::new(keys)?;
    let current = [all.totp.key_id().to_owned(), all.saml.key_id().to_owned()];
    let mut done = Resealed::default();
    for (tenant, _) in others(db, &current).await? {
        match one(db, &tenant, &all).await {
            Ok(values) => {
                done.values += values;
                done.organizations += 1;
            }
            Err(error) => {
                tracing::error!(organization = %tenant.id(), %error, "an organization's secrets could not be sealed anew");
                done.failed += 1;
            }
        }
    }
    Ok(done)
}

async fn one(db: &Db, tenant: &Tenant, all: &All) -> Result<u64> {
    let mut tx = db.begin(tenant, Actor::System("tenantry-api"), Origin::default()).await?;
    let seeds = totp::reseal(&mut tx, &all.totp).await?;
    let keys = saml::reseal(&mut tx, &all.saml).await?;
    let name = sqlx::query_scalar!(
        "select name from organizations where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    let event = Event::new("organization.secrets_resealed", "organization", tx.organization_id(), &name);
    tx.audit(event.with(json!({ "totp_secrets": seeds, "saml_keys": keys }))).await?;
    tx.commit().await?;
    Ok(seeds + keys)
}

/// Organizations with values sealed with other keys than these, and how many each has.
async fn others(db: &Db, known: &[String]) -> Result<Vec<(Tenant, i64)>> {
    let rows = sqlx::query!(
        r#"select organization_id as "id!: OrganizationId", how_many as "how_many!" from sealed_otherwise($1)"#,
        known
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (Tenant::proven(row.id), row.how_many)).collect())
}
