//! Enforced single sign-on: from when on people sign in through an identity provider only, who would be locked out, and the
//! ways out.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::access::{Access, Actor, ChangeOrganization, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::tenant::Tenant;

/// Whether single sign-on is enforced now: then only users with `keep_local_login` sign in with a password.
pub async fn is_required(tx: &mut Tx) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select coalesce(sso_required_from <= $2, false) as "required!" from organizations where organization_id = $1"#,
        tx.organization_id() as OrganizationId,
        tx.now()
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Whether there is a connection that is on and has passed a test.
pub(crate) async fn has_way_in(tx: &mut Tx) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from saml_connections
               where organization_id = $1 and is_active and tested_at is not null) as "there!""#,
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Refuses what was done if single sign-on is demanded, now or from a day to come, and no way in is left.
///
/// Errors: 409 `sso_is_required`.
pub(crate) async fn demand_way_in(tx: &mut Tx) -> Result<()> {
    let since = sqlx::query_scalar!(
        "select sso_required_from from organizations where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    if since.is_none() || has_way_in(tx).await? {
        return Ok(());
    }
    let detail = "Single sign-on is required, and this is the last tested connection: set sso_required to false first.";
    Err(Refusal::conflict("sso_is_required", detail).into())
}

/// What would come of enforcing single sign-on.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct Preview {
    pub has_tested_connection: bool,
    pub required_from: Option<DateTime<Utc>>,
    pub people: i64,
    pub known: i64,
    pub kept: i64,
    pub expected: i64,
    pub locked_out: i64,
    pub includes_you: bool,
    /// The first of those who would be locked out, by address.
    pub some: Vec<Uuid>,
}

/// Looks who would get in, and who would not: active people of whom no identity provider knows, who may not keep their
/// password, and whose address no connection is bound to, or who are not taken over by it.
pub async fn preview(tx: &mut Tx, by: &Access<ChangeOrganization>) -> Result<Preview> {
    let row = sqlx::query!(
        r#"with privileged as (
               select coalesce(a.user_id, m.user_id) as id
               from folders f
               join role_assignment_folders p on p.organization_id = f.organization_id and p.folder_id = f.id
               join role_assignments a on a.organization_id = p.organization_id and a.id = p.role_assignment_id
               join roles r on r.organization_id = a.organization_id and r.id = a.role_id
               left join user_group_members m on m.organization_id = a.organization_id and m.user_group_id = a.user_group_id
               where f.organization_id = $1 and f.parent_folder_id is null and 'manage_sso' = any(r.permissions)
           ), p as (
               select u.id, u.email_key,
                      exists (select from saml_identities i join saml_connections c
                              on c.organization_id = i.organization_id and c.id = i.connection_id
                              where i.organization_id = $1 and i.user_id = u.id and c.is_active) as known,
                      u.is_local and u.keep_local_login as kept,
                      exists (select from saml_connection_domains d join saml_connections c
                              on c.organization_id = d.organization_id and c.id = d.connection_id
                              where d.organization_id = $1 and c.is_active
                                and d.domain = split_part(u.email_key, '@', -1))
                          and not u.is_superuser and not exists (select from privileged where id = u.id) as expected
               from users u
               where u.organization_id = $1 and u.is_active and coalesce(u.expiry_date >= $2, true)
           ), l as (select * from p where not (known or kept or expected))
           select count(*) as "people!", count(*) filter (where known) as "known!",
                  count(*) filter (where kept and not known) as "kept!",
                  count(*) filter (where expected and not known and not kept) as "expected!",
                  (select count(*) from l) as "locked_out!",
                  exists (select from l where id = $3) as "includes_you!",
                  array(select id from l order by email_key limit 20) as "some!",
                  (select sso_required_from from organizations where organization_id = $1) as required_from
           from p"#,
        tx.organization_id() as OrganizationId,
        tx.now().date_naive(),
        by.caller().user_id as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Preview {
        has_tested_connection: has_way_in(tx).await?,
        required_from: row.required_from,
        people: row.people,
        known: row.known,
        kept: row.kept,
        expected: row.expected,
        locked_out: row.locked_out,
        includes_you: row.includes_you,
        some: row.some,
    })
}

/// Ends the demand, for an organization whose people can't get in any more: for whoever runs the service. False if there was
/// none.
///
/// Errors: 404 for a slug that is nobody's.
pub async fn release(db: &Db, slug: &str) -> Result<bool> {
    let tenant = Tenant::find(db, slug).await?.ok_or_else(Refusal::not_found)?;
    let mut tx = db.begin(&tenant, Actor::System("tenantry-api"), Origin::default()).await?;
    let row = sqlx::query!(
        r#"with old as (
               select sso_required_from from organizations where organization_id = $1 for no key update
           )
           update organizations o set sso_required_from = null, version = version + 1, updated_at = $2
           from old where o.organization_id = $1 and old.sso_required_from is not null
           returning o.name, old.sso_required_from as since"#,
        tx.organization_id() as OrganizationId,
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(row) = row else { return Ok(false) };
    let event = Event::new("settings.changed", "organization", tx.organization_id(), &row.name);
    tx.audit(event.with(json!({ "changes": { "sso_required_from": { "from": row.since, "to": null } } }))).await?;
    tx.commit().await?;
    Ok(true)
}
