//! Where everything lies in one JSON text: a flat list of places, made in one pass that checks every byte. No value is
//! copied and no tree is built; what is asked of the text later is read from its own bytes.
//!
//! Strings are scanned eight bytes at a time in ordinary integers. The members are short (a name has 15 bytes, a value 20), so
//! wider registers gain little: DESIGN.md has the numbers.

use super::value::unquote;

/// How deep lists and objects may lie in each other. Microsoft's nest about ten levels.
pub const MAX_DEPTH: usize = 1_000;
/// The most values of one text: with [`Node`]s of 24 bytes, 96 MB.
const MAX_NODES: usize = 4 << 20;
/// The name of a value that has none.
const NAMELESS: u32 = u32::MAX;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string without a backslash: its bytes are its text.
    Plain,
    /// A string with escapes.
    Escaped,
    /// A list.
    List,
    /// An object.
    Object,
}

/// One value. Places are bytes from the beginning of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The first byte behind the opening quote of its name; [`NAMELESS`] in a list and at the top.
    pub(super) name: u32,
    /// The closing quote of its name.
    pub(super) name_end: u32,
    /// Its first byte.
    pub(super) start: u32,
    /// Behind its last byte.
    pub(super) end: u32,
    /// The node behind it and all that is in it.
    pub(super) next: u32,
    pub(super) kind: Kind,
    /// Whether the name holds escapes.
    pub(super) name_escaped: bool,
    /// Of an object: whether one of its names has no text, as it holds half of a surrogate pair.
    pub(super) is_odd: bool,
    /// Whether something in it changes when it is made compact: white space, a null member, a name with escapes.
    pub(super) is_loose: bool,
}

/// Why a text is no JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It stops in the middle: with more bytes it may become one.
    Short,
    /// Something that JSON does not allow, at this byte.
    Syntax(usize),
    /// More than [`MAX_DEPTH`] levels, at this byte.
    TooDeep(usize),
    /// More values than are kept account of.
    TooMany,
}

/// The places of one text's values. Its memory is used again for the next text.
#[derive(Debug, Default)]
pub struct Index {
    pub(super) nodes: Vec<Node>,
    /// Lists and objects that are open.
    open: Vec<Open>,
}

/// A list or object whose end was not found yet.
#[derive(Debug)]
struct Open {
    node: u32,
    /// What was loose before it.
    loose: u32,
    /// Whether an object is around it.
    in_object: bool,
}

/// A name that waits for its value.
#[derive(Clone, Copy)]
struct Name {
    start: u32,
    end: u32,
    escaped: bool,
}

const NO_NAME: Name = Name { start: NAMELESS, end: NAMELESS, escaped: false };

impl Index {
    /// Gives back what a text with very many values needed.
    pub fn shrink(&mut self) {
        const USUAL: usize = 4 << 10;
        self.nodes.clear();
        self.nodes.shrink_to(USUAL);
        self.open.shrink_to(MAX_DEPTH);
    }

    /// Reads the value that `bytes` begins with; gives the place behind it. Whether the bytes are UTF-8 is not looked at.
    ///
    /// # Errors
    /// See [`Fault`]. A number at the very end is [`Fault::Short`], as more digits may follow.
    pub fn read(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.nodes.clear();
        self.open.clear();
        if u32::try_from(bytes.len()).is_err() {
            // Every place below fits.
            return Err(Fault::TooMany);
        }
        // Places where the compact form differs, so far; compared at both ends of a list or object.
        let mut loose = 0;
        let (mut at, mut name) = (0, NO_NAME);
        // Whether the innermost that is open is an object.
        let mut in_object = false;
        loop {
            let start = at;
            match byte(bytes, at)? {
                b'"' => {
                    let escaped;
                    (at, escaped) = string(bytes, at + 1)?;
                    self.push(name, start, at, if escaped { Kind::Escaped } else { Kind::Plain })?;
                }
                opening @ (b'{' | b'[') => {
                    if self.open.len() >= MAX_DEPTH {
                        return Err(Fault::TooDeep(at));
                    }
                    self.open.push(Open { node: self.nodes.len() as u32, loose, in_object });
                    in_object = opening == b'{';
                    self.push(name, start, at, if in_object { Kind::Object } else { Kind::List })?;
                    at = space(bytes, at + 1, &mut loose);
                    // In ASCII both closing ones stand two behind their opening ones.
                    if byte(bytes, at)? != opening + 2 {
                        (name, at) = if in_object { self.member_name(bytes, at, &mut loose)? } else { (NO_NAME, at) };
                        continue;
                    }
                    at += 1;
                    in_object = self.close(at, loose);
                }
                b'-' | b'0'..=b'9' => {
                    at = number(bytes, at)?;
                    self.push(name, start, at, Kind::Number)?;
                }
                first @ (b't' | b'f' | b'n') => {
                    let (word, kind): (&[u8], _) = match first {
                        b't' => (b"true", Kind::Bool),
                        b'f' => (b"false", Kind::Bool),
                        _ => (b"null", Kind::Null),
                    };
                    at = literal(bytes, at, word)?;
                    // Members that are null are left out of the compact form, items of a list are not.
                    loose += u32::from(first == b'n' && in_object);
                    self.push(name, start, at, kind)?;
                }
                _ => return Err(Fault::Syntax(at)),
            }
            // Ends of lists and objects, then a comma.
            loop {
                if self.open.is_empty() {
                    return Ok(at);
                }
                at = space(bytes, at, &mut loose);
                match byte(bytes, at)? {
                    b',' => break,
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return Err(Fault::Syntax(at)),
                }
                at += 1;
                in_object = self.close(at, loose);
            }
            at = space(bytes, at + 1, &mut loose);
            (name, at) = if in_object { self.member_name(bytes, at, &mut loose)? } else { (NO_NAME, at) };
        }
    }

    /// Notes a value. Of a list or object the rest is noted when it ends.
    #[inline(always)]
    fn push(&mut self, name: Name, start: usize, end: usize, kind: Kind) -> Result<(), Fault> {
        let next = self.nodes.len() + 1;
        if next > MAX_NODES {
            return Err(Fault::TooMany);
        }
        self.nodes.push(Node {
            name: name.start,
            name_end: name.end,
            start: start as u32,
            end: end as u32,
            next: next as u32,
            kind,
            name_escaped: name.escaped,
            is_odd: false,
            is_loose: false,
        });
        Ok(())
    }

    /// Notes the end of the innermost list or object; gives whether an object is around it.
    #[inline(always)]
    fn close(&mut self, end: usize, loose: u32) -> bool {
        let next = self.nodes.len() as u32;
        let Some(open) = self.open.pop() else { return false };
        if let Some(node) = self.nodes.get_mut(open.node as usize) {
            (node.end, node.next, node.is_loose) = (end as u32, next, open.loose != loose);
        }
        open.in_object
    }

    /// Reads `"name":` inside the innermost object; gives the place of the value.
    #[inline(always)]
    fn member_name(&mut self, bytes: &[u8], at: usize, loose: &mut u32) -> Result<(Name, usize), Fault> {
        if byte(bytes, at)? != b'"' {
            return Err(Fault::Syntax(at));
        }
        let (end, escaped) = string(bytes, at + 1)?;
        if escaped {
            *loose += 1;
            self.look_at_name(&bytes[at..end]);
        }
        let colon = space(bytes, end, loose);
        if byte(bytes, colon)? != b':' {
            return Err(Fault::Syntax(colon));
        }
        let name = Name { start: at as u32 + 1, end: end as u32 - 1, escaped };
        Ok((name, space(bytes, colon + 1, loose)))
    }

    /// Notes of the innermost object that this name of a member has no text.
    #[cold]
    fn look_at_name(&mut self, quoted: &[u8]) {
        let has_none = std::str::from_utf8(quoted).is_ok_and(|text| unquote(text).is_none());
        if let Some(node) = self.open.last().and_then(|open| self.nodes.get_mut(open.node as usize)) {
            node.is_odd |= has_none;
        }
    }
}

/// The byte at a place.
#[inline(always)]
fn byte(bytes: &[u8], at: usize) -> Result<u8, Fault> {
    bytes.get(at).copied().ok_or(Fault::Short)
}

/// Steps over white space.
#[inline(always)]
fn space(bytes: &[u8], mut at: usize, loose: &mut u32) -> usize {
    if bytes.get(at).is_some_and(|b| *b <= b' ') {
        let begun = at;
        while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        *loose += u32::from(at > begun);
    }
    at
}

/// The same byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The first byte of a string, from `at` on, that is not simply part of it: a quote, a backslash, a control character.
#[inline(always)]
pub(super) fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok()) {
        let chunk = u64::from_le_bytes(chunk);
        // A byte that is zero after the exclusive or borrows into its highest bit. Behind the first find the carry may tell
        // wrong, before it never.
        let (quote, backslash) = (chunk ^ eight(b'"'), chunk ^ eight(b'\\'));
        let found = (quote.wrapping_sub(eight(1)) & !quote)
            | (backslash.wrapping_sub(eight(1)) & !backslash)
            | (chunk.wrapping_sub(eight(0x20)) & !chunk);
        let found = found & eight(0x80);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes.get(at..)?.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).map(|n| at + n)
}

/// Reads a string from behind its opening quote; gives the place behind the closing one, and whether it holds escapes.
#[inline(always)]
fn string(bytes: &[u8], at: usize) -> Result<(usize, bool), Fault> {
    let at = special(bytes, at).ok_or(Fault::Short)?;
    if byte(bytes, at)? == b'"' { Ok((at + 1, false)) } else { Ok((escaped_string(bytes, at)?, true)) }
}

/// The same from the first backslash on, or whatever else is there.
#[inline(never)]
fn escaped_string(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        match byte(bytes, at)? {
            b'"' => return Ok(at + 1),
            b'\\' => at = escape(bytes, at)?,
            _ => return Err(Fault::Syntax(at)),
        }
        at = special(bytes, at).ok_or(Fault::Short)?;
    }
}

/// Steps over an escape. Half of a surrogate pair passes, as it does everywhere: it is a number, and its text has no meaning.
fn escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            for digit in at + 2..at + 6 {
                if !bytes.get(digit).ok_or(Fault::Short)?.is_ascii_hexdigit() {
                    return Err(Fault::Syntax(digit));
                }
            }
            Ok(at + 6)
        }
        Some(_) => Err(Fault::Syntax(at + 1)),
        None => Err(Fault::Short),
    }
}

fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Fault> {
    for (n, letter) in word.iter().enumerate() {
        if byte(bytes, at + n)? != *letter {
            return Err(Fault::Syntax(at + n));
        }
    }
    Ok(at + word.len())
}

/// Reads a number; the byte behind it must be there, or more digits may follow.
fn number(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    let byte = |at: usize| byte(bytes, at);
    let digits = |mut at: usize| {
        let begun = at;
        while byte(at)?.is_ascii_digit() {
            at += 1;
        }
        if at > begun { Ok(at) } else { Err(Fault::Syntax(at)) }
    };
    if byte(at)? == b'-' {
        at += 1;
    }
    at = match byte(at)? {
        b'0' => at + 1,
        _ => digits(at)?,
    };
    if byte(at)? == b'.' {
        at = digits(at + 1)?;
    }
    if matches!(byte(at)?, b'e' | b'E') {
        at += 1;
        if matches!(byte(at)?, b'+' | b'-') {
            at += 1;
        }
        at = digits(at)?;
    }
    Ok(at)
}
