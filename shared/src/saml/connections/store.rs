//! Connections as rows.

use serde_json::json;
use uuid::Uuid;

use super::{Connection, ConnectionPatch};
use crate::db::Tx;
use crate::error::{Error, Refusal, Result, on_constraint};
use crate::ids::OrganizationId;

pub(super) async fn insert(tx: &mut Tx, new: &Connection) -> Result<()> {
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

pub(super) async fn update(tx: &mut Tx, new: &Connection) -> Result<()> {
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
pub(super) async fn store_lists(tx: &mut Tx, new: &Connection, patch: &ConnectionPatch) -> Result<()> {
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

/// Nothing that an administrator could overwrite has changed: the version stays.
pub(super) async fn note_fetched(tx: &mut Tx, new: &Connection) -> Result<()> {
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
