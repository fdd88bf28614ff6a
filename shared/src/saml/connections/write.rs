//! Making, changing and deleting connections.

use serde_json::json;

use super::edit::{adopt, apply, differences, shows_as};
use super::store::{insert, note_fetched, store_lists, update};
use super::{AttributeMapping, COLUMNS, Connection, ConnectionPatch, FROM, Provider, find};
use crate::access::{self, Access, ManageSso};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, SamlConnectionId};
use crate::page::{Page, PageRequest, Query};
use crate::saml::required;

/// Connections of an organization at most.
const MOST_CONNECTIONS: i64 = 50;

/// The organization's connections.
pub async fn list_connections(tx: &mut Tx, _by: &Access<ManageSso>, page: &PageRequest) -> Result<Page<Connection>> {
    let mut query = Query::new(COLUMNS, FROM, "c.organization_id", tx);
    query.search(&["c.name", "c.entity_id"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// One of them.
pub async fn get_connection(tx: &mut Tx, _by: &Access<ManageSso>, id: SamlConnectionId) -> Result<Connection> {
    get(tx, id).await
}

async fn get(tx: &mut Tx, id: SamlConnectionId) -> Result<Connection> {
    find(tx, id).await?.ok_or_else(|| Refusal::not_found().into())
}

/// A connection before anything is said of it.
fn blank(tx: &Tx, id: SamlConnectionId) -> Connection {
    Connection {
        id: id.into(),
        name: String::new(),
        is_active: true,
        entity_id: String::new(),
        sso_url: String::new(),
        sso_binding: String::new(),
        slo_url: None,
        slo_response_url: None,
        slo_binding: None,
        certificates: Vec::new(),
        metadata_url: None,
        metadata_fetched_at: None,
        metadata_error: None,
        metadata_valid_until: None,
        name_id_format: None,
        attribute_mapping: AttributeMapping::default(),
        domains: Vec::new(),
        jit_provisioning: false,
        default_group_id: None,
        default_role: None,
        group_mapping: Vec::new(),
        idp_initiated: false,
        sign_requests: true,
        allow_cbc: false,
        tested_at: None,
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
    }
}

/// Makes a connection.
///
/// Errors: 400 for what is wrong or not there; 403 `session_required`, `cannot_grant`; 409 `entity_id_taken`, `domain_taken`,
/// `too_many_connections`.
pub async fn create_connection(tx: &mut Tx, by: &Access<ManageSso>, patch: ConnectionPatch) -> Result<Connection> {
    by.caller().demand_own()?;
    let patch = patch.checked()?;
    access::lock(tx).await?;
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from saml_connections where organization_id = $1"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    if count >= MOST_CONNECTIONS {
        let detail = format!("An organization has at most {MOST_CONNECTIONS} connections.");
        return Err(Refusal::conflict("too_many_connections", detail).into());
    }
    let id: SamlConnectionId = tx.new_id();
    let old = blank(tx, id);
    let new = apply(tx, by, &old, &patch).await?;
    insert(tx, &new).await?;
    store_lists(tx, &new, &patch).await?;
    let made = get(tx, id).await?;
    note(tx, "saml_connection.created", &made, &[]).await?;
    Ok(made)
}

/// Changes a connection. What a test has shown is forgotten when it would be shown anew.
///
/// Errors: as [`create_connection`]; 403 `superuser_only`; 409 `sso_is_required`; 412.
pub async fn change_connection(
    tx: &mut Tx,
    by: &Access<ManageSso>,
    id: SamlConnectionId,
    patch: ConnectionPatch,
    if_version: Option<i64>,
) -> Result<Connection> {
    by.caller().demand_own()?;
    let patch = patch.checked()?;
    access::lock(tx).await?;
    let old = get(tx, id).await?;
    if if_version.is_some_and(|version| version != old.version) {
        return Err(Refusal::stale().into());
    }
    let mut new = apply(tx, by, &old, &patch).await?;
    let is_fetched = new.metadata_fetched_at != old.metadata_fetched_at;
    let changed = differences(&old, &new, &patch);
    if changed.is_empty() && !is_fetched {
        return Ok(old);
    }
    if !shows_as(&old, &new) {
        new.tested_at = None;
    }
    update(tx, &new).await?;
    store_lists(tx, &new, &patch).await?;
    if old.is_active && !new.is_active {
        required::demand_way_in(tx).await?;
    }
    let new = get(tx, id).await?;
    note(tx, "saml_connection.changed", &new, &changed).await?;
    Ok(new)
}

/// Deletes a connection, with who is who to it and the sessions that began there.
///
/// Errors: 403 `session_required`; 409 `sso_is_required`; 412.
pub async fn delete_connection(
    tx: &mut Tx,
    by: &Access<ManageSso>,
    id: SamlConnectionId,
    if_version: Option<i64>,
) -> Result<()> {
    by.caller().demand_own()?;
    access::lock(tx).await?;
    let old = get(tx, id).await?;
    if if_version.is_some_and(|version| version != old.version) {
        return Err(Refusal::stale().into());
    }
    sqlx::query!(
        "delete from saml_connections where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as SamlConnectionId
    )
    .execute(tx.connection())
    .await?;
    if old.is_active {
        required::demand_way_in(tx).await?;
    }
    note(tx, "saml_connection.deleted", &old, &[]).await
}

async fn note(tx: &mut Tx, action: &'static str, connection: &Connection, changed: &[&str]) -> Result<()> {
    let details = match changed {
        [] => json!({ "entity_id": connection.entity_id }),
        changed => json!({ "entity_id": connection.entity_id, "changed": changed }),
    };
    tx.audit(Event::new(action, "saml_connection", connection.id, &connection.name).with(details)).await
}

/// Takes what a provider's metadata says now. What a test has shown goes on to hold while the provider is where it was and still
/// has one of its certificates: a new one beside it is no news. Answers what changed.
pub(in crate::saml) async fn renew(tx: &mut Tx, old: &Connection, provider: Provider) -> Result<Vec<&'static str>> {
    let mut new = old.clone();
    adopt(&mut new, provider);
    let is_where_it_was = (&old.sso_url, &old.sso_binding) == (&new.sso_url, &new.sso_binding);
    if !is_where_it_was || !new.certificates.iter().any(|known| old.certificates.contains(known)) {
        new.tested_at = None;
    }
    let changed = differences(old, &new, &ConnectionPatch::default());
    if changed.is_empty() {
        note_fetched(tx, &new).await?;
    } else {
        update(tx, &new).await?;
    }
    Ok(changed)
}
