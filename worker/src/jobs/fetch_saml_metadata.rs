//! Fetches an identity provider's metadata anew.

use tenantry_shared::Result;
use tenantry_shared::ids::SamlConnectionId;
use tenantry_shared::outbox::Claim;
use tenantry_shared::saml::{self, Provider, Refresh};

use crate::Worker;

/// What comes of it is recorded, and the job ended, in one transaction: to run it twice fetches twice, and changes once. What
/// fails comes again tomorrow.
pub(crate) async fn run(worker: &Worker, claim: &Claim, id: SamlConnectionId) -> Result<()> {
    let mut tx = claim.begin(&worker.db).await?;
    let refresh = saml::load_refresh(&mut tx, id).await?;
    let now = tx.now();
    drop(tx);
    let read = match &refresh {
        Some(Refresh { url, entity_id }) => match worker.fetcher.fetch(url).await {
            Ok(xml) => Some(Provider::from_metadata(xml, Some(entity_id.clone()), Some(url.clone()), now).await),
            Err(error) => Some(Err(error.0)),
        },
        None => None,
    };
    let mut tx = claim.begin(&worker.db).await?;
    if let Some((refresh, read)) = refresh.zip(read) {
        saml::record_refresh(&mut tx, id, &refresh, read).await?;
    }
    if claim.is_held(&mut tx).await? {
        claim.finish(&mut tx).await?;
    }
    tx.commit().await
}
