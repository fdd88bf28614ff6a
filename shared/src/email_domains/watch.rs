//! Claims are looked at again each day: one that can be proven by now is, and a proof that is gone for long is none.

use chrono::TimeDelta;
use serde_json::json;

use super::prove::{find_locked, hold, note};
use super::{EmailDomain, Look};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{EmailDomainId, OrganizationId};
use crate::outbox::{Job, Lane};
use crate::schedules::Part;

/// How long the record of a proven domain may be gone. A zone that was moved with a record left behind is put right within a
/// week, if someone looks; and who has bought a domain waits no longer for its last owner's proof to end.
const GONE_FOR: TimeDelta = TimeDelta::days(7);

/// Asks for a look at each of an organization's claims but those that an operator has spoken for. They are few
/// ([`MOST_CLAIMS`](super::MOST_CLAIMS)), and each is a job: a name server that hangs holds up neither a transaction nor others.
pub async fn look_at_some(tx: &mut Tx) -> Result<Part> {
    let claims = sqlx::query_scalar!(
        r#"select d.id as "id: EmailDomainId" from email_domains d
           where d.organization_id = $1 and not exists (select from proven_email_domains p
               where p.organization_id = d.organization_id and p.domain = d.domain and p.proven_by = 'operator')
           order by d.id"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_all(tx.connection())
    .await?;
    for id in &claims {
        tx.enqueue(Job::LookUpEmailDomain(*id), Lane::Bulk).await?;
    }
    Ok(Part { handled: claims.len() as u64, more: false })
}

/// The claim to be looked at, if it is there.
pub async fn find(tx: &mut Tx, id: EmailDomainId) -> Result<Option<EmailDomain>> {
    find_locked(tx, id).await
}

/// Records what a look at a claim came to; `seen` is the claim as it was then. Only answers count: of a name server that says
/// nothing nobody knows what it would say.
pub async fn record_look(tx: &mut Tx, seen: &EmailDomain, look: &Look) -> Result<()> {
    let (id, now) = (seen.id.into(), Some(tx.now()));
    let Some(claim) = find_locked(tx, id).await? else { return Ok(()) };
    if claim.token != seen.token || claim.proven_by.as_deref() == Some("operator") {
        return Ok(());
    }
    match look {
        Look::There => {
            if !hold(tx, &claim, "dns").await? {
                let words = "The record is there, but the domain is proven for another organization.";
                note(tx, id, now, Some(words)).await?;
            }
            Ok(())
        }
        Look::Silent(words) => note(tx, id, now, Some(words)).await,
        Look::Absent(words) => {
            note(tx, id, now, Some(words)).await?;
            if claim.proven_by.is_some() { miss(tx, &claim).await } else { Ok(()) }
        }
    }
}

/// The record of a proven domain is gone: since now, or for long enough.
async fn miss(tx: &mut Tx, claim: &EmailDomain) -> Result<()> {
    let since = claim.missing_since.unwrap_or(tx.now());
    if tx.now() - since < GONE_FOR {
        sqlx::query!(
            "update proven_email_domains set missing_since = $3 where organization_id = $1 and domain = $2",
            tx.organization_id() as OrganizationId,
            claim.domain,
            since
        )
        .execute(tx.connection())
        .await?;
        return Ok(());
    }
    sqlx::query!(
        "delete from proven_email_domains where organization_id = $1 and domain = $2",
        tx.organization_id() as OrganizationId,
        claim.domain
    )
    .execute(tx.connection())
    .await?;
    let event = Event::new("email_domain.lapsed", "email_domain", claim.id, &claim.domain);
    tx.audit(event.with(json!({ "missing_since": since }))).await
}
