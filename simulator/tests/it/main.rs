//! The stand-ins against the documents: every endpoint in-process, the shapes against Microsoft's samples, and the sockets.

#![allow(clippy::unwrap_used, missing_docs)]

mod batch;
mod defender;
mod documents;
mod entra;
mod event_hubs;
mod graph;
mod hazards;
mod program;
mod sockets;
mod splunkd;
mod support;
