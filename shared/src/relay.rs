//! The relay: carries ids of due work from the outbox to Redis. It runs in the API process, woken by each commit and by
//! a sweep every second, so that a crash in between loses nothing.

use std::time::Duration;

use chrono::TimeDelta;
use redis::AsyncCommands;
use redis::aio::ConnectionManager;
use tokio::time::timeout;
use tracing::Span;
use uuid::Uuid;

use crate::db::Db;
use crate::error::Result;
use crate::ids::new_uuid;
use crate::outbox::{self, JobRef, Lane};
use crate::trace;

/// How many jobs of a lane wait in Redis at most: the backlog stays in Postgres, where organizations take turns.
const MOST_WAITING: i32 = 200;
/// And at least, however slowly they are taken: what is urgent for one organization waits behind these.
const LEAST_WAITING: i32 = 8;
/// When a job that was pushed and that no worker has taken is pushed again.
const REDELIVER: TimeDelta = TimeDelta::seconds(60);
const SWEEP: Duration = Duration::from_secs(1);
/// How soon to look again while there is more to push, and the workers take it.
const BUSY: Duration = Duration::from_millis(20);
/// And while they don't.
const NO_ROOM: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(2);

/// Pushes due work until `stop`, which it heeds between two turns. Trouble with Postgres or Redis is logged once an outage,
/// and passes.
pub async fn run(db: Db, client: redis::Client, namespace: String, stop: impl Future<Output = ()>) {
    let windows = [Window(LEAST_WAITING); 2];
    let mut relay = Relay { db, client, namespace, connection: None, in_trouble: false, windows };
    let mut stop = std::pin::pin!(stop);
    loop {
        let pause = match relay.turn().await {
            Ok(Backlog::Pushed) => BUSY,
            Ok(Backlog::NoRoom) => NO_ROOM,
            Ok(Backlog::None) | Err(_) => SWEEP,
        };
        tokio::select! {
            () = &mut stop => return,
            // A commit may ring while a turn runs; the bell remembers one ring.
            _ = timeout(pause, relay.db.relay_bell().notified()) => {}
        }
    }
}

struct Relay {
    db: Db,
    client: redis::Client,
    namespace: String,
    connection: Option<ConnectionManager>,
    in_trouble: bool,
    windows: [Window; 2],
}

/// Whether there is more to push than there was room for, in order of haste.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Backlog {
    /// All that was due is pushed.
    None,
    /// The workers are busy, or there is none: more would only fill Redis.
    NoRoom,
    /// All that there was room for was pushed.
    Pushed,
}

/// How many jobs of a lane should wait in Redis: few, so that a late-comer's turn comes soon, yet enough for the workers
/// until the next look. It doubles when they ran dry and halves when they leave most of it.
#[derive(Clone, Copy, Debug)]
struct Window(i32);

impl Window {
    /// Looks at what is left of it, and says how many more to push.
    fn places(&mut self, waiting: i32) -> i32 {
        if waiting > self.0 / 2 {
            self.0 = (self.0 / 2).max(LEAST_WAITING);
        }
        self.0 - waiting
    }

    /// The workers had taken all, and all that there was room for was pushed: they could have taken more.
    fn widen(&mut self) {
        self.0 = (self.0 * 2).min(MOST_WAITING);
    }
}

impl Relay {
    async fn turn(&mut self) -> Result<Backlog, String> {
        let result = self.push_due().await;
        match &result {
            Err(error) if !self.in_trouble => {
                tracing::warn!(error, "mail waits in Postgres: the relay can't push jobs; it keeps trying");
                self.in_trouble = true;
            }
            Ok(_) if self.in_trouble => {
                tracing::info!("the relay pushes jobs again");
                self.in_trouble = false;
            }
            _ => {}
        }
        match &result {
            Ok(_) => metrics::gauge!("tenantry_relay_last_success_timestamp_seconds")
                .set(self.db.clock().now().timestamp_millis() as f64 / 1000.0),
            Err(_) => self.connection = None,
        }
        result
    }

    /// Pushes what is due. If Redis fails between the claim and the push, the jobs come due again by themselves.
    async fn push_due(&mut self) -> Result<Backlog, String> {
        let epoch = self.epoch().await?;
        let mut connection = self.connection().await?;
        let mut backlog = Backlog::None;
        for (lane, window) in Lane::ALL.into_iter().zip(&mut self.windows) {
            let key = lane.redis_key(&self.namespace);
            let waiting: i32 = within(connection.llen(&key)).await?;
            let places = window.places(waiting);
            if places <= 0 {
                backlog = backlog.max(Backlog::NoRoom);
                continue;
            }
            let mut due =
                outbox::claim_due(&self.db, lane, epoch, places, REDELIVER).await.map_err(|e| e.to_string())?;
            if due.is_empty() {
                continue;
            }
            let _spans: Vec<Span> = due.iter_mut().map(|job| traced(job, lane)).collect();
            let jobs: Vec<String> = due.iter().map(ToString::to_string).collect();
            let is_full = jobs.len() >= usize::try_from(places).unwrap_or(0);
            metrics::counter!("tenantry_jobs_pushed_total").increment(jobs.len() as u64);
            within(connection.lpush::<_, _, ()>(&key, jobs)).await?;
            if is_full {
                backlog = Backlog::Pushed;
                if waiting == 0 {
                    window.widen();
                }
            }
        }
        Ok(backlog)
    }

    /// The present life of Redis: a name that it loses with everything else when it comes back empty.
    async fn epoch(&mut self) -> Result<Uuid, String> {
        let key = format!("{}:epoch", self.namespace);
        let mut connection = self.connection().await?;
        let known: Option<String> = within(connection.get(&key)).await?;
        if let Some(epoch) = known.as_deref().and_then(|text| Uuid::parse_str(text).ok()) {
            return Ok(epoch);
        }
        let fresh = new_uuid(self.db.clock().now()).to_string();
        // Another API process may have been faster: what stands there counts.
        let _: bool = within(connection.set_nx(&key, &fresh)).await?;
        let agreed: String = within(connection.get(&key)).await?;
        Uuid::parse_str(&agreed).map_err(|_| format!("{key} in Redis is not ours"))
    }

    async fn connection(&mut self) -> Result<ConnectionManager, String> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let made = within(ConnectionManager::new(self.client.clone())).await?;
        self.connection = Some(made.clone());
        Ok(made)
    }
}

/// The push as its request's trace shows it, until this is dropped. The worker goes on from there.
fn traced(job: &mut JobRef, lane: Lane) -> Span {
    let Some(parent) = &job.trace_parent else { return Span::none() };
    let span = tracing::info_span!(
        target: trace::TARGET, "push", otel.name = format!("push {}", lane.name()), otel.kind = "producer",
        messaging.system = "redis", messaging.operation.name = "push", messaging.operation.type = "send",
        messaging.destination.name = lane.name()
    );
    trace::continue_from(&span, Some(parent));
    if let Some(own) = trace::parent_of(&span) {
        job.trace_parent = Some(own);
    }
    span
}

async fn within<T>(work: impl Future<Output = redis::RedisResult<T>>) -> Result<T, String> {
    match timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(|e| format!("Redis: {e}")),
        Err(_) => Err("Redis: no answer in time".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_redis_follows_how_fast_it_is_taken() {
        let mut window = Window(LEAST_WAITING);
        for _ in 0..10 {
            assert_eq!(window.places(0), window.0);
            window.widen();
        }
        assert_eq!(window.places(0), MOST_WAITING);
        // They take little of it.
        assert!(window.places(150) < 0);
        for _ in 0..10 {
            window.places(150);
        }
        assert_eq!(window.places(0), LEAST_WAITING);
    }
}
