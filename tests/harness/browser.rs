//! A headless Chromium the size of a phone.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::folder::Folder;
use crate::processes::{command, free_port};
use crate::wait::eventually_within;
use crate::{repository, required};

/// Of a phone, in its own pixels.
const WIDTH: u32 = 390;
const HEIGHT: u32 = 844;

/// See the module. [`Browser::close`] ends it; dropped without, it ends as well.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    port: u16,
    _driver: Child,
    _profile: Folder,
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.0.to_string()))
    }
}

impl Browser {
    /// Starts chromedriver and Chromium, 390 pixels wide.
    pub async fn start() -> Self {
        let (port, profile) = (free_port(), Folder::new("chromium"));
        let mut command = command(required("TEST_CHROMEDRIVER"), None);
        let driver = command.arg(format!("--port={port}")).spawn().expect("TEST_CHROMEDRIVER starts");
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--window-size=390,844",
            // Pages of others may want what others serve; no test depends on the world.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ];
        let mut flags: Vec<String> = flags.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", profile.0.display()));
        let phone = json!({ "deviceMetrics": { "width": WIDTH, "height": HEIGHT, "pixelRatio": 2.0 } });
        let options = json!({ "binary": required("TEST_CHROMIUM"), "args": flags, "mobileEmulation": phone });
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        let url = format!("http://127.0.0.1:{port}");
        eventually_within(Duration::from_secs(15), "chromedriver to answer", || async {
            reqwest::get(format!("{url}/status")).await.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&url)
            .await
            .expect("Chromium starts");
        Self { client, port, _driver: driver, _profile: profile }
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("the page opens");
    }

    /// Where it is.
    pub async fn address(&self) -> url::Url {
        self.client.current_url().await.expect("an address")
    }

    /// The text that a person sees.
    pub async fn text(&self) -> String {
        self.client.find(Locator::Css("body")).await.expect("a page").text().await.expect("text")
    }

    /// The page's source.
    pub async fn source(&self) -> String {
        self.client.source().await.expect("a source")
    }

    /// Whether there is such an element.
    pub async fn has(&self, css: &str) -> bool {
        self.client.find(Locator::Css(css)).await.is_ok()
    }

    /// Types into the field that a label of this text names.
    pub async fn fill(&self, label: &str, text: &str) {
        let id = self.labelled(label).await;
        let field =
            self.client.find(Locator::Id(&id)).await.unwrap_or_else(|e| panic!("the label {label:?} names {id}: {e}"));
        field.clear().await.expect("a field");
        field.send_keys(text).await.expect("a field takes text");
    }

    async fn labelled(&self, label: &str) -> String {
        let path = format!("//label[contains(normalize-space(.), {label:?})]");
        let found = self.client.find(Locator::XPath(&path)).await;
        let source = self.client.source().await.unwrap_or_default();
        let label = found.unwrap_or_else(|e| panic!("no label {label:?}: {e}\n{source}"));
        label.attr("for").await.expect("an answer").expect("a label is for a field")
    }

    /// Presses the button of this text, and waits for the page that follows.
    pub async fn press(&self, text: &str) {
        let path = format!("//button[contains(normalize-space(.), {text:?})]");
        let source = self.client.source().await.unwrap_or_default();
        let button = self.client.find(Locator::XPath(&path)).await;
        button.unwrap_or_else(|e| panic!("no button {text:?}: {e}\n{source}")).click().await.expect("a click");
    }

    /// Follows the link of this text.
    pub async fn follow(&self, text: &str) {
        let path = format!("//a[contains(normalize-space(.), {text:?})]");
        let source = self.client.source().await.unwrap_or_default();
        let link = self.client.find(Locator::XPath(&path)).await;
        link.unwrap_or_else(|e| panic!("no link {text:?}: {e}\n{source}")).click().await.expect("a click");
    }

    /// Waits until the page says something.
    pub async fn until_it_says(&self, text: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            let body = match self.client.find(Locator::Css("body")).await {
                Ok(body) => body.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if body.contains(text) {
                return;
            }
            let now = tokio::time::Instant::now();
            assert!(
                now < deadline,
                "the page does not say {text:?} but:\n{body}\nat {:?}",
                self.client.current_url().await
            );
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// How wide what the page holds is, in pixels: more than the window means that a phone must scroll sideways.
    pub async fn content_width(&self) -> i64 {
        let width =
            self.client.execute("return document.documentElement.scrollWidth", vec![]).await.expect("a script runs");
        width.as_i64().unwrap_or_default()
    }

    /// Keeps a picture below `target/screenshots/`.
    pub async fn screenshot(&self, name: &str) {
        let file: PathBuf = repository("target/screenshots").join(format!("{name}.png"));
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        let picture = self.client.screenshot().await.expect("a picture");
        std::fs::write(file, picture).expect("a file");
    }

    /// The same of the whole page, however long.
    pub async fn screenshot_of_all(&self, name: &str) {
        let height = self.run("return document.documentElement.scrollHeight").await;
        self.resize(height).await;
        self.screenshot(name).await;
        self.resize(json!(HEIGHT)).await;
    }

    /// What a script returns.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.expect("a script runs")
    }

    /// Lets pages know that their reader prefers `light` or `dark`.
    pub async fn prefer(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Whose browser it is: someone who reads this language.
    pub async fn speak(&self, language: &str) {
        let agent = self.run("return navigator.userAgent").await;
        let speaks = json!({ "userAgent": agent, "acceptLanguage": language });
        self.devtools("Emulation.setUserAgentOverride", speaks).await;
    }

    async fn resize(&self, height: Value) {
        let size = json!({ "width": WIDTH, "height": height, "deviceScaleFactor": 2, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What WebDriver has no word for (Chrome DevTools Protocol).
    async fn devtools(&self, command: &'static str, parameters: Value) {
        self.client.issue_cmd(DevTools(json!({ "cmd": command, "params": parameters }))).await.expect(command);
    }

    /// Ends Chromium in good order.
    pub async fn close(self) {
        let _ = self.client.clone().close().await;
    }
}

impl Drop for Browser {
    /// Lets chromedriver end every Chromium of its, and waits until it has: killed, it would leave them behind, and they
    /// would go on to write into the profile. Both stay in the group of the test, which `./dev test` ends as one.
    fn drop(&mut self) {
        let _ = shut_down(self.port);
    }
}

/// chromedriver's own way to end. It closes the connection when it is over.
fn shut_down(port: u16) -> std::io::Result<()> {
    let patience = Duration::from_secs(10);
    let mut connection = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), patience)?;
    connection.set_read_timeout(Some(patience))?;
    write!(connection, "GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
    connection.read_to_end(&mut Vec::new()).map(drop)
}
