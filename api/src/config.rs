//! The API's configuration.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use tenantry_shared::config::{CommonConfig, DatabaseConfig, RedisConfig};

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
}
