//! The Defender Add-on for Splunk: Microsoft Defender incidents and alerts into Splunk, status changes back.
//!
//! **In**: `main` → `mode` → `stream` (or `validate`): `splunk::definition` → `input`, `account` → `collect`, which asks
//! `microsoft::client` what `cursor` wants asked, reads rows with `microsoft::page` as they come, lets the `feeds` turn them
//! into events, writes them with `splunk::event`, and only at the answer's end saves the `checkpoint`.
//!
//! **Back**: `main` → `mode` → `respond`: `splunk::alert` → `account` → `microsoft::update` → one result per row.
//!
//! **Test connection**: `main` → `mode` → `rest`: `splunk::persistent` → `account` → `microsoft::client`, against what
//! `permissions` says the feeds and actions need; and for inputs that stream, the trials of `validate`.
//!
//! `splunk` knows Splunk and nothing of Microsoft, `microsoft` knows Microsoft and nothing of Splunk; they meet in
//! `feeds`, `collect`, `respond` and `rest`.

pub mod account;
#[cfg(feature = "streaming")]
pub mod blobs;
pub mod checkpoint;
pub mod collect;
pub mod cursor;
pub mod error;
#[cfg(feature = "streaming")]
pub mod event_hub;
pub mod feeds;
pub mod files;
pub mod http;
pub mod input;
pub mod json;
pub mod late;
pub mod limits;
pub mod lock;
pub mod masking;
pub mod microsoft;
pub mod mode;
pub mod pace;
pub mod pem;
pub mod permissions;
mod planted;
pub mod respond;
pub mod rest;
pub mod retry;
pub mod secret;
#[cfg(test)]
mod simulation;
pub mod splunk;
pub mod stream;
pub mod time;
pub mod validate;
pub mod version;

/// What `--version` prints: version, target, enabled features.
pub const VERSION: &str = concat!(
    "defender ",
    env!("CARGO_PKG_VERSION"),
    " ",
    env!("TARGET"),
    " features: incidents alerts actions",
    env!("STREAMING")
);
