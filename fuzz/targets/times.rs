//! Times and waits as services and admins write them.

#![no_main]

use http::HeaderMap;
use http::header::{DATE, HeaderValue, RETRY_AFTER};
use libfuzzer_sys::fuzz_target;
use ta_defender::microsoft::answer::{date, retry_after};
use ta_defender::time::{PER_MS, Ticks, parse_duration};

/// 2026-03-01.
const NOW: Ticks = Ticks(17_723_232_000_000_000);

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for (name, value) in [RETRY_AFTER, DATE].into_iter().zip(&mut parts) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let wait = retry_after(&headers, NOW);
    if let (Some(wait), Some(date)) = (wait, date(&headers)) {
        assert!(date.plus(wait) >= date);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(span) = parse_duration(text) {
        assert!(span.as_secs() <= 3650 * 86_400);
    }
    for at in [Ticks::parse(text), Ticks::parse_http(text)].into_iter().flatten() {
        let printed = at.to_string();
        assert_eq!(Ticks::parse(&printed), Some(at), "{printed}");
        let (floor, ceil) = (at.floor_ms(), at.ceil_ms());
        assert!(floor <= at && at <= ceil && ceil.0 - floor.0 <= PER_MS);
        assert_eq!(Ticks::parse(&floor.rfc3339_ms()), Some(floor), "{printed}");
        assert!(at.epoch_millis().len() > 4);
    }
});
