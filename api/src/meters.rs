//! What the API measures. Names and meanings stand in `docs/operations.md`, too; a test holds them together.

use std::time::Duration;

use metrics::{Unit, describe_gauge, describe_histogram};
use tenantry_shared::db::Db;
use tenantry_shared::{limits, meters};

/// Says what the numbers mean.
pub(crate) fn describe() {
    meters::describe();
    meters::describe_relay();
    limits::describe();
    describe_histogram!(
        "tenantry_http_request_seconds",
        Unit::Seconds,
        "How long requests took, by operation (pages are `other`), method and status."
    );
    describe_gauge!("tenantry_http_requests_in_flight", "Requests that are being answered.");
}

/// Measures what has no event of its own, every five seconds.
pub(crate) async fn watch(db: Db) {
    loop {
        meters::pool(&db);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// A request that is being answered, until this is dropped.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn begin() -> Self {
        metrics::gauge!("tenantry_http_requests_in_flight").increment(1.0);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("tenantry_http_requests_in_flight").decrement(1.0);
    }
}
