//! A running Tenantry for one test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tenantry_api::ServeConfig;
use tenantry_shared::clock::Clock;
use tenantry_shared::config::{CommonConfig, DatabaseConfig};
use tenantry_shared::db::Db;
use tenantry_shared::organizations::{self, FirstAdministrator, NewOrganization};
use tenantry_shared::passwords::Hasher;
use tenantry_shared::schedules::{Schedule, Tally};
use tenantry_shared::secret::{LinkKind, Links};
use tenantry_shared::tenant::Tenant;
use tenantry_worker::WorkerConfig;
use tenantry_worker::schedule::{Ended, run_now};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::parse;
use crate::processes::free_port;
use crate::{
    Call, Caller, Database, EMAIL_EVENTS_SECRET, Link, Mailbox, NameServer, PASSWORD, Smtp, eventually, required,
    signature,
};

const SECRET_KEY: &str = "a key for tests only: 0123456789abcdef0123456789abcdef";
const MAIL_FROM: &str = "Tenantry <accounts@tenantry.test>";

/// Where a Tenantry answers, and what it takes to look behind its door.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) database: Arc<Database>,
    db: Db,
    links: Links,
}

impl Address {
    pub(crate) fn new(url: String, database: Arc<Database>, clock: &Clock) -> Self {
        let shared = [("database-app-url", database.app_url()), ("database-pool-size", "2".into())];
        let db = Db::new(&parse::<DatabaseConfig>(&shared), clock.clone()).expect("a pool");
        let common: CommonConfig = parse(&[("secret-key", SECRET_KEY.into()), ("public-url", url.clone())]);
        let links = Links::new(&common.secret_key().expect("a key")).expect("keys");
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self { url, http, database, db, links }
    }

    pub(crate) fn anonymous(self: &Arc<Self>) -> Caller {
        Caller { address: Arc::clone(self), slug: None, authorization: None, email: String::new(), id: Uuid::nil() }
    }

    /// The link that the worker puts into the invitation's mail, for tests that are not about mail.
    pub(crate) async fn mint_invitation_link(&self, slug: &str, invitation: &Value) -> Link {
        let tenant = Tenant::find(&self.db, slug).await.expect("Postgres answers").expect("the organization is there");
        let id = invitation["uuid"].as_str().and_then(|id| Uuid::parse_str(id).ok()).expect("an invitation");
        let generation = 1 + i32::try_from(invitation["resent_count"].as_i64().unwrap_or(0)).expect("a small number");
        Link::of_token(&self.links.mint(LinkKind::Invitation, &tenant, id, generation))
    }

    /// As the command line does it. Answers its administrator, who has [`PASSWORD`].
    pub(crate) async fn make_organization(self: &Arc<Self>, slug: &str, name: &str) -> (String, Caller) {
        let email = format!("admin@{}.example", slug.to_lowercase());
        let new = NewOrganization::check(name, slug, None, Some(&email)).expect("a good organization");
        let first = FirstAdministrator::WithPassword(PASSWORD.to_owned().into());
        organizations::bootstrap(&self.db, &Hasher::default(), &new, first).await.expect("an organization");
        (email, self.anonymous())
    }
}

/// The flags that all processes of one Tenantry share.
pub(crate) fn common_flags(
    database: &Database,
    redis_url: &str,
    namespace: &str,
    url: &str,
) -> Vec<(&'static str, String)> {
    vec![
        ("database-app-url", database.app_url()),
        ("database-pool-size", "5".into()),
        ("redis-url", redis_url.into()),
        ("redis-namespace", namespace.into()),
        ("secret-key", SECRET_KEY.into()),
        ("public-url", url.into()),
    ]
}

/// The worker's own flags.
pub(crate) fn worker_flags(smtp_url: &str) -> Vec<(&'static str, String)> {
    vec![("smtp-url", smtp_url.into()), ("mail-from", MAIL_FROM.into())]
}

/// A key prefix that nobody else has.
pub(crate) fn namespace() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A running Tenantry: API and worker in this process, on one clock that a test can move, with a database, a corner of
/// Redis and a mail server of their own.
#[derive(Debug)]
pub struct TestApp {
    address: Arc<Address>,
    _api: tenantry_api::Running,
    worker: Option<tenantry_worker::Running>,
    smtp: Smtp,
    namespace: String,
    is_finished: AtomicBool,
    /// The time of API and worker.
    pub clock: Clock,
}

/// An organization to be made.
#[derive(Debug)]
pub struct Builder<'a> {
    app: &'a TestApp,
    slug: String,
    name: String,
}

impl TestApp {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(&[("email-events-secret", EMAIL_EVENTS_SECRET)]).await
    }

    /// The same, with these flags of the API in place of those that not all of them need.
    pub async fn start_with(flags_of_api: &[(&'static str, &str)]) -> Self {
        // Nobody answers there: no test depends on the names of the world.
        Self::start_where("127.0.0.1:9", flags_of_api).await
    }

    /// The same, where names are looked up at a name server of the test's.
    pub async fn start_asking(server: &NameServer) -> Self {
        Self::start_where(server.address(), &[]).await
    }

    async fn start_where(dns_server: &str, flags_of_api: &[(&'static str, &str)]) -> Self {
        let database = Arc::new(Database::create().await);
        let smtp = Smtp::start().await;
        let (clock, namespace) = (Clock::default(), namespace());
        let redis = required("TEST_REDIS_URL");
        let mut api_flags = flags_of_api.to_vec();
        api_flags.push(("dns-server", dns_server));
        let (url, api) = start_api(&database, &redis, &namespace, &clock, &api_flags).await;
        let mut flags = common_flags(&database, &redis, &namespace, &url);
        flags.extend(worker_flags(&smtp.url()));
        // Whoever moves the clock says what runs then: [`TestApp::run_schedule`].
        flags.push(("run-schedules", "false".into()));
        flags.push(("dns-server", dns_server.into()));
        let worker =
            tenantry_worker::start(&parse::<WorkerConfig>(&flags), clock.clone()).await.expect("the worker starts");
        let address = Arc::new(Address::new(url, database, &clock));
        Self { address, _api: api, worker: Some(worker), smtp, namespace, is_finished: AtomicBool::new(false), clock }
    }

    /// Starts another API beside the first, which shares nothing with it but what all processes share. Answers whoever calls
    /// it, and what must be kept as long as it shall run.
    pub async fn another_api(&self) -> (Caller, tenantry_api::Running) {
        let (database, redis) = (&self.address.database, required("TEST_REDIS_URL"));
        let (url, api) = start_api(database, &redis, &self.namespace, &self.clock, &[]).await;
        (Arc::new(Address::new(url, Arc::clone(database), &self.clock)).anonymous(), api)
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.address.url
    }

    /// Its mail server.
    #[must_use]
    pub fn smtp(&self) -> &Smtp {
        &self.smtp
    }

    /// What its people find when they look for mail.
    #[must_use]
    pub fn mailbox(&self) -> Mailbox {
        Mailbox(self.smtp.clone())
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.address.database
    }

    /// What its keys in Redis begin with.
    #[must_use]
    pub fn redis_namespace(&self) -> &str {
        &self.namespace
    }

    /// An organization to be made, which is named like its slug.
    #[must_use]
    pub fn organization(&self, slug: &str) -> Builder<'_> {
        self.organization_named(slug, slug)
    }

    /// The same with another name.
    #[must_use]
    pub fn organization_named(&self, slug: &str, name: &str) -> Builder<'_> {
        Builder { app: self, slug: slug.to_owned(), name: name.to_owned() }
    }

    /// Someone without a credential.
    #[must_use]
    pub fn anonymous(&self) -> Caller {
        self.address.anonymous()
    }

    /// Reports what became of mails, as the mail system does: signed, now.
    #[track_caller]
    pub fn report(&self, events: &Value) -> Call {
        let (body, now) = (events.to_string(), self.clock.now().timestamp());
        let header = format!("t={now},v1={}", signature(EMAIL_EVENTS_SECRET, now, &body));
        let call = self.anonymous().call(reqwest::Method::POST, "/v1/email-events");
        call.body("application/json", body).header("X-Tenantry-Signature", &header)
    }

    /// The link in an invitation's mail, for tests that are not about mail.
    pub async fn link_of(&self, caller: &Caller, invitation: &Value) -> Link {
        self.address.mint_invitation_link(caller.slug(), invitation).await
    }

    /// Waits until no work is left.
    ///
    /// # Panics
    /// If there still is some after 30 s.
    pub async fn settle(&self) {
        let left = || async {
            let rows = self.database().rows("select job, id, due_at, takes, parked_at from outbox").await;
            rows.is_empty().then_some(())
        };
        eventually("the outbox to be empty", left).await;
    }

    /// Runs a schedule to its end, as `tenantry-worker schedule run` does, at the time of this Tenantry.
    pub async fn run_schedule(&self, schedule: Schedule) -> Tally {
        let ended = run_now(&self.address.db, schedule, &CancellationToken::new()).await.expect("Postgres answers");
        match ended {
            Some(Ended::Finished(tally)) => tally,
            other => panic!("{} did not run to its end: {other:?}", schedule.name()),
        }
    }

    /// Stops the worker: mail stays where it is. [`TestApp::finish`] then does not look for work that is left.
    pub async fn stop_worker(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
        }
    }

    /// Ends it. Fails if work is left over: a job that is not done is a bug.
    ///
    /// # Panics
    /// If work is left.
    pub async fn finish(self) {
        if self.worker.is_some() {
            self.settle().await;
        }
        // API and worker go with the test's runtime. That they can stop in good order, `faults` shows.
        self.is_finished.store(true, Ordering::Relaxed);
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let is_finished = self.is_finished.load(Ordering::Relaxed) || std::thread::panicking();
        assert!(is_finished, "a test ends with `app.finish().await`, which looks whether work is left over");
    }
}

/// On a free port; if someone else was faster, on another.
async fn start_api(
    database: &Database,
    redis: &str,
    namespace: &str,
    clock: &Clock,
    own_flags: &[(&'static str, &str)],
) -> (String, tenantry_api::Running) {
    for _ in 0..10 {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut flags = common_flags(database, redis, namespace, &url);
        flags.push(("listen-addr", format!("127.0.0.1:{port}")));
        flags.retain(|(name, _)| own_flags.iter().all(|(own, _)| own != name));
        flags.extend(own_flags.iter().map(|(name, value)| (*name, (*value).to_owned())));
        if let Ok(api) = tenantry_api::start(&parse::<ServeConfig>(&flags), clock.clone()).await {
            return (url, api);
        }
    }
    panic!("the API found no free port in ten attempts");
}

impl Builder<'_> {
    /// Makes it and signs its administrator in, a superuser: `admin@{slug}.example` with [`PASSWORD`].
    pub async fn administrator(self) -> Caller {
        let (email, anonymous) = self.app.address.make_organization(&self.slug, &self.name).await;
        let session = anonymous.sign_in(&self.slug, &email, PASSWORD).await.ok();
        anonymous.signed_in(&self.slug, &session).await
    }
}
