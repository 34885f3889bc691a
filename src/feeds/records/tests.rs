use std::convert::Infallible;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const NOW: Ticks = Ticks(17_955_000_000_000_000);

/// A record as on the wire.
fn envelope(table: &str, properties: &str) -> String {
    format!(
        r#"{{"time":"2026-11-22T08:11:12.7654321Z","tenantId":"t","operationName":"Publish","category":"AdvancedHunting-{table}","properties":{properties},"Tenant":"DefaultTenant"}}"#
    )
}

const LOGON: &str = r#"{"Timestamp":"2026-11-22T08:09:10.1234567Z","ReportId":639199803770463703,"RemoteIP":null}"#;

/// What came of a body: sourcetype, time and text of each event.
type Events = Vec<(&'static str, Ticks, String)>;

fn read_with(reader: &mut Reader, body: &[u8]) -> (Events, Tally) {
    let mut events = Vec::new();
    let tally = reader.read(body, NOW, |record| {
        events.push((record.sourcetype, record.time, record.data.into_owned()));
        Ok::<_, Infallible>(())
    });
    let Ok(tally) = tally;
    (events, tally)
}

fn read(body: &[u8]) -> (Events, Tally) {
    read_with(&mut Reader::new(Shape::Incumbent, Tables::All, Dedupe::Off), body)
}

/// The texts alone.
fn texts(body: &[u8]) -> Vec<String> {
    read(body).0.into_iter().map(|(_, _, text)| text).collect()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// The bytes that an unparsed event stands for.
fn original(text: &str) -> Vec<u8> {
    let event: Value = serde_json::from_str(text).unwrap();
    let body = event["body"].as_str().unwrap();
    let bytes = match event["encoding"].as_str().unwrap() {
        "text" => body.as_bytes().to_vec(),
        "base64" => STANDARD.decode(body).unwrap(),
        other => panic!("{other}"),
    };
    assert_eq!(event["bytes"], bytes.len());
    bytes
}

#[test]
fn every_form_of_a_body_gives_its_records_as_they_were_sent() {
    let (a, b) = (envelope("DeviceLogonEvents", LOGON), envelope("AlertInfo", "{}"));
    let table = [
        (format!("{{\"records\":[{a},{b}]}}"), vec![&a, &b]),
        (format!(" {{ \"records\" : [ {a} , {b} ] }} "), vec![&a, &b]),
        (format!("{{\"\\u0072ecords\":[{a}]}}"), vec![&a]),
        (a.clone(), vec![&a]),
        (format!("[{a},{b}]"), vec![&a, &b]),
        (format!("{a}\r\n{b}\r\n"), vec![&a, &b]),
        (format!("\u{feff}{a}\n\n{{\"records\":[{b}]}}\n[{a}]"), vec![&a, &b, &a]),
        (format!("{a}{b}"), vec![&a, &b]),
        ("{\"records\":[]}".to_owned(), vec![]),
        ("[]".to_owned(), vec![]),
        (" \r\n".to_owned(), vec![]),
        (String::new(), vec![]),
    ];
    for (body, records) in table {
        for body in [
            body.clone().into_bytes(),
            gzip(body.as_bytes()),
            [gzip(&body.as_bytes()[..body.len() / 2]), gzip(&body.as_bytes()[body.len() / 2..])].concat(),
        ] {
            let (events, tally) = read(&body);
            assert_eq!(events.iter().map(|(_, _, text)| text).collect::<Vec<_>>(), records);
            assert!(events.iter().all(|(sourcetype, _, _)| *sourcetype == ENVELOPE));
            assert_eq!((tally.records, tally.unparsed), (records.len() as u64, 0));
        }
    }
    // On several lines a record is written on one, and keeps its numbers.
    assert_eq!(texts(b"{\n  \"properties\": {\r\n \"n\": 1.50e+400 }\n}"), [r#"{"properties":{"n":1.50e+400}}"#]);
    // What looks like a list of records and is none is a record.
    assert_eq!(texts(br#"{"records":{"a":1}}"#), [r#"{"records":{"a":1}}"#]);
}

#[test]
fn the_time_is_the_rows_own() {
    let at = |text: &str| Ticks::parse(text).unwrap();
    let table = [
        (envelope("T", LOGON), at("2026-11-22T08:09:10.1234567Z"), 0),
        (envelope("T", r#"{"Nested":{"Timestamp":"2020-01-01T00:00:00Z"}}"#), at("2026-11-22T08:11:12.7654321Z"), 1),
        (envelope("T", r#"{"Timestamp":"soon"}"#), at("2026-11-22T08:11:12.7654321Z"), 1),
        (envelope("T", r#"{"Timestam\u0070":"2026-11-22T08:09:10Z"}"#), at("2026-11-22T08:09:10Z"), 0),
        (envelope("T", r#"{"Timestamp":"2026-11-22T08:09:10\u005a"}"#), at("2026-11-22T08:09:10Z"), 0),
        (envelope("T", r#"[{"Timestamp":"2020-01-01T00:00:00Z"}]"#), at("2026-11-22T08:11:12.7654321Z"), 1),
        (r#"{"time":null,"properties":{"Timestamp":null}}"#.to_owned(), NOW, 1),
        ("{}".to_owned(), NOW, 1),
    ];
    for (record, time, undated) in table {
        let (events, tally) = read(record.as_bytes());
        assert_eq!((events[0].1, tally.undated), (time, undated), "{record}");
    }
}

#[test]
fn the_shape_is_a_name() {
    let body = envelope("AlertInfo", LOGON);
    let (events, _) = read_with(&mut Reader::new(Shape::Community, Tables::All, Dedupe::Off), body.as_bytes());
    assert_eq!((events[0].0, &events[0].2), (COMMUNITY, &body));
}

#[test]
fn a_list_of_tables_narrows() {
    let tables = Tables::Only(["deviceevents", "alertinfo"].map(str::to_owned).into());
    let body = [
        envelope("DeviceEvents", LOGON),
        envelope("AlertInfo", LOGON),
        envelope("AlertEvidence", LOGON),
        r#"{"category":"SignInLogs"}"#.to_owned(),
        r#"{"category":"\u0041dvancedHunting-DeviceEvents"}"#.to_owned(),
        "{}".to_owned(),
    ]
    .join("\n");
    let (events, tally) = read_with(&mut Reader::new(Shape::Incumbent, tables, Dedupe::Off), body.as_bytes());
    assert_eq!((events.len(), tally.records, tally.filtered), (3, 3, 3));
}

#[test]
fn repeats_are_rows_that_are_the_same_to_the_byte() {
    let mut reader = Reader::new(Shape::Incumbent, Tables::All, Dedupe::On);
    let a = envelope("DeviceEvents", LOGON);
    let later = a.replace("08:11:12", "08:15:00");
    let others = [
        a.replace("639199803770463703", "639199803770463704"),
        a.replace("DeviceEvents", "DeviceInfo"),
        a.replace("\"tenantId\":\"t\"", "\"tenantId\":\"u\""),
        a.replace(LOGON, &format!("{LOGON} ").replace(":null", ": null")),
    ];
    let body = [&[a.clone(), later.clone()][..], &others[..], std::slice::from_ref(&later)].concat().join("\r\n");
    let (events, tally) = read_with(&mut reader, body.as_bytes());
    let expected: Vec<&String> = std::iter::once(&a).chain(&others).collect();
    assert_eq!(events.iter().map(|(_, _, text)| text).collect::<Vec<_>>(), expected);
    assert_eq!(tally.repeats, 2);
    // Without a row there is nothing to compare.
    assert_eq!(read_with(&mut reader, b"{\"a\":1}\n{\"a\":1}").0.len(), 2);

    let mut next = Reader::new(Shape::Incumbent, Tables::All, Dedupe::On);
    assert!(next.remember(&reader.memory().unwrap()));
    assert_eq!(read_with(&mut next, later.as_bytes()).1.repeats, 1);
    assert!(!next.remember(b"?"));
    assert_eq!(Reader::new(Shape::Incumbent, Tables::All, Dedupe::Off).memory(), None);
}

#[test]
fn a_record_that_was_not_taken_is_no_repeat() {
    let mut reader = Reader::new(Shape::Incumbent, Tables::All, Dedupe::On);
    let a = envelope("DeviceEvents", LOGON);
    assert_eq!(reader.read(a.as_bytes(), NOW, |_| Err("full")), Err("full"));
    assert_eq!(read_with(&mut reader, a.as_bytes()).1.records, 1);
}

#[test]
fn what_is_no_record_is_passed_on_whole() {
    let a = envelope("AlertInfo", LOGON);
    let cut = format!("{{\"records\":[{a},{}", &a[..40]);
    let gz = gzip(a.as_bytes());
    // (body, events that are records, the unparsed bytes and why)
    type Row<'a> = (Vec<u8>, usize, Vec<(&'a [u8], Reason)>);
    let table: Vec<Row<'_>> = vec![
        (b"hello\r\nworld\x00".to_vec(), 0, vec![(b"hello\r\nworld\x00", Reason::NotJson(0))]),
        (b"\xff\xfe\x00".to_vec(), 0, vec![(b"\xff\xfe\x00", Reason::NotText)]),
        (gz[..gz.len() - 2].to_vec(), 1, vec![(&gz[..gz.len() - 2], Reason::NotGzip)]),
        (b"\x1f\x8b".to_vec(), 0, vec![(b"\x1f\x8b", Reason::NotGzip)]),
        (
            b"17 \"x\" null".to_vec(),
            0,
            vec![(b"17", Reason::NotARecord), (b"\"x\"", Reason::NotARecord), (b"null", Reason::NotARecord)],
        ),
        (
            format!("{{\"records\":[{a},null,[1],{a}]}}").into_bytes(),
            2,
            vec![(b"null", Reason::NotARecord), (b"[1]", Reason::NotARecord)],
        ),
        // What was whole before the end is a record; the rest stays together.
        (cut.clone().into_bytes(), 1, vec![(&cut.as_bytes()[12 + a.len()..], Reason::CutOff)]),
        (
            format!("{a}\r\n{{\"x\":}}\r\n{a}\r\n{}", &a[..9]).into_bytes(),
            2,
            vec![(b"{\"x\":}", Reason::NotJson(5)), (&a.as_bytes()[..9], Reason::CutOff)],
        ),
        // A list without a comma is one all the same.
        (format!("[{a}\n{a}]").into_bytes(), 2, vec![]),
        ([a.as_bytes(), b"\n{\"x\":\"\xe9\"}\n", a.as_bytes()].concat(), 2, vec![(b"{\"x\":\"\xe9\"}", Reason::NotText)]),
        // A list that lost only its end lost no record.
        (format!("{{\"records\":[{a}").into_bytes(), 1, vec![]),
    ];
    for (body, records, unparsed) in table {
        let (events, tally) = read(&body);
        let name = String::from_utf8_lossy(&body);
        assert_eq!((tally.records, tally.unparsed), (records as u64, unparsed.len() as u64), "{name}");
        let found: Vec<_> = events.iter().filter(|event| event.0 == UNPARSED).collect();
        assert_eq!(events.len(), records + found.len(), "{name}");
        for ((bytes, reason), (_, time, text)) in unparsed.iter().zip(found) {
            assert_eq!((original(text).as_slice(), *time), (*bytes, NOW), "{name}");
            assert!(text.starts_with(&format!("{{\"reason\":\"{reason}\",")), "{text}");
        }
    }
    let bomb = gzip(&vec![b' '; (INFLATED + 1) as usize]);
    let (events, _) = read(&bomb);
    assert_eq!(original(&events[0].2), bomb);
}

/// What came of a body: its records, and as `Err` the bytes of what is none, in their order.
type Pieces = Vec<Result<String, String>>;

fn pieces(body: &[u8]) -> Pieces {
    let of = |(sourcetype, _, text): (&str, Ticks, String)| match sourcetype {
        UNPARSED => Err(String::from_utf8_lossy(&original(&text)).into_owned()),
        _ => Ok(text),
    };
    read(body).0.into_iter().map(of).collect()
}

/// What is bad in a list of records, and as a line or a document of its own.
const BAD: [&str; 23] = [
    r#"{"time":"x","n":}"#,
    r#"{"time":"x","n":1,}"#,
    r#"{"time":"say "hi" to","n":1}"#,
    r#"{"time":"a lone " quote","n":1}"#,
    r#"{"time":"no end,"n":1}"#,
    r#"{"time":"x","n":"no end}"#,
    r#"{"time":"x","properties":{"n":1}"#,
    r#"{"time":"x","properties":{"n":[1}}"#,
    r#"{"time":"x","n":1}}"#,
    r#"{"time":"x","n":NaN}"#,
    r#"{"time":"x","n":01}"#,
    r#"{"time":"x" "n":1}"#,
    r#"{'time':'x','n':1}"#,
    r#"{time:"x",n:1}"#,
    r#"{"time":"\x41","n":1}"#,
    r#"{"time":"\u12","n":1}"#,
    "{\"time\":\"a\tb\",\"n\":1}",
    "{\"time\":\"a\0b\",\"n\":1}",
    r#"{"time":"x","n":1"#,
    r#"{"time":"x","n":[{"time":"inner"},{"m":}]}"#,
    "{\"time\"",
    "{\"tim",
    "nonsense",
];

#[test]
fn a_bad_record_takes_no_other_along() {
    let [a, b, c] = ["AlertInfo", "DeviceEvents", "DeviceInfo"].map(|table| envelope(table, LOGON));
    for bad in BAD {
        for body in [
            format!("{{\"records\":[{a},{bad},{b},{bad},{c}]}}"),
            format!("{{\"records\":[{bad},{a},{b},{bad},{bad},{c}]}}"),
            format!("{{ \"records\" : [\n  {a},\n  {bad},\n  {b},\n  {c}\n]}}\n"),
            format!("[{a},{bad},{b},{c}]"),
            format!("{{\"records\":[{a},{b}]}}\n{{\"records\":[{bad},{c}]}}"),
            format!("{{\"records\":[{a},{bad}]}}\n{{\"records\":[{b},{c}]}}"),
            format!("{a}\n{bad}\n{b}\r\n{bad}\r\n{c}\n"),
            format!("{bad}\n \t{a}\n{bad}\n\u{feff}{b}\n{bad}\n{c}"),
        ] {
            let found = pieces(body.as_bytes());
            let good: Vec<&String> = found.iter().filter_map(|piece| piece.as_ref().ok()).collect();
            // What nests within a bad one is told from its neighbours by its members.
            let good: Vec<&&String> = good.iter().filter(|text| text.contains("category")).collect();
            assert_eq!(good, [&&a, &&b, &&c], "{body}");
            for piece in found.iter().filter_map(|piece| piece.as_ref().err()) {
                assert!(!piece.contains("category"), "{piece} of {body}");
            }
        }
    }
}

#[test]
fn a_bad_record_is_passed_on_alone() {
    let [a, b] = ["AlertInfo", "DeviceEvents"].map(|table| envelope(table, LOGON));
    let good = |text: &str| Ok(text.to_owned());
    let bad = |text: &str| Err(text.to_owned());
    for text in &BAD[..8] {
        let body = format!("{{\"records\":[{a},{text},{b}]}}");
        assert_eq!(pieces(body.as_bytes()), [good(&a), bad(text), good(&b)], "{text}");
    }
    let table: Vec<(Vec<u8>, Pieces)> = vec![
        // One bad byte.
        (
            [b"{\"records\":[", a.as_bytes(), b",{\"x\":\"\xff\"},", b.as_bytes(), b"]}"].concat(),
            vec![good(&a), bad("{\"x\":\"\u{fffd}\"}"), good(&b)],
        ),
        // Half of a pair, as bytes; as an escape it is JSON.
        (
            [a.as_bytes(), b"{\"x\":\"\xed\xa0\x80\"}", b.as_bytes()].concat(),
            vec![good(&a), bad("{\"x\":\"\u{fffd}\u{fffd}\u{fffd}\"}"), good(&b)],
        ),
        (
            format!(r#"{{"records":[{a},{{"x":"\ud800"}},{b}]}}"#).into_bytes(),
            vec![good(&a), good(r#"{"x":"\ud800"}"#), good(&b)],
        ),
        // Commas too many, and too few.
        (format!("{{\"records\":[{a},,{b},]}}").into_bytes(), vec![good(&a), good(&b)]),
        (format!("{{\"records\":[{a} {b}]}}").into_bytes(), vec![good(&a), good(&b)]),
        (format!("{a},{b}").into_bytes(), vec![good(&a), good(&b)]),
        (format!("{a}\0\0{b}").into_bytes(), vec![good(&a), bad("\0\0"), good(&b)]),
        (format!("{a}\u{2028}{b}\u{feff}").into_bytes(), vec![good(&a), good(&b)]),
        (format!("2026-11-22 host app: {a} [end]").into_bytes(), vec![bad("2026-11-22 host app:"), good(&a), bad("end")]),
        // What is wrong beside the list is not the list's fault.
        (format!("{{\"v\":x,\"records\":[{a},{b}]}}").into_bytes(), vec![bad("{\"v\":x,\"records\":"), good(&a), good(&b)]),
        (format!("{{\"records\":[{a}],\"v\":x}}\n{b}").into_bytes(), vec![good(&a), bad("],\"v\":x}"), good(&b)]),
        // Names that occur twice.
        (format!("{{\"records\":[{a}],\"records\":[{b}]}}").into_bytes(), vec![good(&a), good(&b)]),
        (b"{\"n\":1,\"n\":2}".to_vec(), vec![good("{\"n\":1,\"n\":2}")]),
    ];
    for (body, found) in table {
        assert_eq!(pieces(&body), found, "{}", String::from_utf8_lossy(&body));
        assert_eq!(pieces(&gzip(&body)), found);
    }
}

/// Bodies that other collectors were reported to lose or to stumble over.
#[test]
fn bodies_of_public_reports() {
    let [a, b] = ["AlertInfo", "DeviceEvents"].map(|table| envelope(table, LOGON));
    let table = [
        // elastic/beats#34092: line breaks within a string.
        (
            "{ \"time\": \"2022-12-17T20:21:24Z\", \n \"category\": \"AppServicePlatformLogs\", \"properties\": {\"message\":\"limit.\n\"}}",
            false,
        ),
        // elastic/beats#40641: what a database's exporter writes in place of a message.
        (
            "{\n \"category\": \"PostgreSQLLogs\",\n \"properties\": [\n 227 B blob data\n ],\n \"time\": \"2024-08-27T14:26:06.446Z\"\n}",
            false,
        ),
        // elastic/beats#34450: single quotes.
        (r#"{"time":"2022-09-10T10:27:45Z","properties": {'appName':'x','message':'{\'level\':\'info\'}','levelId':4}}"#, false),
        // elastic/integrations#10089: a name in single quotes.
        (r#"{"time":"2024-06-06T00:00:00Z",'x':"y"}"#, false),
        // elastic/beats#33815: a value that is none in the place of an object.
        ("\u{c3}", false),
        // MicrosoftDocs/dataexplorer-docs#416: an array in place of a record.
        (r#"[{"TimeStamp": "1987-11-16 12:00"}]"#, false),
        // SEKOIA-IO/automation-library#1208: what is no JSON between what is.
        ("<134>1 2024-12-04T10:00:00Z host app - - - text", false),
        (r#"{"type":"heartbeat"}"#, true),
    ];
    for (odd, is_record) in table {
        let piece = if is_record { Ok(odd.to_owned()) } else { Err(odd.to_owned()) };
        let found = pieces(format!("{{\"records\":[{a},{odd},{b}]}}").as_bytes());
        assert_eq!(found, [Ok(a.clone()), piece, Ok(b.clone())], "{odd}");
    }
}

#[test]
fn text_of_sixteen_bits() {
    let [a, b] = ["AlertInfo", "DeviceEvents"].map(|table| envelope(table, LOGON));
    let body = format!("{{\"records\":[{a},{{\"x\":\"é\u{1f600}\"}},{b}]}}");
    for (mark, little) in [(true, true), (true, false), (false, true), (false, false)] {
        let bytes = |text: &str| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
        };
        let packed = [if mark { bytes("\u{feff}") } else { Vec::new() }, bytes(&body)].concat();
        let found = [Ok(a.clone()), Ok("{\"x\":\"é\u{1f600}\"}".to_owned()), Ok(b.clone())];
        assert_eq!(pieces(&packed), found);
        // Half a pair in a string is the escape it is.
        let at = bytes(&body[..body.find('é').unwrap()]).len() + packed.len() - bytes(&body).len();
        let mut half = packed.clone();
        half[at + usize::from(little)] = 0xd8;
        assert_eq!(pieces(&half)[1], Ok("{\"x\":\"\\ud8e9\u{1f600}\"}".to_owned()));
        assert_eq!(pieces(&packed[..packed.len() - 1])[..3], found);
    }
}

#[test]
fn a_packed_body_holds_nothing_of_the_one_before_it() {
    let [a, b] = ["AlertInfo", "DeviceEvents"].map(|table| envelope(table, LOGON));
    let mut reader = Reader::new(Shape::Incumbent, Tables::All, Dedupe::Off);
    for body in [&a, &b, &a] {
        let (events, tally) = read_with(&mut reader, &gzip(body.as_bytes()));
        assert_eq!((tally.records, &events[0].2), (1, body));
    }
}

#[test]
fn members_of_gzip_stand_for_themselves() {
    let [a, b] = ["AlertInfo", "DeviceEvents"].map(|table| envelope(table, LOGON));
    let (first, second) = (gzip(a.as_bytes()), gzip(b.as_bytes()));
    let mut broken = second.clone();
    *broken.last_mut().unwrap() ^= 1;
    let shown = |bytes: &[u8]| Err(String::from_utf8_lossy(bytes).into_owned());
    for (body, found) in [
        ([&first[..], b.as_bytes()].concat(), vec![Ok(a.clone()), Ok(b.clone())]),
        ([&first[..], &broken].concat(), vec![Ok(a.clone()), shown(&broken)]),
        // What came before it was cut off is right.
        ([&first[..], &second[..second.len() - 1]].concat(), vec![Ok(a.clone()), Ok(b), shown(&second[..second.len() - 1])]),
    ] {
        assert_eq!(pieces(&body), found);
    }
}

#[test]
fn many_bad_pieces_do_not_become_many_events() {
    let a = envelope("AlertInfo", LOGON);
    let body = format!("{{\"records\":[{}{a},{a}]}}", "1,".repeat(400_000));
    let (events, tally) = read(body.as_bytes());
    assert_eq!((tally.records, tally.unparsed), (2, PIECES as u64 + 1));
    let odd: Vec<Vec<u8>> = events.iter().filter(|event| event.0 == UNPARSED).map(|(_, _, text)| original(text)).collect();
    assert!(odd[..PIECES].iter().all(|piece| piece == b"1"));
    assert!(odd[PIECES] == "1\n".repeat(400_000 - PIECES).trim_end().as_bytes());
    // With a bad string at every other place, and packed, it is the same.
    let broken = body.replace("1,1,", "1,\"\u{1}\",").into_bytes();
    assert_eq!(read(&gzip(&broken)).1, read(&broken).1);
    assert!(read(&broken).1.unparsed <= PIECES as u64 + 2);
}

/// However a body is made to be looked through again and again, it is read in time that grows with its length.
#[test]
fn no_body_takes_long() {
    let began = std::time::Instant::now();
    for piece in [
        "{\"a\":\"",
        "{\"a\":[",
        "[",
        "{",
        "{\"a\":",
        "\"",
        "{\"records\":[",
        "{\"a\":1\n",
        "{\"a\":\"\n",
        "x{\"",
        "[{\"a\":\"x\"y\"},",
        "{\"a\":1,\"b\":[1}},",
        "}",
        "]",
        ",",
        "\n",
        "\n{",
        "\n [",
        "{\"records\":[{\"a\":",
        "\u{feff}\n",
        "\0",
    ] {
        for (before, after) in [("", ""), ("{\"records\":[", "]}"), ("[{\"a\":\"", "\"}]")] {
            let body = format!("{before}{}{after}", piece.repeat(300_000 / piece.len()));
            let (events, tally) = read(body.as_bytes());
            assert_eq!(events.len() as u64, tally.records + tally.unparsed);
        }
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn what_stands_beside_a_list_is_counted() {
    let (events, tally) = read(br#"{"v":1,"records":[{},{}],"next":null}"#);
    assert_eq!((events.len(), tally.beside), (2, 2));
}

/// Damage may end a list too early, or make a record look like a list: what then stands beside the list is a part of a record.
#[test]
fn what_stands_beside_a_list_in_a_damaged_body_is_passed_on() {
    let (head, tail) = (r#""category":"X","properties":"#, r#""time":"2026-11-22T08:11:12Z""#);
    for (body, parts, beside) in [
        // An opening bracket became a value.
        (format!(r#"{{{head}0,"records":[null],{tail}}}"#), vec![head, "0", "null", tail], 0),
        // A record lost its opening bracket, so that a bracket of its own ends the list.
        (format!(r#"{{"records":[{head}[{{}},null],{tail}}}"#), vec![r#""category":"X""properties":["#, "null", tail], 0),
        // What looks like a document was a row.
        (format!(r#"{{"records":[{{{head}}}{{"records":[],"row":1}},{tail}}}]}}"#), vec![head, r#""row":1"#, tail], 0),
        // Without damage beside it, it is counted, also where the list is cut off.
        (r#"{"v":1,"records":[{"a":1},{"#.to_owned(), vec![r#"{"a":1}"#, "{"], 1),
    ] {
        let (events, tally) = read(body.as_bytes());
        let bytes: Vec<Vec<u8>> = events
            .iter()
            .map(|(sourcetype, _, text)| if *sourcetype == UNPARSED { original(text) } else { text.clone().into_bytes() })
            .collect();
        let passed = String::from_utf8(bytes.concat()).unwrap();
        let mut rest = passed.as_str();
        for part in parts {
            let Some((_, behind)) = rest.split_once(part) else { panic!("{part} is missing of {body} in {passed}") };
            rest = behind;
        }
        assert_eq!(tally.beside, beside, "{body}");
    }
}

/// Values as they may stand in a row.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}|[\\x00-\\x7f]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\]{0,6}|records|time|properties|Timestamp", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn record() -> impl Strategy<Value = Value> {
    (value(), prop::sample::select(vec!["DeviceEvents", "AlertInfo", "Newest"])).prop_map(|(row, table)| {
        serde_json::json!({"time": "2026-11-22T08:11:12Z", "category": format!("AdvancedHunting-{table}"), "properties": row})
    })
}

/// A document of records, written in some way.
fn document(records: &[Value], how: usize) -> String {
    let write =
        |value: &Value| if how.is_multiple_of(2) { value.to_string() } else { serde_json::to_string_pretty(value).unwrap() };
    match how / 2 {
        0 => write(&serde_json::json!({ "records": records })),
        1 => write(&Value::from(records.to_vec())),
        _ => records.iter().map(write).collect::<Vec<_>>().join("\r\n"),
    }
}

proptest! {
    /// The judge is `serde_json`: however records are packed, each is one event of the same value.
    #[test]
    fn every_record_is_one_event(records in prop::collection::vec(record(), 0..5), how in 0usize..6, packed: bool) {
        let body = document(&records, how);
        let body = if packed { gzip(body.as_bytes()) } else { body.into_bytes() };
        let (events, tally) = read(&body);
        let values: Vec<Value> = events.iter().map(|(_, _, text)| serde_json::from_str(text).unwrap()).collect();
        prop_assert_eq!(&values, &records);
        prop_assert!(events.iter().all(|(_, _, text)| !text.contains(['\n', '\r'])));
        prop_assert_eq!(tally.records as usize, records.len());
    }

    /// However a body is damaged, its bytes come out: what is not in a record is in an unparsed event.
    #[test]
    fn no_byte_is_lost(
        records in prop::collection::vec(record(), 1..5),
        how in prop::sample::select(vec![0usize, 2, 4]),
        at in any::<prop::sample::Index>(),
        length in 0usize..3,
        put in prop::collection::vec(prop::sample::select(b"{}[]\",:\\\n0\xff\x00a".to_vec()), 0..3),
    ) {
        let mut body = document(&records, how).into_bytes();
        let at = at.index(body.len());
        body.splice(at..(at + length).min(body.len()), put);
        let (events, _) = read(&body);
        let bytes: Vec<u8> = events
            .iter()
            .flat_map(|(sourcetype, _, text)| if *sourcetype == UNPARSED { original(text) } else { text.clone().into_bytes() })
            .collect();
        // Between records there is punctuation and white space, and `"records":` around them, or around what damage made look so.
        let content = |bytes: &[u8]| -> String {
            let text: Vec<u8> = bytes.iter().copied().filter(|b| !b"{}[],: \r\n\t".contains(b)).collect();
            String::from_utf8_lossy(&text).replace("\"records\"", "")
        };
        prop_assert_eq!(content(&bytes), content(&body));
    }

    #[test]
    fn no_bytes_are_too_strange(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let (events, tally) = read(&body);
        prop_assert_eq!(events.len() as u64, tally.records + tally.unparsed);
    }
}
