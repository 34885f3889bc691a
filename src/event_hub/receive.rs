//! The receiving half: one connection, one link for each partition, on a thread of its own.
//!
//! It decides where each link begins ([`Position`]), keeps the token fresh, notices new partitions, and connects again for as
//! long as it takes. It never waits for splunkd: a partition whose parcels find no space grants no credit, and the rest goes
//! on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, sleep_until, timeout};

use super::counters::Board;
use super::credit::{Credit, window};
use super::deliver::Parcel;
use super::error::EventHubError;
use super::files::{Begun, Files, Subject};
use super::position::{Arrival, Holding, Place, Position, first_place, resume_at};
use super::tokens::Tokens;
use crate::input::EventHubInput;
use crate::microsoft::event_hubs::{
    self as service, FRAME, Fault, Filter, HubFacts, Link, Namespace, PartitionFacts, Route, SessionHandle, Token, What,
};
use crate::pace::backoff;
use crate::splunk::stop::Stop;
use crate::time::Ticks;

/// The owner level that is held.
const OWNER: i64 = 1;
/// The level to ask with whether somebody holds it.
const VISITOR: i64 = 0;
/// Bytes of messages that may wait to be written.
const SPACE: usize = 4 << 20;
/// Between two looks at the token, and between two at the hub.
const TOKEN_LOOK: Duration = Duration::from_secs(30);
const HUB_LOOK: Duration = Duration::from_secs(60);
/// The most an answer about a partition may take while links and token wait for it.
const SOON: Duration = Duration::from_secs(10);
/// Between two looks at the wish to stop.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// A link or a connection that lived so long was a healthy one.
const HEALTHY: Duration = Duration::from_secs(60);
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
    tokens: Tokens,
    files: Arc<Files>,
    board: Board,
    parcels: Sender<Parcel>,
    space: Arc<Semaphore>,
    stop: Stop,
    partitions: BTreeMap<Arc<str>, Partition>,
}

/// What is known of a partition that is read.
#[derive(Debug)]
struct Partition {
    position: Arc<Mutex<Position>>,
    /// This process held it with its last link. Otherwise the next one asks first whether somebody else is there.
    owned: Arc<AtomicBool>,
    attempts: u32,
    state: State,
    /// Where it stood at the last look.
    looked_at: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The next link is due then.
    Waiting(Instant),
    /// There is a link since then.
    Linked(Instant),
}

/// A link that ended.
struct Ended {
    partition: Arc<str>,
    fault: Fault,
}

impl Receiving {
    /// Reads for an input; connects with [`Receiving::run`].
    pub(super) fn new(
        input: EventHubInput,
        route: Route,
        tokens: Tokens,
        files: Arc<Files>,
        board: Board,
        parcels: Sender<Parcel>,
        stop: Stop,
    ) -> Self {
        Self {
            input: Arc::new(input),
            route,
            tokens,
            files,
            board,
            parcels,
            space: Arc::new(Semaphore::new(SPACE)),
            stop,
            partitions: BTreeMap::new(),
        }
    }

    /// Receives until a stop is requested.
    ///
    /// # Errors
    /// What a person has to mend. Everything else is tried again, for ever, and said each time.
    pub(super) async fn run(mut self) -> Result<(), EventHubError> {
        let mut attempts = 0;
        while !self.stop.requested() {
            let begun = Instant::now();
            let error = match self.connected().await {
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
    async fn connected(&mut self) -> Result<(), EventHubError> {
        let mut token = self.tokens.get(false).await?;
        let container = format!("TA_defender/{} {}", env!("CARGO_PKG_VERSION"), self.input.stream.name);
        let mut namespace = Namespace::open(&self.route, &self.input.namespace, &self.input.hub, &container).await?;
        let links = self.live(&mut namespace, &mut token).await;
        // Those that were read from are let go of at once.
        namespace.close().await;
        links
    }

    async fn live(&mut self, namespace: &mut Namespace, token: &mut Token) -> Result<(), EventHubError> {
        match namespace.put(token).await {
            Err(fault) if fault.what == What::Unauthorized => {
                *token = self.tokens.get(true).await?;
                namespace.put(token).await?;
            }
            put => put?,
        }
        let hub = namespace.hub(token).await?;
        let begun = self.begun(namespace, &hub, token).await?;
        self.find_partitions(namespace, &hub, &begun, token).await?;
        for partition in self.partitions.values_mut() {
            partition.state = State::Waiting(Instant::now());
        }

        let mut links = JoinSet::new();
        let (mut stop_look, mut token_look) = (interval(STOP_LOOK), every(TOKEN_LOOK));
        let mut hub_look = every(HUB_LOOK);
        stop_look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            self.link_what_is_due(namespace, token, &mut links).await?;
            let due = self.partitions.values().filter_map(|partition| match partition.state {
                State::Waiting(at) => Some(at),
                State::Linked(_) => None,
            });
            let next = due.min().unwrap_or_else(|| Instant::now() + HUB_LOOK);
            // In this order: neither looks nor partitions that fail keep the token or the ended links waiting.
            tokio::select! {
                biased;
                _ = stop_look.tick() => {
                    if self.stop.requested() {
                        return Ok(());
                    }
                    if namespace.is_closed() {
                        // A link knows more, if there is one.
                        if let Some(Ok(Ended { fault, .. })) = links.try_join_next() {
                            return Err(fault.into());
                        }
                        return Err(Fault::new(What::Lost, &self.input.namespace, "the connection was closed").into());
                    }
                }
                _ = token_look.tick() => self.renew(namespace, token).await?,
                Some(ended) = links.join_next() => {
                    // A task that panicked ended the program in a release build.
                    if let Ok(ended) = ended {
                        self.ended(namespace, ended)?;
                    }
                }
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
                    looked => looked?,
                },
                () = sleep_until(next) => {}
            }
        }
    }

    /// What was found at the first run; found and saved now, if this is it: `start` means the same place however often the
    /// first run fails.
    async fn begun(&self, namespace: &mut Namespace, hub: &HubFacts, token: &Token) -> Result<Begun, EventHubError> {
        let created = hub.created.map(|at| at.to_string());
        if let Some(begun) = self.files.begun()? {
            return match (&begun.created, created) {
                (Some(was), Some(is)) if *was != is => {
                    let (hub, was, file) = (self.input.hub.clone(), was.clone(), self.files.name());
                    Err(EventHubError::Remade { hub, was, is, file })
                }
                _ => Ok(begun),
            };
        }
        let mut start = BTreeMap::new();
        for id in &hub.partitions {
            let holding = holding(namespace.partition(id, token).await?);
            start.insert(id.clone(), first_place(self.input.stream.start, holding, Ticks::now()));
        }
        let begun = Begun { subject: Subject::of(&self.input), created, start };
        self.files.begin(&begun)?;
        log::info!(
            "{}: the hub {} has {} partitions; reading begins at its `start`",
            self.input.stream,
            self.input.hub,
            hub.partitions.len()
        );
        Ok(begun)
    }

    /// Takes up the partitions of the hub that are not read yet.
    async fn find_partitions(
        &mut self,
        namespace: &mut Namespace,
        hub: &HubFacts,
        begun: &Begun,
        token: &Token,
    ) -> Result<(), EventHubError> {
        for id in &hub.partitions {
            if !self.input.partitions.contains(id) || self.partitions.contains_key(id.as_str()) {
                continue;
            }
            let place = match resume_at(self.files.place(id)?, begun.start.get(id).copied()) {
                Some(place) => place,
                None => {
                    let place = holding(soon(id, namespace.partition(id, token)).await?).beginning();
                    self.files.save(id, place)?;
                    log::info!("{}: the hub has a new partition, {id}", self.input.stream);
                    place
                }
            };
            let position = Arc::new(Mutex::new(Position::resume(place)));
            let state = State::Waiting(Instant::now());
            let partition = Partition { position, owned: Arc::default(), attempts: 0, state, looked_at: None };
            self.partitions.insert(Arc::from(id.as_str()), partition);
        }
        if self.partitions.is_empty() {
            return Err(EventHubError::NoPartition { hub: self.input.hub.clone(), has: hub.partitions.join(", ") });
        }
        Ok(())
    }

    /// Makes the links that are due. One that fails waits like one that ended, and whoever else waits comes before the next.
    async fn link_what_is_due(
        &mut self,
        namespace: &mut Namespace,
        token: &Token,
        links: &mut JoinSet<Ended>,
    ) -> Result<(), EventHubError> {
        let now = Instant::now();
        let due = |partition: &Partition| matches!(partition.state, State::Waiting(due) if due <= now);
        let ids: Vec<_> = self.partitions.iter().filter(|(_, partition)| due(partition)).map(|(id, _)| Arc::clone(id)).collect();
        for id in ids {
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
    async fn link(&mut self, namespace: &mut Namespace, token: &Token, id: &Arc<str>) -> Result<Option<Reading>, EventHubError> {
        let count = self.partitions.len();
        let Some(partition) = self.partitions.get_mut(id) else { return Ok(None) };
        let mut looks = LOOKS;
        let (facts, deleted) = loop {
            let facts = holding(soon(id, namespace.partition(id, token)).await?);
            looks -= 1;
            let compared = lock(&partition.position).compare(facts);
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
        partition.state = State::Linked(Instant::now());
        partition.looked_at = Some(lock(&partition.position).place());
        Ok(Some(Reading {
            input: Arc::clone(&self.input),
            partition: Arc::clone(id),
            position: Arc::clone(&partition.position),
            session,
            frames,
            credit: Credit::new(count),
            owned: Arc::clone(&partition.owned),
            space: Arc::clone(&self.space),
            parcels: self.parcels.clone(),
            board: self.board.clone(),
        }))
    }

    /// Decides what follows the end of a link.
    fn ended(&mut self, namespace: &Namespace, Ended { partition: id, fault }: Ended) -> Result<(), EventHubError> {
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(()) };
        let healthy = matches!(partition.state, State::Linked(since) if since.elapsed() >= HEALTHY);
        if healthy && fault.what == What::Unauthorized {
            // Its token expired, as while a machine sleeps. A new connection shows whether there is a right behind a new one.
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

    /// Puts a new token in place of one that will expire.
    async fn renew(&mut self, namespace: &mut Namespace, token: &mut Token) -> Result<(), EventHubError> {
        match self.tokens.get(false).await {
            Ok(fresh) if fresh != *token => {
                namespace.put(&fresh).await?;
                *token = fresh;
            }
            Ok(_) => {}
            Err(error) if error.is_permanent() => return Err(error),
            // The one in use is good for some minutes more.
            Err(error) => log::warn!("{}: the token is not renewed yet: {error}", self.input.stream),
        }
        Ok(())
    }

    /// Looks for new partitions, and at how far each is behind.
    async fn look(&mut self, namespace: &mut Namespace, begun: &Begun, token: &Token) -> Result<(), EventHubError> {
        let hub = namespace.hub(token);
        let hub = timeout(SOON, hub).await.unwrap_or_else(|_| Err(silent(format!("the hub {}", self.input.hub))))?;
        self.find_partitions(namespace, &hub, begun, token).await?;
        for (id, partition) in &mut self.partitions {
            let facts = soon(id, namespace.partition(id, token)).await?;
            self.board.with(id, |counters| counters.newest = Some(facts.last));
            let State::Linked(since) = partition.state else { continue };
            let place = lock(&partition.position).place();
            let stands = partition.looked_at.replace(place) == Some(place);
            let waits = place.is_behind(holding(facts), facts.enqueued);
            // Where splunkd takes nothing, nothing is to come.
            if stands && waits && since.elapsed() >= HEALTHY && self.space.available_permits() > SPACE / 2 {
                let fault = Fault::new(What::Silent, format!("partition {id}"), "messages wait there, and none came for 60 s");
                log::warn!("{}: {fault}; {}", self.input.stream, fault.remedy().unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// One link's work.
struct Reading {
    input: Arc<EventHubInput>,
    partition: Arc<str>,
    position: Arc<Mutex<Position>>,
    session: SessionHandle<()>,
    frames: u32,
    credit: Credit,
    owned: Arc<AtomicBool>,
    space: Arc<Semaphore>,
    parcels: Sender<Parcel>,
    board: Board,
}

impl Reading {
    async fn run(mut self) -> Ended {
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
        loop {
            if let Some(credit) = self.credit.due() {
                link.grant(credit).await?;
            }
            let message = match link.next().await {
                Ok(message) => message,
                Err(Some(fault)) => return Err(fault),
                Err(None) => {
                    self.leave_out();
                    self.credit.took(0);
                    continue;
                }
            };
            self.credit.took(message.body.len());
            self.hand_on(message).await;
        }
    }

    /// Counts a message that cannot be decoded, its own number included.
    fn leave_out(&self) {
        let (place, is_new) = {
            let mut position = lock(&self.position);
            (position.place(), position.leave_out())
        };
        if !is_new {
            return;
        }
        self.board.with(&self.partition, |counters| counters.missing += 1);
        let behind = match place {
            Place::After(sequence) => format!("after message {sequence}"),
            Place::Since(at) => format!("after {at}, before any other"),
        };
        log::warn!(
            "{}: partition {}: a message could not be decoded and is left out; it came {behind}",
            self.input.stream,
            self.partition
        );
    }

    /// Hands a message to the writing half once there is space. Position and parcel change together: nothing waits between.
    async fn hand_on(&mut self, message: service::Message) {
        let bytes = u32::try_from(message.body.len().clamp(1, SPACE)).unwrap_or(1);
        // Never closed.
        let Ok(space) = Arc::clone(&self.space).acquire_many_owned(bytes).await else { return };
        let arrival = lock(&self.position).take(message.sequence);
        match arrival {
            Arrival::Repeat => self.board.with(&self.partition, |counters| counters.repeats += 1),
            Arrival::New { missing } => {
                if missing > 0 {
                    log::warn!(
                        "{}: partition {}: {missing} messages before message {} are missing: the hub deleted them, or did not \
                         send them",
                        self.input.stream,
                        self.partition,
                        message.sequence
                    );
                    self.board.with(&self.partition, |counters| counters.missing += missing);
                }
                // Where nobody writes any more, the program is ending.
                let _ = self.parcels.send(Parcel::new(Arc::clone(&self.partition), message, space));
            }
        }
    }
}

/// Waits for an answer about a partition no longer than the links and the token may wait meanwhile.
async fn soon<T>(partition: &str, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout(SOON, answer).await.unwrap_or_else(|_| Err(silent(format!("partition {partition}"))))
}

fn silent(object: String) -> Fault {
    Fault::new(What::Silent, object, format!("no answer within {} s", SOON.as_secs()))
}

fn lock(position: &Mutex<Position>) -> std::sync::MutexGuard<'_, Position> {
    position.lock().unwrap_or_else(PoisonError::into_inner)
}

fn holding(facts: PartitionFacts) -> Holding {
    Holding { first: facts.first, last: facts.last, empty: facts.empty }
}

fn filter(place: Place) -> Filter {
    match place {
        Place::After(sequence) => Filter::After(sequence),
        Place::Since(at) => Filter::Since(at),
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Any number: it only spreads waits.
fn seed() -> u64 {
    Ticks::now().0.unsigned_abs() / 10_000
}
