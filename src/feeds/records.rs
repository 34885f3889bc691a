//! What Microsoft's streaming API delivers, a message's body or lines of a blob, as events: one for every record.
//!
//! A record is an envelope (`time`, `tenantId`, `operationName`, `category`, …) around `properties`, a row of an advanced
//! hunting table. It stays as it was sent: one pass over the bytes finds where each record begins and ends and what is looked
//! at, and the event borrows it. Nothing is dropped that is not counted, and what is no record is passed on as
//! [`UNPARSED`] with all its bytes.

mod encoding;
mod recover;
mod scan;
mod seen;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod unparsed;

use std::borrow::Cow;
use std::io::Read;

use flate2::bufread::GzDecoder;

use self::recover::{Next, Resume, Search};
use self::scan::{Fault, Scan};
pub use self::seen::WINDOW;
use self::seen::{Print, Seen};
pub use self::unparsed::Reason;
pub use super::{COMMUNITY, ENVELOPE, UNPARSED};
use crate::input::{Dedupe, Shape, Tables};
use crate::json::{one_line, plain};
use crate::planted::{Planted, planted};
use crate::time::Ticks;

/// The most a gzip body may inflate to. A message has 1 MB, on dedicated clusters 20 MB; what was packed into one has
/// seldom more, and all of it is in memory.
const INFLATED: u64 = 24 << 20;
/// Pieces of one body that are events of their own, where they are no records. More are gathered, or a megabyte of `1,1,1` would
/// become forty.
const PIECES: usize = 1000;
/// How gzip begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
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
    /// Members that stood beside a list of `records`, where nothing is known to stand; they are in no event. In a damaged body they may
    /// be parts of records, and are passed on as [`UNPARSED`].
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
        // What the body before it held is in there.
        inflated.clear();
        let mut pass = Pass { reader: self, now, tally: Tally::default(), emit: &mut emit, bytes: None, odd: Odd::default() };
        let result = pass.body(body, &mut inflated).and_then(|()| pass.gathered());
        let tally = pass.tally;
        // One that a large body made is given back.
        if inflated.capacity() <= 4 << 20 {
            self.inflated = inflated;
        }
        result.map(|()| tally)
    }
}

impl Reader {
    /// Passes on, as [`UNPARSED`], what is nothing that [`Reader::read`] reads.
    ///
    /// # Errors
    /// Those of `emit`.
    pub fn pass_on<E>(
        &mut self,
        bytes: &[u8],
        reason: Reason,
        now: Ticks,
        mut emit: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<Tally, E> {
        let mut pass = Pass { reader: self, now, tally: Tally::default(), emit: &mut emit, bytes: None, odd: Odd::default() };
        pass.unparsed(bytes, reason)?;
        Ok(pass.tally)
    }
}

/// Why a text was left before its end.
enum Left<E> {
    Fault(Fault),
    /// Everything up to there is in an event, and a document begins there.
    Anew(usize),
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
    /// The bytes that the text stands for, where they are no text: each that is none is a question mark in it.
    bytes: Option<&'p [u8]>,
    odd: Odd,
}

/// What of a body is no record.
#[derive(Default)]
struct Odd {
    /// Pieces passed on.
    count: usize,
    /// Those beyond [`PIECES`], each on a line, and what is wrong with the first.
    gathered: Vec<u8>,
    reason: Option<Reason>,
}

impl<'p, E, F: FnMut(Record<'_>) -> Result<(), E>> Pass<'p, F> {
    /// Members of gzip, which go on where the one before ends, and what stands behind or in place of them.
    fn body(&mut self, mut body: &[u8], inflated: &mut Vec<u8>) -> Result<(), E> {
        if !body.starts_with(&GZIP) {
            return self.bytes(body);
        }
        let mut fault = None;
        while body.starts_with(&GZIP) && fault.is_none() {
            let begun = inflated.len();
            let mut member = GzDecoder::new(body);
            let read = (&mut member).take(INFLATED + 1 - begun as u64).read_to_end(inflated);
            fault = match read {
                Ok(_) if inflated.len() as u64 > INFLATED => Some(Reason::TooLarge),
                Ok(_) => None,
                Err(error) => {
                    // What came before the end is what was packed; elsewhere nobody knows what is right.
                    if error.kind() != std::io::ErrorKind::UnexpectedEof {
                        inflated.truncate(begun);
                    }
                    Some(Reason::NotGzip)
                }
            };
            match fault {
                None => body = member.into_inner(),
                Some(Reason::TooLarge) => inflated.truncate(begun),
                Some(_) => {}
            }
        }
        self.bytes(inflated)?;
        match fault {
            Some(reason) => self.unparsed(body, reason),
            None => self.bytes(body),
        }
    }

    /// Bytes that should be text: UTF-8, or UTF-16 where they begin so.
    fn bytes(&mut self, body: &[u8]) -> Result<(), E> {
        if let Some(text) = encoding::utf16(body) {
            return self.text(&text);
        }
        match std::str::from_utf8(body) {
            Ok(text) => self.text(text),
            Err(_) => {
                let text = encoding::with_question_marks(body);
                let mut pass = Pass {
                    reader: &mut *self.reader,
                    now: self.now,
                    tally: self.tally,
                    emit: &mut *self.emit,
                    bytes: Some(body),
                    odd: std::mem::take(&mut self.odd),
                };
                let result = pass.text(&text);
                (self.tally, self.odd) = (pass.tally, pass.odd);
                result
            }
        }
    }

    /// Any number of documents.
    fn text(&mut self, text: &str) -> Result<(), E> {
        let mut scan = Scan::new(text);
        let mut search = Search::new(text);
        // Up to where everything is in an event.
        let mut done = 0;
        loop {
            scan.go_to(recover::gap(text, scan.at()));
            match scan.peek() {
                None => return Ok(()),
                // Between documents it separates no less than white space.
                Some(b',') if scan.at() > 0 && done > 0 => {
                    scan.go_to(scan.at() + 1);
                    done = scan.at();
                    continue;
                }
                Some(_) => {}
            }
            let from = scan.at();
            match self.document(&mut scan, &mut search, &mut done) {
                Ok(()) => done = scan.at(),
                Err(Left::Emit(error)) => return Err(error),
                Err(Left::Anew(at)) => {
                    scan.go_to(at);
                    done = at;
                }
                Err(Left::Fault(fault)) => match search.next_document(from, done, fault) {
                    Resume::Document(to) => {
                        self.piece(&scan, done, to, fault)?;
                        scan.go_to(to);
                        done = to;
                    }
                    Resume::List(list, end) => {
                        self.piece(&scan, done, list, fault)?;
                        scan.go_to(list);
                        done = list + 1;
                        match self.list(&mut scan, &mut search, 1, &mut done) {
                            Ok(()) => {
                                // The rest of the document, if that is more than its end.
                                let at = scan.at();
                                let end = end.filter(|end| *end >= at).unwrap_or(at);
                                if !scan.between(at, end).trim().trim_end_matches('}').trim().is_empty() {
                                    self.piece(&scan, at, end, fault)?;
                                }
                                let next = recover::gap(text, end);
                                let closes = end == at && scan.between(next, text.len()).starts_with('}');
                                scan.go_to(if closes { next + 1 } else { end });
                                done = scan.at();
                            }
                            Err(Left::Emit(error)) => return Err(error),
                            Err(Left::Anew(at)) => {
                                scan.go_to(at);
                                done = at;
                            }
                            Err(Left::Fault(fault)) => {
                                let to = match search.next_document(list, done, fault) {
                                    Resume::Document(to) | Resume::List(to, _) => to,
                                };
                                self.piece(&scan, done, to, fault)?;
                                scan.go_to(to);
                                done = to;
                            }
                        }
                    }
                },
            }
        }
    }

    /// Passes on what stands between two places and is no record.
    fn piece(&mut self, scan: &Scan<'_>, from: usize, to: usize, fault: Fault) -> Result<(), E> {
        self.stretch(scan, from, to, |begins| Reason::of(fault, begins))
    }

    /// The same, for what `reason` says of where it begins.
    fn stretch(&mut self, scan: &Scan<'_>, from: usize, to: usize, reason: impl Fn(usize) -> Reason) -> Result<(), E> {
        let text = scan.between(from, to);
        let begins = recover::gap(text, 0);
        let ends = text.trim_end().len().max(begins);
        let bytes = self.original(scan, from + begins, from + ends);
        let reason = if std::str::from_utf8(bytes).is_err() { Reason::NotText } else { reason(from + begins) };
        self.unparsed(bytes, reason)
    }

    /// The bytes of a piece of the text.
    fn original<'a>(&self, scan: &Scan<'a>, from: usize, to: usize) -> &'a [u8]
    where
        'p: 'a,
    {
        self.bytes.map_or(scan.between(from, to).as_bytes(), |bytes| &bytes[from..to])
    }

    fn document<'a>(&mut self, scan: &mut Scan<'a>, search: &mut Search<'a>, done: &mut usize) -> Result<(), Left<E>> {
        let from = scan.at();
        match scan.peek() {
            Some(b'[') => self.list(scan, search, 0, done),
            Some(b'{') => {
                scan.broken = false;
                let (mut envelope, mut batch) = (Envelope::default(), false);
                // Members beside the list since then.
                let (mut since, mut beside) = (from, 0);
                scan.members(0, |scan, name| {
                    if name.is("records") && scan.peek() == Some(b'[') {
                        batch = true;
                        let list = scan.at();
                        let kept = beside > 0 && (envelope.is_begun() || self.odd.count > 0);
                        if kept {
                            self.stretch(scan, since, list, |_| Reason::NotARecord).map_err(Left::Emit)?;
                            *done = list;
                        }
                        let passed = self.list(scan, search, 1, done);
                        // As long as nothing behind them is in an event, they go with what is wrong.
                        if !kept && *done > list {
                            self.tally.beside += beside;
                        }
                        (since, beside) = (scan.at(), 0);
                        return passed;
                    }
                    beside += 1;
                    envelope.member(scan, name, 1).map_err(Left::Fault)
                })?;
                if !batch {
                    return self.record(scan, from, &envelope).map_err(Left::Emit);
                }
                // A list that damage ended too early has the rest of a record behind it, one within a record has that around it, and what
                // damage cut out of a record may look like a document.
                if beside > 0 && (envelope.is_begun() || self.odd.count > 0) {
                    return self.stretch(scan, since, scan.at(), |_| Reason::NotARecord).map_err(Left::Emit);
                }
                self.tally.beside += beside;
                Ok(())
            }
            _ => {
                scan.value(0)?;
                // A number that goes on as something else is no number.
                if let Some(b'-' | b'+' | b'.' | b':' | b'/' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') = scan.peek() {
                    return Err(Fault { at: scan.at(), ended: false }.into());
                }
                let bytes = self.original(scan, from, scan.at());
                self.unparsed(bytes, Reason::NotARecord).map_err(Left::Emit)
            }
        }
    }

    /// A list of records. An element that is none is passed on by itself, and the list goes on behind it.
    fn list<'a>(&mut self, scan: &mut Scan<'a>, search: &mut Search<'a>, depth: usize, done: &mut usize) -> Result<(), Left<E>> {
        scan.open(b'[', depth)?;
        let (mut separated, mut good) = (true, None);
        loop {
            scan.blank();
            match scan.peek() {
                None => return Err(scan.end_of_text().into()),
                Some(b']') => {
                    scan.go_to(scan.at() + 1);
                    return Ok(());
                }
                // Of commas there may be too many, and too few.
                Some(b',') => {
                    scan.go_to(scan.at() + 1);
                    separated = true;
                    continue;
                }
                Some(_) => {}
            }
            let from = scan.at();
            if !separated && recover::batch(scan.between(0, scan.len()).as_bytes(), from).is_some() {
                return Err(Left::Anew(from));
            }
            let passed = if separated || scan.peek() == Some(b'{') {
                self.element(scan, depth + 1)
            } else {
                Err(Fault { at: from, ended: false }.into())
            };
            let fault = match passed {
                Ok(()) => {
                    *done = scan.at();
                    (separated, good) = (false, Some(from));
                    continue;
                }
                Err(Left::Fault(fault)) if !fault.ended => fault,
                Err(left) => return Err(left),
            };
            let next = search.next_element(from, fault, scan.last_string(), good);
            let (to, anew) = match if planted(Planted::BadRecordEndsList) { Next::Nowhere } else { next } {
                Next::Element(to) => (to, false),
                Next::Document(to) => (to, true),
                Next::Nowhere => return Err(fault.into()),
            };
            let piece = scan.between(from, to).trim_end_matches([' ', '\t', '\r', '\n', ',']).len();
            self.piece(scan, from, from + piece, fault).map_err(Left::Emit)?;
            *done = to;
            if anew {
                return Err(Left::Anew(to));
            }
            scan.go_to(to);
            separated = true;
        }
    }

    /// One element of a list of records.
    fn element(&mut self, scan: &mut Scan<'_>, depth: usize) -> Result<(), Left<E>> {
        let from = scan.at();
        if scan.peek() != Some(b'{') {
            scan.value(depth)?;
            let bytes = self.original(scan, from, scan.at());
            return self.unparsed(bytes, Reason::NotARecord).map_err(Left::Emit);
        }
        scan.broken = false;
        let mut envelope = Envelope::default();
        scan.members(depth, |scan, name| envelope.member(scan, name, depth + 1))?;
        self.record(scan, from, &envelope).map_err(Left::Emit)
    }

    /// The record that ends where `scan` stands.
    fn record(&mut self, scan: &Scan<'_>, from: usize, envelope: &Envelope<'_>) -> Result<(), E> {
        let raw = scan.between(from, scan.at());
        if let Some(bytes) = self.bytes
            && std::str::from_utf8(&bytes[from..scan.at()]).is_err()
        {
            return self.unparsed(&bytes[from..scan.at()], Reason::NotText);
        }
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

    /// Passes on what is no record, or gathers it where there is much of it.
    fn unparsed(&mut self, body: &[u8], reason: Reason) -> Result<(), E> {
        if body.is_empty() {
            return Ok(());
        }
        self.odd.count += 1;
        if self.odd.count <= PIECES {
            return self.pass_on(body, reason);
        }
        if self.odd.reason.is_some() {
            self.odd.gathered.push(b'\n');
        }
        self.odd.reason.get_or_insert(reason);
        self.odd.gathered.extend_from_slice(body);
        Ok(())
    }

    /// Passes on what was gathered.
    fn gathered(&mut self) -> Result<(), E> {
        let Odd { gathered, reason, .. } = std::mem::take(&mut self.odd);
        reason.map_or(Ok(()), |reason| self.pass_on(&gathered, reason))
    }

    /// Passes on what is no record, in parts where it is very long.
    fn pass_on(&mut self, body: &[u8], reason: Reason) -> Result<(), E> {
        for data in unparsed::events(body, reason) {
            (self.emit)(Record { time: self.now, sourcetype: UNPARSED, data: data.into(), unparsed: Some(reason) })?;
            self.tally.unparsed += 1;
        }
        Ok(())
    }
}

impl<'a> Envelope<'a> {
    /// Whether it has what only a record has.
    fn is_begun(&self) -> bool {
        self.category.is_some() || self.properties.is_some()
    }

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
