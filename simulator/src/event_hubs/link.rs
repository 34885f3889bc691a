//! One end of a link: the service's.

use std::collections::VecDeque;
use std::sync::Arc;

use super::amqp::performative::Role;
use super::hubs::Place;
use super::record::Receiver;

/// A node that answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// `$cbs`, which takes tokens.
    Cbs,
    /// `$management`, which tells of hubs and partitions.
    Management,
}

impl Node {
    /// The node of an address; `$management` may stand behind a hub's name.
    pub(crate) fn of(address: &str) -> Option<Self> {
        match super::hubs::path(address).rsplit('/').next() {
            Some("$cbs") => Some(Node::Cbs),
            Some("$management") => Some(Node::Management),
            _ => None,
        }
    }
}

/// A link.
pub(crate) struct Link {
    pub(crate) name: String,
    /// Which end the client is.
    pub(crate) role: Role,
    pub(crate) delivery_count: u32,
    /// Deliveries that may still be sent, by whichever side sends.
    pub(crate) credit: u32,
    pub(crate) drain: bool,
    pub(crate) settled: bool,
    pub(crate) kind: Kind,
    pub(crate) sending: Option<Sending>,
}

/// What a link is for.
pub(crate) enum Kind {
    /// Requests to a node; what has come of one that is not whole yet, and its delivery.
    Requests { node: Node, incoming: Option<(u32, Vec<u8>)> },
    /// Answers of a node.
    Answers { node: Node, address: String, waiting: VecDeque<Arc<[u8]>> },
    /// A partition's events.
    Partition(Box<PartitionLink>),
    /// Left without an answer; whatever comes is ignored.
    Silent,
    /// Detached by the service; whatever comes until the client detaches is ignored.
    Gone,
}

/// A receiver of a partition.
pub(crate) struct PartitionLink {
    pub(crate) place: Place,
    /// The resource its tokens are checked for.
    pub(crate) resource: String,
    /// Its number among the readers.
    pub(crate) reader: u64,
    /// The hub it began with; one of the same name is another.
    pub(crate) generation: u64,
    /// The sequence number of the next event to send.
    pub(crate) next: i64,
    pub(crate) metrics: bool,
    /// A fault has it send nothing any more.
    pub(crate) mute: bool,
    pub(crate) record: Receiver,
    pub(crate) record_at: usize,
    /// The frames and the credit that the record knows of.
    pub(crate) told: (u64, u32),
}

/// A message that is on its way in frames.
pub(crate) struct Sending {
    pub(crate) delivery_id: u32,
    pub(crate) bytes: Arc<[u8]>,
    /// How much of it is sent.
    pub(crate) sent: usize,
    /// The event's sequence number.
    pub(crate) sequence: Option<i64>,
}

impl Link {
    pub(crate) fn partition(&mut self) -> Option<&mut PartitionLink> {
        match &mut self.kind {
            Kind::Partition(partition) => Some(partition),
            _ => None,
        }
    }
}
