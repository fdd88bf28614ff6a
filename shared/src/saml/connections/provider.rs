//! Who an identity provider is: what its metadata says, or what an administrator typed in.

use chrono::{DateTime, Utc};
pub use tenantry_saml::Binding;
use tenantry_saml::{Certificate, Endpoint, MAX_ENTITY_ID, check_url, parse_metadata};

use super::Connection;
use crate::error::{FieldError, Refusal};

/// Certificates of a connection at most.
const MOST_CERTIFICATES: usize = 10;

/// Where a connection's provider comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// What its metadata says, all of it.
    Metadata(Provider),
    /// Fields; what is none stays.
    Fields(ProviderPatch),
}

/// What to change of a provider by hand; what is none stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct ProviderPatch {
    pub entity_id: Option<String>,
    pub sso_url: Option<String>,
    pub sso_binding: Option<Binding>,
    pub slo_url: Option<Option<String>>,
    pub slo_response_url: Option<Option<String>>,
    pub slo_binding: Option<Binding>,
    /// PEM or base64.
    pub certificates: Option<Vec<String>>,
    /// Whether its metadata is fetched no more.
    pub forgets_url: bool,
}

impl ProviderPatch {
    /// Whether nothing is said but, perhaps, that its metadata is fetched no more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { entity_id, sso_url, sso_binding, slo_url, slo_response_url, slo_binding, certificates, .. } = self;
        entity_id.is_none()
            && sso_url.is_none()
            && sso_binding.is_none()
            && slo_url.is_none()
            && slo_response_url.is_none()
            && slo_binding.is_none()
            && certificates.is_none()
    }
}

/// A provider as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns, described in the migration")]
pub struct Provider {
    pub entity_id: String,
    pub sso_url: String,
    pub sso_binding: String,
    pub slo_url: Option<String>,
    pub slo_response_url: Option<String>,
    pub slo_binding: Option<String>,
    /// X.509, DER.
    pub certificates: Vec<Vec<u8>>,
    pub metadata_url: Option<String>,
    pub metadata_fetched_at: Option<DateTime<Utc>>,
    pub metadata_valid_until: Option<DateTime<Utc>>,
}

pub(super) const fn binding_name(binding: Binding) -> &'static str {
    match binding {
        Binding::Redirect => "redirect",
        Binding::Post => "post",
    }
}

impl Provider {
    pub(super) fn of(connection: &Connection) -> Self {
        Self {
            entity_id: connection.entity_id.clone(),
            sso_url: connection.sso_url.clone(),
            sso_binding: connection.sso_binding.clone(),
            slo_url: connection.slo_url.clone(),
            slo_response_url: connection.slo_response_url.clone(),
            slo_binding: connection.slo_binding.clone(),
            certificates: connection.certificates.clone(),
            metadata_url: connection.metadata_url.clone(),
            metadata_fetched_at: connection.metadata_fetched_at,
            metadata_valid_until: connection.metadata_valid_until,
        }
    }

    /// What metadata says, which was fetched from `url` or, where there is none, sent by an administrator. Read off the async
    /// threads: a large document takes a while.
    ///
    /// # Errors
    /// Why it is not taken, in words.
    pub async fn from_metadata(
        xml: Vec<u8>,
        entity_id: Option<String>,
        url: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Self, String> {
        let read = move || Self::read(&xml, entity_id.as_deref(), url, now);
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err("the document can't be read".to_owned()))
    }

    fn read(xml: &[u8], entity_id: Option<&str>, url: Option<String>, now: DateTime<Utc>) -> Result<Self, String> {
        let said = parse_metadata(xml, entity_id, now).map_err(|error| error.to_string())?;
        let sso = choose(&said.sso).ok_or("there is nowhere to sign in, by redirect or by POST")?;
        let slo = choose(&said.slo);
        if said.certificates.len() > MOST_CERTIFICATES {
            return Err(format!("there are more than {MOST_CERTIFICATES} certificates"));
        }
        Ok(Self {
            entity_id: said.entity_id,
            sso_url: sso.url.clone(),
            sso_binding: binding_name(sso.binding).to_owned(),
            slo_url: slo.map(|slo| slo.url.clone()),
            slo_response_url: slo.and_then(|slo| slo.response_url.clone()),
            slo_binding: slo.map(|slo| binding_name(slo.binding).to_owned()),
            certificates: said.certificates.iter().map(|certificate| certificate.der().to_vec()).collect(),
            metadata_fetched_at: url.is_some().then_some(now),
            metadata_url: url,
            metadata_valid_until: said.valid_until,
        })
    }

    /// As a source says.
    pub(super) fn changed(self, source: &Source) -> Result<Self, Refusal> {
        match source {
            Source::Metadata(provider) => Ok(provider.clone()),
            Source::Fields(patch) => self.patched(patch),
        }
    }

    fn patched(mut self, patch: &ProviderPatch) -> Result<Self, Refusal> {
        if patch.forgets_url {
            self.metadata_url = None;
            self.metadata_fetched_at = None;
            self.metadata_valid_until = None;
        } else if self.metadata_url.is_some() && !patch.is_empty() {
            let message = "This is fetched from metadata_url each day: set that to null before you change it by hand.";
            return Err(Refusal::invalid_field("metadata_url", "from_metadata", message));
        }
        if !patch.is_empty() {
            // It is not what the metadata said any more.
            self.metadata_valid_until = None;
        }
        let mut errors = Vec::new();
        if let Some(entity_id) = &patch.entity_id {
            errors.extend(check_entity_id(entity_id).err());
            self.entity_id.clone_from(entity_id);
        }
        for (field, given, target) in [
            ("slo_url", &patch.slo_url, &mut self.slo_url),
            ("slo_response_url", &patch.slo_response_url, &mut self.slo_response_url),
        ] {
            if let Some(url) = given {
                let url = url.clone().filter(|url| !url.is_empty());
                errors.extend(url.as_deref().and_then(|url| check_browser_url(field, url).err()));
                *target = url;
            }
        }
        if let Some(url) = &patch.sso_url {
            errors.extend(check_browser_url("sso_url", url).err());
            self.sso_url.clone_from(url);
        }
        if let Some(texts) = &patch.certificates {
            match read_certificates(texts) {
                Ok(certificates) => self.certificates = certificates,
                Err(error) => errors.push(error),
            }
        }
        self.bind(patch);
        let lacks = self.what_lacks().into_iter();
        errors.extend(
            lacks.filter(|lack| errors.iter().all(|known: &FieldError| known.field != lack.field)).collect::<Vec<_>>(),
        );
        if errors.is_empty() { Ok(self) } else { Err(Refusal::invalid(errors)) }
    }

    fn bind(&mut self, patch: &ProviderPatch) {
        if let Some(binding) = patch.sso_binding {
            binding_name(binding).clone_into(&mut self.sso_binding);
        } else if self.sso_binding.is_empty() {
            "redirect".clone_into(&mut self.sso_binding);
        }
        let slo = patch.slo_binding.map(|binding| binding_name(binding).to_owned()).or_else(|| self.slo_binding.take());
        self.slo_binding = self.slo_url.as_ref().map(|_| slo.unwrap_or_else(|| "redirect".to_owned()));
        if self.slo_url.is_none() {
            self.slo_response_url = None;
        }
    }

    fn what_lacks(&self) -> Vec<FieldError> {
        let lacks = |is_empty: bool, field: &'static str, message: &'static str| {
            is_empty.then(|| FieldError::new(field, "required", message))
        };
        let all = [
            lacks(self.entity_id.is_empty(), "entity_id", "What the identity provider calls itself is needed."),
            lacks(self.sso_url.is_empty(), "sso_url", "Where people sign in is needed."),
            lacks(self.certificates.is_empty(), "certificates", "A certificate is needed."),
        ];
        all.into_iter().flatten().collect()
    }

    /// Whether a test of the one says something about the other.
    pub(super) fn shows_as(&self, other: &Self) -> bool {
        (&self.entity_id, &self.sso_url, &self.sso_binding, &self.certificates)
            == (&other.entity_id, &other.sso_url, &other.sso_binding, &other.certificates)
    }
}

/// By redirect where it can be: no page in between.
fn choose(endpoints: &[Endpoint]) -> Option<&Endpoint> {
    endpoints.iter().find(|endpoint| endpoint.binding == Binding::Redirect).or_else(|| endpoints.first())
}

fn check_entity_id(text: &str) -> Result<(), FieldError> {
    if text.len() > MAX_ENTITY_ID {
        return Err(FieldError::new("entity_id", "too_long", "An entity id has at most 1024 bytes."));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(FieldError::new("entity_id", "invalid", "An entity id has no spaces."));
    }
    Ok(())
}

fn check_browser_url(field: &'static str, url: &str) -> Result<(), FieldError> {
    if url.is_empty() {
        return Ok(());
    }
    check_url(url).map_err(|why| FieldError::new(field, "invalid_url", format!("This URL {why}.")))
}

fn read_certificates(texts: &[String]) -> Result<Vec<Vec<u8>>, FieldError> {
    if texts.len() > MOST_CERTIFICATES {
        return Err(FieldError::new("certificates", "too_many", "At most 10 certificates."));
    }
    let mut certificates: Vec<Vec<u8>> = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let read = Certificate::from_text(text).map_err(|why| {
            FieldError::new("certificates", "invalid_certificate", format!("Certificate {} {why}.", n + 1))
        })?;
        if !certificates.iter().any(|known| known == read.der()) {
            certificates.push(read.der().to_vec());
        }
    }
    Ok(certificates)
}

/// What a certificate says, for people.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct CertificateFacts {
    pub pem: String,
    pub subject: String,
    pub fingerprint: String,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
}

impl Connection {
    /// What its certificates say, in their order.
    #[must_use]
    pub fn certificate_facts(&self) -> Vec<CertificateFacts> {
        let read = self.certificates.iter().filter_map(|der| Certificate::from_der(der).ok());
        let facts = read.map(|certificate| CertificateFacts {
            pem: certificate.pem(),
            subject: certificate.subject(),
            fingerprint: certificate.fingerprint(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
        });
        facts.collect()
    }
}
