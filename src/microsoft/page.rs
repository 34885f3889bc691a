//! One list answer, read while it comes in: its rows one after the other, as Microsoft spelled them, and at its end whether
//! more are announced. Never more of it is held than a window and the row that is looked at.
//!
//! What is handed out before the end is no proof of anything: only [`PageReader::next_row`]'s `None` says that the answer was
//! whole and well-formed to its last byte.

#[cfg(test)]
mod judge;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use crate::json::index::MAX_DEPTH;
use crate::json::index::{Fault, Index};
use crate::json::value::{self, Value};
use crate::masking::foreign_text;

/// Bytes read at once, and what the window shrinks back to.
const WINDOW: usize = 128 << 10;
/// The most that one row, or one other member of the answer, may take. The largest incidents with their alerts have a few MB.
pub const ROW_LIMIT: usize = 64 << 20;

/// Where an answer's bytes come from.
pub trait Source {
    /// Why they stopped coming.
    type Error;

    /// Reads more; 0 is the end.
    ///
    /// # Errors
    /// The transport's. Nothing is read after one.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error>;
}

/// A body that is in memory.
impl Source for &[u8] {
    type Error = std::convert::Infallible;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error> {
        let (now, later) = self.split_at(into.len().min(self.len()));
        into[..now.len()].copy_from_slice(now);
        *self = later;
        Ok(now.len())
    }
}

/// Why a body is not a list answer. None of these is "no data". Places are bytes of the inflated body, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Nothing at all.
    #[error("the list answer is empty")]
    Empty,
    /// Bytes that are no text.
    #[error("the list answer is not UTF-8 (byte {at})")]
    NotUtf8 {
        /// Where the text breaks.
        at: u64,
    },
    /// JSON of another shape, or no JSON.
    #[error("the list answer is not a JSON object")]
    NotAnObject,
    /// The body stops in the middle.
    #[error("the list answer is cut off after {len} bytes")]
    Truncated {
        /// The body's length.
        len: u64,
    },
    /// Something that JSON does not allow.
    #[error("the list answer is not JSON (byte {at})")]
    Syntax {
        /// Where.
        at: u64,
    },
    /// More text after the object.
    #[error("the list answer goes on behind its end (byte {at})")]
    Trailing {
        /// Where it goes on.
        at: u64,
    },
    /// Lists in lists in lists.
    #[error("the list answer nests deeper than {MAX_DEPTH} levels (byte {at})")]
    TooDeep {
        /// The level too many.
        at: u64,
    },
    /// A row of which more than [`ROW_LIMIT`] was seen, or with millions of values.
    #[error("an object of the list answer is too large, more than {} MB or 4 million values (from byte {at})", ROW_LIMIT >> 20)]
    RowTooLarge {
        /// Where it begins.
        at: u64,
    },
    /// No `value`.
    #[error("the list answer has no `value`")]
    NoValue,
    /// `value` twice: one of the two would be lost.
    #[error("the list answer has `value` twice")]
    TwoValues,
    /// `value` is something else.
    #[error("`value` in the list answer is not an array")]
    NotAnArray,
    /// The service failed in the middle, and says so beside the rows it has.
    #[error("the list answer holds an error: {said}")]
    Failed {
        /// The error in the service's words.
        said: String,
    },
    /// The status or a header says that rows are missing.
    #[error("the list answer is not whole: {why}")]
    Partial {
        /// What says so.
        why: String,
    },
}

/// Why no further row came.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken<E> {
    /// The bytes stopped coming.
    Source(E),
    /// The bytes are not a list answer.
    Page(PageError),
}

impl<E> From<PageError> for Broken<E> {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

/// Whether a body is a list answer.
///
/// # Errors
/// See [`PageError`].
pub fn check(body: &[u8]) -> Result<(), PageError> {
    let mut page = PageReader::new(body);
    loop {
        match page.next_row() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(Broken::Page(error)) => return Err(error),
        }
    }
}

/// What comes next in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Begin,
    /// A name, or with `first` the object's end.
    Member {
        first: bool,
    },
    /// A comma or the object's end.
    AfterMember,
    /// A row, or with `first` the array's end.
    Row {
        first: bool,
    },
    /// A comma or the array's end.
    AfterRow,
    End,
}

/// How often `value` was met, and what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Array,
    Other,
    Twice,
}

/// The memory that an answer is read in. One answer after the other is given the same.
#[derive(Debug, Default)]
pub struct Room {
    window: Vec<u8>,
    index: Index,
}

/// Reads one answer.
#[derive(Debug)]
pub struct PageReader<S> {
    source: S,
    window: Vec<u8>,
    /// The window's size when no long row is in it.
    usual: usize,
    /// What of the window is read and not yet used.
    ahead: Range<usize>,
    /// Bytes of the body that lay before the window.
    before: u64,
    has_ended: bool,
    place: Place,
    found: Found,
    has_next_link: bool,
    /// What stood beside the rows in place of more of them.
    error: Option<String>,
    /// Rows given out.
    rows: u64,
    /// Rows there are, where the answer says it.
    count: Option<u64>,
    index: Index,
}

impl<S: Source> PageReader<S> {
    /// Reads nothing yet.
    pub fn new(source: S) -> Self {
        Self::within(Room::default(), source)
    }

    /// The same in memory that served before.
    pub fn within(room: Room, source: S) -> Self {
        let Room { window, index } = room;
        Self {
            source,
            window,
            usual: WINDOW,
            ahead: 0..0,
            before: 0,
            has_ended: false,
            place: Place::Begin,
            found: Found::Nothing,
            has_next_link: false,
            error: None,
            rows: 0,
            count: None,
            index,
        }
    }

    /// The same with a window of another size than the usual; a test's is so small that every row is cut.
    pub fn with_window(source: S, usual: usize) -> Self {
        Self { usual, ..Self::new(source) }
    }

    /// Gives the memory back, for the next answer; that of a huge row is not kept.
    pub fn leave(mut self) -> Room {
        self.window.truncate(self.usual);
        self.window.shrink_to(self.usual);
        self.index.shrink();
        Room { window: self.window, index: self.index }
    }

    /// Whether `@odata.nextLink` announces more; known when the last row is out. The link itself is not given out: it is
    /// never followed.
    pub fn has_next_link(&self) -> bool {
        self.has_next_link
    }

    /// How many rows the answer says that there are beyond those it gave; 0 where it says nothing.
    pub fn missing(&self) -> u64 {
        self.count.map_or(0, |count| count.saturating_sub(self.rows))
    }

    /// The next element of `value`, whatever it is: a caller that needs objects says what it does with others. `None` when
    /// the whole answer was read and all of it is as it should be. Members come in any order, and unknown ones are skipped.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn next_row(&mut self) -> Result<Option<Value<'_>>, Broken<S::Error>> {
        loop {
            match self.place {
                Place::Begin => self.begin()?,
                Place::Member { first } => self.member(first)?,
                Place::AfterMember => match self.step()? {
                    (b',', _) => self.place = Place::Member { first: false },
                    (b'}', _) => self.finish()?,
                    (_, at) => return Err(PageError::Syntax { at }.into()),
                },
                Place::Row { first } => {
                    if self.peek()? == Some(b']') && first {
                        self.ahead.start += 1;
                        self.place = Place::AfterMember;
                        continue;
                    }
                    let row = self.value()?;
                    self.rows += 1;
                    self.place = Place::AfterRow;
                    return Ok(Some(self.index.top(self.text(row)?)));
                }
                Place::AfterRow => match self.step()? {
                    (b',', _) => self.place = Place::Row { first: false },
                    (b']', _) => self.place = Place::AfterMember,
                    (_, at) => return Err(PageError::Syntax { at }.into()),
                },
                Place::End => return Ok(None),
            }
        }
    }

    fn begin(&mut self) -> Result<(), Broken<S::Error>> {
        let mark = "\u{feff}".as_bytes();
        while self.peek()? == mark.first().copied() {
            // A window may end inside of it.
            while self.ahead.len() < mark.len() && self.more()? {}
            if !self.window[self.ahead.clone()].starts_with(mark) {
                break;
            }
            self.ahead.start += mark.len();
        }
        match self.peek()? {
            None => Err(PageError::Empty.into()),
            Some(b'{') => {
                self.ahead.start += 1;
                self.place = Place::Member { first: true };
                Ok(())
            }
            Some(_) => Err(PageError::NotAnObject.into()),
        }
    }

    /// Reads a name and what belongs to it, or up to the first row.
    fn member(&mut self, first: bool) -> Result<(), Broken<S::Error>> {
        let next = self.peek()?;
        let at = self.position();
        match next {
            Some(b'}') if first => {
                self.ahead.start += 1;
                return self.finish();
            }
            Some(b'"') | None => {}
            Some(_) => return Err(PageError::Syntax { at }.into()),
        }
        let name = self.value()?;
        let name = value::unquote(self.text(name)?).ok_or(PageError::Syntax { at })?;
        let (is_rows, is_link) = (name == "value", matches!(&*name, "@odata.nextLink" | "@nextLink"));
        let is_error = matches!(&*name, "error" | "errors" | "odata.error" | "@odata.error");
        let is_count = matches!(&*name, "@odata.count" | "@count");
        match self.step()? {
            (b':', _) => {}
            (_, at) => return Err(PageError::Syntax { at }.into()),
        }
        if is_rows && self.found == Found::Nothing && self.peek()? == Some(b'[') {
            self.ahead.start += 1;
            self.found = Found::Array;
            self.place = Place::Row { first: true };
            return Ok(());
        }
        let value = self.value()?;
        let value = self.text(value)?;
        let says_more = is_link && !matches!(value, "null" | "\"\"");
        let count = if is_count { value.parse().ok() } else { None };
        let said = is_error && !matches!(value, "null" | "\"\"" | "{}" | "[]" | "false");
        let said = said.then(|| foreign_text(value));
        self.has_next_link |= says_more;
        self.count = self.count.max(count);
        self.error = self.error.take().or(said);
        if is_rows {
            // Read over all the same, so that a cut body is still told from a wrong one.
            self.found = if self.found == Found::Nothing { Found::Other } else { Found::Twice };
        }
        self.place = Place::AfterMember;
        Ok(())
    }

    /// Nothing but white space may follow the object; then says what was missing in it.
    fn finish(&mut self) -> Result<(), Broken<S::Error>> {
        if self.peek()?.is_some() {
            return Err(PageError::Trailing { at: self.position() }.into());
        }
        self.place = Place::End;
        if let Some(said) = self.error.take() {
            return Err(PageError::Failed { said }.into());
        }
        match self.found {
            Found::Array => Ok(()),
            Found::Nothing => Err(PageError::NoValue.into()),
            Found::Other => Err(PageError::NotAnArray.into()),
            Found::Twice => Err(PageError::TwoValues.into()),
        }
    }

    /// Reads one whole value, and says where in the window it lies.
    fn value(&mut self) -> Result<Range<usize>, Broken<S::Error>> {
        self.peek()?;
        loop {
            let (start, position) = (self.ahead.start, self.position());
            let at = |n: usize| position + n as u64;
            match self.index.read(&self.window[self.ahead.clone()]) {
                Ok(length) => {
                    self.ahead.start += length;
                    return Ok(start..start + length);
                }
                // The window was read from the value's beginning, and is again: it at least doubles each time.
                Err(Fault::Short) if self.more()? => {}
                Err(Fault::Short) => return Err(self.truncated()),
                Err(Fault::Syntax(n)) => return Err(PageError::Syntax { at: at(n) }.into()),
                Err(Fault::TooDeep(n)) => return Err(PageError::TooDeep { at: at(n) }.into()),
                Err(Fault::TooMany) => return Err(PageError::RowTooLarge { at: at(0) }.into()),
            }
        }
    }

    /// A part of the window as text.
    fn text(&self, part: Range<usize>) -> Result<&str, PageError> {
        let start = self.before + part.start as u64;
        std::str::from_utf8(&self.window[part]).map_err(|e| PageError::NotUtf8 { at: start + e.valid_up_to() as u64 })
    }

    /// Takes the next byte that is no white space; says what it was and where.
    fn step(&mut self) -> Result<(u8, u64), Broken<S::Error>> {
        let byte = self.peek()?.ok_or_else(|| self.truncated())?;
        let at = self.position();
        self.ahead.start += 1;
        Ok((byte, at))
    }

    /// Looks at the next byte that is no white space; `None` at the end.
    fn peek(&mut self) -> Result<Option<u8>, Broken<S::Error>> {
        loop {
            let ahead = &self.window[self.ahead.clone()];
            if let Some(n) = ahead.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
                let byte = ahead[n];
                self.ahead.start += n;
                return Ok(Some(byte));
            }
            self.ahead.start = self.ahead.end;
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Where the next byte lies in the body.
    fn position(&self) -> u64 {
        self.before + self.ahead.start as u64
    }

    fn truncated(&self) -> Broken<S::Error> {
        PageError::Truncated { len: self.before + self.ahead.end as u64 }.into()
    }

    /// Reads until the window is full, keeping what is not used yet; `false` at the end of the body.
    fn more(&mut self) -> Result<bool, Broken<S::Error>> {
        let kept = self.ahead.len();
        if self.has_ended {
            return Ok(false);
        }
        if kept > ROW_LIMIT {
            return Err(PageError::RowTooLarge { at: self.position() }.into());
        }
        self.window.copy_within(self.ahead.clone(), 0);
        self.before += self.ahead.start as u64;
        self.ahead = 0..kept;
        let size = (2 * kept).clamp(self.usual, ROW_LIMIT + self.usual);
        if self.window.len() != size {
            self.window.resize(size, 0);
            self.window.shrink_to_fit();
        }
        while self.ahead.end < size {
            let read = self.source.read(&mut self.window[self.ahead.end..]).map_err(Broken::Source)?;
            if read == 0 {
                self.has_ended = true;
                break;
            }
            self.ahead.end += read;
        }
        Ok(self.ahead.len() > kept)
    }
}
