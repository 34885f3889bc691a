//! JSON with its member order kept.
//!
//! The services send members in an order of their own, and a reader that scans bytes may come to rely on it. `serde_json`
//! sorts members unless a feature is switched on for the whole workspace, so the stand-ins write their own.

use std::borrow::Cow;

use serde_json::Value;

/// A JSON value whose objects keep the order they were written in.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer; the whole of i64, also above 2^53.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A string.
    Text(String),
    /// Text that already is JSON and goes out untouched.
    Raw(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(Cow<'static, str>, Json)>),
}

/// Writes an object in the order given: `object! { "id" => 7, "name" => name }`.
#[macro_export]
macro_rules! object {
    ($($key:expr => $value:expr),* $(,)?) => {
        $crate::json::Json::Object(vec![$((::std::borrow::Cow::from($key), $crate::json::Json::from($value))),*])
    };
}

impl Json {
    /// The member of an object, or `None`.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The member of an object to change it, or `None`.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        match self {
            Json::Object(members) => members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string, or `None` for anything else.
    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a member that is a string.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Json::text)
    }

    /// A copy of a member, `Null` where there is none: how the flat views take over what a nested one holds.
    pub fn copy_of(&self, key: &str) -> Json {
        self.get(key).cloned().unwrap_or(Json::Null)
    }

    /// Puts further members at the end of an object.
    pub fn with(mut self, more: Json) -> Json {
        if let (Json::Object(members), Json::Object(more)) = (&mut self, more) {
            members.extend(more);
        }
        self
    }

    /// The text that goes over the wire, without spaces.
    pub fn render(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Int(value) => out.push_str(&value.to_string()),
            Json::Float(value) => out.push_str(&value.to_string()),
            Json::Raw(text) => out.push_str(text),
            Json::Text(text) => write_text(text, out),
            Json::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Most text holds nothing to escape, so what lies between escapes is copied in one piece.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => out.push_str(&format!("\\u{control:04x}")),
        }
    }
    out.push_str(&text[copied..]);
    out.push('"');
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::Text(text.to_string())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::Text(text)
    }
}

impl From<&String> for Json {
    fn from(text: &String) -> Self {
        Json::Text(text.clone())
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Json::Int(value)
    }
}

impl From<f64> for Json {
    fn from(value: f64) -> Self {
        Json::Float(value)
    }
}

impl From<crate::time::Time> for Json {
    fn from(time: crate::time::Time) -> Self {
        Json::Text(time.to_string())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Json::Null, Into::into)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Json::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Clone + Into<Json>> From<&[T]> for Json {
    fn from(items: &[T]) -> Self {
        Json::List(items.iter().cloned().map(Into::into).collect())
    }
}

impl<T: Into<Json>, const N: usize> From<[T; N]> for Json {
    fn from(items: [T; N]) -> Self {
        Json::List(items.into_iter().map(Into::into).collect())
    }
}

impl From<&Value> for Json {
    /// Takes over a parsed value; the order of its members is `serde_json`'s.
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => number.as_i64().map_or_else(|| Json::Raw(number.to_string()), Json::Int),
            Value::String(text) => Json::Text(text.clone()),
            Value::Array(items) => Json::List(items.iter().map(Json::from).collect()),
            Value::Object(members) => {
                Json::Object(members.iter().map(|(name, value)| (Cow::from(name.clone()), Json::from(value))).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keeps_order_and_escapes() {
        let value =
            object! { "z" => 9_007_199_254_740_993_i64, "a" => "x\u{1}\"\\\n雪", "n" => None::<i64>, "l" => vec![1_i64, 2] };
        let text = value.render();
        assert_eq!(text, "{\"z\":9007199254740993,\"a\":\"x\\u0001\\\"\\\\\\n雪\",\"n\":null,\"l\":[1,2]}");
        let parsed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["a"], "x\u{1}\"\\\n雪");
    }
}
