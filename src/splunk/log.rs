//! Log lines as splunkd reads them from stderr: `LEVEL message`, one line per record.
//!
//! splunkd takes the level from the first word and files the rest as ExecProcessor (inputs) or sendmodalert (actions).

use std::io::{self, Write};

use log::{Level, LevelFilter, Metadata, Record};

use crate::masking;

/// What the module path of this program's own records starts with: the library, and `main`.
const OURS: [&str; 2] = ["ta_defender", "defender"];

/// The sink. Libraries are heard from WARN on only: below that they write headers, and so tokens.
struct Stderr;

static STDERR: Stderr = Stderr;

/// Sends all log records to stderr, from `level` on, and a panic as one ERROR line. Does nothing when it was called
/// before.
pub fn install(level: LevelFilter) {
    if log::set_logger(&STDERR).is_ok() {
        set_level(level);
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
            // Its message may quote the data it fell over; its place is what a report needs.
            log::error!("internal error{place}; please report this line with the version of the add-on");
        }));
    }
}

/// Changes the level of this program's own records.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Reads the level of `[logging] level`: `DEBUG`, `INFO`, `WARN` (or `WARNING`) or `ERROR`, in any case.
pub fn parse_level(text: &str) -> Option<LevelFilter> {
    match text.trim().to_ascii_uppercase().as_str() {
        "DEBUG" => Some(LevelFilter::Debug),
        "INFO" => Some(LevelFilter::Info),
        "WARN" | "WARNING" => Some(LevelFilter::Warn),
        "ERROR" => Some(LevelFilter::Error),
        _ => None,
    }
}

impl log::Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let root = target.split("::").next().unwrap_or(target);
        metadata.level() <= Level::Warn || OURS.contains(&root)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(record.level(), &record.args().to_string());
            // Where stderr is gone there is nobody left to tell.
            let _ = io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// One line. A line break in a message would start a record of its own, at level ERROR.
fn line(level: Level, message: &str) -> String {
    let level = match level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        // splunkd has no TRACE.
        Level::Debug | Level::Trace => "DEBUG",
    };
    let mut line = String::with_capacity(level.len() + message.len() + 2);
    line.push_str(level);
    line.push(' ');
    // The last guard: whatever the message was put together from, no secret of this process leaves with it.
    line.extend(masking::without_secrets(message.trim_end()).chars().map(|c| match c {
        c if c.is_control() => ' ',
        '\u{2028}' | '\u{2029}' => ' ',
        c => c,
    }));
    line.push('\n');
    line
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use log::Log;

    use super::*;

    #[test]
    fn one_record_is_one_line() {
        for (level, message, expected) in [
            (Level::Error, "no", "ERROR no\n"),
            (Level::Warn, "a\nERROR b\r\n", "WARN a ERROR b\n"),
            (Level::Info, "a\u{1b}[31m\u{0}\u{85}\u{2028}b", "INFO a [31m   b\n"),
            (Level::Debug, "zażółć 🦀", "DEBUG zażółć 🦀\n"),
            (Level::Trace, "", "DEBUG \n"),
        ] {
            assert_eq!(line(level, message), expected);
        }
    }

    #[test]
    fn libraries_are_heard_from_warn_on() {
        let heard = |target: &str, level| Stderr.enabled(&Metadata::builder().target(target).level(level).build());
        for (target, level, expected) in [
            ("ta_defender", Level::Debug, true),
            ("ta_defender::splunk::rest", Level::Debug, true),
            ("defender", Level::Debug, true),
            ("ta_defender_other", Level::Info, false),
            ("ureq::run", Level::Debug, false),
            ("rustls::client", Level::Info, false),
            ("rustls::client", Level::Warn, true),
            ("ureq_proto", Level::Error, true),
        ] {
            assert_eq!(heard(target, level), expected, "{target} {level}");
        }
    }

    #[test]
    fn levels() {
        assert_eq!(parse_level(" warning "), Some(LevelFilter::Warn));
        assert_eq!(parse_level("Debug"), Some(LevelFilter::Debug));
        assert_eq!(parse_level("loud"), None);
    }
}
