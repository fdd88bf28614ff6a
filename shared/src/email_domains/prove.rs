//! A claim becomes a proof.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{EmailDomain, Keeper, load};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{EmailDomainId, OrganizationId};

/// Records that the record of a claim was found just now. `seen` is the claim as it was then.
///
/// Errors: 409 `domain_taken`.
pub async fn prove(tx: &mut Tx, by: &Keeper, seen: &EmailDomain) -> Result<EmailDomain> {
    by.enter(tx).await?;
    let id = seen.id.into();
    let claim = lock(tx, id).await?;
    // It was deleted and made anew meanwhile: then another record proves it.
    if claim.token != seen.token {
        return Err(Refusal::not_found().into());
    }
    if !hold(tx, &claim, "dns").await? {
        return Err(taken().into());
    }
    load(tx, id).await
}

/// Takes an operator's word for a claim: no record is looked up, now or later.
///
/// Errors: 409 `domain_taken`.
pub async fn prove_by_word(tx: &mut Tx, by: &Keeper, id: EmailDomainId) -> Result<EmailDomain> {
    by.enter(tx).await?;
    let claim = lock(tx, id).await?;
    if !hold(tx, &claim, "operator").await? {
        return Err(taken().into());
    }
    load(tx, id).await
}

/// Whoever asks has shown that the domain is his, or is an operator: so he may know that it is another's here.
fn taken() -> Refusal {
    let detail = "This domain is proven for another organization. It is free again when that one gives it up, or its proof lapses.";
    Refusal::conflict("domain_taken", detail)
}

/// A claim, locked: of those who look at it at the same time, one proves it after the other.
pub(super) async fn lock(tx: &mut Tx, id: EmailDomainId) -> Result<EmailDomain> {
    find_locked(tx, id).await?.ok_or_else(|| Refusal::not_found().into())
}

/// The same, if it is there.
pub(super) async fn find_locked(tx: &mut Tx, id: EmailDomainId) -> Result<Option<EmailDomain>> {
    let found = sqlx::query!(
        "select id from email_domains where organization_id = $1 and id = $2 for no key update",
        tx.organization_id() as OrganizationId,
        id as EmailDomainId
    )
    .fetch_optional(tx.connection())
    .await?;
    match found {
        Some(_) => load(tx, id).await.map(Some),
        None => Ok(None),
    }
}

/// Makes the domain the organization's, if it is no other's. An operator's word outlasts a record.
pub(super) async fn hold(tx: &mut Tx, claim: &EmailDomain, proof: &'static str) -> Result<bool> {
    let id: EmailDomainId = claim.id.into();
    let is_news = claim.proven_by.as_deref() != Some(proof) && claim.proven_by.as_deref() != Some("operator");
    if claim.proven_by.is_none() {
        // The domain is the key: a row of another organization is not seen here, and is in the way all the same.
        let made = sqlx::query!(
            "insert into proven_email_domains (organization_id, domain, proven_at, proven_by) values ($1, $2, $3, $4)
             on conflict on constraint proven_email_domains_pkey do nothing",
            tx.organization_id() as OrganizationId,
            claim.domain,
            tx.now(),
            proof
        )
        .execute(tx.connection())
        .await?;
        if made.rows_affected() == 0 {
            return Ok(false);
        }
    } else {
        sqlx::query!(
            "update proven_email_domains
             set missing_since = null, proven_by = case when proven_by = 'operator' then proven_by else $3 end
             where organization_id = $1 and domain = $2",
            tx.organization_id() as OrganizationId,
            claim.domain,
            proof
        )
        .execute(tx.connection())
        .await?;
    }
    note(tx, id, (proof == "dns").then_some(tx.now()), None).await?;
    if is_news {
        let event = Event::new("email_domain.verified", "email_domain", id, &claim.domain);
        tx.audit(event.with(json!({ "by": proof }))).await?;
    }
    Ok(true)
}

/// Writes down when a claim was looked at, if it was, and why its record was not found, if it was not.
pub(super) async fn note(
    tx: &mut Tx,
    id: EmailDomainId,
    looked_at: Option<DateTime<Utc>>,
    error: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        "update email_domains set checked_at = coalesce($3, checked_at), check_error = $4, version = version + 1
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as EmailDomainId,
        looked_at,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
