//! Events on their way to splunkd: one `<stream>` document, opened by the first event and closed on every orderly path.
//!
//! Whole events are gathered and written in blocks. When a write stops half-way nothing may follow it, or splunkd would
//! read two events as one; from then on every call fails.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::xml;
use crate::time::Ticks;

/// Bytes gathered before they are written: what a Linux pipe holds.
const BLOCK: usize = 64 << 10;
/// A buffer that one huge event made larger than this is given back.
const KEEP: usize = 4 * BLOCK;

/// One event. Members that are `None` are left out and Splunk takes the stanza's.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// `_time`, to the millisecond.
    pub time: Ticks,
    /// `source`.
    pub source: &'a str,
    /// `sourcetype`.
    pub sourcetype: &'a str,
    /// `index`; give [`Stanza::index`](super::definition::Stanza::index).
    pub index: Option<&'a str>,
    /// `host`; give [`Stanza::host`](super::definition::Stanza::host).
    pub host: Option<&'a str>,
    /// The event itself: JSON on one line.
    pub data: &'a str,
}

/// Why an event did not reach splunkd. The position must not be saved after any of these.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The reader closed its end: splunkd ended, or stopped this input without a signal.
    #[error("splunkd no longer reads this input's output; the events it did not take come again with the next run")]
    ReaderGone,
    /// The write failed for another reason.
    #[error("cannot write to standard output: {0}")]
    Write(#[source] io::Error),
    /// The stream was closed, abandoned or broken before; nothing was written.
    #[error("the event stream has ended; nothing more is written")]
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was given in yet.
    Unopened,
    /// `<stream>` is in the buffer or beyond.
    Open,
    /// `</stream>` was written, or nothing had to be.
    Ended,
    /// A write failed: what the reader holds may end inside an event.
    Broken,
}

/// The `<stream>` document on a writer. Plain `<event>` elements: without `unbroken` and `<done/>` each is one event.
#[derive(Debug)]
pub struct EventStream<W: Write> {
    out: W,
    /// Whole events, never part of one.
    buffer: Vec<u8>,
    state: State,
    /// Whether anything, and so `<stream>`, was written.
    begun: bool,
}

impl<W: Write> EventStream<W> {
    /// A stream that has written nothing.
    pub fn new(out: W) -> Self {
        Self { out, buffer: Vec::new(), state: State::Unopened, begun: false }
    }

    /// Takes an event; writes when a block is full.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn write(&mut self, event: &Event<'_>) -> Result<(), StreamError> {
        match self.state {
            State::Unopened => {
                self.buffer.extend_from_slice(b"<stream>\n");
                self.state = State::Open;
            }
            State::Open => {}
            State::Ended | State::Broken => return Err(StreamError::Ended),
        }
        let buffer = &mut self.buffer;
        buffer.extend_from_slice(b"<event><time>");
        buffer.extend_from_slice(event.time.epoch_millis().as_bytes());
        buffer.extend_from_slice(b"</time>");
        for (open, text, close) in [
            ("<source>", Some(event.source), "</source>"),
            ("<sourcetype>", Some(event.sourcetype), "</sourcetype>"),
            ("<index>", event.index, "</index>"),
            ("<host>", event.host, "</host>"),
            ("<data>", Some(event.data), "</data></event>\n"),
        ] {
            if let Some(text) = text {
                buffer.extend_from_slice(open.as_bytes());
                xml::push_text(buffer, text);
                buffer.extend_from_slice(close.as_bytes());
            }
        }
        if buffer.len() >= BLOCK { self.pass_on() } else { Ok(()) }
    }

    /// Writes what is gathered; afterwards the operating system has every event given so far.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn flush(&mut self) -> Result<(), StreamError> {
        match self.state {
            State::Unopened | State::Open => self.pass_on(),
            State::Ended | State::Broken => Err(StreamError::Ended),
        }
    }

    /// Writes what is gathered and `</stream>`, unless there was no event. Closing again does nothing.
    ///
    /// # Errors
    /// See [`StreamError`]; also when an earlier write broke the stream.
    pub fn close(&mut self) -> Result<(), StreamError> {
        match self.state {
            State::Unopened => {
                self.state = State::Ended;
                Ok(())
            }
            State::Open => {
                self.buffer.extend_from_slice(b"</stream>\n");
                self.pass_on()?;
                self.state = State::Ended;
                Ok(())
            }
            State::Ended => Ok(()),
            State::Broken => Err(StreamError::Ended),
        }
    }

    /// Ends the stream without the events still gathered: `</stream>` if splunkd saw the beginning. For a stop, when
    /// the position is not saved and what is not yet written comes with the next run anyway.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn abandon(&mut self) -> Result<(), StreamError> {
        self.buffer.clear();
        if !self.begun && self.state != State::Broken {
            self.state = State::Ended;
        }
        self.close()
    }

    /// Writes the buffer. It is emptied even when that fails: a second attempt would write events twice.
    fn pass_on(&mut self) -> Result<(), StreamError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.begun = true;
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        if self.buffer.capacity() > KEEP {
            self.buffer = Vec::new();
        }
        written.map_err(|error| {
            self.state = State::Broken;
            match error.kind() {
                io::ErrorKind::BrokenPipe => StreamError::ReaderGone,
                _ => StreamError::Write(error),
            }
        })
    }
}

/// An [`EventStream`] that the main flow writes to and that [`Stop`](super::stop::Stop) can end. The lock is held for
/// one call at a time, so whoever gets it finds whole events only.
#[derive(Debug)]
pub struct SharedStream<W: Write>(Arc<Mutex<EventStream<W>>>);

impl<W: Write> Clone for SharedStream<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write> SharedStream<W> {
    /// A stream that has written nothing.
    pub fn new(out: W) -> Self {
        Self(Arc::new(Mutex::new(EventStream::new(out))))
    }

    /// See [`EventStream::write`].
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn write(&self, event: &Event<'_>) -> Result<(), StreamError> {
        self.with(|stream| stream.write(event))
    }

    /// See [`EventStream::flush`].
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn flush(&self) -> Result<(), StreamError> {
        self.with(EventStream::flush)
    }

    /// See [`EventStream::close`].
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn close(&self) -> Result<(), StreamError> {
        self.with(EventStream::close)
    }

    /// See [`EventStream::abandon`].
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn abandon(&self) -> Result<(), StreamError> {
        self.with(EventStream::abandon)
    }

    /// Looks at the writer below, between two calls.
    pub fn inspect<T>(&self, look: impl FnOnce(&W) -> T) -> T {
        self.with(|stream| look(&stream.out))
    }

    fn with<T>(&self, act: impl FnOnce(&mut EventStream<W>) -> T) -> T {
        let mut stream = self.0.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            // A panic inside a call may have left part of an event in the buffer or in the pipe.
            let mut stream = poisoned.into_inner();
            stream.state = State::Broken;
            stream
        });
        act(&mut stream)
    }
}
