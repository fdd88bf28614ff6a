//! Mails and how their delivery stands. A row says what, to whom and in which language; never a body, link or secret.

mod delivery;
mod events;
mod opt_outs;
mod parking;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

pub use delivery::{Content, Outgoing, Verdict, load, record};
pub use events::{DeliveryEvent, Happened, Recorded, message_id, record_events};
pub use opt_outs::{OptOutPreview, preview_opt_out, stop_reminders};
pub use parking::give_up;
pub(crate) use parking::requeue;

use crate::access::{Access, Permission, Reach, RetryEmail, ViewEmail, denied};
use crate::audit::Event;
use crate::db::Tx;
use crate::email_address::mailbox_key;
use crate::email_suppressions::is_suppressed;
use crate::error::{Refusal, Result};
use crate::ids::{EmailId, InvitationId, OrganizationId, PasswordResetId, UserId};
use crate::outbox::{Job, Lane};
use crate::page::{Listed, Page, PageRequest, Query, Sort};

/// For how long a mail is tried again after transient failures.
const GIVE_UP_AFTER: TimeDelta = TimeDelta::hours(24);

/// Which mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To an invitee, with the links to accept and decline.
    Invitation,
    /// To a user made by an administrator, with a link to choose a password.
    Welcome,
    /// To a user who asked for a new password.
    PasswordReset,
    /// To a user whose password was changed.
    PasswordChanged,
    /// To an inviter.
    InvitationAccepted,
    /// To an inviter.
    InvitationDeclined,
    /// To an inviter: the invitation's mail could not be delivered.
    InvitationBounced,
    /// To an invitee who has not decided yet, with the same links.
    InvitationReminder,
    /// To a user whose account ends soon.
    AccountExpiring,
    /// To those who manage single sign-on: a certificate ends soon.
    CertificateExpiring,
    /// To a user whose password an administrator has set.
    PasswordSet,
    /// To a user who has switched a second factor on.
    SecondFactorEnabled,
    /// To a user whose second factor an administrator has removed.
    SecondFactorRemoved,
    /// To someone who asked where he can sign in: the list of it.
    LoginUrl,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Invitation,
        Self::Welcome,
        Self::PasswordReset,
        Self::PasswordChanged,
        Self::InvitationAccepted,
        Self::InvitationDeclined,
        Self::InvitationBounced,
        Self::InvitationReminder,
        Self::AccountExpiring,
        Self::CertificateExpiring,
        Self::PasswordSet,
        Self::SecondFactorEnabled,
        Self::SecondFactorRemoved,
        Self::LoginUrl,
    ];

    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Welcome => "welcome",
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
            Self::InvitationAccepted => "invitation_accepted",
            Self::InvitationDeclined => "invitation_declined",
            Self::InvitationBounced => "invitation_bounced",
            Self::InvitationReminder => "invitation_reminder",
            Self::AccountExpiring => "account_expiring",
            Self::CertificateExpiring => "certificate_expiring",
            Self::PasswordSet => "password_set",
            Self::SecondFactorEnabled => "second_factor_enabled",
            Self::SecondFactorRemoved => "second_factor_removed",
            Self::LoginUrl => "login_url",
        }
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A mail to be sent.
#[derive(Debug)]
pub(crate) struct NewEmail<'a> {
    pub(crate) kind: Kind,
    pub(crate) to: &'a str,
    pub(crate) locale: &'a str,
    pub(crate) invitation: Option<(InvitationId, i32)>,
    pub(crate) user_id: Option<UserId>,
    pub(crate) password_reset_id: Option<PasswordResetId>,
}

/// Writes a mail down and asks for it to be sent, unless its address is suppressed: then that is what is written.
pub(crate) async fn queue(tx: &mut Tx, email: NewEmail<'_>, lane: Lane) -> Result<EmailId> {
    let id = tx.new_id();
    queue_all(tx, &[(id, email)], lane).await?;
    Ok(id)
}

/// The same for many at once, each with a new id.
pub(crate) async fn queue_all(tx: &mut Tx, emails: &[(EmailId, NewEmail<'_>)], lane: Lane) -> Result<()> {
    let ids: Vec<Uuid> = emails.iter().map(|(id, _)| (*id).into()).collect();
    let emails: Vec<&NewEmail<'_>> = emails.iter().map(|(_, email)| email).collect();
    let kinds: Vec<&str> = emails.iter().map(|email| email.kind.name()).collect();
    let addresses: Vec<&str> = emails.iter().map(|email| email.to).collect();
    let keys: Vec<String> = emails.iter().map(|email| mailbox_key(email.to)).collect();
    let locales: Vec<&str> = emails.iter().map(|email| email.locale).collect();
    let invitations: Vec<Option<Uuid>> = emails.iter().map(|it| it.invitation.map(|(id, _)| id.into())).collect();
    let generations: Vec<Option<i32>> =
        emails.iter().map(|it| it.invitation.map(|(_, generation)| generation)).collect();
    let users: Vec<Option<Uuid>> = emails.iter().map(|email| email.user_id.map(Into::into)).collect();
    let resets: Vec<Option<Uuid>> = emails.iter().map(|email| email.password_reset_id.map(Into::into)).collect();
    let queued = sqlx::query_scalar!(
        r#"with made as (
               insert into email_messages (organization_id, created_at, give_up_at, id, kind, to_address, locale, invitation_id,
                   generation, user_id, password_reset_id, status)
               select $1, $2, $3, e.id, e.kind, e.to_address, e.locale, e.invitation_id, e.generation, e.user_id,
                   e.password_reset_id, case when exists (
                       select from email_suppressions s where s.organization_id = $1 and s.address_key = e.address_key
                   ) then 'suppressed' else 'queued' end
               from unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::integer[], $11::uuid[],
                       $12::uuid[])
                   e(id, kind, to_address, address_key, locale, invitation_id, generation, user_id, password_reset_id)
               returning id, status)
           select id as "id: EmailId" from made where status = 'queued'"#,
        tx.organization_id() as OrganizationId,
        tx.now(),
        tx.now() + GIVE_UP_AFTER,
        &ids,
        &kinds as &[&str],
        &addresses as &[&str],
        &keys,
        &locales as &[&str],
        &invitations as &[Option<Uuid>],
        &generations as &[Option<i32>],
        &users as &[Option<Uuid>],
        &resets as &[Option<Uuid>]
    )
    .fetch_all(tx.connection())
    .await?;
    let jobs: Vec<Job> = queued.into_iter().map(Job::SendEmail).collect();
    if jobs.is_empty() { Ok(()) } else { tx.enqueue_all(&jobs, lane, tx.now()).await }
}

/// Writes a mail to a user about his account, in his language.
pub(crate) async fn queue_to_user(tx: &mut Tx, kind: Kind, user: UserId) -> Result<()> {
    let row = sqlx::query!(
        r#"select u.email, coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from users u join organizations o on o.organization_id = u.organization_id
           where u.organization_id = $1 and u.id = $2"#,
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    let (to, locale) = (row.email.as_str(), row.locale.as_str());
    let email = NewEmail { kind, to, locale, invitation: None, user_id: Some(user), password_reset_id: None };
    queue(tx, email, Lane::Interactive).await?;
    Ok(())
}

/// Withdraws a mail that no worker has loaded. One that is just being sent goes out, and one that waits for the mail server only if
/// its turn comes at once: it is looked at again. Its link is dead all the same.
pub(crate) async fn cancel(tx: &mut Tx, id: EmailId) -> Result<()> {
    sqlx::query!(
        "update email_messages set status = 'canceled', version = version + 1
         where organization_id = $1 and id = $2 and status in ('queued', 'deferred')",
        tx.organization_id() as OrganizationId,
        id as EmailId
    )
    .execute(tx.connection())
    .await?;
    // The mail first, then its job: the order in which everyone locks them.
    tx.withdraw(Job::SendEmail(id)).await
}

/// The same for every mail of the organization. Their jobs are the caller's to withdraw.
pub(crate) async fn cancel_all(tx: &mut Tx) -> Result<u64> {
    let canceled = sqlx::query!(
        "update email_messages set status = 'canceled', version = version + 1
         where organization_id = $1 and status in ('queued', 'deferred')",
        tx.organization_id() as OrganizationId
    )
    .execute(tx.connection())
    .await?;
    Ok(canceled.rows_affected())
}

/// A mail of the organization.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Email {
    pub id: Uuid,
    pub kind: String,
    pub to_address: String,
    pub locale: String,
    pub invitation_id: Option<Uuid>,
    pub user_id: Option<Uuid>,
    pub status: String,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub version: i64,
}

impl Listed for Email {
    const SORTS: &'static [Sort] = &[
        Sort::time("created_at", "e.created_at"),
        Sort::text("status", "e.status"),
        Sort::text("kind", "e.kind"),
        Sort::text("to_address", "e.to_address"),
    ];
    const DEFAULT_SORT: &'static str = "-created_at";
    const ID: &'static str = "e.id";
}

/// Which mails.
#[derive(Clone, Debug, Default)]
pub struct EmailFilter {
    /// In this state.
    pub status: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// For this invitation.
    pub invitation: Option<Uuid>,
}

const FROM: &str = "email_messages e \
     left join invitations i on i.organization_id = e.organization_id and i.id = e.invitation_id";

/// The mails of a reach, or the one of them with this id: to invitees (they have a generation), where the invitation leads; to
/// users, where they are seen. What an inviter is told of an invitation is of the second kind: his address is nobody's business
/// who does not see him.
fn within(tx: &Tx, reach: &Reach, id: Option<EmailId>) -> Query {
    let mut query = Query::new("e.*", FROM, "e.organization_id", tx);
    if let Some(id) = id {
        query.id("e.id", id.into());
    }
    match &reach.few {
        _ if reach.everything => {}
        // One `in`, not an `or`: so Postgres may begin with the invitations and the people of the folders.
        Some(few) if id.is_none() => {
            query.enclosed("e.id in (select * from emails_within(", Some(few.clone()), "))");
        }
        _ => query.either(&[true, false], |query, is_to_invitee| {
            if *is_to_invitee {
                query.condition("e.generation > 0");
                query.within(reach, "i.folder_id", None);
            } else {
                query.people_within(reach, "e.user_id", None);
            }
        }),
    }
    query
}

/// The mails that the caller sees, newest first.
pub async fn list(
    tx: &mut Tx,
    by: &Access<ViewEmail>,
    filter: &EmailFilter,
    page: &PageRequest,
) -> Result<Page<Email>> {
    let mut query = within(tx, by.reach(), None);
    query.equals("e.status", filter.status.as_deref());
    query.equals("e.kind", filter.kind.as_deref());
    query.equals("e.invitation_id", filter.invitation);
    query.search(&["e.to_address"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// One mail, if the caller sees it.
pub async fn get(tx: &mut Tx, by: &Access<ViewEmail>, id: EmailId) -> Result<Email> {
    find_within(tx, by.reach(), id).await?.ok_or_else(|| Refusal::not_found().into())
}

async fn find_within(tx: &mut Tx, reach: &Reach, id: EmailId) -> Result<Option<Email>> {
    within(tx, reach, Some(id)).find(tx).await
}

/// A mail, locked.
async fn find(tx: &mut Tx, id: EmailId) -> Result<Option<Email>> {
    let email = sqlx::query_as!(
        Email,
        "select id, kind, to_address, locale, invitation_id, user_id, status, attempts, last_error, created_at, sent_at,
             delivered_at, version
         from email_messages where organization_id = $1 and id = $2 for update",
        tx.organization_id() as OrganizationId,
        id as EmailId
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(email)
}

/// Sends a mail that did not arrive, or waits for its next attempt, once more: now, and for another day if need be.
///
/// Errors: 403 `permission_denied`, 409 `email_not_retryable`, 409 `address_suppressed`.
pub async fn retry(tx: &mut Tx, by: &Access<RetryEmail>, id: EmailId) -> Result<Email> {
    if find_within(tx, by.reach(), id).await?.is_none() {
        let view = Reach::load(tx, by.caller().holder(), Permission::ViewEmail).await?;
        let seen = find_within(tx, &view, id).await?;
        return Err(seen.map_or_else(Refusal::not_found, |_| denied(Permission::RetryEmail)).into());
    }
    let email = find(tx, id).await?.ok_or_else(Refusal::not_found)?;
    if !matches!(email.status.as_str(), "failed" | "deferred" | "bounced" | "complained" | "suppressed") {
        return Err(Refusal::conflict(
            "email_not_retryable",
            format!("A mail that is {} can't be sent again. An invitation can be resent.", email.status),
        )
        .into());
    }
    if is_suppressed(tx, &email.to_address).await? {
        return Err(Refusal::conflict(
            "address_suppressed",
            "This address is on the suppression list: take it off to mail it again.",
        )
        .into());
    }
    sqlx::query!(
        "update email_messages set status = 'queued', attempts = 0, give_up_at = $3, version = version + 1
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as EmailId,
        tx.now() + GIVE_UP_AFTER
    )
    .execute(tx.connection())
    .await?;
    tx.enqueue(Job::SendEmail(id), Lane::Interactive).await?;
    let event = Event::new("email.retried", "email", id, &email.to_address);
    tx.audit(event.with(json!({ "kind": email.kind }))).await?;
    find(tx, id).await?.ok_or_else(|| Refusal::not_found().into())
}

/// A language as people name it (BCP 47): `en`, `de-AT`.
pub fn check_locale(locale: &str) -> bool {
    let mut parts = locale.split('-');
    let language =
        parts.next().is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphabetic()));
    language
        && locale.len() <= 35
        && parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}
