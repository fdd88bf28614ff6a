//! Changing an organization's name: all else about it is a setting, or stays as it was made.

use serde_json::json;

use super::{Operator, Organization, get, step_into};
use crate::access::{Access, ChangeOrganization};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, Refusal, Result};
use crate::ids::OrganizationId;
use crate::text::check_name;

/// Who changes it.
#[derive(Debug)]
pub enum Changer<'a> {
    /// Someone of the organization.
    Member(&'a Access<ChangeOrganization>),
    /// An operator, whatever organization it is.
    Operator(&'a Operator),
}

/// Changes the name of the organization of a slug; none: it stays.
///
/// Errors: 400, 404, 412.
pub async fn change(
    tx: &mut Tx,
    by: Changer<'_>,
    slug: &str,
    name: Option<&str>,
    if_version: Option<i64>,
) -> Result<Organization> {
    let mut check = Check::default();
    let name = name.map(|name| check_name(&mut check, name));
    check.done()?;
    match by {
        Changer::Member(_) => {
            let slug = rename(tx, name.as_deref(), if_version).await?;
            get(tx, None, &slug).await
        }
        Changer::Operator(operator) => {
            let operators = tx.tenant().clone();
            step_into(tx, operator, slug, false).await?;
            let slug = rename(tx, name.as_deref(), if_version).await?;
            let changed = get(tx, None, &slug).await?;
            let id = tx.organization_id();
            tx.switch_to(operators.clone()).await?;
            if id != operators.id() {
                tx.audit(Event::new("organization.changed", "organization", id, &slug)).await?;
            }
            Ok(changed)
        }
    }
}

/// Renames the organization of this unit of work. Answers its slug.
async fn rename(tx: &mut Tx, name: Option<&str>, if_version: Option<i64>) -> Result<String> {
    let old = sqlx::query!(
        "select name, slug, version from organizations where organization_id = $1 and deleted_at is null for no key update",
        tx.organization_id() as OrganizationId
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    if if_version.is_some_and(|version| version != old.version) {
        return Err(Refusal::stale().into());
    }
    let Some(name) = name.filter(|name| *name != old.name) else { return Ok(old.slug) };
    sqlx::query!(
        "update organizations set name = $2, version = version + 1, updated_at = $3 where organization_id = $1",
        tx.organization_id() as OrganizationId,
        name,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let event = Event::new("organization.changed", "organization", tx.organization_id(), &old.slug);
    tx.audit(event.with(json!({ "changes": { "name": { "from": old.name, "to": name } } }))).await?;
    Ok(old.slug)
}
