//! What whoever invited is told of his invitation.

use crate::db::Tx;
use crate::emails::{self, Kind, NewEmail};
use crate::error::Result;
use crate::ids::{EmailId, InvitationId, OrganizationId, UserId};
use crate::outbox::Lane;

/// Mails the inviter, if there is one still.
pub(super) async fn tell(
    tx: &mut Tx,
    invitation: InvitationId,
    inviter: Option<UserId>,
    kind: Kind,
    lane: Lane,
) -> Result<Option<EmailId>> {
    let Some(inviter) = inviter else { return Ok(None) };
    let row = sqlx::query!(
        r#"select u.email, coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from users u join organizations o on o.organization_id = u.organization_id
           where u.organization_id = $1 and u.id = $2 and u.is_active"#,
        tx.organization_id() as OrganizationId,
        inviter as UserId
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let email = NewEmail {
        kind,
        to: &row.email,
        locale: &row.locale,
        invitation: Some((invitation, 0)),
        user_id: Some(inviter),
        password_reset_id: None,
    };
    Ok(Some(emails::queue(tx, email, lane).await?))
}

/// Tells the inviter, once a mail, that this mail of an open invitation will not arrive. To be called under the mail's lock.
pub(crate) async fn tell_of_bounce(tx: &mut Tx, email: EmailId) -> Result<()> {
    let row = sqlx::query!(
        r#"select i.id as "id: InvitationId", i.invited_by as "invited_by: UserId"
           from email_messages e join invitations i on i.organization_id = e.organization_id and i.id = e.invitation_id
           where e.organization_id = $1 and e.id = $2 and i.state = 'open' and not exists (
               select from email_messages n where n.organization_id = $1 and n.about_email_id = $2)"#,
        tx.organization_id() as OrganizationId,
        email as EmailId
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(row) = row else { return Ok(()) };
    // A thousand may bounce at once: nobody's reset shall wait for the news.
    let told = tell(tx, row.id, row.invited_by, Kind::InvitationBounced, Lane::Bulk).await?;
    let Some(notice) = told else { return Ok(()) };
    sqlx::query!(
        "update email_messages set about_email_id = $3 where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        notice as EmailId,
        email as EmailId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
