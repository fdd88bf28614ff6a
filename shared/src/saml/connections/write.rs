//! Making, changing and deleting connections.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use super::{COLUMNS, Connection, ConnectionPatch, FROM, GroupTarget, NewMapping, Provider, find};
use crate::access::{self, Access, ManageSso, cannot_grant};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Error, Refusal, Result, on_constraint};
use crate::ids::{FolderId, OrganizationId, SamlConnectionId};
use crate::objects::{self, Kind};
use crate::page::{Page, PageRequest, Query};
use crate::roles::BuiltinRole;
use crate::saml::required;
use crate::{folders, roles, user_groups};

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
        attribute_mapping: super::AttributeMapping::default(),
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
/// Errors: 400 for what is wrong or not there, 403 `cannot_grant`; 409 `entity_id_taken`, `domain_taken`,
/// `too_many_connections`.
pub async fn create_connection(tx: &mut Tx, by: &Access<ManageSso>, patch: ConnectionPatch) -> Result<Connection> {
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
/// Errors: as [`create_connection`]; 409 `sso_is_required`; 412.
pub async fn change_connection(
    tx: &mut Tx,
    by: &Access<ManageSso>,
    id: SamlConnectionId,
    patch: ConnectionPatch,
    if_version: Option<i64>,
) -> Result<Connection> {
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
    if old.is_active && !new.is_active && old.tested_at.is_some() {
        required::demand_way_in(tx).await?;
    }
    let new = get(tx, id).await?;
    note(tx, "saml_connection.changed", &new, &changed).await?;
    Ok(new)
}

/// Deletes a connection, with who is who to it and the sessions that began there.
///
/// Errors: 409 `sso_is_required`; 412.
pub async fn delete_connection(
    tx: &mut Tx,
    _by: &Access<ManageSso>,
    id: SamlConnectionId,
    if_version: Option<i64>,
) -> Result<()> {
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
    if old.is_active && old.tested_at.is_some() {
        required::demand_way_in(tx).await?;
    }
    note(tx, "saml_connection.deleted", &old, &[]).await
}

/// Whether a test of the one says something about the other.
fn shows_as(one: &Connection, other: &Connection) -> bool {
    Provider::of(one).shows_as(&Provider::of(other))
        && (&one.name_id_format, &one.attribute_mapping, one.sign_requests, one.allow_cbc)
            == (&other.name_id_format, &other.attribute_mapping, other.sign_requests, other.allow_cbc)
}

/// The connection as it is to be; its lists are looked up and may be given.
async fn apply(tx: &mut Tx, by: &Access<ManageSso>, old: &Connection, patch: &ConnectionPatch) -> Result<Connection> {
    let mut new = old.clone();
    if let Some(source) = &patch.source {
        adopt(&mut new, Provider::of(old).changed(source)?);
    }
    if let Some(name) = &patch.name {
        new.name.clone_from(name);
    }
    if let Some(format) = &patch.name_id_format {
        new.name_id_format.clone_from(format);
    }
    if let Some(mapping) = &patch.attribute_mapping {
        new.attribute_mapping.clone_from(mapping);
    }
    if let Some(domains) = &patch.domains {
        new.domains.clone_from(domains);
    }
    new.is_active = patch.is_active.unwrap_or(old.is_active);
    new.jit_provisioning = patch.jit_provisioning.unwrap_or(old.jit_provisioning);
    new.idp_initiated = patch.idp_initiated.unwrap_or(old.idp_initiated);
    new.sign_requests = patch.sign_requests.unwrap_or(old.sign_requests);
    new.allow_cbc = patch.allow_cbc.unwrap_or(old.allow_cbc);
    give(tx, by, old, &mut new, patch).await?;
    Ok(new)
}

/// What rights come with the connection: whoever sets them holds them.
async fn give(
    tx: &mut Tx,
    by: &Access<ManageSso>,
    old: &Connection,
    new: &mut Connection,
    patch: &ConnectionPatch,
) -> Result<()> {
    if let Some(role) = &patch.default_role {
        new.default_role.clone_from(role);
        new.default_group_id = match role.as_deref().and_then(BuiltinRole::find) {
            Some(role) => Some(builtin_group(tx, role, None).await?),
            None => None,
        };
    }
    if let Some(mappings) = &patch.group_mapping {
        new.group_mapping = resolve(tx, by, mappings).await?;
    }
    let groups = |connection: &Connection| -> BTreeSet<Uuid> {
        let mapped = connection.group_mapping.iter().map(|mapped| mapped.user_group_id);
        mapped.chain(connection.default_group_id).collect()
    };
    let added: Vec<Uuid> = groups(new).difference(&groups(old)).copied().collect();
    if user_groups::grantable(tx, by.caller().holder(), &added).await? { Ok(()) } else { Err(cannot_grant().into()) }
}

async fn builtin_group(tx: &mut Tx, role: BuiltinRole, folder: Option<Uuid>) -> Result<Uuid> {
    let folder: FolderId = match folder {
        Some(folder) => folder.into(),
        None => folders::get_root(tx).await?,
    };
    let role = roles::get_builtin(tx, role).await?;
    Ok(user_groups::get_builtin(tx, folder, role).await?.into())
}

/// Finds the groups that a mapping names, among what the caller sees.
async fn resolve(tx: &mut Tx, by: &Access<ManageSso>, mappings: &[NewMapping]) -> Result<Vec<super::MappedGroup>> {
    let targets = || mappings.iter().filter_map(|mapping| mapping.target.as_ref());
    let named = targets().filter_map(|target| match target {
        GroupTarget::Role { folder, .. } => *folder,
        GroupTarget::Group(_) => None,
    });
    objects::check_seen(tx, by.caller(), Kind::Folder, "group_mapping", named).await?;
    let named = targets().filter_map(|target| match target {
        GroupTarget::Group(group) => Some(*group),
        GroupTarget::Role { .. } => None,
    });
    objects::check_seen(tx, by.caller(), Kind::UserGroup, "group_mapping", named).await?;
    let mut found: Vec<super::MappedGroup> = Vec::new();
    for mapping in mappings {
        let user_group_id = match &mapping.target {
            Some(GroupTarget::Group(group)) => *group,
            Some(GroupTarget::Role { role, folder }) => match BuiltinRole::find(role) {
                Some(role) => builtin_group(tx, role, *folder).await?,
                None => continue,
            },
            None => continue,
        };
        let directory_group = mapping.directory_group.clone();
        if !found.iter().any(|known| (known.user_group_id, &known.directory_group) == (user_group_id, &directory_group))
        {
            // Folder and role are read back with the row.
            found.push(super::MappedGroup { directory_group, user_group_id, folder_id: Uuid::nil(), role: None });
        }
    }
    Ok(found)
}

fn adopt(connection: &mut Connection, provider: Provider) {
    connection.entity_id = provider.entity_id;
    connection.sso_url = provider.sso_url;
    connection.sso_binding = provider.sso_binding;
    connection.slo_url = provider.slo_url;
    connection.slo_response_url = provider.slo_response_url;
    connection.slo_binding = provider.slo_binding;
    connection.certificates = provider.certificates;
    connection.metadata_url = provider.metadata_url;
    connection.metadata_fetched_at = provider.metadata_fetched_at;
    connection.metadata_valid_until = provider.metadata_valid_until;
    connection.metadata_error = None;
}

/// Names of the fields that are not what they were.
fn differences(old: &Connection, new: &Connection, patch: &ConnectionPatch) -> Vec<&'static str> {
    let pairs = |connection: &Connection| -> BTreeSet<(String, Uuid)> {
        let mapped = connection.group_mapping.iter();
        mapped.map(|mapped| (mapped.directory_group.clone(), mapped.user_group_id)).collect()
    };
    let all = [
        ("name", old.name != new.name),
        ("is_active", old.is_active != new.is_active),
        ("entity_id", old.entity_id != new.entity_id),
        ("sso_url", (&old.sso_url, &old.sso_binding) != (&new.sso_url, &new.sso_binding)),
        (
            "slo_url",
            (&old.slo_url, &old.slo_response_url, &old.slo_binding)
                != (&new.slo_url, &new.slo_response_url, &new.slo_binding),
        ),
        ("certificates", old.certificates != new.certificates),
        ("metadata_url", old.metadata_url != new.metadata_url),
        ("name_id_format", old.name_id_format != new.name_id_format),
        ("attribute_mapping", old.attribute_mapping != new.attribute_mapping),
        ("domains", old.domains != new.domains),
        ("jit_provisioning", old.jit_provisioning != new.jit_provisioning),
        ("default_role", old.default_group_id != new.default_group_id),
        ("group_mapping", patch.group_mapping.is_some() && pairs(old) != pairs(new)),
        ("idp_initiated", old.idp_initiated != new.idp_initiated),
        ("sign_requests", old.sign_requests != new.sign_requests),
        ("allow_cbc", old.allow_cbc != new.allow_cbc),
    ];
    all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

async fn insert(tx: &mut Tx, new: &Connection) -> Result<()> {
    sqlx::query!(
        "insert into saml_connections (organization_id, id, name, is_active, entity_id, sso_url, sso_binding, certificates,
             jit_provisioning, idp_initiated, sign_requests, allow_cbc, version, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $13)",
        tx.organization_id() as OrganizationId,
        new.id,
        new.name,
        new.is_active,
        new.entity_id,
        new.sso_url,
        new.sso_binding,
        &new.certificates,
        new.jit_provisioning,
        new.idp_initiated,
        new.sign_requests,
        new.allow_cbc,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    update(tx, new).await
}

async fn update(tx: &mut Tx, new: &Connection) -> Result<()> {
    sqlx::query!(
        "update saml_connections set name = $3, is_active = $4, entity_id = $5, sso_url = $6, sso_binding = $7, slo_url = $8,
             slo_response_url = $9, slo_binding = $10, certificates = $11, metadata_url = $12, metadata_fetched_at = $13,
             metadata_error = $14, metadata_valid_until = $15, name_id_format = $16, attribute_mapping = $17,
             jit_provisioning = $18, default_group_id = $19, idp_initiated = $20, sign_requests = $21, allow_cbc = $22,
             tested_at = $23, version = version + 1, updated_at = $24
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        new.id,
        new.name,
        new.is_active,
        new.entity_id,
        new.sso_url,
        new.sso_binding,
        new.slo_url,
        new.slo_response_url,
        new.slo_binding,
        &new.certificates,
        new.metadata_url,
        new.metadata_fetched_at,
        new.metadata_error,
        new.metadata_valid_until,
        new.name_id_format,
        json!(new.attribute_mapping),
        new.jit_provisioning,
        new.default_group_id,
        new.idp_initiated,
        new.sign_requests,
        new.allow_cbc,
        new.tested_at,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    Ok(())
}

fn taken(error: sqlx::Error) -> Error {
    on_constraint(error, "saml_connections_one_per_entity_id", || {
        let detail = "There is a connection to this identity provider already: change that one.";
        Refusal::conflict("entity_id_taken", detail)
    })
}

/// Stores the lists that are given, in place of those that were there.
async fn store_lists(tx: &mut Tx, new: &Connection, patch: &ConnectionPatch) -> Result<()> {
    if patch.domains.is_some() {
        sqlx::query!(
            "delete from saml_connection_domains where organization_id = $1 and connection_id = $2",
            tx.organization_id() as OrganizationId,
            new.id
        )
        .execute(tx.connection())
        .await?;
        sqlx::query!(
            "insert into saml_connection_domains (organization_id, domain, connection_id)
             select $1, unnest($3::text[]), $2",
            tx.organization_id() as OrganizationId,
            new.id,
            &new.domains
        )
        .execute(tx.connection())
        .await
        .map_err(|error| {
            on_constraint(error, "saml_connection_domains_pkey", || {
                Refusal::conflict("domain_taken", "Another connection has one of these domains already.")
            })
        })?;
    }
    if patch.group_mapping.is_none() {
        return Ok(());
    }
    let (names, groups): (Vec<String>, Vec<Uuid>) =
        new.group_mapping.iter().map(|mapped| (mapped.directory_group.clone(), mapped.user_group_id)).unzip();
    sqlx::query!(
        "delete from saml_group_mappings where organization_id = $1 and connection_id = $2",
        tx.organization_id() as OrganizationId,
        new.id
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into saml_group_mappings (organization_id, connection_id, directory_group, user_group_id)
         select $1, $2, m.name, m.id from unnest($3::text[], $4::uuid[]) m(name, id)",
        tx.organization_id() as OrganizationId,
        new.id,
        &names,
        &groups
    )
    .execute(tx.connection())
    .await?;
    Ok(())
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

/// Nothing that an administrator could overwrite has changed: the version stays.
async fn note_fetched(tx: &mut Tx, new: &Connection) -> Result<()> {
    sqlx::query!(
        "update saml_connections set metadata_fetched_at = $3, metadata_valid_until = $4, metadata_error = null
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        new.id,
        new.metadata_fetched_at,
        new.metadata_valid_until
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
