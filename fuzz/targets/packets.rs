//! Packets of a persistent REST handler: what is no packet ends the conversation, and what went before is answered the same
//! whether it came at once or byte by byte.

#![no_main]

use std::io::BufReader;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use ta_defender::splunk::persistent::{Answer, serve};

/// What is written, and whether the input was packets to its end.
fn written(data: &[u8], at_once: usize) -> (Vec<u8>, bool) {
    let mut output = Vec::new();
    let end = serve(BufReader::with_capacity(at_once, data), &mut output, |request| {
        Answer::ok(json!({"path": request.path, "fields": request.form.len()}))
    });
    (output, end.is_ok())
}

fuzz_target!(|data: &[u8]| {
    let (whole, ended) = written(data, 1 << 16);
    assert_eq!((&whole, ended), (&written(data, 1).0, written(data, 1).1));
    let mut rest = whole.as_slice();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').expect("a length");
        let length: usize = std::str::from_utf8(&rest[..end]).expect("digits").parse().expect("a number");
        let (reply, behind) = rest[end + 1..].split_at(length);
        if length > 0 {
            let reply: Value = serde_json::from_slice(reply).expect("JSON");
            assert!(reply["status"] == 200 || reply["status"] == 400);
        }
        rest = behind;
    }
});
