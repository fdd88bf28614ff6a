//! Single sign-on by SAML: what administrators do.

pub(crate) mod connections;
pub(crate) mod events;
pub(crate) mod keys;
pub(crate) mod test_sign_ins;
mod wire;

use tenantry_shared::config::{ConfigError, PublicUrl};
use tenantry_shared::saml::{Fetcher, KeyMaker, Workers};
use tenantry_shared::seal::{Purpose, Seals};
use tenantry_shared::secret::SecretKeys;

/// What it takes beside the database. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct SamlTools {
    /// Private keys are encrypted with this.
    pub(crate) seals: Seals,
    pub(crate) maker: KeyMaker,
    pub(crate) fetcher: Fetcher,
    /// Messages are verified and signed by these.
    pub(crate) workers: Workers,
}

impl SamlTools {
    pub(crate) fn new(public_url: &PublicUrl, keys: &SecretKeys) -> Result<Self, ConfigError> {
        Ok(Self {
            seals: Seals::new(Purpose::SamlKeys, keys).map_err(|e| ConfigError(e.to_string()))?,
            maker: KeyMaker::default(),
            fetcher: Fetcher::new(public_url)?,
            workers: Workers::default(),
        })
    }
}
