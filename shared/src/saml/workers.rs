//! What takes time is done off the async threads: to verify, to decrypt, to sign.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::{Error, Refusal, Result};

/// How long one message may take. The gate before the libraries sees to it that none does.
const LONGEST: Duration = Duration::from_secs(10);
/// How long it waits for a place. Better a 503 now than a queue that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(3);

/// As many at once as there are processors: a flood of messages does not stall other requests.
#[derive(Clone, Debug)]
pub struct Workers {
    places: Arc<Semaphore>,
}

impl Default for Workers {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { places: Arc::new(Semaphore::new(processors)) }
    }
}

impl Workers {
    /// Does it, when there is a place. Nobody holds a connection to Postgres meanwhile: a flood of messages would keep all of them.
    ///
    /// Errors: [`Error::Busy`].
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let internal = |e: &dyn std::fmt::Display| Error::Internal(format!("a SAML message: {e}"));
        let place = timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| Error::Busy)?.map_err(|e| internal(&e))?;
        // The place goes with the work: a caller who hangs up does not make room for more while it still runs.
        let work = move || {
            let _place = place;
            work()
        };
        match timeout(LONGEST, tokio::task::spawn_blocking(work)).await {
            Ok(done) => done.map_err(|e| internal(&e)),
            Err(_) => {
                tracing::error!("a SAML message took longer than {LONGEST:?}");
                Err(Refusal::forbidden("sso_refused", "The message took too long to look at.").into())
            }
        }
    }
}
