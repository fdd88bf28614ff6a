//! How often a stranger may fail: at passwords, at links, at requests for a new password.
//!
//! What is tried is counted before it is looked at, and given back when it was right: so a hundred attempts at the same
//! time are a hundred, and none over the limit costs a hash. The counters are in Redis, for all processes together; while
//! it does not answer, each process counts for itself. Keys are HMACs: nobody reads from them who tried what.

mod config;
mod local;
mod redis;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub use config::{LimitsConfig, Rate};

use self::config::LONGEST_WAIT;
use self::local::Local;
use self::redis::Shared;
use crate::access::Origin;
use crate::clock::Clock;
use crate::config::{ConfigError, RedisConfig};
use crate::email_address;
use crate::error::{Error, Refusal, Result};
use crate::ids::UserId;
use crate::secret::SecretKey;
use crate::tenant::Tenant;

/// How long a client that is new to a besieged account waits before each attempt, in milliseconds,
const DELAY: i64 = LONGEST_WAIT.num_milliseconds();
/// and how long after that the attempt may be made, before it has to wait again.
const WAITED_FOR: i64 = TimeDelta::minutes(10).num_milliseconds();
/// How long a client stays familiar to an account that it signed in to.
const FAMILIAR_FOR: i64 = TimeDelta::days(30).num_milliseconds();

type Key = [u8; 16];
type Bucket = (Key, Rate);

/// What came of taking.
enum Taken {
    /// One was taken of each bucket, or of each but the account's, if that is besieged.
    Yes { is_besieged: bool },
    /// None was: so many milliseconds are to be waited.
    No(i64),
}

impl Taken {
    fn of(wait: i64, is_besieged: bool) -> Self {
        if wait > 0 { Self::No(wait) } else { Self::Yes { is_besieged } }
    }
}

/// What an attempt takes one of.
#[derive(Clone)]
struct Buckets {
    /// Those that refuse when they are empty. A success forgets the first.
    strict: Vec<Bucket>,
    siege: Option<Siege>,
}

/// The bucket of an account, which refuses nobody. While it is empty, clients that are not familiar wait.
#[derive(Clone)]
struct Siege {
    account: Bucket,
    /// Its bucket was empty when the attempt was made, so that none was taken of it.
    is_on: bool,
    waited: Key,
    familiar: Key,
}

impl Buckets {
    fn all(&self) -> impl Iterator<Item = Bucket> {
        self.strict.iter().copied().chain(self.siege.iter().map(|siege| siege.account))
    }

    /// Those that an attempt has taken one of.
    fn taken(&self) -> impl Iterator<Item = Bucket> {
        let besieged = self.siege.iter().filter(|siege| !siege.is_on);
        self.strict.iter().copied().chain(besieged.map(|siege| siege.account))
    }
}

/// Where a stranger is stopped, as metrics name it.
const DOORS: [&str; 9] = [
    "sign_in",
    "password_reset",
    "login_url",
    "link",
    "company_sign_in",
    "company_metadata",
    "company_message",
    "own_secret",
    "domain_lookup",
];

/// Says what the numbers mean that come from here, in the process that looks at strangers.
pub fn describe() {
    metrics::describe_counter!(
        "tenantry_attempts_refused_total",
        "Attempts that were not looked at: too many failed before."
    );
    for door in DOORS {
        // From the start, for an alert can't compare with what is not there.
        metrics::counter!("tenantry_attempts_refused_total", "door" => door).increment(0);
    }
}

/// Counts failures. Clones count together.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    rates: LimitsConfig,
    key: [u8; 32],
    clock: Clock,
    shared: Shared,
    local: Local,
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Limiter")
    }
}

/// One attempt, counted as a failure unless it is said to be none.
#[must_use = "an attempt counts as a failure until it is said what came of it"]
#[derive(Debug)]
pub struct Attempt {
    limiter: Limiter,
    buckets: Buckets,
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Buckets")
    }
}

impl Limiter {
    /// Connects to nothing yet.
    pub fn new(
        rates: &LimitsConfig,
        redis: &RedisConfig,
        secret: &SecretKey,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let key = secret.derive("tenantry/limits/1").map_err(|e| ConfigError(e.to_string()))?;
        let shared = Shared::new(redis, Duration::from_millis(rates.limit_patience_ms))?;
        Ok(Self(Arc::new(Inner { rates: rates.clone(), key, clock, shared, local: Local::default() })))
    }

    /// An attempt to sign in, by what was typed, whether there is such an account or not.
    pub async fn sign_in(&self, slug: &str, username: &str, origin: &Origin) -> Result<Attempt> {
        self.take("sign_in", self.of_sign_in(slug, username, origin)).await
    }

    /// A sign-in succeeded whose attempt was given back when its first step was done: this client begins anew, and is familiar.
    pub(crate) async fn signed_in(&self, slug: &str, username: &str, origin: &Origin) {
        let mut buckets = self.of_sign_in(slug, username, origin);
        // Of the others nothing is left to be given back.
        buckets.strict.truncate(1);
        if let Some(siege) = &mut buckets.siege {
            siege.is_on = true;
        }
        Attempt { limiter: self.clone(), buckets }.succeeded().await;
    }

    fn of_sign_in(&self, slug: &str, username: &str, origin: &Origin) -> Buckets {
        // Slugs are ASCII: letters that are small ones of ASCII in some alphabet only make no other bucket of one.
        let (slug, username, client) = (slug.to_ascii_lowercase(), email_address::key(username), network(origin));
        let rates = &self.0.rates;
        Buckets {
            strict: vec![
                (self.key("pair", &[&slug, &username, &client]), rates.limit_account_and_client),
                (self.key("client", &[&client]), rates.limit_client),
            ],
            siege: Some(Siege {
                account: (self.key("account", &[&slug, &username]), rates.limit_account),
                is_on: false,
                waited: self.key("waited", &[&slug, &username, &client]),
                familiar: self.key("familiar", &[&slug, &username, &client]),
            }),
        }
    }

    /// A request for a new password: each counts. There is no limit of the account alone, for a stranger could use it up.
    pub async fn password_reset(&self, slug: &str, email: &str, origin: &Origin) -> Result<()> {
        let (slug, email, client) = (slug.to_ascii_lowercase(), email_address::key(email), network(origin));
        let rates = &self.0.rates;
        let strict = vec![
            (self.key("reset pair", &[&slug, &email, &client]), rates.limit_account_and_client),
            (self.key("reset", &[&client]), rates.limit_password_resets),
        ];
        self.take("password_reset", Buckets { strict, siege: None }).await.map(drop)
    }

    /// Someone asks where an address signs in: each counts, found or not. There is no limit of the address alone, for the
    /// same reason.
    pub async fn login_url(&self, email: &str, origin: &Origin) -> Result<()> {
        let (email, client) = (email_address::key(email), network(origin));
        let rates = &self.0.rates;
        let strict = vec![
            (self.key("login url pair", &[&email, &client]), rates.limit_account_and_client),
            (self.key("login url", &[&client]), rates.limit_login_urls),
        ];
        self.take("login_url", Buckets { strict, siege: None }).await.map(drop)
    }

    /// A link that is none of ours was tried. They can't be guessed: this is against the load only, and the holder of a good
    /// link is never asked to wait.
    pub async fn wrong_link(&self, origin: &Origin) -> Result<()> {
        let strict = vec![(self.key("link", &[&network(origin)]), self.0.rates.limit_wrong_links)];
        self.take("link", Buckets { strict, siege: None }).await.map(drop)
    }

    /// A sign-in through an identity provider is begun, by anyone: each is a row until it is answered, or its time is over.
    pub async fn company_sign_in(&self, origin: &Origin) -> Result<()> {
        let strict = vec![(self.key("company", &[&network(origin)]), self.0.rates.limit_company_sign_ins)];
        self.take("company_sign_in", Buckets { strict, siege: None }).await.map(drop)
    }

    /// Our metadata are asked for, by anyone: they are signed each time.
    pub(crate) async fn company_metadata(&self, origin: &Origin) -> Result<()> {
        let strict = vec![(self.key("metadata", &[&network(origin)]), self.0.rates.limit_company_sign_ins)];
        self.take("company_metadata", Buckets { strict, siege: None }).await.map(drop)
    }

    /// A message that is said to be an identity provider's. It costs us more to look at than its sender to make, if it is none.
    pub(crate) async fn company_message(&self, origin: &Origin) -> Result<Attempt> {
        let strict = vec![(self.key("message", &[&network(origin)]), self.0.rates.limit_company_messages)];
        self.take("company_message", Buckets { strict, siege: None }).await
    }

    /// Someone who is signed in shows that he knows a secret of his own: his password, before he changes it.
    pub async fn own_secret(&self, user: UserId) -> Result<Attempt> {
        let strict = vec![(self.key("own", &[&user.to_string()]), self.0.rates.limit_own_secrets)];
        self.take("own_secret", Buckets { strict, siege: None }).await
    }

    /// An organization has its proof of a domain looked up: each asks a name server that others choose.
    pub async fn domain_lookup(&self, for_whom: &Tenant) -> Result<()> {
        let strict = vec![(self.key("lookup", &[&for_whom.id().to_string()]), self.0.rates.limit_domain_lookups)];
        self.take("domain_lookup", Buckets { strict, siege: None }).await.map(drop)
    }

    /// Whether a refused sign-in is written into an audit log. Up to the limit, or whoever guesses could fill the disk; each
    /// process counts for itself. All organizations count together: with a count of each, whoever has used up that of the
    /// platform organization, which stands in for slugs that are nobody's, could tell them by an answer without a commit.
    pub(crate) fn may_note(&self) -> bool {
        self.has_room("noted", &[])
    }

    /// The same of an identity provider's message, which costs its sender nothing: each organization counts for itself, and
    /// for nothing else. That it exists is no secret here, its metadata tell.
    pub(crate) fn may_note_message(&self, to: &Tenant) -> bool {
        self.has_room("noted_message", &[&to.id().to_string()])
    }

    fn has_room(&self, what: &'static str, of: &[&str]) -> bool {
        let noted = (self.key(what, of), self.0.rates.limit_refusals_noted);
        matches!(self.0.local.take(&Buckets { strict: vec![noted], siege: None }, self.now()), Taken::Yes { .. })
    }

    async fn take(&self, door: &'static str, mut buckets: Buckets) -> Result<Attempt> {
        let now = self.now();
        let taken = match self.0.shared.take(&buckets, now).await {
            Ok(taken) => taken,
            Err(redis::Away) => self.0.local.take(&buckets, now),
        };
        let wait = match taken {
            Taken::Yes { is_besieged } => {
                if let Some(siege) = &mut buckets.siege {
                    siege.is_on = is_besieged;
                }
                return Ok(Attempt { limiter: self.clone(), buckets });
            }
            Taken::No(wait) => wait,
        };
        metrics::counter!("tenantry_attempts_refused_total", "door" => door).increment(1);
        Err(too_many(wait).into())
    }

    fn now(&self) -> i64 {
        self.0.clock.now().timestamp_millis()
    }

    fn key(&self, purpose: &str, parts: &[&str]) -> Key {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0.key).expect("HMAC takes a key of any length");
        for part in [&[purpose], parts].concat() {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        key
    }
}

impl Attempt {
    /// It was right: whoever made it begins anew, and is familiar.
    pub async fn succeeded(self) {
        let Self { limiter: Limiter(limiter), buckets } = &self;
        let now = self.limiter.now();
        if limiter.shared.clear(buckets, now).await.is_err() {
            limiter.local.give_back(buckets, now);
            limiter.local.clear(buckets, now);
        }
    }

    /// It was neither right nor wrong: it counts for nothing.
    pub async fn forget(self) {
        let Self { limiter: Limiter(limiter), buckets } = &self;
        let now = self.limiter.now();
        if limiter.shared.give_back(buckets, now).await.is_err() {
            limiter.local.give_back(buckets, now);
        }
    }

    /// What became of an identity provider's message: a refused one stays counted. A good one counts for nothing and forgives
    /// nothing: anybody who works at a company has one.
    pub(crate) async fn judge_message<T>(self, outcome: Result<T>) -> Result<T> {
        if !matches!(outcome, Err(Error::Refused(_))) {
            self.forget().await;
        }
        outcome
    }

    /// What the outcome says of it: one of `failures` leaves it counted, and trouble of another kind does not.
    pub async fn judge<T>(self, outcome: Result<T>, failures: &[&str]) -> Result<T> {
        match &outcome {
            Ok(_) => self.succeeded().await,
            Err(Error::Refused(refusal)) if failures.contains(&refusal.code) => {}
            Err(_) => self.forget().await,
        }
        outcome
    }
}

fn too_many(wait: i64) -> Refusal {
    let seconds = u64::try_from(wait).unwrap_or(0).div_ceil(1_000).max(1);
    Refusal::too_often("too_many_attempts", "There were too many attempts. Wait, then try again.", seconds)
}

/// Where a request came from, as far as one who is there can't choose it: an IPv6 network of 64 bits is one client.
fn network(origin: &Origin) -> String {
    let address = origin.client_address.as_deref().and_then(|text| text.parse::<IpAddr>().ok());
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string(),
        Some(IpAddr::V4(address)) => address.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> String {
        network(&Origin { client_address: Some(address.into()), ..Origin::default() })
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("nonsense"), "");
    }
}
