//! A small identity provider, which says what a test wants it to say.
//!
//! It writes what it signs in canonical form, so that it takes no canonicalization: a digest of the text is the digest. Providers
//! that others wrote are tested elsewhere; this one is for what follows from an assertion.

use std::io::Read;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sha::sha256;
use openssl::sign::Signer;
use openssl::x509::{X509, X509NameBuilder};
use serde_json::{Value, json};
use tenantry_shared::clock::Clock;

use crate::Caller;

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const SAML: &str = "xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"";
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

/// Keys take long to make, and tests don't tell them apart but by which connection has which: two are enough.
static KEYS: LazyLock<[Key; 2]> = LazyLock::new(|| [Key::generate(), Key::generate()]);

#[derive(Clone, Debug)]
struct Key {
    private: PKey<Private>,
    certificate: X509,
}

impl Key {
    fn generate() -> Self {
        let private = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
        let mut name = X509NameBuilder::new().expect("a name");
        name.append_entry_by_text("CN", "a test").expect("a name");
        let name = name.build();
        let mut builder = X509::builder().expect("a certificate");
        builder.set_version(2).expect("a version");
        builder.set_serial_number(&BigNum::from_u32(1).expect("1").to_asn1_integer().expect("1")).expect("a number");
        builder.set_subject_name(&name).expect("a subject");
        builder.set_issuer_name(&name).expect("an issuer");
        builder.set_pubkey(&private).expect("a key");
        builder.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("a time");
        builder.set_not_after(&Asn1Time::days_from_now(3_650).expect("a time")).expect("a time");
        builder.sign(&private, MessageDigest::sha256()).expect("a signature");
        Self { private, certificate: builder.build() }
    }

    fn sign(&self, bytes: &[u8]) -> String {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.private).expect("a signer");
        BASE64.encode(signer.sign_oneshot_to_vec(bytes).expect("a signature"))
    }

    /// The signature of an element in canonical form, to be put into it.
    fn signature(&self, id: &str, canonical: &str) -> String {
        let digest = BASE64.encode(sha256(canonical.as_bytes()));
        let content = format!(
            "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{RSA_SHA256}\"></ds:SignatureMethod><ds:Reference URI=\"#{id}\"><ds:Transforms>\
             <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>\
             <ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
             <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        );
        let namespace = "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"";
        let value = self.sign(format!("<ds:SignedInfo {namespace}>{content}").as_bytes());
        format!(
            "<ds:Signature {namespace}><ds:SignedInfo>{content}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"
        )
    }
}

/// A message in canonical form, in two parts: a signature goes between them.
struct Canonical {
    id: String,
    start: String,
    rest: String,
}

impl Canonical {
    fn plain(&self) -> String {
        format!("{}{}", self.start, self.rest)
    }

    /// With its signature in it, base64.
    fn signed(&self, key: &Key) -> String {
        BASE64.encode(format!("{}{}{}", self.start, key.signature(&self.id, &self.plain()), self.rest))
    }
}

/// A company's identity provider.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// What it calls itself.
    pub entity_id: String,
    key: Key,
    clock: Clock,
}

/// What it says of someone; a test changes what it is about.
#[derive(Clone, Debug)]
pub struct Said {
    /// Who.
    pub name_id: String,
    /// Of which kind.
    pub name_id_format: String,
    /// What else.
    pub attributes: Vec<(String, Vec<String>)>,
    /// Its name; another one each time.
    pub assertion_id: String,
    /// Of the session there.
    pub session_index: String,
    /// When that ends.
    pub session_ends: Option<DateTime<Utc>>,
}

impl Said {
    /// Someone known by his address.
    #[must_use]
    pub fn of(email: &str) -> Self {
        Self::of_name(&format!("id of {email}")).with("email", &[email])
    }

    /// Someone known by a name that says nothing else.
    #[must_use]
    pub fn of_name(name_id: &str) -> Self {
        Self {
            name_id: name_id.to_owned(),
            name_id_format: PERSISTENT.to_owned(),
            attributes: Vec::new(),
            assertion_id: fresh_id(),
            session_index: fresh_id(),
            session_ends: None,
        }
    }

    /// With an attribute.
    #[must_use]
    pub fn with(mut self, name: &str, values: &[&str]) -> Self {
        self.attributes.push((name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect()));
        self
    }
}

fn fresh_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("_{:032x}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// An organization's connection to it, with what both must know of each other.
#[derive(Clone, Debug)]
pub struct Connected {
    /// The identity provider.
    pub provider: IdentityProvider,
    /// The connection's id.
    pub id: String,
    /// The organization's slug.
    pub slug: String,
    base: String,
}

impl IdentityProvider {
    /// One of this name, with the first key.
    #[must_use]
    pub fn new(name: &str, clock: &Clock) -> Self {
        Self { entity_id: format!("https://{name}.example/metadata"), key: KEYS[0].clone(), clock: clock.clone() }
    }

    /// The same with another key.
    #[must_use]
    pub fn with_another_key(&self) -> Self {
        Self { key: KEYS[1].clone(), ..self.clone() }
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        String::from_utf8(self.key.certificate.to_pem().expect("PEM")).expect("text")
    }

    /// What connecting it takes.
    #[must_use]
    pub fn fields(&self) -> Value {
        let base = self.entity_id.trim_end_matches("metadata");
        json!({
            "name": "Company",
            "entity_id": self.entity_id,
            "sso_url": format!("{base}sso"),
            "slo_url": format!("{base}slo"),
            "certificates": [self.certificate()],
        })
    }

    /// Connects it to an administrator's organization, with keys of that if it has none; `settings` are added to the fields.
    pub async fn connect(&self, admin: &Caller, settings: Value) -> Connected {
        let mut fields = self.fields();
        for (name, value) in settings.as_object().into_iter().flatten() {
            fields[name] = value.clone();
        }
        self.connect_with(admin, fields).await
    }

    /// The same by its metadata, in which it wants logout messages by forms and by nothing else.
    pub async fn connect_with_logout_by_form(&self, admin: &Caller) -> Connected {
        let base = self.entity_id.trim_end_matches("metadata");
        let certificate = BASE64.encode(self.key.certificate.to_der().expect("DER"));
        let metadata = format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{}\"><md:IDPSSODescriptor \
             protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:KeyDescriptor use=\"signing\"><ds:KeyInfo \
             xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate>\
             </ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleLogoutService \
             Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"{base}slo\"/><md:SingleSignOnService \
             Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"{base}sso\"/></md:IDPSSODescriptor>\
             </md:EntityDescriptor>",
            self.entity_id
        );
        let body = json!({ "name": "Company", "metadata_xml": metadata, "jit_provisioning": true });
        self.connect_with(admin, body).await
    }

    async fn connect_with(&self, admin: &Caller, fields: Value) -> Connected {
        if admin.get("/saml/certificate").await.status == 404 {
            admin.post("/saml/keys", json!({ "key_size": 2048 })).await.created();
        }
        let connection = admin.post("/saml/connections", fields).await.created();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let base = text(&connection["service_provider"]["entity_id"]).trim_end_matches("metadata").to_owned();
        Connected { provider: self.clone(), id: text(&connection["id"]), slug: admin.slug().to_owned(), base }
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Connected {
    /// Where this organization takes messages: `acs`, `slo`, `login?…`.
    #[must_use]
    pub fn address(&self, what: &str) -> String {
        format!("{}{what}", self.base)
    }

    /// The same, spoken for by another provider, or by one with another key.
    #[must_use]
    pub fn spoken_for_by(&self, provider: IdentityProvider) -> Self {
        Self { provider, ..self.clone() }
    }

    /// The form value of a response, signed, that answers a request, or none.
    #[must_use]
    pub fn response(&self, said: &Said, in_response_to: Option<&str>) -> String {
        let (provider, now) = (&self.provider, self.provider.now());
        let (issuer, acs, audience) = (&provider.entity_id, self.address("acs"), self.address("metadata"));
        let (before, after) = (instant(now - TimeDelta::minutes(1)), instant(now + TimeDelta::minutes(5)));
        let answered = in_response_to.map(|id| format!(" InResponseTo=\"{id}\"")).unwrap_or_default();
        let ends = said.session_ends.map(|at| format!(" SessionNotOnOrAfter=\"{}\"", instant(at))).unwrap_or_default();
        let value = |value: &String| format!("<saml:AttributeValue>{}</saml:AttributeValue>", escaped(value));
        let attribute = |(name, values): &(String, Vec<String>)| {
            let values: String = values.iter().map(value).collect();
            format!("<saml:Attribute Name=\"{name}\">{values}</saml:Attribute>")
        };
        let attributes: String = said.attributes.iter().map(attribute).collect();
        let statement = if attributes.is_empty() {
            String::new()
        } else {
            format!("<saml:AttributeStatement>{attributes}</saml:AttributeStatement>")
        };
        let start = format!(
            "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"{}\" IssueInstant=\"{}\" Version=\"2.0\">\
             <saml:Issuer>{issuer}</saml:Issuer>",
            said.assertion_id,
            instant(now)
        );
        let rest = format!(
            "<saml:Subject><saml:NameID Format=\"{}\">{}</saml:NameID>\
             <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\">\
             <saml:SubjectConfirmationData{answered} NotOnOrAfter=\"{after}\" Recipient=\"{acs}\"></saml:SubjectConfirmationData>\
             </saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{before}\" NotOnOrAfter=\"{after}\"><saml:AudienceRestriction>\
             <saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
             <saml:AuthnStatement AuthnInstant=\"{}\" SessionIndex=\"{}\"{ends}><saml:AuthnContext><saml:AuthnContextClassRef>\
             urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext>\
             </saml:AuthnStatement>{statement}</saml:Assertion>",
            said.name_id_format,
            escaped(&said.name_id),
            instant(now),
            said.session_index,
        );
        let signature = provider.key.signature(&said.assertion_id, &format!("{start}{rest}"));
        let response = format!(
            "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" Destination=\"{acs}\" ID=\"{}\"{answered} \
             IssueInstant=\"{}\" Version=\"2.0\"><saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{issuer}\
             </saml:Issuer><samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\">\
             </samlp:StatusCode></samlp:Status>{start}{signature}{rest}</samlp:Response>",
            fresh_id(),
            instant(now)
        );
        BASE64.encode(response)
    }

    /// The query of a logout request, signed: the person of this name signed out there, in these sessions, or in all.
    #[must_use]
    pub fn logout_query(&self, name_id: &str, indexes: &[&str]) -> String {
        self.signed_query("SAMLRequest", &self.logout_request(name_id, indexes).plain(), "their-state")
    }

    /// The same as the value of a form's field: the signature is in the message.
    #[must_use]
    pub fn logout_form(&self, name_id: &str, indexes: &[&str]) -> String {
        self.logout_request(name_id, indexes).signed(&self.provider.key)
    }

    /// The query of an answer to a logout request of ours.
    #[must_use]
    pub fn logout_answer(&self, in_response_to: &str, relay_state: &str) -> String {
        self.signed_query("SAMLResponse", &self.logout_response(in_response_to).plain(), relay_state)
    }

    /// The same as the value of a form's field.
    #[must_use]
    pub fn logout_answer_form(&self, in_response_to: &str) -> String {
        self.logout_response(in_response_to).signed(&self.provider.key)
    }

    fn logout_request(&self, name_id: &str, indexes: &[&str]) -> Canonical {
        let index = |index: &&str| format!("<samlp:SessionIndex>{index}</samlp:SessionIndex>");
        let indexes: String = indexes.iter().map(index).collect();
        let name = format!("<saml:NameID {SAML} Format=\"{PERSISTENT}\">{}</saml:NameID>", escaped(name_id));
        let ends = instant(self.provider.now() + TimeDelta::minutes(5));
        self.message("LogoutRequest", &format!(" NotOnOrAfter=\"{ends}\""), "", format!("{name}{indexes}"))
    }

    fn logout_response(&self, in_response_to: &str) -> Canonical {
        let status = "<samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"></samlp:StatusCode>\
                      </samlp:Status>";
        self.message("LogoutResponse", "", &format!(" InResponseTo=\"{in_response_to}\""), status.to_owned())
    }

    /// A message to our logout service. What is said after `IssueInstant`, and before it, in the order of canonical form.
    fn message(&self, element: &str, after: &str, before: &str, rest: String) -> Canonical {
        let (id, provider) = (fresh_id(), &self.provider);
        let start = format!(
            "<samlp:{element} xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" Destination=\"{}\" ID=\"{id}\"{before} \
             IssueInstant=\"{}\"{after} Version=\"2.0\"><saml:Issuer {SAML}>{}</saml:Issuer>",
            self.address("slo"),
            instant(provider.now()),
            provider.entity_id
        );
        Canonical { id, start, rest: format!("{rest}</samlp:{element}>") }
    }

    fn signed_query(&self, field: &str, xml: &str, relay_state: &str) -> String {
        let mut deflated = Vec::new();
        flate2::read::DeflateEncoder::new(xml.as_bytes(), flate2::Compression::default())
            .read_to_end(&mut deflated)
            .expect("deflated");
        let coded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let query = format!(
            "{field}={}&RelayState={}&SigAlg={}",
            coded(&BASE64.encode(deflated)),
            coded(relay_state),
            coded(RSA_SHA256)
        );
        let signature = self.provider.key.sign(query.as_bytes());
        format!("{query}&Signature={}", coded(&signature))
    }
}
