//! A value as text, for a body that is no data: JSON, as far as its types have a counterpart there.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::wire::Value;
use crate::json::quote;

/// The most bytes that are printed of one value. One that was counted cannot become much more than it had on the wire, but
/// quotes and escapes take up to six times as much.
const MOST: usize = 256 << 10;

/// Prints a value that was counted. `None` where it holds what cannot be told in JSON, or would be longer than 256 KB.
pub(super) fn printed(value: &Value<'_>) -> Option<String> {
    let mut out = String::new();
    print(value, &mut out)?;
    Some(out)
}

fn print(value: &Value<'_>, out: &mut String) -> Option<()> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(is) => out.push_str(if *is { "true" } else { "false" }),
        Value::Unsigned(number) => write!(out, "{number}").ok()?,
        Value::Signed(number) | Value::Timestamp(number) => write!(out, "{number}").ok()?,
        Value::Float(number) if number.is_finite() => write!(out, "{number}").ok()?,
        Value::Binary(bytes) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
        Value::String(text) | Value::Symbol(text) => quote(out, text),
        Value::Sequence(values) => {
            out.push('[');
            for (at, value) in values.enumerate() {
                if at > 0 {
                    out.push(',');
                }
                print(&value, out)?;
            }
            out.push(']');
        }
        Value::Map(members) => {
            out.push('{');
            let mut members = *members;
            let mut first = true;
            while let (Some(key), Some(value)) = (members.next(), members.next()) {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                match key.text() {
                    Some(name) => quote(out, name),
                    None => {
                        let mut name = String::new();
                        print(&key, &mut name)?;
                        quote(out, &name);
                    }
                }
                out.push(':');
                print(&value, out)?;
            }
            out.push('}');
        }
        Value::Float(_) | Value::Other(_) => return None,
    }
    (out.len() <= MOST).then_some(())
}
