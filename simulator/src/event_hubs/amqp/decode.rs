//! Bytes to values. What comes here was sent by somebody else: every length is checked before it is believed.

use super::Value;

/// How deep lists, maps, arrays and descriptions may lie within one another.
const DEPTH: usize = 32;
/// How many elements without a byte of their own (`true`, `list0`, …) an array may have.
const EMPTY_ELEMENTS: usize = 4096;

/// Why bytes are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// The one value that these bytes are.
///
/// # Errors
/// When they are not a value, or more than one.
pub fn decode(bytes: &[u8]) -> Result<Value, Malformed> {
    let (value, rest) = value_at(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(Malformed("bytes are left behind the value")) }
}

/// The value at the start of these bytes, and what follows it.
pub(crate) fn value_at(bytes: &[u8]) -> Result<(Value, &[u8]), Malformed> {
    let mut reader = Reader { bytes };
    let value = reader.value(DEPTH)?;
    Ok((value, reader.bytes))
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        if count > self.bytes.len() {
            return Err(Malformed("the value ends too early"));
        }
        let (taken, rest) = self.bytes.split_at(count);
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut fixed = [0; N];
        fixed.copy_from_slice(self.take(N)?);
        Ok(fixed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// A size or count of one byte or four.
    fn number(&mut self, wide: bool) -> Result<usize, Malformed> {
        if wide { Ok(u32::from_be_bytes(self.array()?) as usize) } else { Ok(usize::from(self.byte()?)) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        match self.byte()? {
            0x00 => {
                let deeper = depth.checked_sub(1).ok_or(Malformed("values lie too deep within one another"))?;
                let descriptor = self.value(deeper)?;
                Ok(Value::Described(Box::new(descriptor), Box::new(self.value(deeper)?)))
            }
            constructor => self.primitive(constructor, depth),
        }
    }

    fn primitive(&mut self, constructor: u8, depth: usize) -> Result<Value, Malformed> {
        Ok(match constructor {
            0x40 => Value::Null,
            0x41 => Value::Boolean(true),
            0x42 => Value::Boolean(false),
            0x56 => match self.byte()? {
                0 => Value::Boolean(false),
                1 => Value::Boolean(true),
                _ => return Err(Malformed("a boolean is neither 0 nor 1")),
            },
            0x50 => Value::Ubyte(self.byte()?),
            0x60 => Value::Ushort(u16::from_be_bytes(self.array()?)),
            0x43 => Value::Uint(0),
            0x52 => Value::Uint(u32::from(self.byte()?)),
            0x70 => Value::Uint(u32::from_be_bytes(self.array()?)),
            0x44 => Value::Ulong(0),
            0x53 => Value::Ulong(u64::from(self.byte()?)),
            0x80 => Value::Ulong(u64::from_be_bytes(self.array()?)),
            0x51 => Value::Byte(i8::from_be_bytes(self.array()?)),
            0x61 => Value::Short(i16::from_be_bytes(self.array()?)),
            0x54 => Value::Int(i32::from(i8::from_be_bytes(self.array()?))),
            0x71 => Value::Int(i32::from_be_bytes(self.array()?)),
            0x55 => Value::Long(i64::from(i8::from_be_bytes(self.array()?))),
            0x81 => Value::Long(i64::from_be_bytes(self.array()?)),
            0x72 => Value::Float(f32::from_be_bytes(self.array()?)),
            0x82 => Value::Double(f64::from_be_bytes(self.array()?)),
            0x74 => Value::Decimal(self.take(4)?.to_vec()),
            0x84 => Value::Decimal(self.take(8)?.to_vec()),
            0x94 => Value::Decimal(self.take(16)?.to_vec()),
            0x73 => Value::Char(char::from_u32(u32::from_be_bytes(self.array()?)).ok_or(Malformed("a char is no code point"))?),
            0x83 => Value::Timestamp(i64::from_be_bytes(self.array()?)),
            0x98 => Value::Uuid(self.array()?),
            0xa0 | 0xb0 => Value::Binary(self.variable(constructor == 0xb0)?.to_vec()),
            0xa1 | 0xb1 => {
                let text = std::str::from_utf8(self.variable(constructor == 0xb1)?);
                Value::String(text.map_err(|_| Malformed("a string is not UTF-8"))?.to_string())
            }
            0xa3 | 0xb3 => {
                let text = std::str::from_utf8(self.variable(constructor == 0xb3)?).ok().filter(|text| text.is_ascii());
                Value::Symbol(text.ok_or(Malformed("a symbol is not ASCII"))?.to_string())
            }
            0x45 => Value::List(Vec::new()),
            0xc0 | 0xd0 => {
                let (mut inside, count) = self.compound(constructor == 0xd0)?;
                let items = inside.items(count, depth)?;
                inside.finished(Value::List(items))?
            }
            0xc1 | 0xd1 => {
                let (mut inside, count) = self.compound(constructor == 0xd1)?;
                if !count.is_multiple_of(2) {
                    return Err(Malformed("a map has a key without a value"));
                }
                let mut items = inside.items(count, depth)?.into_iter();
                let mut pairs = Vec::with_capacity(count / 2);
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    if pairs.iter().any(|(other, _)| *other == key) {
                        return Err(Malformed("a map has the same key twice"));
                    }
                    pairs.push((key, value));
                }
                inside.finished(Value::Map(pairs))?
            }
            0xe0 | 0xf0 => {
                let (mut inside, count) = self.compound(constructor == 0xf0)?;
                let items = inside.elements(count, depth)?;
                inside.finished(Value::Array(items))?
            }
            _ => return Err(Malformed("a constructor is not in the specification")),
        })
    }

    fn variable(&mut self, wide: bool) -> Result<&'a [u8], Malformed> {
        let size = self.number(wide)?;
        self.take(size)
    }

    /// What is inside a list, map or array, and how many elements that should be.
    fn compound(&mut self, wide: bool) -> Result<(Reader<'a>, usize), Malformed> {
        let size = self.number(wide)?;
        let mut inside = Reader { bytes: self.take(size)? };
        let count = inside.number(wide)?;
        Ok((inside, count))
    }

    fn items(&mut self, count: usize, depth: usize) -> Result<Vec<Value>, Malformed> {
        let deeper = depth.checked_sub(1).ok_or(Malformed("values lie too deep within one another"))?;
        // Each has a constructor of at least one byte.
        if count > self.bytes.len() {
            return Err(Malformed("a count exceeds the bytes there are"));
        }
        (0..count).map(|_| self.value(deeper)).collect()
    }

    /// The elements of an array, which share one constructor.
    fn elements(&mut self, count: usize, depth: usize) -> Result<Vec<Value>, Malformed> {
        let deeper = depth.checked_sub(1).ok_or(Malformed("values lie too deep within one another"))?;
        if count > self.bytes.len().max(EMPTY_ELEMENTS) {
            return Err(Malformed("a count exceeds the bytes there are"));
        }
        let mut constructor = self.byte()?;
        let mut descriptors = Vec::new();
        while constructor == 0x00 {
            if descriptors.len() == DEPTH {
                return Err(Malformed("values lie too deep within one another"));
            }
            descriptors.push(self.value(deeper)?);
            constructor = self.byte()?;
        }
        let element = |reader: &mut Self| {
            let bare = reader.primitive(constructor, deeper)?;
            Ok(descriptors
                .iter()
                .rev()
                .fold(bare, |value, descriptor| Value::Described(Box::new(descriptor.clone()), Box::new(value))))
        };
        (0..count).map(|_| element(self)).collect()
    }

    fn finished(&self, value: Value) -> Result<Value, Malformed> {
        if self.bytes.is_empty() { Ok(value) } else { Err(Malformed("a size exceeds what is inside")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification() {
        // Section 1.5, figures 1.2 and 1.14 and the text around them.
        for (bytes, value) in [
            (&b"\xa1\x05hello"[..], Value::string("hello")),
            (b"\xb1\0\0\0\x05hello", Value::string("hello")),
            (b"\x00\xa1\x03URL\xa1\x04http", Value::Described(Value::string("URL").into(), Value::string("http").into())),
            (b"\x45", Value::List(vec![])),
            (b"\xc0\x04\x03\x40\x41\x43", Value::List(vec![Value::Null, Value::Boolean(true), Value::Uint(0)])),
            (b"\xe0\x06\x02\x50\x01\x02\x03", Value::Null), // its size says one more than its count
            (b"\xe0\x04\x02\x50\x01\x02", Value::Array(vec![Value::Ubyte(1), Value::Ubyte(2)])),
            (b"\xc1\x05\x02\xa3\x01a\x41", Value::Map(vec![(Value::symbol("a"), Value::Boolean(true))])),
            (b"\x55\xff", Value::Long(-1)),
        ] {
            let found = decode(bytes);
            if value == Value::Null {
                assert!(found.is_err(), "{bytes:x?} is {found:?}");
            } else {
                assert_eq!(found, Ok(value), "{bytes:x?}");
            }
        }
    }

    #[test]
    fn lengths_that_lie() {
        for (bytes, why) in [
            (&b""[..], "the value ends too early"),
            (b"\xa1\x06hello", "the value ends too early"),
            (b"\xb0\xff\xff\xff\xff", "the value ends too early"),
            (b"\xc0\x02\xff\x40", "a count exceeds the bytes there are"),
            (b"\xd0\0\0\0\x04\xff\xff\xff\xff", "a count exceeds the bytes there are"),
            (b"\xf0\0\0\0\x05\xff\xff\xff\xff\x41", "a count exceeds the bytes there are"),
            (b"\xc0\x03\x01\x40\x40", "a size exceeds what is inside"),
            (b"\xc1\x02\x01\x40", "a map has a key without a value"),
            (b"\xc1\x05\x04\x41\x40\x41\x40", "a map has the same key twice"),
            (b"\x56\x02", "a boolean is neither 0 nor 1"),
            (b"\xa1\x01\xff", "a string is not UTF-8"),
            (b"\xa3\x02\xc3\xa4", "a symbol is not ASCII"),
            (b"\x73\0\0\xd8\0", "a char is no code point"),
            (b"\x99", "a constructor is not in the specification"),
            (b"\x40\x40", "bytes are left behind the value"),
        ] {
            assert_eq!(decode(bytes), Err(Malformed(why)), "{bytes:x?}");
        }
        assert_eq!(decode(&[0; 4096]), Err(Malformed("values lie too deep within one another")));
        let mut deep = vec![0x40];
        for _ in 0..200 {
            let size = deep.len() as u32 + 4;
            deep = [&[0xd0][..], &size.to_be_bytes(), &1u32.to_be_bytes(), &deep].concat();
        }
        assert_eq!(decode(&deep), Err(Malformed("values lie too deep within one another")));
    }
}
