//! The mails there are, each with all that its templates say.
//!
//! Text of other people's (names, the inviter's message) is put here as it is: rendering makes it safe.

use chrono::{DateTime, NaiveDate, Utc};
use minijinja::{Value, context};
use tenantry_shared::text::lines;

use super::catalogue::{Catalogue, MissingString};

/// Longest message of an inviter, in characters.
const LONGEST_MESSAGE: usize = 2_000;

/// To an invitee: follow the link, and you are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationMail {
    /// The organization's name.
    pub organization: String,
    /// Who invites, if that is still known.
    pub inviter: Option<String>,
    /// Code name of a built-in role, or the name of another one.
    pub role: Option<String>,
    /// What the inviter wants to say; may have several lines.
    pub message: Option<String>,
    /// Where to accept.
    pub accept_link: String,
    /// Where to decline.
    pub decline_link: String,
    /// When both links end.
    pub valid_until: DateTime<Utc>,
}

/// To someone an administrator has made an account for: choose a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WelcomeMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub first_name: String,
    /// Where to choose the password.
    pub set_password_link: String,
    /// When the link ends.
    pub valid_until: DateTime<Utc>,
}

/// To someone an administrator has made an account for, where people sign in through the company's identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WelcomeToSignInMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub first_name: String,
    /// The sign-in page.
    pub sign_in_link: String,
}

/// To someone who asked for a new password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordResetMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub first_name: String,
    /// Where to choose the password.
    pub reset_link: String,
    /// When the link ends.
    pub valid_until: DateTime<Utc>,
}

/// To someone whose password was changed, for the case that it was not him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordChangedMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub first_name: String,
    /// When it was changed.
    pub changed_at: DateTime<Utc>,
    /// The sign-in page.
    pub sign_in_link: String,
    /// The page where one asks for a new password.
    pub forgot_link: String,
}

/// To an inviter: the invitation was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationAcceptedMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub inviter_first_name: String,
    /// The invited address.
    pub invitee: String,
    /// The name he gave; may be empty.
    pub invitee_name: String,
}

/// To an inviter: the invitation was declined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationDeclinedMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub inviter_first_name: String,
    /// The invited address.
    pub invitee: String,
}

/// To an inviter: the invitation's mail could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationBouncedMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub inviter_first_name: String,
    /// The invited address.
    pub invitee: String,
    /// Why, in the words of the server that refused it.
    pub words: Option<String>,
}

/// To an invitee who has not decided yet: the invitation ends soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationReminderMail {
    /// The organization's name.
    pub organization: String,
    /// Who invites, if that is still known.
    pub inviter: Option<String>,
    /// Code name of a built-in role, or the name of another one.
    pub role: Option<String>,
    /// Where to accept.
    pub accept_link: String,
    /// Where to decline.
    pub decline_link: String,
    /// When both links end.
    pub valid_until: DateTime<Utc>,
    /// Where to ask for silence. Also in the header, for the mail program's own button.
    pub stop_link: String,
}

/// To someone whose account ends soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountExpiringMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub first_name: String,
    /// The last day (UTC) that the account works.
    pub last_day: NaiveDate,
}

/// To someone whose password an administrator has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordSetMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub first_name: String,
    /// When it was set.
    pub set_at: DateTime<Utc>,
    /// The sign-in page.
    pub sign_in_link: String,
    /// The page where one asks for a new password.
    pub forgot_link: String,
}

/// To someone who has switched a second factor on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactorEnabledMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub first_name: String,
    /// When it was switched on.
    pub enabled_at: DateTime<Utc>,
    /// The page where one asks for a new password.
    pub forgot_link: String,
}

/// To someone whose second factor an administrator has removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactorRemovedMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub first_name: String,
    /// When it was removed.
    pub removed_at: DateTime<Utc>,
    /// The sign-in page.
    pub sign_in_link: String,
    /// The page where one asks for a new password.
    pub forgot_link: String,
}

/// To those who manage single sign-on: a certificate ends soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateExpiringMail {
    /// The organization's name.
    pub organization: String,
    /// The recipient's; may be empty.
    pub first_name: String,
    /// What the identity provider is called whose certificate ends; none where it is the organization's own.
    pub connection: Option<String>,
    /// SHA-256 of the organization's own certificate.
    pub fingerprint: Option<String>,
    /// When it ends.
    pub ends_at: DateTime<Utc>,
}

/// To someone who asked where he can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginUrlMail {
    /// The recipient's; may be empty.
    pub first_name: String,
    /// The recipient's address.
    pub email: String,
    /// Where: one or more.
    pub places: Vec<Place>,
}

/// An organization that someone has an account in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its sign-in page.
    pub sign_in_link: String,
}

/// Any mail. A new one is a struct and a variant here, and a folder of templates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the structs say it")]
pub enum Mail {
    Invitation(InvitationMail),
    Welcome(WelcomeMail),
    WelcomeToSignIn(WelcomeToSignInMail),
    PasswordReset(PasswordResetMail),
    PasswordChanged(PasswordChangedMail),
    InvitationAccepted(InvitationAcceptedMail),
    InvitationDeclined(InvitationDeclinedMail),
    InvitationBounced(InvitationBouncedMail),
    InvitationReminder(InvitationReminderMail),
    AccountExpiring(AccountExpiringMail),
    CertificateExpiring(CertificateExpiringMail),
    PasswordSet(PasswordSetMail),
    SecondFactorEnabled(SecondFactorEnabledMail),
    SecondFactorRemoved(SecondFactorRemovedMail),
    LoginUrl(LoginUrlMail),
}

impl Mail {
    /// One of each, made of sample data, for tests and previews.
    pub fn samples() -> Vec<Self> {
        vec![
            InvitationMail::sample().into(),
            WelcomeMail::sample().into(),
            WelcomeToSignInMail::sample().into(),
            PasswordResetMail::sample().into(),
            PasswordChangedMail::sample().into(),
            InvitationAcceptedMail::sample().into(),
            InvitationDeclinedMail::sample().into(),
            InvitationBouncedMail::sample().into(),
            InvitationReminderMail::sample().into(),
            AccountExpiringMail::sample().into(),
            CertificateExpiringMail::sample().into(),
            PasswordSetMail::sample().into(),
            SecondFactorEnabledMail::sample().into(),
            SecondFactorRemovedMail::sample().into(),
            LoginUrlMail::sample().into(),
        ]
    }

    /// The folder of its templates, and its section in the catalogues.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Invitation(_) => "invitation",
            Self::Welcome(_) => "welcome",
            Self::WelcomeToSignIn(_) => "welcome_to_sign_in",
            Self::PasswordReset(_) => "password_reset",
            Self::PasswordChanged(_) => "password_changed",
            Self::InvitationAccepted(_) => "invitation_accepted",
            Self::InvitationDeclined(_) => "invitation_declined",
            Self::InvitationBounced(_) => "invitation_bounced",
            Self::InvitationReminder(_) => "invitation_reminder",
            Self::AccountExpiring(_) => "account_expiring",
            Self::CertificateExpiring(_) => "certificate_expiring",
            Self::PasswordSet(_) => "password_set",
            Self::SecondFactorEnabled(_) => "second_factor_enabled",
            Self::SecondFactorRemoved(_) => "second_factor_removed",
            Self::LoginUrl(_) => "login_url",
        }
    }

    /// Where the recipient may unsubscribe from mails like this one, if he may.
    pub(super) fn unsubscribe_link(&self) -> Option<&str> {
        match self {
            Self::InvitationReminder(mail) => Some(&mail.stop_link),
            _ => None,
        }
    }

    /// What its templates know.
    pub(super) fn values(&self, catalogue: &Catalogue) -> Result<Value, MissingString> {
        Ok(match self {
            Self::Invitation(mail) => context! {
                organization => &mail.organization,
                inviter => mail.inviter.as_deref(),
                role => mail.role.as_deref().map(|role| catalogue.role(role)),
                message => mail.message.as_deref().map(|text| lines(text, LONGEST_MESSAGE)).unwrap_or_default(),
                accept_link => &mail.accept_link,
                decline_link => &mail.decline_link,
                valid_until => catalogue.date_time(mail.valid_until)?,
            },
            Self::Welcome(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.first_name,
                set_password_link => &mail.set_password_link,
                valid_until => catalogue.date_time(mail.valid_until)?,
            },
            Self::WelcomeToSignIn(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.first_name,
                sign_in_link => &mail.sign_in_link,
            },
            Self::PasswordReset(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.first_name,
                reset_link => &mail.reset_link,
                valid_until => catalogue.date_time(mail.valid_until)?,
            },
            Self::PasswordChanged(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.first_name,
                changed_at => catalogue.date_time(mail.changed_at)?,
                sign_in_link => &mail.sign_in_link,
                forgot_link => &mail.forgot_link,
            },
            Self::InvitationAccepted(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.inviter_first_name,
                invitee => &mail.invitee,
                invitee_name => &mail.invitee_name,
            },
            Self::InvitationDeclined(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.inviter_first_name,
                invitee => &mail.invitee,
            },
            Self::InvitationBounced(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.inviter_first_name,
                invitee => &mail.invitee,
                words => mail.words.as_deref().map(|text| lines(text, LONGEST_MESSAGE)).unwrap_or_default(),
            },
            Self::InvitationReminder(mail) => context! {
                organization => &mail.organization,
                inviter => mail.inviter.as_deref(),
                role => mail.role.as_deref().map(|role| catalogue.role(role)),
                accept_link => &mail.accept_link,
                decline_link => &mail.decline_link,
                valid_until => catalogue.date_time(mail.valid_until)?,
                stop_link => &mail.stop_link,
            },
            Self::AccountExpiring(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.first_name,
                last_day => catalogue.date(mail.last_day)?,
            },
            Self::CertificateExpiring(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.first_name,
                connection => mail.connection.as_deref(),
                fingerprint => mail.fingerprint.as_deref(),
                ends_at => catalogue.date_time(mail.ends_at)?,
                day => catalogue.date(mail.ends_at.date_naive())?,
            },
            Self::LoginUrl(mail) => context! {
                first_name => &mail.first_name,
                email => &mail.email,
                places => mail.places.iter().map(|place| context! { name => &place.name, link => &place.sign_in_link })
                    .collect::<Vec<_>>(),
            },
            Self::PasswordSet(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.first_name,
                set_at => catalogue.date_time(mail.set_at)?,
                sign_in_link => &mail.sign_in_link,
                forgot_link => &mail.forgot_link,
            },
            Self::SecondFactorEnabled(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.first_name,
                enabled_at => catalogue.date_time(mail.enabled_at)?,
                forgot_link => &mail.forgot_link,
            },
            Self::SecondFactorRemoved(mail) => context! {
                organization => &mail.organization,
                first_name => &mail.first_name,
                removed_at => catalogue.date_time(mail.removed_at)?,
                sign_in_link => &mail.sign_in_link,
                forgot_link => &mail.forgot_link,
            },
        })
    }
}
