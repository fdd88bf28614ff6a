//! The worker's configuration.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args};
use secrecy::{ExposeSecret, SecretString};
use tenantry_shared::check::Report;
use tenantry_shared::config::{CommonConfig, ConfigError, DatabaseConfig, RedisConfig, secret};
use tokio::time::timeout;

use crate::mail::{self, Mailbox, SmtpTransport};

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
    /// Connections to the mail server at most. Bulk mail leaves one of them free, if there are two.
    #[arg(long, env, default_value_t = 4)]
    pub smtp_connections: usize,
    /// Mails a second to the mail server at most, from this worker; as many as it takes, if not given.
    #[arg(long, env)]
    pub smtp_per_second: Option<NonZeroU32>,
    /// Who mails come from: `Accounts <accounts@example.com>`.
    #[arg(long, env)]
    pub mail_from: Option<String>,
    /// Jobs at a time, of each of the two lanes: interactive and bulk. More than connections to the mail server: while some mails
    /// are sent, others are loaded, and what came of others is written down.
    #[arg(long, env, default_value_t = 20)]
    pub worker_concurrency: usize,
    /// Whether this worker also runs what recurs: reminders, notices, cleaning up. One of many workers does it each time.
    #[arg(long, env, default_value_t = true, action = ArgAction::Set)]
    pub run_schedules: bool,
    /// Where to serve Prometheus metrics, and nothing else.
    #[arg(long, env, default_value = "127.0.0.1:9091")]
    pub metrics_addr: SocketAddr,
}

impl WorkerConfig {
    pub(crate) fn smtp(&self) -> Result<SmtpTransport, ConfigError> {
        let url = secret("SMTP_URL", self.smtp_url.as_ref(), self.smtp_url_file.as_deref())?;
        SmtpTransport::new(url.expose_secret(), self.smtp_connections, self.smtp_per_second)
            .map_err(|e| ConfigError(format!("SMTP_URL: {e}.")))
    }

    pub(crate) fn mail_from(&self) -> Result<Mailbox, ConfigError> {
        let text = self.mail_from.as_deref().unwrap_or_default();
        if text.is_empty() {
            return Err(ConfigError("MAIL_FROM is not set.".into()));
        }
        mail::sender(text).map_err(|e| ConfigError(format!("MAIL_FROM {e}.")))
    }
}

/// Looks at every setting and at what `run` needs, and prints a line for each.
pub async fn check(config: &WorkerConfig) -> ExitCode {
    let mut report = Report::default();
    report.common(&config.common);
    report.setting("MAIL_FROM", config.mail_from());
    if config.smtp_connections < 2 {
        report.warn("SMTP_CONNECTIONS", "with one connection, a password reset waits while bulk mail has it");
    }
    report.listening("METRICS_ADDR", config.metrics_addr);
    report.database(&config.database).await;
    report.redis(&config.redis).await;
    if let Some(smtp) = report.setting("SMTP_URL", config.smtp()) {
        match timeout(Duration::from_secs(15), smtp.check()).await {
            Ok(Ok(())) => report.ok("SMTP", "the server takes us"),
            Ok(Err(words)) => {
                report.bad("SMTP", &format!("{words}. Is the server where SMTP_URL says, and the login right?"))
            }
            Err(_) => report.bad("SMTP", "the server does not answer within 15 seconds. Is it where SMTP_URL says?"),
        }
    }
    report.exit_code()
}
