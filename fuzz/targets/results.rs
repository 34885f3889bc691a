//! Search results for an alert action: CSV, plain or gzip of one or several members, whole or cut off. Packed or not, the
//! same text gives the same rows, and a cut gives none.
//!
//! The first byte says how the rest is served.

#![no_main]

mod gzip;

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use gzip::packed;
use libfuzzer_sys::fuzz_target;
use ta_defender::splunk::alert::{Payload, Row, Rows, read};

static PAYLOAD: LazyLock<Payload> = LazyLock::new(|| {
    // In memory where that can be had: a disk is too slow.
    let folder = Some(PathBuf::from("/dev/shm")).filter(|folder| folder.is_dir()).unwrap_or_else(std::env::temp_dir);
    let path = folder.join(format!("fuzz-results-{}", std::process::id()));
    let mut payload = read(br#"{"server_uri":"https://127.0.0.1:8089","session_key":"k"}"#.as_slice()).expect("a payload");
    payload.results_file = Some(path);
    payload
});

fn file() -> &'static PathBuf {
    PAYLOAD.results_file.as_ref().expect("set above")
}

/// Every cell of a row, by its name.
type Cells = Vec<(String, Vec<String>)>;

fn rows_of(bytes: &[u8]) -> Option<Vec<Cells>> {
    fs::write(file(), bytes).expect("a temporary file");
    let fields = |row: &Row| row.names().map(|name| (name.to_owned(), row.values(name))).collect();
    match Rows::open(&PAYLOAD, |_| true).and_then(Iterator::collect::<Result<Vec<Row>, _>>) {
        Ok(rows) => Some(rows.iter().map(fields).collect()),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((how, text)) = data.split_first() else { return };
    match how % 4 {
        0 => {
            let _ = rows_of(text);
        }
        1 => {
            // A payload on standard input.
            if let Ok(mut payload) = read(text) {
                assert!(!payload.server_uri.is_empty());
                payload.results_file = None;
                let _ = Rows::open(&payload, |_| true);
            }
        }
        2 => {
            let whole = rows_of(&packed(text));
            let middle = text.len() / 2;
            let members = [packed(&text[..middle]), packed(&text[middle..])].concat();
            assert_eq!(rows_of(&members), whole, "in two members");
            if !text.starts_with(&[0x1F, 0x8B])
                && let Some(plain) = rows_of(text)
            {
                assert_eq!(Some(plain), whole, "not packed");
            }
        }
        _ => {
            let mut bytes = packed(text);
            bytes.truncate(bytes.len() - 1 - usize::from(*how) % 8);
            assert_eq!(rows_of(&bytes), None, "cut off");
        }
    }
});
