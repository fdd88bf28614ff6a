//! The worker's side of a mail: what to send, as things stand now, and what came of it.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::Kind;
use crate::db::{Db, Tx};
use crate::email_address::shown;
use crate::email_suppressions::is_suppressed;
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

/// How long a mail waits that only a newer release can send, while processes are being replaced.
const FOR_A_NEWER_WORKER: TimeDelta = TimeDelta::seconds(30);

/// Loads the mail of a job as things stand now, and marks it as being sent. None if there is nothing to send: the job is not ours
/// any more; or the mail is done, was overtaken (revoked, resent, used) or is to an address that gets none, which ends the job; or
/// a newer release wrote it, of a kind that this one does not know, for which it then waits.
pub async fn load(db: &Db, claim: &Claim, id: EmailId) -> Result<Option<Box<Outgoing>>> {
    let (now, known) = (db.clock().now(), Kind::ALL.map(|kind| kind.name().to_owned()));
    let known = &known;
    let asked = |pool| async move {
        sqlx::query_as!(
            Found,
            r#"select kind as "kind!", to_address as "to_address!", is_suppressed as "is_suppressed!", locale as "locale!",
                      created_at as "created_at!", organization_name as "organization_name!",
                      organization_slug as "organization_slug!", branding as "branding!",
                      organization_is_deleted as "organization_is_deleted!", invitation_id as "invitation_id: InvitationId",
                      generation, invitation_generation, invitation_state, invitation_valid_until, invitee, message, role, inviter,
                      inviter_email, invitee_name, wants_no_reminders, password_reset_id as "password_reset_id: PasswordResetId",
                      reset_valid_until, used_at, superseded_at, first_name, is_active, expiry_date, password_changed_at,
                      may_use_password, about_last_error, key_fingerprint, key_ends_at, connection_name, certificates
               from load_email($1, $2, $3, $4, $5)"#,
            claim.tenant().id() as OrganizationId,
            id as EmailId,
            claim.fence(),
            known,
            now
        )
        .fetch_optional(pool)
        .await
    };
    let found = db.ask(asked).await?;
    let Some(found) = found else { return Ok(None) };
    let Some(kind) = Kind::find(&found.kind) else {
        tracing::warn!(email = %id, "a mail of a kind that this release does not know waits for a newer worker");
        let mut tx = claim.begin(db).await?;
        claim.postpone(&mut tx, now + FOR_A_NEWER_WORKER).await?;
        tx.commit().await?;
        return Ok(None);
    };
    let places = match kind {
        Kind::LoginUrl => login_urls::places(&mut claim.begin(db).await?, &found.to_address).await?,
        _ => Vec::new(),
    };
    // Postgres knows of ASCII alone which addresses are the same.
    let is_suppressed = found.is_suppressed
        || !found.to_address.is_ascii() && is_suppressed(&mut claim.begin(db).await?, &found.to_address).await?;
    match found.into_outgoing(id, kind, places, now) {
        Some(outgoing) if !is_suppressed => return Ok(Some(Box::new(outgoing))),
        Some(_) => end_unsent(db, claim, id, "suppressed").await?,
        None => end_unsent(db, claim, id, "canceled").await?,
    }
    Ok(None)
}

/// Ends the job of a mail that was marked as being sent, and shall not be; if it is so still, and the job ours.
async fn end_unsent(db: &Db, claim: &Claim, id: EmailId, status: &str) -> Result<()> {
    let mut tx = claim.begin(db).await?;
    let marked = sqlx::query!(
        "update email_messages set status = $3, version = version + 1
         where organization_id = $1 and id = $2 and status = 'sending'",
        tx.organization_id() as OrganizationId,
        id as EmailId,
        status
    )
    .execute(tx.connection())
    .await?;
    if marked.rows_affected() == 1 && claim.is_held(&mut tx).await? {
        claim.finish(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// A mail, and as much as its kind says of what it is about.
#[derive(Debug)]
struct Found {
    kind: String,
    to_address: String,
    is_suppressed: bool,
    locale: String,
    created_at: DateTime<Utc>,
    organization_name: String,
    organization_slug: String,
    branding: Value,
    organization_is_deleted: bool,
    invitation_id: Option<InvitationId>,
    generation: Option<i32>,
    invitation_generation: Option<i32>,
    invitation_state: Option<String>,
    invitation_valid_until: Option<DateTime<Utc>>,
    invitee: Option<String>,
    message: Option<String>,
    role: Option<String>,
    inviter: Option<String>,
    inviter_email: Option<String>,
    invitee_name: Option<String>,
    wants_no_reminders: Option<bool>,
    password_reset_id: Option<PasswordResetId>,
    reset_valid_until: Option<DateTime<Utc>>,
    used_at: Option<DateTime<Utc>>,
    superseded_at: Option<DateTime<Utc>>,
    first_name: Option<String>,
    is_active: Option<bool>,
    expiry_date: Option<NaiveDate>,
    password_changed_at: Option<DateTime<Utc>>,
    may_use_password: Option<bool>,
    about_last_error: Option<String>,
    key_fingerprint: Option<String>,
    key_ends_at: Option<DateTime<Utc>>,
    connection_name: Option<String>,
    certificates: Option<Vec<Vec<u8>>>,
}

impl Found {
    /// None if it was overtaken.
    fn into_outgoing(
        mut self,
        id: EmailId,
        kind: Kind,
        places: Vec<SignInPlace>,
        now: DateTime<Utc>,
    ) -> Option<Outgoing> {
        let content = self.take_content(kind, places, now).filter(|_| !self.organization_is_deleted)?;
        let branding = Branding::from(self.branding);
        Some(Outgoing {
            id,
            to_address: self.to_address,
            locale: self.locale,
            organization_name: branding.name.clone().unwrap_or(self.organization_name),
            organization_slug: self.organization_slug,
            branding,
            content,
        })
    }

    fn take_content(&mut self, kind: Kind, places: Vec<SignInPlace>, now: DateTime<Utc>) -> Option<Content> {
        let reset_is_good = self.used_at.is_none()
            && self.superseded_at.is_none()
            && self.is_active == Some(true)
            && self.reset_valid_until.is_some_and(|until| until > now);
        let first_name = self.first_name.take().unwrap_or_default();
        let invitee = self.invitee.as_deref().map(|address| shown(address).into_owned());
        match kind {
            Kind::Invitation | Kind::InvitationReminder => self
                .invitation_valid_until
                .filter(|until| {
                    self.invitation_state.as_deref() == Some("open")
                        && self.invitation_generation == self.generation
                        && *until > now
                        && !(kind == Kind::InvitationReminder && self.wants_no_reminders == Some(true))
                })
                .zip(self.invitation_id.zip(self.generation))
                .map(|(valid_until, (id, generation))| {
                    let inviter =
                        self.inviter.take().or(self.inviter_email.take().map(|address| shown(&address).into_owned()));
                    let role = self.role.take();
                    match kind {
                        Kind::InvitationReminder => {
                            Content::InvitationReminder { id, generation, inviter, role, valid_until }
                        }
                        _ => Content::Invitation {
                            id,
                            generation,
                            inviter,
                            role,
                            message: self.message.take(),
                            valid_until,
                        },
                    }
                }),
            // A password would not let him in.
            Kind::Welcome if self.may_use_password == Some(false) => {
                (self.is_active == Some(true)).then_some(Content::WelcomeToSignIn { first_name })
            }
            Kind::Welcome | Kind::PasswordReset => {
                self.password_reset_id.zip(self.reset_valid_until).filter(|_| reset_is_good).map(|(id, valid_until)| {
                    match kind {
                        Kind::Welcome => Content::Welcome { id, first_name, valid_until },
                        _ => Content::PasswordReset { id, first_name, valid_until },
                    }
                })
            }
            Kind::PasswordChanged => {
                self.password_changed_at.map(|changed_at| Content::PasswordChanged { first_name, changed_at })
            }
            // Whatever came after: he must hear of what someone else did.
            Kind::PasswordSet => Some(Content::PasswordSet { first_name, set_at: self.created_at }),
            Kind::SecondFactorEnabled => Some(Content::SecondFactorEnabled { first_name, enabled_at: self.created_at }),
            Kind::SecondFactorRemoved => Some(Content::SecondFactorRemoved { first_name, removed_at: self.created_at }),
            Kind::InvitationAccepted => invitee.map(|invitee| Content::InvitationAccepted {
                inviter_first_name: first_name,
                invitee_name: self.invitee_name.take().unwrap_or_else(|| invitee.clone()),
                invitee,
            }),
            Kind::InvitationDeclined => {
                invitee.map(|invitee| Content::InvitationDeclined { inviter_first_name: first_name, invitee })
            }
            Kind::InvitationBounced => invitee
                .filter(|_| self.invitation_state.as_deref() == Some("open") && self.is_active == Some(true))
                .map(|invitee| Content::InvitationBounced {
                    inviter_first_name: first_name,
                    invitee,
                    words: self.about_last_error.take(),
                }),
            Kind::CertificateExpiring => {
                let provider_ends_at = self.certificates.as_deref().and_then(saml::last_end);
                self.key_ends_at
                    .or(provider_ends_at)
                    .filter(|end| self.is_active == Some(true) && saml::is_near(*end, now))
                    .map(|ends_at| Content::CertificateExpiring {
                        first_name,
                        connection: self.connection_name.take(),
                        fingerprint: self.key_fingerprint.take(),
                        ends_at,
                    })
            }
            Kind::LoginUrl => (!places.is_empty()).then_some(Content::LoginUrl { first_name, organizations: places }),
            Kind::AccountExpiring => self
                .expiry_date
                .filter(|day| self.is_active == Some(true) && users::is_near(*day, now))
                .map(|last_day| Content::AccountExpiring { first_name, last_day }),
        }
    }
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
