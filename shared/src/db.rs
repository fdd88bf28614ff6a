//! Postgres: the pool, and the unit of work that everything tenant-owned goes through.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Postgres, Transaction};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::access::{Actor, Origin};
use crate::clock::Clock;
use crate::config::{ConfigError, DatabaseConfig};
use crate::error::Result;
use crate::ids::{OrganizationId, TypedId, new_uuid};
use crate::tenant::Tenant;

/// The migrations, embedded.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// What holds in every session. To compile a statement takes longer than any of ours runs; and to plan one for its values, as
/// Postgres else does again and again, longer than most: they look for rows by their keys, whatever the values.
const OPTIONS: [(&str, &str); 4] =
    [("statement_timeout", "30s"), ("timezone", "UTC"), ("jit", "off"), ("plan_cache_mode", "force_generic_plan")];
/// Begins what only reads.
const LOOK: &str = "begin isolation level repeatable read, read only";

/// The pool, the clock, and the bell that wakes the relay. Clones share all three.
#[derive(Clone, Debug)]
pub struct Db {
    pool: PgPool,
    clock: Clock,
    wake_relay: Arc<Notify>,
}

impl Db {
    /// Makes the pool without connecting: a process may start before its database.
    pub fn new(config: &DatabaseConfig, clock: Clock) -> Result<Self> {
        let options: PgConnectOptions = config.app_url()?;
        let pool = PgPoolOptions::new()
            .max_connections(config.database_pool_size)
            // Better a 503 now than a queue that nobody waits for.
            .acquire_timeout(Duration::from_secs(3))
            .idle_timeout(Duration::from_secs(300))
            // To ask a connection each time whether it is there still is a round trip more for each request. One that was used just
            // now is; and if not, `begin` finds out.
            .test_before_acquire(false)
            .before_acquire(|connection, used| {
                Box::pin(async move {
                    if used.idle_for > Duration::from_millis(50) {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options.options(OPTIONS));
        Ok(Self { pool, clock, wake_relay: Arc::default() })
    }

    /// The same for a command that ends: what is wrong with the database is said at once, and in words.
    pub async fn open(config: &DatabaseConfig, clock: Clock) -> Result<Self, ConfigError> {
        let words = |e: &dyn std::fmt::Display| ConfigError(e.to_string());
        let db = Self::new(config, clock).map_err(|e| words(&e))?;
        db.check().await.map_err(|e| words(&e))?;
        Ok(db)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The clock of this process.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Rings when work was committed to the outbox by this process.
    pub(crate) fn relay_bell(&self) -> &Notify {
        &self.wake_relay
    }

    /// Begins a unit of work for an organization, done by `actor`, coming from `origin`.
    pub async fn begin(&self, tenant: &Tenant, actor: Actor, origin: Origin) -> Result<Tx> {
        self.begin_by("begin", tenant, actor, origin).await
    }

    /// The same for one that only reads, and sees the organization as it is at one moment. Postgres refuses it to write.
    pub async fn look(&self, tenant: &Tenant, actor: Actor, origin: Origin) -> Result<Tx> {
        let tx = self.begin_by(LOOK, tenant, actor, origin).await?;
        Ok(Tx { only_reads: true, ..tx })
    }

    async fn begin_by(&self, begin: &str, tenant: &Tenant, actor: Actor, origin: Origin) -> Result<Tx> {
        // One round trip: the tenant rides on the `begin`. A UUID needs no quoting.
        let begin = format!("{begin}; set local tenantry.organization_id = '{}'", tenant.id());
        let inner = self.ask(|pool| pool.begin_with(AssertSqlSafe(begin.clone()))).await?;
        Ok(Tx {
            inner,
            only_reads: false,
            tenant: tenant.clone(),
            now: self.clock.now(),
            actor,
            origin,
            enqueued: false,
            wake_relay: Arc::clone(&self.wake_relay),
        })
    }

    /// Asks what may be asked twice over a connection of the pool; over another, where Postgres has ended that one, and perhaps each
    /// of those that wait.
    pub(crate) async fn ask<'a, T, F>(&'a self, ask: impl Fn(&'a PgPool) -> F) -> Result<T>
    where
        F: Future<Output = sqlx::Result<T>> + Send,
    {
        for _ in 0..self.pool.options().get_max_connections() {
            match ask(&self.pool).await {
                Err(error) if is_gone(&error) => {}
                answer => return Ok(answer?),
            }
        }
        Ok(ask(&self.pool).await?)
    }

    /// Whether Postgres answers, holds our role by row-level security, and has at least this release's schema.
    pub async fn check(&self) -> Result<Schema, Unready> {
        let mut connection = self.pool.acquire().await.map_err(Unready::silent)?;
        look(&mut connection).await
    }

    /// Closes the pool, after what is under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whether a connection has ended that was there when it was last used: another may be there still.
fn is_gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // A server that shuts down, or ends its sessions, says so first.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

/// How the schema of a database stands to this release's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// It is this release's.
    Current,
    /// A later release has been there. This one works all the same: `migrations/README.md` says why.
    Ahead,
}

/// Why a database can't be worked with, in a sentence for an operator.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// No answer, or a refusal.
    #[error("{0}")]
    Down(String),
    /// This release's migrations have not run.
    #[error("{0}: run `tenantry-api migrate`.")]
    Behind(String),
    /// Our role could get round row-level security.
    #[error(
        "DATABASE_APP_URL signs in as {0}, which row-level security does not hold. Give it a role of its own; \
         `tenantry-api migrate` makes it."
    )]
    Unheld(String),
}

impl Unready {
    fn silent(error: sqlx::Error) -> Self {
        let advice = match &error {
            sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("28P01" | "28000")) => {
                ". `tenantry-api migrate` makes the role of DATABASE_APP_URL and sets its password"
            }
            sqlx::Error::Io(_) => ". Does it run, and is it where DATABASE_APP_URL says?",
            _ => "",
        };
        Self::Down(format!("Postgres does not answer: {error}{advice}"))
    }

    /// It in a word, for a machine.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Down(_) => "down",
            Self::Behind(_) => "behind",
            Self::Unheld(_) => "unheld",
        }
    }
}

/// What [`Db::check`] finds, over one connection of its own and with the reason of a failure instead of a pool's "timed out".
pub async fn check(config: &DatabaseConfig) -> Result<Schema, Unready> {
    let options = config.app_url().map_err(|e| Unready::Down(e.to_string()))?;
    let asked = async {
        let mut connection = options.connect().await.map_err(Unready::silent)?;
        let found = look(&mut connection).await;
        let _ = connection.close().await;
        found
    };
    timeout(Duration::from_secs(5), asked).await.unwrap_or_else(|_| {
        Err(Unready::Down("Postgres does not answer within 5 seconds. Is it where DATABASE_APP_URL says?".into()))
    })
}

async fn look(connection: &mut PgConnection) -> Result<Schema, Unready> {
    let role = sqlx::query!(
        r#"select rolname as "name!", rolsuper as "is_super!", rolbypassrls as "bypasses!",
                  exists (select from pg_class c where c.oid = to_regclass('organizations')
                      and pg_has_role(r.oid, c.relowner, 'member'))
                      or coalesce(pg_has_role(r.oid, to_regrole('tenantry_across'), 'member'), false) as "owns!",
                  to_regclass('organizations') is null as "empty!"
           from pg_roles r where rolname = current_user"#
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(Unready::silent)?;
    if role.empty {
        return Err(Unready::Behind("The database has no tables yet".into()));
    }
    if role.is_super || role.bypasses || role.owns {
        return Err(Unready::Unheld(role.name));
    }
    let applied = match sqlx::query_scalar!(r#"select schema_versions() as "versions!""#).fetch_one(connection).await {
        Ok(applied) => applied,
        // Undefined function: it came with a migration.
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42883") => Vec::new(),
        Err(error) => return Err(Unready::silent(error)),
    };
    let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    if let Some(missing) = known.iter().find(|version| !applied.contains(version)) {
        return Err(Unready::Behind(format!("The database lacks migration {missing} of this release")));
    }
    Ok(if applied.iter().all(|version| known.contains(version)) { Schema::Current } else { Schema::Ahead })
}

/// One unit of work for one organization: what belongs together commits or vanishes together. Time stands still in it.
/// Dropped without [`Tx::commit`], it never happened.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    only_reads: bool,
    tenant: Tenant,
    now: DateTime<Utc>,
    actor: Actor,
    origin: Origin,
    enqueued: bool,
    wake_relay: Arc<Notify>,
}

impl Tx {
    /// The moment this unit of work happens.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Whom it is done for.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    pub(crate) fn organization_id(&self) -> OrganizationId {
        self.tenant.id()
    }

    /// Who does it.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Puts a name to what began without one: someone who has just proven who he is.
    pub fn act_as(&mut self, actor: Actor) {
        self.actor = actor;
    }

    /// Does what someone asked for earlier, from wherever he was then.
    pub(crate) fn act_for(&mut self, actor: Actor, origin: Origin) {
        self.actor = actor;
        self.origin = origin;
    }

    /// Where the request came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// A new id.
    pub fn new_id<I: TypedId>(&mut self) -> I {
        I::from_uuid(new_uuid(self.now))
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    pub(crate) fn note_enqueued(&mut self) {
        self.enqueued = true;
    }

    /// Lets this transaction see the directory of organizations. Only for a proven operator.
    pub(crate) async fn open_directory(&mut self) -> Result<()> {
        sqlx::query!("select set_config('tenantry.platform', 'on', true)").fetch_one(self.connection()).await?;
        Ok(())
    }

    /// Goes on for another organization, in the same transaction. Only for an operator, who makes one or looks after one, and for
    /// a job that looks for whom it is.
    pub(crate) async fn switch_to(&mut self, tenant: Tenant) -> Result<()> {
        sqlx::query!("select set_config('tenantry.organization_id', $1, true)", tenant.id().to_string())
            .fetch_one(self.connection())
            .await?;
        self.tenant = tenant;
        Ok(())
    }

    /// From here on statements are planned for their values, each time: for a list, as what suits a reach of one folder does not
    /// suit one of a thousand.
    pub(crate) async fn plan_for_values(&mut self) -> Result<()> {
        sqlx::query!("set local plan_cache_mode = force_custom_plan").execute(self.connection()).await?;
        Ok(())
    }

    /// From here on they are planned once in a connection, as they are from the beginning.
    pub(crate) async fn plan_once(&mut self) -> Result<()> {
        sqlx::query!("set local plan_cache_mode to default").execute(self.connection()).await?;
        Ok(())
    }

    /// Begins a part that can be undone by itself: for one row of a batch.
    pub async fn savepoint(&mut self) -> Result<()> {
        sqlx::query!("savepoint part").execute(self.connection()).await?;
        Ok(())
    }

    /// Ends the part begun by [`Tx::savepoint`], keeping or undoing it.
    pub async fn end_savepoint(&mut self, keep: bool) -> Result<()> {
        if !keep {
            sqlx::query!("rollback to savepoint part").execute(self.connection()).await?;
        }
        sqlx::query!("release savepoint part").execute(self.connection()).await?;
        Ok(())
    }

    /// Makes it real, then wakes the relay if there is work in the outbox. There is nothing to make real of one that only reads:
    /// its end goes to Postgres with what returns its connection, and nobody waits for that.
    pub async fn commit(self) -> Result<()> {
        if self.only_reads {
            return Ok(());
        }
        self.inner.commit().await?;
        if self.enqueued {
            self.wake_relay.notify_one();
        }
        Ok(())
    }
}

/// Runs the migrations as the owner, then makes the role that API and worker sign in with.
pub async fn migrate(config: &DatabaseConfig) -> Result<(), String> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(config.owner_url().map_err(|e| e.to_string())?)
        .await
        .map_err(|e| format!("Can't connect as the owner (DATABASE_URL): {e}"))?;
    MIGRATIONS.run(&pool).await.map_err(|e| format!("Migrating failed, nothing of the failing step was kept: {e}"))?;
    let login = config.app_login().map_err(|e| e.to_string())?;
    let made = sqlx::raw_sql(AssertSqlSafe(login.statement())).execute(&pool).await;
    pool.close().await;
    made.map(drop).map_err(|e| format!("Can't make the application's role {}: {e}", login.name))
}
