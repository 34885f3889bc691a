//! A message as it came (part 3 of the specification): its sections are found by their sizes, and what is in those that nobody
//! here reads is not looked at.

use super::print::printed;
use super::wire::{Limits, Odd, SERVICE, Value, descriptor, measure, read, skip};
use crate::planted::{Planted, planted};

/// The sections this program looks at.
const MESSAGE_ANNOTATIONS: u64 = 0x72;
const PROPERTIES: u64 = 0x73;
const APPLICATION_PROPERTIES: u64 = 0x74;
const DATA: u64 = 0x75;
const SEQUENCE: u64 = 0x76;
const VALUE: u64 = 0x77;
/// All that there are, from the header to the footer.
const SECTIONS: std::ops::RangeInclusive<u64> = 0x70..=0x78;

/// Limits of a body that is no data and is read or printed all the same; what is beyond them goes on as its bytes.
const BODY: Limits = Limits { values: 10_000, depth: 32 };

/// One section: its number, and its value in the bytes.
#[derive(Clone, Copy, Debug)]
struct Section<'a> {
    code: u64,
    value: &'a [u8],
}

/// The sections of a message; the last is an error where one cannot be told from the next.
fn sections(bytes: &[u8]) -> impl Iterator<Item = Result<Section<'_>, Odd>> {
    let mut at = Some(0);
    std::iter::from_fn(move || {
        let from = at.take()?;
        if from >= bytes.len() {
            return None;
        }
        let found = descriptor(bytes, from).filter(|(code, _)| SECTIONS.contains(code)).ok_or(Odd::Malformed);
        Some(found.and_then(|(code, value)| {
            let end = skip(bytes, value)?;
            at = Some(end);
            Ok(Section { code, value: &bytes[value..end] })
        }))
    })
}

/// A piece of a message's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// What a publisher sent as data: all data sections, one after the other; a string or a binary of a value or a sequence.
    Data(Vec<u8>),
    /// What is no data, as text: as JSON says it best.
    Printed(String),
    /// What is no data, as it came: it holds too much to be printed, or cannot be read.
    Raw(Vec<u8>),
}

impl Piece {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Data(bytes) | Self::Raw(bytes) => bytes.len(),
            Self::Printed(text) => text.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The value of an annotation.
pub(super) fn annotation<'a>(message: &'a [u8], name: &str) -> Option<Value<'a>> {
    member(message, MESSAGE_ANNOTATIONS, name)
}

/// The value of an application property.
pub(super) fn property<'a>(message: &'a [u8], name: &str) -> Option<Value<'a>> {
    member(message, APPLICATION_PROPERTIES, name)
}

fn member<'a>(message: &'a [u8], section: u64, name: &str) -> Option<Value<'a>> {
    let mut maps = sections(message).map_while(Result::ok).filter(|found| found.code == section);
    maps.find_map(|map| match read(map.value).ok()?.0 {
        Value::Map(members) => members.get(name),
        _ => None,
    })
}

/// The correlation id of an answer, a number as this program sends them.
pub(super) fn correlation(message: &[u8]) -> Option<u64> {
    let properties = sections(message).map_while(Result::ok).find(|section| section.code == PROPERTIES)?;
    match read(properties.value).ok()?.0 {
        // The sixth of the properties (section 3.2.4).
        Value::Sequence(mut fields) => fields.nth(5)?.number()?.try_into().ok(),
        _ => None,
    }
}

/// The body of an answer, a value, counted.
///
/// # Errors
/// What is beyond [`SERVICE`], and what is no value.
pub(super) fn answered_value(message: &[u8]) -> Result<Value<'_>, Odd> {
    let body = sections(message).find(|section| !matches!(section, Ok(Section { code, .. }) if *code != VALUE));
    let body = body.unwrap_or(Err(Odd::Malformed))?;
    measure(body.value, 0, SERVICE)?;
    Ok(read(body.value)?.0)
}

/// The body of a message, in pieces. Nothing of it is lost: where sections cannot be told apart, the rest is one piece.
pub fn body(mut message: Vec<u8>) -> Vec<Piece> {
    let mut data: Vec<(usize, usize)> = Vec::new();
    let mut pieces = Vec::new();
    let mut end = 0;
    for section in sections(&message) {
        let Ok(Section { code, value }) = section else {
            pieces.push(Piece::Raw(message[end..].to_vec()));
            break;
        };
        let at = value.as_ptr() as usize - message.as_ptr() as usize;
        end = at + value.len();
        match (code, read(value)) {
            (DATA, Ok((Value::Binary(bytes), _))) => data.push((end - bytes.len(), end)),
            (VALUE, _) => pieces.push(piece(value)),
            (SEQUENCE, _) => pieces.extend(elements(value)),
            (DATA, _) => pieces.push(Piece::Raw(value.to_vec())),
            _ => {}
        }
    }
    if planted(Planted::DropsOddBodies) {
        pieces.clear();
    }
    match data[..] {
        [] => {}
        [(from, to)] => {
            message.truncate(to);
            message.drain(..from);
            pieces.insert(0, Piece::Data(message));
        }
        _ => {
            let all = data.iter().flat_map(|(from, to)| &message[*from..*to]).copied().collect();
            pieces.insert(0, Piece::Data(all));
        }
    }
    pieces
}

/// A value that is a body, or an element of one.
fn piece(value: &[u8]) -> Piece {
    let raw = || Piece::Raw(value.to_vec());
    if measure(value, 0, BODY).is_err() {
        return raw();
    }
    match read(value) {
        Ok((Value::Binary(bytes), _)) => Piece::Data(bytes.to_vec()),
        Ok((Value::String(text), _)) => Piece::Data(text.as_bytes().to_vec()),
        Ok((value, _)) => printed(&value).map_or_else(raw, Piece::Printed),
        Err(_) => raw(),
    }
}

/// The elements of a sequence: each string and each binary is data of its own.
fn elements(section: &[u8]) -> Vec<Piece> {
    if measure(section, 0, BODY).is_err() {
        return vec![Piece::Raw(section.to_vec())];
    }
    let of = |value: Value<'_>| match value {
        Value::Binary(bytes) => Some(Piece::Data(bytes.to_vec())),
        Value::String(text) => Some(Piece::Data(text.as_bytes().to_vec())),
        value => printed(&value).map(Piece::Printed),
    };
    match read(section) {
        Ok((Value::Sequence(values), _)) => {
            let pieces: Option<Vec<Piece>> = values.map(of).collect();
            pieces.unwrap_or_else(|| vec![Piece::Raw(section.to_vec())])
        }
        _ => vec![piece(section)],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
