//! What can go wrong with a hub, and when.

use std::time::Duration;

use super::amqp::Failure;
use crate::faults::When;

/// Where on a connection's way a fault may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A connection was accepted.
    Connect,
    /// A token is put.
    Token,
    /// `$management` is asked.
    Management,
    /// A receiver attaches to a partition.
    Attach,
    /// A frame with (a part of) an event is about to be sent.
    Transfer,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubFault {
    /// The connection is gone: at once, or behind the frame when that is a transfer.
    Drop,
    /// The connection is gone after half of the transfer's octets; elsewhere the same as `Drop`.
    Cut,
    /// An error: the status of an answer, or the reason why a link detaches.
    Refuse(Failure),
    /// The connection is closed in the orderly way, with an error.
    Close(Failure),
    /// No answer, ever; a link that is attached gets nothing more. The connection goes on.
    Silence,
    /// Nothing at all comes on the connection any more, heartbeats included, and it stays open.
    Stall,
    /// The answer or the event comes later; the whole connection waits meanwhile.
    Late(Duration),
    /// A frame with this body comes first, whatever it is; then all goes on.
    Frame(Vec<u8>),
    /// An answer that says that all is well and has this for its value, encoded. Elsewhere than with tokens and `$management` the
    /// same as `Silence`.
    Answer(Vec<u8>),
}

/// A fault that waits for its moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    at: At,
    when: When,
    what: HubFault,
    partition: Option<usize>,
    seen: u64,
}

impl Fault {
    /// A fault.
    pub fn new(at: At, when: When, what: HubFault) -> Self {
        Fault { at, when, what, partition: None, seen: 0 }
    }

    /// The next time only.
    pub fn once(at: At, what: HubFault) -> Self {
        Self::new(at, When::Once, what)
    }

    /// Only on this partition, and only what happens there counts. For [`At::Attach`] and [`At::Transfer`].
    #[must_use]
    pub fn on_partition(mut self, partition: usize) -> Self {
        self.partition = Some(partition);
        self
    }
}

/// The faults that are set. Each counts what it could happen to; the first that strikes happens, alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    set: Vec<Fault>,
    pub(crate) happened: Vec<(At, HubFault)>,
}

impl Faults {
    pub(crate) fn push(&mut self, fault: Fault) {
        self.set.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.set.clear();
    }

    pub(crate) fn strike(&mut self, at: At, partition: Option<usize>) -> Option<HubFault> {
        let mut struck = None;
        for fault in &mut self.set {
            if fault.at == at && (fault.partition.is_none() || fault.partition == partition) {
                fault.seen += 1;
                if fault.when.strikes(fault.seen) {
                    struck = Some(fault.what.clone());
                    break;
                }
            }
        }
        let what = struck?;
        self.set.retain(|fault| !fault.when.spent(fault.seen));
        self.happened.push((at, what.clone()));
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_on_its_partition() {
        let mut faults = Faults::default();
        faults.push(Fault::new(At::Transfer, When::Nth(2), HubFault::Drop).on_partition(1));
        let mut strike = |at, partition| faults.strike(at, Some(partition)).is_some();
        let struck = [(At::Transfer, 1), (At::Transfer, 0), (At::Attach, 1), (At::Transfer, 1), (At::Transfer, 1)]
            .map(|(at, partition)| strike(at, partition));
        assert_eq!(struck, [false, false, false, true, false]);
        assert_eq!(faults.happened, [(At::Transfer, HubFault::Drop)]);
    }
}
