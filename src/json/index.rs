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
    open: Vec<u32>,
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
    /// Reads the value that `bytes` begins with; gives the place behind it. Whether the bytes are UTF-8 is not looked at.
    ///
    /// # Errors
    /// See [`Fault`]. A number at the very end is [`Fault::Short`], as more digits may follow.
    pub fn read(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.nodes.clear();
        self.open.clear();
        // Places where the compact form differs, so far; compared at both ends of a list or object.
        let mut loose = 0_u32;
        let mut at = 0;
        let mut name = NO_NAME;
        loop {
            let start = at;
            let kind = match *bytes.get(at).ok_or(Fault::Short)? {
                b'"' => {
                    let (end, escaped) = string(bytes, at + 1)?;
                    at = end;
                    if escaped { Kind::Escaped } else { Kind::Plain }
                }
                b'{' | b'[' => {
                    let kind = if bytes[at] == b'{' { Kind::Object } else { Kind::List };
                    if self.open.len() >= MAX_DEPTH {
                        return Err(Fault::TooDeep(at));
                    }
                    let node = place(self.nodes.len())?;
                    self.push(name, start, kind, loose)?;
                    at = space(bytes, at + 1, &mut loose);
                    let close = if kind == Kind::Object { b'}' } else { b']' };
                    if *bytes.get(at).ok_or(Fault::Short)? == close {
                        at += 1;
                        self.close(node, at, loose);
                        at = match self.follow(bytes, at, &mut name, &mut loose)? {
                            Next::Value(at) => at,
                            Next::End(at) => return Ok(at),
                        };
                        continue;
                    }
                    self.open.push(node);
                    name = NO_NAME;
                    if kind == Kind::Object {
                        (name, at) = self.member_name(bytes, at, &mut loose)?;
                    }
                    continue;
                }
                b'-' | b'0'..=b'9' => {
                    at = number(bytes, at)?;
                    Kind::Number
                }
                b't' => literal(bytes, &mut at, b"true", Kind::Bool)?,
                b'f' => literal(bytes, &mut at, b"false", Kind::Bool)?,
                b'n' => {
                    // Members that are null are left out of the compact form, items of a list are not.
                    loose += u32::from(name.start != NAMELESS);
                    literal(bytes, &mut at, b"null", Kind::Null)?
                }
                _ => return Err(Fault::Syntax(at)),
            };
            let node = place(self.nodes.len())?;
            self.push(name, start, kind, loose)?;
            self.close(node, at, loose);
            at = match self.follow(bytes, at, &mut name, &mut loose)? {
                Next::Value(at) => at,
                Next::End(at) => return Ok(at),
            };
        }
    }

    /// Notes a value that begins. `loose` is kept in `next` until [`Index::close`].
    #[inline]
    fn push(&mut self, name: Name, start: usize, kind: Kind, loose: u32) -> Result<(), Fault> {
        if self.nodes.len() >= MAX_NODES {
            return Err(Fault::TooMany);
        }
        let start = place(start)?;
        self.nodes.push(Node {
            name: name.start,
            name_end: name.end,
            start,
            end: start,
            next: loose,
            kind,
            name_escaped: name.escaped,
            is_odd: false,
            is_loose: false,
        });
        Ok(())
    }

    #[inline]
    fn close(&mut self, node: u32, end: usize, loose: u32) {
        let next = self.nodes.len();
        let node = &mut self.nodes[node as usize];
        node.is_loose = node.next != loose;
        // Both fit: the text's length and the number of nodes were compared when they began.
        node.end = u32::try_from(end).unwrap_or(u32::MAX);
        node.next = u32::try_from(next).unwrap_or(u32::MAX);
    }

    /// What comes behind a value that ends at `at`: ends of lists and objects, then the next value or the end of all.
    #[inline]
    fn follow(&mut self, bytes: &[u8], mut at: usize, name: &mut Name, loose: &mut u32) -> Result<Next, Fault> {
        loop {
            let Some(&node) = self.open.last() else { return Ok(Next::End(at)) };
            at = space(bytes, at, loose);
            let is_object = self.nodes[node as usize].kind == Kind::Object;
            match *bytes.get(at).ok_or(Fault::Short)? {
                b',' => {
                    at = space(bytes, at + 1, loose);
                    if is_object {
                        (*name, at) = self.member_name(bytes, at, loose)?;
                    } else {
                        *name = NO_NAME;
                    }
                    return Ok(Next::Value(at));
                }
                b'}' if is_object => {}
                b']' if !is_object => {}
                _ => return Err(Fault::Syntax(at)),
            }
            at += 1;
            self.open.pop();
            self.close(node, at, *loose);
        }
    }

    /// Reads `"name":` inside the innermost object; gives the place of the value.
    #[inline]
    fn member_name(&mut self, bytes: &[u8], at: usize, loose: &mut u32) -> Result<(Name, usize), Fault> {
        match bytes.get(at) {
            Some(b'"') => {}
            Some(_) => return Err(Fault::Syntax(at)),
            None => return Err(Fault::Short),
        }
        let (end, escaped) = string(bytes, at + 1)?;
        if escaped {
            *loose += 1;
            let text = std::str::from_utf8(&bytes[at..end]);
            if text.is_ok_and(|text| unquote(text).is_none())
                && let Some(&object) = self.open.last()
            {
                self.nodes[object as usize].is_odd = true;
            }
        }
        let name = Name { start: place(at + 1)?, end: place(end - 1)?, escaped };
        let colon = space(bytes, end, loose);
        match bytes.get(colon) {
            Some(b':') => Ok((name, space(bytes, colon + 1, loose))),
            Some(_) => Err(Fault::Syntax(colon)),
            None => Err(Fault::Short),
        }
    }
}

enum Next {
    /// A value begins here.
    Value(usize),
    /// The outermost value ended here.
    End(usize),
}

/// A place in a text as it is kept. Texts of 4 GB do not occur: the reader of answers refuses far shorter ones.
#[inline]
fn place(at: usize) -> Result<u32, Fault> {
    u32::try_from(at).ok().filter(|at| *at != NAMELESS).ok_or(Fault::TooMany)
}

/// Steps over white space.
#[inline]
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
#[inline]
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
#[inline]
fn string(bytes: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        at = special(bytes, at).ok_or(Fault::Short)?;
        match bytes[at] {
            b'"' => return Ok((at + 1, escaped)),
            b'\\' => {
                escaped = true;
                at = escape(bytes, at)?;
            }
            _ => return Err(Fault::Syntax(at)),
        }
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

fn literal(bytes: &[u8], at: &mut usize, word: &[u8], kind: Kind) -> Result<Kind, Fault> {
    for (n, letter) in word.iter().enumerate() {
        if bytes.get(*at + n).ok_or(Fault::Short)? != letter {
            return Err(Fault::Syntax(*at + n));
        }
    }
    *at += word.len();
    Ok(kind)
}

/// Reads a number; the byte behind it must be there, or more digits may follow.
fn number(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    let byte = |at: usize| bytes.get(at).copied().ok_or(Fault::Short);
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
