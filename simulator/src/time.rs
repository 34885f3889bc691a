//! Points in time as the services count them: 100 ns since 1970, UTC.
//!
//! Written here and not taken from the library the product uses, so that the two readings of a time stamp are independent.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Ticks of 100 ns in one second.
const SECOND: i64 = 10_000_000;

/// A point in time in ticks of 100 ns since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// Whole seconds since 1970.
    pub const fn from_unix(seconds: i64) -> Self {
        Time(seconds * SECOND)
    }

    /// The instant of a system clock reading.
    pub fn from_system(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Time((since.as_nanos() / 100) as i64)
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn unix(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// Whole milliseconds since 1970, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(SECOND / 1000)
    }

    /// Later by a duration.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Time(self.0 + (duration.as_nanos() / 100) as i64)
    }

    /// Earlier by a duration.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Time(self.0 - (duration.as_nanos() / 100) as i64)
    }

    /// Rounded down to a multiple of so many ticks since 1970.
    #[must_use]
    pub const fn floor(self, ticks: i64) -> Self {
        Time(self.0 - self.0.rem_euclid(ticks))
    }

    /// Reads `2021-05-02T14:19:01.3266667Z` with 0 to 7 digits of fraction and `Z` or an offset. `None` for anything else,
    /// a blank in place of `T` and a missing zone included: the services answer those with 400.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, length: usize| -> Option<i64> {
            let digits = bytes.get(from..from + length)?;
            digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
        };
        let at = |place: usize, wanted: u8| bytes.get(place).is_some_and(|byte| *byte == wanted);
        if !(at(4, b'-') && at(7, b'-') && at(10, b'T') && at(13, b':') && at(16, b':')) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
        let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut rest = 19;
        let mut fraction = 0;
        if at(rest, b'.') {
            let digits = bytes[rest + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=7).contains(&digits) {
                return None;
            }
            fraction = number(rest + 1, digits)? * 10_i64.pow(7 - digits as u32);
            rest += 1 + digits;
        }
        let offset = match bytes.get(rest)? {
            b'Z' if bytes.len() == rest + 1 => 0,
            sign @ (b'+' | b'-') if bytes.len() == rest + 6 && at(rest + 3, b':') => {
                let (hours, minutes) = (number(rest + 1, 2)?, number(rest + 4, 2)?);
                if hours > 14 || minutes > 59 {
                    return None;
                }
                (hours * 60 + minutes) * 60 * if *sign == b'-' { -1 } else { 1 }
            }
            _ => return None,
        };
        let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        Some(Time(seconds * SECOND + fraction))
    }

    /// The form of an HTTP `Date` or `Retry-After` header.
    pub fn http_date(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (year, month, day, of_day) = self.civil();
        let weekday = DAYS[self.unix().div_euclid(86_400).rem_euclid(7) as usize];
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        format!("{weekday}, {day:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", MONTHS[month as usize - 1])
    }

    /// `2026-11-22 12:00:00Z`, as Entra writes it into its errors.
    pub fn entra_stamp(self) -> String {
        let text = Time::from_unix(self.unix()).to_string();
        text.replace('T', " ")
    }

    /// Year, month, day and second of the day.
    fn civil(self) -> (i64, i64, i64, i64) {
        let seconds = self.unix();
        let (mut days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // The mean year is 146,097 / 400 days long; the year found by it is right or one off.
        let mut year = 1970 + (days * 400).div_euclid(146_097);
        if days_before(year, 1, 1) > days {
            year -= 1;
        } else if days_before(year + 1, 1, 1) <= days {
            year += 1;
        }
        days -= days_before(year, 1, 1);
        let mut month = 1;
        while days >= days_in(year, month) {
            days -= days_in(year, month);
            month += 1;
        }
        (year, month, days + 1, of_day)
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC, trailing zeros of the fraction trimmed as the services do (`.2Z`, `.3266667Z`, none).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, of_day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)?;
        let fraction = self.0.rem_euclid(SECOND);
        if fraction > 0 {
            let (mut digits, mut width) = (fraction, 7);
            while digits % 10 == 0 {
                (digits, width) = (digits / 10, width - 1);
            }
            write!(f, ".{digits:0width$}")?;
        }
        f.write_str("Z")
    }
}

const fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let leaps = |year: i64| (year - 1).div_euclid(4) - (year - 1).div_euclid(100) + (year - 1).div_euclid(400);
    let years = (year - 1970) * 365 + leaps(year) - leaps(1970);
    years + (1..month).map(|month| days_in(year, month)).sum::<i64>() + day - 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_what_the_documents_show() {
        for text in
            ["2021-05-02T14:19:01.3266667Z", "2021-01-26T20:33:59.2Z", "2020-02-29T23:59:59Z", "2000-12-31T00:00:00.0000001Z"]
        {
            assert_eq!(Time::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Time::from_unix(1_619_526_000).to_string(), "2021-04-27T12:20:00Z");
        assert_eq!(Time::from_unix(784_111_777).http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(Time::parse("2021-04-27T14:20:00+02:00"), Some(Time::from_unix(1_619_526_000)));
    }

    #[test]
    fn refuses_what_the_services_refuse() {
        for text in [
            "2021-02-29T00:00:00Z",
            "2021-01-01 00:00:00Z",
            "2021-01-01T00:00:00",
            "2021-01-01T00:00:00.12345678Z",
            "2021-01-01T00:00:00 00:00",
            "",
            "now",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ticks in -600_000_000_000_000_000_i64..2_500_000_000_000_000_000) {
            let time = Time(ticks);
            prop_assert_eq!(Time::parse(&time.to_string()), Some(time));
        }
    }
}
