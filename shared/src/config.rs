//! Configuration that API and worker share: by environment, or by flags of the same names, read once at the start.
//!
//! A secret can also stand in a file: `SECRET_KEY_FILE` names one that holds what `SECRET_KEY` would.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::email_domains::Resolver;
use crate::error::Error;
use crate::secret::{SecretKey, SecretKeys};

/// A setting that is missing or makes no sense, in a sentence for an operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Internal(error.0)
    }
}

/// The value given, or the content of the file given, less the line break at its end.
pub fn secret(name: &str, value: Option<&SecretString>, file: Option<&Path>) -> Result<SecretString, ConfigError> {
    match (value, file) {
        (Some(_), Some(_)) => Err(ConfigError(format!("{name} and {name}_FILE are both set: set one of them."))),
        (Some(value), None) if !value.expose_secret().is_empty() => Ok(value.clone()),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map(|text| text.trim_end_matches(['\r', '\n']).into())
            .map_err(|e| ConfigError(format!("{name}_FILE={} can't be read: {e}.", file.display()))),
        _ => Err(ConfigError(format!("{name} is not set (nor {name}_FILE)."))),
    }
}

/// Where Postgres is.
#[derive(Clone, Debug, Args)]
pub struct DatabaseConfig {
    /// The owner of the database, who migrates: `postgres://owner:…@host/database`. Only `migrate` uses it.
    #[arg(long, env, hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// A file that holds DATABASE_URL.
    #[arg(long, env)]
    pub database_url_file: Option<PathBuf>,
    /// The role that API and worker sign in as; it owns nothing and row-level security holds it. `migrate` makes it.
    #[arg(long, env, hide_env_values = true)]
    pub database_app_url: Option<SecretString>,
    /// A file that holds DATABASE_APP_URL.
    #[arg(long, env)]
    pub database_app_url_file: Option<PathBuf>,
    /// Connections to Postgres at most.
    #[arg(long, env, default_value_t = 10)]
    pub database_pool_size: u32,
}

impl DatabaseConfig {
    pub(crate) fn owner_url(&self) -> Result<PgConnectOptions, ConfigError> {
        connect_options("DATABASE_URL", self.database_url.as_ref(), self.database_url_file.as_deref())
    }

    pub(crate) fn app_url(&self) -> Result<PgConnectOptions, ConfigError> {
        connect_options("DATABASE_APP_URL", self.database_app_url.as_ref(), self.database_app_url_file.as_deref())
    }

    pub(crate) fn app_login(&self) -> Result<AppLogin, ConfigError> {
        let text = secret("DATABASE_APP_URL", self.database_app_url.as_ref(), self.database_app_url_file.as_deref())?;
        let url = Url::parse(text.expose_secret())
            .map_err(|e| ConfigError(format!("DATABASE_APP_URL is not a URL: {e}.")))?;
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        match (decode(url.username()), url.password().map(decode)) {
            (name, Some(password)) if !name.is_empty() && !password.is_empty() => Ok(AppLogin { name, password }),
            _ => Err(ConfigError("DATABASE_APP_URL names no user and password.".into())),
        }
    }
}

fn connect_options(
    name: &str,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<PgConnectOptions, ConfigError> {
    let text = secret(name, value, file)?;
    let text = text.expose_secret();
    let known = text.starts_with("postgres://") || text.starts_with("postgresql://");
    // The parser's own error could quote the password.
    PgConnectOptions::from_str(text).ok().filter(|_| known).ok_or_else(|| {
        ConfigError(format!("{name} is not a Postgres URL (postgres://user:password@host:port/database)."))
    })
}

/// The role that API and worker sign in as.
pub(crate) struct AppLogin {
    pub(crate) name: String,
    password: String,
}

impl AppLogin {
    /// Makes the role if it is not there, and sets what it may do and its password: safe to repeat.
    pub(crate) fn statement(&self) -> String {
        let name = self.name.replace('"', "\"\"");
        let literal = self.name.replace('\'', "''");
        let password = self.password.replace('\'', "''");
        format!(
            "do $do$ begin
                 if not exists (select from pg_roles where rolname = '{literal}') then create role \"{name}\"; end if;
             end $do$;
             alter role \"{name}\" login nocreatedb nocreaterole password '{password}';
             grant tenantry_app to \"{name}\";"
        )
    }
}

/// Where Redis is.
#[derive(Clone, Debug, Args)]
pub struct RedisConfig {
    /// `redis://[:password@]host:port[/db]`.
    #[arg(long, env, hide_env_values = true)]
    pub redis_url: Option<SecretString>,
    /// A file that holds REDIS_URL.
    #[arg(long, env)]
    pub redis_url_file: Option<PathBuf>,
    /// What our keys begin with, for a Redis that others use too.
    #[arg(long, env, default_value = "tenantry")]
    pub redis_namespace: String,
}

impl RedisConfig {
    /// The URL, whichever way it was given.
    pub fn url(&self) -> Result<SecretString, ConfigError> {
        secret("REDIS_URL", self.redis_url.as_ref(), self.redis_url_file.as_deref())
    }

    /// A client; it does not connect yet.
    pub fn client(&self) -> Result<redis::Client, ConfigError> {
        redis::Client::open(self.url()?.expose_secret())
            .map_err(|_| ConfigError("REDIS_URL is not a Redis URL (redis://host:port).".into()))
    }
}

/// The server key.
#[derive(Clone, Debug, Args)]
pub struct SecretKeysConfig {
    /// At least 32 characters of random text. The keys of mailed links are derived from it: who knows it can make links;
    /// changing it makes every link that is out there dead. Seeds of authenticator apps and SAML keys are encrypted with it:
    /// to change it, set the old one as PREVIOUS_SECRET_KEY and run `tenantry-api rotate-secret-key`.
    #[arg(long, env, hide_env_values = true)]
    pub secret_key: Option<SecretString>,
    /// A file that holds SECRET_KEY.
    #[arg(long, env)]
    pub secret_key_file: Option<PathBuf>,
    /// The SECRET_KEY before, until `tenantry-api rotate-secret-key` has run. It opens what was encrypted with it.
    #[arg(long, env, hide_env_values = true)]
    pub previous_secret_key: Option<SecretString>,
    /// A file that holds PREVIOUS_SECRET_KEY.
    #[arg(long, env)]
    pub previous_secret_key_file: Option<PathBuf>,
}

impl SecretKeysConfig {
    /// The key of now.
    pub fn current(&self) -> Result<SecretKey, ConfigError> {
        secret_key("SECRET_KEY", self.secret_key.as_ref(), self.secret_key_file.as_deref())
    }

    /// The key before, if one is given.
    pub fn previous(&self) -> Result<Option<SecretKey>, ConfigError> {
        let value = self.previous_secret_key.as_ref().filter(|key| !key.expose_secret().is_empty());
        if value.is_none() && self.previous_secret_key_file.is_none() {
            return Ok(None);
        }
        secret_key("PREVIOUS_SECRET_KEY", value, self.previous_secret_key_file.as_deref()).map(Some)
    }

    /// Both.
    pub fn both(&self) -> Result<SecretKeys, ConfigError> {
        Ok(SecretKeys { current: self.current()?, previous: self.previous()? })
    }
}

fn secret_key(name: &str, value: Option<&SecretString>, file: Option<&Path>) -> Result<SecretKey, ConfigError> {
    let text = secret(name, value, file)?;
    if text.expose_secret().len() < 32 {
        return Err(ConfigError(format!("{name} is shorter than 32 characters: `openssl rand -base64 48` makes one.")));
    }
    Ok(SecretKey::new(text.expose_secret().as_bytes()))
}

/// What API and worker must agree on.
#[derive(Clone, Debug, Args)]
#[expect(missing_docs, reason = "the fields say it to clap")]
pub struct CommonConfig {
    #[command(flatten)]
    pub secret_keys: SecretKeysConfig,
    /// How people reach this service: `https://accounts.example.com`. Plain http only on a loopback address.
    #[arg(long, env)]
    pub public_url: Option<String>,
    /// `json` or `human`.
    #[arg(long, env, default_value = "json")]
    pub log_format: crate::telemetry::LogFormat,
    /// What to log: `info`, `tenantry_api=debug,info`, …
    #[arg(long, env, default_value = "info")]
    pub log: String,
    /// Where traces go, by OTLP over HTTP: `http://collector:4318`. Without it nothing is traced. The other variables of the
    /// OpenTelemetry SDK are heeded, too.
    #[arg(long, env, hide_env_values = true)]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// The name server that the records of e-mail domains are looked up at: `192.0.2.53`, or with a port `192.0.2.53:5353`.
    /// Without it, those of the system (`/etc/resolv.conf`).
    #[arg(long, env)]
    pub dns_server: Option<String>,
    /// How traces name this process, in place of the program's name.
    #[arg(long, env)]
    pub otel_service_name: Option<String>,
}

impl CommonConfig {
    /// The server key.
    pub fn secret_key(&self) -> Result<SecretKey, ConfigError> {
        self.secret_keys.current()
    }

    /// Where traces go, if anywhere.
    pub fn collector(&self) -> Result<Option<Url>, ConfigError> {
        let Some(text) = self.otel_exporter_otlp_endpoint.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.map(Some).ok_or_else(|| {
            ConfigError("OTEL_EXPORTER_OTLP_ENDPOINT is not a URL of a collector (http://host:4318).".into())
        })
    }

    /// What looks up the records of e-mail domains.
    pub fn resolver(&self) -> Result<Resolver, ConfigError> {
        Ok(Resolver::new(self.dns_server()?))
    }

    pub(crate) fn dns_server(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let Some(text) = self.dns_server.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let with_port = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
        text.parse().ok().or_else(with_port).map(Some).ok_or_else(|| {
            ConfigError(
                "DNS_SERVER is not the address of a name server (192.0.2.53, or with a port 192.0.2.53:5353).".into(),
            )
        })
    }

    /// The public address, checked.
    pub fn public_url(&self) -> Result<PublicUrl, ConfigError> {
        let text = self.public_url.as_deref().unwrap_or_default();
        if text.is_empty() {
            return Err(ConfigError("PUBLIC_URL is not set.".into()));
        }
        PublicUrl::new(&Url::parse(text).map_err(|e| ConfigError(format!("PUBLIC_URL is not a URL: {e}.")))?)
    }
}

/// How people reach this service. No path, no trailing slash.
#[derive(Clone, Debug)]
pub struct PublicUrl {
    origin: String,
    host: String,
    https: bool,
    loopback: bool,
}

impl PublicUrl {
    fn new(url: &Url) -> Result<Self, ConfigError> {
        let loopback = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let https = url.scheme() == "https";
        let plain = url.scheme() == "http" && loopback;
        if !(https || plain) {
            return Err(ConfigError(
                "PUBLIC_URL must be https: links and cookies travel over it. http is taken only on a loopback address."
                    .into(),
            ));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(ConfigError("PUBLIC_URL must be scheme and host only, with no user and no path.".into()));
        }
        let host = url.host_str().unwrap_or("localhost").trim_matches(['[', ']']).to_owned();
        Ok(Self { origin: url.origin().ascii_serialization(), host, https, loopback })
    }

    /// `path` (with its leading slash) as an absolute address.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The host alone, for what must be unique to this deployment.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Scheme, host and port, as a browser sends it in `Origin`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers reach us over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether only this machine reaches it: in tests, and while someone develops.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}
