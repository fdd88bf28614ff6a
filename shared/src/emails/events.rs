//! What the mail system reports about mails that it has taken: delivered, bounced, complained of.
//!
//! Reports come late, twice, and in any order, so that what they leave behind must not depend on it: a complaint outweighs a
//! bounce, and a bounce a delivery. An event that is not newer than the last one of its kind was seen, or overtaken.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::Kind;
use crate::access::{Actor, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::email_address::mailbox_key;
use crate::email_suppressions::{self, LONGEST_DETAIL, Reason};
use crate::error::Result;
use crate::ids::{EmailId, InvitationId, OrganizationId};
use crate::invitations;
use crate::tenant::Tenant;
use crate::text::single_line;

/// What happened to a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The recipient's mail server has it.
    Delivered,
    /// It came back.
    Bounced,
    /// The recipient called it spam.
    Complained,
}

/// One report about one mail.
#[derive(Clone, Debug)]
pub struct DeliveryEvent {
    /// The mail's Message-ID, with or without its angle brackets.
    pub message_id: String,
    /// What happened.
    pub happened: Happened,
    /// When, by the reporter's clock.
    pub at: DateTime<Utc>,
    /// The words of whoever refused it.
    pub detail: Option<String>,
}

/// What became of reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// About mails of ours, also where they told nothing new.
    pub recorded: usize,
    /// About others.
    pub unknown: usize,
}

/// The Message-ID of a mail at a host. It names the organization, so that a report's look-up stays within it, and is the
/// same whenever the mail is sent.
#[must_use]
pub fn message_id(tenant: &Tenant, id: EmailId, host: &str) -> String {
    format!("<{id}.{}@{host}>", tenant.id())
}

/// Reads what [`message_id`] made. The host is not compared: it may have changed since, and ids of others find nothing.
fn read_message_id(text: &str) -> Option<(OrganizationId, EmailId)> {
    let text = text.trim();
    let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    let (email, organization) = text.split_once('@')?.0.split_once('.')?;
    let uuid = |text: &str| Uuid::parse_str(text).ok();
    Some((uuid(organization)?.into(), uuid(email)?.into()))
}

/// Records reports, each organization's in a transaction. Whoever sent them must have been proven.
pub async fn record_events(db: &Db, events: &[DeliveryEvent], origin: &Origin) -> Result<Recorded> {
    let mut by_organization: BTreeMap<OrganizationId, Vec<(EmailId, &DeliveryEvent)>> = BTreeMap::new();
    for event in events {
        if let Some((organization, email)) = read_message_id(&event.message_id) {
            by_organization.entry(organization).or_default().push((email, event));
        }
    }
    let mut recorded = 0;
    for (organization, events) in by_organization {
        let tenant = Tenant::proven(organization);
        let mut tx = db.begin(&tenant, Actor::System("email-events"), origin.clone()).await?;
        recorded += record_some(&mut tx, &events).await?;
        tx.commit().await?;
    }
    Ok(Recorded { recorded, unknown: events.len() - recorded })
}

/// A mail that an event is about.
struct Reported {
    id: EmailId,
    kind: String,
    to_address: String,
    invitation_id: Option<InvitationId>,
}

async fn record_some(tx: &mut Tx, events: &[(EmailId, &DeliveryEvent)]) -> Result<usize> {
    let ids: Vec<Uuid> = events.iter().map(|(id, _)| (*id).into()).collect();
    let mails = sqlx::query_as!(
        Reported,
        r#"select id as "id: EmailId", kind, to_address, invitation_id as "invitation_id: InvitationId"
           from email_messages where organization_id = $1 and id = any($2)"#,
        tx.organization_id() as OrganizationId,
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    let mails: BTreeMap<EmailId, Reported> = mails.into_iter().map(|mail| (mail.id, mail)).collect();
    let mut known: Vec<(&Reported, &DeliveryEvent)> =
        events.iter().filter_map(|(id, event)| Some((mails.get(id)?, *event))).collect();
    lock_invitations(tx, &known).await?;
    // In the order of what is locked: two who report about the same addresses at once then wait for each other, never both.
    known.sort_by_cached_key(|(mail, event)| (mailbox_key(&mail.to_address), mail.id, event.at));
    for (mail, event) in &known {
        match event.happened {
            Happened::Delivered => delivered(tx, mail, event.at).await?,
            Happened::Bounced => bounced(tx, mail, event).await?,
            Happened::Complained => complained(tx, mail, event).await?,
        }
    }
    Ok(known.len())
}

async fn delivered(tx: &mut Tx, mail: &Reported, at: DateTime<Utc>) -> Result<()> {
    let done = sqlx::query!(
        "update email_messages set delivered_at = $3, version = version + 1
         where organization_id = $1 and id = $2 and (delivered_at is null or delivered_at > $3)",
        tx.organization_id() as OrganizationId,
        mail.id as EmailId,
        at
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 1 { audit(tx, "email.delivered", mail, at).await } else { Ok(()) }
}

async fn bounced(tx: &mut Tx, mail: &Reported, event: &DeliveryEvent) -> Result<()> {
    let detail = one_line(event);
    let done = sqlx::query!(
        "update email_messages set bounced_at = $3, version = version + 1,
             status = case when status = 'complained' then status else 'bounced' end,
             last_error = case when status = 'complained' then last_error else $4 end
         where organization_id = $1 and id = $2 and (bounced_at is null or bounced_at < $3)",
        tx.organization_id() as OrganizationId,
        mail.id as EmailId,
        event.at,
        detail
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    audit(tx, "email.bounced", mail, event.at).await?;
    email_suppressions::note(tx, &mail.to_address, Reason::Bounced, detail.as_deref()).await?;
    if mail.kind == Kind::Invitation.name() {
        invitations::tell_of_bounce(tx, mail.id).await?;
    }
    Ok(())
}

/// The inviter is not told: a complaint is between its author and the administrators' list.
async fn complained(tx: &mut Tx, mail: &Reported, event: &DeliveryEvent) -> Result<()> {
    let detail = one_line(event);
    let done = sqlx::query!(
        "update email_messages set complained_at = $3, status = 'complained', last_error = $4, version = version + 1
         where organization_id = $1 and id = $2 and (complained_at is null or complained_at < $3)",
        tx.organization_id() as OrganizationId,
        mail.id as EmailId,
        event.at,
        detail
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    audit(tx, "email.complained", mail, event.at).await?;
    email_suppressions::note(tx, &mail.to_address, Reason::Complained, detail.as_deref()).await
}

/// Invitations are locked before their mails, as whoever accepts, revokes or resends them does, and all of them at once and
/// in the order of their ids, as a bulk resend does.
async fn lock_invitations(tx: &mut Tx, events: &[(&Reported, &DeliveryEvent)]) -> Result<()> {
    let ids: Vec<Uuid> = events.iter().filter_map(|(mail, _)| mail.invitation_id).map(Into::into).collect();
    sqlx::query!(
        "select id from invitations where organization_id = $1 and id = any($2) order by id for key share",
        tx.organization_id() as OrganizationId,
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(())
}

fn one_line(event: &DeliveryEvent) -> Option<String> {
    event.detail.as_deref().map(|text| single_line(text, LONGEST_DETAIL)).filter(|text| !text.is_empty())
}

async fn audit(tx: &mut Tx, action: &'static str, mail: &Reported, at: DateTime<Utc>) -> Result<()> {
    let event = Event::new(action, "email", mail.id, &mail.to_address);
    tx.audit(event.with(json!({ "kind": mail.kind, "at": at }))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_of_ours_reads_back_and_no_other_does() {
        let (tenant, id) = (Tenant::proven(Uuid::from_u128(7).into()), EmailId::from(Uuid::from_u128(9)));
        let text = message_id(&tenant, id, "accounts.example.com");
        assert_eq!(read_message_id(&text), Some((tenant.id(), id)));
        assert_eq!(read_message_id(text.trim_matches(['<', '>'])), Some((tenant.id(), id)));
        for other in ["", "<>", "<@>", "a.b@c", &format!("<{id}@accounts.example.com>"), &format!("<{id}.x@a>")] {
            assert_eq!(read_message_id(other), None, "{other}");
        }
    }
}
