//! What an organization is to its enterprise's mobility management: an id and a name of theirs, and what they need to know.

use serde_json::Value;

use crate::access::{Access, ChangeOrganization, Oneself};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, Refusal, Result};
use crate::ids::OrganizationId;
use crate::json;
use crate::text::check_name;

/// The longest data, in bytes of JSON.
const LONGEST_DATA: usize = 4 * 1024;

/// The binding of an organization, the same for all of its users.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct EnterpriseBinding {
    pub id: String,
    pub name: String,
    pub data: Value,
    pub version: i64,
}

/// A checked one.
#[derive(Debug)]
pub struct NewEnterpriseBinding {
    id: String,
    name: String,
    data: Value,
}

impl NewEnterpriseBinding {
    /// Checks the input.
    pub fn check(id: &str, name: &str, data: Value) -> Result<Self, Refusal> {
        let mut check = Check::default();
        check.that(!id.trim().is_empty(), "id", "required", "An id is needed.");
        check.that(id.chars().count() <= 200, "id", "too_long", "An id has at most 200 characters.");
        check.that(!id.chars().any(char::is_control), "id", "invalid", "An id is one line of text.");
        let name = check_name(&mut check, name);
        json::check_object_of(&mut check, "data", &data, LONGEST_DATA);
        check.done()?;
        Ok(Self { id: id.to_owned(), name, data })
    }
}

/// The binding, for any member.
pub async fn find(tx: &mut Tx, _by: &Access<Oneself>) -> Result<Option<EnterpriseBinding>> {
    load(tx).await
}

async fn load(tx: &mut Tx) -> Result<Option<EnterpriseBinding>> {
    Ok(sqlx::query_as!(
        EnterpriseBinding,
        "select id, name, data, version from enterprise_bindings where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// The binding.
pub async fn get(tx: &mut Tx, _by: &Access<ChangeOrganization>) -> Result<EnterpriseBinding> {
    load(tx).await?.ok_or_else(|| Refusal::not_found().into())
}

/// Binds the organization, in place of what it was bound to.
///
/// Errors: 412.
pub async fn put(
    tx: &mut Tx,
    _by: &Access<ChangeOrganization>,
    new: &NewEnterpriseBinding,
    if_version: Option<i64>,
) -> Result<EnterpriseBinding> {
    demand_version(tx, if_version).await?;
    // One row a life: a version is never that of an earlier binding.
    let put = sqlx::query_as!(
        EnterpriseBinding,
        "insert into enterprise_bindings as b (organization_id, id, name, data, version, created_at, updated_at)
         values ($1, $2, $3, $4, (extract(epoch from $5::timestamptz) * 1000000)::bigint, $5, $5)
         on conflict on constraint enterprise_bindings_pkey do update
         set id = excluded.id, name = excluded.name, data = excluded.data, version = b.version + 1,
             updated_at = excluded.updated_at
         returning id, name, data, version",
        tx.organization_id() as OrganizationId,
        new.id,
        new.name,
        new.data,
        tx.now()
    )
    .fetch_one(tx.connection())
    .await?;
    tx.audit(Event::new("enterprise_binding.set", "enterprise_binding", tx.organization_id(), &put.name)).await?;
    Ok(put)
}

/// Unbinds it.
///
/// Errors: 404, 412.
pub async fn delete(tx: &mut Tx, _by: &Access<ChangeOrganization>, if_version: Option<i64>) -> Result<()> {
    demand_version(tx, if_version).await?;
    let name = sqlx::query_scalar!(
        "delete from enterprise_bindings where organization_id = $1 returning name",
        tx.organization_id() as OrganizationId
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    tx.audit(Event::new("enterprise_binding.deleted", "enterprise_binding", tx.organization_id(), &name)).await
}

/// Locks it, and refuses unless it is the one that was read. Where there is none, no version is right.
async fn demand_version(tx: &mut Tx, if_version: Option<i64>) -> Result<()> {
    let version = sqlx::query_scalar!(
        "select version from enterprise_bindings where organization_id = $1 for update",
        tx.organization_id() as OrganizationId
    )
    .fetch_optional(tx.connection())
    .await?;
    if if_version.is_some() && if_version != version {
        return Err(Refusal::stale().into());
    }
    Ok(())
}
