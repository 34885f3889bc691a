//! What the streaming API delivers. Every event is one line of JSON without a character that XML forbids in what is no record.
//! Of a body that `serde_json` reads, every record and every piece that is none is one event with its bytes, in its order and
//! nothing beside it. Packed it gives the same, and what a reader remembers it leaves out.

#![no_main]

mod gzip;

use std::convert::Infallible;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gzip::packed;
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use ta_defender::feeds::records::{Reader, Tally, UNPARSED};
use ta_defender::input::{Dedupe, Shape, Tables};
use ta_defender::time::Ticks;

/// 2026-03-01.
const NOW: Ticks = Ticks(17_723_232_000_000_000);
/// Pieces that are no records are gathered beyond so many.
const PIECES: usize = 1000;
/// What nests deeper is no record.
const DEPTH: usize = 128;

/// A record's text, or the bytes of what is none.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Record(String),
    Unparsed(Vec<u8>),
}

fn read(reader: &mut Reader, body: &[u8]) -> (Vec<Piece>, Tally) {
    let mut pieces = Vec::new();
    let tally = reader.read(body, NOW, |record| {
        serde_json::from_str::<&RawValue>(&record.data).expect("an event is JSON");
        assert!(!record.data.contains(['\n', '\r']), "an event is one line");
        let forbidden = |c: char| matches!(c, '\0'..' ' | '\u{FFFE}' | '\u{FFFF}');
        assert!(record.sourcetype != UNPARSED || !record.data.contains(forbidden), "{}", record.data);
        pieces.push(if record.sourcetype == UNPARSED {
            Piece::Unparsed(original(&record.data))
        } else {
            Piece::Record(record.data.into_owned())
        });
        Ok::<_, Infallible>(())
    });
    let Ok(tally) = tally;
    assert_eq!(pieces.len() as u64, tally.records + tally.unparsed);
    (pieces, tally)
}

/// The bytes that an event stands for.
fn original(event: &str) -> Vec<u8> {
    let event: serde_json::Value = serde_json::from_str(event).expect("an event is JSON");
    let body = event["body"].as_str().expect("a body");
    let bytes = if event["encoding"] == "text" { body.as_bytes().to_vec() } else { STANDARD.decode(body).expect("base64") };
    assert_eq!(event["bytes"], bytes.len());
    bytes
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// What `serde_json` finds in a body; `None` when it is not JSON from its beginning to its end.
fn judged(body: &[u8]) -> Option<Vec<Piece>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut pieces = Vec::new();
    for document in serde_json::Deserializer::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)).into_iter::<&RawValue>() {
        let document = document.ok()?;
        if document.get().starts_with('[') {
            pieces.extend(elements(document)?);
            continue;
        }
        let lists = match document.get().starts_with('{') {
            true => serde_json::from_str::<Members<'_>>(document.get()).ok()?.0,
            false => Vec::new(),
        };
        let lists: Vec<_> = lists.iter().filter(|(name, value)| name == "records" && value.get().starts_with('[')).collect();
        for (_, list) in &lists {
            pieces.extend(elements(list)?);
        }
        if lists.is_empty() {
            pieces.push(piece(document));
        }
    }
    Some(pieces)
}

fn elements(list: &RawValue) -> Option<Vec<Piece>> {
    let elements: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    Some(elements.into_iter().map(piece).collect())
}

fn piece(value: &RawValue) -> Piece {
    let text = value.get();
    if !text.starts_with('{') {
        return Piece::Unparsed(text.as_bytes().to_vec());
    }
    Piece::Record(if text.contains(['\n', '\r']) { without_blanks(text) } else { text.to_owned() })
}

/// JSON without what stands between its tokens.
fn without_blanks(text: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let mut kept = String::new();
    for c in text.chars() {
        let ends = quoted && !escaped && c == '"';
        escaped = quoted && !escaped && c == '\\';
        if quoted || !c.is_ascii_whitespace() {
            kept.push(c);
        }
        quoted = if quoted { !ends } else { c == '"' };
    }
    kept
}

fuzz_target!(|data: &[u8]| {
    let plain = || Reader::new(Shape::Incumbent, Tables::All, Dedupe::Off);
    let (pieces, tally) = read(&mut plain(), data);
    if data.iter().filter(|b| matches!(b, b'[' | b'{')).count() <= DEPTH
        && let Some(judged) = judged(data)
        && judged.len() <= PIECES
    {
        assert_eq!(pieces, judged, "serde_json finds something else");
    }
    if !data.starts_with(&[0x1F, 0x8B]) {
        let middle = data.len() / 2;
        let members = [packed(&data[..middle]), packed(&data[middle..])].concat();
        assert_eq!(read(&mut plain(), &members), (pieces, tally), "packed");
    }
    let mut reader = Reader::new(Shape::Community, Tables::All, Dedupe::On);
    let (_, once) = read(&mut reader, data);
    assert_eq!(once.records + once.repeats, tally.records);
    let (_, again) = read(&mut reader, data);
    assert!(again.records <= once.records, "what has a row is not passed on again");
    let tables = Tables::Only(["alertinfo".to_owned()].into());
    let (_, narrow) = read(&mut Reader::new(Shape::Incumbent, tables, Dedupe::Off), data);
    assert_eq!(narrow.records + narrow.filtered, tally.records);
});
