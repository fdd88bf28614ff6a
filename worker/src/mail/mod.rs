//! Mails: what they say ([`Mail`]), how they look ([`render()`]), their envelope ([`message()`]), and how they get to
//! the SMTP server ([`SmtpTransport`]). The only module that knows lettre and minijinja.
//!
//! A new mail is a struct in `mails.rs` with its sample, a folder under `templates/`, and its strings in every file
//! under `locales/`.

mod catalogue;
mod mails;
mod message;
mod render;
mod samples;
#[cfg(test)]
mod tests;
mod theme;
mod transport;

pub use lettre::{Message, message::Mailbox};

pub use self::{
    mails::{
        AccountExpiringMail, CertificateExpiringMail, InvitationAcceptedMail, InvitationBouncedMail,
        InvitationDeclinedMail, InvitationMail, InvitationReminderMail, LoginUrlMail, Mail, PasswordChangedMail,
        PasswordResetMail, PasswordSetMail, Place, SecondFactorEnabledMail, SecondFactorRemovedMail, WelcomeMail,
        WelcomeToSignInMail,
    },
    message::{MessageError, SenderError, message, sender},
    render::{Branding, Context, Logo, RenderError, Rendered, render},
    transport::{Accepted, SendError, SmtpTransport, SmtpUrlError, Turn},
};
