//! The limits of all processes together, in Redis.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Cmd, Pipeline, RedisResult};
use tokio::time::timeout;

use super::{Buckets, DELAY, FAMILIAR_FOR, Key, Taken, WAITED_FOR};
use crate::config::{ConfigError, RedisConfig};

/// For how long nobody asks once there was no answer, so that not every sign-in waits for none.
const PAUSE: Duration = Duration::from_secs(1);

const TAKE: &str = include_str!("take.lua");
const GIVE_BACK: &str = include_str!("give_back.lua");

/// Redis did not answer; the log says so once an outage.
pub(super) struct Away;

/// See the module.
pub(super) struct Shared {
    connection: ConnectionManager,
    patience: Duration,
    namespace: String,
    trouble: Mutex<Trouble>,
}

#[derive(Default)]
struct Trouble {
    is_known: bool,
    /// Nobody asks before.
    until: Option<Instant>,
}

impl Shared {
    /// Connects when it is first asked: a process may start before Redis.
    pub(super) fn new(config: &RedisConfig, patience: Duration) -> Result<Self, ConfigError> {
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(patience))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(config.client()?, settings)
            .map_err(|_| ConfigError("REDIS_URL can't be used.".into()))?;
        Ok(Self { connection, patience, namespace: config.redis_namespace.clone(), trouble: Mutex::default() })
    }

    fn key(&self, key: &Key) -> String {
        format!("{}:limit:{}", self.namespace, bs58::encode(key).into_string())
    }

    /// Takes one of every bucket, or of none of them.
    pub(super) async fn take(&self, buckets: &Buckets, now: i64) -> Result<Taken, Away> {
        let siege = buckets.siege.iter().flat_map(|siege| [&siege.waited, &siege.familiar]);
        let keys = buckets.all().count() + siege.clone().count();
        let mut command = redis::cmd("EVAL");
        command.arg(TAKE).arg(keys);
        for (key, _) in buckets.all() {
            command.arg(self.key(&key));
        }
        for key in siege {
            command.arg(self.key(key));
        }
        command.arg(now).arg(if buckets.siege.is_some() { DELAY } else { 0 }).arg(WAITED_FOR);
        for (_, rate) in buckets.all() {
            command.arg(rate.burst).arg(rate.interval);
        }
        let mut connection = self.connection.clone();
        let wait: i64 = self.within(command.query_async(&mut connection)).await?;
        Ok(Taken::of(wait, wait == -1))
    }

    /// Gives back what was taken.
    pub(super) async fn give_back(&self, buckets: &Buckets, now: i64) -> Result<(), Away> {
        let mut connection = self.connection.clone();
        self.within(self.giving_back(buckets, now).query_async(&mut connection)).await
    }

    /// Gives back, forgets the first bucket and that the client waited; it is familiar from now on.
    pub(super) async fn clear(&self, buckets: &Buckets, now: i64) -> Result<(), Away> {
        let mut all = Pipeline::new();
        all.atomic().add_command(self.giving_back(buckets, now)).ignore();
        if let Some((own, _)) = buckets.strict.first() {
            all.del(self.key(own)).ignore();
        }
        if let Some(siege) = &buckets.siege {
            all.del(self.key(&siege.waited)).ignore();
            all.cmd("SET").arg(self.key(&siege.familiar)).arg("").arg("PX").arg(FAMILIAR_FOR).ignore();
        }
        let mut connection = self.connection.clone();
        self.within(all.query_async(&mut connection)).await
    }

    fn giving_back(&self, buckets: &Buckets, now: i64) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(GIVE_BACK).arg(buckets.taken().count());
        for (key, _) in buckets.taken() {
            command.arg(self.key(&key));
        }
        command.arg(now);
        for (_, rate) in buckets.taken() {
            command.arg(rate.interval);
        }
        command
    }

    async fn within<T>(&self, work: impl Future<Output = RedisResult<T>>) -> Result<T, Away> {
        if self.trouble().until.is_some_and(|until| Instant::now() < until) {
            return Err(Away);
        }
        let error = match timeout(self.patience, work).await {
            Ok(Ok(answer)) => {
                let mut trouble = self.trouble();
                if std::mem::take(&mut *trouble).is_known {
                    tracing::info!(
                        "Redis answers again: failed sign-ins are counted there, for all processes together"
                    );
                }
                return Ok(answer);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        let mut trouble = self.trouble();
        trouble.until = Some(Instant::now() + PAUSE);
        if !std::mem::replace(&mut trouble.is_known, true) {
            tracing::warn!(
                error,
                "Redis does not answer: each process counts failed sign-ins for itself until it does"
            );
        }
        Err(Away)
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
