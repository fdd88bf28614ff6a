//! What `./dev test` tells the tests.

use std::path::{Path, PathBuf};

/// The value of a variable that `./dev test` sets. Without it a test fails: one that is skipped proves nothing.
///
/// # Panics
/// If it is not set.
#[must_use]
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own: their environment is made by ./dev test"
)]
pub fn required(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!(
            "{name} is not set: run the tests with `./dev test`, which starts what they need and says where it is."
        ),
    }
}

/// A path in the repository.
#[must_use]
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").join(path)
}
