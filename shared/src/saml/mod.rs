//! Single sign-on by SAML 2.0: each organization is a service provider of its own, and its companies' identity providers are
//! its connections. What a message says and whether it is genuine is the business of `tenantry-saml`; what follows from it is
//! decided here.

mod ask;
mod choose;
mod connect;
mod connections;
mod event_log;
mod fetch;
mod group_mapping;
mod keys;
mod logout;
mod noted;
mod notices;
mod own;
mod person;
mod provision;
mod purge;
mod refresh;
mod refused;
mod requests;
mod required;
mod sign_in;
mod test_sign_in;
mod workers;

pub use ask::{Asked, Way, ask, ask_for_test, ask_with_invitation, is_own_path};
pub use choose::{Next, Ways, ways_in};
pub use connect::{CompanyAccount, ask_to_connect, disconnect, list_company_accounts};
pub use connections::{
    AttributeMapping, Binding, CertificateFacts, Choice, Connection, ConnectionPatch, GroupTarget, MappedGroup,
    NewMapping, Provider, ProviderPatch, Source, change_connection, create_connection, delete_connection, find_active,
    find_active_by_email, find_active_by_entity_id, get_connection, list_active, list_connections,
};
pub use event_log::{SamlEvent, SamlEventFilter, list_events};
pub use fetch::{FetchError, Fetcher, LARGEST_METADATA};
pub(crate) use keys::reseal;
pub use keys::{
    Key, KeyMaker, KeyState, NewKey, OpenKey, OwnKeys, activate_key, add_key, delete_key, get_key, list_keys,
    load_keys, room_for_key,
};
pub use logout::{LoggedOut, RawMessage, receive_logout, sign_out};
pub use notices::notify_some;
pub(crate) use notices::{is_near, last_end};
pub use own::metadata;
pub(crate) use purge::forget_requests;
pub use purge::purge_some;
pub use refresh::{Refresh, load_refresh, record_refresh, refresh_some};
pub use requests::Browser;
pub(crate) use required::has_way_in;
pub use required::{Preview, is_required, preview, release};
pub use sign_in::{Outcome, Posted, receive};
pub use test_sign_in::{Failure, NewTest, Said, SeenAttribute, Test, TestResult, begin_test, get_test};
pub use workers::Workers;

use crate::config::PublicUrl;
use crate::db::Db;
use crate::ids::SamlConnectionId;
use crate::limits::Limiter;
use crate::seal::Seals;

/// What the conversation with identity providers takes.
#[derive(Clone, Copy, Debug)]
pub struct Sso<'a> {
    /// Where organizations are.
    pub db: &'a Db,
    /// Who counts what strangers begin.
    pub limiter: &'a Limiter,
    /// What our private keys are encrypted with.
    pub seals: &'a Seals,
    /// Who verifies and signs.
    pub workers: &'a Workers,
    /// How people and providers reach us.
    pub public_url: &'a PublicUrl,
}

/// What an organization is called and reached by as a service provider: what an administrator tells his identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrls {
    /// Its entity id, which is the address of its metadata.
    pub entity_id: String,
    /// Where identity providers send assertions.
    pub acs_url: String,
    /// Where they send what is about logging out.
    pub slo_url: String,
}

impl ServiceUrls {
    /// Those of the organization of a slug, as it was given when it was made: providers compare letter by letter.
    #[must_use]
    pub fn new(public_url: &PublicUrl, slug: &str) -> Self {
        let of = |what: &str| public_url.join(&format!("/v1/saml/{slug}/{what}"));
        Self { entity_id: of("metadata"), acs_url: of("acs"), slo_url: of("slo") }
    }

    /// Where people begin to sign in through a connection.
    #[must_use]
    pub fn sign_in_url(&self, connection: SamlConnectionId) -> String {
        let base = self.entity_id.trim_end_matches("metadata");
        format!("{base}login?connection={connection}")
    }
}
