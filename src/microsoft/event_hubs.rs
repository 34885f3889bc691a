//! Azure Event Hubs over AMQP 1.0: a namespace is connected to, tokens are put, hubs and partitions are described, and links
//! bring the events of a partition.
//!
//! The service's own client for Rust begins again at its first filter after a reconnection, so this is built on the AMQP
//! library below it; what a link begins with is the caller's to say. Facts of the protocol are from Microsoft's "AMQP 1.0 in
//! Azure Service Bus and Event Hubs protocol guide" and "AMQP request/response-based operations".

mod fault;
mod guard;
mod link;
mod message;
mod namespace;
mod node;
mod print;
mod route;
mod shared_access;
mod wire;

pub use fault::{Fault, What};
pub use fe2o3_amqp::session::SessionHandle;
pub use link::{Filter, Link, Message, Place};
pub use message::{Piece, body};
pub use namespace::{Cbs, FRAME, HubFacts, Namespace, PartitionFacts, Token};
pub use route::Route;
pub use shared_access::{ConnectionString, ConnectionStringError};
