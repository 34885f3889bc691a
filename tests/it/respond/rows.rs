//! Rows as searches really make them, and as nobody should.

use serde_json::json;

use crate::support::{List, Stage};

use super::act::{Act, State, gzip};
use super::{audit, line, total};

/// What is no id never becomes a part of a path.
#[test]
fn ids_that_are_none() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 1);
        let incident = list.inner_identity().is_some();
        let (kind, expects) = if incident {
            ("incident", "a whole number is expected")
        } else {
            ("alert", "letters, digits, - and _ are expected")
        };
        let bad = [
            "../1",
            "..%2f1",
            "%2e%2e/1",
            "1?x=1",
            "1#x",
            "1/comments",
            "1;x",
            "1\\2",
            "1 2",
            "1&$filter=x",
            "\u{ff11}",
            "1\u{0}2",
            "'1'",
            "*",
            "1 result=updated: no",
            "1\" result=\"updated",
        ];
        let mut text = String::from("id\n");
        bad.iter().for_each(|id| text.push_str(&format!("\"{}\"\n", id.replace('"', "\"\""))));
        text.push_str(&format!("\"  {}  \"\n", ids[0]));
        let ended = Act::new(&stage, list).set("status", "resolved").csv(&text).run().exits(1);
        let refused = |(row, id): (usize, &&str)| {
            let shown = id.replace('\u{0}', "");
            // What could end a value of the log stands in quotes.
            let odd = id.contains([' ', ';', '&', '\u{0}', '"']);
            let logged = if odd { format!("\"{}\"", id.replace('\u{0}', " ").replace('"', "'")) } else { (*id).to_owned() };
            line(list, row + 1, &logged, &format!("refused: `{shown}` is not an {kind} id: {expects}"))
        };
        assert_eq!(ended.said("ERROR"), bad.iter().enumerate().map(refused).collect::<Vec<_>>());
        // Blanks around an id are a matter of taste.
        assert_eq!(stage.state(list, &ids[0]).status, "resolved");
        assert_eq!(ended.said("INFO").last().unwrap(), &total(list, bad.len() + 1, bad.len()));
        let asked: Vec<String> = stage.sim.requests().iter().map(|exchange| exchange.request.path.clone()).collect();
        assert!(asked.iter().all(|path| !path.contains("..") && !path.contains('%')), "{asked:?}");
    }
}

/// One bad byte, one bad row: each costs itself.
#[test]
fn bad_bytes_and_bad_rows_stop_nothing_else() {
    let list = List::GraphAlerts;
    let stage = Stage::new();
    let ids = stage.fresh(list, 3);
    let rows = [
        b"\xef\xbb\xbfid,title,defender_comment\n".as_slice(),
        format!("{},", ids[0]).as_bytes(),
        b"a\xff\0b,caf\xe9\n",
        format!("{},one,two,three,four\n", ids[1]).as_bytes(),
        format!("{},\"\r\nx\",\n", ids[2]).as_bytes(),
    ]
    .concat();
    // And a payload whose row holds what no JSON may.
    let act = Act::new(&stage, list).set("status", "resolved").file(&gzip(&rows)).payload("result", json!("MARK"));
    for bad in ["{\"_raw\":\"\\ud800\"}", "{\"_raw\":\"\u{0}\u{1f}\"}", "{\"n\":NaN}", "{\"_raw\":\"\\q\"}"] {
        for id in [&ids[0], &ids[2]] {
            stage.reset(list, id);
        }
        let text = act.text().replace("\"MARK\"", bad);
        let ended = act.program().input(text).start().end().exits(1);
        let why = "refused: the search results have a row that cannot be read: 5 fields where the header has 3";
        assert_eq!(ended.said("ERROR"), [line(list, 2, "-", why)], "{bad}");
        assert_eq!(stage.state(list, &ids[0]).status, "resolved");
        assert_eq!(stage.state(list, &ids[0]).comments, ["caf\u{FFFD}"]);
        assert_eq!(stage.state(list, &ids[2]).status, "resolved");
        assert_eq!(stage.state(list, &ids[1]), State::fresh(list));
    }
}

#[test]
fn a_comment_that_is_too_long_is_refused_for_its_row_alone() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 3);
        let (long, longest, huge) = ("c".repeat(40 << 10), "d".repeat(29_950), "e".repeat(2 << 20));
        let text = format!("id,defender_comment\n{},{long}\n{},{longest}\n{},{huge}\n", ids[0], ids[1], ids[2]);
        let ended = Act::new(&stage, list).csv(&text).run().exits(1);
        let errors = ended.said("ERROR");
        assert_eq!(errors.len(), 2, "{}", ended.stderr);
        assert!(
            errors[0].starts_with(&line(list, 1, &ids[0], "refused: comment has 40960 characters: 29950 is the most")),
            "{}",
            errors[0]
        );
        assert_eq!(errors[1], line(list, 3, &ids[2], "refused: field `defender_comment` holds more than 1 MiB"));
        assert_eq!(stage.state(list, &ids[0]), State::fresh(list));
        assert_eq!(stage.state(list, &ids[1]).comments, [longest]);
        assert!(audit(&stage).0[1]["after"]["comment"].as_str().unwrap().starts_with("ddd"));
    }
}

#[test]
fn files_as_splunk_and_others_write_them() {
    let list = List::GraphAlerts;
    let stage = Stage::new();
    let ids = stage.fresh(list, 4);
    // A mark at the beginning, line ends of Windows, cells of several lines with quotes in them, twins of multivalues.
    let text = format!(
        "\u{FEFF}id,\"defender_comment\",_raw,__mv_id,__mv__raw\r\n\
         {},\"he said \"\"no\"\"\r\nand, then, yes\",\"{{\"\"a\"\":\n1}}\",,\r\n\
         {},caf\u{e9},x,,$x$;$y$\r\n\
         \"{}\n{}\",,x,${}$;${}$,\r\n\
         {},,x,,\r\n",
        ids[0], ids[1], ids[2], ids[3], ids[2], ids[3], ids[2]
    );
    let (first, second) = text.as_bytes().split_at(2);
    let files = [text.as_bytes().to_vec(), gzip(text.as_bytes()), [gzip(first), gzip(second)].concat()];
    for (run, bytes) in files.iter().enumerate() {
        let act = Act::new(&stage, list).set("status", "resolved").payload("sid", format!("{run}").into()).file(bytes);
        let ended = act.run().exits(1);
        let several = "refused: field `id` holds 2 ids: expand the search to one row per id";
        assert_eq!(ended.said("ERROR"), [line(list, 3, "-", several)], "{}", ended.stderr);
        assert_eq!(stage.state(list, &ids[0]).comments.last().unwrap().replace("\r\n", "\n"), "he said \"no\"\nand, then, yes");
        assert_eq!(stage.state(list, &ids[1]).comments.last().unwrap(), "caf\u{e9}");
        assert_eq!(stage.state(list, &ids[2]).status, "resolved");
        assert_eq!(stage.state(list, &ids[3]), State::fresh(list));
    }
}

#[test]
fn numbers_and_lists_in_the_payload() {
    let stage = Stage::new();
    let list = List::GraphIncidents;
    let ids = stage.fresh(list, 2);
    let (one, two): (u64, u64) = (ids[0].parse().unwrap(), ids[1].parse().unwrap());
    let act = Act::new(&stage, list).set("status", "resolved").payload("sid", json!(1_465_593_470.122_8));
    act.clone().result(json!({"id": one, "_si": ["a", "b"]})).run().exits(0).quietly();
    assert_eq!(stage.state(list, &ids[0]).status, "resolved");
    let said = act.clone().result(json!({"id": [one, two]})).run().exits(1).said("ERROR");
    assert_eq!(said, [line(list, 1, "-", "refused: field `id` holds 2 ids: expand the search to one row per id")]);
    // A list of one is one.
    act.clone().result(json!({"id": [two]})).run().exits(0).quietly();
    for (id, shown) in [(json!(1.5), "1.5"), (json!(true), "true"), (json!({"a": 1}), "{\"a\":1}"), (json!(-3), "-3")] {
        let said = act.clone().result(json!({"id": id})).run().exits(1).said("ERROR");
        let refused = format!("refused: `{shown}` is not an incident id: a whole number is expected");
        let logged = if shown.contains('"') { format!("\"{}\"", shown.replace('"', "'")) } else { shown.to_owned() };
        assert_eq!(said, [line(list, 1, &logged, &refused)]);
    }
}
