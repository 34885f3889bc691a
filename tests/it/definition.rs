//! Standard input in every shape splunkd, its tools and accidents give it.

use std::fs;
use std::io::{self, Read};

use ta_defender::splunk::definition::{self, Root};

use crate::support::{Program, messages, shared};

/// A reader whose other end never closes: reading past what is there would wait for ever.
struct HeldOpen<'a>(&'a [u8]);

impl Read for HeldOpen<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "read beyond the end tag, where splunkd's pipe stays open and silent");
        self.0.read(buffer)
    }
}

fn fixture(name: &str) -> Option<Vec<u8>> {
    shared(&format!("fixtures/modinput/{name}")).map(|path| fs::read(path).unwrap())
}

#[test]
fn what_splunks_own_library_is_tested_with() {
    let Some(none) = fixture("splunk-sdk-python/conf_with_0_inputs.xml") else { return };
    assert!(none.starts_with(&[0xFE, 0xFF]), "UTF-16");
    let none = definition::read(HeldOpen(&none), Root::Input).unwrap();
    assert_eq!((none.server_host.as_str(), none.server_uri.as_str()), ("tiny", "https://127.0.0.1:8089"));
    assert_eq!(none.session_key.expose(), "123102983109283019283");
    assert_eq!((none.checkpoint_dir.to_str(), none.stanzas.len()), (Some("/some/dir"), 0));

    let two = fixture("splunk-sdk-python/conf_with_2_inputs.xml").unwrap();
    let two = definition::read(HeldOpen(&two), Root::Input).unwrap();
    let read: Vec<_> = two.stanzas.iter().map(|s| (s.name.as_str(), s.app.as_deref(), s.param("param1"), s.index())).collect();
    assert_eq!(read, [("aaa", Some("search"), Some("value1"), None), ("bbb", Some("my_app"), Some("value11"), None)]);
    assert_eq!(two.stanzas[1].params["multiValue2"], ["value3", "value4"]);

    let item = fixture("splunk-sdk-python/validation.xml").unwrap();
    let item = definition::read(HeldOpen(&item), Root::Items).unwrap();
    assert_eq!((item.stanzas[0].name.as_str(), item.stanzas[0].param("param2")), ("aaa", Some("value2")));
    assert_eq!(item.stanzas[0].params["multiValue"], ["value1", "value2"]);
}

#[test]
fn what_splunkd_really_sent() {
    let Some(otel) = fixture("splunk-otel-collector/Splunk_TA_otel.inputs.xml") else { return };
    let otel = definition::read(HeldOpen(&otel), Root::Input).unwrap();
    let stanza = &otel.stanzas[0];
    assert_eq!((stanza.name.as_str(), stanza.app.as_deref()), ("Splunk_TA_otel", Some("Splunk_TA_otel")));
    assert_eq!((stanza.host(), stanza.index(), stanza.param("interval")), (None, Some("_internal"), Some("60")));
    for name in ["install", "uninstall"] {
        let definition = fixture(&format!("splunk-otel-collector/{name}.inputs.xml")).unwrap();
        let definition = definition::read(HeldOpen(&definition), Root::Input).unwrap();
        assert_eq!((definition.stanzas[0].index(), definition.stanzas[0].host()), (None, None));
    }
}

#[test]
fn the_program_itself_reads_them() {
    let Some(none) = fixture("splunk-sdk-python/conf_with_0_inputs.xml") else { return };
    // No input to run is no error, and nothing is written.
    let ended = Program::new(&[]).input_held_open(none).run().exits(0);
    assert_eq!((ended.text(), ended.stderr.as_str()), ("", ""));

    // Inputs of another scheme have parameters of another scheme.
    let two = fixture("splunk-sdk-python/conf_with_2_inputs.xml").unwrap();
    let missing = "parameter feed: it is required and missing; correct it on the Configuration page of the app, tab Inputs, or in Settings > Data inputs > Microsoft Defender";
    let both = ["aaa", "bbb"].map(|name| format!("defender://{name}: {missing}"));
    Program::new(&[]).input_held_open(two).run().exits(2).says("ERROR", &[&both[0], &both[1]]);

    let item = fixture("splunk-sdk-python/validation.xml").unwrap();
    let ended = Program::new(&["--validate-arguments"]).input_held_open(item).run().exits(1);
    assert_eq!(messages(&ended.stdout), missing);

    let invalid = fixture("splunk-sdk-python/conf_with_invalid_inputs.xml").unwrap();
    let expected = "another element near byte BYTE of standard input, in stanza aaa, where <param> or <param_list> was expected";
    let expected = expected.replace("another element", "<editor>");
    let ended = Program::new(&[]).input(invalid).run().exits(1);
    let said = ended.said("ERROR").concat();
    let byte: String = said.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    assert_eq!(said.replace(&byte, "BYTE"), expected);
}

#[test]
fn what_is_no_document_is_said_in_one_line() {
    let who = "splunkd starts this program and writes";
    let ended = format!("standard input ended before </input>; {who} an <input> document to it");
    let other = format!("standard input holds no <input> document; {who} one to it");
    let table: [(&[u8], &str); 9] = [
        (b"", &ended),
        (b"  \n", &ended),
        (b"<input><server_host>a</server_host>", &ended),
        (b"<input><server_uri>https://127.0.0.1:8089</server", &ended),
        (b"<items></items>", &other),
        (b"{\"configuration\":{}}", &other),
        (
            b"<input></items>",
            "the <input> document on standard input is malformed near byte N: an end tag that does not match its start tag",
        ),
        (b"<!DOCTYPE x><input/>", "the <input> document on standard input is malformed near byte N: a document type"),
        (b"<input/>", "the <input> document on standard input has no <server_uri>"),
    ];
    for (bytes, expected) in table {
        let ended = Program::new(&[]).input(bytes).run().exits(1);
        let said = ended.said("ERROR").concat();
        let said = said.split_once("near byte ").map_or(said.clone(), |(before, after)| {
            format!("{before}near byte N{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        });
        assert_eq!(said, expected, "{}", String::from_utf8_lossy(bytes));
        assert_eq!((ended.text(), ended.log().len()), ("", 1));
    }
}

#[test]
fn a_document_that_cannot_be_read_is_no_valid_input() {
    let ended = Program::new(&["--validate-arguments"]).input("<items><item name=\"a\">").run().exits(1);
    let expected = "standard input ended before </items>; splunkd starts this program and writes an <items> document to it";
    assert_eq!(messages(&ended.stdout), expected);
    assert_eq!(ended.said("ERROR"), [format!("the input is refused: {expected}")]);
}

#[test]
fn the_session_key_is_never_quoted_back() {
    let key = "SESSIONKEY0123456789";
    let documents = [
        format!("<input><session_key>{key}</session_kez></input>"),
        format!("<input><session_key><{key}></session_key></input>"),
        format!("<input><session_key {key}></session_key>"),
        format!("<input><session_key>{key}&{key};</session_key></input>"),
        format!("{key}<input/>"),
        format!("<input><configuration><{key}/></configuration></input>"),
    ];
    for document in documents {
        let ended = Program::new(&[]).input(document.as_str()).run().exits(1);
        assert!(!ended.stderr.contains("SESSIONKEY"), "{document}: {}", ended.stderr);
    }
}
