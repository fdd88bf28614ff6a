//! What both sides tell each other about themselves beforehand.

mod identity_provider;
mod service_provider;
#[cfg(test)]
mod tests;
mod url;

pub use identity_provider::{Binding, Endpoint, IdentityProvider, MAX_ENTITY_ID, MetadataError, parse_metadata};
pub use service_provider::{ServiceProvider, service_provider_metadata};
pub use url::{BadUrl, check_url};

const SAML2: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
