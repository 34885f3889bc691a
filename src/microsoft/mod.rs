//! Knows Microsoft: its clouds, tokens, requests, list answers, refusals and the spelling of its values.
//! Knows nothing of Splunk, keeps no position, and never waits: when to ask again is the caller's to decide.

pub mod answer;
pub mod api_error;
pub mod batch;
pub mod certificate;
pub mod change;
pub mod claims;
pub mod client;
pub mod cloud;
mod entra_errors;
#[cfg(feature = "streaming")]
pub mod event_hubs;
mod guid;
pub mod object;
pub mod page;
pub mod query;
pub mod resource;
#[cfg(test)]
pub(crate) mod stand_in;
#[cfg(feature = "streaming")]
pub mod storage;
pub mod token;
pub mod token_answer;
pub mod token_error;
pub mod update;
mod user;
pub mod values;
mod x509;
