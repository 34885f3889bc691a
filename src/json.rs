//! JSON rewritten without building a tree: numbers keep their spelling, unknown members pass through.

pub mod index;
pub mod value;

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use value::{Member, Object};

/// The members of one object in their order, values as they were written. A name may occur twice. For texts that are read once;
/// rows of answers have an [`Index`](index::Index).
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
#[derive(Clone, Copy)]
pub enum Piece<'a> {
    /// A member as it came; it may hold nulls.
    Raw(Member<'a>, Place),
    /// A member made here: a name that holds nothing to escape, and compact JSON.
    Made(&'a str, &'a str, Place),
}

impl<'a> Piece<'a> {
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Raw(member, _) => member.is(name),
            Self::Made(known, ..) => *known == name,
        }
    }

    fn is_null(&self) -> bool {
        match self {
            Self::Raw(member, _) => member.value().is_null(),
            Self::Made(_, value, _) => *value == "null",
        }
    }

    fn is_scalar(&self) -> bool {
        match self {
            Self::Raw(member, _) => member.value().is_scalar(),
            Self::Made(_, value, _) => !value.starts_with(['{', '[']),
        }
    }

    fn place(&self) -> Place {
        match self {
            Self::Raw(_, place) | Self::Made(_, _, place) => *place,
        }
    }

    /// Bytes of the value.
    fn length(&self) -> usize {
        match self {
            Self::Raw(member, _) => member.value().raw().len(),
            Self::Made(_, value, _) => value.len(),
        }
    }

    /// Bytes of the member, with quotes, colon and comma.
    fn cost(&self) -> usize {
        let name = match self {
            Self::Raw(member, _) => member.name_length(),
            Self::Made(name, ..) => name.len(),
        };
        name + self.length() + 4
    }

    fn append(&self, out: &mut String) {
        match self {
            Self::Raw(member, _) => {
                member.append_name(out);
                member.value().append_compact(out);
            }
            Self::Made(name, value, _) => {
                plain_member(out, name);
                out.push_str(value);
            }
        }
    }
}

/// Appends one event as compact JSON: the member `first` leads, then the other scalars in Microsoft's order, then what has an
/// early place, then lists and objects, the smallest first. Scalars that would fill [`CUTOFF`] alone stand back behind the small
/// lists, the longest last. Members that are null are dropped at every level, so is insignificant white space.
pub fn compose(out: &mut String, pieces: &[Piece<'_>], first: &str) {
    let there = || pieces.iter().filter(|piece| !piece.is_null());
    let longest_fitting = longest_fitting(there());
    out.push('{');
    there().filter(|piece| piece.is(first)).for_each(|piece| piece.append(out));
    // Most members are scalars and stay in their order; only what is left has to be put in one.
    let mut later: Vec<(u8, usize, &Piece<'_>)> = Vec::new();
    for piece in there().filter(|piece| !piece.is(first)) {
        let length = piece.length();
        match piece.place() {
            _ if piece.is_scalar() && length <= longest_fitting => piece.append(out),
            Place::Early => later.push((0, 0, piece)),
            Place::Natural if piece.is_scalar() => later.push((2, length, piece)),
            Place::Natural if length <= SMALL => later.push((1, length, piece)),
            Place::Natural => later.push((3, length, piece)),
        }
    }
    later.sort_by_key(|(rank, length, _)| (*rank, *length));
    later.iter().for_each(|(.., piece)| piece.append(out));
    out.push('}');
}

/// Appends the members in their order, values as they came.
pub fn side_by_side(out: &mut String, pieces: &[Piece<'_>]) {
    out.push('{');
    for piece in pieces {
        match piece {
            Piece::Raw(member, _) => {
                member.append_name(out);
                out.push_str(&member.value().one_line());
            }
            Piece::Made(..) => piece.append(out),
        }
    }
    out.push('}');
}

/// The length up to which scalars go first: all of them, unless together they take more than [`SCALARS`].
fn longest_fitting<'a>(pieces: impl Iterator<Item = &'a Piece<'a>> + Clone) -> usize {
    let scalars = pieces.filter(|piece| piece.is_scalar());
    if scalars.clone().map(Piece::cost).sum::<usize>() <= SCALARS {
        return usize::MAX;
    }
    let mut lengths: Vec<(usize, usize)> = scalars.map(|piece| (piece.length(), piece.cost())).collect();
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

/// Appends the members of one object as an event: see [`compose`].
pub fn compact(out: &mut String, object: Object<'_>, first: &str) {
    let pieces: Vec<Piece<'_>> = object.members().map(|member| Piece::Raw(member, Place::Natural)).collect();
    compose(out, &pieces, first);
}

/// Starts a member inside an object: the comma where one is due, the name, the colon.
pub fn member(out: &mut String, name: &str) {
    value::comma(out);
    quote(out, name);
    out.push(':');
}

/// The same for a name that holds nothing to escape.
pub fn plain_member(out: &mut String, name: &str) {
    value::comma(out);
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
}

/// Appends a JSON string.
pub fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = index::special(rest.as_bytes(), 0) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote(&mut out, text);
    out
}

/// The same JSON on one line: a text without line breaks is given back as it is, else white space between tokens goes.
/// Microsoft sends its objects on one line, so `verbatim` events are its very bytes.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some() { minify(text) } else { Cow::Borrowed(text) }
}

/// A JSON string or number as text; other kinds are `None`.
pub fn plain(value: &str) -> Option<Cow<'_, str>> {
    match value.as_bytes().first()? {
        b'"' => value::unquote(value),
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(value)),
        _ => None,
    }
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
    use super::index::Index;
    use super::*;

    fn compacted(object: Object<'_>, first: &str) -> String {
        let mut out = String::new();
        compact(&mut out, object, first);
        out
    }

    #[test]
    fn compact_drops_nulls_and_leads_with_scalars() {
        let mut index = Index::default();
        let text = r#"{ "a" : [1, null, {"x":null,"y":{ "z":null }}], "b":null, "n":12345678901234567890.10, "t":"2026-01-01T00:00:00Z", "é\n":"\u00e9 \" ", "o":{} , "last" : true}"#;
        let object = index.of(text).unwrap().object().unwrap();
        assert_eq!(
            compacted(object, "t"),
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
        let mut index = Index::default();
        let members = index.of(r#"{"s":"a\u0062","n":9007199254740993,"x":null,"o":{}}"#).unwrap().object().unwrap();
        assert_eq!(members.text("s").as_deref(), Some("ab"));
        assert_eq!(members.text("n").as_deref(), Some("9007199254740993"));
        assert_eq!((members.text("x"), members.text("o"), members.text("none")), (None, None, None));
        assert!(Index::default().of("[]").unwrap().object().is_none());
    }

    #[test]
    fn deep_nesting_is_copied_not_followed() {
        let deep = |inside: &str| format!("{{\"a\":{}{inside}{}}}", "[".repeat(900), "]".repeat(900));
        let (text, mut index) = (deep(" { \"b\" : null}"), Index::default());
        let object = index.of(&text).unwrap().object().unwrap();
        assert_eq!(compacted(object, ""), deep("{\"b\":null}"));
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
