//! What API and worker measure alike. Names and meanings stand in `docs/operations.md`, too; a test holds them together.

use metrics::{Unit, describe_counter, describe_gauge};

use crate::db::Db;

/// Says what the numbers mean that come from this crate.
pub fn describe() {
    describe_gauge!("tenantry_build_info", "Always 1; the label is the release that runs.");
    describe_gauge!("tenantry_database_connections", "Connections to Postgres of this process, by what they do.");
    metrics::gauge!("tenantry_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Says what the relay's numbers mean, in the process that runs it.
pub fn describe_relay() {
    describe_counter!("tenantry_jobs_pushed_total", "Jobs pushed from Postgres to Redis.");
    // From the start, for an alert can't compare with what is not there.
    metrics::counter!("tenantry_jobs_pushed_total").increment(0);
    describe_gauge!(
        "tenantry_relay_last_success_timestamp_seconds",
        Unit::Seconds,
        "When the relay of this process last got through to Postgres and Redis, as Unix time."
    );
}

/// Measures the pool as it is now.
pub fn pool(db: &Db) {
    let idle = u32::try_from(db.pool().num_idle()).unwrap_or(u32::MAX);
    let gauge = |state, count: u32| metrics::gauge!("tenantry_database_connections", "state" => state).set(count);
    gauge("idle", idle);
    gauge("busy", db.pool().size().saturating_sub(idle));
}
