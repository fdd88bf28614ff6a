//! A small identity provider, which says what a test wants it to say, and a browser that carries its messages.
//!
//! It writes what it signs in canonical form, so that it takes no canonicalization: a digest of the text is the digest. Providers
//! that others wrote are tested elsewhere; this one is for what follows from an assertion.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

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
use reqwest::Method;
use serde_json::{Value, json};
use tenantry_shared::clock::Clock;

use crate::{Answer, Caller};

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
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
        if admin.get("/saml/certificate").await.status == 404 {
            admin.post("/saml/keys", json!({ "key_size": 2048 })).await.created();
        }
        let mut fields = self.fields();
        for (name, value) in settings.as_object().into_iter().flatten() {
            fields[name] = value.clone();
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
        let (provider, now) = (&self.provider, self.provider.now());
        let indexes: String =
            indexes.iter().map(|index| format!("<samlp:SessionIndex>{index}</samlp:SessionIndex>")).collect();
        let xml = format!(
            "<samlp:LogoutRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
             xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"{}\" Version=\"2.0\" IssueInstant=\"{}\" \
             Destination=\"{}\" NotOnOrAfter=\"{}\"><saml:Issuer>{}</saml:Issuer>\
             <saml:NameID Format=\"{PERSISTENT}\">{}</saml:NameID>{indexes}</samlp:LogoutRequest>",
            fresh_id(),
            instant(now),
            self.address("slo"),
            instant(now + TimeDelta::minutes(5)),
            provider.entity_id,
            escaped(name_id)
        );
        self.signed_query("SAMLRequest", &xml, "their-state")
    }

    /// The query of an answer to a logout request of ours.
    #[must_use]
    pub fn logout_answer(&self, in_response_to: &str, relay_state: &str) -> String {
        let xml = format!(
            "<samlp:LogoutResponse xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
             xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"{}\" Version=\"2.0\" IssueInstant=\"{}\" \
             Destination=\"{}\" InResponseTo=\"{in_response_to}\"><saml:Issuer>{}</saml:Issuer><samlp:Status>\
             <samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></samlp:Status></samlp:LogoutResponse>",
            fresh_id(),
            instant(self.provider.now()),
            self.address("slo"),
            self.provider.entity_id
        );
        self.signed_query("SAMLResponse", &xml, relay_state)
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

/// A message of ours on its way through a browser.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where to.
    pub url: url::Url,
    /// Its XML.
    pub xml: String,
    /// Its id.
    pub id: String,
    /// What comes back with the answer.
    pub relay_state: String,
}

impl Message {
    /// Reads it from the address that a browser is sent to.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn of_address(address: &str) -> Self {
        let url = url::Url::parse(address).unwrap_or_else(|e| panic!("{address:?} is no address: {e}"));
        let field = |names: &[&str]| {
            let found = url.query_pairs().find(|(name, _)| names.contains(&name.as_ref()));
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let message = field(&["SAMLRequest", "SAMLResponse"]);
        let deflated = BASE64.decode(message).unwrap_or_else(|e| panic!("{address} holds no message: {e}"));
        let mut xml = String::new();
        flate2::read::DeflateDecoder::new(&*deflated).read_to_string(&mut xml).expect("a deflated message");
        let id = attribute(&xml, "ID");
        Self { relay_state: field(&["RelayState"]), id, xml, url }
    }
}

/// The first attribute of this name in a message.
#[must_use]
pub fn attribute(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// A browser that has cookies and follows nothing by itself.
#[derive(Clone, Debug)]
pub struct Tab {
    anonymous: Caller,
    cookies: Arc<Mutex<Vec<(String, String)>>>,
}

impl Tab {
    /// A new one.
    #[must_use]
    pub fn new(anonymous: Caller) -> Self {
        Self { anonymous, cookies: Arc::default() }
    }

    /// Its cookies, as it sends them.
    #[must_use]
    pub fn cookies(&self) -> String {
        let cookies = self.cookies.lock().expect("cookies");
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn take_cookies(&self, answer: &Answer) {
        let mut cookies = self.cookies.lock().expect("cookies");
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().expect("text");
            let (name, value) = set.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Opens an address.
    pub async fn open(&self, address: &str) -> Answer {
        let call = self.anonymous.get(address).header("accept", "text/html").header("cookie", &self.cookies());
        let answer = call.await;
        self.take_cookies(&answer);
        answer
    }

    /// Posts a form, as a page of this origin would; `null` for one of another site.
    pub async fn post(&self, address: &str, fields: &[(&str, &str)], origin: &str) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let call = self.anonymous.call(Method::POST, address).body("application/x-www-form-urlencoded", body);
        let call = call.header("origin", origin).header("cookie", &self.cookies()).header("accept", "text/html");
        let answer = call.await;
        self.take_cookies(&answer);
        answer
    }

    /// Begins to sign in through a connection: what is asked of the identity provider.
    pub async fn ask(&self, connected: &Connected) -> Message {
        let answer = self.open(&connected.address(&format!("login?connection={}", connected.id))).await;
        assert_eq!(answer.status, 302, "{}", answer.whole());
        Message::of_address(answer.header("location"))
    }

    /// Brings an answer of the identity provider.
    pub async fn bring(&self, connected: &Connected, response: &str, relay_state: &str) -> Answer {
        let fields = [("SAMLResponse", response), ("RelayState", relay_state)];
        self.post(&connected.address("acs"), &fields, "null").await
    }

    /// Signs in, all the way.
    pub async fn sign_in(&self, connected: &Connected, said: &Said) -> Answer {
        let asked = self.ask(connected).await;
        self.bring(connected, &connected.response(said, Some(&asked.id)), &asked.relay_state).await
    }

    /// Whoever is signed in in it, as a caller of the API.
    ///
    /// # Panics
    /// If nobody is.
    pub async fn caller(&self, slug: &str) -> Caller {
        let token = {
            let cookies = self.cookies.lock().expect("cookies");
            let found = cookies.iter().find(|(name, _)| name == "tenantry");
            found.unwrap_or_else(|| panic!("nobody is signed in: {cookies:?}")).1.clone()
        };
        self.anonymous.signed_in(slug, &json!({ "token": token })).await
    }
}
