//! JSON read where it lies: what is valid, where values begin and end, and nothing built from them. Strict as RFC 8259, so
//! that what passes is JSON to everybody.

/// How deep values may nest; `serde_json` has the same limit. Defender nests about eight levels.
const DEPTH: usize = 128;

/// Where the text stops being JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Offset in bytes.
    pub(super) at: usize,
    /// Whether the text ended there: it was cut off.
    pub(super) ended: bool,
}

/// A member's name as it was written, without its quotes.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    raw: &'a str,
    escaped: bool,
}

impl Name<'_> {
    /// Whether it is this name, however it is spelled. `name` holds nothing that must be escaped.
    pub(super) fn is(self, name: &str) -> bool {
        if !self.escaped {
            return self.raw == name;
        }
        serde_json::from_str::<String>(&format!("\"{}\"", self.raw)).is_ok_and(|text| text == name)
    }
}

/// A reader of one text.
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
    string: usize,
    /// Whether a line break was passed between two tokens; set back by whoever asks.
    pub(super) broken: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, string: 0, broken: false }
    }

    /// How far it has come.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Where the last string begins that was passed, or begun.
    pub(super) fn last_string(&self) -> usize {
        self.string
    }

    /// The text ends too early.
    pub(super) fn end_of_text(&self) -> Fault {
        Fault { at: self.text.len(), ended: true }
    }

    /// The length of the text.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Goes on elsewhere; `at` is a boundary of characters.
    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The text between two places.
    pub(super) fn between(&self, from: usize, to: usize) -> &'a str {
        &self.text[from..to]
    }

    /// The byte it stands on.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes white space.
    pub(super) fn blank(&mut self) {
        while let Some(b @ (b' ' | b'\t' | b'\n' | b'\r')) = self.peek() {
            self.broken |= matches!(b, b'\n' | b'\r');
            self.at += 1;
        }
    }

    fn fault<T>(&self, at: usize) -> Result<T, Fault> {
        Err(Fault { at, ended: at >= self.text.len() })
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return self.fault(self.at);
        }
        self.at += 1;
        Ok(())
    }

    /// Passes one value.
    pub(super) fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.members(depth, |scan, _| scan.value(depth + 1)),
            Some(b'[') => self.elements(depth, |scan| scan.value(depth + 1)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.fault(self.at),
        }
    }

    /// Passes an object. `member` is called for each member, standing on its value, which it has to pass.
    pub(super) fn members<E: From<Fault>>(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&mut Self, Name<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'{', depth)?;
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blank();
            let from = self.at + 1;
            let escaped = self.string()?;
            let name = Name { raw: self.between(from, self.at - 1), escaped };
            self.blank();
            self.expect(b':')?;
            self.blank();
            member(self, name)?;
            if self.ends(b'}')? {
                return Ok(());
            }
        }
    }

    /// Passes an array. `element` is called for each element, standing on it, and has to pass it.
    pub(super) fn elements<E: From<Fault>>(
        &mut self,
        depth: usize,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'[', depth)?;
        self.blank();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blank();
            element(self)?;
            if self.ends(b']')? {
                return Ok(());
            }
        }
    }

    /// Passes an opening bracket.
    pub(super) fn open(&mut self, bracket: u8, depth: usize) -> Result<(), Fault> {
        if depth >= DEPTH {
            return self.fault(self.at);
        }
        self.expect(bracket)
    }

    /// After a member or element: the bracket, or the comma before the next one.
    fn ends(&mut self, bracket: u8) -> Result<bool, Fault> {
        self.blank();
        if self.peek() == Some(bracket) {
            self.at += 1;
            return Ok(true);
        }
        self.expect(b',')?;
        Ok(false)
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        let same = rest.iter().zip(word.bytes()).take_while(|(a, b)| **a == *b).count();
        if same < word.len() {
            return self.fault(self.at + same);
        }
        self.at += same;
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return self.fault(self.at);
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // No digit follows a leading zero.
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Passes a string; whether it holds an escape.
    fn string(&mut self) -> Result<bool, Fault> {
        self.string = self.at;
        self.expect(b'"')?;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            let at = special(bytes, self.at);
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at = at + self.escape(at)?;
                }
                _ => return self.fault(at),
            }
        }
    }

    /// The length of the escape that begins at `at`.
    fn escape(&self, at: usize) -> Result<usize, Fault> {
        let bytes = self.text.as_bytes();
        match bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => match (at + 2..at + 6).find(|n| !bytes.get(*n).is_some_and(u8::is_ascii_hexdigit)) {
                Some(wrong) => self.fault(wrong),
                None => Ok(6),
            },
            _ => self.fault(at + 1),
        }
    }
}

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// The first byte from `at` on that means something in a string: the quote, the backslash or a control character.
///
/// Eight bytes are looked at at once. In each of the three tests the lowest marked byte is a true one (only bytes above a
/// true one can be marked by its borrow), so the lowest of all marks is.
fn special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let marks = (zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control) & HIGHS;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|b| *b >= 0x20 && *b != b'"' && *b != b'\\') {
        at += 1;
    }
    at
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// The length of the value at the start of a text, or the fault.
    fn passed(text: &str) -> Result<usize, Fault> {
        let mut scan = Scan::new(text);
        scan.value(0).map(|()| scan.at())
    }

    #[test]
    fn values_end_where_they_end() {
        for value in [
            "0",
            "-0.5e+10",
            "12345678901234567890",
            "true",
            "false",
            "null",
            "\"\"",
            r#""a\"\\\u00e9 é""#,
            "[]",
            "{}",
            "[ 1 , [ ] ]",
            "{ \"a\" : { } ,\n\"b\":[{\"c\":null}]}",
        ] {
            assert_eq!(passed(value), Ok(value.len()), "{value}");
            assert_eq!(passed(&format!("{value},")), Ok(value.len()), "{value}");
        }
    }

    #[test]
    fn faults_know_their_place() {
        for (text, at) in [
            ("", 0),
            ("x", 0),
            ("tru", 3),
            ("trux", 3),
            ("-", 1),
            ("01", usize::MAX),
            ("1.", 2),
            ("1e", 2),
            ("\"a", 2),
            ("\"a\nb\"", 2),
            (r#""\x""#, 2),
            (r#""\u12g4""#, 5),
            ("[1", 2),
            ("[1 2]", 3),
            ("[,]", 1),
            ("[1,]", 3),
            ("{\"a\"}", 4),
            ("{a:1}", 1),
            ("{\"a\":1,}", 7),
            ("{\"a\":1]", 6),
        ] {
            match passed(text) {
                // `0` is a value; what follows it is for the caller to refuse.
                Ok(end) => assert_eq!((end, at), (1, usize::MAX), "{text}"),
                Err(fault) => assert_eq!(fault, Fault { at, ended: at >= text.len() }, "{text}"),
            }
        }
    }

    #[test]
    fn depth_has_a_bound() {
        for (depth, passes) in [(DEPTH, true), (DEPTH + 1, false), (1_000_000, false)] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(passed(&text).is_ok(), passes, "{depth}");
        }
    }

    /// Texts that are JSON, or nearly.
    fn nearly_json() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"\\u00",
            "\"\\n\"",
            "1",
            "-",
            ".5",
            "e3",
            "true",
            "nul",
            " ",
            "\n",
            "\"é\u{1}\"",
            "\"long enough for a chunk\"",
            "\\",
            "\"",
        ]);
        prop::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        /// The judge is `serde_json`: the same texts pass.
        #[test]
        fn what_passes_is_json(text in nearly_json()) {
            let mut scan = Scan::new(&text);
            scan.blank();
            let ours = scan.value(0).is_ok() && { scan.blank(); scan.peek().is_none() };
            prop_assert_eq!(ours, serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn the_first_special_byte(text in "[ -~é\u{1}\u{1f}\"\\\\\u{7f}\u{fffe}]{0,40}", from in 0usize..10) {
            let bytes = text.as_bytes();
            let slow = (from..bytes.len()).find(|n| bytes[*n] < 0x20 || matches!(bytes[*n], b'"' | b'\\'));
            prop_assert_eq!(special(bytes, from), slow.unwrap_or(bytes.len().max(from)));
        }
    }
}
