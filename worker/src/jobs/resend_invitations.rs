//! Resends many invitations, part by part.

use std::time::{Duration, Instant};

use tenantry_shared::Result;
use tenantry_shared::ids::JobId;
use tenantry_shared::invitations;
use tenantry_shared::outbox::Claim;

use crate::Worker;

/// How long it keeps its place in the lane before others have their turn.
const TURN: Duration = Duration::from_secs(2);

/// Each part commits with its progress, so a crash in between loses and doubles nothing.
pub(crate) async fn run(worker: &Worker, claim: &Claim, id: JobId) -> Result<()> {
    let start = Instant::now();
    while invitations::resend_some(&worker.db, claim, id).await? {
        if start.elapsed() > TURN {
            let mut tx = claim.begin(&worker.db).await?;
            let now = tx.now();
            claim.postpone(&mut tx, now).await?;
            return tx.commit().await;
        }
    }
    Ok(())
}
