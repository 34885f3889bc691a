//! The judge of the page reader: the same question answered by `serde_json`, from a whole body in memory. Slow and obvious.
//! The fuzz target `page` includes this file, so it uses nothing of the crate.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What a whole answer says: its rows, and whether more are announced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict<'a> {
    pub(super) rows: Vec<&'a str>,
    pub(super) has_next_link: bool,
}

/// Reads a whole answer; `None` for what is none.
pub(super) fn verdict(body: &[u8]) -> Option<Verdict<'_>> {
    let text = std::str::from_utf8(body).ok()?;
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let mut reader = serde_json::Deserializer::from_str(text);
    let wire = Wire::deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    let Found::Once(Rows::Array(rows)) = wire.value else { return None };
    Some(Verdict { rows: rows.into_iter().map(RawValue::get).collect(), has_next_link: wire.has_next_link })
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
