//! A storage input as splunkd starts it, and the trial of one that is being saved.

use std::path::Path;
use std::time::Duration;

use super::finished::Finished;
use super::position::{Files, Position};
use super::{BlobsError, CONTAINER, End, Outside, Poll, Tally, position};
use crate::account::{self, Settings};
use crate::checkpoint::CheckpointError;
use crate::feeds::records::{Reader, Record};
use crate::input::{StorageInput, Tables};
use crate::microsoft::cloud::Audience;
use crate::microsoft::storage::{Access, Failure, Storage, StorageError};
use crate::splunk::event::{Event, SharedStream, StreamError};
use crate::splunk::stdout::Stdout;
use crate::splunk::stop::Stop;
use crate::stream::{LOCK_PAUSE, flushed};
use crate::time::Ticks;

/// The most one exchange may take. A piece is 4 MB, and a list of 5,000 blobs about as much.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(180);
/// The most a trial's exchange may take: a form waits no longer.
const TRIAL_LIMIT: Duration = Duration::from_secs(10);
/// A signature that ends this soon is warned of.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 86_400);

/// Reads what is new.
///
/// # Errors
/// See [`BlobsError`].
pub fn run(
    input: &StorageInput,
    access: account::Access,
    settings: &Settings,
    checkpoint_dir: &Path,
    stream: &SharedStream<Stdout>,
    stop: &Stop,
) -> Result<(), BlobsError> {
    let storage = open(input, access, settings, EXCHANGE_LIMIT)?;
    let waiting = || stop.sleep(LOCK_PAUSE);
    let Some(files) = Files::open(checkpoint_dir, &input.stream.name, waiting)? else { return Ok(()) };
    let (saved, kept) = files.load(&input.stream.name)?;
    let mut reader = Reader::new(input.stream.shape, input.stream.tables.clone(), input.stream.dedupe);
    if !reader.remember(&files.memory()) {
        log::warn!("{input}: what it remembered to leave repeats out cannot be read; some may come again");
    }
    let source = format!("defender:storage:{}", account_name(&input.url));
    let mut live = Live { storage, files, source, input, stream, stop };
    let begun = Ticks::now();
    let (mut position, mut finished) = position(saved, kept, input, &mut live)?;
    let mut poll = Poll::new(input, (&mut position, &mut finished), &mut reader, &mut live);
    let end = poll.run();
    let (tally, is_saved) = (std::mem::take(&mut poll.tally), poll.unsaved == 0);
    report(input, &tally, Ticks::now().since(begun));
    // Of what may not have reached splunkd nothing may be remembered: it would be left out the next time.
    if is_saved
        && matches!(end, Ok(End::Done | End::NotBefore(_)) | Err(BlobsError::Storage(_)))
        && let Some(memory) = reader.memory()
        && let Err(error) = live.files.remember(&memory)
    {
        log::warn!("{input}: repeats may come again: {error}");
    }
    if let End::NotBefore(until) = end? {
        log::info!("{input}: the service asked for patience; nothing is asked before {until}");
    }
    Ok(())
}

/// Lists and reads once with the input's own permission.
///
/// # Errors
/// See [`BlobsError`].
pub fn check(input: &StorageInput, access: account::Access, settings: &Settings) -> Result<(), BlobsError> {
    let mut storage = open(input, access, settings, TRIAL_LIMIT)?;
    let containers = match &input.stream.tables {
        Tables::All => storage.containers(CONTAINER, "")?.names,
        Tables::Only(names) => names.iter().map(|table| format!("{CONTAINER}{table}")).collect(),
    };
    if containers.is_empty() {
        log::warn!("{input}: the storage account has no container whose name begins with {CONTAINER} yet");
    }
    let mut is_read = false;
    for container in containers {
        let tried = storage.blobs(&container, "", true, "").and_then(|_| {
            // A blob that is not there: whether it may be read is decided before it is looked for.
            if is_read { Ok(()) } else { storage.read(&container, "-", 0, 1).map(drop) }
        });
        match tried {
            Err(error) if matches!(error.failure, Failure::NoContainer) => log::warn!("{input}: {error}"),
            Err(error) if !matches!(error.failure, Failure::NoBlob) => return Err(error.into()),
            _ => is_read = true,
        }
    }
    Ok(())
}

fn open(input: &StorageInput, access: account::Access, settings: &Settings, limit: Duration) -> Result<Storage, BlobsError> {
    let http = settings.http(limit)?;
    let access = match access {
        account::Access::Application(account) => Access::Token(Box::new(account.tokens(&http, Audience::Storage)?)),
        account::Access::ConnectionString(text) => Access::from_connection_string(&text, &input.url)
            .map_err(|reason| BlobsError::Access { account: input.stream.account.clone(), reason })?,
    };
    if let Some(end) = access.expires().filter(|end| *end < Ticks::now().plus(EXPIRES_SOON)) {
        log::warn!("account `{}`: its shared access signature ends at {end}: store a new one", input.stream.account);
    }
    Ok(Storage::new(http, &input.url, access))
}

/// `https://contoso.blob.core.windows.net` → `contoso`; of an address on this machine all of it.
fn account_name(url: &str) -> &str {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    match host.split_once('.') {
        Some((name, _)) if !url.starts_with("http://") => name,
        _ => host,
    }
}

/// The poll's one line.
fn report(input: &StorageInput, tally: &Tally, took: Duration) {
    let lag = tally.newest.map_or_else(String::new, |newest| format!(" lag_s={}", Ticks::now().since(newest).as_secs()));
    let left = tally.history_left.map_or_else(|| "unknown".to_owned(), |left| left.as_secs().to_string());
    let records = tally.records;
    log::info!(
        "{input}: poll requests={} containers={} refused={} aside={} blobs={} bytes={} records={} unparsed={} filtered={} repeats={} undated={} \
         beside={} throttled_s={:.1}{lag} history_left_s={left} duration_s={:.1}",
        tally.requests,
        tally.containers,
        tally.refused,
        tally.aside,
        tally.blobs,
        tally.bytes,
        records.records,
        records.unparsed,
        records.filtered,
        records.repeats,
        records.undated,
        records.beside,
        tally.throttled.as_secs_f64(),
        took.as_secs_f64(),
    );
}

/// The world as it is.
struct Live<'a> {
    storage: Storage,
    files: Files,
    source: String,
    input: &'a StorageInput,
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

    fn ask<T>(&mut self, request: impl FnOnce(&mut Storage) -> Result<T, Box<StorageError>>) -> Result<T, Box<StorageError>> {
        request(&mut self.storage)
    }

    fn write(&mut self, record: &Record<'_>) -> Result<(), StreamError> {
        self.stream.write(&Event {
            time: record.time,
            source: &self.source,
            sourcetype: record.sourcetype,
            index: self.input.stream.index.as_deref(),
            host: self.input.stream.host.as_deref(),
            data: &record.data,
        })
    }

    fn flush(&mut self) -> Result<bool, StreamError> {
        flushed(self.stream, self.stop, self.input)
    }

    fn save(&mut self, position: &Position) -> Result<(), CheckpointError> {
        self.files.save(position)
    }

    fn keep(&mut self, finished: &Finished) -> Result<(), CheckpointError> {
        self.files.keep(finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_names_the_account() {
        for (url, name) in [
            ("https://contoso.blob.core.windows.net", "contoso"),
            ("http://127.0.0.1:10000/devstoreaccount1", "127.0.0.1:10000/devstoreaccount1"),
        ] {
            assert_eq!(account_name(url), name);
        }
    }
}
