//! `feed = event_hub`.
pub mod files;
pub mod position;
