//! What invitations look like on the wire.

use chrono::{DateTime, Utc};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};
use tenantry_shared::Refusal;
use tenantry_shared::invitations::{Invitation, InvitationInput, NewInvitation, Status};
use tenantry_shared::objects::{Kind, Names};
use uuid::Uuid;

use crate::emails::DeliveryStatus;
use crate::input::Input;
use crate::objects::StoredRef;
use crate::problem::ProblemBody;

/// Where an invitation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum InvitationStatus {
    /// Can be accepted.
    Pending,
    /// Was accepted: the invitee is a user now.
    Accepted,
    /// Was declined by the invitee.
    Declined,
    /// Was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

impl InvitationStatus {
    pub(super) fn shared(self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Accepted => Status::Accepted,
            Self::Declined => Status::Declined,
            Self::Revoked => Status::Revoked,
            Self::Expired => Status::Expired,
        }
    }

    fn of(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Accepted => Self::Accepted,
            Status::Declined => Self::Declined,
            Status::Revoked => Self::Revoked,
            Status::Expired => Self::Expired,
        }
    }
}

/// How the delivery of an invitation's mail stands.
#[derive(Debug, Object)]
pub(crate) struct Delivery {
    /// Whether it arrived.
    pub(super) status: DeliveryStatus,
    /// How often it was tried.
    pub(super) attempts: i32,
    /// Why it did not arrive, in the mail system's words.
    pub(super) last_error: Option<String>,
    /// When the mail server took it.
    pub(super) sent_at: Option<DateTime<Utc>>,
    /// When the invitee's mail server had it, where that was reported.
    pub(super) delivered_at: Option<DateTime<Utc>>,
}

/// An invitation.
#[derive(Debug, Object)]
#[oai(rename = "Invitation")]
pub(crate) struct InvitationOut {
    /// Its id.
    pub(super) uuid: Uuid,
    /// The invitee's address, as typed.
    pub(super) invitee_identifier: String,
    /// The built-in role he will hold.
    pub(super) role: Option<String>,
    /// Over which folder.
    pub(super) folder: StoredRef,
    /// The groups he will join, as far as you may see them.
    pub(super) user_groups: Vec<Uuid>,
    /// The teams he will join, as far as you may see them.
    pub(super) teams: Vec<Uuid>,
    /// By which user; null for the first administrator of an organization, or where the inviter is gone.
    pub(super) invited_by: Option<StoredRef>,
    /// When it was sent, or sent again.
    pub(super) sent_at: DateTime<Utc>,
    /// Until when it can be accepted.
    pub(super) valid_until: DateTime<Utc>,
    /// Where it stands.
    pub(super) status: InvitationStatus,
    /// How often it was sent again.
    pub(super) resent_count: i32,
    /// The language of its mail.
    pub(super) locale: String,
    /// A word from the inviter.
    pub(super) message: Option<String>,
    /// How its mail stands.
    pub(super) delivery: Delivery,
    #[oai(skip)]
    pub(super) version: i64,
}

impl InvitationOut {
    pub(super) fn new(invitation: Invitation, names: &Names, now: DateTime<Utc>) -> Self {
        Self {
            uuid: invitation.id,
            status: InvitationStatus::of(invitation.status(now)),
            invitee_identifier: invitation.invitee_identifier,
            role: invitation.role,
            folder: StoredRef::new(names, Kind::Folder, invitation.folder_id),
            user_groups: StoredRef::all(names, Kind::UserGroup, &invitation.user_groups),
            teams: StoredRef::all(names, Kind::Team, &invitation.teams),
            invited_by: invitation.invited_by.map(|id| StoredRef::new(names, Kind::User, id)),
            sent_at: invitation.sent_at,
            valid_until: invitation.valid_until,
            resent_count: invitation.resent_count,
            locale: invitation.locale,
            message: invitation.message,
            delivery: Delivery {
                status: DeliveryStatus::from_name(invitation.delivery_status.as_deref().unwrap_or("queued")),
                attempts: invitation.delivery_attempts.unwrap_or(0),
                last_error: invitation.delivery_last_error,
                sent_at: invitation.delivery_sent_at,
                delivered_at: invitation.delivery_delivered_at,
            },
            version: invitation.version,
        }
    }
}

/// An invitation to be made. `role` or `user_groups` is needed.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct InvitationIn {
    /// The invitee's e-mail address.
    pub(super) invitee_identifier: String,
    /// The built-in role to hold.
    pub(super) role: Option<String>,
    /// Over which folder; the whole organization if not given.
    pub(super) folder: Option<Uuid>,
    /// Groups to join.
    #[oai(default)]
    pub(super) user_groups: Vec<Uuid>,
    /// Teams to join as a member: those that you may change.
    #[oai(default)]
    pub(super) teams: Vec<Uuid>,
    /// The language of the mail: `en`, `de`, `fr`; the organization's if not given.
    pub(super) locale: Option<String>,
    /// A word from the inviter, at most 1000 characters.
    pub(super) message: Option<String>,
    /// For how many seconds it can be accepted: 3600 to 7776000; the organization's setting if not given.
    pub(super) valid_for: Option<i64>,
}

impl Input for InvitationIn {
    const READ_ONLY: &'static [&'static str] =
        &["uuid", "invited_by", "sent_at", "valid_until", "status", "resent_count", "delivery"];
}
impl Input for ResendManyIn {}
impl Input for LinkIn {}
impl Input for AcceptIn {}

impl InvitationIn {
    pub(super) fn check(self) -> Result<NewInvitation, Refusal> {
        NewInvitation::check(InvitationInput {
            invitee_identifier: self.invitee_identifier,
            role: self.role,
            folder: self.folder,
            user_groups: self.user_groups,
            teams: self.teams,
            locale: self.locale,
            message: self.message,
            valid_for: self.valid_for,
        })
    }
}

/// What came of a batch.
#[derive(Debug, Object)]
#[oai(rename = "InvitationBatch")]
pub(crate) struct BatchOut {
    /// One a row, in the order sent.
    pub(super) results: Vec<BatchResult>,
}

/// What came of one row of a batch.
#[derive(Debug, Object)]
#[oai(rename = "InvitationBatchResult")]
pub(crate) struct BatchResult {
    /// Which row, from 0.
    pub(super) index: u32,
    /// The status that the row alone would have got: 201, or that of `problem`.
    pub(super) status: u16,
    /// What was made.
    pub(super) invitation: Option<InvitationOut>,
    /// Why nothing was made.
    pub(super) problem: Option<ProblemBody>,
}

/// Which invitations to resend.
#[derive(Debug, Object)]
#[oai(rename = "ResendInvitationsIn", deny_unknown_fields)]
pub(crate) struct ResendManyIn {
    /// `pending`.
    pub(super) status: InvitationStatus,
    /// Only those that were last sent at least so many seconds ago.
    pub(super) older_than: Option<i64>,
}

/// A job that was begun; read it at `/jobs/{id}`.
#[derive(Debug, Object)]
pub(crate) struct JobRef {
    /// Its id.
    pub(super) id: Uuid,
}

/// The token of a mailed link.
#[derive(Object)]
#[oai(rename = "InvitationLinkIn", deny_unknown_fields)]
pub(crate) struct LinkIn {
    /// The token.
    pub(super) token: String,
}

/// What accepting takes.
#[derive(Object)]
#[oai(rename = "InvitationAcceptIn", deny_unknown_fields)]
pub(crate) struct AcceptIn {
    /// The token of the link.
    pub(super) token: String,
    /// At most 150 characters.
    #[oai(default)]
    pub(super) first_name: String,
    /// At most 150 characters.
    #[oai(default)]
    pub(super) last_name: String,
    /// 15 to 128 characters, nothing easy to guess. Not needed where the organization demands single sign-on.
    #[oai(default)]
    pub(super) password: String,
}

/// A new user's first session.
#[derive(Object)]
#[oai(rename = "InvitationAccepted")]
pub(crate) struct AcceptOut {
    /// Send it as `Authorization: Bearer <token>`. It is shown this once.
    pub(super) token: String,
    /// Until when it is good.
    pub(super) expiry: DateTime<Utc>,
    /// The slug of the organization.
    pub(super) organization: String,
}

/// Where the invitee signs in through his company's identity provider.
#[derive(Object)]
pub(crate) struct SignInFirst {
    /// To be opened in his browser. When he has signed in there, the invitation is accepted.
    pub(super) sign_in_url: String,
    /// The slug of the organization.
    pub(super) organization: String,
}

/// What an invitation says to whoever holds its link.
#[derive(Debug, Object)]
#[oai(rename = "InvitationPreview")]
pub(crate) struct PreviewOut {
    /// Who invites: the organization's name.
    pub(super) organization_name: String,
    /// Its slug.
    pub(super) organization: String,
    /// The inviter's name.
    pub(super) inviter: Option<String>,
    /// The built-in role.
    pub(super) role: Option<String>,
    /// The invitee's address.
    pub(super) invitee_identifier: String,
    /// A word from the inviter.
    pub(super) message: Option<String>,
    /// Until when it can be accepted.
    pub(super) valid_until: DateTime<Utc>,
    /// Whether the organization demands single sign-on: then there is no password to choose, and accepting answers where to
    /// sign in.
    pub(super) sso_required: bool,
}

/// 201 with the first session, or 200 with the way to it.
#[derive(ApiResponse)]
pub(crate) enum Welcome {
    /// The invitee is a user now, and signed in.
    #[oai(status = 201)]
    In(Json<AcceptOut>),
    /// Nothing is done yet: the organization demands single sign-on.
    #[oai(status = 200)]
    SignIn(Json<SignInFirst>),
}
