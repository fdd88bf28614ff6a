//! An organization's own keys: what it signs requests with, and opens encrypted assertions.

mod reseal;
mod write;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use tenantry_saml::Certificate;
use uuid::Uuid;

pub(crate) use reseal::reseal;
pub use write::{KeyMaker, NewKey, activate_key, add_key, delete_key, get_key, list_keys, room_for_key};

use crate::db::Tx;
use crate::error::{Error, Refusal, Result};
use crate::ids::{OrganizationId, SamlKeyId};
use crate::page::{Listed, Sort};
use crate::seal::{Sealed, Seals};
use crate::tenant::Tenant;

/// What a key is for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It signs, opens, and is published.
    Active,
    /// It is published beside the active one, so that identity providers know it before it is used.
    Next,
    /// It was active before: it still opens what was encrypted for it, and is published no more.
    Previous,
}

impl KeyState {
    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }

    /// The state of a name in the database.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "active" => Self::Active,
            "next" => Self::Next,
            _ => Self::Previous,
        }
    }
}

/// A key as administrators see it: never the private half.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Key {
    pub id: Uuid,
    pub state: String,
    /// X.509, DER.
    pub certificate: Vec<u8>,
    pub fingerprint: String,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
    /// The name of what its private half is encrypted with.
    pub key_id: String,
    pub created_at: DateTime<Utc>,
}

impl Listed for Key {
    const SORTS: &'static [Sort] = &[Sort::time("created_at", "k.created_at"), Sort::time("not_after", "k.not_after")];
    const DEFAULT_SORT: &'static str = "-created_at";
    const ID: &'static str = "k.id";
}

impl Key {
    /// The certificate as people send it to each other.
    #[must_use]
    pub fn pem(&self) -> String {
        Certificate::from_der(&self.certificate).map(|certificate| certificate.pem()).unwrap_or_default()
    }
}

const FROM: &str = "saml_keys k";
const COLUMNS: &str = "k.id, k.state, k.certificate, k.fingerprint, k.not_before, k.not_after, k.key_id, k.created_at";

/// A key with its private half, which is PKCS #8 in DER.
pub struct OpenKey {
    /// Which.
    pub id: SamlKeyId,
    /// X.509, DER.
    pub certificate: Vec<u8>,
    /// The secret.
    pub private_key: SecretSlice<u8>,
}

impl std::fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenKey({})", self.id)
    }
}

/// An organization's keys, for use.
#[derive(Debug)]
pub struct OwnKeys {
    /// What signs.
    pub active: OpenKey,
    /// What will sign next, if it is there already: to be published beside the active one.
    pub next: Option<OpenKey>,
    /// What signed before: it only opens.
    pub previous: Option<OpenKey>,
}

/// What a private key is bound to where it is stored.
fn owner(tenant: &Tenant, key: SamlKeyId) -> Vec<u8> {
    [*Uuid::from(tenant.id()).as_bytes(), *Uuid::from(key).as_bytes()].concat()
}

/// For people: what is stored was encrypted by a server that had another key.
fn unreadable() -> Refusal {
    let detail = "The private key is encrypted with a server key that this service does not have. Whoever runs it must set that \
                  one again, or as PREVIOUS_SECRET_KEY. Only if that is lost: make a new key here, and tell your identity providers.";
    Refusal::conflict("saml_key_unreadable", detail)
}

/// The organization's keys, opened; none where it has none.
///
/// Errors: 409 `saml_key_unreadable` for the active one. Others that can't be read are left out, and logged.
pub async fn load_keys(tx: &mut Tx, seals: &Seals) -> Result<Option<OwnKeys>> {
    let rows = sqlx::query!(
        r#"select id as "id: SamlKeyId", state, certificate, sealed, key_id from saml_keys where organization_id = $1"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_all(tx.connection())
    .await?;
    let (mut active, mut next, mut previous) = (None, None, None);
    for row in rows {
        let sealed = Sealed { bytes: row.sealed, key_id: row.key_id };
        let opened = open(seals, tx.tenant(), row.id, &sealed);
        let state = KeyState::from_name(&row.state);
        if state != KeyState::Active
            && let Err(error) = &opened
        {
            tracing::error!(%error, key = %row.id, "a SAML key can't be read");
            continue;
        }
        let key = OpenKey { id: row.id, certificate: row.certificate, private_key: opened? };
        match state {
            KeyState::Active => active = Some(key),
            KeyState::Next => next = Some(key),
            KeyState::Previous => previous = Some(key),
        }
    }
    Ok(active.map(|active| OwnKeys { active, next, previous }))
}

/// Opens a private key, or says in words for people why it can't be.
fn open(seals: &Seals, tenant: &Tenant, id: SamlKeyId, sealed: &Sealed) -> Result<SecretSlice<u8>> {
    if !seals.has_key(&sealed.key_id) {
        tracing::error!(key = %id, sealed_with = sealed.key_id, "a SAML key is encrypted with another SECRET_KEY");
        return Err(unreadable().into());
    }
    let opened = seals.open(sealed, &owner(tenant, id))?;
    if opened.expose_secret().is_empty() { Err(Error::Internal("an empty key".into())) } else { Ok(opened) }
}
