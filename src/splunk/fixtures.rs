//! Splunk's own documents in the shared folder beside the repository, read in place by tests.

#![allow(clippy::print_stderr)]

use std::path::PathBuf;

/// A file of `fixtures/modinput`. `None`, with the reason, when the folder is not there; where `CI` is set that fails.
pub(super) fn modinput(path: &str) -> Option<Vec<u8>> {
    let shared = std::env::var_os("TA_DEFENDER_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let file = shared.join("fixtures/modinput").join(path);
    match std::fs::read(&file) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{}: {error}", file.display());
            eprintln!("skipped: {}: {error}", file.display());
            None
        }
    }
}
