//! The worker's configuration.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use secrecy::SecretString;
use tenantry_shared::config::{CommonConfig, ConfigError, DatabaseConfig, RedisConfig, secret};

/// What `run` needs.
#[derive(Clone, Debug, Args)]
#[expect(missing_docs, reason = "the fields say it to clap")]
pub struct WorkerConfig {
    #[command(flatten)]
    pub database: DatabaseConfig,
    #[command(flatten)]
    pub redis: RedisConfig,
    #[command(flatten)]
    pub common: CommonConfig,
    /// The mail server: `smtps://user:password@host`, `smtp+starttls://…`, or, in a trusted network, `smtp://host:port`.
    #[arg(long, env, hide_env_values = true)]
    pub smtp_url: Option<SecretString>,
    /// A file that holds SMTP_URL.
    #[arg(long, env)]
    pub smtp_url_file: Option<PathBuf>,
    /// Connections to the mail server at most. Bulk mail leaves one of them free.
    #[arg(long, env, default_value_t = 4)]
    pub smtp_connections: usize,
    /// Mails a second to the mail server at most, from this worker; as many as it takes, if not given.
    #[arg(long, env)]
    pub smtp_per_second: Option<NonZeroU32>,
    /// Who mails come from: `Accounts <accounts@example.com>`.
    #[arg(long, env)]
    pub mail_from: String,
    /// Jobs at a time, of each of the two lanes: interactive and bulk.
    #[arg(long, env, default_value_t = 8)]
    pub worker_concurrency: usize,
    /// Whether this worker also runs what recurs: reminders, notices, cleaning up. One of many workers does it each time.
    #[arg(long, env, default_value_t = true, action = ArgAction::Set)]
    pub run_schedules: bool,
    /// Where to serve Prometheus metrics, and nothing else.
    #[arg(long, env, default_value = "127.0.0.1:9091")]
    pub metrics_addr: SocketAddr,
}

impl WorkerConfig {
    pub(crate) fn smtp_url(&self) -> Result<SecretString, ConfigError> {
        secret("SMTP_URL", self.smtp_url.as_ref(), self.smtp_url_file.as_deref())
    }
}
