//! Why nobody is signed in: all of it for administrators, little for the person in front of the browser.

use std::borrow::Cow;

use crate::error::{Error, Refusal};

/// A message, or what it asks for, was refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// Stable, `snake_case`: what administrators find it by.
    pub(super) reason: &'static str,
    /// For them, in words: what it means and what to change.
    pub(super) detail: Cow<'static, str>,
    pub(super) told: Told,
}

/// What the person is told: what he can do about it himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing: his administrator can.
    Refused,
    /// Begin again.
    Again,
    /// Ask to be let in.
    NoAccount,
    /// Ask to be let in again.
    Ended,
    /// Sign in with another company account, or as whoever has this one.
    Taken,
    /// Disconnect the other one first.
    OtherAccount,
    /// Sign in there as whom the invitation was sent to.
    OtherAddress,
    /// Ask for another invitation.
    InvitationOver,
}

impl Told {
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Refused => {
                Refusal::forbidden("sso_refused", "The answer of your company's identity provider was not accepted.")
            }
            Self::Again => Refusal::forbidden(
                "sso_again",
                "This sign-in took too long, was used already, or began in another browser. Begin again.",
            ),
            Self::NoAccount => Refusal::forbidden("sso_no_account", "There is no account for you here."),
            Self::Ended => Refusal::forbidden("sso_account_ended", "Your account here is not active."),
            Self::Taken => {
                Refusal::forbidden("sso_identity_taken", "This company account is connected to another user here.")
            }
            Self::OtherAccount => {
                Refusal::forbidden("sso_other_account", "Your account is connected to another account at this company.")
            }
            Self::OtherAddress => Refusal::forbidden(
                "sso_other_address",
                "The invitation was sent to another address than your company says.",
            ),
            Self::InvitationOver => Refusal::forbidden(
                "sso_invitation_over",
                "The invitation was accepted, declined, taken back or sent again meanwhile, or its time is over.",
            ),
        }
    }
}

impl Refused {
    pub(super) fn new(told: Told, reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), told }
    }
}

/// Why one goes no further: a refusal to be written down, or trouble.
#[derive(Debug)]
pub(super) enum Halt {
    Refused(Refused),
    Trouble(Error),
}

impl From<Refused> for Halt {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Trouble(error)
    }
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        Self::Trouble(error.into())
    }
}
