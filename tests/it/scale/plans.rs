//! What Postgres did for a request: the plans it ran, as `auto_explain` tells them to whoever asked.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use harness::{Answer, Call, Database};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Each statement's plan is told, with what it read, also of statements that functions and foreign keys run.
const EXPLAIN: &str = "
    load 'auto_explain';
    do $$
    declare
        setting text;
    begin
        foreach setting in array array['session_preload_libraries = auto_explain', 'client_min_messages = notice',
            'auto_explain.log_min_duration = 0', 'auto_explain.log_analyze = on', 'auto_explain.log_timing = off',
            'auto_explain.log_buffers = on', 'auto_explain.log_nested_statements = on', 'auto_explain.log_format = json',
            'auto_explain.log_level = notice']
        loop
            execute format('alter database %I set %s', current_database(), setting);
        end loop;
    end $$";

/// What is said to `tracing` in this thread by the connections to Postgres.
pub(super) struct Plans {
    heard: Arc<Mutex<Vec<Value>>>,
    _guard: DefaultGuard,
}

struct Ear(Arc<Mutex<Vec<Value>>>);

struct Said(String);

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "sqlx::postgres::notice" {
            return;
        }
        let mut said = Said(String::new());
        event.record(&mut said);
        if let Some((_, plan)) = said.0.split_once("plan:\n") {
            self.0.lock().expect("nobody panics here").push(serde_json::from_str(plan).expect("a plan"));
        }
    }
}

impl Plans {
    /// From now on.
    pub(super) async fn listen(database: &Database) -> Self {
        database.execute(EXPLAIN).await;
        database.disconnect_others().await;
        let heard = Arc::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(Ear(Arc::clone(&heard))));
        Self { heard, _guard: guard }
    }

    /// An answer, and what it took.
    pub(super) async fn of(&self, call: Call) -> (Answer, Work) {
        self.take();
        let answer = call.await;
        (answer, Work::of(self.take()))
    }

    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.heard.lock().expect("nobody panics here"))
    }
}

/// What a request took.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// How many statements.
    pub(super) statements: usize,
    /// How many pages of the database were looked at.
    pub(super) pages: u64,
    /// How many rows were looked at, by table.
    pub(super) rows: BTreeMap<String, u64>,
}

impl Work {
    fn of(mut plans: Vec<Value>) -> Self {
        // The relay looks for work whenever it likes.
        plans.retain(|plan| !plan["Query Text"].as_str().unwrap_or_default().contains("outbox"));
        let mut work = Self { statements: plans.len(), ..Self::default() };
        for plan in &plans {
            let root = &plan["Plan"];
            work.pages += number(root, "Shared Hit Blocks") + number(root, "Shared Read Blocks");
            work.add(root);
        }
        work
    }

    fn add(&mut self, node: &Value) {
        let kind = node["Node Type"].as_str().unwrap_or_default();
        if let Some(table) = node["Relation Name"].as_str().filter(|_| kind.ends_with("Scan")) {
            let rows = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"];
            let read = rows.iter().map(|name| number(node, name)).sum::<u64>() * number(node, "Actual Loops");
            *self.rows.entry(table.to_owned()).or_default() += read;
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            self.add(child);
        }
    }

    /// The one of these tables it read most of, and how many rows.
    pub(super) fn most(&self, tables: &[&str]) -> (&str, u64) {
        let large = self.rows.iter().filter(|(table, _)| tables.contains(&&***table));
        large.map(|(table, read)| (&**table, *read)).max_by_key(|(_, read)| *read).unwrap_or_default()
    }
}

fn number(node: &Value, name: &str) -> u64 {
    node[name].as_u64().unwrap_or_default()
}
