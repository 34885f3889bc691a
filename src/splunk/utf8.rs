//! Bytes in UTF-8 or UTF-16, given on as UTF-8.
//!
//! splunkd writes UTF-8; its own libraries are tested with UTF-16, and so are tools that imitate them.

use std::io::{self, Read};

/// How the bytes are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// A reader that gives on what another reader has, as UTF-8 and up to a limit. Never asks the other reader again while
/// it has something to give: the other reader may be a pipe that stays open.
#[derive(Debug)]
pub(super) struct Utf8<R: Read> {
    inner: R,
    /// Bytes that may still be read before the document is too large.
    left: u64,
    encoding: Option<Encoding>,
    /// Bytes read that make no character yet.
    raw: Vec<u8>,
    /// Whether half a character of UTF-16 is replaced (U+FFFD) instead of refused. Odd bytes of UTF-8 are given on either way.
    lossy: bool,
    /// UTF-8 not yet given on, from `given` on.
    ready: Vec<u8>,
    given: usize,
}

impl<R: Read> Utf8<R> {
    /// Reads at most `limit` bytes; beyond that, fails with [`io::ErrorKind::FileTooLarge`].
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit, encoding: None, raw: Vec::new(), lossy: false, ready: Vec::new(), given: 0 }
    }

    /// The same, for documents that may hold a broken character.
    pub(super) fn lossy(inner: R, limit: u64) -> Self {
        Self { lossy: true, ..Self::new(inner, limit) }
    }

    /// Reads once and converts what can be converted. False at the end of input.
    fn more(&mut self) -> io::Result<bool> {
        let mut block = [0; 8192];
        let length = self.inner.read(&mut block)?;
        self.left = self.left.checked_sub(length as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.raw.extend_from_slice(&block[..length]);
        let ended = length == 0;
        if self.encoding.is_none() && (ended || self.raw.len() >= 3) {
            let (encoding, mark) = detect(&self.raw);
            self.encoding = Some(encoding);
            self.raw.drain(..mark);
        }
        self.ready.clear();
        self.given = 0;
        match self.encoding {
            None => {}
            Some(Encoding::Utf8) => std::mem::swap(&mut self.ready, &mut self.raw),
            Some(Encoding::Utf16Le) => self.convert(u16::from_le_bytes, ended)?,
            Some(Encoding::Utf16Be) => self.convert(u16::from_be_bytes, ended)?,
        }
        Ok(!ended)
    }

    /// Converts whole characters; the half of one waits for its other half.
    fn convert(&mut self, unit: fn([u8; 2]) -> u16, ended: bool) -> io::Result<()> {
        let mut units: Vec<u16> = self.raw.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
        if units.last().is_some_and(|unit| (0xD800..0xDC00).contains(unit)) && !ended {
            units.pop();
        }
        self.raw.drain(..units.len() * 2);
        for character in char::decode_utf16(units) {
            let character = match character {
                Err(_) if !self.lossy => return Err(io::ErrorKind::InvalidData.into()),
                other => other.unwrap_or(char::REPLACEMENT_CHARACTER),
            };
            self.ready.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        if ended && !self.lossy && !self.raw.is_empty() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            if !self.more()? && self.ready.is_empty() {
                return Ok(0);
            }
        }
        let length = into.len().min(self.ready.len() - self.given);
        into[..length].copy_from_slice(&self.ready[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}

/// The encoding, from a byte order mark or from where the zero of the first `<` or `{` is, and the length of the mark.
fn detect(start: &[u8]) -> (Encoding, usize) {
    match start {
        [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
        [0xFE, 0xFF, ..] => (Encoding::Utf16Be, 2),
        [0xFF, 0xFE, ..] => (Encoding::Utf16Le, 2),
        [0, b'<' | b'{', ..] => (Encoding::Utf16Be, 0),
        [b'<' | b'{', 0, ..] => (Encoding::Utf16Le, 0),
        _ => (Encoding::Utf8, 0),
    }
}
