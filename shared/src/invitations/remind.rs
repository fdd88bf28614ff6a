//! Reminding those who have not decided yet.

use chrono::TimeDelta;

use crate::audit::Event;
use crate::db::Tx;
use crate::emails::{self, Kind, NewEmail};
use crate::error::Result;
use crate::ids::{InvitationId, OrganizationId};
use crate::outbox::Lane;
use crate::schedules::Part;

/// How long before its end an invitation is recalled,
const AHEAD: TimeDelta = TimeDelta::days(2);
/// unless it was short anyway: then the mail itself is still fresh.
const SHORTEST: TimeDelta = TimeDelta::days(4);
/// How many are reminded in one unit of work.
const AT_A_TIME: i64 = 100;

/// Reminds some invitees whose invitation ends soon: once a generation, and only where its mail arrived and the address has
/// not asked for silence. The invitation's delivery stays that of its own mail.
pub async fn remind_some(tx: &mut Tx) -> Result<Part> {
    // One that someone is changing just now has its turn in an hour.
    let due = sqlx::query!(
        r#"select i.id as "id: InvitationId", i.invitee_identifier, i.locale, i.generation
           from invitations i
           join email_messages e on e.organization_id = i.organization_id and e.id = i.email_id
           where i.organization_id = $1 and i.state = 'open' and i.valid_until > $2 and i.valid_until <= $3
             and i.valid_for >= $4 and i.reminded_generation is distinct from i.generation and e.status = 'sent'
             and not exists (select from email_opt_outs x where x.organization_id = i.organization_id
                 and x.email_key = i.email_key and x.covers = 'reminders')
           order by i.valid_until, i.id limit $5
           for no key update of i skip locked"#,
        tx.organization_id() as OrganizationId,
        tx.now(),
        tx.now() + AHEAD,
        i32::try_from(SHORTEST.num_seconds()).unwrap_or(i32::MAX),
        AT_A_TIME
    )
    .fetch_all(tx.connection())
    .await?;
    for row in &due {
        let email = NewEmail {
            kind: Kind::InvitationReminder,
            to: &row.invitee_identifier,
            locale: &row.locale,
            invitation: Some((row.id, row.generation)),
            user_id: None,
            password_reset_id: None,
        };
        emails::queue(tx, email, Lane::Bulk).await?;
        sqlx::query!(
            "update invitations set reminded_generation = generation where organization_id = $1 and id = $2",
            tx.organization_id() as OrganizationId,
            row.id as InvitationId
        )
        .execute(tx.connection())
        .await?;
        tx.audit(Event::new("invitation.reminded", "invitation", row.id, &row.invitee_identifier)).await?;
    }
    Ok(Part::of(due.len() as u64, AT_A_TIME))
}
