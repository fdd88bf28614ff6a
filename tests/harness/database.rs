//! A database for each test, cloned from one that was migrated once.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use clap::{Args, FromArgMatches};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tenantry_shared::config::DatabaseConfig;
use tenantry_shared::db;
use url::Url;

use crate::wait::eventually_within;
use crate::{PostgresServer, required};

/// Names of databases and locks of test runs begin with this; the run's number and the database's follow.
const PREFIX: &str = "tenantry_test";
/// Held while the template is made: roles belong to the whole server, and two who make them at once collide.
const MAKING: i64 = 7_463_000_001;
/// The first half of the lock that each run holds while it lives; its number is the other.
const RUNS: i32 = 7_463;
const APP_ROLE: &str = "tenantry_test_app";
const APP_PASSWORD: &str = "not a secret";

/// What this test process shares: a number no other run has while this one lives, and someone to clean up behind it.
struct Run {
    number: u32,
    rubbish: Mutex<Sender<String>>,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let (ready, wait) = channel();
    let (rubbish, bin) = channel();
    // A thread of its own, for the connection it holds must outlive the runtime of the first test.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(prepare_and_clean(&ready, &bin));
    });
    let number = wait.recv().expect("the template database could not be made; the reason stands above");
    Run { number, rubbish: Mutex::new(rubbish) }
});
static COUNT: AtomicU32 = AtomicU32::new(0);

async fn prepare_and_clean(ready: &Sender<u32>, bin: &Receiver<String>) {
    let mut connection =
        superuser(&shared_server(), None).connect().await.expect("TEST_DATABASE_URL must lead to a Postgres");
    execute(&mut connection, &format!("select pg_advisory_lock({MAKING})")).await;
    drop_what_earlier_runs_left(&mut connection).await;
    // As long as this connection lives, the run does.
    let number = std::process::id();
    execute(&mut connection, &format!("select pg_advisory_lock({RUNS}, {number})")).await;
    let template = format!("{PREFIX}_{number}_template");
    execute(&mut connection, &format!("create database {template}")).await;
    db::migrate(&config(&shared_server(), &template)).await.expect("the migrations run");
    distribute(&template).await;
    execute(&mut connection, &format!("select pg_advisory_unlock({MAKING})")).await;
    ready.send(number).expect("a test waits for it");
    while let Ok(database) = bin.recv() {
        execute(&mut connection, &format!("drop database if exists {database} with (force)")).await;
    }
}

/// Puts the schema that `TEST_SCHEMA` names in place of the migrated one: `./dev distribution` has one whose tables are in parts.
#[expect(clippy::disallowed_methods, reason = "what a test run is told, it is told by its environment")]
async fn distribute(template: &str) {
    let Ok(file) = std::env::var("TEST_SCHEMA") else { return };
    let schema = std::fs::read_to_string(&file).expect("TEST_SCHEMA names a file of SQL");
    let mut connection = superuser(&shared_server(), Some(template)).connect().await.expect("the template answers");
    execute(&mut connection, &schema).await;
    // No database can be made from a template that someone is connected to.
    let _ = connection.close().await;
}

/// Databases of runs that are over: nobody holds their lock.
async fn drop_what_earlier_runs_left(connection: &mut PgConnection) {
    let databases =
        rows(&mut *connection, &format!("select datname from pg_database where datname like '{PREFIX}\\_%'")).await;
    let mut over: HashMap<String, bool> = HashMap::new();
    for database in databases.iter().filter_map(|row| row["datname"].as_str()) {
        let run = database.split('_').nth(2).unwrap_or_default().to_owned();
        if !over.contains_key(&run) {
            let free = rows(&mut *connection, &format!("select pg_try_advisory_lock({RUNS}, {run}) as free")).await;
            let is_free = free[0]["free"] == true;
            if is_free {
                execute(&mut *connection, &format!("select pg_advisory_unlock({RUNS}, {run})")).await;
            }
            over.insert(run.clone(), is_free);
        }
        if over[&run] {
            execute(&mut *connection, &format!("drop database if exists {database} with (force)")).await;
        }
    }
}

/// The Postgres that all tests share.
fn shared_server() -> Url {
    Url::parse(&required("TEST_DATABASE_URL")).expect("TEST_DATABASE_URL is a URL")
}

fn superuser(server: &Url, database: Option<&str>) -> PgConnectOptions {
    let options = PgConnectOptions::from_str(server.as_str()).expect("TEST_DATABASE_URL is a Postgres URL");
    match database {
        Some(database) => options.database(database),
        None => options,
    }
}

fn url(server: &Url, database: &str, login: Option<(&str, &str)>) -> Url {
    let mut url = server.clone();
    url.set_path(database);
    if let Some((name, password)) = login {
        url.set_username(name).expect("a Postgres URL has a user");
        url.set_password(Some(password)).expect("a Postgres URL has a password");
    }
    url
}

/// Reads configuration the way the binaries do.
pub(crate) fn parse<C: Args + FromArgMatches>(arguments: &[(&str, String)]) -> C {
    let flags = arguments.iter().map(|(name, value)| format!("--{name}={value}"));
    let command = C::augment_args(clap::Command::new("test"));
    let matches = command.try_get_matches_from(std::iter::once("test".to_owned()).chain(flags));
    C::from_arg_matches(&matches.expect("flags the binaries take")).expect("flags the binaries take")
}

fn config(server: &Url, database: &str) -> DatabaseConfig {
    let (owner, app) = (url(server, database, None), url(server, database, Some((APP_ROLE, APP_PASSWORD))));
    parse(&[("database-url", owner.into()), ("database-app-url", app.into()), ("database-pool-size", "5".into())])
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = connection.execute(AssertSqlSafe(sql.to_owned())).await {
        panic!("{error}\nin: {sql}");
    }
}

#[expect(clippy::disallowed_methods, reason = "what tests look at behind the door is made up test by test")]
async fn rows<'e>(executor: impl Executor<'e, Database = sqlx::Postgres>, select: &str) -> Vec<Value> {
    let sql = format!("select coalesce(jsonb_agg(to_jsonb(t)), '[]') from ({select}) t");
    match sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(executor).await {
        Ok(Value::Array(rows)) => rows,
        Ok(other) => panic!("not a list: {other}\nin: {select}"),
        Err(error) => panic!("{error}\nin: {select}"),
    }
}

/// A transaction that a test holds open.
#[derive(Debug)]
pub struct Held(PgConnection);

impl Held {
    /// Ends it.
    pub async fn release(mut self) {
        execute(&mut self.0, "commit").await;
    }
}

/// One test's database. It is dropped with this value, unless its server is the test's own.
#[derive(Debug)]
pub struct Database {
    server: Url,
    name: String,
    is_shared: bool,
    superuser: PgPool,
}

impl Database {
    /// A fresh one, with this release's schema and nothing in it.
    pub async fn create() -> Self {
        Self::create_from(&format!("template {PREFIX}_{}_template", RUN.number)).await
    }

    /// One in which nothing has run yet, not even a migration.
    pub async fn create_empty() -> Self {
        Self::create_from("").await
    }

    async fn create_from(template: &str) -> Self {
        let name = format!("{PREFIX}_{}_{}", RUN.number, COUNT.fetch_add(1, Ordering::Relaxed));
        let mut connection =
            superuser(&shared_server(), None).connect().await.expect("TEST_DATABASE_URL must lead to a Postgres");
        execute(&mut connection, &format!("create database {name} {template}")).await;
        let _ = connection.close().await;
        Self::of(shared_server(), name, true)
    }

    /// One in a server of the test's own.
    pub async fn on(server: &PostgresServer) -> Self {
        Self::named_on(server, "tenantry").await
    }

    /// The same of another name, beside it.
    pub async fn named_on(server: &PostgresServer, name: &str) -> Self {
        let database = Self::of(server.url(), name.to_owned(), false);
        let mut connection = superuser(&database.server, None).connect().await.expect("our own server answers");
        execute(&mut connection, &format!("create database {}", database.name)).await;
        let _ = connection.close().await;
        db::migrate(&config(&database.server, &database.name)).await.expect("the migrations run");
        database
    }

    fn of(server: Url, name: String, is_shared: bool) -> Self {
        let superuser = PgPoolOptions::new().max_connections(2).connect_lazy_with(superuser(&server, Some(&name)));
        Self { server, name, is_shared, superuser }
    }

    /// How its owner, who is the server's superuser, connects.
    #[must_use]
    pub fn owner_url(&self) -> String {
        url(&self.server, &self.name, None).into()
    }

    /// How API and worker connect.
    #[must_use]
    pub fn app_url(&self) -> String {
        url(&self.server, &self.name, Some((APP_ROLE, APP_PASSWORD))).into()
    }

    /// A connection as the role that API and worker have, without a tenant.
    pub async fn connect_as_application(&self) -> PgConnection {
        let options = PgConnectOptions::from_str(&self.app_url()).expect("our own URL");
        options.connect().await.expect("the application's role signs in")
    }

    /// Runs a statement as the application's role and answers the SQLSTATE it fails with, if it does.
    pub async fn as_application(&self, statements: &str) -> Result<(), String> {
        let mut connection = self.connect_as_application().await;
        let done = connection.execute(AssertSqlSafe(statements.to_owned())).await;
        let _ = connection.close().await;
        done.map(drop).map_err(|e| e.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned())
    }

    /// What a query shows to the application's role, each row as an object.
    pub async fn rows_for_application(&self, select: &str) -> Vec<Value> {
        let mut connection = self.connect_as_application().await;
        let found = rows(&mut connection, select).await;
        let _ = connection.close().await;
        found
    }

    /// What a query shows to the superuser, each row as an object.
    pub async fn rows(&self, select: &str) -> Vec<Value> {
        rows(&self.superuser, select).await
    }

    /// The one value of the one row of a query.
    pub async fn value(&self, select: &str) -> Value {
        let rows = self.rows(select).await;
        assert_eq!(rows.len(), 1, "one row\nin: {select}");
        let row = rows[0].as_object().expect("a row");
        assert_eq!(row.len(), 1, "one column\nin: {select}");
        row.values().next().cloned().unwrap_or_default()
    }

    /// Changes something as the superuser.
    pub async fn execute(&self, sql: &str) {
        if let Err(error) = self.superuser.execute(AssertSqlSafe(sql.to_owned())).await {
            panic!("{error}\nin: {sql}");
        }
    }

    /// Ends everybody else's connections: who has new settings of the database, or nothing prepared, has to connect anew.
    pub async fn disconnect_others(&self) {
        self.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
             where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()",
        )
        .await;
    }

    /// Drops it, whoever is connected, and makes an empty one of its name.
    pub async fn wipe(&self) {
        let mut connection = superuser(&self.server, None).connect().await.expect("its server answers");
        execute(&mut connection, &format!("drop database {} with (force)", self.name)).await;
        execute(&mut connection, &format!("create database {}", self.name)).await;
        let _ = connection.close().await;
    }

    /// Executes a statement in a transaction that stays open: what it locks stays locked until [`Held::release`].
    pub async fn hold(&self, sql: &str) -> Held {
        let mut connection = superuser(&self.server, Some(&self.name)).connect().await.expect("the superuser signs in");
        execute(&mut connection, "begin").await;
        execute(&mut connection, sql).await;
        Held(connection)
    }

    /// Waits until someone waits for a lock.
    pub async fn until_someone_waits(&self) {
        let waits = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let look = || async { (!self.rows(waits).await.is_empty()).then_some(()) };
        eventually_within(Duration::from_secs(30), "someone to wait for a lock", look).await;
    }

    /// Names of all tables that hold rows of organizations.
    pub async fn tenant_tables(&self) -> Vec<String> {
        let tables = self
            .rows(
                "select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
                 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                   and a.attname = 'organization_id' order by 1",
            )
            .await;
        tables.iter().filter_map(|row| row["name"].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Not waited for; what is left when the process ends, the next run drops.
        if self.is_shared
            && let Ok(rubbish) = RUN.rubbish.lock()
        {
            let _ = rubbish.send(self.name.clone());
        }
    }
}
