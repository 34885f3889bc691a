use super::*;

/// A section around a value.
fn section(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0x00, 0x53, code], value].concat()
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    [&[0xb0][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&[0xa1, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn list(code: u8, values: &[Vec<u8>]) -> Vec<u8> {
    let inner = values.concat();
    let (size, count) = (u32::try_from(inner.len() + 4).unwrap(), u32::try_from(values.len()).unwrap());
    [&[code][..], &size.to_be_bytes(), &count.to_be_bytes(), &inner].concat()
}

/// A kilobyte that stands for 6.5 million values.
fn hostile() -> Vec<u8> {
    let nothings = [&[0xf0][..], &5u32.to_be_bytes(), &65_536u32.to_be_bytes(), &[0x45]].concat();
    list(0xd0, &vec![nothings; 100])
}

fn data(bytes: &[u8]) -> Piece {
    Piece::Data(bytes.to_vec())
}

fn printed(text: &str) -> Piece {
    Piece::Printed(text.to_owned())
}

#[test]
fn bodies_of_every_kind() {
    let number = vec![0x54, 7];
    let map =
        list(0xd1, &[text("a"), number.clone(), [&[0xa3, 1][..], b"b"].concat(), list(0xd0, &[vec![0x40], binary(b"\xff")])]);
    let described = [&[0x00, 0xa3, 1, b'x'][..], &number].concat();
    let table: Vec<(Vec<u8>, Vec<Piece>)> = vec![
        (section(0x75, &binary(b"{}")), vec![data(b"{}")]),
        (section(0x75, &[0xa0, 2, b'{', b'}']), vec![data(b"{}")]),
        ([section(0x75, &binary(b"{\"a\"")), section(0x75, &binary(b":1}"))].concat(), vec![data(b"{\"a\":1}")]),
        (section(0x77, &binary(b"{}")), vec![data(b"{}")]),
        (section(0x77, &text("{}")), vec![data(b"{}")]),
        (section(0x77, &map), vec![printed(r#"{"a":7,"b":[null,"/w=="]}"#)]),
        (section(0x77, &described), vec![Piece::Raw(described.clone())]),
        (section(0x77, &hostile()), vec![Piece::Raw(hostile())]),
        (
            [section(0x76, &list(0xd0, &[text("{}"), number.clone(), binary(b"[]")])), section(0x76, &list(0xd0, &[]))].concat(),
            vec![data(b"{}"), printed("7"), data(b"[]")],
        ),
        (section(0x76, &hostile()), vec![Piece::Raw(hostile())]),
        // What is not UTF-8 is not printed.
        (section(0x77, &[0xa1, 1, 0xff]), vec![Piece::Raw(vec![0xa1, 1, 0xff])]),
        // What is behind the data and cannot be read goes on by itself.
        ([section(0x75, &binary(b"{}")), vec![1, 2, 3]].concat(), vec![data(b"{}"), Piece::Raw(vec![1, 2, 3])]),
        (vec![], vec![]),
    ];
    for (body_of, pieces) in table {
        // Sections that nobody looks at may hold what they want.
        let around = [section(0x71, &list(0xd1, &[text("x"), hostile()])), section(0x78, &hostile())];
        assert_eq!(body([&around[0][..], &body_of].concat()), pieces);
        if !matches!(pieces.last(), Some(Piece::Raw(raw)) if raw == &[1, 2, 3]) {
            assert_eq!(body([&body_of[..], &around[1]].concat()), pieces);
        }
    }
}

#[test]
fn annotations_are_found_among_what_is_hostile() {
    let annotations =
        list(0xd1, &[text("odd"), hostile(), [&[0xa3, 3][..], b"x-o"].concat(), vec![0x81, 0, 0, 0, 0, 0, 0, 0, 9]]);
    let message =
        [section(0x70, &hostile()), section(0x72, &annotations), section(0x74, &annotations), section(0x77, &[0x40])].concat();
    for found in [annotation(&message, "x-o"), property(&message, "x-o")] {
        assert_eq!(found.and_then(|value| value.number()), Some(9));
    }
    assert_eq!(annotation(&message, "other"), None);
    assert_eq!(answered_value(&message), Ok(Value::Null));
    assert_eq!(answered_value(&section(0x77, &hostile())), Err(Odd::Many(10_000)));
    assert_eq!(answered_value(b""), Err(Odd::Malformed));
}

#[test]
fn an_answer_names_its_request() {
    let about = |id: &[u8]| section(0x73, &list(0xd0, &[vec![0x40; 5], id.to_vec()]));
    let fixed = |bytes: Vec<u8>| [&bytes[..8], &6u32.to_be_bytes(), &bytes[12..]].concat();
    assert_eq!(correlation(&fixed(about(&[0x53, 4]))), Some(4));
    assert_eq!(correlation(&fixed(about(&[0x40]))), None);
    assert_eq!(correlation(b""), None);
}
