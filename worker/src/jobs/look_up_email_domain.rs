//! Looks up whether the record of a claimed e-mail domain is there.

use tenantry_shared::Result;
use tenantry_shared::email_domains;
use tenantry_shared::ids::EmailDomainId;
use tenantry_shared::outbox::Claim;

use crate::Worker;

/// What comes of it is recorded, and the job ended, in one transaction: to run it twice asks twice, and changes once. A name server
/// that does not answer is asked again tomorrow.
pub(crate) async fn run(worker: &Worker, claim: &Claim, id: EmailDomainId) -> Result<()> {
    let mut tx = claim.begin(&worker.db).await?;
    let seen = email_domains::find(&mut tx, id).await?;
    tx.commit().await?;
    let look = match &seen {
        Some(seen) => Some(worker.resolver.look(&seen.txt_name(), &seen.txt_value()).await),
        None => None,
    };
    let mut tx = claim.begin(&worker.db).await?;
    if !claim.is_held(&mut tx).await? {
        return Ok(());
    }
    if let Some((seen, look)) = seen.zip(look) {
        email_domains::record_look(&mut tx, &seen, &look).await?;
    }
    claim.finish(&mut tx).await?;
    tx.commit().await
}
