//! AMQP 1.0 values as they stand on the wire (part 1 of the specification), read where they lie.
//!
//! Whoever may send to a hub decides what is in its messages, and a value of a kilobyte can stand for millions: an array of
//! elements without width says only how many there are. So nothing is built from a value before [`measure`] has counted it, and
//! what is looked at afterwards is borrowed from the bytes.

use std::fmt;

/// How much a value may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Values within it, each element of an array, list and map among them.
    pub(super) values: usize,
    /// How deep they nest.
    pub(super) depth: usize,
}

/// Limits of what the service itself says: performatives and answers about hubs of 1024 partitions.
pub(super) const SERVICE: Limits = Limits { values: 10_000, depth: 32 };

/// Why a value is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// It holds more values than the limit.
    Many(usize),
    /// It nests deeper than the limit.
    Deep(usize),
    /// It is no AMQP.
    Malformed,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Many(most) => write!(f, "it holds more than {most} values"),
            Self::Deep(most) => write!(f, "it nests more than {most} deep"),
            Self::Malformed => f.write_str("it is not AMQP"),
        }
    }
}

/// Counts the value that begins at `at`, all that is in it, against the limits; where it ends.
///
/// # Errors
/// See [`Odd`]. The work is bounded by the bytes there are and by the limits, whatever the counts say.
pub(super) fn measure(bytes: &[u8], at: usize, limits: Limits) -> Result<usize, Odd> {
    Count { bytes, limits, left: limits.values }.value(at, 0)
}

struct Count<'a> {
    bytes: &'a [u8],
    limits: Limits,
    left: usize,
}

impl Count<'_> {
    fn take(&mut self, count: usize) -> Result<(), Odd> {
        self.left = self.left.checked_sub(count).ok_or(Odd::Many(self.limits.values))?;
        Ok(())
    }

    fn value(&mut self, at: usize, depth: usize) -> Result<usize, Odd> {
        let (code, at) = self.constructor(at, depth)?;
        self.data(code, at, depth)
    }

    /// The code of a constructor, whose descriptors are counted, and where its data begins.
    fn constructor(&mut self, mut at: usize, depth: usize) -> Result<(u8, usize), Odd> {
        loop {
            match byte(self.bytes, at)? {
                0 if depth >= self.limits.depth => return Err(Odd::Deep(self.limits.depth)),
                0 => {
                    self.take(1)?;
                    at = self.value(at + 1, depth + 1)?;
                }
                code => return Ok((code, at + 1)),
            }
        }
    }

    /// Data of this code from `at` on; where it ends.
    fn data(&mut self, code: u8, at: usize, depth: usize) -> Result<usize, Odd> {
        self.take(1)?;
        let end = data_end(self.bytes, code, at)?;
        let (count, first) = match code {
            0xc0 | 0xc1 | 0xe0 => (usize::from(byte(self.bytes, at + 1)?), at + 2),
            0xd0 | 0xd1 | 0xf0 => (number(self.bytes, at + 4)?, at + 8),
            _ => return Ok(end),
        };
        if depth >= self.limits.depth {
            return Err(Odd::Deep(self.limits.depth));
        }
        if first > end {
            return Err(Odd::Malformed);
        }
        let mut next = first;
        if code >= 0xe0 {
            if count == 0 {
                // Some write a constructor even so.
                return Ok(end);
            }
            let (element, data) = self.constructor(first, depth + 1)?;
            next = data;
            if element >> 4 <= 0x9 {
                self.take(count)?;
                let width = fixed(element).ok_or(Odd::Malformed)?;
                next = next.checked_add(count.checked_mul(width).ok_or(Odd::Malformed)?).ok_or(Odd::Malformed)?;
            } else {
                for _ in 0..count {
                    next = self.data(element, next, depth + 1)?;
                }
            }
        } else {
            for _ in 0..count {
                next = self.value(next, depth + 1)?;
            }
        }
        if next == end { Ok(end) } else { Err(Odd::Malformed) }
    }
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, Odd> {
    bytes.get(at).copied().ok_or(Odd::Malformed)
}

fn number(bytes: &[u8], at: usize) -> Result<usize, Odd> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Odd::Malformed)?;
    Ok(u32::from_be_bytes(*word) as usize)
}

/// The width of data of a code that has always the same: the code's upper half tells it (section 1.2).
fn fixed(code: u8) -> Option<usize> {
    match code >> 4 {
        0x4 => Some(0),
        0x5 => Some(1),
        0x6 => Some(2),
        0x7 => Some(4),
        0x8 => Some(8),
        0x9 => Some(16),
        _ => None,
    }
}

/// Where data of this code ends that begins at `at`, as it says itself.
fn data_end(bytes: &[u8], code: u8, at: usize) -> Result<usize, Odd> {
    let length = match (fixed(code), code >> 4) {
        (Some(width), _) => width,
        (None, 0xa | 0xc | 0xe) => 1 + usize::from(byte(bytes, at)?),
        (None, 0xb | 0xd | 0xf) => 4 + number(bytes, at)?,
        _ => return Err(Odd::Malformed),
    };
    at.checked_add(length).filter(|end| *end <= bytes.len()).ok_or(Odd::Malformed)
}

/// How many descriptors may stand before a value; the layout knows of one.
const DESCRIPTORS: usize = 4;

/// Where the value ends that begins at `at`, as it says itself: nothing in it is looked at.
pub(super) fn skip(bytes: &[u8], mut at: usize) -> Result<usize, Odd> {
    for _ in 0..=DESCRIPTORS {
        match byte(bytes, at)? {
            0 if byte(bytes, at + 1)? == 0 => return Err(Odd::Malformed),
            0 => at = data_end(bytes, byte(bytes, at + 1)?, at + 2)?,
            code => return data_end(bytes, code, at + 1),
        }
    }
    Err(Odd::Malformed)
}

/// The number of the descriptor that begins at `at`, behind the byte that announces it, and where the described value begins.
pub(super) fn descriptor(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    match bytes.get(at..)? {
        [0, 0x53, code, ..] => Some((u64::from(*code), at + 3)),
        [0, 0x80, rest @ ..] => Some((u64::from_be_bytes(*rest.first_chunk()?), at + 10)),
        _ => None,
    }
}

/// A value, as far as this program looks into values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    /// Milliseconds since 1970.
    Timestamp(i64),
    Binary(&'a [u8]),
    String(&'a str),
    Symbol(&'a str),
    Sequence(Elements<'a>),
    /// Keys and values in turn.
    Map(Elements<'a>),
    /// Of a type that nobody here reads: decimals, characters, UUIDs, what has a descriptor, and text that is not UTF-8.
    Other(&'a [u8]),
}

/// The elements of a list, an array or a map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    /// The code that all elements of an array have.
    code: Option<u8>,
    left: usize,
}

impl Value<'_> {
    /// A text, of either kind.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Signed(number) => Some(*number),
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// Reads the value at the beginning; what is behind it.
///
/// # Errors
/// [`Odd::Malformed`] where it has no end. What is in it was not counted: see [`measure`].
pub(super) fn read(bytes: &[u8]) -> Result<(Value<'_>, &[u8]), Odd> {
    let (value, rest) = bytes.split_at(skip(bytes, 0)?);
    let value = match value {
        [0, ..] | [] => Value::Other(value),
        [code, data @ ..] => plain(*code, data),
    };
    Ok((value, rest))
}

/// Data of a code, all of it.
fn plain(code: u8, data: &[u8]) -> Value<'_> {
    let unsigned = |data: &[u8]| data.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let signed = |data: &[u8]| {
        let unused = 64 - 8 * u32::try_from(data.len()).unwrap_or(8);
        // The sign moves down again.
        (unsigned(data) << unused).cast_signed() >> unused
    };
    let text = || std::str::from_utf8(behind(code, data, 0));
    match code {
        0x40 => Value::Null,
        0x41 => Value::Bool(true),
        0x42 => Value::Bool(false),
        0x43 | 0x44 => Value::Unsigned(0),
        0x45 => Value::Sequence(Elements::default()),
        0x56 => Value::Bool(data != [0]),
        0x50 | 0x52 | 0x53 | 0x60 | 0x70 | 0x80 => Value::Unsigned(unsigned(data)),
        0x51 | 0x54 | 0x55 | 0x61 | 0x71 | 0x81 => Value::Signed(signed(data)),
        0x72 => Value::Float(f64::from(f32::from_bits(u32::try_from(unsigned(data)).unwrap_or(0)))),
        0x82 => Value::Float(f64::from_bits(unsigned(data))),
        0x83 => Value::Timestamp(signed(data)),
        0xa0 | 0xb0 => Value::Binary(behind(code, data, 0)),
        0xa1 | 0xb1 => text().map_or(Value::Other(data), Value::String),
        0xa3 | 0xb3 => text().map_or(Value::Other(data), Value::Symbol),
        0xc0 | 0xd0 => elements(code, data).map_or(Value::Other(data), Value::Sequence),
        0xc1 | 0xd1 => elements(code, data).map_or(Value::Other(data), Value::Map),
        0xe0 | 0xf0 => array(code, data).map_or(Value::Other(data), Value::Sequence),
        _ => Value::Other(data),
    }
}

/// The data behind its size, and so many counts.
fn behind(code: u8, data: &[u8], counts: usize) -> &[u8] {
    let width = if code >> 4 & 1 == 0 { 1 } else { 4 };
    data.get(width * (1 + counts)..).unwrap_or_default()
}

fn elements(code: u8, data: &[u8]) -> Option<Elements<'_>> {
    let left = if code >> 4 & 1 == 0 { usize::from(*data.get(1)?) } else { number(data, 4).ok()? };
    Some(Elements { bytes: behind(code, data, 1), code: None, left })
}

/// `None` where its elements have descriptors: nobody here reads those.
fn array(code: u8, data: &[u8]) -> Option<Elements<'_>> {
    let Elements { bytes, left, .. } = elements(code, data)?;
    match bytes {
        _ if left == 0 => Some(Elements::default()),
        [0, ..] | [] => None,
        [element, rest @ ..] => Some(Elements { bytes: rest, code: Some(*element), left }),
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    /// Ends early where it is malformed, which nothing is that was counted.
    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (value, rest) = match self.code {
            None => read(self.bytes).ok()?,
            Some(code) => {
                let (data, rest) = self.bytes.split_at(data_end(self.bytes, code, 0).ok()?);
                (plain(code, data), rest)
            }
        };
        self.bytes = rest;
        Some(value)
    }
}

impl<'a> Elements<'a> {
    /// Of a map: its value of this name.
    pub(super) fn get(mut self, name: &str) -> Option<Value<'a>> {
        while let (Some(key), Some(value)) = (self.next(), self.next()) {
            if key.text() == Some(name) {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
