//! A browser that carries messages between an identity provider and us, and what it carries.

use std::io::Read;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use serde_json::json;

use crate::{Answer, Caller, Connected, Said};

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

    /// Reads it from the address that a page leads to by itself.
    ///
    /// # Panics
    /// If it leads nowhere.
    #[must_use]
    pub fn of_lead(page: &str) -> Self {
        let (_, rest) = page.split_once("0;url=").unwrap_or_else(|| panic!("it leads nowhere:\n{page}"));
        Self::of_address(&unescaped(rest.split('"').next().unwrap_or_default()))
    }

    /// Reads it from the form of a page that posts it.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn of_form(page: &str) -> Self {
        let field = |start: &str| {
            let (_, rest) = page.split_once(start).unwrap_or_else(|| panic!("no {start} in:\n{page}"));
            unescaped(rest.split('"').next().unwrap_or_default())
        };
        let url = field("method=\"post\" action=\"");
        let name = if page.contains("name=\"SAMLResponse\"") { "SAMLResponse" } else { "SAMLRequest" };
        let message = BASE64.decode(field(&format!("name=\"{name}\" value=\""))).expect("base64");
        let xml = String::from_utf8(message).expect("text");
        let url = url::Url::parse(&url).unwrap_or_else(|e| panic!("{url:?} is no address: {e}"));
        Self { relay_state: field("name=\"RelayState\" value=\""), id: attribute(&xml, "ID"), xml, url }
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&#x2f;", "/").replace("&amp;", "&")
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

    /// The same browser when a form of another site has sent it here: the session's cookie stays behind, as `SameSite=Lax` says.
    #[must_use]
    pub fn from_elsewhere(&self) -> Self {
        let mut cookies = self.cookies.lock().expect("cookies").clone();
        cookies.retain(|(name, _)| name != "tenantry");
        Self { anonymous: self.anonymous.clone(), cookies: Arc::new(Mutex::new(cookies)) }
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
