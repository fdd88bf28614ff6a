//! The relay: carries ids of due work from the outbox to Redis. It runs in the API process, woken by each commit and by
//! a sweep every second, so that a crash in between loses nothing.

use std::time::Duration;

use chrono::TimeDelta;
use redis::AsyncCommands;
use redis::aio::ConnectionManager;
use tokio::time::timeout;
use uuid::Uuid;

use crate::db::Db;
use crate::error::Result;
use crate::ids::new_uuid;
use crate::outbox::{self, Lane};

/// Jobs of a lane under way at most: the backlog stays in Postgres, where it is ordered, and a Redis that dies takes little with it.
const IN_FLIGHT: i32 = 200;
/// When a job that was pushed and that no worker has taken is pushed again.
const REDELIVER: TimeDelta = TimeDelta::seconds(60);
const SWEEP: Duration = Duration::from_secs(1);
/// How soon to look again while there is more to push than room.
const BUSY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(2);

/// Pushes due work until `stop`, which it heeds between two turns. Trouble with Postgres or Redis is logged once an outage,
/// and passes.
pub async fn run(db: Db, client: redis::Client, namespace: String, stop: impl Future<Output = ()>) {
    let mut relay = Relay { db, client, namespace, connection: None, in_trouble: false };
    let mut stop = std::pin::pin!(stop);
    loop {
        let pause = match relay.turn().await {
            Ok(count) if count > 0 => BUSY,
            _ => SWEEP,
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
}

impl Relay {
    async fn turn(&mut self) -> Result<usize, String> {
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
        if result.is_err() {
            self.connection = None;
        }
        result
    }

    /// Pushes what is due and returns how much that was. If Redis fails between the claim and the push, the jobs come
    /// due again by themselves.
    async fn push_due(&mut self) -> Result<usize, String> {
        let epoch = self.epoch().await?;
        let mut connection = self.connection().await?;
        let mut pushed = 0;
        for lane in Lane::ALL {
            let key = lane.redis_key(&self.namespace);
            // With no worker there, what was pushed before is there still: more of the same would only fill Redis.
            let waiting: i32 = within(connection.llen(&key)).await?;
            if waiting >= IN_FLIGHT {
                continue;
            }
            let due =
                outbox::claim_due(&self.db, lane, epoch, IN_FLIGHT, REDELIVER).await.map_err(|e| e.to_string())?;
            if due.is_empty() {
                continue;
            }
            let jobs: Vec<String> = due.iter().map(ToString::to_string).collect();
            within(connection.lpush::<_, _, ()>(&key, jobs)).await?;
            pushed += due.len();
        }
        metrics::counter!("tenantry_jobs_pushed_total").increment(pushed as u64);
        Ok(pushed)
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

async fn within<T>(work: impl Future<Output = redis::RedisResult<T>>) -> Result<T, String> {
    match timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(|e| format!("Redis: {e}")),
        Err(_) => Err("Redis: no answer in time".into()),
    }
}
