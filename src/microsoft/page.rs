//! One list answer: its rows as Microsoft spelled them, and whether more are announced.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The rows of one answer, borrowed from its body.
#[derive(Debug)]
pub struct Page<'a> {
    /// The elements of `value`, whatever they are: a caller that needs objects says what it does with others.
    pub rows: Vec<&'a RawValue>,
    /// Whether `@odata.nextLink` announces more. The link itself is not given out: it is never followed.
    pub has_next_link: bool,
}

/// Why a body is not a list answer. None of these is "no data".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Nothing at all.
    #[error("the list answer is empty")]
    Empty,
    /// Bytes that are no text.
    #[error("the list answer is not UTF-8 (byte {at} of {len})")]
    NotUtf8 {
        /// Where the text breaks.
        at: usize,
        /// The body's length.
        len: usize,
    },
    /// JSON of another shape, or no JSON.
    #[error("the list answer is not a JSON object")]
    NotAnObject,
    /// The body stops in the middle.
    #[error("the list answer is cut off after {len} bytes")]
    Truncated {
        /// The body's length.
        len: usize,
    },
    /// Something that JSON does not allow.
    #[error("the list answer is not JSON (line {line}, column {column})")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// More text after the object.
    #[error("the list answer goes on after its end (line {line}, column {column})")]
    Trailing {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
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
}

/// Reads a list answer in one pass. Members come in any order, and unknown ones are skipped.
///
/// # Errors
/// See [`PageError`].
pub fn rows(body: &[u8]) -> Result<Page<'_>, PageError> {
    // Once over the whole body: otherwise every row is checked on its own.
    let text = std::str::from_utf8(body).map_err(|e| PageError::NotUtf8 { at: e.valid_up_to(), len: body.len() })?;
    let text = text.trim_start_matches('\u{feff}');
    match text.trim_ascii_start().as_bytes().first() {
        None => return Err(PageError::Empty),
        Some(b'{') => {}
        Some(_) => return Err(PageError::NotAnObject),
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let wire = Wire::deserialize(&mut reader).map_err(|e| {
        if e.is_eof() {
            PageError::Truncated { len: body.len() }
        } else {
            PageError::Syntax { line: e.line(), column: e.column() }
        }
    })?;
    reader.end().map_err(|e| PageError::Trailing { line: e.line(), column: e.column() })?;
    match wire.value {
        Found::Nothing => Err(PageError::NoValue),
        Found::Twice => Err(PageError::TwoValues),
        Found::Once(Rows::Other) => Err(PageError::NotAnArray),
        Found::Once(Rows::Array(rows)) => Ok(Page { rows, has_next_link: wire.has_next_link }),
    }
}

enum Found<'a> {
    Nothing,
    Once(Rows<'a>),
    Twice,
}

/// The envelope. Written by hand because a derived struct would also take an array for an object.
struct Wire<'a> {
    value: Found<'a>,
    has_next_link: bool,
}

impl<'de> Deserialize<'de> for Wire<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Envelope;
        impl<'de> Visitor<'de> for Envelope {
            type Value = Wire<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut wire = Wire { value: Found::Nothing, has_next_link: false };
                while let Some(Name(name)) = map.next_key()? {
                    match name.as_ref() {
                        "value" => {
                            let rows: Rows<'de> = map.next_value()?;
                            wire.value = if matches!(wire.value, Found::Nothing) { Found::Once(rows) } else { Found::Twice };
                        }
                        "@odata.nextLink" => {
                            let link: &RawValue = map.next_value()?;
                            wire.has_next_link |= !matches!(link.get(), "null" | "\"\"");
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(wire)
            }
        }
        deserializer.deserialize_map(Envelope)
    }
}

/// A member's name, borrowed unless it holds escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The content of `value`; what is not an array is read over, so that a cut body is still told from a wrong one.
enum Rows<'a> {
    Array(Vec<&'a RawValue>),
    Other,
}

impl<'de> Deserialize<'de> for Rows<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Rows<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = seq.next_element()? {
                    rows.push(row);
                }
                Ok(Rows::Array(rows))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Rows::Other)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Rows::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Rows::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Rows::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Rows::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Rows::Other)
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Rows::Other)
            }
        }
        deserializer.deserialize_any(Elements)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn members_in_any_order_and_spacing() {
        let table: [(&str, &[&str], bool); 9] = [
            (r#"{"value":[]}"#, &[], false),
            (r#"{"value":[{"a":1}]}"#, &[r#"{"a":1}"#], false),
            (
                "\r\n{ \"@odata.nextLink\" : \"https://x/?$skip=1\" ,\t\"value\" : [ {\"a\": 9007199254740993} , {} ] }\n",
                &[r#"{"a": 9007199254740993}"#, "{}"],
                true,
            ),
            (r#"{"value":[1,null,"x",[2]],"@odata.nextLink":null}"#, &["1", "null", "\"x\"", "[2]"], false),
            (r#"{"@odata.context":{"value":[1]},"value":[{}],"@odata.nextLink":""}"#, &["{}"], false),
            (
                r#"{"@odata.count":3,"value":[{"value":[{"@odata.nextLink":"x"}]}]}"#,
                &[r#"{"value":[{"@odata.nextLink":"x"}]}"#],
                false,
            ),
            ("{\"\\u0076alue\":[{\"é\":\"\\u0000\"}]}", &["{\"é\":\"\\u0000\"}"], false),
            ("\u{feff}{\"value\":[]}", &[], false),
            (r#"{"value":[1.0E+2, -0]}"#, &["1.0E+2", "-0"], false),
        ];
        for (body, rows, next) in table {
            let page = super::rows(body.as_bytes()).unwrap();
            assert_eq!(page.rows.iter().map(|row| row.get()).collect::<Vec<_>>(), rows, "{body}");
            assert_eq!(page.has_next_link, next, "{body}");
        }
    }

    #[test]
    fn an_error_never_looks_like_no_data() {
        let table: [(&[u8], PageError); 17] = [
            (b"", PageError::Empty),
            (b" \r\n", PageError::Empty),
            (b"[]", PageError::NotAnObject),
            (b"[[]]", PageError::NotAnObject),
            (b"null", PageError::NotAnObject),
            (b"<html></html>", PageError::NotAnObject),
            (b"{}", PageError::NoValue),
            (br#"{"error":{"code":"x","message":"y"}}"#, PageError::NoValue),
            (br#"{"Value":[]}"#, PageError::NoValue),
            (br#"{"value":null}"#, PageError::NotAnArray),
            (br#"{"value":{"a":[1]}}"#, PageError::NotAnArray),
            (br#"{"value":"[]"}"#, PageError::NotAnArray),
            (br#"{"value":[1],"value":[]}"#, PageError::TwoValues),
            (br#"{"value":[{"a":1}]"#, PageError::Truncated { len: 18 }),
            (br#"{"value":[{"a":"tex"#, PageError::Truncated { len: 19 }),
            (br#"{"value":[]}{"value":[1]}"#, PageError::Trailing { line: 1, column: 13 }),
            (b"{\"value\":[\"\xff\"]}", PageError::NotUtf8 { at: 11, len: 15 }),
        ];
        for (body, error) in table {
            assert_eq!(rows(body).unwrap_err(), error, "{}", String::from_utf8_lossy(body));
        }
        for body in [&br#"{"value":[1,]}"#[..], br#"{"value":[{"a":1 "b":2}]}"#, br#"{value:[]}"#, b"{\"value\":[\"a\nb\"]}"] {
            assert!(matches!(rows(body), Err(PageError::Syntax { line: 1 | 2, .. })), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn every_cut_of_a_page_is_an_error() {
        let body = r#"{"@odata.context":"c","value":[{"id":"é","n":[1,2.5,true]},{}],"@odata.nextLink":"n"}"#;
        assert_eq!(rows(body.as_bytes()).unwrap().rows.len(), 2);
        for end in 0..body.len() {
            assert!(rows(&body.as_bytes()[..end]).is_err(), "{end}");
        }
    }
}
