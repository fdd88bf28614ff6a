//! Looks TXT records up, as the system would or at a resolver of the operator's choice. The one module that knows hickory.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RData;
use tokio::time::timeout;

/// For all of it: a second attempt, too, and a longer answer by TCP.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_ONCE: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The record.
    There,
    /// An answer, and it is not the record; in words.
    Absent(String),
    /// No answer, so that nothing is known; in words.
    Silent(String),
}

/// Asks for TXT records. It remembers nothing: who has just changed his zone is not told of yesterday. (The resolver that it
/// asks may remember.)
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    server: Option<SocketAddr>,
}

impl Resolver {
    /// One that asks this server, or, where there is none, those of the system's configuration as it is when one asks.
    #[must_use]
    pub fn new(server: Option<SocketAddr>) -> Self {
        Self { server }
    }

    /// Looks whether one of the TXT records of a name says this.
    pub async fn look(&self, name: &str, value: &str) -> Look {
        let Ok(asked) = timeout(PATIENCE, self.ask(name)).await else {
            return Look::Silent(format!("The name server gave no answer for {name} within 5 seconds."));
        };
        match asked {
            Ok(texts) if texts.iter().any(|text| text.trim() == value) => Look::There,
            Ok(_) => Look::Absent(format!("{name} has TXT records, but none that says {value}.")),
            Err(error) if error.is_nx_domain() => Look::Absent(format!("There is no name {name} (NXDOMAIN).")),
            Err(error) if error.is_no_records_found() => Look::Absent(format!("{name} has no TXT record.")),
            Err(error) => {
                tracing::warn!(%error, "a TXT record could not be looked up");
                Look::Silent(silence(name, &error))
            }
        }
    }

    async fn ask(&self, name: &str) -> Result<Vec<String>, NetError> {
        let mut builder = match self.server {
            Some(server) => {
                let provider = TokioRuntimeProvider::default();
                TokioResolver::builder_with_config(ResolverConfig::from_name_servers(vec![at(server)]), provider)
            }
            None => TokioResolver::builder_tokio()?,
        };
        let options = builder.options_mut();
        options.timeout = PATIENCE_ONCE;
        options.attempts = 1;
        options.cache_size = 0;
        // With its dot at the end, or the domains that the system searches would be tried as well.
        let found = builder.build()?.txt_lookup(format!("{name}.")).await?;
        let texts = found.answers().iter().filter_map(|record| match &record.data {
            // A text longer than 255 bytes comes in pieces.
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(texts.collect())
    }
}

fn at(server: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (server.port(), server.port());
    NameServerConfig::new(server.ip(), true, vec![udp, tcp])
}

/// Not the error's own words: they may name machines of our network.
fn silence(name: &str, error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::ResponseCode(code)) => {
            format!("The name server could not answer for {name}: {code}.")
        }
        _ => format!("The name server gave no answer for {name}."),
    }
}
