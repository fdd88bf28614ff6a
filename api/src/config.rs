//! The API's configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use tenantry_shared::check::Report;
use tenantry_shared::config::{CommonConfig, ConfigError, DatabaseConfig, RedisConfig, secret};
use tenantry_shared::limits::LimitsConfig;
use tenantry_shared::signature::SigningSecret;
use tenantry_shared::usage::MAX_LIMIT;

/// What `serve` needs.
#[derive(Clone, Debug, Args)]
#[expect(missing_docs, reason = "the fields say it to clap")]
pub struct ServeConfig {
    #[command(flatten)]
    pub database: DatabaseConfig,
    #[command(flatten)]
    pub redis: RedisConfig,
    #[command(flatten)]
    pub common: CommonConfig,
    #[command(flatten)]
    pub limits: LimitsConfig,
    /// Where to listen.
    #[arg(long, env, default_value = "127.0.0.1:8080")]
    pub listen_addr: SocketAddr,
    /// Where to serve Prometheus metrics, and nothing else.
    #[arg(long, env, default_value = "127.0.0.1:9090")]
    pub metrics_addr: SocketAddr,
    /// The slug of the organization whose superusers manage organizations.
    #[arg(long, env, default_value = "platform")]
    pub platform_slug: String,
    /// Addresses of proxies whose X-Forwarded-For counts, separated by commas.
    #[arg(long, env, value_delimiter = ',')]
    pub trusted_proxies: Vec<IpAddr>,
    /// How much an organization may use in a calendar month (UTC), where operators have not said otherwise.
    #[arg(long, env, default_value_t = 100_000, value_parser = clap::value_parser!(i64).range(0..=MAX_LIMIT))]
    pub usage_limit: i64,
    /// What delivery events (`POST /v1/email-events`) are signed with: at least 32 characters, known to the mail system
    /// that reports them. Where it is not set, none are taken.
    #[arg(long, env, hide_env_values = true)]
    pub email_events_secret: Option<SecretString>,
    /// A file that holds EMAIL_EVENTS_SECRET.
    #[arg(long, env)]
    pub email_events_secret_file: Option<PathBuf>,
}

impl ServeConfig {
    pub(crate) fn email_events_secret(&self) -> Result<Option<SigningSecret>, ConfigError> {
        let value = self.email_events_secret.as_ref().filter(|secret| !secret.expose_secret().is_empty());
        if value.is_none() && self.email_events_secret_file.is_none() {
            return Ok(None);
        }
        let text = secret("EMAIL_EVENTS_SECRET", value, self.email_events_secret_file.as_deref())?;
        SigningSecret::new(text).map(Some).ok_or_else(|| {
            ConfigError(
                "EMAIL_EVENTS_SECRET is shorter than 32 characters: `openssl rand -base64 48` makes one.".into(),
            )
        })
    }

    fn platform_slug(&self) -> Result<(), ConfigError> {
        let slug = &self.platform_slug;
        let is_slug = !slug.is_empty() && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let wrong = || ConfigError("PLATFORM_SLUG is not a slug: letters, digits, hyphens and underscores.".into());
        is_slug.then_some(()).ok_or_else(wrong)
    }
}

/// Looks at every setting and at what `serve` needs, and prints a line for each.
pub async fn check(config: &ServeConfig) -> ExitCode {
    let mut report = Report::default();
    report.common(&config.common);
    report.setting("PLATFORM_SLUG", config.platform_slug());
    report.optional("EMAIL_EVENTS_SECRET", config.email_events_secret(), "no delivery events are taken");
    report.listening("LISTEN_ADDR", config.listen_addr);
    report.listening("METRICS_ADDR", config.metrics_addr);
    report.database(&config.database).await;
    report.secrets(&config.database, &config.common).await;
    report.redis(&config.redis).await;
    report.exit_code()
}
