//! The folder of real documents beside the repository.

use std::path::{Path, PathBuf};

/// The path of a file or folder among the shared ones. Without the folder a test says so and passes; CI has to have it.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TA_DEFENDER_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    if root.is_dir() {
        return Some(root.join(path));
    }
    let reason = format!("skipped: needs {path} of {}, which is absent", root.display());
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    say(&reason);
    None
}

#[allow(clippy::print_stderr, reason = "the test runner shows it beside the test")]
fn say(text: &str) {
    eprintln!("{text}");
}
