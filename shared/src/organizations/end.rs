//! Deleting an organization: its credentials die at once, its rows stay for a while in case it is restored, then they go.

use chrono::TimeDelta;
use serde_json::json;

use super::{Operator, Organization, get, step_into};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::OrganizationId;
use crate::schedules::Part;
use crate::{emails, invitations, jobs, outbox, passwords, saml, sessions};

/// For how long a deleted organization can be restored.
pub const RESTORABLE: TimeDelta = TimeDelta::days(30);

/// Deletes an organization: nobody can sign in, and no credential, link or page of it is good any more, nor is a mail sent that
/// waits. [`restore`] undoes that for a while, but for what was ended.
///
/// Errors: 404, 409 `platform_organization`, 412.
pub async fn delete(tx: &mut Tx, by: &Operator, slug: &str, if_version: Option<i64>) -> Result<()> {
    let operators = tx.tenant().clone();
    let found = step_into(tx, by, slug, false).await?;
    if tx.tenant() == &operators {
        let detail = "The platform organization holds the operators: it can't be deleted.";
        return Err(Refusal::conflict("platform_organization", detail).into());
    }
    if if_version.is_some_and(|version| version != found.version) {
        return Err(Refusal::stale().into());
    }
    sqlx::query!(
        "update organizations set deleted_at = $2, version = version + 1, updated_at = $2 where organization_id = $1",
        tx.organization_id() as OrganizationId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let ended = end_all(tx).await?;
    let id = tx.organization_id();
    tx.audit(Event::new("organization.deleted", "organization", id, &found.slug).with(ended)).await?;
    tx.switch_to(operators).await?;
    tx.audit(Event::new("organization.deleted", "organization", id, &found.slug)).await
}

/// Brings a deleted organization back, with its users and their passwords. What was ended with it stays dead: sessions, tokens,
/// links and invitations.
///
/// Errors: 404 (also where it was deleted too long ago), 409 `not_deleted`.
pub async fn restore(tx: &mut Tx, by: &Operator, slug: &str) -> Result<Organization> {
    let operators = tx.tenant().clone();
    let found = step_into(tx, by, slug, true).await?;
    let Some(deleted_at) = found.deleted_at else {
        return Err(Refusal::conflict("not_deleted", "This organization is not deleted.").into());
    };
    if deleted_at <= tx.now() - RESTORABLE {
        return Err(Refusal::not_found().into());
    }
    // A request that was under way when it was deleted may have left something behind.
    end_all(tx).await?;
    sqlx::query!(
        "update organizations set deleted_at = null, version = version + 1, updated_at = $2 where organization_id = $1",
        tx.organization_id() as OrganizationId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let id = tx.organization_id();
    let event = Event::new("organization.restored", "organization", id, &found.slug);
    tx.audit(event.with(json!({ "deleted_at": deleted_at }))).await?;
    let restored = get(tx, None, &found.slug).await?;
    tx.switch_to(operators).await?;
    tx.audit(Event::new("organization.restored", "organization", id, &found.slug)).await?;
    Ok(restored)
}

/// Ends all that someone could get in with, and all that waits to be done. Answers how much, for the audit log.
async fn end_all(tx: &mut Tx) -> Result<serde_json::Value> {
    let killed = sessions::end_everyones(tx).await?;
    passwords::end_links(tx).await?;
    saml::forget_requests(tx).await?;
    let invitations = invitations::revoke_all(tx).await?;
    let emails = emails::cancel_all(tx).await?;
    jobs::give_up_all(tx).await?;
    outbox::withdraw_all(tx).await?;
    Ok(json!({ "sessions": killed.sessions, "tokens": killed.tokens, "invitations": invitations, "emails": emails }))
}

/// How many rows a statement deletes.
const AT_A_TIME: i32 = 1_000;

/// Deletes some of what is left of an organization that can't be restored any more; at last the organization. Its slug stays.
pub async fn purge_some(tx: &mut Tx) -> Result<Part> {
    let purged =
        sqlx::query_scalar!(r#"select purge_organization($1, $2) as "purged!""#, tx.now() - RESTORABLE, AT_A_TIME)
            .fetch_one(tx.connection())
            .await?;
    Ok(Part { handled: u64::try_from(purged).unwrap_or(0), more: purged > 0 })
}
