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
/// How soon to look again while there is more to push, and the workers had nothing left to take.
const DRY: Duration = Duration::from_millis(5);
/// And while they take it.
const BUSY: Duration = Duration::from_millis(20);
/// And while they don't.
const STUCK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(2);

/// Pushes due work until `stop`, which it heeds between two turns. Trouble with Postgres or Redis is logged once an outage,
/// and passes.
pub async fn run(db: Db, client: redis::Client, namespace: String, stop: impl Future<Output = ()>) {
    let windows = [Window::default(); 2];
    let mut relay = Relay { db, client, namespace, connection: None, in_trouble: false, windows };
    let mut stop = std::pin::pin!(stop);
    loop {
        let pause = match relay.turn().await {
            Ok(Backlog::Dry) => DRY,
            Ok(Backlog::Moving) => BUSY,
            Ok(Backlog::Stuck) => STUCK,
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
    /// There is no room, and the workers make none: they are busy, or there is none.
    Stuck,
    /// There is more, and the workers take it.
    Moving,
    /// There is more, and the workers had taken all.
    Dry,
}

/// How many jobs of a lane should wait in Redis: few, so that a late-comer's turn comes soon, yet enough for the workers
/// until the next look. It doubles when they ran dry and halves when they leave most of it.
#[derive(Clone, Copy, Debug)]
struct Window {
    size: i32,
    /// How many waited after the last look.
    left: i32,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: LEAST_WAITING, left: 0 }
    }
}

impl Window {
    /// Looks at what is left of it: whether any were taken, and how many more to push.
    fn look(&mut self, waiting: i32) -> (bool, i32) {
        let any_taken = waiting < self.left;
        self.left = waiting;
        if waiting > self.size / 2 {
            self.size = (self.size / 2).max(LEAST_WAITING);
        }
        (any_taken, self.size - waiting)
    }

    /// So many were pushed; `all_it_takes`: there may be more of them. If the workers had taken all, they could have taken more.
    fn fill(&mut self, pushed: i32, all_it_takes: bool) {
        if all_it_takes && self.left == 0 {
            self.size = (self.size * 2).min(MOST_WAITING);
        }
        self.left += pushed;
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
        let (epoch, waiting) = self.look().await?;
        let mut connection = self.connection().await?;
        let mut backlog = Backlog::None;
        for ((lane, waiting), window) in Lane::ALL.into_iter().zip(waiting).zip(&mut self.windows) {
            let key = lane.redis_key(&self.namespace);
            let (any_taken, places) = window.look(waiting);
            if places <= 0 {
                backlog = backlog.max(if any_taken { Backlog::Moving } else { Backlog::Stuck });
                continue;
            }
            let mut due =
                outbox::claim_due(&self.db, lane, epoch, places, REDELIVER).await.map_err(|e| e.to_string())?;
            if due.is_empty() {
                continue;
            }
            let _spans: Vec<Span> = due.iter_mut().map(|job| traced(job, lane)).collect();
            let jobs: Vec<String> = due.iter().map(ToString::to_string).collect();
            let pushed = i32::try_from(jobs.len()).unwrap_or(i32::MAX);
            metrics::counter!("tenantry_jobs_pushed_total").increment(jobs.len() as u64);
            within(connection.lpush::<_, _, ()>(&key, jobs)).await?;
            window.fill(pushed, pushed >= places);
            if pushed >= places {
                backlog = backlog.max(if waiting == 0 { Backlog::Dry } else { Backlog::Moving });
            }
        }
        Ok(backlog)
    }

    /// The present life of Redis, and how many jobs of each lane wait there.
    async fn look(&mut self) -> Result<(Uuid, [i32; 2]), String> {
        let epoch = self.epoch_key();
        let [first, second] = Lane::ALL.map(|lane| lane.redis_key(&self.namespace));
        let mut connection = self.connection().await?;
        let mut asked = redis::pipe();
        asked.get(&epoch).llen(first).llen(second);
        let (known, first, second): (Option<String>, i32, i32) = within(asked.query_async(&mut connection)).await?;
        let epoch = match known.as_deref().and_then(|text| Uuid::parse_str(text).ok()) {
            Some(epoch) => epoch,
            None => self.begin_epoch().await?,
        };
        Ok((epoch, [first, second]))
    }

    /// Names the present life of Redis: a name that it loses with everything else when it comes back empty.
    async fn begin_epoch(&mut self) -> Result<Uuid, String> {
        let key = self.epoch_key();
        let mut connection = self.connection().await?;
        let fresh = new_uuid(self.db.clock().now()).to_string();
        // Another API process may have been faster: what stands there counts.
        let _: bool = within(connection.set_nx(&key, &fresh)).await?;
        let agreed: String = within(connection.get(&key)).await?;
        Uuid::parse_str(&agreed).map_err(|_| format!("{key} in Redis is not ours"))
    }

    fn epoch_key(&self) -> String {
        format!("{}:epoch", self.namespace)
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
        let mut window = Window::default();
        for _ in 0..10 {
            let (_, places) = window.look(0);
            assert_eq!(places, window.size);
            window.fill(places, true);
        }
        assert_eq!(window.look(0), (true, MOST_WAITING));
        window.fill(MOST_WAITING, true);
        // They take little of it.
        assert_eq!(window.look(150), (true, MOST_WAITING / 2 - 150));
        for _ in 0..10 {
            assert!(!window.look(150).0, "they take none");
        }
        assert_eq!(window.look(0), (true, LEAST_WAITING));
    }

    #[test]
    fn what_is_not_more_than_there_is_room_for_needs_no_more_room() {
        let mut window = Window::default();
        window.fill(3, false);
        assert_eq!(window.look(0), (true, LEAST_WAITING));
    }
}
