//! Hashing: argon2id, on threads of its own, as many as there are processors.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// How much more willingly than others these threads let go of a processor (`nice`): a hash takes some ten milliseconds, and
/// whoever asks for anything else would wait for it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;
/// How long a thread that has nothing to do stays, with its memory.
const REST: Duration = Duration::from_secs(1);

thread_local! {
    /// What this thread works hashes out in. To get it anew for each takes a twentieth as long as the hash.
    static MEMORY: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// Hashes and verifies on threads of its own, as many at once as there are processors: a flood of sign-ins neither stalls
/// other requests nor eats the memory (19 MiB each, given back soon after the last one). Clones share the threads.
#[derive(Clone, Debug)]
pub struct Hasher {
    threads: Arc<Threads>,
}

/// A runtime for the sake of its blocking threads. There is none if the system refused it.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        // Not by itself, for that would wait for a hash; and a runtime may not wait in another.
        if let Some(threads) = self.0.take() {
            threads.shutdown_background();
        }
    }
}

impl Default for Hasher {
    fn default() -> Self {
        // Or whoever asks first for someone who isn't there would wait for it.
        LazyLock::force(&NOBODYS_HASH);
        let mut threads = Builder::new_current_thread();
        threads.max_blocking_threads(thread::available_parallelism().map_or(1, usize::from)).thread_keep_alive(REST);
        threads.thread_name("hashing").on_thread_start(yield_to_others).on_thread_stop(give_back);
        let threads = threads.build().inspect_err(|error| tracing::error!(%error, "there are no threads for hashing"));
        Self { threads: Arc::new(Threads(threads.ok())) }
    }
}

/// For this thread alone, where the system has a priority of each; elsewhere it would be the process'.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Frees what this thread worked in. When it ends, mimalloc returns to the system what has been free for a tenth of a second.
fn give_back() {
    drop(MEMORY.take());
    thread::sleep(Duration::from_millis(200));
}

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// What a password is compared with where there is none to compare: so that it takes as long.
static NOBODYS_HASH: LazyLock<String> = LazyLock::new(|| {
    argon2().hash_password(b"nobody has this password").map(|hash| hash.to_string()).unwrap_or_default()
});

/// Unicode has several spellings of one text; keyboards differ in which they send.
pub(super) fn normal(password: &SecretString) -> SecretString {
    password.expose_secret().nfc().collect::<String>().into()
}

/// Whether a hash is of these bytes; none if it is no hash that is known. As `Argon2::verify_password`, which would get memory
/// anew each time.
fn is_hash_of(hash: &str, password: &[u8]) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    let (salt, expected) = (hash.salt?, hash.hash?);
    let (params, version) =
        (Params::try_from(&hash).ok()?, hash.version.map_or(Ok(Version::default()), Version::try_from));
    let argon2 = Argon2::new(Algorithm::try_from(hash.algorithm.as_str()).ok()?, version.ok()?, params);
    let mut output = vec![0; expected.len()];
    MEMORY.with_borrow_mut(|memory| {
        memory.resize(argon2.params().block_count(), Block::default());
        argon2.hash_password_into_with_memory(password, &salt, &mut output, memory).ok()
    })?;
    // It takes as long wherever they differ.
    Some(Output::new(&output).ok()? == expected)
}

impl Hasher {
    /// For a caller who hangs up before it is begun, it is not.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let internal = |detail: &dyn std::fmt::Display| Error::Internal(format!("hashing: {detail}"));
        let threads = self.threads.0.as_ref().ok_or_else(|| internal(&"there are no threads for it"))?;
        let mut begun = JoinSet::new();
        begun.spawn_blocking_on(work, threads.handle());
        let done = begun.join_next().await.ok_or_else(|| internal(&"it was not begun"))?;
        done.map_err(|e| internal(&e))
    }

    /// A hash in PHC form, with a random salt.
    pub async fn hash(&self, password: &SecretString) -> Result<String> {
        let password = normal(password);
        self.run(move || argon2().hash_password(password.expose_secret().as_bytes()).map(|hash| hash.to_string()))
            .await?
            .map_err(|e| Error::Internal(format!("hashing: {e}")))
    }

    /// Whether the password is the one of this hash. Without a hash it is not, and takes as long.
    pub async fn verify(&self, password: &SecretString, hash: Option<String>) -> Result<bool> {
        let password = normal(password);
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODYS_HASH.clone());
            let same = is_hash_of(&hash, password.expose_secret().as_bytes());
            known && same.unwrap_or_default()
        })
        .await
    }

    /// Whether a hash was made with other parameters than today's.
    #[must_use]
    pub fn is_outdated(hash: &str) -> bool {
        let today = Params::default();
        let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        PasswordHash::new(hash)
            .ok()
            .and_then(|hash| Params::try_from(&hash).ok())
            .is_none_or(|params| costs(&params) != costs(&today))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_text_in_two_unicode_spellings_is_one_password() {
        let hasher = Hasher::default();
        let hash = hasher.hash(&"caf\u{e9} au lait".to_owned().into()).await.expect("hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(!Hasher::is_outdated(&hash));
        assert!(hasher.verify(&"cafe\u{301} au lait".to_owned().into(), Some(hash.clone())).await.expect("verify"));
        assert!(!hasher.verify(&"cafe au lait".to_owned().into(), Some(hash)).await.expect("verify"));
        assert!(!hasher.verify(&"nobody has this password".to_owned().into(), None).await.expect("verify"));
        assert!(Hasher::is_outdated("$argon2id$v=19$m=4096,t=2,p=1$c29tZXNhbHQ$aGFzaA"));
    }

    /// Of other parameters, by another implementation: the test vector of RFC 9106's reference code for argon2id.
    #[tokio::test]
    async fn hashes_made_elsewhere_are_verified() {
        let hasher = Hasher::default();
        for hash in [
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
            "$argon2id$v=19$m=65536,t=2,p=1$ZGlmZnNhbHQ$vfMrBczELrFdWP0ZsfhWsRPaHppYdP3MVEMIVlqoFBw",
        ] {
            for (typed, is_right) in [("password", true), ("Password", false)] {
                let same = hasher.verify(&typed.to_owned().into(), Some(hash.to_owned())).await.expect("verify");
                assert_eq!(same, is_right, "{hash} {typed}");
            }
        }
        for broken in [
            "",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ",
            "$2b$10$abc",
            "$argon2id$v=19$m=1,t=0,p=0$c29tZXNhbHQ$bQk8",
        ] {
            assert!(!hasher.verify(&"password".to_owned().into(), Some(broken.to_owned())).await.expect("verify"));
        }
    }
}
