//! Resends many invitations, part by part.

use tenantry_shared::Result;
use tenantry_shared::ids::JobId;
use tenantry_shared::invitations;
use tenantry_shared::outbox::Claim;

use crate::Worker;

/// Goes on until all is done. Each part commits with its progress, so a crash in between loses and doubles nothing.
pub(crate) async fn run(worker: &Worker, claim: &Claim, id: JobId) -> Result<()> {
    while invitations::resend_some(&worker.db, claim, id).await? {}
    Ok(())
}
