//! The validation mode: an input that is being saved is tried out, so that what is wrong is said while the form is open.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

#[cfg(feature = "streaming")]
use crate::account::Access;
use crate::account::{APP, Account, ClearText, Settings};
#[cfg(feature = "streaming")]
use crate::blobs;
use crate::collect::CollectError;
use crate::error::{Error, Exit};
#[cfg(feature = "streaming")]
use crate::event_hub;
use crate::feeds::IncludeAlerts;
use crate::input::{AnyInput, Input};
#[cfg(not(feature = "streaming"))]
use crate::input::{EventHubInput, StorageInput};
use crate::microsoft::page;
use crate::microsoft::query::{Expand, List, Order};
use crate::splunk::definition::{self, Definition, Root};
use crate::splunk::rest::Splunkd;
use crate::splunk::scheme::refuse;
use crate::time::Ticks;

/// A form does not wait longer; without an answer by then the input is accepted with a warning.
const PATIENCE: Duration = Duration::from_secs(10);
/// How far back the trial read looks: permission is asked for by any read, rows are not needed.
const TRIAL: Duration = Duration::from_secs(3600);

/// Checks the input on `stdin`. A refusal is written to `out` for Splunk Web.
pub fn run(stdin: impl Read, out: &mut impl Write, splunk_home: Option<&Path>) -> Exit {
    let definition = match definition::read(stdin, Root::Items) {
        Ok(definition) => definition,
        Err(error) => return refusal(out, &Error::from(error)),
    };
    let (answer, answered) = mpsc::channel();
    let splunk_home = splunk_home.map(Path::to_owned);
    // On a thread, since a name server or a proxy may keep a connection waiting for longer than a form waits.
    let asking = thread::Builder::new().spawn(move || answer.send(check(&definition, splunk_home.as_deref())));
    if let Err(error) = asking {
        return refusal(out, &Error::Signals(error));
    }
    match answered.recv_timeout(PATIENCE) {
        Ok(Ok(())) => Exit::Done,
        Ok(Err(error)) if error.refuses() => refusal(out, &error),
        // What may heal by itself is no reason to refuse what may be right.
        Ok(Err(error)) => {
            log::warn!("the input is accepted without having been tried: {}", error.full());
            Exit::Done
        }
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            log::warn!("the input is accepted without having been tried: no answer within {} s", PATIENCE.as_secs());
            Exit::Done
        }
    }
}

/// Reads the parameters, gets a token, and reads once with the input's own permission.
fn check(definition: &Definition, splunk_home: Option<&Path>) -> Result<(), Error> {
    let Some(stanza) = definition.stanzas.first() else { return Ok(()) };
    let input = AnyInput::read(stanza)?;
    input.check_start(Ticks::now())?;
    let splunkd = Splunkd::new(&definition.server_uri, definition.session_key.clone(), APP, splunk_home)?;
    let settings = Settings::load(&splunkd)?;
    settings.check()?;
    match input {
        AnyInput::Polled(input) => read_once(&input, &splunkd, &settings),
        #[cfg(feature = "streaming")]
        AnyInput::EventHub(input) => {
            let access = Access::load(&splunkd, &input.stream.account, ClearText::Use)?;
            Ok(event_hub::check(&input, access, &settings, || ())?)
        }
        #[cfg(feature = "streaming")]
        AnyInput::Storage(input) => {
            let access = Access::load(&splunkd, &input.stream.account, ClearText::Use)?;
            Ok(blobs::check(&input, access, &settings)?)
        }
        #[cfg(not(feature = "streaming"))]
        AnyInput::EventHub(EventHubInput { stream, .. }) | AnyInput::Storage(StorageInput { stream, .. }) => {
            Err(Error::NoStreaming { feed: stream.feed.name() })
        }
    }
}

/// Reads the newest objects of a feed that is polled.
fn read_once(input: &Input, splunkd: &Splunkd, settings: &Settings) -> Result<(), Error> {
    let account = Account::load(splunkd, &input.account, ClearText::Use)?;
    let mut client = account.client(&settings.http(PATIENCE)?, input.resource.api())?;
    let list = List {
        resource: input.resource,
        lo: Ticks::now().minus(TRIAL).floor_ms(),
        hi: None,
        extra_filter: input.filter.as_deref(),
        order: Order::AsServed,
        top: 2,
        skip: 0,
        expand: if input.include_alerts == IncludeAlerts::None { Expand::Nothing } else { Expand::Alerts },
    };
    let path = list.path_and_query();
    let reply = client.get(&path)?;
    // Half an answer, or another's, has not tried the input.
    page::check(&reply.body).map_err(|reason| CollectError::Page { path, reason })?;
    Ok(())
}

fn refusal(out: &mut impl Write, error: &Error) -> Exit {
    let message = error.full();
    log::error!("the input is refused: {message}");
    // Without the text, the exit code still refuses.
    let _ = refuse(out, &message);
    Exit::Failed
}
