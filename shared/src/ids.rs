//! Typed ids: UUIDv7, so that rows of one table lie in the order of their birth.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// An id that can be made anew.
pub trait TypedId: Sized {
    /// Wraps a UUID.
    fn from_uuid(id: Uuid) -> Self;
}

/// A new UUIDv7 for `now`.
#[must_use]
pub fn new_uuid(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.timestamp_subsec_nanos());
    Uuid::new_v7(time)
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(Uuid);

        impl TypedId for $name {
            fn from_uuid(id: Uuid) -> Self { Self(id) }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }
        impl From<$name> for Uuid {
            fn from(id: $name) -> Self { id.0 }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
        }
    )*};
}

typed_ids! {
    /// An organization. Rarely what you want: a function that works for one takes a [`crate::tenant::Tenant`].
    OrganizationId;
    /// A user of one organization.
    UserId;
    /// A sign-in of a user.
    SessionId;
    /// A credential for programs that a user made.
    PersonalAccessTokenId;
    /// A token that hands a session to a browser.
    SessionTokenId;
    /// A word of someone about being an analyst.
    AnalystConsentId;
    /// A folder in an organization's tree.
    FolderId;
    /// A named set of permissions.
    RoleId;
    /// A group of users.
    UserGroupId;
    /// People who work together.
    TeamId;
    /// A role given to a user or a group.
    RoleAssignmentId;
    /// An invitation.
    InvitationId;
    /// A mail and its delivery.
    EmailId;
    /// An address that is never mailed.
    EmailSuppressionId;
    /// A request for a new password.
    PasswordResetId;
    /// The wish for one, before anyone has looked who has the address.
    PasswordResetRequestId;
    /// An e-mail domain that an organization claims.
    EmailDomainId;
    /// The wish to know where one can sign in, before anyone has looked who has the address.
    LoginUrlRequestId;
    /// A long-running job a caller can watch.
    JobId;
    /// An entry of the audit log.
    AuditEventId;
    /// A key pair of an organization as a SAML service provider.
    SamlKeyId;
    /// A company's identity provider.
    SamlConnectionId;
    /// What came of one sign-in through an identity provider.
    SamlEventId;
}
