//! Mails whoever has an address where he can sign in, if anyone.

use tenantry_shared::Result;
use tenantry_shared::ids::LoginUrlRequestId;
use tenantry_shared::login_urls;
use tenantry_shared::outbox::Claim;

use crate::Worker;

/// The mail is queued and the request ended in one transaction: to run it twice mails once.
pub(crate) async fn run(worker: &Worker, claim: &Claim, id: LoginUrlRequestId) -> Result<()> {
    login_urls::mail_list(&worker.db, claim, id).await
}
