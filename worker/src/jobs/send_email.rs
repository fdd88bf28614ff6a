//! Sends one mail.

use std::time::{Duration, Instant};

use tenantry_shared::Result;
use tenantry_shared::email_address::{masked, shown};
use tenantry_shared::emails::{self, Content, Outgoing, Verdict};
use tenantry_shared::ids::EmailId;
use tenantry_shared::login_urls::SignInPlace;
use tenantry_shared::outbox::Claim;
use tenantry_shared::secret::LinkKind;
use tenantry_shared::settings;
use tenantry_shared::tenant::Tenant;
use uuid::Uuid;

use crate::Worker;
use crate::mail::{
    self, AccountExpiringMail, Branding, CertificateExpiringMail, Context, InvitationAcceptedMail,
    InvitationBouncedMail, InvitationDeclinedMail, InvitationMail, InvitationReminderMail, LoginUrlMail, Logo, Mail,
    PasswordChangedMail, PasswordResetMail, PasswordSetMail, Place, SecondFactorEnabledMail, SecondFactorRemovedMail,
    SendError, Turn, WelcomeMail, WelcomeToSignInMail,
};

/// How long what was loaded may wait: a mail that is revoked while others keep the mail server busy is not sent.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// Loads the mail as things stand now, waits for its turn at the mail server, mints its links, sends it, records what came of it.
/// While some mails are sent, others are loaded; one whose turn was long in coming is loaded again.
pub(crate) async fn run(worker: &Worker, claim: &Claim, id: EmailId) -> Result<()> {
    let Some(mut outgoing) = emails::load(&worker.db, claim, id).await? else { return Ok(()) };
    let loaded = Instant::now();
    let turn = worker.smtp.turn(claim.lane).await;
    if loaded.elapsed() > GOOD_FOR {
        match emails::load(&worker.db, claim, id).await? {
            Some(anew) => outgoing = anew,
            None => return Ok(()),
        }
    }
    let verdict = send(worker, claim, &outgoing, turn).await;
    report(&outgoing, &verdict);
    // The server may have it: our record must follow, however long Postgres is away, or it would be sent twice.
    while let Err(error) = emails::record(&worker.db, claim, id, &verdict).await {
        tracing::warn!(email = %id, %error, "the outcome of a mail could not be recorded yet");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

async fn send(worker: &Worker, claim: &Claim, outgoing: &Outgoing, turn: Turn<'_>) -> Verdict {
    let message = match compose(worker, claim.tenant(), outgoing) {
        Ok(message) => message,
        Err(error) => return Verdict::Never(error),
    };
    match turn.send(&message).await {
        Ok(_) => Verdict::Sent,
        Err(SendError::Permanent(words)) => Verdict::Never(words),
        Err(SendError::Transient(words)) => Verdict::NotNow(words),
    }
}

fn compose(worker: &Worker, tenant: &Tenant, outgoing: &Outgoing) -> Result<mail::Message, String> {
    let of_none = matches!(outgoing.content, Content::LoginUrl { .. });
    let look = &outgoing.branding;
    let context = Context {
        locale: outgoing.locale.clone(),
        branding: if of_none {
            // It is about several, and looks like none of them.
            Branding { name: sender_name(worker), ..Branding::default() }
        } else {
            Branding {
                name: outgoing.organization_name.clone(),
                color: look.color.clone(),
                logo: look.logo.as_ref().map(|logo| logo_of(worker, outgoing, logo)),
                reply_to: look.reply_to.clone(),
            }
        },
        public_url: worker.public_url.join(""),
    };
    let rendered = mail::render(&letter(worker, tenant, outgoing), &context).map_err(|e| e.to_string())?;
    // The same whenever this mail is sent, so that a mail sent twice is seen to be one.
    let message_id = emails::message_id(tenant, outgoing.id, worker.public_url.host());
    let reply_to = context.branding.reply_to.as_deref();
    let now = worker.db.clock().now();
    mail::message(rendered, &worker.from, &outgoing.to_address, reply_to, &message_id, now).map_err(|e| e.to_string())
}

/// An image that the reader's program asks us for, or doesn't.
fn logo_of(worker: &Worker, outgoing: &Outgoing, logo: &settings::Logo) -> Logo {
    let (width, height) = logo.shown();
    let url = worker.public_url.join(&logo.path(&outgoing.organization_slug));
    Logo { url, width, height, is_sign: logo.is_sign() }
}

/// What the service calls itself where it speaks for no organization: the name in `From`, or its host.
fn sender_name(worker: &Worker) -> String {
    worker.from.name.clone().unwrap_or_else(|| worker.public_url.host().to_owned())
}

fn letter(worker: &Worker, tenant: &Tenant, outgoing: &Outgoing) -> Mail {
    let link = |path: &str, kind: LinkKind, id: Uuid, generation: i32| {
        let token = worker.links.mint(kind, tenant, id, generation);
        worker.public_url.join(&format!("{path}?token={token}"))
    };
    let of_organization =
        |path: &str| worker.public_url.join(&format!("{path}?organization={}", outgoing.organization_slug));
    let organization = outgoing.organization_name.clone();
    match &outgoing.content {
        Content::Invitation { id, generation, inviter, role, message, valid_until } => {
            Mail::Invitation(InvitationMail {
                organization,
                inviter: inviter.clone(),
                role: role.clone(),
                message: message.clone(),
                accept_link: link("/invitations/accept", LinkKind::Invitation, (*id).into(), *generation),
                decline_link: link("/invitations/decline", LinkKind::Invitation, (*id).into(), *generation),
                valid_until: *valid_until,
            })
        }
        Content::Welcome { id, first_name, valid_until } => Mail::Welcome(WelcomeMail {
            organization,
            first_name: first_name.clone(),
            set_password_link: link("/password-reset/confirm", LinkKind::Password, (*id).into(), 1),
            valid_until: *valid_until,
        }),
        Content::WelcomeToSignIn { first_name } => Mail::WelcomeToSignIn(WelcomeToSignInMail {
            organization,
            first_name: first_name.clone(),
            sign_in_link: of_organization("/sign-in"),
        }),
        Content::PasswordReset { id, first_name, valid_until } => Mail::PasswordReset(PasswordResetMail {
            organization,
            first_name: first_name.clone(),
            reset_link: link("/password-reset/confirm", LinkKind::Password, (*id).into(), 1),
            valid_until: *valid_until,
        }),
        Content::PasswordChanged { first_name, changed_at } => Mail::PasswordChanged(PasswordChangedMail {
            organization,
            first_name: first_name.clone(),
            changed_at: *changed_at,
            sign_in_link: of_organization("/sign-in"),
            forgot_link: of_organization("/password-reset"),
        }),
        Content::PasswordSet { first_name, set_at } => Mail::PasswordSet(PasswordSetMail {
            organization,
            first_name: first_name.clone(),
            set_at: *set_at,
            sign_in_link: of_organization("/sign-in"),
            forgot_link: of_organization("/password-reset"),
        }),
        Content::SecondFactorEnabled { first_name, enabled_at } => Mail::SecondFactorEnabled(SecondFactorEnabledMail {
            organization,
            first_name: first_name.clone(),
            enabled_at: *enabled_at,
            forgot_link: of_organization("/password-reset"),
        }),
        Content::SecondFactorRemoved { first_name, removed_at } => Mail::SecondFactorRemoved(SecondFactorRemovedMail {
            organization,
            first_name: first_name.clone(),
            removed_at: *removed_at,
            sign_in_link: of_organization("/sign-in"),
            forgot_link: of_organization("/password-reset"),
        }),
        Content::InvitationAccepted { inviter_first_name, invitee, invitee_name } => {
            Mail::InvitationAccepted(InvitationAcceptedMail {
                organization,
                inviter_first_name: inviter_first_name.clone(),
                invitee: invitee.clone(),
                invitee_name: invitee_name.clone(),
            })
        }
        Content::InvitationDeclined { inviter_first_name, invitee } => {
            Mail::InvitationDeclined(InvitationDeclinedMail {
                organization,
                inviter_first_name: inviter_first_name.clone(),
                invitee: invitee.clone(),
            })
        }
        Content::InvitationBounced { inviter_first_name, invitee, words } => {
            Mail::InvitationBounced(InvitationBouncedMail {
                organization,
                inviter_first_name: inviter_first_name.clone(),
                invitee: invitee.clone(),
                words: words.clone(),
            })
        }
        Content::InvitationReminder { id, generation, inviter, role, valid_until } => {
            Mail::InvitationReminder(InvitationReminderMail {
                organization,
                inviter: inviter.clone(),
                role: role.clone(),
                accept_link: link("/invitations/accept", LinkKind::Invitation, (*id).into(), *generation),
                decline_link: link("/invitations/decline", LinkKind::Invitation, (*id).into(), *generation),
                valid_until: *valid_until,
                stop_link: link("/reminders/stop", LinkKind::Reminders, (*id).into(), *generation),
            })
        }
        Content::CertificateExpiring { first_name, connection, fingerprint, ends_at } => {
            Mail::CertificateExpiring(CertificateExpiringMail {
                organization,
                first_name: first_name.clone(),
                connection: connection.clone(),
                fingerprint: fingerprint.clone(),
                ends_at: *ends_at,
            })
        }
        Content::LoginUrl { first_name, organizations } => {
            let place = |place: &SignInPlace| Place {
                name: place.name.clone(),
                sign_in_link: worker.public_url.join(&format!("/sign-in?organization={}", place.slug)),
            };
            Mail::LoginUrl(LoginUrlMail {
                first_name: first_name.clone(),
                email: shown(&outgoing.to_address).into_owned(),
                places: organizations.iter().map(place).collect(),
            })
        }
        Content::AccountExpiring { first_name, last_day } => Mail::AccountExpiring(AccountExpiringMail {
            organization,
            first_name: first_name.clone(),
            last_day: *last_day,
        }),
    }
}

fn report(outgoing: &Outgoing, verdict: &Verdict) {
    let (outcome, words) = match verdict {
        Verdict::Sent => ("sent", ""),
        Verdict::NotNow(words) => ("deferred", words.as_str()),
        Verdict::Never(words) => ("failed", words.as_str()),
    };
    metrics::counter!("tenantry_emails_total", "outcome" => outcome).increment(1);
    // A server's words may quote addresses, in any spelling.
    let words: Vec<&str> = words.split(' ').map(|word| if word.contains('@') { "<address>" } else { word }).collect();
    let words = words.join(" ");
    tracing::info!(email = %outgoing.id, to = masked(&outgoing.to_address), outcome, words, "mail");
}
