//! The HTTP API and the pages of Tenantry.
//!
//! A request comes in at `edge.rs`, is routed by the OpenAPI service to a handler in one of the slices, which proves the
//! caller's right (`App::enter`), calls the rules in `tenantry-shared`, and answers.

mod allow;
mod app;
mod auth;
mod config;
mod edge;
mod health;
mod input;
mod meters;
mod objects;
mod openapi;
mod pages;
mod paging;
mod problem;
mod reply;
mod traced;

mod actors;
mod analysts;
mod audit_events;
mod email_domains;
mod email_events;
mod email_suppressions;
mod emails;
mod enterprise_bindings;
mod folders;
mod invitations;
mod jobs;
mod login_urls;
mod organizations;
mod passwords;
mod permissions;
mod personal_access_tokens;
mod role_assignments;
mod roles;
mod saml;
mod sessions;
mod settings;
mod teams;
mod totp;
mod usage;
mod user_groups;
mod user_info;
mod user_preferences;
mod users;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Endpoint, EndpointExt, Route, Server};
use tenantry_shared::clock::Clock;
use tenantry_shared::config::ConfigError;
use tenantry_shared::db::Db;
use tenantry_shared::limits::Limiter;
use tenantry_shared::passwords::Hasher;
use tenantry_shared::secret::{Links, SecretKeys};
use tenantry_shared::sessions::SignInKeys;
use tenantry_shared::{relay, reseal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use config::{ServeConfig, check};
pub use openapi::document;

/// How long requests that run may take after the order to stop.
const GRACE: Duration = Duration::from_secs(30);

/// A running API.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Stops accepting, finishes what runs, and returns when that is done.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.server.await;
    }

    /// Runs until it ends by itself or `signal` comes; then as [`Running::stop`].
    pub async fn until(mut self, signal: impl Future<Output = ()>) -> std::io::Result<()> {
        tokio::select! {
            ended = &mut self.server => return ended.unwrap_or_else(|e| Err(std::io::Error::other(e))),
            () = signal => {}
        }
        tracing::info!("stopping: requests that run may finish");
        self.stop.cancel();
        self.server.await.unwrap_or_else(|e| Err(std::io::Error::other(e)))
    }
}

/// Starts the API and the relay. Postgres and Redis may come later: `/readyz` tells.
pub async fn start(config: &ServeConfig, clock: Clock) -> Result<Running, ConfigError> {
    // First: whoever scrapes it already finds what it is.
    meters::describe();
    let trouble = |e: tenantry_shared::Error| ConfigError(e.to_string());
    let db = Db::new(&config.database, clock.clone()).map_err(trouble)?;
    let redis = config.redis.client()?;
    let public_url = config.common.public_url()?;
    let secret_keys = config.common.secret_keys.both()?;
    let secret_key = secret_keys.current.clone();
    let app = app::App {
        links: Links::new(&secret_key).map_err(trouble)?,
        sign_in_keys: SignInKeys::new(&secret_keys).map_err(trouble)?,
        saml: saml::SamlTools::new(&public_url, &secret_keys)?,
        resolver: config.common.resolver()?,
        hasher: Hasher::default(),
        limiter: Limiter::new(&config.limits, &config.redis, &secret_key, clock.clone())?,
        redis: redis.clone(),
        email_events_secret: config.email_events_secret()?,
        platform_slug: config.platform_slug.as_str().into(),
        usage_limit: config.usage_limit,
        db: db.clone(),
        public_url: Arc::new(public_url.clone()),
    };
    let edge = edge::Edge {
        clock,
        https: public_url.is_https(),
        routes: Arc::new(openapi::routes()),
        trusted_proxies: config.trusted_proxies.clone().into(),
        allow: allow::Allow::new().into(),
    };
    let acceptor = TcpListener::bind(config.listen_addr)
        .into_acceptor()
        .await
        .map_err(|e| ConfigError(format!("LISTEN_ADDR={} can't be used: {e}.", config.listen_addr)))?;
    let address =
        acceptor.local_addr().first().and_then(|local| local.as_socket_addr().copied()).unwrap_or(config.listen_addr);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let namespace = config.redis.redis_namespace.clone();
    let server = tokio::spawn(async move {
        let relay_stop = stopping.clone();
        let meters = tokio::spawn(meters::watch(db.clone()));
        tokio::spawn(look_at_secrets(db.clone(), secret_keys));
        let relay = tokio::spawn(relay::run(db.clone(), redis, namespace, async move { relay_stop.cancelled().await }));
        let server = Server::new_with_acceptor(acceptor).name("api").idle_timeout(Duration::from_secs(60));
        let ended = server
            .run_with_graceful_shutdown(routes(app, edge), async move { stopping.cancelled().await }, Some(GRACE))
            .await;
        // It ends between two turns: a job that was claimed is pushed, too.
        let _ = tokio::time::timeout(Duration::from_secs(5), relay).await;
        meters.abort();
        db.close().await;
        ended
    });
    Ok(Running { address, stop, server })
}

/// Whether the server key opens what is stored. If not, that is told at once, and not only to whoever comes to need it.
async fn look_at_secrets(db: Db, keys: SecretKeys) {
    if let Ok(count) = reseal::count_unreadable(&db, &keys).await
        && count > 0
    {
        tracing::error!(count, "{}", reseal::complain(count));
    }
}

fn routes(app: app::App, edge: edge::Edge) -> impl Endpoint {
    Route::new()
        .at("/openapi.json", openapi::serve())
        .nest("/docs", openapi::docs())
        .at("/livez", health::live())
        .at("/readyz", health::ready())
        .nest("/v1/saml", pages::company_routes())
        .nest("/v1", openapi::service())
        .nest("/", pages::routes())
        .data(app)
        .with(edge)
}
