//! Where reading goes on behind what is no JSON: what is good around one bad piece stays apart from it.
//!
//! Whatever is found here is only a place to go on at. Nothing between two places is lost: it is passed on as a piece.

use super::scan::{Fault, Scan};

/// How often a text may be looked through in all for the ends of bad pieces. Beyond that, pieces only become larger.
const LOOKS: usize = 8;

/// The search through one text.
pub(super) struct Search<'a> {
    bytes: &'a [u8],
    text: &'a str,
    /// Bytes that may still be looked at.
    work: usize,
}

/// Where a list goes on behind a bad element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At the comma behind it, at the list's end, or at the next element.
    Element(usize),
    /// At a document that has a list of records of its own.
    Document(usize),
    /// Nothing is found: the list is over.
    Nowhere,
}

/// Where a text goes on behind a bad document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// At the next document, or at the end.
    Document(usize),
    /// At the list of records within the bad one, `[`; that ends there, where its end is known.
    List(usize, Option<usize>),
}

impl<'a> Search<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), text, work: text.len().saturating_mul(LOOKS) }
    }

    /// Behind a bad element of a list that begins at `from`. `string` is where the last string before the fault begins: the next
    /// element may begin in it, when its last quote is missing. `good` is where a good element of the list begins, if there was one.
    pub(super) fn next_element(&mut self, from: usize, fault: Fault, string: usize, good: Option<usize>) -> Next {
        let end = match self.bytes.get(from) {
            Some(b'{' | b'[' | b'"') => self.balanced(from),
            _ => self.bytes[from..].iter().position(|b| matches!(b, b',' | b']' | b'{')).map(|at| from + at),
        };
        if let Some(end) = end
            && let Some(b',' | b']' | b'{') = self.bytes.get(self.blank(end))
        {
            return Next::Element(end);
        }
        // Brackets and quotes do not tell. What begins with the name that elements begin with here is one.
        let keys = [self.first_name(from), good.and_then(|good| self.first_name(good)), Some(b"\"time\"".as_slice())];
        let begin = string.min(fault.at).max(from + 1);
        let mut at = begin;
        let mut other = None;
        while let Some(found) = self.find(at, b'{') {
            if batch(self.bytes, found).is_some() {
                return other.map_or(Next::Document(found), Next::Element);
            }
            match self.first_key(found) {
                key @ Some(_) if keys.contains(&key) => return Next::Element(found),
                Some(_) if other.is_none() && self.follows_an_object(found) => other = Some(found),
                _ => {}
            }
            at = found + 1;
        }
        other.map_or(Next::Nowhere, Next::Element)
    }

    /// Whether what begins there comes behind an object and a comma, or on a line of its own.
    fn follows_an_object(&self, at: usize) -> bool {
        let before = &self.bytes[..at];
        let trimmed = before.trim_ascii_end();
        let own_line = before[trimmed.len()..].contains(&b'\n');
        trimmed.strip_suffix(b",").is_some_and(|rest| own_line || rest.trim_ascii_end().ends_with(b"}"))
    }

    /// Behind a bad document that begins at `from` and was read up to `done`.
    pub(super) fn next_document(&mut self, from: usize, done: usize, fault: Fault) -> Resume {
        let structured = matches!(self.bytes.get(from), Some(b'{' | b'['));
        let end = if structured { self.balanced(from).filter(|end| *end > done) } else { None };
        let line = self.next_line(from, done, fault, end);
        let to = match (line, end) {
            (Some(line), Some(end)) => Some(line.min(end)),
            (line, end) => line.or(end),
        };
        if self.bytes.get(from) == Some(&b'{') {
            let looked = &self.bytes[..to.unwrap_or(self.bytes.len())];
            if let Some(list) = list_of_records(looked, fault.at.max(done)) {
                return Resume::List(list, to);
            }
        }
        if let Some(to) = to {
            return Resume::Document(to);
        }
        if fault.ended && structured {
            return Resume::Document(self.bytes.len());
        }
        let mut at = fault.at.max(from + 1);
        while let Some(found) = self.find(at, b'{') {
            if self.begins_a_document(found) {
                return Resume::Document(found);
            }
            at = found + 1;
        }
        Resume::Document(self.bytes.len())
    }

    /// The next line that may be a document: one that begins like an object or a list, no further in than the bad one; or one that is
    /// a whole document by itself, wherever it begins, where no end of the bad one is known.
    fn next_line(&mut self, from: usize, done: usize, fault: Fault, end: Option<usize>) -> Option<usize> {
        let indent = from - self.bytes[..from].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let mut at = done.max(from);
        let mut whole = None;
        loop {
            let line = self.find(at, b'\n')? + 1;
            let begins = gap(self.text, line);
            at = line;
            if !matches!(self.bytes.get(begins), Some(b'{' | b'[')) {
                if begins >= self.bytes.len() {
                    return whole;
                }
                continue;
            }
            let outer = begins - line <= indent;
            if outer && line > fault.at.saturating_sub(1) {
                return Some(whole.unwrap_or(begins));
            }
            if whole.is_none() && (outer || end.is_none()) && self.is_whole_line(begins) {
                whole = Some(begins);
                if outer {
                    return whole;
                }
            }
            if self.work == 0 {
                return whole;
            }
        }
    }

    /// Whether a document begins there and ends with its line.
    fn is_whole_line(&mut self, from: usize) -> bool {
        let Ok(end) = self.value(from) else { return false };
        let rest = &self.bytes[end..];
        rest.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r')).is_none_or(|b| *b == b'\n')
    }

    /// Whether what begins there is a batch, an object, or one that is cut off.
    fn begins_a_document(&mut self, from: usize) -> bool {
        if batch(self.bytes, from).is_some() {
            return true;
        }
        self.first_key(from).is_some()
            && match self.value(from) {
                Ok(_) => true,
                Err(fault) => fault.ended && self.work > 0,
            }
    }

    /// The end of the value that begins there.
    fn value(&mut self, from: usize) -> Result<usize, Fault> {
        let nothing = Fault { at: from, ended: false };
        if self.work == 0 {
            return Err(nothing);
        }
        let mut scan = Scan::new(self.text);
        scan.go_to(from);
        let passed = scan.value(0).map(|()| scan.at());
        let looked = match &passed {
            Ok(end) => *end,
            Err(fault) => fault.at,
        };
        self.work = self.work.saturating_sub(looked.saturating_sub(from) + 1);
        passed
    }

    fn find(&self, from: usize, byte: u8) -> Option<usize> {
        let found = self.bytes.get(from..)?.iter().position(|b| *b == byte)?;
        Some(from + found)
    }

    /// Where what begins with a bracket or a quote ends, by its brackets and quotes alone. `None` when they do not fit, or when a
    /// string looks like what stands between two: then a quote is missing, or one too many.
    fn balanced(&mut self, from: usize) -> Option<usize> {
        let mut open = Vec::new();
        let mut at = from;
        let end = loop {
            if at - from > self.work {
                break None;
            }
            match self.bytes.get(at) {
                None => break None,
                Some(b'"') => match self.string(at) {
                    Some(end) => at = end,
                    None => break None,
                },
                Some(bracket @ (b'{' | b'[')) => {
                    open.push(*bracket);
                    at += 1;
                }
                Some(bracket @ (b'}' | b']')) => {
                    if open.pop() != Some(if *bracket == b'}' { b'{' } else { b'[' }) {
                        break None;
                    }
                    at += 1;
                }
                Some(_) => at += 1,
            }
            if open.is_empty() {
                break Some(at);
            }
        };
        self.work = self.work.saturating_sub(at.saturating_sub(from) + 1);
        end
    }

    /// The end of the string that begins there, whatever it holds.
    fn string(&self, from: usize) -> Option<usize> {
        let mut at = from + 1;
        loop {
            match self.bytes.get(at)? {
                b'\\' => at += 2,
                b'"' => break,
                _ => at += 1,
            }
        }
        let inside = self.bytes[from + 1..at].trim_ascii_end();
        if let Some(before) = inside.strip_suffix(b"{") {
            let between = matches!(before.trim_ascii_end().last(), Some(b',' | b'['));
            if between || inside.contains(&b'\n') {
                return None;
            }
        }
        Some(at + 1)
    }

    /// The name of the first member of the object that begins there, with its quotes.
    fn first_key(&self, from: usize) -> Option<&'a [u8]> {
        let name = self.first_name(from)?;
        let end = self.blank(from + 1) + name.len();
        (self.bytes.get(self.blank(end)) == Some(&b':')).then_some(name)
    }

    /// The same of an object that may be cut off behind it.
    fn first_name(&self, from: usize) -> Option<&'a [u8]> {
        if self.bytes.get(from) != Some(&b'{') {
            return None;
        }
        let name = self.blank(from + 1);
        if self.bytes.get(name) != Some(&b'"') {
            return None;
        }
        // Longer than any name of Microsoft's.
        let inside = self.bytes[name + 1..].iter().take(128).position(|b| *b == b'"')?;
        Some(&self.bytes[name..name + 1 + inside + 1])
    }

    fn blank(&self, at: usize) -> usize {
        blank(self.bytes, at)
    }
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where what is neither white space of any kind nor a byte order mark begins.
pub(super) fn gap(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    text.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len()
}

/// Where the list begins, when a document begins there whose first member is a list of records.
pub(super) fn batch(bytes: &[u8], at: usize) -> Option<usize> {
    (bytes.get(at) == Some(&b'{')).then(|| list_at(bytes, blank(bytes, at + 1)))?
}

fn list_at(bytes: &[u8], at: usize) -> Option<usize> {
    const NAME: &[u8] = b"\"records\"";
    let rest = bytes.get(at..)?.strip_prefix(NAME)?;
    let colon = at + NAME.len() + blank(rest, 0);
    let list = blank(bytes, (bytes.get(colon) == Some(&b':')).then_some(colon + 1)?);
    (bytes.get(list) == Some(&b'[')).then_some(list)
}

/// The first list of records from there on.
fn list_of_records(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let quote = at + bytes.get(at..)?.iter().position(|b| *b == b'"')?;
        if let Some(list) = list_at(bytes, quote) {
            return Some(list);
        }
        at = quote + 1;
    }
}
