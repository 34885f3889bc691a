//! The page reader against a table, against itself cut into pieces, and against its judge.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::judge::{Verdict, verdict};
use super::*;

type Read = Result<(Vec<String>, bool), PageError>;

/// Reads through a window of this size, so that rows and all between them are cut at its edges.
fn read_through(window: usize, body: &[u8]) -> Read {
    let mut page = PageReader::with_window(body, window);
    let mut rows = Vec::new();
    loop {
        match page.next_row() {
            Ok(Some(row)) => rows.push(row.raw().to_owned()),
            Ok(None) => break,
            Err(Broken::Page(error)) => return Err(error),
        }
    }
    // Asking again changes nothing.
    assert!(page.next_row().is_ok_and(|row| row.is_none()));
    Ok((rows, page.has_next_link()))
}

fn read(body: &[u8]) -> Read {
    read_through(WINDOW, body)
}

#[test]
fn an_error_beside_the_rows_is_no_answer_and_a_count_tells_what_is_missing() {
    for (body, said) in [
        (r#"{"value":[],"error":{"code":"ServiceUnavailable","message":"x"}}"#, Some("ServiceUnavailable")),
        (r#"{"error":{"code":"Timeout"},"value":[{"id":"1"}]}"#, Some("Timeout")),
        (r#"{"error":{"code":"Timeout"}}"#, Some("Timeout")),
        (r#"{"value":[],"errors":[{"message":"half"}]}"#, Some("half")),
        (r#"{"value":[],"odata.error":{"code":"Late"}}"#, Some("Late")),
        (r#"{"value":[],"error":null,"errors":[]}"#, None),
    ] {
        match (check(body.as_bytes()), said) {
            (Ok(()), None) => {}
            (Err(error @ PageError::Failed { .. }), Some(said)) => assert!(error.to_string().contains(said), "{error}"),
            (other, _) => panic!("{body}: {other:?}"),
        }
    }
    for (body, missing, link) in [
        (r#"{"@odata.count":3,"value":[{"id":"1"}]}"#, 2, false),
        (r#"{"value":[{"id":"1"}],"@odata.count":1}"#, 0, false),
        (r#"{"value":[],"@odata.count":null,"@nextLink":"x"}"#, 0, true),
    ] {
        let mut page = PageReader::new(body.as_bytes());
        while page.next_row().unwrap().is_some() {}
        assert_eq!((page.missing(), page.has_next_link()), (missing, link), "{body}");
    }
}

#[test]
fn memory_that_served_before_shows_nothing_of_it() {
    let long = format!(r#"{{"value":["{}",{}1]}}"#, "x".repeat(3 * WINDOW), "1,".repeat(20_000));
    let mut room = Room::default();
    for body in [&*long, r#"{"value":[1,2]}"#, r#"{"value":[1"#, "", &*long, "{", r#"{"value":[3]}"#] {
        let mut page = PageReader::within(room, body.as_bytes());
        let mut rows = Vec::new();
        let error = loop {
            match page.next_row() {
                Ok(Some(row)) => rows.push(row.raw().to_owned()),
                Ok(None) => break None,
                Err(Broken::Page(error)) => break Some(error),
            }
        };
        room = page.leave();
        assert!(room.window.capacity() <= WINDOW, "a huge row's memory does not stay");
        assert_eq!(error.map_or(Ok(rows), Err), read(body.as_bytes()).map(|(rows, _)| rows));
    }
}

#[test]
fn members_in_any_order_and_spacing() {
    let table: [(&str, &[&str], bool); 13] = [
        (r#"{"value":[]}"#, &[], false),
        ("\r\n\u{feff}\n\u{feff} {\"value\":[1]}", &["1"], false),
        ("\u{feff}\u{feff} {\"value\":[1]}", &["1"], false),
        (r#"{"value":[{"a":1}]}"#, &[r#"{"a":1}"#], false),
        (
            "\r\n{ \"@odata.nextLink\" : \"https://x/?$skip=1\" ,\t\"value\" : [ {\"a\": 9007199254740993} , {} ] }\n",
            &[r#"{"a": 9007199254740993}"#, "{}"],
            true,
        ),
        (r#"{"value":[{}],"@odata.nextLink":"https://x"}"#, &["{}"], true),
        (r#"{"value":[1,null,"x",[2]],"@odata.nextLink":null}"#, &["1", "null", "\"x\"", "[2]"], false),
        (r#"{"@odata.context":{"value":[1]},"value":[{}],"@odata.nextLink":""}"#, &["{}"], false),
        (
            r#"{"@odata.count":3,"value":[{"value":[{"@odata.nextLink":"x"}]}]}"#,
            &[r#"{"value":[{"@odata.nextLink":"x"}]}"#],
            false,
        ),
        ("{\"\\u0076alue\":[{\"é\":\"\\u0000\"}],\"@odata.next\\u004Cink\":\"x\"}", &["{\"é\":\"\\u0000\"}"], true),
        ("\u{feff}{\"value\":[]}", &[], false),
        (r#"{"value":[1.0E+2, -0]}"#, &["1.0E+2", "-0"], false),
        ("{\"value\"\n:\n[\n{\n}\n,\n[\n]\n]\n}\n", &["{\n}", "[\n]"], false),
    ];
    for (body, rows, next) in table {
        let (read, has_next_link) = read(body.as_bytes()).unwrap();
        assert_eq!(read, rows, "{body}");
        assert_eq!(has_next_link, next, "{body}");
        for window in 1..=8 {
            assert_eq!(read_through(window, body.as_bytes()).unwrap(), (read.clone(), next), "{body} through {window} bytes");
        }
    }
}

#[test]
fn an_error_never_looks_like_no_data() {
    let table: [(&[u8], PageError); 31] = [
        (b"", PageError::Empty),
        (b" \r\n", PageError::Empty),
        (b"[]", PageError::NotAnObject),
        (b"[[]]", PageError::NotAnObject),
        (b"null", PageError::NotAnObject),
        (b"<html></html>", PageError::NotAnObject),
        (b"{}", PageError::NoValue),
        (br#"{"error":{"code":"x"}}"#, PageError::Failed { said: r#"{"code":"x"}"#.to_owned() }),
        (br#"{"Value":[]}"#, PageError::NoValue),
        (br#"{"value":null}"#, PageError::NotAnArray),
        (br#"{"value":{"a":[1]}}"#, PageError::NotAnArray),
        (br#"{"value":"[]"}"#, PageError::NotAnArray),
        (br#"{"value":[1],"value":[]}"#, PageError::TwoValues),
        (br#"{"value":1,"value":[]}"#, PageError::TwoValues),
        (br#"{"value":[{"a":1}]"#, PageError::Truncated { len: 18 }),
        (br#"{"value":[{"a":"tex"#, PageError::Truncated { len: 19 }),
        (br#"{"value":[{"a":"\u00"#, PageError::Truncated { len: 20 }),
        (br#"{"value":[12"#, PageError::Truncated { len: 12 }),
        (br#"{"value":[]}{"value":[1]}"#, PageError::Trailing { at: 12 }),
        (br#"{"value":[]} x"#, PageError::Trailing { at: 13 }),
        (b"{\"value\":[\"\xff\"]}", PageError::NotUtf8 { at: 11 }),
        (b"{\"value\":[\"\xc3\"]}", PageError::NotUtf8 { at: 11 }),
        (b"{\"\xff\":1,\"value\":[]}", PageError::NotUtf8 { at: 2 }),
        (br#"{"value":[1,]}"#, PageError::Syntax { at: 12 }),
        (br#"{"value":[{"a":1 "b":2}]}"#, PageError::Syntax { at: 17 }),
        (br#"{"value":[{"a":1,}]}"#, PageError::Syntax { at: 17 }),
        (br#"{value:[]}"#, PageError::Syntax { at: 1 }),
        (b"{\"value\":[\"a\nb\"]}", PageError::Syntax { at: 12 }),
        (br#"{"value":["a\x"]}"#, PageError::Syntax { at: 13 }),
        (br#"{"value":[{]}"#, PageError::Syntax { at: 11 }),
        (br#"{"value":[01]}"#, PageError::Syntax { at: 11 }),
    ];
    for (body, error) in table {
        assert_eq!(read(body).unwrap_err(), error, "{}", String::from_utf8_lossy(body));
        assert_eq!(verdict(body), None, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_body_that_stops_coming_is_told_from_one_that_ends() {
    struct Fails<'a>(&'a [u8]);
    impl Source for Fails<'_> {
        type Error = &'static str;
        fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error> {
            let Ok(read) = self.0.read(into);
            if read == 0 { Err("reset") } else { Ok(read) }
        }
    }
    let body = br#"{"value":[{"a":1},{"b":2}]}"#;
    for end in 0..=body.len() {
        let mut page = PageReader::new(Fails(&body[..end]));
        // The window is filled before it is looked at, so no row of the last one comes out.
        assert_eq!(page.next_row().unwrap_err(), Broken::Source("reset"), "{end}");
    }
}

#[test]
fn every_cut_of_a_page_is_an_error() {
    let body = r#"{"@odata.context":"c","value":[{"id":"é","n":[1,2.5,true]},{}],"@odata.nextLink":"n"}"#;
    let whole = read(body.as_bytes()).unwrap();
    assert_eq!(whole.0.len(), 2);
    for end in 0..body.len() {
        let error = read(&body.as_bytes()[..end]).unwrap_err();
        let wanted = if end == 0 { PageError::Empty } else { PageError::Truncated { len: end as u64 } };
        assert_eq!(error, wanted, "{end}");
        // And a cut that is none: the window ends here.
        assert_eq!(read_through(end + 1, body.as_bytes()), Ok(whole.clone()), "{end}");
    }
}

/// Bombs: each refused with no more memory than its limit, as the source gives out one piece again and again.
struct Bomb<'a> {
    begin: &'a [u8],
    piece: &'a [u8],
    given: u64,
}

impl Source for Bomb<'_> {
    type Error = &'static str;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error> {
        if let Ok(read @ 1..) = self.begin.read(into) {
            return Ok(read);
        }
        assert!(self.given < 1 << 30, "it goes on reading");
        let length = into.len().min(self.piece.len());
        into[..length].copy_from_slice(&self.piece[..length]);
        self.given += length as u64;
        Ok(length)
    }
}

#[test]
fn bombs_are_refused() {
    let bomb = |begin: &[u8], piece: &[u8]| {
        let mut page = PageReader::new(Bomb { begin, piece, given: 0 });
        let error = page.next_row().unwrap_err();
        assert!(page.window.len() <= ROW_LIMIT + WINDOW);
        error
    };
    assert_eq!(bomb(b"{\"value\":[", b"[[[[[[[["), Broken::Page(PageError::TooDeep { at: 10 + MAX_DEPTH as u64 }));
    assert_eq!(bomb(b"{\"value\":[{\"a\":\"", &[b'x'; 1 << 20]), Broken::Page(PageError::RowTooLarge { at: 10 }));
    assert_eq!(bomb(b"{\"value\":[[0", &b",0".repeat(1 << 19)), Broken::Page(PageError::RowTooLarge { at: 10 }));
    assert_eq!(bomb(b"{\"x\":\"", &[b'x'; 1 << 20]), Broken::Page(PageError::RowTooLarge { at: 5 }));
    let deep = format!("{{\"value\":[{}1{}]}}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert_eq!(read(deep.as_bytes()).unwrap().0.len(), 1);
}

#[test]
fn a_large_row_is_read_and_its_memory_given_back() {
    let large = "y".repeat(5 << 20);
    let body = format!("{{\"value\":[{{}},\"{large}\",{}{{}}]}}", format!("[\"{}\"],", "z".repeat(100)).repeat(100_000));
    let mut page = PageReader::new(body.as_bytes());
    let mut rows = 0;
    while let Some(row) = page.next_row().unwrap() {
        assert!(rows != 1 || row.raw().len() == large.len() + 2);
        rows += 1;
    }
    assert_eq!((rows, page.window.len()), (100_003, WINDOW));
}

/// JSON of every kind, in every spelling.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("JSON has no infinity", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        "\\PC{0,40}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        "(\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}|[a-zé]){0,12}".prop_map(|text| format!("\"{text}\"")),
    ];
    let space = "[ \t\r\n]{0,2}";
    scalar.prop_recursive(4, 30, 5, move |inner| {
        let list = (proptest::collection::vec(inner.clone(), 0..5), space)
            .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(&format!("{space},"))));
        let object = (proptest::collection::vec(("[a-zé]{0,9}", inner), 0..5), space).prop_map(|(members, space)| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\"{space}:{space}{value}")).collect();
            format!("{{{space}{}{space}}}", members.join(&format!("{space},{space}")))
        });
        prop_oneof![list, object]
    })
}

/// A list answer, or nearly one: its members in any order, some twice, and perhaps one byte changed.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let rows = || proptest::collection::vec(json(), 0..6).prop_map(|rows| format!("\"value\":[{}]", rows.join(" ,")));
    let link = prop_oneof![Just("\"x\""), Just("null"), Just("\"\""), Just("{}")]
        .prop_map(|link| format!("\"@odata.nextLink\" : {link}"));
    let other = ("[a-z@.]{0,6}", json()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    let member = prop_oneof![1 => rows(), 1 => link, 2 => other];
    let members = (proptest::collection::vec(member, 0..3), rows()).prop_map(|(mut members, rows)| {
        members.push(rows);
        let half = members.len() / 2;
        members.rotate_left(half);
        format!("{{{}}}", members.join(",")).into_bytes()
    });
    (members, proptest::option::weighted(0.5, (any::<proptest::sample::Index>(), any::<u8>()))).prop_map(|(mut body, change)| {
        if let Some((at, byte)) = change {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body
    })
}

proptest! {
    #[test]
    fn the_judge_agrees_wherever_the_window_ends(body in answer(), window in 1_usize..60) {
        let whole = read(&body);
        let judged = verdict(&body).map(|Verdict { rows, has_next_link }| {
            (rows.into_iter().map(str::to_owned).collect::<Vec<_>>(), has_next_link)
        });
        prop_assert_eq!(whole.clone().ok(), judged, "{}", String::from_utf8_lossy(&body));
        // To the very error, but that of bytes that are no text may be found before or after another.
        let cut = read_through(window, &body);
        prop_assert!(cut == whole || std::str::from_utf8(&body).is_err() && cut.is_err() && whole.is_err(), "{cut:?}, {whole:?}");
    }
}
