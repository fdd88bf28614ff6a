//! Mails a link to whoever has the address that a new password was asked for, if anyone.

use tenantry_shared::Result;
use tenantry_shared::ids::PasswordResetRequestId;
use tenantry_shared::outbox::Claim;
use tenantry_shared::passwords;

use crate::Worker;

/// The mail is queued and the request ended in one transaction: to run it twice mails once.
pub(crate) async fn run(worker: &Worker, claim: &Claim, id: PasswordResetRequestId) -> Result<()> {
    passwords::mail_reset(&worker.db, claim, id).await
}
