//! What handlers share, and the one way into an organization.

use std::sync::Arc;

use tenantry_shared::Error;
use tenantry_shared::access::{Access, Origin, Permit};
use tenantry_shared::config::PublicUrl;
use tenantry_shared::db::{Db, Tx};
use tenantry_shared::email_domains::Resolver;
use tenantry_shared::limits::Limiter;
use tenantry_shared::organizations::Operator;
use tenantry_shared::passwords::Hasher;
use tenantry_shared::saml::Sso;
use tenantry_shared::secret::Links;
use tenantry_shared::sessions::{Door, SignInKeys};
use tenantry_shared::signature::SigningSecret;

use crate::auth::SignedIn;
use crate::problem::ApiResult;
use crate::saml::SamlTools;

/// What handlers share. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) db: Db,
    pub(crate) links: Links,
    pub(crate) hasher: Hasher,
    pub(crate) sign_in_keys: SignInKeys,
    pub(crate) limiter: Limiter,
    pub(crate) public_url: Arc<PublicUrl>,
    pub(crate) platform_slug: Arc<str>,
    /// How much an organization may use in a month, where operators have not said otherwise.
    pub(crate) usage_limit: i64,
    pub(crate) redis: redis::Client,
    pub(crate) saml: SamlTools,
    pub(crate) resolver: Resolver,
    /// Where it is none, no delivery events are taken.
    pub(crate) email_events_secret: Option<SigningSecret>,
}

impl App {
    /// Begins a unit of work in the organization of a slug, for a caller who may do there what `P` stands for. Another
    /// organization's slug and one that does not exist are the same 404.
    pub(crate) async fn enter<P: Permit>(&self, caller: &SignedIn, slug: &str) -> ApiResult<(Tx, Access<P>)> {
        caller.demand_own(slug)?;
        self.enter_own(caller).await
    }

    /// The same in the caller's own organization, where the path names none.
    pub(crate) async fn enter_own<P: Permit>(&self, caller: &SignedIn) -> ApiResult<(Tx, Access<P>)> {
        let SignedIn { caller, origin, only_reads } = caller;
        let (tenant, actor, origin) = (&caller.tenant, caller.actor(), origin.clone());
        let mut tx = match only_reads {
            true => self.db.look(tenant, actor, origin).await?,
            false => self.db.begin(tenant, actor, origin).await?,
        };
        let access = caller.may::<P>(&mut tx).await?;
        Ok((tx, access))
    }

    /// What conversations with identity providers take.
    pub(crate) fn sso(&self) -> Sso<'_> {
        Sso {
            db: &self.db,
            limiter: &self.limiter,
            seals: &self.saml.seals,
            workers: &self.saml.workers,
            public_url: &self.public_url,
        }
    }

    /// What strangers are looked at with.
    pub(crate) fn door(&self) -> Door<'_> {
        Door {
            db: &self.db,
            hasher: &self.hasher,
            limiter: &self.limiter,
            keys: &self.sign_in_keys,
            platform_slug: &self.platform_slug,
        }
    }

    /// What came of a link, or of what else is carried from one step to the next. One that is none of ours, or dead, counts
    /// against whoever sent it.
    pub(crate) async fn of_link<T>(&self, origin: &Origin, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Refused(refusal)) = &outcome
            && ["link_dead", "session_token_dead", "sign_in_again"].contains(&refusal.code)
        {
            self.limiter.wrong_link(origin).await?;
        }
        outcome
    }

    /// Whether the caller is an operator.
    pub(crate) fn operator(&self, caller: &SignedIn) -> Option<Operator> {
        Operator::find(&caller.caller, &self.platform_slug)
    }
}
