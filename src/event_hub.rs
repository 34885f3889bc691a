//! `feed = event_hub`: a process that stays, and reads the partitions of a hub as their events arrive.
//!
//! Two halves, two threads. `receive` has the connection; `deliver` writes, waits for splunkd and saves. Between them
//! goes a queue with so much space and no more. What each knows of a partition is in [`position`].

mod counters;
mod credit;
mod deliver;
mod error;
pub mod files;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod minutes;
pub mod position;
mod reading;
mod receive;
#[cfg(test)]
mod simulation;
mod tokens;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

pub use error::EventHubError;

use self::counters::Board;
use self::deliver::Delivery;
use self::files::{Files, Subject};
use self::receive::Receiving;
use self::tokens::Tokens;
use crate::account::{Access, Settings};
use crate::input::{Begin, EventHubInput, Way};
use crate::microsoft::event_hubs::{ConnectionString, Filter, Link, Namespace, Place, Route, What};
use crate::splunk::event::SharedStream;
use crate::splunk::stdout::Stdout;
use crate::splunk::stop::Stop;
use crate::time::Ticks;

/// How often a run that waits for the one before looks whether it ended.
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// What trials are called in the service's own logs.
const VALIDATION: &str = "TA_defender validation";

/// Reads until a stop is requested.
///
/// # Errors
/// What a person has to mend, or an output that is gone. The network and the service are waited for.
pub fn run(
    input: &EventHubInput,
    access: Access,
    settings: &Settings,
    folder: &Path,
    stream: &SharedStream<Stdout>,
    stop: &Stop,
) -> Result<(), EventHubError> {
    let waiting = || stop.sleep(LOCK_PAUSE);
    let Some(files) = Files::open(folder, Subject::of(input), waiting)? else { return Ok(()) };
    let files = Arc::new(files);
    // What cannot be read is said before anything is asked.
    files.begun()?;
    let (route, tokens) = (route(input, settings)?, Tokens::new(access, settings, input)?);
    let (parcels, received) = mpsc::channel();
    let board = Board::default();
    let receiving = Receiving::new(input.clone(), route, Arc::clone(&files), board.clone(), parcels, stop.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let receiver = thread::Builder::new().name("receive".to_owned()).spawn(move || runtime.block_on(receiving.run(tokens)))?;
    Delivery::new(&input.stream, &input.hub, &files, board, stream, stop).run(&received)?;
    if stop.requested() {
        return Ok(());
    }
    receiver.join().unwrap_or_else(|_| Err(EventHubError::Start(std::io::Error::other("the receiver failed"))))
}

/// Tries an input out: gets a token, which `got_token` is told, asks for the hub, and attaches to one partition without taking
/// anything.
///
/// # Errors
/// What came of it.
pub fn check(input: &EventHubInput, access: Access, settings: &Settings, got_token: impl FnOnce()) -> Result<(), EventHubError> {
    let now = Ticks::now();
    if let Begin::At(start) = input.stream.start
        && start > now
    {
        return Err(EventHubError::Ahead { start, now });
    }
    let (route, mut tokens) = (route(input, settings)?, Tokens::new(access, settings, input)?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let token = tokens.get(false).await?;
        got_token();
        let (mut namespace, mut cbs) = Namespace::open(&route, &input.namespace, &input.hub, VALIDATION).await?;
        cbs.put(&token).await.map_err(|fault| namespace.cause(fault))?;
        let hub = namespace.hub(&token).await;
        let hub = hub.map_err(|fault| namespace.cause(fault))?;
        let Some(partition) = hub.partitions.iter().find(|id| input.partitions.contains(id)) else {
            return Err(EventHubError::NoPartition { hub: input.hub.clone(), has: hub.partitions.join(", ") });
        };
        let newest = namespace.partition(partition, &token).await?.last;
        let mut session = namespace.session(4).await?;
        let place = Place { hub: &input.hub, group: &input.consumer_group, partition };
        // Without an epoch and without credit: nobody is driven out and nothing is taken.
        let link = match Link::attach(&mut session, 4, &place, Filter::After(newest), None).await {
            Ok(link) => link.knock().await,
            Err(fault) => Err(fault),
        };
        match link {
            // A running input has it, as a rule this very one.
            Err(fault) if fault.what != What::Stolen => Err(fault.into()),
            _ => {
                namespace.close().await;
                Ok(())
            }
        }
    })
}

/// Tries a connection string out that names no hub: has a token that is signed with it accepted by its namespace. Where there
/// is a proxy, through that.
///
/// # Errors
/// What came of it.
pub fn check_namespace(string: &ConnectionString, settings: &Settings) -> Result<(), EventHubError> {
    // The route has limits of its own.
    let transport = settings.transport(Duration::ZERO);
    let route = Route::new(transport.proxy.is_some(), &transport)?;
    let token = string.token(&Namespace::uri(string.namespace(), ""), Ticks::now())?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (namespace, mut cbs) = Namespace::open(&route, string.namespace(), "", VALIDATION).await?;
        cbs.put(&token).await?;
        namespace.close().await;
        Ok(())
    })
}

fn route(input: &EventHubInput, settings: &Settings) -> Result<Route, EventHubError> {
    Ok(Route::new(input.transport == Way::WebSocket, &settings.transport(Duration::ZERO))?)
}
