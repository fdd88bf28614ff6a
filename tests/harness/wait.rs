//! Waiting without sleeping blindly.

use std::time::{Duration, Instant};

/// Looks again and again, 30 s at most, until there is something.
///
/// # Panics
/// If there is nothing by then; `what` says what was waited for.
#[track_caller]
pub fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl FnMut() -> F) -> impl Future<Output = T> {
    eventually_within(Duration::from_secs(30), what, look)
}

/// The same with another deadline.
#[track_caller]
pub fn eventually_within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let (from, what) = (std::panic::Location::caller(), what.to_owned());
    async move {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{from}: waited {patience:?} in vain for {what}");
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
}
