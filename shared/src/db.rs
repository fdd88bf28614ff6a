//! Postgres: the pool, and the unit of work that everything tenant-owned goes through.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Acquire, AssertSqlSafe, PgConnection, Postgres, Transaction};
use tokio::sync::Notify;

use crate::access::{Actor, Origin};
use crate::clock::Clock;
use crate::config::DatabaseConfig;
use crate::error::Result;
use crate::ids::{OrganizationId, TypedId, new_uuid};
use crate::tenant::Tenant;

/// The migrations, embedded.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

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
            .connect_lazy_with(options.options([("statement_timeout", "30s"), ("timezone", "UTC")]));
        Ok(Self { pool, clock, wake_relay: Arc::default() })
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
        // One round trip: the tenant rides on the `begin`. A UUID needs no quoting.
        let begin = format!("begin; set local tenantry.organization_id = '{}'", tenant.id());
        let inner = self.pool.begin_with(AssertSqlSafe(begin)).await?;
        Ok(Tx {
            inner,
            tenant: tenant.clone(),
            now: self.clock.now(),
            actor,
            origin,
            enqueued: false,
            wake_relay: Arc::clone(&self.wake_relay),
        })
    }

    /// Whether Postgres answers, has been migrated, and our role is held by row-level security. The error is a sentence for
    /// an operator.
    pub async fn check(&self) -> Result<(), String> {
        let trouble = |e: sqlx::Error| format!("Postgres does not answer: {e}");
        let mut connection = self.pool.acquire().await.map_err(trouble)?;
        let connection: &mut PgConnection = connection.acquire().await.map_err(trouble)?;
        let role = sqlx::query!(
            r#"select rolname as "name!", rolsuper as "is_super!", rolbypassrls as "bypasses!",
                      exists (select from pg_class c where c.oid = to_regclass('organizations')
                          and pg_has_role(r.oid, c.relowner, 'member'))
                          or pg_has_role(r.oid, 'tenantry_across', 'member') as "owns!",
                      to_regclass('organizations') is null as "empty!"
               from pg_roles r where rolname = current_user"#
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(trouble)?;
        if role.empty {
            return Err("The database has no tables yet: run `tenantry-api migrate`.".into());
        }
        if role.is_super || role.bypasses || role.owns {
            return Err(format!(
                "DATABASE_APP_URL signs in as {}, which row-level security does not hold. Give it a role of its own; \
                 `tenantry-api migrate` makes it.",
                role.name
            ));
        }
        Ok(())
    }

    /// Closes the pool, after what is under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// One unit of work for one organization: what belongs together commits or vanishes together. Time stands still in it.
/// Dropped without [`Tx::commit`], it never happened.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
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

    /// Goes on for another organization, in the same transaction. Only for what makes one.
    pub(crate) async fn switch_to(&mut self, tenant: Tenant) -> Result<()> {
        sqlx::query!("select set_config('tenantry.organization_id', $1, true)", tenant.id().to_string())
            .fetch_one(self.connection())
            .await?;
        self.tenant = tenant;
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

    /// Makes it real, then wakes the relay if there is work in the outbox.
    pub async fn commit(self) -> Result<()> {
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
