//! Hashing: argon2id, on threads of its own, as many as there are processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// How much more willingly than others these threads let go of a processor (`nice`): a hash takes some ten milliseconds, and
/// whoever asks for anything else would wait for it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

type Work = Box<dyn FnOnce() + Send>;

/// Hashes and verifies on threads of its own, as many at once as there are processors: a flood of sign-ins neither stalls
/// other requests nor eats the memory (19 MiB each). Clones share the threads, which end with the last of them.
#[derive(Clone, Debug)]
pub struct Hasher {
    queue: Sender<Work>,
}

impl Default for Hasher {
    fn default() -> Self {
        // Or whoever asks first for someone who isn't there would wait for it.
        LazyLock::force(&NOBODYS_HASH);
        let (queue, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let waiting = Arc::clone(&waiting);
            let started = thread::Builder::new().name("hashing".to_owned()).spawn(move || work_off(&waiting));
            if let Err(error) = started {
                tracing::error!(%error, "a thread for hashing could not be started");
            }
        }
        Self { queue }
    }
}

/// Does what waits, one after the other, until nobody can ask any more.
fn work_off(waiting: &Mutex<Receiver<Work>>) {
    // Of this thread alone, where the system has a priority of each; elsewhere it would be the process'.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(work) = next() {
        // Whoever asked sees it, for he gets no answer.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
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

impl Hasher {
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let internal = |e: &dyn std::fmt::Display| Error::Internal(format!("hashing: {e}"));
        let (answer, answered) = oneshot::channel();
        let work = move || {
            // For a caller who has hung up meanwhile it is not begun.
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
        };
        self.queue.send(Box::new(work)).map_err(|e| internal(&e))?;
        answered.await.map_err(|e| internal(&e))
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
            let same = PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2().verify_password(password.expose_secret().as_bytes(), &hash).is_ok());
            known && same
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
}
