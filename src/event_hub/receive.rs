//! The receiving half: one connection, one link for each partition, on a thread of its own.
//!
//! It decides where each link begins ([`Position`]), keeps the token fresh, notices new partitions, and connects again for as
//! long as it takes. It never waits for splunkd: a partition whose parcels find no space grants no credit, and the rest goes
//! on.

mod look;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, sleep_until, timeout};

use super::counters::Board;
use super::credit::{AHEAD, Credit, window};
use super::deliver::Parcel;
use super::error::EventHubError;
use super::files::Files;
use super::position::{Holding, Place, Position};
use super::reading::{Ended, Reading, SPACE, lock};
use super::tokens::{Current, Tokens};
use crate::input::EventHubInput;
use crate::microsoft::event_hubs::{FRAME, Fault, Namespace, PartitionFacts, Route, What};
use crate::pace::backoff;
use crate::splunk::stop::Stop;
use crate::time::Ticks;

/// Between two looks at the hub.
const HUB_LOOK: Duration = Duration::from_secs(60);
/// The most an answer about a partition may take while links wait for it.
const SOON: Duration = Duration::from_secs(10);
/// Between two looks at the wish to stop.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// A link or a connection that lived so long was a healthy one.
const HEALTHY: Duration = Duration::from_secs(60);
/// After so many looks at a link that brings nothing although messages wait, the connection is left.
const SILENT_LOOKS: u64 = 3;
/// How often, and how far apart, numbers that went back are looked at before they are believed.
const LOOKS: u32 = 3;
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Waiting for a partition that somebody else reads begins at this step of the back-off: 16 s, later a minute.
const PATIENT: u32 = 6;

/// The receiving half.
#[derive(Debug)]
pub(super) struct Receiving {
    input: Arc<EventHubInput>,
    route: Route,
    files: Arc<Files>,
    board: Board,
    parcels: Sender<Parcel>,
    space: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
    stop: Stop,
    partitions: BTreeMap<Arc<str>, Partition>,
    /// A link of this connection worked: its token gives the right to read.
    worked: bool,
    /// A right that had worked was taken back, as when a token ends early: the next connection begins with a fresh one.
    doubted: bool,
}

/// What is known of a partition that is read.
#[derive(Debug)]
struct Partition {
    position: Arc<Mutex<Position>>,
    /// This process held it with its last link. Otherwise the next one asks first whether somebody else is there.
    owned: Arc<AtomicBool>,
    /// The service answered its link.
    attached: Arc<AtomicBool>,
    attempts: u32,
    state: State,
    /// Where it stood at the last look.
    looked_at: Option<Place>,
    /// So many looks in a row nothing came from it although messages waited.
    silent: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The next link is due then.
    Waiting(Instant),
    /// There is a link since then, from there.
    Linked(Instant, Place),
}

impl Partition {
    /// Whether its link is one that brought something, or that lasts.
    fn works(&self) -> bool {
        self.lasts() || matches!(self.state, State::Linked(_, from) if lock(&self.position).place() != from)
    }

    /// Whether its link was answered, and not just now: one that is not is waited for as long.
    fn lasts(&self) -> bool {
        matches!(self.state, State::Linked(since, _) if since.elapsed() >= HEALTHY) && self.attached.load(Ordering::Relaxed)
    }
}

impl Receiving {
    /// Reads for an input; connects with [`Receiving::run`].
    pub(super) fn new(
        input: EventHubInput,
        route: Route,
        files: Arc<Files>,
        board: Board,
        parcels: Sender<Parcel>,
        stop: Stop,
    ) -> Self {
        Self {
            input: Arc::new(input),
            route,
            files,
            board,
            parcels,
            space: Arc::new(Semaphore::new(SPACE)),
            ahead: Arc::new(Semaphore::new(AHEAD)),
            stop,
            partitions: BTreeMap::new(),
            worked: false,
            doubted: false,
        }
    }

    /// Receives until a stop is requested.
    ///
    /// # Errors
    /// What a person has to mend. Everything else is tried again, for ever, and said each time.
    pub(super) async fn run(mut self, mut tokens: Tokens) -> Result<(), EventHubError> {
        let mut attempts = 0;
        while !self.stop.requested() {
            let begun = Instant::now();
            let error = match self.connected(&mut tokens).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_permanent() => return Err(error),
                Err(error) => error,
            };
            attempts = if begun.elapsed() >= HEALTHY { 1 } else { attempts + 1 };
            let wait = backoff(attempts, seed());
            let remedy = error.remedy().map_or_else(String::new, |remedy| format!("; {remedy}"));
            log::warn!("{}: {error}; connecting again in {:.1} s{remedy}", self.input.stream, wait.as_secs_f64());
            let until = Instant::now() + wait;
            while Instant::now() < until && !self.stop.requested() {
                sleep(STOP_LOOK.min(until - Instant::now())).await;
            }
        }
        Ok(())
    }

    /// One connection, from its beginning to its end. `Ok` after a stop.
    async fn connected(&mut self, tokens: &mut Tokens) -> Result<(), EventHubError> {
        let token = tokens.get(std::mem::take(&mut self.doubted)).await?;
        let input = Arc::clone(&self.input);
        let container = format!("TA_defender/{} {}", env!("CARGO_PKG_VERSION"), input.stream.name);
        let (mut namespace, mut cbs) = Namespace::open(&self.route, &input.namespace, &input.hub, &container).await?;
        let links = async {
            let current = Current::new(tokens.put(&mut cbs, token).await?);
            // Side by side: an answer that one of them waits for does not keep the other.
            tokio::select! {
                biased;
                error = tokens.keep(&mut cbs, &current, &input.stream) => Err(error),
                ended = self.live(&mut namespace, &current) => ended,
            }
        };
        let links = links.await.map_err(|error| match error {
            EventHubError::Fault(fault) => namespace.cause(fault).into(),
            other => other,
        });
        // Those that were read from are let go of at once.
        namespace.close().await;
        links
    }

    async fn live(&mut self, namespace: &mut Namespace, token: &Current) -> Result<(), EventHubError> {
        let hub = namespace.hub(&token.get()).await?;
        let begun = self.begun(namespace, &hub, token).await?;
        self.find_partitions(namespace, &hub, &begun, token).await?;
        for partition in self.partitions.values_mut() {
            partition.state = State::Waiting(Instant::now());
        }
        self.worked = false;

        let mut links = JoinSet::new();
        let (mut stop_look, mut hub_look) = (interval(STOP_LOOK), every(HUB_LOOK));
        stop_look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            self.link_what_is_due(namespace, token, &mut links).await?;
            let due = self.partitions.values().filter_map(|partition| match partition.state {
                State::Waiting(at) => Some(at),
                State::Linked(..) => None,
            });
            let next = due.min().unwrap_or_else(|| Instant::now() + HUB_LOOK);
            // In this order: neither looks nor partitions that fail keep the ended links waiting.
            tokio::select! {
                biased;
                _ = stop_look.tick() => {
                    if self.stop.requested() {
                        return Ok(());
                    }
                    if namespace.is_closed() {
                        // A link knows more, if there is one.
                        if let Some(Ok(ended)) = links.try_join_next() {
                            self.ended(namespace, ended)?;
                        }
                        return Err(Fault::new(What::Lost, &self.input.namespace, "the connection was closed").into());
                    }
                }
                Some(ended) = links.join_next() => match ended {
                    Ok(ended) => self.ended(namespace, ended)?,
                    // Which one it was is not said. In a release build the program has ended.
                    Err(error) => return Err(Fault::new(What::Lost, "a link", error.to_string()).into()),
                },
                _ = hub_look.tick() => match self.look(namespace, &begun, token).await {
                    // The links do without.
                    Err(EventHubError::Fault(fault)) if !namespace.is_closed() => {
                        let remedy = fault.remedy().map_or_else(String::new, |remedy| format!("; {remedy}"));
                        log::warn!(
                            "{}: how far it is behind, and whether there are new partitions, is not known: {fault}; asking again in \
                             a minute{remedy}",
                            self.input.stream
                        );
                    }
                    looked => {
                        if let Some(silence) = looked? {
                            return Err(silence.into());
                        }
                    }
                },
                () = sleep_until(next) => {}
            }
        }
    }

    /// Makes the links that are due. One that fails waits like one that ended, and whoever else waits comes before the next.
    async fn link_what_is_due(
        &mut self,
        namespace: &mut Namespace,
        token: &Current,
        links: &mut JoinSet<Ended>,
    ) -> Result<(), EventHubError> {
        let now = Instant::now();
        let due = |(id, partition): (&Arc<str>, &Partition)| match partition.state {
            State::Waiting(due) if due <= now => Some((due, Arc::clone(id))),
            _ => None,
        };
        // Who waits longest comes first, or those that fail would keep the others from ever being tried.
        let mut ids: Vec<_> = self.partitions.iter().filter_map(due).collect();
        ids.sort();
        for (_, id) in ids {
            match self.link(namespace, token, &id).await {
                Ok(Some(reading)) => {
                    links.spawn(reading.run());
                }
                Ok(None) => {}
                Err(EventHubError::Fault(fault)) => {
                    self.ended(namespace, Ended { partition: id, fault: fault.clone() })?;
                    let waits = |partition: &Partition| partition.attempts > 0 && matches!(partition.state, State::Waiting(_));
                    if fault.what == What::Silent && self.partitions.values().all(waits) {
                        // Nothing is lost with this connection, and another may do better.
                        return Err(fault.into());
                    }
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gets a link of a partition ready, from where its reading stands.
    async fn link(
        &mut self,
        namespace: &mut Namespace,
        token: &Current,
        id: &Arc<str>,
    ) -> Result<Option<Reading>, EventHubError> {
        let count = self.partitions.len();
        let Some(partition) = self.partitions.get_mut(id) else { return Ok(None) };
        let mut looks = LOOKS;
        let (facts, deleted) = loop {
            let facts = soon(id, namespace.partition(id, &token.get())).await?;
            looks -= 1;
            let compared = {
                let mut position = lock(&partition.position);
                position.number(holding(facts), facts.enqueued);
                position.compare(holding(facts))
            };
            match compared {
                Ok(deleted) => break (facts, deleted),
                // What describes a partition may lag behind what sends its events.
                Err(_) if looks > 0 => sleep(LOOK_AGAIN).await,
                Err(rewound) => {
                    return Err(EventHubError::Rewound {
                        hub: self.input.hub.clone(),
                        partition: id.to_string(),
                        read: rewound.read,
                        last: rewound.last,
                        file: self.files.name(),
                    });
                }
            }
        };
        if deleted > 0 {
            log::warn!(
                "{}: {deleted} messages of partition {id} were deleted before they were read: the hub keeps messages for less time \
                 than this input was not running or was behind; raise the hub's retention",
                self.input.stream
            );
        }
        self.board.with(id, |counters| {
            counters.missing += deleted;
            counters.newest = Some(facts.last);
        });
        let frames = window(count, FRAME);
        let session = soon(id, namespace.session(frames)).await?;
        self.board.with(id, |counters| counters.reattached += u64::from(partition.looked_at.is_some()));
        let place = lock(&partition.position).place();
        partition.state = State::Linked(Instant::now(), place);
        partition.attached = Arc::default();
        partition.looked_at = Some(place);
        Ok(Some(Reading {
            input: Arc::clone(&self.input),
            partition: Arc::clone(id),
            position: Arc::clone(&partition.position),
            session,
            frames,
            arrears: place.is_behind(holding(facts), facts.enqueued),
            credit: Credit::new(count),
            owned: Arc::clone(&partition.owned),
            attached: Arc::clone(&partition.attached),
            space: Arc::clone(&self.space),
            ahead: Arc::clone(&self.ahead),
            parcels: self.parcels.clone(),
            board: self.board.clone(),
        }))
    }

    /// Decides what follows the end of a link.
    fn ended(&mut self, namespace: &Namespace, Ended { partition: id, fault }: Ended) -> Result<(), EventHubError> {
        self.worked |= self.partitions.values().any(Partition::works);
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(()) };
        let healthy = partition.lasts();
        if fault.what == What::Unauthorized && self.worked {
            // The right is there, so the token ended: early, or while a machine slept.
            self.doubted = true;
            return Err(Fault { what: What::Lost, ..fault }.into());
        }
        if fault.is_permanent() || namespace.is_closed() {
            return Err(fault.into());
        }
        if healthy {
            partition.attempts = 0;
        }
        partition.attempts += 1;
        let taken = fault.what == What::Stolen;
        if taken {
            // Whoever reads it now must not lose it to a new attempt.
            partition.owned.store(false, Ordering::Relaxed);
        }
        let step = if taken { partition.attempts + PATIENT - 1 } else { partition.attempts };
        let wait = backoff(step, seed());
        partition.state = State::Waiting(Instant::now() + wait);
        self.board.with(&id, |counters| counters.throttled += u64::from(fault.what == What::Busy));
        let (input, seconds) = (&self.input.stream, wait.as_secs_f64());
        let remedy = fault.remedy().map_or_else(String::new, |remedy| format!("; {remedy}"));
        if taken {
            log::warn!(
                "{input}: another reader has partition {id}, which is left to it; looking again in {seconds:.0} s{remedy} ({fault})"
            );
        } else {
            log::warn!("{input}: {fault}; going on in {seconds:.1} s{remedy}");
        }
        Ok(())
    }
}

/// Waits for an answer about a partition no longer than the links and the token may wait meanwhile.
async fn soon<T>(partition: &str, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout(SOON, answer).await.unwrap_or_else(|_| Err(silent(format!("partition {partition}"))))
}

fn silent(object: String) -> Fault {
    Fault::new(What::Silent, object, format!("no answer within {} s", SOON.as_secs()))
}

fn holding(facts: PartitionFacts) -> Holding {
    Holding { first: facts.first, last: facts.last, empty: facts.empty }
}

/// Ticks of a clock, the first one after a period.
pub(super) fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Any number: it only spreads waits.
fn seed() -> u64 {
    Ticks::now().0.unsigned_abs() / 10_000
}
