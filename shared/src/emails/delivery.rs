//! The worker's side of a mail: what to send, as things stand now, and what came of it.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use super::Kind;
use crate::db::{Db, Tx};
use crate::email_address::{mailbox_key, shown};
use crate::error::Result;
use crate::ids::{EmailId, InvitationId, OrganizationId, PasswordResetId};
use crate::invitations;
use crate::login_urls::{self, SignInPlace};
use crate::outbox::Claim;
use crate::saml;
use crate::settings::Branding;
use crate::users;

/// A mail with all that is needed to render it, less the links' secrets, which the worker mints.
#[derive(Debug)]
pub struct Outgoing {
    /// The row; its Message-ID is made of it, so that a mail sent twice is seen to be one.
    pub id: EmailId,
    /// To whom, as typed.
    pub to_address: String,
    /// In which language.
    pub locale: String,
    /// What the organization calls itself, or else its name.
    pub organization_name: String,
    /// Its slug, for links to the sign-in.
    pub organization_slug: String,
    /// How it looks.
    pub branding: Branding,
    /// What it says.
    pub content: Content,
}

/// What a mail says.
#[derive(Debug)]
#[expect(missing_docs, reason = "named like the fields of the mails")]
pub enum Content {
    Invitation {
        id: InvitationId,
        generation: i32,
        inviter: Option<String>,
        role: Option<String>,
        message: Option<String>,
        valid_until: DateTime<Utc>,
    },
    Welcome {
        id: PasswordResetId,
        first_name: String,
        valid_until: DateTime<Utc>,
    },
    WelcomeToSignIn {
        first_name: String,
    },
    PasswordReset {
        id: PasswordResetId,
        first_name: String,
        valid_until: DateTime<Utc>,
    },
    PasswordChanged {
        first_name: String,
        changed_at: DateTime<Utc>,
    },
    InvitationAccepted {
        inviter_first_name: String,
        invitee: String,
        invitee_name: String,
    },
    InvitationDeclined {
        inviter_first_name: String,
        invitee: String,
    },
    InvitationBounced {
        inviter_first_name: String,
        invitee: String,
        words: Option<String>,
    },
    InvitationReminder {
        id: InvitationId,
        generation: i32,
        inviter: Option<String>,
        role: Option<String>,
        valid_until: DateTime<Utc>,
    },
    AccountExpiring {
        first_name: String,
        last_day: NaiveDate,
    },
    CertificateExpiring {
        first_name: String,
        /// None where it is our own.
        connection: Option<String>,
        fingerprint: Option<String>,
        ends_at: DateTime<Utc>,
    },
    PasswordSet {
        first_name: String,
        set_at: DateTime<Utc>,
    },
    SecondFactorEnabled {
        first_name: String,
        enabled_at: DateTime<Utc>,
    },
    SecondFactorRemoved {
        first_name: String,
        removed_at: DateTime<Utc>,
    },
    LoginUrl {
        first_name: String,
        organizations: Vec<SignInPlace>,
    },
}

/// What there is to do.
#[derive(Debug)]
pub enum Loaded {
    /// Send this.
    Send(Box<Outgoing>),
    /// Nothing: it was sent, or what it was about is no more.
    Nothing,
    /// A newer release wrote it, of a kind this one does not know: for a newer worker.
    NotForUs,
    /// The job is not ours any more: the wait was longer than it could be kept, or that we had taken it was lost with Postgres.
    Lost,
}

/// What came of sending.
#[derive(Debug)]
pub enum Verdict {
    /// The server took it.
    Sent,
    /// Not now; the server's words.
    NotNow(String),
    /// Never; the server's words.
    Never(String),
}

/// Loads the mail of a job as things stand now, if the job is ours still, and marks it as being sent. One that was overtaken
/// (revoked, resent, used) is marked as canceled, one whose address was suppressed meanwhile as that.
pub async fn load(tx: &mut Tx, claim: &Claim, id: EmailId) -> Result<Loaded> {
    let Some(row) = sqlx::query!(
        r#"select e.kind, e.to_address, e.locale, e.status, e.generation,
                  e.invitation_id as "invitation_id: InvitationId",
                  e.password_reset_id as "password_reset_id: PasswordResetId",
                  o.name as organization_name, o.slug as organization_slug, o.branding, o.deleted_at,
                  i.state as "invitation_state?", i.generation as "invitation_generation?", i.message,
                  i.valid_until as "invitation_valid_until?", i.invitee_identifier as "invitee?",
                  nullif(trim(concat(inviter.first_name, ' ', inviter.last_name)), '') as inviter, inviter.email as "inviter_email?",
                  r.name as "role?",
                  p.used_at, p.superseded_at, p.valid_until as "reset_valid_until?",
                  u.first_name as "first_name?", u.is_active as "is_active?", u.password_changed_at, u.expiry_date, e.created_at,
                  may_use_password(u.is_local, u.keep_local_login, o.sso_required_from, $3) as may_use_password,
                  nullif(trim(concat(invited.first_name, ' ', invited.last_name)), '') as invitee_name,
                  -- What a complaint says is not for the inviter.
                  case when about.status <> 'complained' then about.last_error end as about_last_error,
                  k.fingerprint as "key_fingerprint?", k.not_after as "key_ends_at?", c.name as "connection_name?",
                  c.certificates as "certificates?",
                  exists (select from email_opt_outs x where x.organization_id = $1 and x.email_key = i.email_key
                      and x.covers = 'reminders') as "wants_no_reminders!"
           from email_messages e
           join outbox job on job.organization_id = $1 and job.id = e.id and job.claim = $4
           join organizations o on o.organization_id = e.organization_id
           left join invitations i on i.organization_id = e.organization_id and i.id = e.invitation_id
           left join users inviter on inviter.organization_id = e.organization_id and inviter.id = i.invited_by
           left join roles r on r.organization_id = e.organization_id and r.id = i.role_id
           left join password_resets p on p.organization_id = e.organization_id and p.id = e.password_reset_id
           left join users u on u.organization_id = e.organization_id and u.id = e.user_id
           left join users invited on invited.organization_id = e.organization_id and invited.email_key = i.email_key
           left join email_messages about on about.organization_id = e.organization_id and about.id = e.about_email_id
           left join saml_keys k on k.organization_id = e.organization_id and k.id = e.saml_key_id and k.state <> 'previous'
           left join saml_connections c on c.organization_id = e.organization_id and c.id = e.saml_connection_id and c.is_active
           where e.organization_id = $1 and e.id = $2
           for update of e, job"#,
        tx.organization_id() as OrganizationId,
        id as EmailId,
        tx.now(),
        claim.fence()
    )
    .fetch_optional(tx.connection())
    .await?
    else {
        return Ok(if claim.is_held(tx).await? { Loaded::Nothing } else { Loaded::Lost });
    };
    if !matches!(row.status.as_str(), "queued" | "sending" | "deferred") {
        return Ok(Loaded::Nothing);
    }
    let Some(kind) = Kind::find(&row.kind) else { return Ok(Loaded::NotForUs) };
    let reset_is_good = row.used_at.is_none()
        && row.superseded_at.is_none()
        && row.is_active == Some(true)
        && row.reset_valid_until.is_some_and(|until| until > tx.now());
    let first_name = row.first_name.unwrap_or_default();
    let places = if kind == Kind::LoginUrl { login_urls::places(tx, &row.to_address).await? } else { Vec::new() };
    let invitee = row.invitee.as_deref().map(|address| shown(address).into_owned());
    let content = if row.deleted_at.is_some() {
        None
    } else {
        match kind {
            Kind::Invitation | Kind::InvitationReminder => row
                .invitation_valid_until
                .filter(|until| {
                    row.invitation_state.as_deref() == Some("open")
                        && row.invitation_generation == row.generation
                        && *until > tx.now()
                        && !(kind == Kind::InvitationReminder && row.wants_no_reminders)
                })
                .zip(row.invitation_id.zip(row.generation))
                .map(|(valid_until, (id, generation))| {
                    let inviter = row.inviter.or(row.inviter_email.map(|address| shown(&address).into_owned()));
                    let role = row.role;
                    match kind {
                        Kind::InvitationReminder => {
                            Content::InvitationReminder { id, generation, inviter, role, valid_until }
                        }
                        _ => Content::Invitation { id, generation, inviter, role, message: row.message, valid_until },
                    }
                }),
            // A password would not let him in.
            Kind::Welcome if row.may_use_password == Some(false) => {
                (row.is_active == Some(true)).then_some(Content::WelcomeToSignIn { first_name })
            }
            Kind::Welcome | Kind::PasswordReset => {
                row.password_reset_id.zip(row.reset_valid_until).filter(|_| reset_is_good).map(|(id, valid_until)| {
                    match kind {
                        Kind::Welcome => Content::Welcome { id, first_name, valid_until },
                        _ => Content::PasswordReset { id, first_name, valid_until },
                    }
                })
            }
            Kind::PasswordChanged => {
                row.password_changed_at.map(|changed_at| Content::PasswordChanged { first_name, changed_at })
            }
            // Whatever came after: he must hear of what someone else did.
            Kind::PasswordSet => Some(Content::PasswordSet { first_name, set_at: row.created_at }),
            Kind::SecondFactorEnabled => Some(Content::SecondFactorEnabled { first_name, enabled_at: row.created_at }),
            Kind::SecondFactorRemoved => Some(Content::SecondFactorRemoved { first_name, removed_at: row.created_at }),
            Kind::InvitationAccepted => invitee.map(|invitee| Content::InvitationAccepted {
                inviter_first_name: first_name,
                invitee_name: row.invitee_name.unwrap_or_else(|| invitee.clone()),
                invitee,
            }),
            Kind::InvitationDeclined => {
                invitee.map(|invitee| Content::InvitationDeclined { inviter_first_name: first_name, invitee })
            }
            Kind::InvitationBounced => invitee
                .filter(|_| row.invitation_state.as_deref() == Some("open") && row.is_active == Some(true))
                .map(|invitee| Content::InvitationBounced {
                    inviter_first_name: first_name,
                    invitee,
                    words: row.about_last_error,
                }),
            Kind::CertificateExpiring => {
                let provider_ends_at = row.certificates.as_deref().and_then(saml::last_end);
                row.key_ends_at
                    .or(provider_ends_at)
                    .filter(|end| row.is_active == Some(true) && saml::is_near(*end, tx.now()))
                    .map(|ends_at| Content::CertificateExpiring {
                        first_name,
                        connection: row.connection_name,
                        fingerprint: row.key_fingerprint,
                        ends_at,
                    })
            }
            Kind::LoginUrl => (!places.is_empty()).then_some(Content::LoginUrl { first_name, organizations: places }),
            Kind::AccountExpiring => row
                .expiry_date
                .filter(|day| row.is_active == Some(true) && users::is_near(*day, tx.now()))
                .map(|last_day| Content::AccountExpiring { first_name, last_day }),
        }
    };
    let status = if content.is_some() { "sending" } else { "canceled" };
    let status = sqlx::query_scalar!(
        "update email_messages set version = version + 1, status = case when $3 = 'sending' and exists (
             select from email_suppressions s where s.organization_id = $1 and s.address_key = $4
         ) then 'suppressed' else $3 end
         where organization_id = $1 and id = $2 returning status",
        tx.organization_id() as OrganizationId,
        id as EmailId,
        status,
        mailbox_key(&row.to_address)
    )
    .fetch_one(tx.connection())
    .await?;
    let branding = Branding::from(row.branding);
    Ok(content.filter(|_| status == "sending").map_or(Loaded::Nothing, |content| {
        Loaded::Send(Box::new(Outgoing {
            id,
            to_address: row.to_address,
            locale: row.locale,
            organization_name: branding.name.clone().unwrap_or(row.organization_name),
            organization_slug: row.organization_slug,
            branding,
            content,
        }))
    }))
}

/// Records what came of an attempt, and ends or postpones its job with it.
pub async fn record(db: &Db, claim: &Claim, id: EmailId, verdict: &Verdict) -> Result<()> {
    let (words, may_pass) = match verdict {
        Verdict::Sent => return record_sent(db, claim, id).await,
        Verdict::NotNow(words) => (words, true),
        Verdict::Never(words) => (words, false),
    };
    let mut tx = claim.begin(db).await?;
    record_failure(&mut tx, claim, id, words, may_pass).await?;
    tx.commit().await
}

async fn record_sent(db: &Db, claim: &Claim, id: EmailId) -> Result<()> {
    sqlx::query!(
        "select note_sent($1, $2, $3)",
        claim.tenant().id() as OrganizationId,
        id as EmailId,
        db.clock().now()
    )
    .fetch_one(db.pool())
    .await?;
    Ok(())
}

async fn record_failure(tx: &mut Tx, claim: &Claim, id: EmailId, words: &str, may_pass: bool) -> Result<()> {
    // Its inviter may be told, which needs the invitation; and that is locked before its mail, as everywhere.
    sqlx::query!(
        "select i.id from invitations i
         join email_messages e on e.organization_id = i.organization_id and e.invitation_id = i.id
         where i.organization_id = $1 and e.id = $2 for key share of i",
        tx.organization_id() as OrganizationId,
        id as EmailId
    )
    .fetch_optional(tx.connection())
    .await?;
    let row = sqlx::query!(
        "select kind, status, last_error, attempts, give_up_at from email_messages
         where organization_id = $1 and id = $2 for update",
        tx.organization_id() as OrganizationId,
        id as EmailId
    )
    .fetch_one(tx.connection())
    .await?;
    if !claim.is_held(tx).await? {
        // Someone else has the job now: what he makes of it counts.
        return Ok(());
    }
    let attempts = row.attempts + 1;
    let next = tx.now() + backoff(attempts, Uuid::from(id));
    let (status, error) = match row.status.as_str() {
        // As for one that was sent.
        reported @ ("bounced" | "complained") => (reported, row.last_error.as_deref()),
        _ if may_pass && next < row.give_up_at => ("deferred", Some(words)),
        _ => ("failed", Some(words)),
    };
    sqlx::query!(
        "update email_messages
         set status = $3, attempts = $4, last_error = $5, sent_at = null, version = version + 1
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as EmailId,
        status,
        attempts,
        error
    )
    .execute(tx.connection())
    .await?;
    if status == "failed" && row.kind == Kind::Invitation.name() {
        invitations::tell_of_bounce(tx, id).await?;
    }
    match status {
        "deferred" => claim.postpone(tx, next).await,
        _ => claim.finish(tx).await,
    }
}

/// Exponential, from 3 s doubling to 15 min, with up to a quarter less so that mails deferred together do not return
/// together. The spread comes from the mail's id: no two have the same.
fn backoff(attempts: i32, id: Uuid) -> TimeDelta {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(10);
    let whole_ms = (3_000_i64 << doublings).min(900_000);
    let spread = i64::from(id.as_bytes()[15]) + i64::from(attempts) * 37;
    TimeDelta::milliseconds(whole_ms - whole_ms / 4 * (spread % 256) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_retry_comes_within_five_seconds_and_none_waits_longer_than_a_quarter_of_an_hour() {
        for last in 0..=255_u8 {
            let mut bytes = [0; 16];
            bytes[15] = last;
            let id = Uuid::from_bytes(bytes);
            assert!((TimeDelta::seconds(2)..=TimeDelta::seconds(5)).contains(&backoff(1, id)));
            assert!(backoff(2, id) >= TimeDelta::milliseconds(4_500));
            for attempts in 1..200 {
                assert!(backoff(attempts, id) <= TimeDelta::minutes(15));
            }
        }
    }
}
