//! Addresses that want no more reminders. The link in a reminder says so, and stays good whatever became of the invitation.

use serde_json::Value;

use crate::access::{Actor, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::error::{Refusal, Result};
use crate::ids::{InvitationId, OrganizationId};
use crate::secret::{Link, LinkKind, Links};

/// What the page that asks shows.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in the organization and the invitation")]
pub struct OptOutPreview {
    pub organization_name: String,
    pub organization_slug: String,
    pub branding: Value,
    pub invitee_identifier: String,
    pub locale: String,
}

fn read(links: &Links, token: &str) -> Result<Link> {
    links.read(LinkKind::Reminders, token).ok_or_else(|| link_dead().into())
}

fn link_dead() -> Refusal {
    Refusal::missing("link_dead", "This link is not one of ours, or was cut on its way. Open it from the mail again.")
}

async fn find(tx: &mut Tx, link: &Link) -> Result<OptOutPreview> {
    sqlx::query_as!(
        OptOutPreview,
        "select o.name as organization_name, o.slug as organization_slug, o.branding, i.invitee_identifier, i.locale
         from invitations i join organizations o on o.organization_id = i.organization_id
         where i.organization_id = $1 and i.id = $2 and o.deleted_at is null",
        tx.organization_id() as OrganizationId,
        link.id
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(|| link_dead().into())
}

/// Whose reminders a link stops. Changes nothing.
pub async fn preview_opt_out(db: &Db, links: &Links, token: &str) -> Result<OptOutPreview> {
    let link = read(links, token)?;
    let mut tx = db.begin(&link.tenant, Actor::Anonymous, Origin::default()).await?;
    find(&mut tx, &link).await
}

/// Stops all reminders of the link's organization to the link's address. Doing it again is harmless.
pub async fn stop_reminders(db: &Db, links: &Links, token: &str, origin: Origin) -> Result<OptOutPreview> {
    let link = read(links, token)?;
    let mut tx = db.begin(&link.tenant, Actor::Anonymous, origin).await?;
    let found = find(&mut tx, &link).await?;
    let stopped = sqlx::query!(
        "insert into email_opt_outs (organization_id, email_key, covers, created_at)
         select organization_id, email_key, 'reminders', $3 from invitations where organization_id = $1 and id = $2
         on conflict on constraint email_opt_outs_pkey do nothing",
        tx.organization_id() as OrganizationId,
        link.id,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    if stopped.rows_affected() == 1 {
        let invitation = InvitationId::from(link.id);
        tx.audit(Event::new("reminders.stopped", "invitation", invitation, &found.invitee_identifier)).await?;
    }
    tx.commit().await?;
    Ok(found)
}
