//! What `tenantry-api check` and `tenantry-worker check` do: look at every setting and every dependency, and print a line
//! for each. Never a secret, nor a URL that may hold one.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use redis::{AsyncConnectionConfig, InfoDict};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::{CommonConfig, ConfigError, DatabaseConfig, RedisConfig};
use crate::db::{self, Db, Schema};
use crate::{reseal, telemetry};

const PATIENCE: Duration = Duration::from_secs(5);

/// What was found so far. Lines are printed as they are found.
#[derive(Debug, Default)]
#[must_use = "its exit code says whether all is well"]
pub struct Report {
    is_bad: bool,
}

impl Report {
    /// An item that is as it should be.
    pub fn ok(&self, item: &str, words: &str) {
        line("ok  ", item, words);
    }

    /// An item that works, and that an operator should change.
    pub fn warn(&self, item: &str, words: &str) {
        line("WARN", item, words);
    }

    /// An item without which it does not work: what is wrong, and how to mend it.
    pub fn bad(&mut self, item: &str, words: &str) {
        line("BAD ", item, words);
        self.is_bad = true;
    }

    /// A setting, and its value if it is good.
    pub fn setting<T>(&mut self, name: &str, value: Result<T, ConfigError>) -> Option<T> {
        match value {
            Ok(value) => {
                self.ok(name, "");
                Some(value)
            }
            Err(error) => {
                self.bad(name, &error.0);
                None
            }
        }
    }

    /// A setting that may be left out, and what comes of that.
    pub fn optional<T>(&mut self, name: &str, value: Result<Option<T>, ConfigError>, without: &str) {
        match value {
            Ok(None) => self.ok(name, &format!("not set: {without}")),
            set => drop(self.setting(name, set)),
        }
    }

    /// An address that the process will listen on. Its port may be taken: by the very process that is asked about.
    pub fn listening(&mut self, name: &str, address: SocketAddr) {
        let bound = TcpListener::bind((address.ip(), 0));
        self.setting(name, bound.map_err(|e| ConfigError(format!("{name}={address} can't be used: {e}."))));
    }

    /// The settings that API and worker share.
    pub fn common(&mut self, config: &CommonConfig) {
        self.setting("SECRET_KEY", config.secret_key());
        self.optional("PREVIOUS_SECRET_KEY", config.secret_keys.previous(), "there is no key before");
        self.setting("PUBLIC_URL", config.public_url());
        self.setting("LOG", telemetry::log_filter(&config.log));
        self.optional("DNS_SERVER", config.dns_server(), "the system's name servers are asked");
        self.optional("OTEL_EXPORTER_OTLP_ENDPOINT", config.collector(), "no traces");
    }

    /// Postgres: it answers, its schema is ours or later, our role is held.
    pub async fn database(&mut self, config: &DatabaseConfig) {
        if self.setting("DATABASE_APP_URL", config.app_url()).is_none() {
            return;
        }
        match db::check(config).await {
            Ok(Schema::Current) => {
                self.ok("Postgres", "it answers, with this release's schema; row-level security holds us")
            }
            Ok(Schema::Ahead) => {
                self.ok("Postgres", "it answers, with a later release's schema, which this one works with")
            }
            Err(error) => self.bad("Postgres", &error.to_string()),
        }
    }

    /// The server key: it opens what is stored. Says nothing while Postgres can't be asked.
    pub async fn secrets(&mut self, database: &DatabaseConfig, common: &CommonConfig) {
        let Ok(keys) = common.secret_keys.both() else { return };
        let Ok(db) = Db::open(database, Clock::default()).await else { return };
        match reseal::count_unreadable(&db, &keys).await {
            Ok(0) => self.ok("Stored secrets", "SECRET_KEY opens them"),
            Ok(count) => self.bad("Stored secrets", &format!("{}.", reseal::complain(count))),
            Err(error) => self.bad("Stored secrets", &error.to_string()),
        }
        db.close().await;
    }

    /// Redis: it answers, takes what is written, and does not throw it away.
    pub async fn redis(&mut self, config: &RedisConfig) {
        let Some(client) = self.setting("REDIS_URL", config.client()) else { return };
        let asked = timeout(PATIENCE, ask(&client, &config.redis_namespace)).await;
        match asked {
            Ok(Ok(policy)) if policy.starts_with("allkeys") => self.warn(
                "Redis",
                &format!(
                    "maxmemory-policy is {policy}: when it is full it throws jobs away, and mail waits a minute to be pushed \
                     again. Set it to noeviction."
                ),
            ),
            Ok(Ok(_)) => self.ok("Redis", "it answers and can be written to"),
            Ok(Err(error)) => self.bad("Redis", &advise(&error)),
            Err(_) => self.bad("Redis", "it does not answer within 5 seconds. Is it where REDIS_URL says?"),
        }
    }

    /// 0 if nothing is bad, else 1.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(u8::from(self.is_bad))
    }
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
fn line(mark: &str, item: &str, words: &str) {
    // A setting's own error begins with its name.
    match words {
        "" => println!("{mark} {item}"),
        words if words.starts_with(item) => println!("{mark} {words}"),
        words => println!("{mark} {item}: {words}"),
    }
}

/// Its `maxmemory-policy`, or nothing where it does not say.
async fn ask(client: &redis::Client, namespace: &str) -> redis::RedisResult<String> {
    let patience =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    let mut connection = client.get_multiplexed_async_connection_with_config(&patience).await?;
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    let key = format!("{namespace}:check");
    redis::cmd("SET").arg(&key).arg("").arg("EX").arg(1).query_async::<()>(&mut connection).await?;
    // Some who offer Redis as a service forbid it.
    let info: redis::RedisResult<InfoDict> = redis::cmd("INFO").arg("memory").query_async(&mut connection).await;
    Ok(info.ok().and_then(|info| info.get("maxmemory_policy")).unwrap_or_default())
}

fn advise(error: &redis::RedisError) -> String {
    let advice = match error.code() {
        Some("READONLY") => ". It is a replica: REDIS_URL must name its master.",
        Some("NOAUTH" | "WRONGPASS") => ". Is the password in REDIS_URL right?",
        Some("NOPERM") => ". Its user must be allowed all commands on our keys.",
        _ if error.is_io_error() => ". Does it run, and is it where REDIS_URL says?",
        _ => "",
    };
    format!("{error}{advice}")
}
