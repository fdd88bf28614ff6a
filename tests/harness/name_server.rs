//! A name server on loopback, authoritative for `example.`, whose records a test sets and takes away.

use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::proto::rr::rdata::{CNAME, SOA, TXT};
use hickory_server::proto::rr::{LowerName, Name, RData, Record, RecordType, RrKey};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

type Zone = InMemoryZoneHandler<TokioRuntimeProvider>;

/// See the module. Dropped, it ends.
pub struct NameServer {
    zone: Arc<Zone>,
    server: Server<Catalog>,
    address: String,
}

impl std::fmt::Debug for NameServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl NameServer {
    /// Starts one whose zone is empty.
    pub async fn start() -> Self {
        let origin = name("example");
        let zone = Zone::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
        let soa = SOA::new(name("ns.example"), name("hostmaster.example"), 1, 3600, 600, 86_400, 0);
        zone.upsert(Record::from_rdata(origin.clone(), 0, RData::SOA(soa)), 1).await;
        let zone = Arc::new(zone);
        let mut catalog = Catalog::new();
        catalog.upsert(LowerName::from(origin), vec![zone.clone()]);
        let mut server = Server::new(catalog);
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("an address").to_string();
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 16);
        Self { zone, server, address }
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Adds a TXT record that says this, in pieces as long as one may be.
    pub async fn add_txt(&self, at: &str, text: &str) {
        let pieces = text.as_bytes().chunks(255).map(|piece| String::from_utf8_lossy(piece).into_owned());
        self.add(at, RData::TXT(TXT::new(pieces.collect()))).await;
    }

    /// Makes a name another name of another one.
    pub async fn add_alias(&self, at: &str, target: &str) {
        self.add(at, RData::CNAME(CNAME(name(target)))).await;
    }

    async fn add(&self, at: &str, data: RData) {
        assert!(self.zone.upsert(Record::from_rdata(name(at), 0, data), 1).await, "a record of the zone");
    }

    /// Takes all TXT records of a name away.
    pub async fn remove_txt(&self, at: &str) {
        let key = RrKey::new(LowerName::from(name(at)), RecordType::TXT);
        assert!(self.zone.records_mut().await.remove(&key).is_some(), "there was a record at {at}");
    }

    /// Ends it: from now on nobody answers there.
    pub async fn stop(mut self) {
        self.server.shutdown_gracefully().await.expect("it ends");
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).expect("a name")
}

/// Both at one port, that nobody else has.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..10 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")).await {
            return (udp, tcp);
        }
    }
    panic!("no port was free for UDP and TCP in ten attempts");
}
