//! Metadata that is fetched: from the open Internet only, never for longer than ten seconds, never more than a megabyte.

use std::sync::{Arc, Mutex};

use harness::{TestApp, days};
use serde_json::{Value, json};
use tenantry_shared::schedules::Schedule;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::saml_connections::{ONE, TWO, path};

/// A web server with one answer for every request, which can be changed.
struct Web {
    port: u16,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<usize>>,
}

impl Web {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let web = Self { port, answer: Arc::default(), asked: Arc::default() };
        let (answer, asked) = (Arc::clone(&web.answer), Arc::clone(&web.asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.lock().expect("a lock").clone();
                *asked.lock().expect("a lock") += 1;
                tokio::spawn(async move {
                    let mut request = vec![0; 4_096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(&answer).await;
                    if answer.is_empty() {
                        // Says nothing, and does not hang up either.
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        web
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/metadata", self.port)
    }

    fn asked(&self) -> usize {
        *self.asked.lock().expect("a lock")
    }

    fn say(&self, status: &str, headers: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        *self.answer.lock().expect("a lock") = [head.as_bytes(), body].concat();
    }
}

/// What an identity provider says of itself.
fn metadata(certificates: &[&str], sso: &str) -> String {
    let key = |pem: &str| {
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        format!(
            "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>\
             <ds:X509Certificate>{base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        )
    };
    let keys: String = certificates.iter().map(|pem| key(pem)).collect();
    format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"https://idp.example.com/metadata\">\
         <md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{keys}\
         <md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" \
         Location=\"https://idp.example.com/slo\" ResponseLocation=\"https://idp.example.com/slo/done\"/>\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"https://idp.example.com/post\"/>\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"{sso}\"/>\
         </md:IDPSSODescriptor></md:EntityDescriptor>"
    )
}

const SSO: &str = "https://idp.example.com/sso";

#[tokio::test]
async fn a_connection_can_be_made_from_metadata_as_text_or_from_where_it_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let xml = metadata(&[ONE, TWO], SSO);
    let web = Web::start().await;
    web.say("200 OK", "", xml.as_bytes());
    let by_text = json!({ "name": "Text", "metadata_xml": xml });
    let by_text = admin.post("/saml/connections", by_text).await.created();
    let by_url = globex.post("/saml/connections", json!({ "name": "URL", "metadata_url": web.url() })).await.created();
    for made in [&by_text, &by_url] {
        for (field, value) in [
            ("entity_id", json!("https://idp.example.com/metadata")),
            ("sso_url", json!(SSO)),
            ("sso_binding", json!("redirect")),
            ("slo_url", json!("https://idp.example.com/slo")),
            ("slo_response_url", json!("https://idp.example.com/slo/done")),
            ("slo_binding", json!("post")),
            ("certificates", json!([ONE, TWO])),
        ] {
            assert_eq!(made[field], value, "{field}");
        }
    }
    assert_eq!((&by_text["metadata_url"], &by_text["metadata_fetched_at"]), (&Value::Null, &Value::Null));
    assert_eq!(by_url["metadata_url"], web.url());
    assert_ne!(by_url["metadata_fetched_at"], Value::Null);
    let by_hand = json!({ "sso_url": "https://other.example.com/sso" });
    globex.patch(&path(&by_url), by_hand.clone()).await.invalid("metadata_url", "from_metadata");
    let kept = globex.patch(&path(&by_url), json!({ "metadata_url": null })).await.ok();
    assert_eq!((&kept["metadata_url"], &kept["sso_url"]), (&Value::Null, &json!(SSO)));
    globex.patch(&path(&by_url), by_hand).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn metadata_that_is_malicious_or_of_no_use_is_refused_in_words() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let good = metadata(&[ONE], SSO);
    let bomb = format!("<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>{good}");
    let external = format!("<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>{good}");
    let deep = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let nested = format!(
        "{}{good}{}",
        "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">".repeat(500),
        "</md:EntitiesDescriptor>".repeat(500)
    );
    for wrong in [
        "",
        "nonsense",
        "<html/>",
        &bomb,
        &external,
        &deep,
        &nested,
        &good.replace("</md:EntityDescriptor>", ""),
        &metadata(&[], SSO),
        &metadata(&[ONE], "javascript:alert(1)"),
        &metadata(&[ONE], "http://idp.example.com/sso"),
    ] {
        let answer = admin.post("/saml/connections", json!({ "name": "x", "metadata_xml": wrong })).await;
        answer.invalid("metadata_xml", "invalid_metadata");
    }
    let huge = "x".repeat(1_000_001);
    let huge = admin.post("/saml/connections", json!({ "name": "x", "metadata_xml": huge })).await;
    huge.invalid("metadata_xml", "too_long");
    app.finish().await;
}

#[tokio::test]
async fn an_answer_that_is_no_metadata_is_refused_in_words_and_never_waited_for_long() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let web = Web::start().await;
    let refused = async |words: &str| {
        let answer = admin.post("/saml/connections", json!({ "name": "x", "metadata_url": web.url() })).await;
        assert!(answer.text.contains(words), "wanted {words:?}:\n{}", answer.whole());
        answer.invalid("metadata_url", "fetch_failed");
    };
    web.say("404 Not Found", "", b"");
    refused("The server answered 404.").await;
    web.say("200 OK", "", &vec![b'x'; 1_000_001]);
    refused("larger than a million bytes").await;
    *web.answer.lock().expect("a lock") = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec();
    refused("broke off").await;
    *web.answer.lock().expect("a lock") = b"SSH-2.0-OpenSSH_9.2\r\n".to_vec();
    refused("does not speak HTTP").await;
    web.say("302 Found", &format!("Location: {}\r\n", web.url()), b"");
    refused("more than three redirects").await;
    for elsewhere in ["http://169.254.169.254/latest/meta-data/", "https://10.0.0.1/", "https://[fd00:ec2::254]/"] {
        web.say("302 Found", &format!("Location: {elsewhere}\r\n"), b"");
        let answer = admin.post("/saml/connections", json!({ "name": "x", "metadata_url": web.url() })).await;
        answer.invalid("metadata_url", "fetch_failed");
    }
    web.answer.lock().expect("a lock").clear();
    refused("within ten seconds").await;
    app.finish().await;
}

#[tokio::test]
async fn nothing_but_the_open_internet_is_asked_however_its_address_is_spelled() {
    // As in production: people reach it by a name of the Internet.
    let app = TestApp::start_with(&[("public-url", "https://accounts.example.com")]).await;
    let admin = app.organization("acme").administrator().await;
    let web = Web::start().await;
    for host in [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.64.0.1",
    ] {
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://{host}:{}/metadata", web.port);
            let answer = admin.post("/saml/connections", json!({ "name": "x", "metadata_url": url })).await;
            let words = if scheme == "http" { "by https only" } else { "" };
            let told = answer.text.contains("not on the open Internet") || answer.text.contains("has no address");
            assert!(answer.text.contains(words) && (told || scheme == "http"), "{url}\n{}", answer.whole());
            answer.invalid("metadata_url", "fetch_failed");
        }
    }
    for url in [
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://user:word@example.com/",
        "https://",
        "gopher://127.0.0.1/",
    ] {
        let answer = admin.post("/saml/connections", json!({ "name": "x", "metadata_url": url })).await;
        answer.invalid("metadata_url", "fetch_failed");
    }
    assert_eq!(web.asked(), 0, "nobody came");
    app.finish().await;
}

#[tokio::test]
async fn metadata_is_fetched_each_day_and_a_failure_keeps_what_was_there() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let web = Web::start().await;
    web.say("200 OK", "", metadata(&[ONE], SSO).as_bytes());
    let made = admin.post("/saml/connections", json!({ "name": "x", "metadata_url": web.url() })).await.created();
    app.database().execute("update saml_connections set tested_at = now()").await;
    let run = async |handled: i64| {
        assert_eq!(app.run_schedule(Schedule::FetchSamlMetadata).await.objects, handled);
        app.settle().await;
        admin.again().await.get(&path(&made)).await.ok()
    };
    let fresh = run(0).await;
    assert_eq!(fresh["metadata_fetched_at"], made["metadata_fetched_at"], "it was fetched just now");

    app.clock.advance(days(1));
    web.say("200 OK", "", metadata(&[ONE, TWO], SSO).as_bytes());
    let rollover = run(1).await;
    assert_eq!(rollover["certificates"], json!([ONE, TWO]), "the old one and the new one");
    assert_ne!(rollover["tested_at"], Value::Null);
    let log = admin.again().await.get("/audit-events?action=saml_connection.changed").await.ok();
    assert_eq!(log["results"][0]["details"]["changed"], json!(["certificates"]));
    assert_eq!(log["results"][0]["actor_name"], "worker");

    app.clock.advance(days(1));
    let other = metadata(&[ONE], SSO).replace("https://idp.example.com/metadata", "https://evil.example.com/");
    for wrong in ["", "<html/>", other.as_str()] {
        web.say("200 OK", "", wrong.as_bytes());
        let failed = run(1).await;
        assert_ne!(failed["metadata_error"], Value::Null, "{wrong}");
        for field in ["certificates", "sso_url", "entity_id", "metadata_fetched_at", "is_active"] {
            assert_eq!(failed[field], rollover[field], "{field}");
        }
    }
    web.say("200 OK", "", metadata(&[TWO], "https://moved.example.com/sso").as_bytes());
    let moved = run(1).await;
    assert_eq!((&moved["certificates"], &moved["metadata_error"]), (&json!([TWO]), &Value::Null));
    assert_eq!(moved["tested_at"], Value::Null, "nobody has tried this");
    app.finish().await;
}
