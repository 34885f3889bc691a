//! JSON of splunkd with a bad byte somewhere: broken UTF-8, half a surrogate pair, a raw control character, `NaN`. It is put
//! right where it is broken, and everything around it reads as it was written. What is no JSON at all stays an error.
//!
//! It is read as it comes, never beyond the end of the value, and of what nobody wants nothing is kept.

use std::io::{self, Read};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::utf8::Utf8;

/// Lists and objects that lie deeper than this are read as `null`: what is used is at the top.
const DEEPEST: u32 = 60;
/// The most of a number or another bare word that is kept, in bytes.
const WORD: usize = 400;
/// What is read at once, in bytes.
const PIECE: usize = 8 << 10;
/// In place of what is no character.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// Why there is no value. Never repeats what was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The bytes cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// There are more of them than allowed.
    #[error("too large")]
    TooLarge,
    /// They end too early.
    #[error("cut off at line {0} column {1}")]
    Ended(u64, u64),
    /// Something else stands there.
    #[error("expected {0} at line {1} column {2}")]
    Expected(&'static str, u64, u64),
}

/// Parses a whole text that is in memory.
///
/// # Errors
/// See [`Fault`].
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    // Nearly always it is what it should be.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut source = Source::new(bytes, u64::MAX);
    let mended = source.value(usize::MAX)?.text();
    serde_json::from_str(&mended).map_err(|_| Fault::Expected("another value", 1, 1))
}

/// Where JSON comes from.
pub(super) struct Source<R: Read> {
    bytes: Utf8<R>,
    piece: Box<[u8; PIECE]>,
    filled: usize,
    at: usize,
    /// Bytes that may still be read; beyond them the text is too large.
    pub(super) left: u64,
    line: u64,
    column: u64,
}

/// A value in strict JSON, as far as there was room for it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    room: usize,
    /// Whether it is not whole, because it needs more room.
    pub(super) cut: bool,
}

impl Kept {
    /// As text, with U+FFFD where bytes are none.
    pub(super) fn text(self) -> String {
        String::from_utf8(self.bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.cut || self.bytes.len() + bytes.len() > self.room {
            self.cut = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

impl<R: Read> Source<R> {
    /// At most `limit` bytes are read.
    pub(super) fn new(reader: R, limit: u64) -> Self {
        let (filled, at, line, column) = (0, 0, 1, 0);
        Self { bytes: Utf8::lossy(reader, u64::MAX), piece: Box::new([0; PIECE]), filled, at, left: limit, line, column }
    }

    /// The byte that comes next; `None` at the end.
    fn peek(&mut self) -> Result<Option<u8>, Fault> {
        if self.at == self.filled {
            let filled = loop {
                match self.bytes.read(self.piece.as_mut_slice()) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            (self.filled, self.at) = (filled, 0);
            if filled == 0 {
                return Ok(None);
            }
        }
        Ok(Some(self.piece[self.at]))
    }

    /// Takes the byte that was peeked.
    fn take(&mut self) -> Result<(), Fault> {
        (self.line, self.column) = if self.piece[self.at] == b'\n' { (self.line + 1, 0) } else { (self.line, self.column + 1) };
        self.at += 1;
        self.left = self.left.checked_sub(1).ok_or(Fault::TooLarge)?;
        Ok(())
    }

    /// The next byte, taken.
    fn next(&mut self) -> Result<u8, Fault> {
        let byte = self.peek()?.ok_or(Fault::Ended(self.line, self.column))?;
        self.take()?;
        Ok(byte)
    }

    /// The first byte of what comes next, behind blanks. A NUL between tokens is one.
    fn token(&mut self) -> Result<u8, Fault> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\t' | b'\r' | b'\n' | 0) => self.take()?,
                Some(byte) => return Ok(byte),
                None => return Err(Fault::Ended(self.line, self.column)),
            }
        }
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault::Expected(what, self.line, self.column + 1))
    }

    /// Begins an object, whose members [`Source::member`] gives. False where another kind of value comes.
    pub(super) fn begin_object(&mut self) -> Result<bool, Fault> {
        let begins = self.token()? == b'{';
        if begins {
            self.take()?;
        }
        Ok(begins)
    }

    /// The name of the next member, whose value comes next; `None` at the object's end, which is taken. `first` as long as
    /// there was none.
    pub(super) fn member(&mut self, first: bool) -> Result<Option<String>, Fault> {
        if !self.another(first, b'}')? {
            return Ok(None);
        }
        let mut kept = Kept { room: PIECE, ..Kept::default() };
        self.name(&mut kept)?;
        Ok(Some(serde_json::from_str(&kept.text()).unwrap_or_default()))
    }

    /// The next value, in strict JSON of at most `room` bytes.
    pub(super) fn value(&mut self, room: usize) -> Result<Kept, Fault> {
        let mut kept = Kept { room, ..Kept::default() };
        self.copy(&mut kept, 0)?;
        Ok(kept)
    }

    fn copy(&mut self, kept: &mut Kept, depth: u32) -> Result<(), Fault> {
        match self.token()? {
            b'{' | b'[' if depth == DEEPEST => {
                kept.push(b"null");
                self.pass_over()
            }
            b'{' => {
                self.take()?;
                kept.push(b"{");
                let mut first = true;
                while self.another(first, b'}')? {
                    if !first {
                        kept.push(b",");
                    }
                    self.name(kept)?;
                    kept.push(b":");
                    self.copy(kept, depth + 1)?;
                    first = false;
                }
                kept.push(b"}");
                Ok(())
            }
            b'[' => {
                self.take()?;
                kept.push(b"[");
                let mut first = true;
                while self.another(first, b']')? {
                    if !first {
                        kept.push(b",");
                    }
                    self.copy(kept, depth + 1)?;
                    first = false;
                }
                kept.push(b"]");
                Ok(())
            }
            b'"' => self.string(kept),
            _ => self.word(kept),
        }
    }

    /// Whether another element comes, in front of which this stops; its end is taken. A comma too many does no harm.
    fn another(&mut self, first: bool, end: u8) -> Result<bool, Fault> {
        let mut byte = self.token()?;
        if byte == b',' && !first {
            self.take()?;
            byte = self.token()?;
        } else if byte != end && !first {
            return self.expected("`,` or the end of a list");
        }
        if byte == end {
            self.take()?;
        }
        Ok(byte != end)
    }

    /// Copies the name of a member, and takes its colon.
    fn name(&mut self, kept: &mut Kept) -> Result<(), Fault> {
        if self.token()? != b'"' {
            return self.expected("a name");
        }
        self.string(kept)?;
        if self.token()? != b':' {
            return self.expected("`:`");
        }
        self.take()
    }

    /// Passes over a list or an object, however deep it is.
    fn pass_over(&mut self) -> Result<(), Fault> {
        let mut open = 0_u64;
        loop {
            match self.token()? {
                b'"' => self.string(&mut Kept::default())?,
                byte => {
                    self.take()?;
                    match byte {
                        b'{' | b'[' => open += 1,
                        b'}' | b']' => open -= 1,
                        _ => {}
                    }
                    if open == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Copies a number, `true`, `false` or `null`; another bare word as text.
    fn word(&mut self, kept: &mut Kept) -> Result<(), Fault> {
        let mut word = Vec::new();
        while let Some(byte) = self.peek()?.filter(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(byte)) {
            self.take()?;
            if word.len() < WORD {
                word.push(byte);
            }
        }
        if word.is_empty() {
            return self.expected("value");
        }
        if serde_json::from_slice::<Value>(&word).is_ok() {
            kept.push(&word);
        } else {
            kept.push(&[b"\"", word.as_slice(), b"\""].concat());
        }
        Ok(())
    }

    /// Copies a string. Bytes that are no UTF-8 are replaced when all is text again.
    fn string(&mut self, kept: &mut Kept) -> Result<(), Fault> {
        self.take()?;
        kept.push(b"\"");
        // Half a pair, that waits for its other half.
        let mut high: Option<[u8; 4]> = None;
        loop {
            let byte = self.next()?;
            if byte != b'\\' {
                if high.take().is_some() {
                    kept.push(REPLACEMENT);
                }
                match byte {
                    b'"' => break,
                    0..0x20 => kept.push(format!("\\u{byte:04x}").as_bytes()),
                    _ => kept.push(&[byte]),
                }
                continue;
            }
            let escaped = self.peek()?.ok_or(Fault::Ended(self.line, self.column))?;
            if escaped != b'u' {
                if high.take().is_some() {
                    kept.push(REPLACEMENT);
                }
                if b"\"\\/bfnrt".contains(&escaped) {
                    self.take()?;
                    kept.push(&[b'\\', escaped]);
                } else {
                    // A backslash that escapes nothing means itself.
                    kept.push(b"\\\\");
                }
                continue;
            }
            self.take()?;
            let mut digits = [0; 4];
            let mut known = 0;
            while let Some(digit) = self.peek()?.filter(|byte| known < 4 && byte.is_ascii_hexdigit()) {
                self.take()?;
                digits[known] = digit;
                known += 1;
            }
            let code = std::str::from_utf8(&digits[..known]).ok().and_then(|digits| u16::from_str_radix(digits, 16).ok());
            let whole = |digits: [u8; 4]| [b"\\u".as_slice(), &digits].concat();
            match (high.take(), code.filter(|_| known == 4)) {
                (Some(first), Some(0xDC00..=0xDFFF)) => kept.push(&[whole(first), whole(digits)].concat()),
                (before, code) => {
                    if before.is_some() {
                        kept.push(REPLACEMENT);
                    }
                    match code {
                        Some(0xD800..=0xDBFF) => high = Some(digits),
                        Some(0xDC00..=0xDFFF) => kept.push(REPLACEMENT),
                        Some(_) => kept.push(&whole(digits)),
                        None => kept.push(&[b"\\\\u".as_slice(), &digits[..known]].concat()),
                    }
                }
            }
        }
        kept.push(b"\"");
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Value, Fault> {
        parse(bytes)
    }

    #[test]
    fn what_is_broken_is_put_right_and_the_rest_is_as_it_was() {
        let table: [(&[u8], Value); 22] = [
            (b"{\"a\":\"x\xffy\",\"b\":1}", json!({"a": "x\u{FFFD}y", "b": 1})),
            (b"{\"a\":\"\xc3\",\"b\":\"\xc3\xa9\"}", json!({"a": "\u{FFFD}", "b": "\u{e9}"})),
            (
                br#"["\ud800","\ud83d\ude00","\ude00x","\ud83d\n","\ud83d\ud83d\ude00","\ud83dx"]"#,
                json!(["\u{FFFD}", "\u{1F600}", "\u{FFFD}x", "\u{FFFD}\n", "\u{FFFD}\u{1F600}", "\u{FFFD}x"]),
            ),
            (b"[\"a\x00b\x01\n\tc\"]", json!(["a\0b\u{1}\n\tc"])),
            (br#"["C:\x\q","\u12","\u12zz","\""]"#, json!(["C:\\x\\q", "\\u12", "\\u12zz", "\""])),
            (
                b"{\"a\":NaN,\"b\":Infinity,\"c\":-Infinity,\"d\":nan}",
                json!({"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": "nan"}),
            ),
            (b"[01,.5,+1,1.5e3,-0,true,null,None]", json!(["01", ".5", "+1", 1500.0, -0.0, true, null, "None"])),
            (b"[1e999]", json!(["1e999"])),
            (b"[1,2,]", json!([1, 2])),
            (b"{\"a\":1,}", json!({"a": 1})),
            (b"{\"a\":1,\"a\":2}", json!({"a": 2})),
            (b"{}\0\0", json!({})),
            (b"\0 {} trailing", json!({})),
            (b"\xef\xbb\xbf{\"a\":1}", json!({"a": 1})),
            (b"\xef\xbb\xbf{\"a\":\"\xff\"}", json!({"a": "\u{FFFD}"})),
            (b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0", json!({"a": 1})),
            (b"\xfe\xff\0{\0\"\0a\0\"\0:\x001\0}", json!({"a": 1})),
            (b"{\0\"\0a\0\"\0:\x001\0}\0", json!({"a": 1})),
            (b"{\0\"\0\x00\xd8\"\0:\x001\0}\0", json!({"\u{FFFD}": 1})),
            (b"\x00{\0\"\0a\0\"\0:\x001\0}", json!({"a": 1})),
            (b"[NaN,{\"\xff\":[]}]", json!(["NaN", {"\u{FFFD}": []}])),
            (b"[[[]],{},NaN]", json!([[[]], {}, "NaN"])),
        ];
        for (bytes, value) in table {
            assert_eq!(read(bytes).unwrap(), value, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_is_no_json_stays_an_error() {
        for (text, fault) in [
            ("", "cut off at line 1 column 0"),
            ("{\"a\":\"x", "cut off at line 1 column 7"),
            ("{\"a\"\n:[1,", "cut off at line 2 column 4"),
            ("<html>", "expected value at line 1 column 1"),
            ("{\"a\" 1}", "expected `:` at line 1 column 6"),
            ("{1:2}", "expected a name at line 1 column 2"),
            ("[1 2]", "expected `,` or the end of a list at line 1 column 4"),
            ("[,]", "expected value at line 1 column 2"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), fault, "{text}");
        }
    }

    #[test]
    fn depth_takes_no_stack_and_no_memory() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("[{}NaN{},1]", open.repeat(500_000), close.repeat(500_000));
            let value = read(deep.as_bytes()).unwrap();
            assert_eq!(value[1], 1);
            let mut source = Source::new(deep.as_bytes(), u64::MAX);
            let kept = source.value(100).unwrap();
            assert!(kept.cut && kept.bytes.len() <= 100);
            assert!(source.peek().unwrap().is_none(), "it was passed over as a whole");
        }
    }

    #[test]
    fn nothing_is_read_beyond_the_end() {
        /// Gives what it has byte by byte, and must not be asked for more.
        struct Pipe(std::vec::IntoIter<u8>);
        impl Read for Pipe {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                into[0] = self.0.next().expect("it was asked beyond the end");
                Ok(1)
            }
        }
        let mut source = Source::new(Pipe(br#"{"a":{"b":[1]},"c":"}"}"#.to_vec().into_iter()), u64::MAX);
        assert!(source.begin_object().unwrap());
        assert_eq!(source.member(true).unwrap().as_deref(), Some("a"));
        assert_eq!(source.value(0).unwrap().text(), "");
        assert_eq!(source.member(false).unwrap().as_deref(), Some("c"));
        assert_eq!(source.value(9).unwrap().text(), "\"}\"");
        assert_eq!(source.member(false).unwrap(), None);
        let mut source = Source::new(io::repeat(b' '), 1000);
        assert!(matches!(source.value(9), Err(Fault::TooLarge)));
    }

    proptest! {
        /// Whatever byte is broken, it ends, and what strict JSON is reads the same.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\ud8c0 1a\xff\x00".to_vec()), 0..60)) {
            let mended = Source::new(bytes.as_slice(), u64::MAX).value(usize::MAX).map(Kept::text);
            if let Ok(mended) = &mended {
                prop_assert!(serde_json::from_str::<Value>(mended).is_ok(), "{}", mended);
            }
            if let Ok(value) = serde_json::from_slice::<Value>(&bytes) {
                prop_assert_eq!(serde_json::from_str::<Value>(&mended.unwrap()).unwrap(), value);
            }
        }
    }
}
