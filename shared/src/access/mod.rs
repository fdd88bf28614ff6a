//! Who acts, and the proof that he may: permissions are types, so that a verb can't be called unchecked.

mod checks;
mod permissions;
mod reach;
mod rights;
mod standing;

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{FolderId, OrganizationId, PersonalAccessTokenId, SessionId, UserId};
use crate::tenant::Tenant;

pub use checks::{MAX_CHECKS, Question, Verdict, check};
pub use permissions::*;
pub(crate) use reach::Reach;
pub(crate) use rights::{Rights, cannot_grant, demand_grantable, has_administrator, hold, lock};
pub use standing::Standing;

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

    /// Proves, from the state of now, that he holds a permission somewhere in the organization of `tx`, which must be his
    /// own; and where. One that is about the organization as a whole, he must hold over the root.
    pub async fn may<P: Permit>(&self, tx: &mut Tx) -> Result<Access<P>> {
        debug_assert_eq!(tx.tenant(), &self.tenant, "a caller acts in his own organization");
        if P::NEEDS_SESSION && self.session().is_none() {
            return Err(session_required().into());
        }
        let reach = match P::PERMISSION {
            None => Reach::default(),
            Some(permission) => {
                let reach = Reach::load(tx, self.holder(), permission).await?;
                let enough =
                    if permission.is_organization_wide() { reach.covers_root(tx).await? } else { !reach.is_empty() };
                if !enough {
                    return Err(denied(permission).into());
                }
                reach
            }
        };
        Ok(Access { caller: self.clone(), reach, permit: PhantomData })
    }

    /// Refuses a token for what is its owner's own: one with a scope was not made to write any of it.
    pub(crate) fn demand_own(&self) -> Result<(), Refusal> {
        if self.scope().is_some() { Err(session_required()) } else { Ok(()) }
    }

    /// Him as one who holds rights.
    pub(crate) fn holder(&self) -> Holder<'_> {
        Holder { user: self.user_id, scope: self.scope() }
    }

    /// What his credential limits him to, as code names, if it does.
    pub(crate) fn scope(&self) -> Option<&[String]> {
        match &self.credential {
            Credential::Session(_) => None,
            Credential::Token { scope, .. } => scope.as_deref(),
        }
    }
}

/// Someone who holds rights, and what limits his credential beyond them, if anything does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder<'a> {
    pub(crate) user: UserId,
    /// Code names.
    pub(crate) scope: Option<&'a [String]>,
}

impl Holder<'_> {
    /// Whether his credential may be used for this, if he may do it.
    fn has_scope(&self, permission: &str) -> bool {
        self.scope.is_none_or(|scope| scope.iter().any(|known| known == permission))
    }

    /// Whether he is superuser as of now, and his credential is without a limit.
    pub(crate) async fn is_superuser(&self, tx: &mut Tx) -> Result<bool> {
        if self.scope.is_some() {
            return Ok(false);
        }
        let found = sqlx::query_scalar!(
            "select is_superuser and is_active and coalesce(expiry_date >= $3, true) from users
             where organization_id = $1 and id = $2",
            tx.organization_id() as OrganizationId,
            self.user as UserId,
            tx.now().date_naive()
        )
        .fetch_optional(tx.connection())
        .await?;
        Ok(found == Some(Some(true)))
    }

    /// Whether he holds all of some permissions over a folder; `deeply`: and over all below it.
    pub(crate) async fn holds(
        &self,
        tx: &mut Tx,
        permissions: &[String],
        folder: FolderId,
        deeply: bool,
    ) -> Result<bool> {
        Ok(sqlx::query_scalar!(
            r#"select holds($1, $2, $3, $4, $5) as "holds!""#,
            self.user as UserId,
            self.scope,
            permissions,
            folder as FolderId,
            deeply
        )
        .fetch_one(tx.connection())
        .await?)
    }
}

pub(crate) fn denied(permission: Permission) -> Refusal {
    Refusal::forbidden("permission_denied", format!("This needs the permission {}.", permission.codename()))
}

/// A personal access token, for something that only a sign-in will do for.
pub(crate) fn session_required() -> Refusal {
    Refusal::forbidden("session_required", "This needs a session: a personal access token can't do it. Sign in.")
}

/// Proof that the caller may do what `P` stands for, in his organization, in this unit of work.
#[derive(Debug)]
pub struct Access<P> {
    caller: Caller,
    reach: Reach,
    permit: PhantomData<P>,
}

impl<P> Access<P> {
    /// Whose it is.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Over which folders.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }
}
