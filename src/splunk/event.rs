//! Events on their way to splunkd: one `<stream>` document, opened by the first event and closed on every orderly path.
//!
//! Whole events are gathered and written in blocks. When a write stops half-way nothing may follow it, or splunkd would
//! read two events as one; from then on every call fails.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::xml;
use crate::time::Ticks;

/// The most that is written at once: what a Linux pipe holds. One byte more, and the program sleeps in every write until the
/// reader made room.
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

    /// Takes an event; writes the ones before it when there is no room for it in their block.
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
        let before = buffer.len();
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
        if buffer.len() > BLOCK { self.pass_on(before) } else { Ok(()) }
    }

    /// Writes what is gathered; afterwards the operating system has every event given so far.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn flush(&mut self) -> Result<(), StreamError> {
        match self.state {
            State::Unopened | State::Open => self.pass_on(self.buffer.len()),
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
                self.pass_on(self.buffer.len())?;
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

    /// Writes the first bytes of the buffer. They leave it even when that fails: a second attempt would write events twice.
    fn pass_on(&mut self, length: usize) -> Result<(), StreamError> {
        if length == 0 {
            return Ok(());
        }
        self.begun = true;
        let written = self.out.write_all(&self.buffer[..length]).and_then(|()| self.out.flush());
        self.buffer.drain(..length);
        if self.buffer.capacity() > KEEP {
            self.buffer.shrink_to(BLOCK);
        }
        written.map_err(|error| {
            self.buffer.clear();
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
pub struct SharedStream<W: Write>(Arc<Shared<W>>);

#[derive(Debug)]
struct Shared<W: Write> {
    /// Set by whoever abandons, before it waits for the lock: a flow that takes it again and again would keep it out.
    abandoned: AtomicBool,
    stream: Mutex<EventStream<W>>,
}

impl<W: Write> Clone for SharedStream<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write> SharedStream<W> {
    /// A stream that has written nothing.
    pub fn new(out: W) -> Self {
        Self(Arc::new(Shared { abandoned: AtomicBool::new(false), stream: Mutex::new(EventStream::new(out)) }))
    }

    /// See [`EventStream::write`].
    ///
    /// # Errors
    /// See [`StreamError`]; [`StreamError::Ended`] also when a stop abandoned the stream meanwhile, which is no failure:
    /// ask [`Stop::requested`](super::stop::Stop::requested) first.
    pub fn write(&self, event: &Event<'_>) -> Result<(), StreamError> {
        if self.0.abandoned.load(Ordering::Acquire) {
            return Err(StreamError::Ended);
        }
        self.with(|stream| stream.write(event))
    }

    /// See [`EventStream::flush`].
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn flush(&self) -> Result<(), StreamError> {
        if self.0.abandoned.load(Ordering::Acquire) {
            return Err(StreamError::Ended);
        }
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
        self.0.abandoned.store(true, Ordering::Release);
        self.with(EventStream::abandon)
    }

    /// Looks at the writer below, between two calls.
    pub fn inspect<T>(&self, look: impl FnOnce(&W) -> T) -> T {
        self.with(|stream| look(&stream.out))
    }

    fn with<T>(&self, act: impl FnOnce(&mut EventStream<W>) -> T) -> T {
        let mut stream = self.0.stream.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            // A panic inside a call may have left part of an event in the buffer or in the pipe.
            let mut stream = poisoned.into_inner();
            stream.state = State::Broken;
            stream
        });
        act(&mut stream)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const EVENT: Event<'_> =
        Event { time: Ticks(13_722_746_224_930_000), source: "s", sourcetype: "t", index: None, host: None, data: "{}" };
    const ONE: &str = "<event><time>1372274622.493</time><source>s</source><sourcetype>t</sourcetype><data>{}</data></event>\n";

    /// Takes a number of bytes, then fails; remembers every write that was tried.
    #[derive(Default)]
    struct Fails {
        room: usize,
        kind: Option<io::ErrorKind>,
        taken: Vec<u8>,
        writes: usize,
    }

    impl Write for Fails {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            let length = bytes.len().min(self.room);
            self.room -= length;
            self.taken.extend_from_slice(&bytes[..length]);
            if length == 0 { Err(self.kind.unwrap().into()) } else { Ok(length) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn text(stream: &EventStream<Vec<u8>>) -> &str {
        std::str::from_utf8(&stream.out).unwrap()
    }

    #[test]
    fn no_event_no_stream() {
        let mut stream = EventStream::new(Vec::new());
        stream.flush().unwrap();
        stream.close().unwrap();
        stream.close().unwrap();
        assert_eq!(text(&stream), "");
        assert!(matches!(stream.write(&EVENT), Err(StreamError::Ended)));
        assert!(matches!(stream.flush(), Err(StreamError::Ended)));
    }

    #[test]
    fn one_document_opened_once_and_closed_once() {
        let mut stream = EventStream::new(Vec::new());
        stream.write(&EVENT).unwrap();
        assert_eq!(text(&stream), "", "gathered, not written");
        stream.flush().unwrap();
        assert_eq!(text(&stream), format!("<stream>\n{ONE}"));
        let full = Event {
            time: Ticks(0),
            source: "a&b",
            sourcetype: "<t>",
            index: Some("main"),
            host: Some("h\"1\""),
            data: "{\"a\":\"]]>\u{1}\"}",
        };
        stream.write(&full).unwrap();
        stream.close().unwrap();
        stream.close().unwrap();
        let second = "<event><time>0.000</time><source>a&amp;b</source><sourcetype>&lt;t&gt;</sourcetype><index>main</index>\
                      <host>h\"1\"</host><data>{\"a\":\"]]&gt;\u{FFFD}\"}</data></event>\n";
        assert_eq!(text(&stream), format!("<stream>\n{ONE}{second}</stream>\n"));
    }

    #[test]
    fn whole_events_are_written_in_blocks() {
        let data = "x".repeat(1000);
        let mut stream = EventStream::new(Vec::new());
        let mut seen = 0;
        for _ in 0..1000 {
            stream.write(&Event { data: &data, ..EVENT }).unwrap();
            if stream.out.len() > seen {
                assert!((BLOCK - 1200..=BLOCK).contains(&(stream.out.len() - seen)));
                assert!(stream.out.ends_with(b"</event>\n"));
                seen = stream.out.len();
            }
        }
        assert!(seen > 900_000);
        let huge = "y".repeat(2 << 20);
        for _ in 0..2 {
            stream.write(&Event { data: &huge, ..EVENT }).unwrap();
        }
        assert_eq!(text(&stream).matches(&huge).count(), 1, "the second waits for its successor");
        stream.flush().unwrap();
        assert!(stream.buffer.capacity() <= KEEP, "one huge event does not stay in memory");
        stream.close().unwrap();
        assert_eq!(text(&stream).matches("</event>\n<event>").count(), 1001);
    }

    #[test]
    fn nothing_follows_half_an_event() {
        for (kind, gone) in [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)] {
            let mut stream = EventStream::new(Fails { room: 30, kind: Some(kind), ..Fails::default() });
            stream.write(&EVENT).unwrap();
            let error = stream.flush().unwrap_err();
            assert_eq!(matches!(error, StreamError::ReaderGone), gone, "{error}");
            let writes = stream.out.writes;
            for result in [stream.write(&EVENT), stream.flush(), stream.close(), stream.abandon()] {
                assert!(matches!(result, Err(StreamError::Ended)));
            }
            assert_eq!((stream.out.writes, stream.out.taken.len()), (writes, 30));
        }
    }

    #[test]
    fn an_abandoned_stream_ends_after_what_was_written() {
        let mut stream = EventStream::new(Vec::new());
        stream.write(&EVENT).unwrap();
        stream.abandon().unwrap();
        assert_eq!(text(&stream), "", "splunkd saw no beginning");
        let mut stream = EventStream::new(Vec::new());
        stream.write(&EVENT).unwrap();
        stream.flush().unwrap();
        stream.write(&Event { data: "later", ..EVENT }).unwrap();
        stream.abandon().unwrap();
        stream.close().unwrap();
        assert_eq!(text(&stream), format!("<stream>\n{ONE}</stream>\n"));
        assert!(matches!(stream.write(&EVENT), Err(StreamError::Ended)));
    }

    #[test]
    fn whoever_gets_the_lock_finds_whole_events() {
        let shared = SharedStream::new(Vec::new());
        let (begun, other) = (mpsc::channel(), shared.clone());
        let writer = std::thread::spawn(move || {
            let data = "z".repeat(10_000);
            let mut taken = 0;
            while other.write(&Event { data: &data, ..EVENT }).is_ok() {
                taken += 1;
                let _ = begun.0.send(());
            }
            taken
        });
        for _ in 0..20 {
            begun.1.recv().unwrap();
        }
        shared.abandon().unwrap();
        assert!(writer.join().unwrap() >= 20);
        let text = shared.inspect(|out| String::from_utf8(out.clone()).unwrap());
        assert!(text.starts_with("<stream>\n<event>") && text.ends_with("</event>\n</stream>\n"));
        assert_eq!(text.matches("</stream>").count(), 1);
    }

    #[test]
    fn a_panic_inside_a_call_breaks_the_stream() {
        struct Panics;
        impl Write for Panics {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                panic!("in the middle")
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let shared = SharedStream::new(Panics);
        shared.write(&EVENT).unwrap();
        let other = shared.clone();
        std::thread::spawn(move || other.flush()).join().unwrap_err();
        assert!(matches!(shared.close(), Err(StreamError::Ended)));
    }
}
