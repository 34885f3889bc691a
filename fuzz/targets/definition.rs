//! `<input>`: what splunkd hands a run. Read whole and byte by byte it is the same document, and every stanza of it is
//! either an input or refused with the name of a parameter.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use ta_defender::input::AnyInput;
use ta_defender::splunk::definition::{Root, read};

/// Gives one byte at a time, as a slow pipe does.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(1);
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fuzz_target!(|data: &[u8]| {
    let whole = read(data, Root::Input);
    let slow = read(Trickle(data), Root::Input);
    // Of two faults, which is met first depends on how much is read at once.
    assert_eq!(whole.is_ok(), slow.is_ok());
    let (Ok(whole), Ok(slow)) = (whole, slow) else { return };
    assert_eq!(whole.stanzas, slow.stanzas);
    assert!(!whole.server_uri.is_empty() && !whole.checkpoint_dir.as_os_str().is_empty());
    for stanza in &whole.stanzas {
        match AnyInput::read(stanza) {
            Ok(AnyInput::Polled(input)) => assert!(input.page_size >= 2 && input.budget.as_secs() >= 30),
            Ok(_) => {}
            Err(error) => assert!(error.to_string().starts_with("parameter ")),
        }
    }
});
