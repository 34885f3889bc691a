//! What Microsoft's streaming API delivers, a message's body or lines of a blob, as events: one for every record.
//!
//! A record is an envelope (`time`, `tenantId`, `operationName`, `category`, …) around `properties`, a row of an advanced
//! hunting table. It stays as it was sent: one pass over the bytes finds where each record begins and ends and what is looked
//! at, and the event borrows it. Nothing is dropped that is not counted, and what is no record is passed on as
//! [`UNPARSED`] with all its bytes.

mod scan;
mod seen;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod unparsed;

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use self::scan::{Fault, Scan};
pub use self::seen::WINDOW;
use self::seen::{Print, Seen};
pub use self::unparsed::Reason;
pub use super::{COMMUNITY, ENVELOPE, UNPARSED};
use crate::input::{Dedupe, Shape, Tables};
use crate::json::{one_line, plain};
use crate::time::Ticks;

/// The most a gzip body may inflate to. A message has 1 MB, on dedicated clusters 20 MB.
const INFLATED: u64 = 64 << 20;
/// What a `category` begins with, before the table's name.
const CATEGORY: &str = "AdvancedHunting-";

/// The sourcetype of records in a shape.
pub fn sourcetype(shape: Shape) -> &'static str {
    match shape {
        Shape::Incumbent => ENVELOPE,
        Shape::Community => COMMUNITY,
    }
}

/// `AdvancedHunting-DeviceEvents` → `DeviceEvents`.
fn strip_category(category: &str) -> &str {
    match category.get(..CATEGORY.len()) {
        Some(start) if start.eq_ignore_ascii_case(CATEGORY) => &category[CATEGORY.len()..],
        _ => category,
    }
}

/// One event before it is bound to an index, a host and a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The row's `Timestamp`; where it has none, the envelope's `time`; where that is none, now.
    pub time: Ticks,
    /// Splunk's sourcetype.
    pub sourcetype: &'static str,
    /// One line of JSON: what was sent, or of what is no record, see [`UNPARSED`].
    pub data: Cow<'a, str>,
    /// Why it is no record.
    pub unparsed: Option<Reason>,
}

/// What became of what was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records passed on.
    pub records: u64,
    /// Events that are no records, passed on as [`UNPARSED`].
    pub unparsed: u64,
    /// Records of tables that the input does not want.
    pub filtered: u64,
    /// Records left out as repeats.
    pub repeats: u64,
    /// Records among those passed on without a readable `Timestamp`.
    pub undated: u64,
    /// Members that stood beside a list of `records`, where nothing is known to stand; they are in no event.
    pub beside: u64,
}

impl Tally {
    /// Adds what became of something else.
    pub fn add(&mut self, other: Self) {
        self.records += other.records;
        self.unparsed += other.unparsed;
        self.filtered += other.filtered;
        self.repeats += other.repeats;
        self.undated += other.undated;
        self.beside += other.beside;
    }
}

/// Turns what is delivered into events.
#[derive(Debug)]
pub struct Reader {
    sourcetype: &'static str,
    tables: Tables,
    seen: Option<Seen>,
    inflated: Vec<u8>,
}

impl Reader {
    /// A reader that has seen nothing. With [`Dedupe::On`] it leaves out records whose `category`, `tenantId` and `properties` are,
    /// byte for byte, those of one of the last [`WINDOW`] records: the service repeats some, with another `time`.
    pub fn new(shape: Shape, tables: Tables, dedupe: Dedupe) -> Self {
        let seen = (dedupe == Dedupe::On).then(|| Seen::new(WINDOW));
        Self { sourcetype: sourcetype(shape), tables, seen, inflated: Vec::new() }
    }

    /// What is remembered for `dedupe`, to be kept beside a position: 16 bytes a record.
    pub fn memory(&self) -> Option<Vec<u8>> {
        self.seen.as_ref().map(Seen::to_bytes)
    }

    /// Goes on with what [`Reader::memory`] gave. False when the bytes are something else; then it begins with nothing,
    /// which only lets repeats through.
    pub fn remember(&mut self, memory: &[u8]) -> bool {
        match (&mut self.seen, Seen::read(WINDOW, memory)) {
            (Some(seen), Some(read)) => {
                *seen = read;
                true
            }
            (None, _) => true,
            (_, None) => false,
        }
    }

    /// Passes every record of a body on: `{"records":[…]}`, one record, an array of records, any number of these one after
    /// the other (JSON lines), or gzip of that. `now` is the time of records without one.
    ///
    /// A record counts as seen once `emit` took it. After an error of `emit` the rest of the body was not read, and what
    /// was taken may be in no reader's hands: a caller that goes on must read the body with a new reader.
    ///
    /// # Errors
    /// Those of `emit`. What is in the body is never one.
    pub fn read<E>(&mut self, body: &[u8], now: Ticks, mut emit: impl FnMut(Record<'_>) -> Result<(), E>) -> Result<Tally, E> {
        let mut inflated = std::mem::take(&mut self.inflated);
        inflated.clear();
        let mut pass = Pass { reader: self, now, tally: Tally::default(), emit: &mut emit };
        let result = if body.starts_with(&[0x1f, 0x8b]) {
            match MultiGzDecoder::new(body).take(INFLATED + 1).read_to_end(&mut inflated) {
                Err(_) => pass.unparsed(body, Reason::NotGzip),
                Ok(_) if inflated.len() as u64 > INFLATED => pass.unparsed(body, Reason::TooLarge),
                Ok(_) => pass.bytes(&inflated),
            }
        } else {
            pass.bytes(body)
        };
        let tally = pass.tally;
        // One that a large body made is given back.
        if inflated.capacity() <= 4 << 20 {
            self.inflated = inflated;
        }
        result.map(|()| tally)
    }
}

/// Why a text was left before its end.
enum Left<E> {
    Fault(Fault),
    Emit(E),
}

impl<E> From<Fault> for Left<E> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What is looked at in a record, as it is written there.
#[derive(Default)]
struct Envelope<'a> {
    time: Option<&'a str>,
    tenant: Option<&'a str>,
    category: Option<&'a str>,
    properties: Option<&'a str>,
    timestamp: Option<&'a str>,
}

/// One body under way.
struct Pass<'p, F> {
    reader: &'p mut Reader,
    now: Ticks,
    tally: Tally,
    emit: &'p mut F,
}

impl<E, F: FnMut(Record<'_>) -> Result<(), E>> Pass<'_, F> {
    /// Bytes that should be text. A line that is none is passed on alone.
    fn bytes(&mut self, mut body: &[u8]) -> Result<(), E> {
        loop {
            let valid = match std::str::from_utf8(body) {
                Ok(text) => return self.text(text),
                Err(error) => error.valid_up_to(),
            };
            let from = body[..valid].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let to = body[valid..].iter().position(|b| *b == b'\n').map_or(body.len(), |at| valid + at);
            if let Ok(text) = std::str::from_utf8(&body[..from]) {
                self.text(text)?;
            }
            self.unparsed(body[from..to].trim_ascii(), Reason::NotText)?;
            body = &body[to..];
        }
    }

    /// Any number of documents.
    fn text(&mut self, text: &str) -> Result<(), E> {
        let mut scan = Scan::new(text.strip_prefix('\u{feff}').unwrap_or(text));
        // Up to where everything is in an event.
        let mut done = 0;
        loop {
            scan.blank();
            if scan.peek().is_none() {
                return Ok(());
            }
            let from = scan.at();
            match self.document(&mut scan, &mut done) {
                Ok(()) => done = scan.at(),
                Err(Left::Emit(error)) => return Err(error),
                Err(Left::Fault(fault)) => {
                    // The next line that begins like a document may be one; it may be what the fault was found at.
                    let look = from.max(fault.at.saturating_sub(1));
                    let rest = &scan.between(0, scan.len()).as_bytes()[look..];
                    let next = rest.windows(2).position(|pair| matches!(pair, [b'\n', b'{' | b'[']));
                    let to = next.map_or(scan.len(), |at| look + at);
                    let piece = scan.between(done, to);
                    let begins = done + (piece.len() - piece.trim_ascii_start().len());
                    self.unparsed(piece.trim_ascii().as_bytes(), Reason::of(fault, begins))?;
                    scan.go_to(to);
                    done = to;
                }
            }
        }
    }

    fn document<'a>(&mut self, scan: &mut Scan<'a>, done: &mut usize) -> Result<(), Left<E>> {
        let from = scan.at();
        match scan.peek() {
            Some(b'[') => scan.elements(0, |scan| {
                self.element(scan, 1)?;
                *done = scan.at();
                Ok(())
            }),
            Some(b'{') => {
                scan.broken = false;
                let (mut envelope, mut batch, mut beside) = (Envelope::default(), false, 0);
                scan.members(0, |scan, name| {
                    if name.is("records") && scan.peek() == Some(b'[') {
                        batch = true;
                        return scan.elements(1, |scan| {
                            self.element(scan, 2)?;
                            *done = scan.at();
                            Ok(())
                        });
                    }
                    beside += 1;
                    envelope.member(scan, name, 1).map_err(Left::Fault)
                })?;
                if batch {
                    self.tally.beside += beside;
                    return Ok(());
                }
                self.record(scan, from, &envelope).map_err(Left::Emit)
            }
            _ => self.element(scan, 0),
        }
    }

    /// One element of a list of records.
    fn element(&mut self, scan: &mut Scan<'_>, depth: usize) -> Result<(), Left<E>> {
        let from = scan.at();
        if scan.peek() != Some(b'{') {
            scan.value(depth)?;
            return self.unparsed(scan.between(from, scan.at()).as_bytes(), Reason::NotARecord).map_err(Left::Emit);
        }
        scan.broken = false;
        let mut envelope = Envelope::default();
        scan.members(depth, |scan, name| envelope.member(scan, name, depth + 1))?;
        self.record(scan, from, &envelope).map_err(Left::Emit)
    }

    /// The record that ends where `scan` stands.
    fn record(&mut self, scan: &Scan<'_>, from: usize, envelope: &Envelope<'_>) -> Result<(), E> {
        let raw = scan.between(from, scan.at());
        let category = envelope.category.and_then(text).unwrap_or_default();
        if !self.reader.tables.contains(strip_category(&category)) {
            self.tally.filtered += 1;
            return Ok(());
        }
        let print = match (&self.reader.seen, envelope.properties) {
            (Some(seen), Some(properties)) => {
                let print = Print::of([&category, envelope.tenant.unwrap_or_default(), properties]);
                if seen.holds(print) {
                    self.tally.repeats += 1;
                    return Ok(());
                }
                Some(print)
            }
            _ => None,
        };
        let dated = envelope.timestamp.and_then(time);
        let time = dated.or_else(|| envelope.time.and_then(time)).unwrap_or(self.now);
        let data = if scan.broken { one_line(raw) } else { Cow::Borrowed(raw) };
        (self.emit)(Record { time, sourcetype: self.reader.sourcetype, data, unparsed: None })?;
        self.tally.records += 1;
        self.tally.undated += u64::from(dated.is_none());
        if let (Some(print), Some(seen)) = (print, &mut self.reader.seen) {
            seen.remember(print);
        }
        Ok(())
    }

    fn unparsed(&mut self, body: &[u8], reason: Reason) -> Result<(), E> {
        if body.is_empty() {
            return Ok(());
        }
        let data = Cow::Owned(unparsed::event(body, reason));
        (self.emit)(Record { time: self.now, sourcetype: UNPARSED, data, unparsed: Some(reason) })?;
        self.tally.unparsed += 1;
        Ok(())
    }
}

impl<'a> Envelope<'a> {
    /// Passes one member of a record, and keeps it where it is looked at. Of a name that occurs twice the first counts.
    fn member(&mut self, scan: &mut Scan<'a>, name: scan::Name<'a>, depth: usize) -> Result<(), Fault> {
        let from = scan.at();
        let place = if name.is("properties") {
            if scan.peek() == Some(b'{') {
                self.columns(scan, depth)?;
                self.properties.get_or_insert(scan.between(from, scan.at()));
                return Ok(());
            }
            &mut self.properties
        } else if name.is("category") {
            &mut self.category
        } else if name.is("time") {
            &mut self.time
        } else if name.is("tenantId") {
            &mut self.tenant
        } else {
            return scan.value(depth);
        };
        scan.value(depth)?;
        place.get_or_insert(scan.between(from, scan.at()));
        Ok(())
    }

    fn columns(&mut self, scan: &mut Scan<'a>, depth: usize) -> Result<(), Fault> {
        let is_first = self.properties.is_none();
        scan.members(depth, |scan, name| {
            let from = scan.at();
            scan.value(depth + 1)?;
            if is_first && name.is("Timestamp") {
                self.timestamp.get_or_insert(scan.between(from, scan.at()));
            }
            Ok(())
        })
    }
}

/// Whether a text is one whole JSON object, with white space around it.
pub fn is_object(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text.trim_ascii()) else { return false };
    let mut scan = Scan::new(text);
    text.starts_with('{') && scan.value(0).is_ok() && scan.at() == text.len()
}

/// A JSON string or number as text.
fn text(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if !inner.contains('\\') => Some(Cow::Borrowed(inner)),
        _ => plain(value),
    }
}

fn time(value: &str) -> Option<Ticks> {
    Ticks::parse(&text(value)?)
}
