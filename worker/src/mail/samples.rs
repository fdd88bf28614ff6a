//! Sample data for every mail.

use chrono::{DateTime, Utc};

use super::mails::{
    AccountExpiringMail, CertificateExpiringMail, InvitationAcceptedMail, InvitationBouncedMail,
    InvitationDeclinedMail, InvitationMail, InvitationReminderMail, LoginUrlMail, Mail, PasswordChangedMail,
    PasswordResetMail, PasswordSetMail, Place, SecondFactorEnabledMail, SecondFactorRemovedMail, WelcomeMail,
    WelcomeToSignInMail,
};

const ORGANIZATION: &str = "Acme Robotics";

fn a_time() -> DateTime<Utc> {
    // 29 November 2026, 14:05.
    DateTime::from_timestamp(1_795_961_100, 0).unwrap_or_default()
}

fn link(path: &str) -> String {
    format!("https://accounts.example.com/{path}")
}

macro_rules! mail {
    ($mail:ident, $variant:ident, $sample:expr) => {
        impl $mail {
            /// A mail made of sample data.
            pub fn sample() -> Self {
                $sample
            }
        }

        impl From<$mail> for Mail {
            fn from(mail: $mail) -> Self {
                Self::$variant(mail)
            }
        }
    };
}

mail!(
    InvitationMail,
    Invitation,
    Self {
        organization: ORGANIZATION.to_owned(),
        inviter: Some("Alice Liddell".to_owned()),
        role: Some("reader".to_owned()),
        message: Some("Hi Bob,\nthe assembly plans are in here now. See you on Monday.".to_owned()),
        accept_link: link("invitations/accept?token=0192f0c1-7d3e-7a52-9c1f-2f6f0f6a3b11.1.Zm9vYmFyYmF6cXV4"),
        decline_link: link("invitations/decline?token=0192f0c1-7d3e-7a52-9c1f-2f6f0f6a3b11.1.Zm9vYmFyYmF6cXV4"),
        valid_until: a_time(),
    }
);

mail!(
    WelcomeMail,
    Welcome,
    Self {
        organization: ORGANIZATION.to_owned(),
        first_name: "Bob".to_owned(),
        set_password_link: link("password-reset/confirm?token=0192f0c1-7d3e-7a52-9c1f-2f6f0f6a3b11.1.Zm9vYmFy"),
        valid_until: a_time(),
    }
);

mail!(
    WelcomeToSignInMail,
    WelcomeToSignIn,
    Self { organization: ORGANIZATION.to_owned(), first_name: "Bob".to_owned(), sign_in_link: link("sign-in") }
);

mail!(
    PasswordResetMail,
    PasswordReset,
    Self {
        organization: ORGANIZATION.to_owned(),
        first_name: "Bob".to_owned(),
        reset_link: link("password-reset/confirm?token=0192f0c1-7d3e-7a52-9c1f-2f6f0f6a3b11.1.Zm9vYmFy"),
        valid_until: a_time(),
    }
);

mail!(
    PasswordChangedMail,
    PasswordChanged,
    Self {
        organization: ORGANIZATION.to_owned(),
        first_name: "Bob".to_owned(),
        changed_at: a_time(),
        sign_in_link: link("sign-in"),
        forgot_link: link("password-reset"),
    }
);

mail!(
    InvitationAcceptedMail,
    InvitationAccepted,
    Self {
        organization: ORGANIZATION.to_owned(),
        inviter_first_name: "Alice".to_owned(),
        invitee: "bob@example.com".to_owned(),
        invitee_name: "Bob Builder".to_owned(),
    }
);

mail!(
    InvitationDeclinedMail,
    InvitationDeclined,
    Self {
        organization: ORGANIZATION.to_owned(),
        inviter_first_name: "Alice".to_owned(),
        invitee: "bob@example.com".to_owned(),
    }
);

mail!(
    InvitationBouncedMail,
    InvitationBounced,
    Self {
        organization: ORGANIZATION.to_owned(),
        inviter_first_name: "Alice".to_owned(),
        invitee: "bob@example.com".to_owned(),
        words: Some("550 5.1.1 <bob@example.com>: no such mailbox here".to_owned()),
    }
);

mail!(
    InvitationReminderMail,
    InvitationReminder,
    Self {
        organization: ORGANIZATION.to_owned(),
        inviter: Some("Alice Liddell".to_owned()),
        role: Some("reader".to_owned()),
        accept_link: link("invitations/accept?token=0192f0c1-7d3e-7a52-9c1f-2f6f0f6a3b11.1.Zm9vYmFyYmF6cXV4"),
        decline_link: link("invitations/decline?token=0192f0c1-7d3e-7a52-9c1f-2f6f0f6a3b11.1.Zm9vYmFyYmF6cXV4"),
        valid_until: a_time(),
        stop_link: link("reminders/stop?token=0192f0c1-7d3e-7a52-9c1f-2f6f0f6a3b11.1.c3RvcHN0b3Bz"),
    }
);

mail!(
    AccountExpiringMail,
    AccountExpiring,
    Self { organization: ORGANIZATION.to_owned(), first_name: "Bob".to_owned(), last_day: a_time().date_naive() }
);

mail!(
    CertificateExpiringMail,
    CertificateExpiring,
    Self {
        organization: ORGANIZATION.to_owned(),
        first_name: "Bob".to_owned(),
        connection: Some("Acme Entra ID".to_owned()),
        fingerprint: None,
        ends_at: a_time(),
    }
);

mail!(
    PasswordSetMail,
    PasswordSet,
    Self {
        organization: ORGANIZATION.to_owned(),
        first_name: "Bob".to_owned(),
        set_at: a_time(),
        sign_in_link: link("sign-in?organization=acme"),
        forgot_link: link("password-reset?organization=acme"),
    }
);

mail!(
    SecondFactorEnabledMail,
    SecondFactorEnabled,
    Self {
        organization: ORGANIZATION.to_owned(),
        first_name: "Bob".to_owned(),
        enabled_at: a_time(),
        forgot_link: link("password-reset?organization=acme"),
    }
);

mail!(
    SecondFactorRemovedMail,
    SecondFactorRemoved,
    Self {
        organization: ORGANIZATION.to_owned(),
        first_name: "Bob".to_owned(),
        removed_at: a_time(),
        sign_in_link: link("sign-in?organization=acme"),
        forgot_link: link("password-reset?organization=acme"),
    }
);

mail!(
    LoginUrlMail,
    LoginUrl,
    Self {
        first_name: "Bob".to_owned(),
        email: "bob@example.com".to_owned(),
        places: vec![
            Place { name: ORGANIZATION.to_owned(), sign_in_link: link("sign-in?organization=acme") },
            Place { name: "Globex & Söhne".to_owned(), sign_in_link: link("sign-in?organization=globex") },
        ],
    }
);
