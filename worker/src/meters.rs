//! What the worker measures. Names and meanings stand in `docs/operations.md`, too; a test holds them together.

use std::time::{Duration, Instant};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use tenantry_shared::db::Db;
use tenantry_shared::meters;
use tenantry_shared::outbox::{self, Job, Lane};

/// Says what the numbers mean.
pub(crate) fn describe() {
    meters::describe();
    describe_counter!(
        "tenantry_emails_total",
        "Attempts to send a mail, by outcome: `sent`, `deferred` (comes again), `failed` (for good)."
    );
    describe_gauge!("tenantry_jobs_waiting", "Jobs that are not done yet, by lane.");
    describe_gauge!("tenantry_jobs_parked", "Jobs that crashed too often and were put aside, by lane.");
    describe_counter!("tenantry_jobs_parked_total", "Jobs that this process has put aside, by kind.");
    describe_gauge!(
        "tenantry_jobs_oldest_due_seconds",
        Unit::Seconds,
        "How long the oldest job that is due has been waiting, by lane."
    );
    describe_histogram!("tenantry_job_seconds", Unit::Seconds, "How long a job took, by kind and outcome.");
    describe_gauge!(
        "tenantry_schedule_last_success_timestamp_seconds",
        Unit::Seconds,
        "When each schedule last ran to its end without a failure, by schedule."
    );
    describe_counter!(
        "tenantry_schedule_failures_total",
        "How often this process could not run a schedule, or not for an organization, by schedule."
    );
    // From the start, for an alert can't compare with what is not there.
    for job in Job::NAMES {
        metrics::counter!("tenantry_jobs_parked_total", "job" => job).increment(0);
    }
    for outcome in ["sent", "deferred", "failed"] {
        metrics::counter!("tenantry_emails_total", "outcome" => outcome).increment(0);
    }
}

/// Notes a job that ran. One that was not done comes again.
pub(crate) fn job(job: Job, started: Instant, is_done: bool) {
    let outcome = if is_done { "done" } else { "not_done" };
    metrics::histogram!("tenantry_job_seconds", "job" => job.name(), "outcome" => outcome)
        .record(started.elapsed().as_secs_f64());
}

/// Measures what has no event of its own, every five seconds.
pub(crate) async fn watch(db: Db) {
    loop {
        meters::pool(&db);
        if let Ok(depths) = outbox::depth(&db).await {
            for lane in Lane::ALL {
                let depth = depths.iter().find(|depth| depth.lane == lane);
                let gauge = |name, value| metrics::gauge!(name, "lane" => lane.name()).set(value);
                #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
                let count = |number: Option<i64>| number.unwrap_or(0) as f64;
                gauge("tenantry_jobs_waiting", count(depth.map(|d| d.waiting)));
                gauge("tenantry_jobs_parked", count(depth.map(|d| d.parked)));
                gauge("tenantry_jobs_oldest_due_seconds", depth.map_or(0.0, |d| d.oldest_seconds));
            }
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
