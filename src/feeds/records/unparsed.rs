//! What is no record, as an event that loses none of its bytes.
//!
//! It is an object on one line: `reason`, `bytes` (how many it had), `encoding` and `body`. With encoding `text` the body is
//! a JSON string of the text, in which also the characters are escaped that XML 1.0 forbids; with `base64` it is the bytes
//! in base64, where they are no UTF-8.

use std::fmt;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::scan::Fault;

/// Why something is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It ends in the middle.
    CutOff,
    /// It breaks JSON's rules, from that byte on.
    NotJson(usize),
    /// JSON, but neither a record nor a list of records.
    NotARecord,
    /// It is not UTF-8.
    NotText,
    /// It begins as gzip and cannot be inflated.
    NotGzip,
    /// Inflated it has more bytes than are read.
    TooLarge,
    /// It is a message's body, or a piece of one, that is no data: a value or a sequence of AMQP, or what is no AMQP at all.
    NotData,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff => f.write_str("it is cut off"),
            Self::NotJson(at) => write!(f, "it is not JSON (byte {at})"),
            Self::NotARecord => f.write_str("it is JSON, but no record"),
            Self::NotText => f.write_str("it is not UTF-8"),
            Self::NotGzip => f.write_str("it is gzip that cannot be inflated"),
            Self::TooLarge => f.write_str("it is too large when inflated"),
            Self::NotData => f.write_str("it is no data section of a message"),
        }
    }
}

impl Reason {
    /// What is wrong with a piece that begins at `from`.
    pub(super) fn of(fault: Fault, from: usize) -> Self {
        if fault.ended { Self::CutOff } else { Self::NotJson(fault.at.saturating_sub(from)) }
    }
}

/// The most bytes that one event holds: a message of a hub that is no dedicated cluster's fits in.
const PART: usize = 1 << 20;

/// The events of what is no record: one, or where it is longer than a megabyte several, which say with `part` and `parts` how
/// they belong together. None for nothing.
pub(super) fn events(body: &[u8], reason: Reason) -> impl Iterator<Item = String> {
    // Text is not cut within a character.
    let text = std::str::from_utf8(body).ok();
    let parts = body.len().div_ceil(PART);
    let mut rest = body;
    (1..=parts).map(move |part| {
        let at = body.len() - rest.len();
        let to = (part * PART).min(body.len());
        let to = text.map_or(to, |text| text.floor_char_boundary(to));
        let (now, later) = rest.split_at(to - at);
        rest = later;
        let numbers = if parts > 1 { format!("\"part\":{part},\"parts\":{parts},") } else { String::new() };
        event(now, reason, &numbers)
    })
}

/// The event's text.
fn event(body: &[u8], reason: Reason, numbers: &str) -> String {
    let mut out = String::with_capacity(body.len() + 80);
    let _ = write!(out, "{{\"reason\":\"{reason}\",{numbers}\"bytes\":{},\"encoding\":", body.len());
    match std::str::from_utf8(body) {
        Ok(text) => {
            out.push_str("\"text\",\"body\":\"");
            push_escaped(&mut out, text);
        }
        Err(_) => {
            out.push_str("\"base64\",\"body\":\"");
            STANDARD.encode_string(body, &mut out);
        }
    }
    out.push_str("\"}");
    out
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' | '\u{FFFE}' | '\u{FFFF}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes() {
        let text = "a\"\\\r\n\t\0\u{1f}é\u{FFFE}";
        assert_eq!(
            event(text.as_bytes(), Reason::NotJson(3), ""),
            "{\"reason\":\"it is not JSON (byte 3)\",\"bytes\":13,\"encoding\":\"text\",\
             \"body\":\"a\\\"\\\\\\r\\n\\t\\u0000\\u001fé\\ufffe\"}"
        );
        let long = "é".repeat(PART / 2 + 1);
        let parts: Vec<String> =
            events(&long.as_bytes()[1..], Reason::CutOff).chain(events(long.as_bytes(), Reason::CutOff)).collect();
        assert_eq!(parts.len(), 4);
        assert!(parts[0].contains("\"part\":1,\"parts\":2,\"bytes\":1048576,\"encoding\":\"base64\""));
        assert!(parts[3].ends_with("\"part\":2,\"parts\":2,\"bytes\":2,\"encoding\":\"text\",\"body\":\"é\"}"), "{}", parts[3]);
        assert_eq!(events(b"", Reason::CutOff).count(), 0);
        assert_eq!(
            event(b"\xff\x00", Reason::NotText, ""),
            "{\"reason\":\"it is not UTF-8\",\"bytes\":2,\"encoding\":\"base64\",\"body\":\"/wA=\"}"
        );
    }
}
