use proptest::prelude::*;
use serde_amqp::Value as Theirs;
use serde_amqp::primitives::{Array, OrderedMap};

use super::*;

const LIMITS: Limits = Limits { values: 1_000_000, depth: 32 };

/// An array of so many elements without width.
fn nothings(count: u32) -> Vec<u8> {
    [&[0xf0][..], &5u32.to_be_bytes(), &count.to_be_bytes(), &[0x45]].concat()
}

/// A list of these.
fn list(values: &[Vec<u8>]) -> Vec<u8> {
    let inner = values.concat();
    let (size, count) = (u32::try_from(inner.len() + 4).unwrap(), u32::try_from(values.len()).unwrap());
    [&[0xd0][..], &size.to_be_bytes(), &count.to_be_bytes(), &inner].concat()
}

#[test]
fn a_small_value_that_stands_for_much_is_counted_and_not_built() {
    assert_eq!(measure(&nothings(65_536), 0, LIMITS), Ok(10));
    // A kilobyte, 8 KB and 30 KB, as they were sent.
    for kilobytes in [1usize, 8, 30, 1000] {
        let hostile = list(&vec![nothings(65_536); kilobytes * 100]);
        assert_eq!(measure(&hostile, 0, LIMITS), Err(Odd::Many(1_000_000)), "{kilobytes}");
    }
    assert_eq!(measure(&nothings(u32::MAX), 0, LIMITS), Err(Odd::Many(1_000_000)));
    let nested = |depth: usize| (0..depth).fold(vec![0x40], |inner, _| list(&[inner]));
    assert_eq!(measure(&nested(32), 0, LIMITS), Ok(nested(32).len()));
    for deep in [33, 40_000] {
        assert_eq!(measure(&nested(deep), 0, LIMITS), Err(Odd::Deep(32)), "{deep}");
    }
    // Descriptors within descriptors nest as well, and any number of them may come before a value.
    let descriptors = [vec![0; 100_000], vec![0x40; 100_001]].concat();
    assert_eq!(measure(&descriptors, 0, LIMITS), Err(Odd::Deep(32)));
    let described = [[0, 0x40].repeat(100_000), vec![0x40]].concat();
    assert!(measure(&described, 0, LIMITS).is_ok() && skip(&described, 0) == Err(Odd::Malformed));
    // Arrays of arrays, and of what has a descriptor.
    let arrays = [&[0xf0][..], &25u32.to_be_bytes(), &2u32.to_be_bytes(), &[0xf0], &nothings(7)[1..], &nothings(9)[1..]].concat();
    let arrays = [&arrays[..1], &(u32::try_from(arrays.len()).unwrap() - 5).to_be_bytes(), &arrays[5..]].concat();
    assert_eq!(measure(&arrays, 0, LIMITS), Ok(arrays.len()));
    let described = [0xe0, 7, 2, 0x00, 0x53, 0x10, 0x50, 1, 2];
    assert_eq!(measure(&described, 0, LIMITS), Ok(9));
}

#[test]
fn what_contradicts_itself_is_malformed() {
    for bytes in [
        &[][..],
        &[0x00],
        &[0x00, 0x00],
        &[0x3f],
        &[0x80, 1],
        &[0xa1, 200, b'a'],
        &[0xb1, 0xff, 0xff, 0xff, 0xff],
        // A list whose elements go beyond it, and one that has more bytes than elements.
        &[0xc0, 2, 2, 0x40, 0x40],
        &[0xc0, 4, 1, 0x40, 0x40, 0x40],
        &[0xc0, 0],
        &[0xe0, 3, 200, 0x50, 1],
        &[0xf0, 0, 0, 0, 2, 0, 0],
    ] {
        assert_eq!(measure(bytes, 0, LIMITS), Err(Odd::Malformed), "{bytes:02x?}");
    }
}

#[test]
fn values_are_read() {
    let one = |theirs: &Theirs| serde_amqp::to_vec(theirs).unwrap();
    for (theirs, ours) in [
        (Theirs::Null, Value::Null),
        (Theirs::Bool(true), Value::Bool(true)),
        (Theirs::Ubyte(200), Value::Unsigned(200)),
        (Theirs::Uint(70_000), Value::Unsigned(70_000)),
        (Theirs::Ulong(0), Value::Unsigned(0)),
        (Theirs::Byte(-3), Value::Signed(-3)),
        (Theirs::Short(-300), Value::Signed(-300)),
        (Theirs::Int(-7), Value::Signed(-7)),
        (Theirs::Int(-70_000), Value::Signed(-70_000)),
        (Theirs::Long(i64::MIN), Value::Signed(i64::MIN)),
        (Theirs::Double(1.5.into()), Value::Float(1.5)),
        (Theirs::Timestamp((-5).into()), Value::Timestamp(-5)),
        (Theirs::String("é".to_owned()), Value::String("é")),
        (Theirs::Symbol("s".into()), Value::Symbol("s")),
        (Theirs::Binary(vec![1, 2].into()), Value::Binary(&[1, 2])),
    ] {
        let bytes = one(&theirs);
        assert_eq!(read(&bytes), Ok((ours, &[][..])), "{theirs:?}");
        assert_eq!(measure(&bytes, 0, LIMITS), Ok(bytes.len()));
    }
    let strings = Theirs::Array(Array(vec![Theirs::String("a".to_owned()), Theirs::String("b".to_owned())]));
    let map = Theirs::Map(OrderedMap::from_iter([
        (Theirs::Symbol("ids".into()), strings),
        (Theirs::String("n".to_owned()), Theirs::Long(9)),
    ]));
    let bytes = one(&map);
    let Ok((Value::Map(members), _)) = read(&bytes) else { panic!("{bytes:02x?}") };
    assert_eq!(members.get("n"), Some(Value::Signed(9)));
    let Some(Value::Sequence(ids)) = members.get("ids") else { panic!("{members:?}") };
    assert_eq!(ids.map(|id| id.text().map(str::to_owned)).collect::<Vec<_>>(), [Some("a".to_owned()), Some("b".to_owned())]);
    assert_eq!(members.get("other"), None);
    // Text that is none is no string.
    assert_eq!(read(&[0xa1, 1, 0xff]).unwrap().0, Value::Other(&[1, 0xff]));
}

proptest! {
    /// Whatever is counted is walked to its end, and neither takes longer than the bytes and the limits allow.
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(end) = measure(&bytes, 0, LIMITS) {
            prop_assert!(end <= bytes.len());
            prop_assert_eq!(skip(&bytes, 0).unwrap_or(end), end);
            if let Ok((Value::Sequence(values) | Value::Map(values), _)) = read(&bytes) {
                prop_assert_eq!(values.count(), values.left);
            }
        }
    }
}
