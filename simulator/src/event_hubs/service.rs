//! What all connections share: the hubs, the faults, the record, and a bell for news.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::amqp::Failure;
use super::faults::{At, Faults, HubFault};
use super::hubs::Namespace;
use super::record::{Connection, Record};
use super::rights::Policy;
use super::transport::Input;
use crate::chance::mix;
use crate::model::World;
use crate::time::Time;

/// The shared state. No two of its locks are held at once.
pub(crate) struct Service {
    world: Arc<Mutex<World>>,
    namespace: Mutex<Namespace>,
    faults: Mutex<Faults>,
    record: Mutex<Record>,
    changed: Condvar,
    policies: Mutex<Vec<Policy>>,
    bells: Mutex<Vec<Weak<Bell>>>,
    /// Whether a receiver without the role is left without an answer; otherwise it is refused.
    pub(crate) silent: AtomicBool,
    /// The status of a token that is accepted.
    pub(crate) accepted: AtomicI32,
    /// Raised to make every connection drop that is open.
    pub(crate) dropped: AtomicU64,
    readers: AtomicU64,
}

/// Wakes a connection's thread.
pub(crate) struct Bell {
    rung: AtomicBool,
    input: SyncSender<Input>,
}

impl Bell {
    /// A bell that puts [`Input::News`] into a connection's queue.
    pub(crate) fn new(input: SyncSender<Input>) -> Self {
        Bell { rung: AtomicBool::new(false), input }
    }

    /// Lets the bell ring again; to be called before looking what is new.
    pub(crate) fn reset(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }

    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // A full queue has something in it that makes the thread look as well.
            let _ = self.input.try_send(Input::News);
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    pub(crate) fn new(world: Arc<Mutex<World>>, policies: Vec<Policy>) -> Self {
        Service {
            world,
            namespace: Mutex::default(),
            faults: Mutex::default(),
            record: Mutex::default(),
            changed: Condvar::new(),
            policies: Mutex::new(policies),
            bells: Mutex::default(),
            silent: AtomicBool::new(true),
            accepted: AtomicI32::new(202),
            dropped: AtomicU64::new(0),
            readers: AtomicU64::new(0),
        }
    }

    /// The services' clock.
    pub(crate) fn now(&self) -> Time {
        crate::simulator::clock(&held(&self.world))
    }

    pub(crate) fn world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&held(&self.world))
    }

    #[cfg(test)]
    pub(crate) fn change_world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut held(&self.world))
    }

    pub(crate) fn namespace<T>(&self, look: impl FnOnce(&mut Namespace) -> T) -> T {
        look(&mut held(&self.namespace))
    }

    pub(crate) fn policies(&self) -> MutexGuard<'_, Vec<Policy>> {
        held(&self.policies)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        held(&self.faults)
    }

    pub(crate) fn strike(&self, at: At, partition: Option<usize>) -> Option<HubFault> {
        held(&self.faults).strike(at, partition)
    }

    /// Looks at the record, or adds to it; whoever waits for it looks again.
    pub(crate) fn record<T>(&self, look: impl FnOnce(&mut Record) -> T) -> T {
        let found = look(&mut held(&self.record));
        self.changed.notify_all();
        found
    }

    pub(crate) fn recorded(&self) -> Record {
        held(&self.record).clone()
    }

    /// Waits until the record is as wanted; false when it is not within that time.
    pub(crate) fn wait(&self, longest: Duration, wanted: impl Fn(&Record) -> bool) -> bool {
        let end = Instant::now() + longest;
        let mut record = held(&self.record);
        while !wanted(&record) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            record = self.changed.wait_timeout(record, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The number of a new connection.
    pub(crate) fn connected(&self, connection: Connection) -> usize {
        self.record(|record| {
            record.connections.push(connection);
            record.connections.len() - 1
        })
    }

    /// A number no other reader has.
    pub(crate) fn reader(&self) -> u64 {
        self.readers.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn hang(&self, bell: &Arc<Bell>) {
        let mut bells = held(&self.bells);
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(bell));
    }

    /// Tells all connections that there is something to look at.
    pub(crate) fn ring(&self) {
        held(&self.bells).iter().filter_map(Weak::upgrade).for_each(|bell| bell.ring());
    }

    /// An error with what the service adds to its texts, so that nobody compares them whole.
    pub(crate) fn tracked(&self, failure: &Failure, about: &str, now: Time) -> Failure {
        let id = mix(now.0 as u64);
        Failure {
            condition: failure.condition.clone(),
            description: format!(
                "{} TrackingId:{id:016x}{:016x}_G{}_B{}, SystemTracker:{about}, Timestamp:{}",
                failure.description,
                mix(id),
                id % 60,
                id % 30,
                Time::from_unix(now.unix()).to_string().trim_end_matches('Z'),
            ),
        }
    }
}
