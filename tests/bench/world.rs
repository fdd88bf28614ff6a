//! A Tenantry of release binaries as it is shipped, over a Postgres whose commits reach the disk.

use std::sync::Arc;
use std::time::Duration;

use harness::{Call, Database, PostgresServer, Processes, Which};

use crate::report::number;

/// Counts statements in sessions that begin from now on, and in no others: to count costs time.
const COUNT: &str = "create extension if not exists pg_stat_statements;
    do $$ begin execute format('alter database %I set pg_stat_statements.track = top', current_database()); end $$";
const COUNT_NO_MORE: &str =
    "do $$ begin execute format('alter database %I set pg_stat_statements.track = none', current_database()); end $$";
/// What the relay does by itself is nobody's request; and `begin` and `commit` are a round trip each.
const COUNTED: &str = "select coalesce(sum(calls), 0)::float8 as calls from pg_stat_statements s
    join pg_database d on d.oid = s.dbid where d.datname = current_database() and query not ilike '%outbox%'
    and query not ilike '%pg_stat_statements%'";

/// See the module.
pub(crate) struct World {
    pub(crate) tenantry: Processes,
    pub(crate) postgres: PostgresServer,
}

impl World {
    pub(crate) async fn start() -> Self {
        let postgres = PostgresServer::start_durable().await;
        let tenantry = tenantry_on(&postgres, "tenantry").await;
        Self { tenantry, postgres }
    }

    /// Another Tenantry beside it, with a database of its own in the same server.
    pub(crate) async fn another(&self, database: &str) -> Processes {
        tenantry_on(&self.postgres, database).await
    }

    pub(crate) async fn end(mut self) {
        for which in [Which::Api, Which::Worker] {
            self.tenantry.terminate(which).await;
        }
        self.postgres.stop().await;
    }
}

async fn tenantry_on(postgres: &PostgresServer, name: &str) -> Processes {
    let database = Database::named_on(postgres, name).await;
    database.execute(COUNT_NO_MORE).await;
    let mut tenantry = Processes::start_on(Arc::new(database)).await;
    // Where the tests have less than is shipped.
    tenantry.set("DATABASE_POOL_SIZE", "10");
    // What recurs goes through all organizations in its own time, and would fall upon one of two that are compared.
    tenantry.set("RUN_SCHEDULES", "false");
    for which in [Which::Api, Which::Worker] {
        tenantry.terminate(which).await;
        tenantry.start_one(which).await;
    }
    tenantry
}

/// Brings a database into the state that it has some time after so much was written.
pub(crate) async fn settle(tenantry: &Processes) {
    for statement in ["vacuum analyze", "checkpoint"] {
        tenantry.database().execute(statement).await;
    }
}

/// How many statements a request takes, `begin` and `commit` among them: the mean of some, one after the other.
pub(crate) async fn statements(tenantry: &Processes, call: impl Fn(usize) -> Call) -> String {
    const CALLS: usize = 20;
    let database = tenantry.database();
    database.execute(COUNT).await;
    database.disconnect_others().await;
    // Whoever finds its connection gone makes a new one.
    for n in 0..5 {
        let _ = call(n).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = database.value(COUNTED).await.as_f64().unwrap_or_default();
    for n in 5..CALLS + 5 {
        let answer = call(n).await;
        assert!(answer.status.is_success() || answer.status.is_redirection(), "{}", answer.whole());
    }
    let after = database.value(COUNTED).await.as_f64().unwrap_or_default();
    database.execute(COUNT_NO_MORE).await;
    database.disconnect_others().await;
    number((after - before) / CALLS as f64)
}
