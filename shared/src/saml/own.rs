//! The organization of a slug as a service provider, with its keys.

use tenantry_saml::{Certificate, KeyPair, PrivateKey, ServiceProvider, service_provider_metadata};

use super::keys::{OpenKey, load_keys};
use super::{ServiceUrls, Sso};
use crate::access::{Actor, Origin};
use crate::db::Tx;
use crate::error::{Error, Refusal, Result};
use crate::ids::OrganizationId;
use crate::tenant::Tenant;

/// What we take, the best first.
const NAME_ID_FORMATS: [&str; 3] = [
    "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
];

/// Ourselves, in a conversation with an identity provider.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) urls: ServiceUrls,
    pub(super) keys: Option<Keys>,
}

/// Keys, ready for use.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) signer: KeyPair,
    next: Option<Certificate>,
    pub(super) decryption: Vec<PrivateKey>,
}

impl Own {
    pub(super) async fn load(tx: &mut Tx, sso: &Sso<'_>) -> Result<Self> {
        let row = sqlx::query!(
            "select slug, name from organizations where organization_id = $1",
            tx.organization_id() as OrganizationId
        )
        .fetch_one(tx.connection())
        .await?;
        let keys = load_keys(tx, sso.seals).await?;
        let urls = ServiceUrls::new(sso.public_url, &row.slug);
        let keys = keys.map(|keys| {
            let signer = pair(&keys.active)?;
            let mut decryption = vec![signer.private_key.clone()];
            for key in [keys.next.as_ref(), keys.previous.as_ref()].into_iter().flatten() {
                decryption.push(private_key(key)?);
            }
            let next = keys.next.as_ref().map(certificate).transpose()?;
            Ok::<_, Error>(Keys { signer, next, decryption })
        });
        Ok(Self { slug: row.slug, name: row.name, urls, keys: keys.transpose()? })
    }
}

/// Our addresses alone, where no key is needed: to make keys ready takes longer than to verify a message.
pub(super) async fn load_urls(tx: &mut Tx, sso: &Sso<'_>) -> Result<ServiceUrls> {
    let slug = sqlx::query_scalar!(
        "select slug from organizations where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(ServiceUrls::new(sso.public_url, &slug))
}

fn certificate(key: &OpenKey) -> Result<Certificate> {
    Certificate::from_der(&key.certificate).map_err(|e| Error::Internal(format!("our certificate {}: {e}", key.id)))
}

fn private_key(key: &OpenKey) -> Result<PrivateKey> {
    use secrecy::ExposeSecret;
    PrivateKey::from_der(key.private_key.expose_secret()).map_err(internal)
}

fn pair(key: &OpenKey) -> Result<KeyPair> {
    Ok(KeyPair { private_key: private_key(key)?, certificate: certificate(key)? })
}

/// A library failed.
pub(super) fn internal(error: tenantry_saml::Error) -> Error {
    Error::Internal(format!("SAML: {error}"))
}

/// Our metadata, for whoever configures an identity provider. An organization without keys has none.
///
/// Errors: 404; 429 `too_many_attempts`.
pub async fn metadata(sso: &Sso<'_>, slug: &str, origin: &Origin) -> Result<String> {
    sso.limiter.company_metadata(origin).await?;
    let tenant = Tenant::find(sso.db, slug).await?.ok_or_else(Refusal::not_found)?;
    let mut tx = sso.db.begin(&tenant, Actor::Anonymous, Origin::default()).await?;
    let own = Own::load(&mut tx, sso).await?;
    tx.commit().await?;
    let keys = own.keys.ok_or_else(Refusal::not_found)?;
    let written = sso.workers.run(move || {
        let provider = ServiceProvider {
            entity_id: &own.urls.entity_id,
            acs_url: &own.urls.acs_url,
            slo_url: &own.urls.slo_url,
            organization_name: &own.name,
            name_id_formats: &NAME_ID_FORMATS,
        };
        service_provider_metadata(&provider, &keys.signer, keys.next.as_slice())
    });
    written.await?.map_err(internal)
}
