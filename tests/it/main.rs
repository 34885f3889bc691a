//! The program itself, driven as splunkd drives it: XML on standard input, events on standard output, log lines on
//! standard error, an exit code; Microsoft and splunkd are the simulator. And the app's files, compared with the program.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected stops there")]

mod catalogue;
mod content;
mod definition;
mod echo;
#[cfg(feature = "streaming")]
mod event_hub;
mod faults;
mod kill;
mod late;
mod masking;
mod preload;
mod respond;
mod rest;
mod resume;
mod rooms;
mod samples;
mod scheme;
mod search;
mod secrets;
mod splunkd;
#[cfg(feature = "streaming")]
mod storage;
mod stream;
mod support;
mod table;
mod validate;
mod way;
#[cfg(not(feature = "streaming"))]
mod without_streaming;
