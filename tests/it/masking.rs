//! Texts of others and settings of the admin come out through the two functions of `src/masking.rs` alone. These tests read the
//! sources: whoever adds a way out, or a place where foreign bytes become text, has to say here why nothing secret gets past.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::rooms::{files, root};

/// The program's own code: without tests, and without what only tests are built with.
fn program() -> BTreeMap<String, String> {
    let only_for_tests = ["simulation", "stand_in", "fixtures", "testdata", "_tests.rs", "tests.rs", "tests/", "judge.rs"];
    let folder = root("src");
    let mut all = BTreeMap::new();
    for path in files(&folder, "rs") {
        let name = path.strip_prefix(&folder).unwrap_or(Path::new("")).display().to_string();
        if !only_for_tests.iter().any(|part| name.contains(part)) {
            let text = fs::read_to_string(&path).unwrap();
            all.insert(name, without_tests(&text).to_owned());
        }
    }
    assert!(all.len() > 100, "the program has more files than {}", all.len());
    all
}

/// A file up to the module of its tests; modules in files of their own do not end it.
fn without_tests(text: &str) -> &str {
    let begins = |at: &usize| text[*at..].chars().find(|c| matches!(c, '{' | ';')) == Some('{');
    let end = text.match_indices("\n#[cfg(test)]").map(|(at, _)| at).find(begins);
    &text[..end.unwrap_or(text.len())]
}

/// How often one of the words occurs, by file.
fn places(words: &[&str]) -> BTreeMap<String, usize> {
    let count = |text: &String| words.iter().map(|word| text.matches(word).count()).sum();
    let all = program().into_iter().map(|(name, text)| (name, count(&text)));
    all.filter(|(_, times)| *times > 0).collect()
}

fn table(rows: &[(&str, usize)]) -> BTreeMap<String, usize> {
    rows.iter().map(|(name, times)| ((*name).to_owned(), *times)).collect()
}

/// Log lines, refusals of a form, answers of the REST handler, audit events and `modalert.log`: each masks once more whatever was
/// put together for it.
#[test]
fn every_way_out_masks_what_goes_through_it() {
    assert_eq!(places(&["println!", "eprintln!", "print!", "eprint!", "dbg!"]), table(&[]));
    // `main` hands its output to the modes and prints the usage; `stdout` carries events, which are Microsoft's bytes.
    assert_eq!(places(&["stdout()", "stderr()"]), table(&[("main.rs", 2), ("splunk/log.rs", 1), ("splunk/stdout.rs", 2)]));
    let program = program();
    for way_out in ["splunk/log.rs", "splunk/scheme.rs", "splunk/persistent.rs", "splunk/modalert.rs", "respond/report.rs"] {
        assert!(program[way_out].contains("without_secrets("), "{way_out} does not mask");
    }
}

/// What others sent becomes text here and nowhere else.
#[test]
fn foreign_bytes_become_text_where_they_are_masked() {
    let known = [
        // The path of the CA bundle, inside `admin_text`.
        ("http/tls.rs", 1),
        ("microsoft/event_hubs/route.rs", 2),
        // A `Warning` and a page's title go through `foreign_text` in the next lines; a header as text is what its callers mask.
        ("microsoft/answer.rs", 3),
        // The id that this program chose for its request.
        ("microsoft/client.rs", 1),
        // A key or certificate, of which nothing is ever shown.
        ("pem.rs", 2),
        // Rows of a search and payloads of splunkd: data, which the actions print through `foreign_text`.
        ("splunk/lenient.rs", 1),
        ("splunk/results.rs", 1),
        ("splunk/row.rs", 1),
    ];
    assert_eq!(places(&["from_utf8_lossy(", ".to_str()", "to_string_lossy("]), table(&known));
}

/// Each file that reads an error of somebody else masks it before it becomes a part of ours.
#[test]
fn errors_of_others_are_masked_where_they_are_read() {
    let program = program();
    let readers = [
        "microsoft/answer.rs",
        "microsoft/api_error.rs",
        "microsoft/page.rs",
        "microsoft/storage/error.rs",
        "microsoft/token_error.rs",
        "microsoft/event_hubs/fault.rs",
        "microsoft/event_hubs/route.rs",
        "splunk/rest.rs",
    ];
    for reader in readers {
        assert!(program[reader].contains("foreign_text("), "{reader} does not mask");
    }
    for setting in ["account.rs", "http/proxy.rs", "http/no_proxy.rs", "http/tls.rs", "input.rs", "microsoft/cloud.rs"] {
        assert!(program[setting].contains("admin_text("), "{setting} does not mask");
    }
}

/// Members of errors that hold what others said are made by `foreign_text` in the same expression or by a function that does.
#[test]
fn no_message_holds_a_body_or_a_header() {
    let raw =
        ["{body}", "{body:?}", "{header}", "{headers:?}", "{response:?}", "{reply:?}", "{request:?}", "{proxy}", "{proxy_url}"];
    // The name and port of a proxy without its user and password; the change that a dry run would have sent, which is ours.
    assert_eq!(places(&raw), table(&[("http/error.rs", 1), ("microsoft/update.rs", 1)]));
}
