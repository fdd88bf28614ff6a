//! A Postgres of one's own: to be killed, or to be measured.

use std::os::unix::fs::chown;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::process::{Child, Command};
use url::Url;

use crate::folder::Folder;
use crate::processes::{command, free_port, run_to_end, signal};
use crate::required;
use crate::wait::eventually_within;

/// A commit must outlive the process, not the machine: without `fsync`, but with `synchronous_commit`.
const LIKE_A_PROCESS: &[&str] = &["fsync=off"];
/// A commit must be on the disk, as it comes out of the box; and statements can be counted.
const LIKE_PRODUCTION: &[&str] = &["shared_preload_libraries=pg_stat_statements"];

/// A server of one's own: its data outlive its processes, as they would on a disk.
#[derive(Debug)]
pub struct PostgresServer {
    port: u16,
    child: Option<Child>,
    /// Who it runs as; root may not.
    user: Option<(u32, u32)>,
    settings: &'static [&'static str],
    folder: Folder,
}

impl PostgresServer {
    /// Starts one, empty.
    pub async fn start() -> Self {
        Self::start_with(LIKE_A_PROCESS).await
    }

    /// The same with every commit on the disk before it is acknowledged, and with `pg_stat_statements` loaded: to be measured.
    pub async fn start_durable() -> Self {
        Self::start_with(LIKE_PRODUCTION).await
    }

    async fn start_with(settings: &'static [&'static str]) -> Self {
        let (user, folder) = (other_user().await, Folder::new("postgres"));
        let mut server = Self { port: free_port(), child: None, user, settings, folder };
        if let Some((user, group)) = server.user {
            chown(&server.folder.0, Some(user), Some(group)).expect("root may give a folder away");
        }
        let mut initdb = server.program("initdb");
        initdb.args(["--username=tenantry", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        let made = initdb.arg(server.data()).status().await.expect("initdb starts");
        assert!(made.success(), "initdb: {made}");
        server.restart().await;
        server
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.0.join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = command(Path::new(&required("TEST_POSTGRES_BIN")).join(name), None);
        command.current_dir("/");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// How its superuser connects.
    #[must_use]
    pub fn url(&self) -> Url {
        Url::parse(&format!("postgres://tenantry@127.0.0.1:{}/postgres", self.port)).expect("a URL")
    }

    /// `kill -9` of the server's first process; the others notice.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it can be killed");
        }
    }

    /// Ends it in good order, whoever is connected. One that is killed leaves its shared memory to the machine, so this is
    /// how it should end in the end.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(&child, "INT").await;
            let ended = tokio::time::timeout(Duration::from_secs(60), child.wait()).await;
            let status = ended.expect("it ends within a minute").expect("it has a status");
            assert!(status.success(), "Postgres did not end well: {status}");
        }
    }

    /// Starts it on the data that are there, and waits until it answers.
    pub async fn restart(&mut self) {
        self.kill().await;
        let options: PgConnectOptions = self.url().as_str().parse().expect("our own URL");
        let port = self.port.to_string();
        let always = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=100"];
        let settings = [&always, self.settings].concat();
        let deadline = Duration::from_secs(60);
        let child = std::cell::RefCell::new(None::<Child>);
        eventually_within(deadline, "Postgres to answer", || async {
            // It refuses to start until the last process of the one that was killed is gone.
            let runs = child.borrow_mut().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
            if !runs {
                let mut postgres = self.program("postgres");
                postgres.args(["-p", &port]).arg("-D").arg(self.data());
                postgres.args(settings.iter().flat_map(|setting| ["-c", setting]));
                *child.borrow_mut() = Some(postgres.spawn().expect("postgres starts"));
            }
            options.connect().await.ok()?.close().await.ok()
        })
        .await;
        self.child = child.into_inner();
    }
}

/// Whom a server of root's runs as.
async fn other_user() -> Option<(u32, u32)> {
    let id = async |flag: &str, user: &[&str]| {
        let arguments: Vec<&str> = [flag].iter().chain(user).copied().collect();
        let (code, said) = run_to_end("id", &arguments, &[]).await;
        (code == Some(0)).then(|| said.trim().parse::<u32>().ok()).flatten()
    };
    if id("-u", &[]).await != Some(0) {
        return None;
    }
    for user in ["postgres", "nobody"] {
        if let Some(uid) = id("-u", &[user]).await {
            return Some((uid, id("-g", &[user]).await?));
        }
    }
    None
}
