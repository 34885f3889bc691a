//! One link's work: messages of a partition come as far as there is space for them, and are handed on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::counters::Board;
use super::credit::{Credit, Grant};
use super::deliver::Parcel;
use super::position::{Arrival, Place, Position};
use crate::input::EventHubInput;
use crate::microsoft::event_hubs::{self as service, Fault, Filter, Link, SessionHandle};

/// Bytes of messages that may wait to be written.
pub(super) const SPACE: usize = 4 << 20;
/// How long room for a large event is kept while it does not come.
const HOLD: Duration = Duration::from_secs(10);
/// The owner level that is held.
const OWNER: i64 = 1;
/// The level to ask with whether somebody holds it.
const VISITOR: i64 = 0;

/// A link that ended.
pub(super) struct Ended {
    pub(super) partition: Arc<str>,
    pub(super) fault: Fault,
}

/// One link's work.
pub(super) struct Reading {
    pub(super) input: Arc<EventHubInput>,
    pub(super) partition: Arc<str>,
    pub(super) position: Arc<Mutex<Position>>,
    pub(super) session: SessionHandle<()>,
    pub(super) frames: u32,
    /// Messages waited there when the link was made.
    pub(super) arrears: bool,
    pub(super) credit: Credit,
    pub(super) owned: Arc<AtomicBool>,
    pub(super) attached: Arc<AtomicBool>,
    /// Bytes of messages that may wait to be written.
    pub(super) space: Arc<Semaphore>,
    /// Bytes of large events that may be under way, of all links.
    pub(super) ahead: Arc<Semaphore>,
    pub(super) parcels: Sender<Parcel>,
    pub(super) board: Board,
}

impl Reading {
    /// Reads until the link ends.
    pub(super) async fn run(mut self) -> Ended {
        let fault = match self.read().await {
            Err(fault) => fault,
            Ok(never) => match never {},
        };
        Ended { partition: self.partition, fault }
    }

    async fn read(&mut self) -> Result<std::convert::Infallible, Fault> {
        let input = Arc::clone(&self.input);
        let (hub, group) = (input.hub.as_str(), input.consumer_group.as_str());
        let partition = Arc::clone(&self.partition);
        let place = service::Place { hub, group, partition: &partition };
        let filter = filter(lock(&self.position).place());
        if !self.owned.load(Ordering::Relaxed) {
            Link::attach(&mut self.session, self.frames, &place, filter, Some(VISITOR)).await?.knock().await?;
        }
        let mut link = Link::attach(&mut self.session, self.frames, &place, filter, Some(OWNER)).await?;
        self.owned.store(true, Ordering::Relaxed);
        self.attached.store(true, Ordering::Relaxed);
        let mut large = None;
        loop {
            if let Some(grant) = self.credit.due() {
                // What this one had is for the next in line.
                drop(large.take());
                large = self.room_for(grant).await;
                link.grant(grant.credit).await?;
            }
            let next = match &large {
                None => link.next().await,
                Some(_) => hold_while(&mut large, link.next()).await,
            };
            let message = match next {
                Ok(message) => message,
                Err(Some(fault)) => return Err(fault),
                Err(None) => {
                    self.leave_out();
                    self.credit.took(0);
                    continue;
                }
            };
            self.credit.took(message.len());
            self.hand_on(message).await;
        }
    }

    /// Waits until there is room for an event that is larger than this link's share; where one is sure to come, since a link
    /// that waits for news would keep the room from others.
    async fn room_for(&self, grant: Grant) -> Option<OwnedSemaphorePermit> {
        let newest = self.board.with(&self.partition, |counters| counters.newest);
        let behind = match lock(&self.position).place() {
            Place::After(sequence) => newest.is_some_and(|newest| newest > sequence),
            Place::Since(_) => self.arrears,
        };
        match grant.large {
            // Never closed.
            Some(bytes) if behind => Arc::clone(&self.ahead).acquire_many_owned(bytes).await.ok(),
            _ => None,
        }
    }

    /// Counts a message that has no number.
    fn leave_out(&self) {
        let (place, is_new) = {
            let mut position = lock(&self.position);
            (position.place(), position.leave_out())
        };
        if !is_new {
            return;
        }
        let said = self.board.with(&self.partition, |counters| {
            counters.missing += 1;
            std::mem::replace(&mut counters.numberless_said, true)
        });
        if said {
            return;
        }
        let behind = match place {
            Place::After(sequence) => format!("after message {sequence}"),
            Place::Since(at) => format!("after {at}, before any other"),
        };
        log::warn!(
            "{}: partition {}: a message has no sequence number and is left out; it came {behind}",
            self.input.stream,
            self.partition
        );
    }

    /// Hands a message to the writing half once there is space. Position and parcel change together: nothing waits between.
    async fn hand_on(&mut self, message: service::Message) {
        let bytes = u32::try_from(message.len().clamp(1, SPACE)).unwrap_or(1);
        // Never closed.
        let Ok(space) = Arc::clone(&self.space).acquire_many_owned(bytes).await else { return };
        let arrival = lock(&self.position).take(message.sequence);
        match arrival {
            Arrival::Repeat => self.board.with(&self.partition, |counters| counters.repeats += 1),
            Arrival::New { missing } => {
                let first = missing > 0
                    && !self.board.with(&self.partition, |counters| {
                        counters.missing += missing;
                        std::mem::replace(&mut counters.gap_said, true)
                    });
                // Others before the next line are counted in it.
                if first {
                    log::warn!(
                        "{}: partition {}: {missing} messages before message {} are missing: the hub deleted them, or did not \
                         send them",
                        self.input.stream,
                        self.partition,
                        message.sequence
                    );
                }
                // Where nobody writes any more, the program is ending.
                let _ = self.parcels.send(Parcel::new(Arc::clone(&self.partition), message, space));
            }
        }
    }
}

/// Waits for an event with its room kept, but not for ever: it may have been deleted meanwhile.
async fn hold_while<T>(room: &mut Option<OwnedSemaphorePermit>, event: impl Future<Output = T>) -> T {
    let mut event = std::pin::pin!(event);
    match timeout(HOLD, event.as_mut()).await {
        Ok(event) => event,
        Err(_) => {
            drop(room.take());
            event.await
        }
    }
}

/// Looks at what links share, or changes it.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn filter(place: Place) -> Filter {
    match place {
        Place::After(sequence) => Filter::After(sequence),
        Place::Since(at) => Filter::Since(at),
    }
}
