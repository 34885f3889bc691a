//! Values to bytes.

use super::Value;

/// Appends a value, in the shortest of its encodings.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Boolean(true) => out.push(0x41),
        Value::Boolean(false) => out.push(0x42),
        Value::Uint(0) => out.push(0x43),
        Value::Uint(number @ 1..=255) => out.extend([0x52, *number as u8]),
        Value::Ulong(0) => out.push(0x44),
        Value::Ulong(number @ 1..=255) => out.extend([0x53, *number as u8]),
        Value::Int(number @ -128..=127) => out.extend([0x54, *number as u8]),
        Value::Long(number @ -128..=127) => out.extend([0x55, *number as u8]),
        Value::Binary(bytes) if bytes.len() < 256 => short(0xa0, bytes, out),
        Value::String(text) if text.len() < 256 => short(0xa1, text.as_bytes(), out),
        Value::Symbol(text) if text.len() < 256 => short(0xa3, text.as_bytes(), out),
        Value::Described(descriptor, described) => {
            out.push(0x00);
            encode(descriptor, out);
            encode(described, out);
        }
        Value::List(items) => compound([0xc0, 0xd0], items.len(), out, |out| items.iter().for_each(|item| encode(item, out))),
        Value::Map(pairs) => compound([0xc1, 0xd1], pairs.len() * 2, out, |out| {
            for (key, value) in pairs {
                encode(key, out);
                encode(value, out);
            }
        }),
        Value::Array(items) => compound([0xe0, 0xf0], items.len(), out, |out| {
            shared_constructor(items, out);
            items.iter().for_each(|item| bare(item, out));
        }),
        other => {
            out.push(constructor(other));
            bare(other, out);
        }
    }
}

/// Appends a `uint` in its encoding of five bytes, which does not move what follows when the number grows.
pub(crate) fn bare_u32(number: u32, out: &mut Vec<u8>) {
    out.push(0x70);
    out.extend(number.to_be_bytes());
}

fn short(constructor: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend([constructor, bytes.len() as u8]);
    out.extend(bytes);
}

/// A list, map or array: sizes and counts of one byte where they fit.
fn compound([narrow, wide]: [u8; 2], count: usize, out: &mut Vec<u8>, inside: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    inside(&mut bytes);
    if bytes.len() < 255 && count < 256 {
        out.extend([narrow, bytes.len() as u8 + 1, count as u8]);
    } else {
        out.push(wide);
        out.extend((bytes.len() as u32 + 4).to_be_bytes());
        out.extend((count as u32).to_be_bytes());
    }
    out.extend(bytes);
}

/// What stands before the elements of an array: the type of the first, and its descriptors if it has some.
fn shared_constructor(items: &[Value], out: &mut Vec<u8>) {
    let mut item = items.first().unwrap_or(&Value::Null);
    while let Value::Described(descriptor, described) = item {
        out.push(0x00);
        encode(descriptor, out);
        item = described;
    }
    out.push(constructor(item));
}

/// The constructor whose encoding holds every value of the type, as the elements of an array need.
fn constructor(value: &Value) -> u8 {
    match value {
        Value::Null | Value::Described(..) => 0x40,
        Value::Boolean(_) => 0x56,
        Value::Ubyte(_) => 0x50,
        Value::Ushort(_) => 0x60,
        Value::Uint(_) => 0x70,
        Value::Ulong(_) => 0x80,
        Value::Byte(_) => 0x51,
        Value::Short(_) => 0x61,
        Value::Int(_) => 0x71,
        Value::Long(_) => 0x81,
        Value::Float(_) => 0x72,
        Value::Double(_) => 0x82,
        Value::Decimal(bytes) => match bytes.len() {
            4 => 0x74,
            8 => 0x84,
            _ => 0x94,
        },
        Value::Char(_) => 0x73,
        Value::Timestamp(_) => 0x83,
        Value::Uuid(_) => 0x98,
        Value::Binary(_) => 0xb0,
        Value::String(_) => 0xb1,
        Value::Symbol(_) => 0xb3,
        Value::List(_) => 0xd0,
        Value::Map(_) => 0xd1,
        Value::Array(_) => 0xf0,
    }
}

/// A value without its constructor.
fn bare(value: &Value, out: &mut Vec<u8>) {
    let variable = |bytes: &[u8], out: &mut Vec<u8>| {
        out.extend((bytes.len() as u32).to_be_bytes());
        out.extend(bytes);
    };
    match value {
        Value::Null => {}
        Value::Described(_, described) => bare(described, out),
        Value::Boolean(is) => out.push(u8::from(*is)),
        Value::Ubyte(number) => out.push(*number),
        Value::Ushort(number) => out.extend(number.to_be_bytes()),
        Value::Uint(number) => out.extend(number.to_be_bytes()),
        Value::Ulong(number) => out.extend(number.to_be_bytes()),
        Value::Byte(number) => out.extend(number.to_be_bytes()),
        Value::Short(number) => out.extend(number.to_be_bytes()),
        Value::Int(number) => out.extend(number.to_be_bytes()),
        Value::Long(number) | Value::Timestamp(number) => out.extend(number.to_be_bytes()),
        Value::Float(number) => out.extend(number.to_be_bytes()),
        Value::Double(number) => out.extend(number.to_be_bytes()),
        Value::Decimal(bytes) => out.extend(bytes),
        Value::Char(character) => out.extend(u32::from(*character).to_be_bytes()),
        Value::Uuid(bytes) => out.extend(bytes),
        Value::Binary(bytes) => variable(bytes, out),
        Value::String(text) | Value::Symbol(text) => variable(text.as_bytes(), out),
        Value::List(_) | Value::Map(_) | Value::Array(_) => wide_compound(value, out),
    }
}

/// A list, map or array as an element of an array, with sizes of four bytes.
fn wide_compound(value: &Value, out: &mut Vec<u8>) {
    let mut inside = Vec::new();
    let count = match value {
        Value::List(items) => {
            items.iter().for_each(|item| encode(item, &mut inside));
            items.len()
        }
        Value::Map(pairs) => {
            for (key, value) in pairs {
                encode(key, &mut inside);
                encode(value, &mut inside);
            }
            pairs.len() * 2
        }
        Value::Array(items) => {
            shared_constructor(items, &mut inside);
            items.iter().for_each(|item| bare(item, &mut inside));
            items.len()
        }
        _ => 0,
    };
    out.extend((inside.len() as u32 + 4).to_be_bytes());
    out.extend((count as u32).to_be_bytes());
    out.extend(inside);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event_hubs::amqp::{Malformed, decode};

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<u8>().prop_map(Value::Ubyte),
            any::<u16>().prop_map(Value::Ushort),
            any::<u32>().prop_map(Value::Uint),
            any::<u64>().prop_map(Value::Ulong),
            any::<i8>().prop_map(Value::Byte),
            any::<i16>().prop_map(Value::Short),
            any::<i32>().prop_map(Value::Int),
            (-300i64..300).prop_map(Value::Long),
            any::<i64>().prop_map(Value::Timestamp),
            (-1e9f64..1e9).prop_map(Value::Double),
            any::<char>().prop_map(Value::Char),
            any::<[u8; 16]>().prop_map(Value::Uuid),
            any::<[u8; 8]>().prop_map(|bytes| Value::Decimal(bytes.to_vec())),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Binary),
            "\\PC{0,120}".prop_map(Value::String),
            "[ -~]{0,20}".prop_map(Value::Symbol),
        ]
    }

    fn any_value() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
                prop::collection::btree_map(any::<u32>(), inner.clone(), 0..6)
                    .prop_map(|map| Value::Map(map.into_iter().map(|(key, value)| (Value::Uint(key), value)).collect())),
                prop::collection::vec("[a-z]{0,9}", 0..5)
                    .prop_map(|all| Value::Array(all.iter().map(|s| Value::symbol(s)).collect())),
                prop::collection::vec(prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List), 1..4)
                    .prop_map(Value::Array),
                (any::<u64>(), inner)
                    .prop_map(|(descriptor, value)| Value::Described(Value::Ulong(descriptor).into(), value.into())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any_value()) {
            let mut bytes = Vec::new();
            encode(&value, &mut bytes);
            prop_assert_eq!(decode(&bytes), Ok(value));
        }

        #[test]
        fn any_bytes_are_a_value_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(value) = decode(&bytes) {
                let mut again = Vec::new();
                encode(&value, &mut again);
                // Not always the same bytes, always the same value; by its text, because NaN differs from itself.
                prop_assert_eq!(format!("{:?}", decode(&again)), format!("{:?}", Ok::<_, Malformed>(value)));
            }
        }

        #[test]
        fn a_value_cut_short_is_refused(value in any_value(), share in 0.0f64..1.0) {
            let mut bytes = Vec::new();
            encode(&value, &mut bytes);
            let cut = (bytes.len() as f64 * share) as usize;
            prop_assert!(decode(&bytes[..cut]).is_err());
        }
    }
}
