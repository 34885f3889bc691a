//! Times as the services spell them and as this program compares them.
//!
//! Microsoft writes RFC 3339 with 0 to 7 fraction digits, trailing zeros dropped, and several spellings of one instant
//! occur side by side. Compared as text they sort wrongly and as floats they tie, so a time is an integer of 100 ns.

use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::masking::admin_text;

/// An instant in units of 100 ns since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub i64);

/// Ticks in a millisecond, the finest edge a request may have.
pub const PER_MS: i64 = 10_000;
/// Ticks in a second.
pub const PER_SECOND: i64 = 10_000_000;

impl Ticks {
    /// Reads RFC 3339. A time without an offset is UTC (Defender's export files write such), and digits beyond the
    /// seventh are cut off. `None` when the text is not a time.
    pub fn parse(text: &str) -> Option<Self> {
        let instant = match text.parse::<Timestamp>() {
            Ok(instant) => instant,
            Err(_) => text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
        };
        Some(Self::from_timestamp(instant))
    }

    /// Reads an HTTP date (`Date`, `Retry-After`): RFC 9110's preferred form.
    pub fn parse_http(text: &str) -> Option<Self> {
        let parser = jiff::fmt::rfc2822::DateTimeParser::new();
        Some(Self::from_timestamp(parser.parse_timestamp(text.trim()).ok()?))
    }

    /// The machine's clock; one that is set beyond the year 9999 reads as its end.
    pub fn now() -> Self {
        Self::from_system(SystemTime::now())
    }

    fn from_system(at: SystemTime) -> Self {
        let end = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
        Self::from_timestamp(Timestamp::try_from(at).unwrap_or(end))
    }

    fn from_timestamp(instant: Timestamp) -> Self {
        // jiff's range is the years -9999 to 9999, which 100 ns ticks of an i64 hold.
        Self(i64::try_from(instant.as_nanosecond().div_euclid(100)).unwrap_or(i64::MAX))
    }

    /// The whole millisecond at or before this instant.
    pub fn floor_ms(self) -> Self {
        Self(self.0.div_euclid(PER_MS).saturating_mul(PER_MS))
    }

    /// The whole millisecond at or after this instant.
    pub fn ceil_ms(self) -> Self {
        Self(self.0.saturating_add(PER_MS - 1)).floor_ms()
    }

    /// This instant moved back; stays in range.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(ticks(span)))
    }

    /// This instant moved forward; stays in range.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(ticks(span)))
    }

    /// How long after `earlier` this instant is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        let ticks = u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0);
        // Not as nanoseconds, which end after 584 years.
        Duration::from_micros(ticks / 10) + Duration::from_nanos(ticks % 10 * 100)
    }

    /// Epoch seconds with three decimals, rounded down: what Splunk's `<time>` takes.
    pub fn epoch_millis(self) -> String {
        let ms = self.0.div_euclid(PER_MS);
        format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
    }

    /// RFC 3339 in UTC with three decimals: the edge of a window in a filter.
    pub fn rfc3339_ms(self) -> String {
        format!("{:.3}", self.timestamp())
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(self.0) * 100).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}

/// RFC 3339 in UTC, as exact as the value.
impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp())
    }
}

/// A span in ticks; spans beyond 29,000 years are cut.
fn ticks(span: Duration) -> i64 {
    i64::try_from(span.as_nanos() / 100).unwrap_or(i64::MAX)
}

/// Reads a duration as an admin writes it: a whole number and `s`, `m`, `h` or `d` (`15m`, `30d`).
///
/// # Errors
/// A sentence that says what a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{}` is not a duration: write a whole number and s, m, h or d, such as 15m, 12h or 30d", admin_text(text));
    let (digits, seconds) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3600),
        Some(b'd') => (&text[..text.len() - 1], 86_400),
        _ => return Err(wrong()),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    // Ten years: far beyond any retention, and far from any overflow.
    match number.checked_mul(seconds) {
        Some(total) if total <= 3650 * 86_400 => Ok(Duration::from_secs(total)),
        _ => Err(format!("`{}` is too long: 3650d is the most", admin_text(text))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod properties;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_instant_is_one_integer() {
        let table = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.0000001Z", 1),
            ("1970-01-01T00:00:00.2Z", 2_000_000),
            ("1970-01-01T00:00:00.2000000Z", 2_000_000),
            ("1970-01-01T00:00:00.3266667Z", 3_266_667),
            ("1970-01-01T00:00:00.32666679Z", 3_266_667),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1970-01-01T00:00:01", 10_000_000),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("2024-02-29T12:00:00Z", 17_092_080_000_000_000),
        ];
        for (text, ticks) in table {
            assert_eq!(Ticks::parse(text), Some(Ticks(ticks)), "{text}");
        }
        for text in ["", "yesterday", "2023-02-29T00:00:00Z", "2024-01-01", "1700000000"] {
            // A bare date is no instant; jiff reads it as midnight only when asked for a date.
            assert!(Ticks::parse(text).is_none() || text == "2024-01-01", "{text}");
        }
    }

    #[test]
    fn http_dates() {
        assert_eq!(Ticks::parse_http("Thu, 01 Jan 1970 00:00:10 GMT"), Some(Ticks(10 * PER_SECOND)));
        assert_eq!(Ticks::parse_http("120"), None);
    }

    #[test]
    fn a_clock_beyond_all_calendars_is_the_end_of_time_and_nothing_overflows() {
        let years = |n: u64| Duration::from_secs(n * 31_557_600);
        let end = Ticks::from_system(SystemTime::UNIX_EPOCH + years(20_000));
        assert_eq!(end.to_string(), "9999-12-30T22:00:00.9999999Z");
        assert_eq!(Ticks::from_system(SystemTime::UNIX_EPOCH - years(20_000)).to_string(), "-009999-01-02T01:59:59Z");
        let long = Duration::from_secs(u64::MAX);
        for at in [end, Ticks(i64::MAX), Ticks(i64::MIN), Ticks::parse("0001-01-01T00:00:00Z").unwrap()] {
            assert!(at.plus(long) >= at && at.minus(long) <= at);
            assert_eq!(at.since(at), Duration::ZERO);
            assert_eq!(Ticks::parse(&at.floor_ms().to_string()).map(|read| read <= end), Some(true));
            let _ = (at.ceil_ms(), at.epoch_millis(), at.rfc3339_ms());
        }
        assert!(end.since(Ticks(i64::MIN)) > years(9999), "further apart than a clock can be, and no panic");
    }

    #[test]
    fn milliseconds_round_outwards_and_print() {
        let t = Ticks::parse("2026-11-22T08:09:10.1234567Z").unwrap();
        assert_eq!(t.floor_ms().rfc3339_ms(), "2026-11-22T08:09:10.123Z");
        assert_eq!(t.ceil_ms().rfc3339_ms(), "2026-11-22T08:09:10.124Z");
        assert_eq!(t.ceil_ms().ceil_ms(), t.ceil_ms());
        assert_eq!(t.epoch_millis(), "1795334950.123");
        assert_eq!(t.to_string(), "2026-11-22T08:09:10.1234567Z");
        assert_eq!(Ticks(-1).epoch_millis(), "-1.999");
        assert_eq!(Ticks(0).rfc3339_ms(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(2_592_000)));
        for text in ["", "d", "5", "-1d", "1.5h", "5 m", "１d", "99999999999999999999s"] {
            assert!(parse_duration(text).unwrap_err().contains("is not a duration"), "{text}");
        }
        assert!(parse_duration("4000d").unwrap_err().contains("too long"));
    }
}
