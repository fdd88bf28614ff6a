//! Metadata that is fetched each day: a provider's new certificate is known before it is used.

use chrono::TimeDelta;
use serde_json::json;

use super::connections::{self, Provider};
use crate::access;
use crate::audit::Event;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{OrganizationId, SamlConnectionId};
use crate::outbox::{Job, Lane};
use crate::schedules::Part;

/// Fetched just now by an administrator: that will do for today.
const FRESH: TimeDelta = TimeDelta::hours(6);

/// Asks for the metadata of all of an organization's connections that say where it is. They are few.
pub async fn refresh_some(tx: &mut Tx) -> Result<Part> {
    let due = sqlx::query_scalar!(
        r#"select id as "id: SamlConnectionId" from saml_connections
           where organization_id = $1 and is_active and metadata_url is not null
             and coalesce(metadata_fetched_at < $2, true) order by id"#,
        tx.organization_id() as OrganizationId,
        tx.now() - FRESH
    )
    .fetch_all(tx.connection())
    .await?;
    for id in &due {
        tx.enqueue(Job::FetchSamlMetadata(*id), Lane::Bulk).await?;
    }
    Ok(Part { handled: due.len() as u64, more: false })
}

/// Metadata to be fetched.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// From where.
    pub url: String,
    /// Whose it must be.
    pub entity_id: String,
}

/// What there is to fetch for a connection; none if it is off, or gone, or fetches no more.
pub async fn load_refresh(tx: &mut Tx, id: SamlConnectionId) -> Result<Option<Refresh>> {
    let connection = connections::find_active(tx, id).await?;
    Ok(connection.and_then(|c| Some(Refresh { url: c.metadata_url?, entity_id: c.entity_id })))
}

/// Takes what was fetched, or writes down why nothing was: then what is there stays in force.
pub async fn record_refresh(
    tx: &mut Tx,
    id: SamlConnectionId,
    refresh: &Refresh,
    read: Result<Provider, String>,
) -> Result<()> {
    access::lock(tx).await?;
    let Some(old) = connections::find_active(tx, id).await? else { return Ok(()) };
    if old.metadata_url.as_ref() != Some(&refresh.url) || old.entity_id != refresh.entity_id {
        return Ok(());
    }
    let provider = match read {
        Ok(provider) => provider,
        Err(words) => return note_failure(tx, id, &words).await,
    };
    let changed = connections::renew(tx, &old, provider).await?;
    if changed.is_empty() {
        return Ok(());
    }
    let event = Event::new("saml_connection.changed", "saml_connection", id, &old.name);
    tx.audit(event.with(json!({ "entity_id": old.entity_id, "changed": changed, "by": "metadata" }))).await
}

async fn note_failure(tx: &mut Tx, id: SamlConnectionId, words: &str) -> Result<()> {
    sqlx::query!(
        "update saml_connections set metadata_error = $3 where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as SamlConnectionId,
        words
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
