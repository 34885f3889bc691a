//! One poll of `feed = storage`: the blobs of a storage account into events.
//!
//! - Records are written, flushed and taken by splunkd, then the position that covers them is saved. A crash repeats what was
//!   written since the last save, `SAVE_EVERY` at most and one piece, and loses nothing.
//! - Hours that may still grow come first, the newest first of all; what is left of the poll's time finishes older hours,
//!   the oldest first.
//! - What is appended to hours that are finished is looked for once a day.
//! - A container that cannot be read does not keep the others; an error never looks like no data.

mod aside;
pub mod cursor;
pub mod finished;
mod live;
mod poll;
pub mod position;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod simulation;

use std::time::Duration;

use self::finished::Finished;
pub use self::live::{check, run};
pub use self::poll::{End, Poll, Tally};
use self::position::Position;
use crate::checkpoint::CheckpointError;
use crate::feeds::records::Record;
use crate::http::HttpError;
use crate::input::StorageInput;
use crate::microsoft::storage::{AccessError, Storage, StorageError};
use crate::microsoft::token::TokenError;
use crate::splunk::event::StreamError;
use crate::time::Ticks;

/// What the names of the containers begin with; the table's name in lower case follows.
pub const CONTAINER: &str = "insights-logs-advancedhunting-";

/// Everything a poll does to the world, so that a simulation can stand in for it.
pub trait Outside {
    /// The machine's clock.
    fn now(&self) -> Ticks;
    /// Waits; `true` when a stop was requested.
    fn pause(&self, span: Duration) -> bool;
    /// Sends one request.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn ask<T>(&mut self, request: impl FnOnce(&mut Storage) -> Result<T, Box<StorageError>>) -> Result<T, Box<StorageError>>;
    /// Writes one event.
    ///
    /// # Errors
    /// See [`StreamError`].
    fn write(&mut self, record: &Record<'_>) -> Result<(), StreamError>;
    /// Flushes, and waits until the events are taken. `false` when a stop was requested first.
    ///
    /// # Errors
    /// See [`StreamError`].
    fn flush(&mut self) -> Result<bool, StreamError>;
    /// Saves the position.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    fn save(&mut self, position: &Position) -> Result<(), CheckpointError>;
    /// Saves where finished blobs ended. Comes before the position that calls them finished.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    fn keep(&mut self, finished: &Finished) -> Result<(), CheckpointError>;
}

/// The position to go on from, and where finished blobs ended. On the first run both are made and saved, before anything is
/// asked: `start` then means the same instant however often the first run fails.
///
/// # Errors
/// [`CheckpointError::Unsaved`].
pub fn position(
    saved: Option<Position>,
    kept: Option<Finished>,
    input: &StorageInput,
    outside: &mut impl Outside,
) -> Result<(Position, Finished), CheckpointError> {
    let now = outside.now();
    let Some((position, changed)) = saved.and_then(|saved| saved.go_on(input, now)) else {
        let (position, finished) = (Position::begin(input, now), Finished::begin(input));
        outside.keep(&finished)?;
        outside.save(&position)?;
        return Ok((position, finished));
    };
    if changed {
        outside.save(&position)?;
    }
    // Where the file is missing, ends are kept from here on.
    let finished = kept.filter(|kept| kept.storage.eq_ignore_ascii_case(&input.url)).unwrap_or_else(|| Finished::begin(input));
    Ok((position, finished))
}

/// Why a poll ended before its time. Whatever was saved before holds.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is one layer's error, documented there")]
pub enum BlobsError {
    #[error(transparent)]
    Storage(#[from] Box<StorageError>),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("account `{account}`: connection_string: {reason}")]
    Access { account: String, reason: AccessError },
}

impl BlobsError {
    /// Whether it comes again until a person has acted.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_permanent(),
            Self::Stream(_) => false,
            Self::Checkpoint(error) => error.is_permanent(),
            Self::Token(error) => error.is_permanent(),
            Self::Http(error) => error.needs_a_person(),
            Self::Access { .. } => true,
        }
    }

    /// Whether there is no such host to ask.
    pub fn names_no_host(&self) -> bool {
        match self {
            Self::Storage(error) => error.names_no_host(),
            Self::Token(error) => error.names_no_host(),
            Self::Http(error) => error.names_no_host(),
            _ => false,
        }
    }

    /// What to do about it, where the message does not already say so.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Storage(error) => error.remedy(),
            Self::Checkpoint(error) => Some(error.remedy().to_owned()),
            Self::Token(error) => error.remedy(),
            Self::Http(_) => Some("correct it on the Configuration page of the app, tab Settings".to_owned()),
            Self::Stream(_) | Self::Access { .. } => None,
        }
    }
}
