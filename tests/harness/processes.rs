//! The real binaries as child processes, for tests in which a process dies.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::Value;
use tenantry_shared::clock::Clock;
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};

use crate::app::{Address, common_flags, namespace, worker_flags};
use crate::folder::Folder;
use crate::wait::eventually_within;
use crate::{Caller, Database, Link, Mailbox, PASSWORD, Smtp, eventually, required};

/// A port of 127.0.0.1 that nobody listens on, below those that the system gives to outgoing connections.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at once begin at different places.
    let first = u16::try_from(std::process::id() % 97 * 120).unwrap_or(0);
    for _ in 0..10_000 {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if is_free(port) {
            return port;
        }
    }
    panic!("no free port");
}

/// Bound, but not listened on: a program that another test is just starting has a copy of every socket of ours until it
/// is that program, and such a copy of one that listens would keep the port.
fn is_free(port: u16) -> bool {
    let probe = TcpSocket::new_v4().expect("a socket");
    probe.set_reuseaddr(true).expect("a socket of ours");
    probe.bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok()
}

/// A command that knows nothing of our environment but where programs are, and that dies with its handle.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, log: Option<File>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    for name in ["PATH", "HOME", "TMPDIR", "LANG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    match log {
        Some(log) => {
            let same = log.try_clone().expect("a second handle of a log");
            command.stdout(log).stderr(same);
        }
        None => {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
    }
    command
}

/// Runs a program to its end, a minute at most: its exit code, and all that it wrote.
pub async fn run_to_end(
    program: impl AsRef<Path>,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String) {
    run_within(Duration::from_secs(60), program, arguments, environment).await
}

/// The same with another deadline.
pub async fn run_within(
    patience: Duration,
    program: impl AsRef<Path>,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String) {
    let program = program.as_ref();
    let mut command = command(program, None);
    command.args(arguments).envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = tokio::time::timeout(patience, command.output());
    let output = running.await.expect("it ends in time").expect("it starts");
    let written = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&written).into_owned())
}

/// Sends a signal to a process that was started here: `TERM`, `INT`.
pub(crate) async fn signal(child: &Child, signal: &str) {
    let pid = child.id().expect("it runs").to_string();
    let (code, said) = run_to_end("kill", &[&format!("-{signal}"), &pid], &[]).await;
    assert_eq!(code, Some(0), "{said}");
}

/// One of our two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// `tenantry-api serve`
    Api,
    /// `tenantry-worker run`
    Worker,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Api => "tenantry-api",
            Self::Worker => "tenantry-worker",
        }
    }

    fn subcommand(self) -> &'static str {
        match self {
            Self::Api => "serve",
            Self::Worker => "run",
        }
    }

    /// Where it was built: cargo puts it beside our own binary, or a test's folder.
    ///
    /// # Panics
    /// If it was not built.
    #[must_use]
    pub fn path(self) -> PathBuf {
        let ourselves = std::env::current_exe().expect("a path");
        let path =
            ourselves.ancestors().skip(1).take(2).map(|folder| folder.join(self.name())).find(|path| path.exists());
        path.unwrap_or_else(|| panic!("{} is missing: build it with `cargo build --workspace`", self.name()))
    }
}

/// A Redis of one's own.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    child: Option<Child>,
    folder: Folder,
}

impl RedisServer {
    /// Starts one, empty.
    pub async fn start() -> Self {
        let mut server = Self { port: free_port(), child: None, folder: Folder::new("redis") };
        server.restart_empty().await;
        server
    }

    /// How it is reached.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it, with all that it held.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it can be killed");
        }
    }

    /// Starts it at the same place, with nothing in it.
    pub async fn restart_empty(&mut self) {
        self.kill().await;
        let (port, folder) = (self.port.to_string(), self.folder.0.display().to_string());
        let mut command = command(required("TEST_REDIS_SERVER"), None);
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &folder]);
        self.child = Some(command.spawn().expect("TEST_REDIS_SERVER starts"));
        let client = redis::Client::open(self.url()).expect("our own URL");
        eventually("Redis to answer", || async {
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            redis::cmd("PING").query_async::<()>(&mut connection).await.ok()
        })
        .await;
    }
}

/// Everything in a Redis: every key, and what it holds.
pub async fn redis_keys_and_values(url: &str) -> String {
    let client = redis::Client::open(url).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.expect("keys");
    let mut all = String::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.expect("a type");
        let mut command = match kind.as_str() {
            "string" => redis::cmd("GET"),
            "list" => redis::cmd("LRANGE"),
            "hash" => redis::cmd("HGETALL"),
            "set" => redis::cmd("SMEMBERS"),
            "zset" => redis::cmd("ZRANGE"),
            "stream" => redis::cmd("XRANGE"),
            _ => continue,
        };
        command.arg(&key);
        match kind.as_str() {
            "list" | "zset" => drop(command.arg(0).arg(-1)),
            "stream" => drop(command.arg("-").arg("+")),
            _ => {}
        }
        let value: redis::Value = command.query_async(&mut connection).await.expect("a value");
        all.push_str(&format!("{key} = {}\n", text_of(&value)));
    }
    all
}

fn text_of(value: &redis::Value) -> String {
    match value {
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        redis::Value::Array(items) | redis::Value::Set(items) => {
            items.iter().map(text_of).collect::<Vec<_>>().join(" ")
        }
        redis::Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| format!("{} {}", text_of(key), text_of(value)))
            .collect::<Vec<_>>()
            .join(" "),
        other => format!("{other:?}"),
    }
}

/// A running Tenantry of real processes, with a database, a Redis and a mail server of its own. Only what it started is
/// ever killed, and all of that dies with it.
#[derive(Debug)]
pub struct Processes {
    address: Arc<Address>,
    smtp: Smtp,
    smtp_url: String,
    namespace: String,
    api_port: u16,
    metrics: [u16; 2],
    api: Option<Child>,
    worker: Option<Child>,
    others: Vec<Child>,
    folder: Folder,
    more: Vec<(String, String)>,
    /// Its Redis.
    pub redis: RedisServer,
}

impl Processes {
    /// Starts all of it.
    pub async fn start() -> Self {
        Self::start_with_mail_to(None).await
    }

    /// The same, with mail going to another server.
    pub async fn start_with_mail_to(smtp_url: Option<String>) -> Self {
        Self::start_all(Arc::new(Database::create().await), smtp_url).await
    }

    /// The same, with a database of the caller's.
    pub async fn start_on(database: Arc<Database>) -> Self {
        Self::start_all(database, None).await
    }

    async fn start_all(database: Arc<Database>, smtp_url: Option<String>) -> Self {
        let (redis, smtp) = (RedisServer::start().await, Smtp::start().await);
        let api_port = free_port();
        let address = Arc::new(Address::new(format!("http://127.0.0.1:{api_port}"), database, &Clock::default()));
        let mut processes = Self {
            address,
            smtp_url: smtp_url.unwrap_or_else(|| smtp.url()),
            smtp,
            namespace: namespace(),
            api_port,
            metrics: [free_port(), free_port()],
            api: None,
            worker: None,
            others: Vec::new(),
            folder: Folder::new("processes"),
            more: Vec::new(),
            redis,
        };
        processes.start_one(Which::Api).await;
        processes.start_one(Which::Worker).await;
        processes
    }

    fn metrics_port(&self, which: Which) -> u16 {
        self.metrics[usize::from(which == Which::Worker)]
    }

    fn log_file(&self, which: Which) -> PathBuf {
        self.folder.0.join(format!("{}.log", which.name()))
    }

    /// A folder for temporary files, which goes when this does.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// What a process has logged so far, in all of its lives.
    #[must_use]
    pub fn log(&self, which: Which) -> String {
        self.log_reader(which)()
    }

    /// The same, for those who look while this does something.
    pub fn log_reader(&self, which: Which) -> impl Fn() -> String + use<> {
        let file = self.log_file(which);
        move || std::fs::read_to_string(&file).unwrap_or_default()
    }

    /// Sets a variable for processes that are started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.more.push((name.to_owned(), value.to_owned()));
    }

    /// The configuration of a process, as variables of its environment.
    #[must_use]
    pub fn environment(&self, which: Which) -> Vec<(String, String)> {
        let mut flags = common_flags(&self.address.database, &self.redis.url(), &self.namespace, &self.address.url);
        flags.push(("metrics-addr", format!("127.0.0.1:{}", self.metrics_port(which))));
        match which {
            Which::Api => flags.push(("listen-addr", format!("127.0.0.1:{}", self.api_port))),
            Which::Worker => flags.extend(worker_flags(&self.smtp_url)),
        }
        let variables = flags.into_iter().map(|(name, value)| (name.to_uppercase().replace('-', "_"), value));
        variables.chain(self.more.iter().cloned()).collect()
    }

    /// Starts one that does not run, and waits until it serves.
    pub async fn start_one(&mut self, which: Which) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file(which)).expect("a log file");
        let mut command = command(which.path(), Some(log));
        command.arg(which.subcommand());
        command.envs(self.environment(which));
        let child = command.spawn().expect("our own binary starts");
        *self.child(which) = Some(child);
        let url = match which {
            Which::Api => format!("{}/livez", self.address.url),
            Which::Worker => self.metrics_url(which),
        };
        let http = self.address.http.clone();
        eventually_within(Duration::from_secs(20), &format!("{} to serve {url}", which.name()), || async {
            http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
    }

    /// Starts another worker beside the one that [`Processes::kill`] knows, and does not wait for it.
    pub fn start_another_worker(&mut self) {
        let mut environment = self.environment(Which::Worker);
        environment.push(("METRICS_ADDR".into(), "127.0.0.1:0".into()));
        self.start_another(Which::Worker, environment);
    }

    /// Starts another API beside that, on the same database and Redis, and waits until it serves. Its address.
    pub async fn start_another_api(&mut self) -> String {
        let address = format!("127.0.0.1:{}", free_port());
        let mut environment = self.environment(Which::Api);
        environment.push(("METRICS_ADDR".into(), "127.0.0.1:0".into()));
        environment.push(("LISTEN_ADDR".into(), address.clone()));
        self.start_another(Which::Api, environment);
        let (url, http) = (format!("http://{address}"), self.address.http.clone());
        eventually_within(Duration::from_secs(20), "another API to serve", || async {
            http.get(format!("{url}/livez")).send().await.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
        url
    }

    fn start_another(&mut self, which: Which, environment: Vec<(String, String)>) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file(which)).expect("a log file");
        let mut command = command(which.path(), Some(log));
        command.arg(which.subcommand()).envs(environment);
        self.others.push(command.spawn().expect("our own binary starts"));
    }

    /// Runs a command of the worker's binary to its end, on this database: its exit code, and all that it wrote.
    pub async fn by_hand(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let url = self.address.database.app_url();
        run_to_end(Which::Worker.path(), arguments, &[("DATABASE_APP_URL", &url)]).await
    }

    fn child(&mut self, which: Which) -> &mut Option<Child> {
        match which {
            Which::Api => &mut self.api,
            Which::Worker => &mut self.worker,
        }
    }

    /// `kill -9`
    pub async fn kill(&mut self, which: Which) {
        let mut child = self.child(which).take().expect("it runs");
        child.kill().await.expect("it can be killed");
    }

    /// `kill -TERM`, and waits for its end, which must be an orderly one.
    pub async fn terminate(&mut self, which: Which) {
        self.signal_to_stop(which).await;
        self.until_stopped(which).await;
    }

    /// `kill -TERM`
    pub async fn signal_to_stop(&mut self, which: Which) {
        signal(self.child(which).as_ref().expect("it runs"), "TERM").await;
    }

    /// Waits for the end of one that was told to stop, which must be an orderly one.
    pub async fn until_stopped(&mut self, which: Which) {
        let mut child = self.child(which).take().expect("it runs");
        let ended = tokio::time::timeout(Duration::from_secs(35), child.wait()).await.expect("it ends in time");
        assert!(ended.expect("it has a status").success(), "{} did not end well:\n{}", which.name(), self.log(which));
    }

    /// Its process id.
    pub fn pid(&mut self, which: Which) -> u32 {
        self.child(which).as_ref().and_then(Child::id).expect("it runs")
    }

    /// How much memory it holds, in KiB.
    pub async fn memory(&mut self, which: Which) -> u64 {
        let pid = self.pid(which).to_string();
        let (_, said) = run_to_end("ps", &["-o", "rss=", "-p", &pid], &[]).await;
        said.trim().parse().expect("a number")
    }

    /// Where its metrics are.
    #[must_use]
    pub fn metrics_url(&self, which: Which) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics_port(which))
    }

    /// Its metrics, as Prometheus reads them.
    pub async fn metrics(&self, which: Which) -> String {
        self.address.http.get(self.metrics_url(which)).send().await.expect("it answers").text().await.expect("text")
    }

    /// Where the API answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.address.url
    }

    /// Someone without a credential.
    #[must_use]
    pub fn anonymous(&self) -> Caller {
        self.address.anonymous()
    }

    /// Makes an organization named like its slug and signs its administrator in: `admin@{slug}.example` with [`PASSWORD`].
    pub async fn administrator_of(&self, slug: &str) -> Caller {
        let (email, anonymous) = self.address.make_organization(slug, slug).await;
        let session = anonymous.sign_in(slug, &email, PASSWORD).await.ok();
        anonymous.signed_in(slug, &session).await
    }

    /// The link in an invitation's mail, for those who do not read the mail.
    pub async fn link_of(&self, caller: &Caller, invitation: &Value) -> Link {
        self.address.mint_invitation_link(caller.slug(), invitation).await
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

    /// Waits until no work is left.
    pub async fn settle(&self) {
        let left = || async { self.database().rows("select job from outbox").await.is_empty().then_some(()) };
        eventually_within(Duration::from_secs(30), "the outbox to be empty", left).await;
    }
}

/// A MailDev: a mail catcher with a web page and a JSON API, as `./dev up` starts it.
#[derive(Debug)]
pub struct MailDev {
    smtp_port: u16,
    web_port: u16,
    _child: Child,
    _folder: Folder,
}

impl MailDev {
    /// Starts one.
    pub async fn start() -> Self {
        let (smtp_port, web_port, folder) = (free_port(), free_port(), Folder::new("maildev"));
        let log = folder.0.join("log");
        let file = File::create(&log).expect("a log file");
        let mut command = command("node", Some(file));
        let (smtp, web) = (smtp_port.to_string(), web_port.to_string());
        command.arg(required("TEST_MAILDEV"));
        command.args(["--ip", "127.0.0.1", "--smtp", &smtp, "--web-ip", "127.0.0.1", "--web", &web]);
        let child = command.spawn().expect("node starts");
        let this = Self { smtp_port, web_port, _child: child, _folder: folder };
        eventually_within(Duration::from_secs(20), "MailDev to answer", || async {
            reqwest::get(format!("{}/api/healthz", this.url()))
                .await
                .is_ok_and(|a| a.status().is_success())
                .then_some(())
        })
        .await;
        this
    }

    /// Its web page and JSON API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.web_port)
    }

    /// Where it takes mail.
    #[must_use]
    pub fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.smtp_port)
    }
}
