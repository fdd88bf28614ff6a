//! Identity providers that others wrote, each a process of its own. Their people are Ann (`ann`, `annpass`), of the groups
//! `staff` and `engineering`, and Ben (`ben`, `benpass`), of `staff`; their addresses end with `@idp.example`.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::folder::Folder;
use crate::processes::{command, free_port, run_to_end};
use crate::wait::eventually_within;
use crate::{repository, required};

/// nanoidp: signs the assertion, knows neither encryption nor logout.
#[derive(Debug)]
pub struct Nanoidp(Running);

/// SimpleSAMLphp: signs and encrypts as it is told for each service provider, and logs out.
#[derive(Debug)]
pub struct SimpleSamlPhp(Running);

#[derive(Debug)]
struct Running {
    url: String,
    _child: Child,
    folder: Folder,
}

impl Running {
    /// Starts it, and waits until it shows its metadata.
    async fn start(mut command: Command, url: String, folder: Folder, metadata: &str) -> Self {
        let child = command.current_dir(&folder.0).spawn().expect("an identity provider starts");
        let address = format!("{url}{metadata}");
        eventually_within(Duration::from_secs(30), &format!("{address} to be served"), || async {
            reqwest::get(&address).await.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
        Self { url, _child: child, folder }
    }
}

async fn text_of(url: &str) -> String {
    reqwest::get(url).await.expect("it answers").text().await.expect("text")
}

fn log_in(folder: &Folder) -> File {
    File::create(folder.0.join("log")).expect("a log file")
}

impl Nanoidp {
    /// Starts one, with a key of its own.
    pub async fn start() -> Self {
        let (port, folder) = (free_port().to_string(), Folder::new("nanoidp"));
        for name in ["settings.yaml", "users.yaml"] {
            let text = std::fs::read_to_string(repository("tests/saml/nanoidp").join(name)).expect("its configuration");
            std::fs::write(folder.0.join(name), text.replace("PORT", &port)).expect("a file");
        }
        let mut command = command(required("TEST_SAML_PYTHON"), Some(log_in(&folder)));
        command.args(["-m", "nanoidp", "--config"]).arg(&folder.0).args(["--host", "127.0.0.1", "--port", &port]);
        let url = format!("http://127.0.0.1:{port}");
        Self(Running::start(command, url, folder, "/saml/metadata").await)
    }

    /// Where its metadata is.
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}/saml/metadata", self.0.url)
    }

    /// What an administrator would copy from it.
    pub async fn metadata(&self) -> String {
        text_of(&self.metadata_url()).await
    }
}

impl SimpleSamlPhp {
    /// Starts one, with a key of its own.
    pub async fn start() -> Self {
        Self::start_with("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect").await
    }

    /// The same that takes messages about logging out in forms only.
    pub async fn start_with_logout_by_form() -> Self {
        Self::start_with("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST").await
    }

    async fn start_with(logout_binding: &str) -> Self {
        let (port, folder) = (free_port(), Folder::new("simplesamlphp"));
        let url = format!("http://127.0.0.1:{port}");
        let ours = repository("tests/saml/simplesamlphp");
        make_key(&ours, &folder).await;
        let mut command = command("php", Some(log_in(&folder)));
        command.args(["-S", &format!("127.0.0.1:{port}"), "-t", &format!("{}/www", required("TEST_SIMPLESAMLPHP"))]);
        command.env("SIMPLESAMLPHP_CONFIG_DIR", ours.join("config"));
        command.env("IDP_FOLDER", &folder.0).env("IDP_URL", &url);
        command.env("IDP_LOGOUT_BINDING", logout_binding);
        write_service_providers(&folder, &json!([]));
        Self(Running::start(command, url, folder, "/saml2/idp/metadata.php").await)
    }

    /// Lets it know a service provider by its metadata, with more of SimpleSAMLphp's own options (of
    /// `saml20-sp-remote.php`), in place of those that it knew.
    pub fn trust(&self, metadata: &str, options: &Value) {
        write_service_providers(&self.0.folder, &json!([{ "metadata": metadata, "options": options }]));
    }

    /// Where its metadata is.
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}/saml2/idp/metadata.php", self.0.url)
    }

    /// What an administrator would copy from it.
    pub async fn metadata(&self) -> String {
        text_of(&self.metadata_url()).await
    }

    /// Where someone who is signed in there signs out, there and everywhere; he ends at `return_to`.
    #[must_use]
    pub fn logout_url(&self, return_to: &str) -> String {
        format!("{}/saml2/idp/SingleLogoutService.php?ReturnTo={return_to}", self.0.url)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.0.folder.0.join("log")).unwrap_or_default()
    }
}

async fn make_key(ours: &Path, folder: &Folder) {
    let script = ours.join("make-key.php").display().to_string();
    let (code, said) = run_to_end("php", &[&script, &folder.0.display().to_string()], &[]).await;
    assert_eq!(code, Some(0), "{said}");
}

fn write_service_providers(folder: &Folder, known: &Value) {
    std::fs::write(folder.0.join("service-providers.json"), known.to_string()).expect("a file");
}
