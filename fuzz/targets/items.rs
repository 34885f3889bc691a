//! `<items>`: what splunkd hands over when a form is saved. It stays open behind the end tag, so nothing may be read from
//! there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ta_defender::input::AnyInput;
use ta_defender::splunk::definition::{Root, read};

fuzz_target!(|data: &[u8]| {
    let Ok(definition) = read(data, Root::Items) else { return };
    assert_eq!(definition.stanzas.len(), 1, "one item is validated at a time");
    for stanza in &definition.stanzas {
        // What passes names a file and a part of a URL.
        if let Ok(input) = AnyInput::read(stanza) {
            assert!(!input.name().contains(['/', '.', '\\', '\0']) && !input.name().is_empty());
        }
    }
    let mut longer = data.to_vec();
    longer.extend_from_slice(b"<left open");
    if let Ok(again) = read(longer.as_slice(), Root::Items) {
        assert_eq!(again.stanzas, definition.stanzas);
    }
});
