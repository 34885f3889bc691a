//! JSON rewritten without building a tree: numbers keep their spelling, unknown members pass through.

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
        let value = self.get(name)?.get();
        match value.as_bytes().first()? {
            b'"' => serde_json::from_str::<BorrowedText<'a>>(value).ok().map(|text| text.0),
            b'-' | b'0'..=b'9' => Some(Cow::Borrowed(value)),
            _ => None,
        }
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

/// One event as compact JSON: the member `first` leads, then the other scalars, then objects and arrays, each in
/// Microsoft's order; members that are null are dropped at every level, so are insignificant white space.
/// Splunk extracts fields from the first 5,000 bytes only, hence scalars first.
pub fn compact(members: &Members<'_>, first: &str) -> String {
    let bytes: usize = members.0.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum();
    let mut out = String::with_capacity(bytes);
    out.push('{');
    let rank = |name: &str, value: &RawValue| match value.get().as_bytes().first() {
        _ if name == first => 0,
        Some(b'{' | b'[') => 2,
        _ => 1,
    };
    for turn in 0..3 {
        for (name, value) in members.0.iter().filter(|(name, value)| rank(name, value) == turn && value.get() != "null") {
            member(&mut out, name);
            compact_value(&mut out, value.get(), 1);
        }
    }
    out.push('}');
    out
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
fn member(out: &mut String, name: &str) {
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
            r#"{"t":"2026-01-01T00:00:00Z","n":12345678901234567890.10,"é\u000a":"\u00e9 \" ","last":true,"a":[1,null,{"y":{}}],"o":{}}"#
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
