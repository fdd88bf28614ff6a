//! SAML 2.0 as a service provider speaks it: what identity providers send is checked, what we send them is written.
//!
//! Pure protocol: no HTTP, no SQL, no clock. `now` and what must not be guessed come from the caller. What takes time (to
//! verify, to decrypt, to sign, to make keys) blocks: call it off the async threads.
//!
//! A message from outside goes through a gate before any library that understands XML signatures sees it
//! ([`Received::parse`]), and everything that is read afterwards is read from the bytes that were verified
//! ([`Received::verify`]).

mod algorithms;
mod certificate;
mod decrypt;
mod engine;
mod gate;
mod key_pair;
mod logout;
mod metadata;
mod outgoing;
mod received;
mod refusal;
#[expect(unsafe_code, reason = "functions of xmlsec and libxml that no library wraps; nothing else is in this module")]
mod start;
#[cfg(test)]
mod testing;
mod time;
mod xml;

pub use certificate::{BadCertificate, Certificate};
pub use key_pair::{BadKeyRequest, KeyPair, KeyRequest, PrivateKey};
pub use logout::{
    ExpectedLogout, LogoutMessage, LogoutRequest, LogoutResponse, NewLogoutRequest, NewLogoutResponse, ReceivedLogout,
};
pub use metadata::{
    BadUrl, Binding, Endpoint, IdentityProvider, MAX_ENTITY_ID, MetadataError, ServiceProvider, check_url,
    parse_metadata, service_provider_metadata,
};
pub use outgoing::{AuthnRequest, Outgoing, PostForm, message_id};
pub use received::{Attribute, Expected, NameId, Received, SignIn};
pub use refusal::{Reason, Refusal};
pub use start::initialize;

/// What is not the fault of who asked: a library failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub(crate) String);

impl Error {
    pub(crate) fn openssl(error: openssl::error::ErrorStack) -> Self {
        Self(format!("OpenSSL: {error}"))
    }
}
