//! The position of a storage input on disk, and what it remembers to leave repeats out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cursor::{Cursor, Hour};
use super::finished::Finished;
use crate::checkpoint::{self, CheckpointError};
use crate::files::{self, Links};
use crate::input::{Begin, StorageInput, Tables};
use crate::limits;
use crate::lock::Lock;
use crate::time::Ticks;

/// What the file of one input holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The input's name.
    pub stanza: String,
    /// The base URL of the storage account: another account holds other blobs.
    pub storage: String,
    /// The tables the input was asked for; empty for all.
    pub tables: Vec<String>,
    /// Where containers begin that are met for the first time; `None` is the oldest there is.
    pub start: Option<Hour>,
    /// The service asked to be left alone until then (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// What keeps containers from being read: when it was told last, in ticks, by container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<String, i64>,
    /// The container whose turn it is next.
    pub turn: String,
    /// How far each container was read.
    pub containers: BTreeMap<String, Cursor>,
}

impl Position {
    /// The position of an input that has read nothing.
    pub fn begin(input: &StorageInput, now: Ticks) -> Self {
        Self {
            stanza: input.stream.name.clone(),
            storage: input.url.clone(),
            tables: tables(input),
            start: start(input, now),
            not_before: None,
            told: BTreeMap::new(),
            turn: String::new(),
            containers: BTreeMap::new(),
        }
    }

    /// Goes on for the input as it is set now. `None` when it was the position in another storage account. `true` when
    /// something changed that is to be saved before anything is asked.
    pub fn go_on(mut self, input: &StorageInput, now: Ticks) -> Option<(Self, bool)> {
        // Hosts are not told apart by their case.
        if !self.storage.eq_ignore_ascii_case(&input.url) {
            log::warn!("{input}: its storage_account changed, so it begins again at its start");
            return None;
        }
        let mut changed = self.tables != tables(input);
        if self.containers.is_empty() && start(input, now) < self.start {
            // Nothing was read yet, and the clock that said where to begin was ahead.
            self.start = start(input, now);
            changed = true;
        }
        if self.tables != tables(input) {
            // A table that was not wanted before has no position; it would otherwise begin where the input once began.
            log::warn!("{input}: its tables changed; those that are new begin at its start");
            self.tables = tables(input);
            self.start = start(input, now);
        }
        Some((self, changed))
    }
}

fn tables(input: &StorageInput) -> Vec<String> {
    match &input.stream.tables {
        Tables::All => Vec::new(),
        Tables::Only(names) => names.iter().cloned().collect(),
    }
}

/// A whole hour is one blob, so it begins with the hour its start lies in.
pub(super) fn start(input: &StorageInput, now: Ticks) -> Option<Hour> {
    match input.stream.start {
        Begin::Earliest => None,
        Begin::Latest => Some(Hour::of(now)),
        Begin::Back(span) => Some(Hour::of(now.minus(span))),
        Begin::At(at) => Some(Hour::of(at)),
    }
}

/// The files of one input, held against a second process of the same input.
#[derive(Debug)]
pub struct Files {
    position: PathBuf,
    finished: PathBuf,
    memory: PathBuf,
    lock: Lock,
}

impl Files {
    /// Opens them in splunkd's `checkpoint_dir`; waits as [`Lock::take`] does, and is `None` when that was ended.
    ///
    /// # Errors
    /// See [`Lock::take`].
    pub fn open(folder: &Path, stanza: &str, wait: impl FnMut() -> bool) -> Result<Option<Self>, CheckpointError> {
        // Apart from the file of a feed that is polled over REST, which the stanza may have been before.
        let file = |kind: &str| folder.join(format!("{stanza}.storage.{kind}"));
        Ok(Lock::take(folder, stanza, file("json"), wait)?.map(|lock| Self {
            position: file("json"),
            finished: file("finished"),
            memory: file("seen"),
            lock,
        }))
    }

    /// The position saved last, and where finished blobs ended; `None` on the first run.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`].
    pub fn load(&self, stanza: &str) -> Result<(Option<Position>, Option<Finished>), CheckpointError> {
        let position = checkpoint::read::<Position>(&self.position)?;
        let finished = checkpoint::read::<Finished>(&self.finished)?;
        let of_position = position.as_ref().map(|position| (&self.position, &position.stanza));
        let of_finished = finished.as_ref().map(|finished| (&self.finished, &finished.stanza));
        for (path, owner) in [of_position, of_finished].into_iter().flatten() {
            if owner != stanza {
                let reason = format!("it belongs to the input `{owner}`");
                return Err(CheckpointError::Unreadable { path: path.clone(), reason });
            }
        }
        Ok((position, finished))
    }

    /// Replaces the position.
    ///
    /// # Errors
    /// See [`Lock::replace`].
    pub fn save(&self, position: &Position) -> Result<(), CheckpointError> {
        self.lock.replace(position)
    }

    /// Replaces where finished blobs ended.
    ///
    /// # Errors
    /// See [`checkpoint::replace`].
    pub fn keep(&self, finished: &Finished) -> Result<(), CheckpointError> {
        checkpoint::replace(&self.finished, finished)
    }

    /// What `dedupe` remembered; empty when there is nothing. Without it repeats pass, so it is no reason to stop.
    pub fn memory(&self) -> Vec<u8> {
        files::read(&self.memory, Links::Refused, limits::CHECKPOINT).unwrap_or_default()
    }

    /// Keeps what `dedupe` remembers. Only what was flushed may be in it: what is remembered and was lost would stay lost.
    ///
    /// # Errors
    /// [`CheckpointError::Unsaved`].
    pub fn remember(&self, memory: &[u8]) -> Result<(), CheckpointError> {
        let temporary = self.memory.with_extension("tmp");
        let written = files::write(&temporary, memory).and_then(|()| std::fs::rename(&temporary, &self.memory));
        written.map_err(|reason| CheckpointError::Unsaved { path: self.memory.clone(), reason })
    }
}
