//! Fetches metadata from where an administrator says it is, and lets him reach nothing with that but the open Internet: no
//! machine of this network, no service that tells cloud machines their secrets.
//!
//! A name is looked up once, every address that it has is checked, and the connection is made to the address that was
//! checked: a name that means something else a moment later gains nothing. Each redirect is held to the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

use crate::config::{ConfigError, PublicUrl};
use crate::tls;

/// For all of it, redirects too.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a document at most.
pub const LARGEST_METADATA: usize = 1_000_000;
const REDIRECTS: usize = 3;
/// Longest address, in characters.
const LONGEST_URL: usize = 2_048;

/// Why metadata was not fetched, in words for an administrator. They tell nothing about what is not on the open Internet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

fn trouble<T>(words: impl Into<String>) -> Result<T, FetchError> {
    Err(FetchError(words.into()))
}

/// Fetches metadata. Clones share the limit of how many do at once.
#[derive(Clone)]
pub struct Fetcher {
    tls: Arc<ClientConfig>,
    places: Arc<Semaphore>,
    /// Only where this service itself is reached by loopback: in tests and on a developer's machine.
    takes_loopback: bool,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("takes_loopback", &self.takes_loopback).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// One that trusts the system's certificates. Where people reach this service by a loopback address, so may it.
    pub fn new(public_url: &PublicUrl) -> Result<Self, ConfigError> {
        let tls = tls::client_config().map_err(|e| ConfigError(format!("TLS as a client: {e}")))?;
        Ok(Self { tls: Arc::new(tls), places: Arc::new(Semaphore::new(8)), takes_loopback: public_url.is_loopback() })
    }

    /// The document at an address.
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let url = self.check_url(url)?;
        let Ok(_place) = self.places.acquire().await else { return trouble("The service is stopping.") };
        let fetched = timeout(PATIENCE, self.follow(url)).await;
        fetched.unwrap_or_else(|_| trouble("There was no whole answer within ten seconds."))
    }

    async fn follow(&self, mut url: Url) -> Result<Vec<u8>, FetchError> {
        for _ in 0..=REDIRECTS {
            let response = self.get(&url).await?;
            if !response.status().is_redirection() {
                return read(response).await;
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let Some(next) = location.and_then(|location| url.join(location).ok()) else {
                return trouble("The answer is a redirect that leads nowhere.");
            };
            url = self.check_url(next.as_str())?;
        }
        trouble("There are more than three redirects.")
    }

    /// Whether this may be asked, as far as that can be told before its name is looked up.
    fn check_url(&self, text: &str) -> Result<Url, FetchError> {
        let Some(url) = Url::parse(text).ok().filter(|_| text.len() <= LONGEST_URL) else {
            return trouble("This is not a URL of at most 2048 characters.");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return trouble("A URL with a user name or a password is not taken.");
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.takes_loopback && is_loopback(&url) => Ok(url),
            _ => trouble("Metadata is fetched by https only."),
        }
    }

    async fn get(&self, url: &Url) -> Result<Response<Incoming>, FetchError> {
        let stream = self.connect(url).await?;
        let Some(host) = url.host_str() else { return trouble("The URL names no host.") };
        if url.scheme() == "http" {
            return ask(stream, url).await;
        }
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let Ok(name) = name else { return trouble("The URL's host can't have a certificate.") };
        match TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await {
            Ok(stream) => ask(stream, url).await,
            Err(error) => trouble(format!("The server's TLS is not good: {error}.")),
        }
    }

    /// Connects to an address that was checked, and to no other.
    async fn connect(&self, url: &Url) -> Result<TcpStream, FetchError> {
        let addresses = resolve(url).await?;
        if addresses.is_empty() || !addresses.iter().all(|address| self.may_reach(address.ip())) {
            return trouble("The URL's host is not on the open Internet.");
        }
        for address in addresses {
            if let Ok(stream) = TcpStream::connect(address).await {
                return Ok(stream);
            }
        }
        trouble("The server can't be reached.")
    }

    fn may_reach(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip) || self.takes_loopback && ip.is_loopback()
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, FetchError> {
    let port = url.port_or_known_default().unwrap_or(443);
    match url.host() {
        Some(Host::Ipv4(ip)) => Ok(vec![(ip, port).into()]),
        Some(Host::Ipv6(ip)) => Ok(vec![(ip, port).into()]),
        Some(Host::Domain(name)) => match lookup_host((name, port)).await {
            Ok(found) => Ok(found.collect()),
            Err(_) => trouble("The URL's host has no address."),
        },
        None => trouble("The URL names no host."),
    }
}

async fn ask<S>(stream: S, url: &Url) -> Result<Response<Incoming>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| FetchError(format!("The server does not speak HTTP as it should: {error}."));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with the answer, or when nobody waits for it any more.
    tokio::spawn(connection);
    let authority = url.authority();
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let request = Request::get(target)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/samlmetadata+xml, application/xml, text/xml")
        .header(header::USER_AGENT, concat!("tenantry/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError("This URL can't be asked for.".into()))?;
    sender.send_request(request).await.map_err(failed)
}

async fn read(response: Response<Incoming>) -> Result<Vec<u8>, FetchError> {
    if response.status() != StatusCode::OK {
        return trouble(format!("The server answered {}.", response.status().as_u16()));
    }
    match Limited::new(response.into_body(), LARGEST_METADATA).collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            trouble("The document is larger than a million bytes.")
        }
        Err(_) => trouble("The answer broke off."),
    }
}

/// Whether an address is one that anybody on the Internet can have (IANA's registries of special-purpose addresses).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        // Reserved, and broadcast.
        || a >= 240
        // Between carriers and their customers.
        || a == 100 && (64..128).contains(&b)
        || (a, b, c) == (192, 0, 0)
        // Relays from IPv6.
        || (a, b, c) == (192, 88, 99)
        // Benchmarks.
        || a == 198 && (b == 18 || b == 19))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    // Translated (RFC 6052): what counts is the address within.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = ip.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Of the rest only global unicast, less protocols' own (with Teredo), documentation, and 6to4, which hides an IPv4 address.
    (0x2000..0x4000).contains(&segments[0])
        && !(segments[0] == 0x2001 && segments[1] < 0x200)
        && !(segments[0] == 0x2001 && segments[1] == 0xdb8)
        && segments[0] != 0x2002
        && !(segments[0] == 0x3fff && segments[1] < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_open_internet_are_public() {
        for public in ["8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
        for other in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(!is_public(other.parse().expect("an address")), "{other}");
        }
    }

    #[tokio::test]
    async fn an_ipv4_address_in_ipv6_clothes_is_the_same_address() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        for loopback in ["https://[::ffff:127.0.0.1]/", "https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/"]
        {
            let addresses = resolve(&url(loopback)).await.expect("an address");
            assert!(addresses[0].ip().to_canonical().is_loopback(), "{loopback}: {addresses:?}");
        }
    }
}
