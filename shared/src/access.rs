//! Who acts, and the proof that he may: permissions are types, so that a verb can't be called unchecked.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{FolderId, OrganizationId, PersonalAccessTokenId, SessionId, UserId};
use crate::tenant::Tenant;

/// Where a request came from, for the audit log and the list of sessions.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The id in `X-Request-Id` of the answer.
    pub request_id: Option<String>,
    /// The peer's address.
    pub client_address: Option<String>,
    /// The browser or program, as it calls itself.
    pub user_agent: Option<String>,
    /// `X-Client-Id`, where the caller sent one.
    pub client_id: Option<String>,
}

/// With what someone showed who he is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A sign-in.
    Session(SessionId),
    /// A personal access token.
    Token {
        /// Which.
        id: PersonalAccessTokenId,
        /// Code names of what it may be used for, of all that its owner may; none where it has no such limit.
        scope: Option<Arc<[String]>>,
    },
}

impl Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => write!(f, "session:{id}"),
            Self::Token { id, .. } => write!(f, "token:{id}"),
        }
    }
}

/// Who does something.
#[derive(Clone, Debug)]
pub enum Actor {
    /// A user.
    User {
        /// Who.
        id: UserId,
        /// What the audit log calls him, also after he is gone: his address.
        name: String,
        /// With what, where he had a credential before he did it.
        credential: Option<Credential>,
    },
    /// Someone who has shown no credential.
    Anonymous,
    /// Ourselves: a job, the command line.
    System(&'static str),
}

impl Actor {
    /// The user, if it is one.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// A signed-in user: what a live credential proved. [`crate::sessions::authenticate`] makes it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// His organization.
    pub tenant: Tenant,
    /// Its slug, as given.
    pub organization_slug: String,
    /// Who.
    pub user_id: UserId,
    /// With what.
    pub credential: Credential,
    /// His address.
    pub email: String,
    /// Whether he holds every permission in his organization.
    pub is_superuser: bool,
    /// Whether his organization demands a second factor that he does not have: until he has one, he may do nothing else.
    pub must_enroll: bool,
}

impl Caller {
    /// Him as the one who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::User { id: self.user_id, name: self.email.clone(), credential: Some(self.credential.clone()) }
    }

    /// The session he called with, if it was one.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(id) => Some(id),
            Credential::Token { .. } => None,
        }
    }

    /// What his credential limits him to, as code names, if it does.
    #[must_use]
    pub fn scope(&self) -> Option<&[String]> {
        match &self.credential {
            Credential::Session(_) => None,
            Credential::Token { scope, .. } => scope.as_deref(),
        }
    }

    /// Whether his credential may be used for this, if he may do it.
    fn has_scope(&self, permission: Permission) -> bool {
        self.scope().is_none_or(|scope| scope.iter().any(|known| known == permission.codename()))
    }

    /// Proves, from the state of now, that he holds a permission in the organization of `tx`, which must be his own.
    pub async fn may<P: Permit>(&self, tx: &mut Tx) -> Result<Access<P>> {
        debug_assert_eq!(tx.tenant(), &self.tenant, "a caller acts in his own organization");
        if P::NEEDS_SESSION && self.session().is_none() {
            return Err(session_required().into());
        }
        if let Some(permission) = P::PERMISSION
            && !(self.has_scope(permission) && holds(tx, self.user_id, permission).await?)
        {
            return Err(denied(permission).into());
        }
        Ok(Access { caller: self.clone(), permit: PhantomData })
    }
}

fn denied(permission: Permission) -> Refusal {
    Refusal::forbidden("permission_denied", format!("This needs the permission {}.", permission.codename()))
}

/// A personal access token, for something that only a sign-in will do for.
pub(crate) fn session_required() -> Refusal {
    Refusal::forbidden("session_required", "This needs a session: a personal access token can't do it. Sign in.")
}

async fn holds(tx: &mut Tx, user: UserId, permission: Permission) -> Result<bool> {
    let row = sqlx::query!(
        r#"select (u.is_superuser or exists (select from held_permissions(u.id) h where h.permission = $3)) as "holds!"
           from users u where u.organization_id = $1 and u.id = $2"#,
        tx.organization_id() as OrganizationId,
        user as UserId,
        permission.codename()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.is_some_and(|row| row.holds))
}

/// Whether a user is superuser, as of now.
pub(crate) async fn is_superuser(tx: &mut Tx, user: UserId) -> Result<bool> {
    let found = sqlx::query_scalar!(
        "select is_superuser from users where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found == Some(true))
}

/// What a user holds in one folder.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Where it was granted.
    pub folder_id: FolderId,
    /// The code name.
    pub permission: String,
}

/// Everything a user holds through roles, directly and through groups. A superuser holds all, whatever this says.
pub async fn list_grants(tx: &mut Tx, user: UserId) -> Result<Vec<Grant>> {
    let rows = sqlx::query!(
        r#"select distinct folder_id as "folder_id!: FolderId", permission as "permission!"
           from held_permissions($1) order by 1, 2"#,
        user as UserId
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| Grant { folder_id: row.folder_id, permission: row.permission }).collect())
}

/// Proof that the caller may do what `P` stands for, in his organization, in this unit of work.
#[derive(Debug)]
pub struct Access<P> {
    caller: Caller,
    permit: PhantomData<P>,
}

impl<P> Access<P> {
    /// Whose it is.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// What an operation demands of its caller.
pub trait Permit {
    /// The permission; none where being signed in is enough.
    const PERMISSION: Option<Permission>;
    /// Whether only a sign-in will do. A personal access token must not make, or end, what lives longer than itself.
    const NEEDS_SESSION: bool = false;
}

/// What everyone who is signed in may do: things of his own.
#[derive(Debug)]
pub struct Oneself;

impl Permit for Oneself {
    const PERMISSION: Option<Permission> = None;
}

/// The same, but only in person: with a session, not with a personal access token. For one's own credentials.
#[derive(Debug)]
pub struct InPerson;

impl Permit for InPerson {
    const PERMISSION: Option<Permission> = None;
    const NEEDS_SESSION: bool = true;
}

macro_rules! permissions {
    ($($name:ident $codename:literal;)*) => {
        /// Something a role can allow.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Permission {
            $(#[doc = concat!("`", $codename, "`")] $name,)*
        }

        impl Permission {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// How it is called on the wire and in the database.
            #[must_use]
            pub const fn codename(self) -> &'static str {
                match self { $(Self::$name => $codename,)* }
            }
        }

        $(
            #[doc = concat!("Demands `", $codename, "`.")]
            #[derive(Debug)]
            pub struct $name;
            impl Permit for $name {
                const PERMISSION: Option<Permission> = Some(Permission::$name);
            }
        )*
    };
}

permissions! {
    ViewUser "view_user"; AddUser "add_user"; ChangeUser "change_user"; DeleteUser "delete_user";
    ViewUserGroup "view_user_group"; AddUserGroup "add_user_group"; ChangeUserGroup "change_user_group"; DeleteUserGroup "delete_user_group";
    ViewFolder "view_folder"; AddFolder "add_folder"; ChangeFolder "change_folder"; DeleteFolder "delete_folder";
    ViewRole "view_role"; AddRole "add_role"; ChangeRole "change_role"; DeleteRole "delete_role";
    ViewRoleAssignment "view_role_assignment"; AddRoleAssignment "add_role_assignment";
    ChangeRoleAssignment "change_role_assignment"; DeleteRoleAssignment "delete_role_assignment";
    ViewTeam "view_team"; AddTeam "add_team"; ChangeTeam "change_team"; DeleteTeam "delete_team";
    ViewInvitation "view_invitation"; InviteUser "invite_user";
    ViewEmail "view_email"; RetryEmail "retry_email";
    ViewEmailSuppression "view_email_suppression"; AddEmailSuppression "add_email_suppression";
    DeleteEmailSuppression "delete_email_suppression";
    ViewAuditLog "view_audit_log"; ManageSso "manage_sso"; ManageTokens "manage_tokens"; SetPassword "set_password";
    ChangeOrganization "change_organization"; ChangeUsage "change_usage";
}
