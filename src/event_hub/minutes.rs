//! What takes minutes, against the simulator's hub, in no time: the runtime's clock stands still and is turned on by hand.
//!
//! While a test waits for the network the clock goes on no faster than the real one, so no limit ends early on a busy
//! machine; what a limit or a look of the receiver's is waited for is one turn.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use simulator::event_hubs::{At, EventHubs, Failure, Fault, HubFault, POLICY, POLICY_KEY, Policy};
use simulator::{Config, Simulator, When};
use tokio::task::JoinHandle;
use tokio::time::advance;

use super::counters::Board;
use super::deliver::Parcel;
use super::error::EventHubError;
use super::files::{Files, Subject};
use super::receive::Receiving;
use super::tokens::Tokens;
use crate::http::{Transport, Trust};
use crate::input::{AnyInput, EventHubInput};
use crate::microsoft::event_hubs::{ConnectionString, Namespace, Route};
use crate::secret::Secret;
use crate::splunk::definition::Stanza;
use crate::splunk::stop::Stop;
use crate::time::Ticks;

const HUB: &str = "defender";
/// The most a real wait may take.
const PATIENCE: Duration = Duration::from_secs(60);
const BUSY: (&str, &str) = ("com.microsoft:server-busy", "The service is busy.");
const UNAUTHORIZED: (&str, &str) = ("amqp:unauthorized-access", "ExpiredToken: The token is expired.");

thread_local! {
    /// The warnings of the receiver that this test runs.
    static SAID: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Keeps what is said on threads that listen.
struct Listening;

impl log::Log for Listening {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn && metadata.target().starts_with("ta_defender") && SAID.with_borrow(Option::is_some)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            SAID.with_borrow_mut(|said| said.as_mut().map(|said| said.push(record.args().to_string())));
        }
    }

    fn flush(&self) {}
}

/// A hub and a receiver that reads it.
struct Stage {
    simulator: Simulator,
    parcels: Receiver<Parcel>,
    running: JoinHandle<Result<(), EventHubError>>,
    /// Which tokens are given out: each number is another. And whether a fresh one was asked for, each time.
    token: Arc<Mutex<u64>>,
    asked: Arc<Mutex<Vec<bool>>>,
    /// How often what came: `partition:number`.
    came: BTreeMap<String, usize>,
    stop: Stop,
    _folder: tempfile::TempDir,
}

fn input(hubs: &EventHubs) -> EventHubInput {
    let params = [
        ("feed", "event_hub"),
        ("account", "a"),
        ("start", "earliest"),
        ("event_hub_namespace", &hubs.address()),
        ("event_hub_name", HUB),
    ];
    let params = params.map(|(name, value)| (name.to_owned(), vec![value.to_owned()])).into();
    match AnyInput::read(&Stanza { name: "test".to_owned(), app: None, params }) {
        Ok(AnyInput::EventHub(input)) => input,
        other => panic!("{other:?}"),
    }
}

impl Stage {
    /// Starts to read a hub of so many partitions, of which something may be wrong.
    fn start(partitions: usize, prepare: impl FnOnce(&EventHubs)) -> Self {
        let simulator = Simulator::try_start(Config { alerts: 0, incidents: 0, ..Config::default() }).unwrap();
        let hubs = simulator.event_hubs();
        hubs.create(HUB, partitions);
        prepare(hubs);
        let input = input(hubs);
        let folder = tempfile::tempdir().unwrap();
        let files = Arc::new(Files::open(folder.path(), Subject::of(&input), || panic!("nobody else")).unwrap().unwrap());
        let route = Route::new(false, &Transport { trust: Trust::PublicRoots, proxy: None, limit: Duration::ZERO }).unwrap();
        let (token, asked) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(Vec::new())));
        let tokens = {
            let string = ConnectionString::read(&Secret::new(hubs.connection_string(None))).unwrap();
            let (uri, token, asked) = (Namespace::uri(&input.namespace, HUB), Arc::clone(&token), Arc::clone(&asked));
            Tokens::played(move |anew| {
                asked.lock().unwrap().push(anew);
                let mut number = token.lock().unwrap();
                *number += u64::from(anew);
                Ok(string.token(&uri, Ticks::now().plus(Duration::from_secs(*number * 60)))?)
            })
        };
        let (sender, parcels) = mpsc::channel();
        let stop = Stop::new();
        let receiving = Receiving::new(input, route, files, Board::default(), sender, stop.clone());
        let running = tokio::spawn(receiving.run(tokens));
        Self { simulator, parcels, running, token, asked, came: BTreeMap::new(), stop, _folder: folder }
    }

    fn hubs(&self) -> &EventHubs {
        self.simulator.event_hubs()
    }

    /// Waits in real time.
    async fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            while let Ok(parcel) = self.parcels.try_recv() {
                *self.came.entry(format!("{}:{}", parcel.partition, parcel.message.sequence)).or_default() += 1;
            }
            if is_so(self) {
                return;
            }
            assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}; said: {:?}", said());
            thread::sleep(Duration::from_millis(1));
            advance(Duration::from_millis(1)).await;
        }
    }

    /// Publishes a message and waits until it came, once.
    async fn comes(&mut self, partition: usize) {
        let message = format!("{partition}:{}", self.hubs().publish(HUB, partition, "{}"));
        self.until(&message, |stage| stage.came.contains_key(&message)).await;
    }

    /// Turns half a minute on, to the minute's look, and waits until the hub and so many partitions were described.
    async fn looks_at_the_hub(&mut self, partitions: usize) {
        let reads = self.hubs().record().reads.len();
        turn(30).await;
        self.until("the look", |stage| stage.hubs().record().reads.len() > reads + partitions).await;
    }

    async fn strikes(&mut self, count: usize) {
        self.until("the fault", |stage| stage.hubs().faults_happened().len() >= count).await;
    }

    async fn says(&mut self, text: &str) {
        self.until(text, |_| said().iter().any(|line| line.contains(text))).await;
    }

    /// The end: nothing came twice, and this was said in this order.
    async fn ends(mut self, lines: &[&str]) {
        self.stop.request();
        self.until("it stops", |stage| stage.running.is_finished()).await;
        assert!(self.came.values().all(|times| *times == 1), "{:?}", self.came);
        assert_eq!(self.hubs().record().violations, Vec::<String>::new());
        let said = said();
        assert_eq!(said.len(), lines.len(), "{said:?}");
        for (line, wanted) in said.iter().zip(lines) {
            assert!(line.starts_with("defender://test: ") && line.contains(wanted), "{said:?}: {wanted}");
        }
    }
}

/// What was said so far.
fn said() -> Vec<String> {
    SAID.with_borrow(|said| said.clone().unwrap_or_default())
}

fn refuse((condition, description): (&str, &str)) -> HubFault {
    HubFault::Refuse(Failure::new(condition, description))
}

async fn turn(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

/// Runs a test with a clock that only it turns.
fn play(test: impl Future<Output = ()>) {
    // Whoever comes first; all do the same.
    let _ = log::set_logger(&Listening);
    log::set_max_level(log::LevelFilter::Warn);
    SAID.set(Some(Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    // While something blocks, tokio does not turn the clock of its own accord.
    let (release, held) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || held.recv());
    runtime.block_on(test);
    drop(release);
    SAID.set(None);
}

#[test]
fn a_token_is_renewed_beside_the_links() {
    play(async {
        let mut stage = Stage::start(1, |_| ());
        stage.comes(0).await;
        *stage.token.lock().unwrap() += 1;
        stage.hubs().push_fault(Fault::once(At::Token, HubFault::Silence));
        turn(30).await;
        stage.strikes(1).await;
        // While nobody answers for the token, a link ends, and the next one is made.
        stage.hubs().detach(HUB, 0, &Failure::new("amqp:internal-error", "The service was unable to process the request."));
        stage.says("amqp:internal-error").await;
        stage.comes(0).await;
        // The minute's look comes between, and is waited for: a turn would be counted against its answers.
        stage.looks_at_the_hub(1).await;
        assert_eq!(stage.hubs().record().connections.len(), 1);
        // An answer that comes late would be taken for the next one's; so the next token goes over a connection of its own.
        turn(30).await;
        stage.says("connecting again").await;
        stage.until("it is renewed", |stage| stage.hubs().record().tokens.len() == 2).await;
        stage.comes(0).await;
        let record = stage.hubs().record();
        assert_eq!((record.connections.len(), record.tokens[1].status), (2, 202));
        assert!(stage.asked.lock().unwrap().iter().all(|anew| !anew));
        stage.ends(&["amqp:internal-error", "the token: no answer within 60 s; connecting again in "]).await;
    });
}

#[test]
fn a_renewal_that_is_refused_asks_once_for_a_fresh_token() {
    play(async {
        let mut stage = Stage::start(1, |_| ());
        stage.comes(0).await;
        *stage.token.lock().unwrap() += 1;
        stage.hubs().push_fault(Fault::once(At::Token, refuse(UNAUTHORIZED)));
        turn(30).await;
        stage.until("a fresh one is put", |stage| stage.hubs().record().tokens.len() == 3).await;
        stage.comes(0).await;
        let put: Vec<i32> = stage.hubs().record().tokens.iter().map(|put| put.status).collect();
        assert_eq!((put.as_slice(), stage.hubs().record().connections.len()), (&[202, 401, 202][..], 1));

        // One that passes is tried again; refused twice is a person's to mend.
        *stage.token.lock().unwrap() += 1;
        stage.hubs().push_fault(Fault::once(At::Token, refuse(BUSY)));
        stage.looks_at_the_hub(1).await;
        stage.says("the token is not renewed yet").await;
        stage.hubs().push_fault(Fault::new(At::Token, When::Always, refuse(UNAUTHORIZED)));
        turn(30).await;
        stage.until("the end", |stage| stage.running.is_finished()).await;
        assert_eq!(*stage.asked.lock().unwrap(), [false, false, true, false, false, true]);
        let error = (&mut stage.running).await.unwrap().unwrap_err();
        assert!(error.is_permanent() && error.to_string().starts_with("the token: status 401: ExpiredToken"), "{error}");
        assert!(error.remedy().unwrap().contains("claim Listen"), "{error}");
        assert_eq!(said().len(), 1, "{:?}", said());
    });
}

#[test]
fn a_right_that_worked_and_is_taken_back_is_asked_for_once_with_a_fresh_token() {
    play(async {
        let mut stage = Stage::start(1, |_| ());
        stage.comes(0).await;
        stage.hubs().detach(HUB, 0, &Failure::new(UNAUTHORIZED.0, UNAUTHORIZED.1));
        stage.says("connecting again").await;
        stage.comes(0).await;
        assert_eq!(*stage.asked.lock().unwrap(), [false, true]);
        stage.hubs().push_fault(Fault::new(At::Attach, When::Always, refuse(UNAUTHORIZED)));
        stage.hubs().detach(HUB, 0, &Failure::new(UNAUTHORIZED.0, UNAUTHORIZED.1));
        stage.until("the end", |stage| stage.running.is_finished()).await;
        let error = (&mut stage.running).await.unwrap().unwrap_err();
        assert!(error.is_permanent() && error.to_string().contains("partition 0"), "{error}");
        assert_eq!((said().len(), stage.asked.lock().unwrap().len()), (2, 3), "{:?}", said());
    });
}

#[test]
fn a_link_without_an_answer_is_named_after_a_minute() {
    play(async {
        let mut stage = Stage::start(1, |hubs| {
            hubs.set_policy(Policy { name: POLICY.to_owned(), key: POLICY_KEY.to_owned(), hub: None, listen: false });
        });
        stage.until("it attaches", |stage| stage.hubs().record().receivers.len() == 1).await;
        turn(60).await;
        stage.says("no answer within 60 s").await;
        stage.says("the service is silent where the role \"Azure Event Hubs Data Receiver\" is missing").await;
        stage.ends(&["partition 0 for the consumer group $Default: no answer within 60 s; going on in "]).await;
    });
}

#[test]
fn messages_that_wait_and_do_not_come_are_named_after_a_minute() {
    play(async {
        let mut stage = Stage::start(1, |hubs| hubs.push_fault(Fault::once(At::Transfer, HubFault::Silence)));
        stage.comes(0).await;
        stage.hubs().publish(HUB, 0, "{}");
        let asked = stage.hubs().record().reads.len();
        // What came since the look before counts.
        turn(60).await;
        stage.until("it looks", |stage| stage.hubs().record().reads.len() >= asked + 2).await;
        assert_eq!(said(), Vec::<String>::new());
        turn(60).await;
        stage.says("messages wait there").await;
        stage.ends(&["partition 0: messages wait there, and none came for 60 s; the service is silent where the role"]).await;
    });
}

#[test]
fn a_link_on_which_messages_do_not_come_for_minutes_is_left_with_its_connection() {
    play(async {
        let mut stage = Stage::start(1, |hubs| hubs.push_fault(Fault::once(At::Transfer, HubFault::Silence)));
        stage.comes(0).await;
        stage.hubs().publish(HUB, 0, "{}");
        let asked = stage.hubs().record().reads.len();
        for look in 1..=4 {
            turn(60).await;
            stage.until("it looks", |stage| stage.hubs().record().reads.len() >= asked + 2 * look).await;
        }
        stage.says("none came for 180 s; connecting again in").await;
        turn(20).await;
        stage.until("it comes", |stage| stage.came.contains_key("0:1")).await;
        stage
            .ends(&[
                "none came for 60 s; the service",
                "none came for 120 s; the service",
                "none came for 180 s; connecting again in",
            ])
            .await;
    });
}

#[test]
fn a_management_that_is_silent_at_the_start_is_left_after_a_minute() {
    play(async {
        let mut stage = Stage::start(1, |hubs| hubs.push_fault(Fault::once(At::Management, HubFault::Silence)));
        stage.strikes(1).await;
        turn(60).await;
        stage.says("no answer within 60 s").await;
        stage.comes(0).await;
        assert_eq!(stage.hubs().record().connections.len(), 2);
        stage.ends(&["the hub defender: no answer within 60 s; connecting again in "]).await;
    });
}

#[test]
fn a_management_that_is_silent_or_fails_at_a_look_costs_no_link() {
    play(async {
        let mut stage = Stage::start(2, |_| ());
        stage.comes(0).await;
        stage.comes(1).await;
        stage.hubs().push_fault(Fault::once(At::Management, HubFault::Silence));
        turn(60).await;
        stage.strikes(1).await;
        turn(10).await;
        stage.says("the hub defender: no answer within 10 s").await;
        stage.comes(0).await;
        stage.hubs().push_fault(Fault::once(At::Management, refuse(BUSY)));
        turn(60).await;
        stage.says("status 503").await;
        stage.comes(1).await;
        assert_eq!(stage.hubs().record().connections.len(), 1);
        let unknown = "how far it is behind, and whether there are new partitions, is not known: the hub defender: ";
        stage.ends(&[&format!("{unknown}no answer within 10 s"), &format!("{unknown}status 503: The service is busy.")]).await;
    });
}

#[test]
fn a_new_partition_is_found_within_a_minute() {
    play(async {
        let mut stage = Stage::start(1, |_| ());
        stage.comes(0).await;
        stage.hubs().grow(HUB, 2);
        let first = stage.hubs().publish(HUB, 1, "{}");
        turn(60).await;
        stage.comes(1).await;
        assert!(stage.came.contains_key(&format!("1:{first}")), "{:?}", stage.came);
        stage.comes(0).await;
        let record = stage.hubs().record();
        assert_eq!((record.connections.len(), record.of_partition(HUB, 0).count()), (1, 2), "the other link was kept");
        stage.ends(&[]).await;
    });
}

#[test]
fn a_connection_that_is_accepted_and_silent_is_left() {
    play(async {
        let mut stage = Stage::start(1, |hubs| hubs.push_fault(Fault::once(At::Connect, HubFault::Silence)));
        stage.strikes(1).await;
        // It was accepted before it waits for anything.
        while said().is_empty() {
            turn(1).await;
        }
        stage.comes(0).await;
        stage.ends(&["no answer within 60 s; connecting again in "]).await;
    });
}

/// A partition that is not described, and a session that is not begun, are waited for no longer than others can wait.
#[test]
fn a_partition_without_an_answer_is_left_after_ten_seconds() {
    play(async {
        let mut stage = Stage::start(2, |_| ());
        stage.comes(0).await;
        stage.comes(1).await;
        stage.hubs().push_fault(Fault::once(At::Management, HubFault::Silence));
        stage.hubs().detach(HUB, 1, &Failure::new("amqp:internal-error", "The service was unable to process the request."));
        stage.strikes(1).await;
        stage.comes(0).await;
        turn(10).await;
        stage.comes(1).await;
        assert_eq!(stage.hubs().record().connections.len(), 1);
        stage.ends(&["amqp:internal-error", "partition 1: no answer within 10 s; going on in "]).await;
    });
}
