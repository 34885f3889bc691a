//! Times against an independent reader and writer of them.

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::*;

/// Ticks as the other library counts them.
fn ticks_of(at: DateTime<Utc>) -> i64 {
    at.timestamp() * PER_SECOND + i64::from(at.timestamp_subsec_nanos() / 100)
}

fn other(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| ticks_of(at.to_utc()))
}

/// Years in which a leap day is there or missing for each of the calendar's reasons, and any other.
fn year() -> impl Strategy<Value = i32> {
    prop_oneof![Just(1900), Just(1970), Just(2000), Just(2024), Just(2026), Just(2100), 2..=9998]
}

/// Days of any month, existing or not, the ends of months more often.
fn day() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1), Just(28), Just(29), Just(30), Just(31), 1..=31u32]
}

/// 0 to 7 digits, with the zeros that some writers keep at the end.
fn fraction() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\.[0-9]{1,7}", "\\.[0-9]{1,3}0{1,4}"]
}

fn offset() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("Z".to_owned()),
        2 => (prop_oneof![Just('+'), Just('-')], 0..=23, 0..=59).prop_map(|(sign, h, m)| format!("{sign}{h:02}:{m:02}")),
    ]
}

prop_compose! {
    /// A time as any service may spell it; its day may not exist.
    fn spelled()(
        (year, month, day) in (year(), 1..=12, day()),
        (hour, minute, second) in (0..=23, 0..=59, 0..=59),
        fraction in fraction(),
        offset in offset(),
    ) -> String {
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}")
    }
}

/// Instants of the years 0001 to 9998.
fn instant() -> impl Strategy<Value = Ticks> {
    let seconds = -62_135_596_800_i64..=253_370_764_799;
    let within = prop_oneof![Just(0), Just(9_999_999), 0..PER_SECOND, (0..1000_i64).prop_map(|ms| ms * PER_MS)];
    (seconds, within).prop_map(|(seconds, within)| Ticks(seconds * PER_SECOND + within))
}

fn as_chrono(at: Ticks) -> DateTime<Utc> {
    let nanos = u32::try_from(at.0.rem_euclid(PER_SECOND) * 100).unwrap();
    DateTime::from_timestamp(at.0.div_euclid(PER_SECOND), nanos).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_spelled_time_is_the_instant_the_other_library_reads(text in spelled()) {
        prop_assert_eq!(Ticks::parse(&text).map(|at| at.0), other(&text), "{}", text);
    }

    #[test]
    fn two_spellings_are_ordered_as_their_instants(a in spelled(), b in spelled()) {
        if let (Some(one), Some(two)) = (Ticks::parse(&a), Ticks::parse(&b)) {
            prop_assert_eq!(one.cmp(&two), other(&a).cmp(&other(&b)), "{} {}", a, b);
        }
    }

    #[test]
    fn digits_beyond_the_seventh_are_cut_off(at in instant(), more in "[0-9]{1,2}") {
        let text = as_chrono(at).format("%Y-%m-%dT%H:%M:%S").to_string();
        let fraction = at.0.rem_euclid(PER_SECOND);
        prop_assert_eq!(Ticks::parse(&format!("{text}.{fraction:07}{more}Z")), Some(at));
    }

    #[test]
    fn a_time_without_an_offset_is_utc(at in instant()) {
        let text = as_chrono(at).format("%Y-%m-%dT%H:%M:%S%.9f").to_string();
        prop_assert_eq!(Ticks::parse(&text), Some(at), "{}", text);
    }

    #[test]
    fn what_is_printed_is_read_back_by_both(at in instant()) {
        let text = at.to_string();
        prop_assert_eq!(Ticks::parse(&text), Some(at), "{}", text);
        prop_assert_eq!(other(&text), Some(at.0), "{}", text);
    }

    #[test]
    fn edges_and_event_times_are_whole_milliseconds_rounded_down(at in instant()) {
        let there = as_chrono(at);
        prop_assert_eq!(other(&at.rfc3339_ms()), Some(at.floor_ms().0));
        prop_assert_eq!(at.rfc3339_ms(), there.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        let millis = there.timestamp_millis();
        prop_assert_eq!(at.epoch_millis(), format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000)));
        prop_assert!(at.floor_ms() <= at && at <= at.ceil_ms() && at.ceil_ms().0 - at.floor_ms().0 <= PER_MS);
    }

    #[test]
    fn an_http_date_is_the_second_the_other_library_wrote(at in instant()) {
        let there = as_chrono(at);
        let text = there.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        prop_assert_eq!(Ticks::parse_http(&text), Some(Ticks(there.timestamp() * PER_SECOND)), "{}", text);
    }
}

/// Both read the second that is inserted as the one before the next day, at most.
#[test]
fn an_inserted_second_is_read() {
    let at = Ticks::parse("2016-12-31T23:59:60Z").unwrap();
    let next_day = Ticks(other("2017-01-01T00:00:00Z").unwrap());
    assert!(at <= next_day && next_day.since(at) <= Duration::from_secs(1), "{at}");
}
