//! XML of whoever answers for a storage account: lists and errors. What is taken from it has the bounds of its kind, and of a list that
//! is cut off nothing is taken.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ta_defender::microsoft::storage::{blobs, containers, said};

fuzz_target!(|body: &[u8]| {
    let (code, message) = said(body);
    for text in [code, message].into_iter().flatten() {
        assert!(!text.contains(['\n', '\r', '\0']) && text.chars().count() <= 400, "{text:?}");
    }
    if let Ok(list) = containers(body) {
        assert!(list.names.len() <= 10_000 && list.next.len() <= 4_096);
    }
    if let Ok(list) = blobs(body, None) {
        assert!(list.blobs.len() + list.folders.len() + list.odd <= 10_000 && list.next.len() <= 4_096);
        assert!(list.blobs.iter().all(|blob| !blob.name.is_empty() && blob.name.len() <= 4_096));
        let end = b"</EnumerationResults>";
        if let Some(at) = body.windows(end.len()).rposition(|part| part == end) {
            assert!(blobs(&body[..at], None).is_err(), "a list that is cut off is no list");
        }
    }
});
