//! The streaming mode: one run of the input that splunkd describes on standard input.

use std::fmt::Display;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

#[cfg(feature = "streaming")]
use crate::account::Access;
use crate::account::{APP, Account, ClearText, Settings};
#[cfg(feature = "streaming")]
use crate::blobs;
use crate::checkpoint::{Checkpoint, CheckpointError, Store};
use crate::collect::{End, Outside, Poll, Tally, position};
use crate::error::{Error, Exit};
#[cfg(feature = "streaming")]
use crate::event_hub;
use crate::feeds::Draft;
use crate::input::{AnyInput, Input};
#[cfg(not(feature = "streaming"))]
use crate::input::{EventHubInput, StorageInput};
use crate::late::file::{Head, MemoryFile};
use crate::masking::admin_text;
use crate::microsoft::api_error::ApiError;
use crate::microsoft::client::{Client, Incoming, Reply};
use crate::splunk::definition::{self, Definition, Root, Stanza};
use crate::splunk::event::{Event, SharedStream, StreamError};
use crate::splunk::log::set_level;
use crate::splunk::rest::Splunkd;
use crate::splunk::stdout::{Drained, Stdout, drain};
use crate::splunk::stop::Stop;
use crate::time::Ticks;
use crate::version::Version;

/// The most one exchange with Microsoft may take; a page of incidents with many alerts takes a while.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(180);
/// How often a run that waits for the one before looks whether it ended.
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// Collects every stanza of the document on `stdin`; splunkd sends one. Failures are logged with the stanza's name.
pub fn run(stdin: impl Read, splunk_home: Option<&Path>) -> Exit {
    let prepared = definition::read(stdin, Root::Input).map_err(Error::from).and_then(|definition| {
        let stream = SharedStream::new(Stdout::open().map_err(Error::Stdout)?);
        let last_words = stream.clone();
        let stop = Stop::listen(move || drop(last_words.abandon())).map_err(Error::Signals)?;
        Ok((definition, stream, stop))
    });
    let (definition, stream, stop) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            log::error!("{}", error.full());
            return error.exit();
        }
    };
    let mut exit = Exit::Done;
    for stanza in &definition.stanzas {
        let world = World { definition: &definition, splunk_home, stream: &stream, stop: &stop };
        match world.collect(stanza) {
            // What a stop interrupts fails in many ways, and none of them is a failure.
            _ if stop.requested() => {
                let _ = stream.abandon();
                return Exit::Done;
            }
            Ok(()) => {}
            Err(error) => {
                log::error!("defender://{}: {}", admin_text(&stanza.name), error.full());
                exit = error.exit();
            }
        }
    }
    match stream.close() {
        Ok(()) | Err(StreamError::Ended) => exit,
        Err(_) => Exit::Failed,
    }
}

struct World<'a> {
    definition: &'a Definition,
    splunk_home: Option<&'a Path>,
    stream: &'a SharedStream<Stdout>,
    stop: &'a Stop,
}

impl World<'_> {
    fn collect(&self, stanza: &Stanza) -> Result<(), Error> {
        let input = AnyInput::read(stanza)?;
        for ignored in ["source", "sourcetype"] {
            // splunkd itself fills in the scheme's name as the default.
            if stanza.param(ignored).is_some_and(|value| value != "defender" && value != format!("defender://{}", input.name())) {
                log::warn!("{input}: its `{ignored}` is ignored: existing searches rely on the ones this add-on sets");
            }
        }
        let unknown = input.stream().map(|stream| stream.tables.unknown()).unwrap_or_default();
        if !unknown.is_empty() {
            log::warn!(
                "{input}: parameter tables: {} is not known to stream; check its spelling",
                admin_text(&unknown.join(", "))
            );
        }
        let definition = self.definition;
        let splunkd = Splunkd::new(&definition.server_uri, definition.session_key.clone(), APP, self.splunk_home)?;
        let settings = Settings::load(&splunkd)?;
        set_level(settings.level);
        if splunkd.server_roles()?.iter().any(|role| role == "shc_member" || role == "shc_captain") {
            return Err(Error::SearchHeadCluster);
        }
        // Of a feed that streams: once there is a position, `start` says nothing any more.
        let positions = ["json", "hub.json"].map(|end| definition.checkpoint_dir.join(format!("{}.{end}", input.name())));
        if input.stream().is_some() && !positions.iter().any(|path| path.exists()) {
            input.check_start(Ticks::now())?;
        }
        match input {
            AnyInput::Polled(input) => self.poll(&input, &splunkd, &settings),
            #[cfg(feature = "streaming")]
            AnyInput::EventHub(input) => {
                let access = Access::load(&splunkd, &input.stream.account, ClearText::Move)?;
                Ok(event_hub::run(&input, access, &settings, &definition.checkpoint_dir, self.stream, self.stop)?)
            }
            #[cfg(feature = "streaming")]
            AnyInput::Storage(input) => {
                let access = Access::load(&splunkd, &input.stream.account, ClearText::Move)?;
                Ok(blobs::run(&input, access, &settings, &definition.checkpoint_dir, self.stream, self.stop)?)
            }
            #[cfg(not(feature = "streaming"))]
            AnyInput::EventHub(EventHubInput { stream, .. }) | AnyInput::Storage(StorageInput { stream, .. }) => {
                Err(Error::NoStreaming { feed: stream.feed.name() })
            }
        }
    }

    fn poll(&self, input: &Input, splunkd: &Splunkd, settings: &Settings) -> Result<(), Error> {
        let account = Account::load(splunkd, &input.account, ClearText::Move)?;
        let source = format!("defender:{}:{}", input.feed.name, account.tenant_id);
        let waiting = || self.stop.sleep(LOCK_PAUSE);
        let Some(store) = Store::open(&self.definition.checkpoint_dir, &input.name, waiting)? else { return Ok(()) };
        let (saved, tenant_id) = (store.load(&input.name)?, account.tenant_id.clone());
        // A position that is past has outlived its `start`, whatever the stanza says now, or this machine's clock.
        let now = Ticks::now();
        if saved.as_ref().is_none_or(|saved| saved.cursor.settled() > now) {
            AnyInput::Polled(input.clone()).check_start(now)?;
        }
        let client = account.client(&settings.http(EXCHANGE_LIMIT)?, input.resource.api())?;
        let memory = MemoryFile::of(&self.definition.checkpoint_dir, &input.name);
        let mut live = Live { client, store, memory, source, input, stream: self.stream, stop: self.stop };
        let begun = Ticks::now();
        let mut checkpoint = position(saved, input, &tenant_id, &mut live)?;
        let mut poll = Poll::new(input, &mut checkpoint, &mut live);
        let end = poll.run();
        let tally = std::mem::take(&mut poll.tally);
        report(input, &tally, &checkpoint, Ticks::now().since(begun));
        match end? {
            End::NotBefore(until) => log::info!("{input}: the service asked for patience; nothing is asked before {until}"),
            End::Done | End::Stopped => {}
        }
        Ok(())
    }
}

/// The poll's one line.
fn report(input: &Input, tally: &Tally, checkpoint: &Checkpoint, took: Duration) {
    let cursor = &checkpoint.cursor;
    let lag = tally.newest.map_or_else(String::new, |newest| format!(" lag_s={}", Ticks::now().since(newest).as_secs()));
    log::info!(
        "{input}: poll requests={} rows={} events={} repeats={} halved={} throttled_s={:.1} settled={}{lag} history_left_s={} \
         set_aside={} duration_s={:.1}",
        tally.requests,
        tally.rows,
        tally.events,
        tally.repeats,
        tally.halved,
        tally.throttled.as_secs_f64(),
        cursor.settled(),
        cursor.history_left().as_secs(),
        cursor.given_up().len(),
        took.as_secs_f64(),
    );
}

/// The world as it is.
struct Live<'a> {
    client: Client,
    store: Store,
    memory: MemoryFile,
    source: String,
    input: &'a Input,
    stream: &'a SharedStream<Stdout>,
    stop: &'a Stop,
}

impl Outside for Live<'_> {
    fn now(&self) -> Ticks {
        Ticks::now()
    }

    fn pause(&self, span: Duration) -> bool {
        if span.is_zero() { self.stop.requested() } else { self.stop.sleep(span) }
    }

    fn get(&mut self, path_and_query: &str) -> Result<Reply<Incoming>, Box<ApiError>> {
        self.client.open(path_and_query)
    }

    fn write(&mut self, draft: &Draft) -> Result<(), StreamError> {
        self.stream.write(&Event {
            time: draft.time,
            source: &self.source,
            sourcetype: draft.sourcetype,
            index: self.input.index.as_deref(),
            host: self.input.host.as_deref(),
            data: &draft.data,
        })
    }

    fn flush(&mut self) -> Result<bool, StreamError> {
        flushed(self.stream, self.stop, self.input)
    }

    fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        self.store.save(checkpoint)
    }

    fn memory(&mut self) -> io::Result<Option<Head>> {
        self.memory.head()
    }

    fn recall(&mut self) -> io::Result<Vec<Version>> {
        self.memory.read()
    }

    fn remember(&mut self, versions: &[Version]) -> io::Result<u64> {
        self.memory.append(versions)
    }

    fn begin_memory(&mut self, name: u64, versions: &[Version]) -> io::Result<()> {
        self.memory.replace(name, versions)
    }
}

/// Flushes, and waits until splunkd took everything. `false` when a stop was requested first.
pub(crate) fn flushed(stream: &SharedStream<Stdout>, stop: &Stop, input: &impl Display) -> Result<bool, StreamError> {
    stream.flush()?;
    loop {
        match drain(stream, Duration::from_secs(3600), stop)? {
            Drained::Yes | Drained::CannotTell => return Ok(true),
            Drained::Stopped => return Ok(false),
            // splunkd's queues are full; the position waits as the events do.
            Drained::NotInTime => log::warn!("{input}: splunkd has taken no events for an hour"),
        }
    }
}
