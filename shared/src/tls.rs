//! TLS as a client, alike for all that we connect to.

use std::sync::{Arc, LazyLock};

use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, crypto::ring};

/// Read once in a process: a system has some 150.
static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    // One unreadable certificate among the system's is no reason not to trust the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
});

/// Trusts the system's certificates, or those of `SSL_CERT_FILE`.
pub fn client_config() -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(Arc::clone(&ROOTS))
        .with_no_client_auth())
}
