//! JSON rewritten without building a tree: numbers keep their spelling, unknown members pass through.

pub mod index;
pub mod value;

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of one object in their order, values as they were written. A name may occur twice.
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object one level deep.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The first member of that name.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// A string or number member as text; other kinds and `null` are `None`.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        plain(self.get(name)?.get())
    }
}

/// A JSON string or number as text; other kinds are `None`.
pub fn plain(value: &str) -> Option<Cow<'_, str>> {
    match value.as_bytes().first()? {
        b'"' => serde_json::from_str::<BorrowedText<'_>>(value).ok().map(|text| text.0),
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(value)),
        _ => None,
    }
}

/// A string that borrows when it holds no escape.
#[derive(Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<BorrowedText<'de>, &'de RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// How deep nulls are dropped; what lies deeper is copied. Defender nests about eight levels.
const MAX_DEPTH: usize = 64;

/// What Splunk extracts fields from by default (`limits.conf [spath] extraction_cutoff`, in bytes).
pub const CUTOFF: usize = 5_000;
/// What scalars may take of it before the longest of them have to stand back.
const SCALARS: usize = 2_900;
/// A list or object of at most this many bytes goes before the long scalars that had to stand back.
const SMALL: usize = 512;

/// Where a member of an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With its like: scalars before lists and objects, and of these the small before the big.
    Natural,
    /// Behind the scalars, before every other list or object.
    Early,
}

/// One member of an event that is being composed.
pub struct Piece<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    place: Place,
    /// Whether the value is as Microsoft sent it and may hold nulls.
    is_raw: bool,
}

impl<'a> Piece<'a> {
    /// A member as it came.
    pub fn raw(name: Cow<'a, str>, value: &'a RawValue, place: Place) -> Self {
        Self { name, value: Cow::Borrowed(value.get()), place, is_raw: true }
    }

    /// A member made here, from compact JSON.
    pub fn made(name: &'a str, value: String, place: Place) -> Self {
        Self { name: Cow::Borrowed(name), value: Cow::Owned(value), place, is_raw: false }
    }

    fn is_scalar(&self) -> bool {
        !self.value.starts_with(['{', '['])
    }
}

/// One event as compact JSON: the member `first` leads, then the other scalars in Microsoft's order, then what has an early
/// place, then lists and objects, the smallest first. Scalars that would fill [`CUTOFF`] alone stand back behind the small
/// lists, the longest last. Members that are null are dropped at every level, so is insignificant white space.
pub fn compose(mut pieces: Vec<Piece<'_>>, first: &str) -> String {
    pieces.retain(|piece| piece.value != "null");
    let longest_fitting = longest_fitting(&pieces);
    pieces.sort_by_key(|piece| match piece.place {
        _ if piece.name == first => (0, 0),
        _ if piece.is_scalar() && piece.value.len() <= longest_fitting => (1, 0),
        Place::Early => (2, 0),
        Place::Natural if piece.is_scalar() => (4, piece.value.len()),
        Place::Natural if piece.value.len() <= SMALL => (3, piece.value.len()),
        Place::Natural => (5, piece.value.len()),
    });
    let bytes: usize = pieces.iter().map(|piece| piece.name.len() + piece.value.len() + 4).sum();
    let mut out = String::with_capacity(bytes);
    out.push('{');
    for piece in &pieces {
        member(&mut out, &piece.name);
        if piece.is_raw { compact_value(&mut out, &piece.value, 1) } else { out.push_str(&piece.value) }
    }
    out.push('}');
    out
}

/// The length up to which scalars go first: all of them, unless together they take more than [`SCALARS`].
fn longest_fitting(pieces: &[Piece<'_>]) -> usize {
    let cost = |piece: &Piece<'_>| piece.name.len() + piece.value.len() + 4;
    let scalars = || pieces.iter().filter(|piece| piece.is_scalar());
    if scalars().map(cost).sum::<usize>() <= SCALARS {
        return usize::MAX;
    }
    let mut lengths: Vec<(usize, usize)> = scalars().map(|piece| (piece.value.len(), cost(piece))).collect();
    lengths.sort_unstable();
    let mut total = 0;
    let fitting = lengths.iter().take_while(|(_, cost)| {
        total += cost;
        total <= SCALARS
    });
    // Equally long ones share their fate: the comparison above knows lengths only.
    let fitting = fitting.count();
    let stands_back = lengths[fitting].0;
    stands_back.saturating_sub(1)
}

/// The members of one object as an event: see [`compose`].
pub fn compact(members: &Members<'_>, first: &str) -> String {
    let pieces = members.0.iter().map(|(name, value)| Piece::raw(Cow::Borrowed(&**name), value, Place::Natural));
    compose(pieces.collect(), first)
}

/// Appends a value without its null members and without insignificant white space.
pub fn append_compact(out: &mut String, text: &str) {
    compact_value(out, text, 1);
}

fn compact_value(out: &mut String, text: &str, depth: usize) {
    let copied = |out: &mut String| out.push_str(&minify(text));
    match text.as_bytes().first() {
        Some(b'{') if depth < MAX_DEPTH => match Members::read(text) {
            Ok(members) => {
                out.push('{');
                for (name, value) in members.0.iter().filter(|(_, value)| value.get() != "null") {
                    member(out, name);
                    compact_value(out, value.get(), depth + 1);
                }
                out.push('}');
            }
            Err(_) => copied(out),
        },
        Some(b'[') if depth < MAX_DEPTH => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    compact_value(out, item.get(), depth + 1);
                }
                out.push(']');
            }
            Err(_) => copied(out),
        },
        _ => copied(out),
    }
}

/// Starts a member inside an object: the comma where one is due, the name, the colon.
pub fn member(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    quote(out, name);
    out.push(':');
}

/// Appends a JSON string.
pub fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The same JSON on one line: a text without line breaks is given back as it is, else white space between tokens goes.
/// Microsoft sends its objects on one line, so `verbatim` events are its very bytes.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\r']) { Cow::Owned(minify(text).into_owned()) } else { Cow::Borrowed(text) }
}

/// JSON without the white space between tokens.
fn minify(text: &str) -> Cow<'_, str> {
    let (mut in_string, mut escaped) = (false, false);
    let mut keep = |b: u8| {
        if in_string {
            in_string = escaped || b != b'"';
            escaped = !escaped && b == b'\\';
            true
        } else {
            in_string = b == b'"';
            !matches!(b, b' ' | b'\t' | b'\n' | b'\r')
        }
    };
    let Some(first) = text.bytes().position(|b| !keep(b)) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut from = first + 1;
    for (n, b) in text.bytes().enumerate().skip(first + 1) {
        if !keep(b) {
            out.push_str(&text[from..n]);
            from = n + 1;
        }
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn compact_drops_nulls_and_leads_with_scalars() {
        let text = r#"{ "a" : [1, null, {"x":null,"y":{ "z":null }}], "b":null, "n":12345678901234567890.10, "t":"2026-01-01T00:00:00Z", "é\n":"\u00e9 \" ", "o":{} , "last" : true}"#;
        let members = Members::read(text).unwrap();
        assert_eq!(
            compact(&members, "t"),
            r#"{"t":"2026-01-01T00:00:00Z","n":12345678901234567890.10,"é\u000a":"\u00e9 \" ","last":true,"o":{},"a":[1,null,{"y":{}}]}"#
        );
    }

    #[test]
    fn one_line_keeps_bytes_unless_a_line_breaks() {
        let spaced = r#"{ "a": "x y" }"#;
        assert_eq!(one_line(spaced), spaced);
        assert_eq!(one_line("{\n  \"a\": \"x  \\\" y\\\\\",\r\n \"b\": [1, 2]\n}"), r#"{"a":"x  \" y\\","b":[1,2]}"#);
    }

    #[test]
    fn text_reads_strings_and_numbers() {
        let members = Members::read(r#"{"s":"a\u0062","n":9007199254740993,"x":null,"o":{}}"#).unwrap();
        assert_eq!(members.text("s").as_deref(), Some("ab"));
        assert_eq!(members.text("n").as_deref(), Some("9007199254740993"));
        assert_eq!((members.text("x"), members.text("o"), members.text("none")), (None, None, None));
        assert!(Members::read("[]").is_err());
    }

    #[test]
    fn deep_nesting_is_copied_not_followed() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        let members = Members::read(&deep).unwrap();
        assert_eq!(compact(&members, ""), deep);
    }

    proptest::proptest! {
        #[test]
        fn minify_keeps_the_meaning(strings in proptest::collection::vec("\\PC*", 0..5), number in proptest::num::i64::ANY) {
            let value = serde_json::json!({"s": strings, "n": number, "o": {"e": [], "f": {}}});
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            proptest::prop_assert_eq!(minify(&pretty).into_owned(), serde_json::to_string(&value).unwrap());
        }
    }
}
