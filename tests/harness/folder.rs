//! Folders for temporary files.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "tenantry-test-";

/// A folder of its own, deleted with this value.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(what: &str) -> Self {
        static SWEPT: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        SWEPT.call_once(delete_what_earlier_runs_left);
        let name = format!("{PREFIX}{}-{what}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Those that were killed: nothing of theirs was dropped.
fn delete_what_earlier_runs_left() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(is_over) {
            // It may be another user's.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_over(pid: u32) -> bool {
    let mut ps = Command::new("ps");
    ps.args(["-p", &pid.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    ps.status().is_ok_and(|status| status.code() == Some(1))
}
