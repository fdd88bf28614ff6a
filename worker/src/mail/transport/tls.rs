//! TLS from the first byte, over a socket of ours: the one lettre would open has no `TCP_NODELAY`.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tenantry_shared::tls;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{self, pki_types::ServerName},
};

pub(super) struct ImplicitTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TlsSetupError {
    #[error("the host can't be the name in a certificate")]
    Name,
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl ImplicitTls {
    pub(super) fn new(host: &str) -> Result<Self, TlsSetupError> {
        let config = tls::client_config()?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsSetupError::Name)?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub(super) async fn wrap(&self, stream: TcpStream) -> io::Result<Box<dyn AsyncTokioStream>> {
        Ok(Box::new(Encrypted(self.connector.connect(self.name.clone(), stream).await?)))
    }
}

/// lettre asks its streams for the peer's address; all else is passed through.
#[derive(Debug)]
struct Encrypted(TlsStream<TcpStream>);

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
