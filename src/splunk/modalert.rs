//! The log that Enterprise Security reads to show what an alert action did with each result:
//! `$SPLUNK_HOME/var/log/splunk/<action>_modalert.log`, one `sendmodaction` line per row.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::alert::{Payload, Row};
use crate::files;
use crate::masking;
use crate::time::Ticks;

/// The size at which a file is set aside, in bytes, and how many are kept: what Splunk's own action library does.
const FULL: u64 = 25_000_000;
const KEPT: u32 = 5;

/// How an action ended for one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As asked, or already so.
    Success,
    /// Not as asked.
    Failure,
}

/// The log of one run of one action.
#[derive(Debug)]
pub struct ModAlert {
    file: Option<File>,
    /// The members that are the same for every row.
    run: Run,
}

#[derive(Debug)]
struct Run {
    action: String,
    search_name: String,
    sid: String,
    app: String,
    user: String,
}

impl ModAlert {
    /// Opens the log of `action` under [`splunk::home`](super::home); without one there is no log.
    ///
    /// # Errors
    /// When the file cannot be opened. The action itself does not depend on it: warn, and go on with
    /// [`ModAlert::without_file`].
    pub fn open(splunk_home: Option<&Path>, action: &str, payload: &Payload) -> io::Result<Self> {
        let mut log = Self::without_file(action, payload);
        if let Some(home) = splunk_home {
            let path = home.join("var/log/splunk").join(format!("{action}_modalert.log"));
            make_room(&path)?;
            log.file = Some(files::append(&path).map_err(|error| files::at(&path, error))?);
        }
        Ok(log)
    }

    /// A log that keeps nothing.
    pub fn without_file(action: &str, payload: &Payload) -> Self {
        let run = Run {
            action: action.to_owned(),
            search_name: payload.search_name.clone(),
            sid: payload.sid.clone(),
            app: payload.app.clone(),
            user: payload.owner.clone(),
        };
        Self { file: None, run }
    }

    /// Appends the line of one row. `number` counts rows from 0 and stands in for a row's own `rid`, which Enterprise
    /// Security sets with `orig_sid` and `orig_rid`.
    ///
    /// # Errors
    /// When the file cannot be written to.
    pub fn record(&mut self, row: &Row, number: usize, status: Status, signature: &str) -> io::Result<()> {
        match &mut self.file {
            // One call, one line: other runs append to the same file.
            Some(file) => file.write_all(self.run.line(Ticks::now(), row, number, status, signature).as_bytes()),
            None => Ok(()),
        }
    }
}

impl Run {
    fn line(&self, now: Ticks, row: &Row, number: usize, status: Status, signature: &str) -> String {
        let (level, status) = match status {
            Status::Success => ("INFO", "success"),
            Status::Failure => ("ERROR", "failure"),
        };
        let number = number.to_string();
        let own = |name| row.get(name).unwrap_or_default();
        // A search typed by hand has no name; Enterprise Security calls what it starts "adhoc".
        let mode = if self.search_name.is_empty() { "adhoc" } else { "saved" };
        let mut line = format!("{} {level} pid={} sendmodaction -", stamp(now), std::process::id());
        for (name, value) in [
            ("signature", signature),
            ("action_name", &self.action),
            ("search_name", &self.search_name),
            ("sid", &self.sid),
            ("orig_sid", own("orig_sid")),
            ("rid", row.get("rid").unwrap_or(&number)),
            ("orig_rid", own("orig_rid")),
            ("app", &self.app),
            ("user", &self.user),
            ("action_mode", mode),
            ("action_status", status),
        ] {
            // Writing to a String does not fail.
            let _ = write!(line, " {name}=\"{}\"", harmless(value));
        }
        line.push('\n');
        line
    }
}

/// `2026-11-22 08:09:10,123 +0000`: the time stamp of Splunk's Python logs, with the zone they leave to guesswork.
fn stamp(now: Ticks) -> String {
    now.rfc3339_ms().replace('T', " ").replace('.', ",").replace('Z', " +0000")
}

/// A value that cannot end its quotes or its line: Splunk's key="value" has no escape for a quote.
fn harmless(value: &str) -> String {
    masking::without_secrets(value)
        .chars()
        .map(|c| match c {
            '"' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

/// Sets a full file aside as `.1`, the one before as `.2`, and so on. Two runs that do so at once lose at most one old
/// file.
fn make_room(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() >= FULL => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let numbered = |number: u32| PathBuf::from(format!("{}.{number}", path.display()));
    for number in (1..KEPT).rev() {
        if numbered(number).exists() {
            fs::rename(numbered(number), numbered(number + 1))?;
        }
    }
    fs::rename(path, numbered(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::alert;
    use super::*;

    fn payload(search_name: &str) -> Payload {
        let text = serde_json::json!({
            "server_uri": "https://127.0.0.1:8089", "session_key": "K3Y", "sid": "rt_1.2", "app": "search", "owner": "ann",
            "search_name": search_name,
        });
        alert::read(text.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_line_as_enterprise_security_reads_it() {
        let now = Ticks::parse("2026-11-22T08:09:10.1239Z").unwrap();
        let log = ModAlert::without_file("act", &payload("Say \"hi\"\n"));
        let pid = std::process::id();
        let row = Row::of([("orig_sid", vec!["s1"]), ("rid", vec!["4"]), ("orig_rid", vec!["9"])]);
        assert_eq!(
            log.run.line(now, &row, 0, Status::Success, "updated \"x\""),
            format!(
                "2026-11-22 08:09:10,123 +0000 INFO pid={pid} sendmodaction - signature=\"updated 'x'\" action_name=\"act\" \
                 search_name=\"Say 'hi' \" sid=\"rt_1.2\" orig_sid=\"s1\" rid=\"4\" orig_rid=\"9\" app=\"search\" user=\"ann\" \
                 action_mode=\"saved\" action_status=\"success\"\n"
            )
        );
        let log = ModAlert::without_file("act", &payload(""));
        let line = log.run.line(now, &Row::of([]), 3, Status::Failure, "no");
        assert!(line.starts_with(&format!("2026-11-22 08:09:10,123 +0000 ERROR pid={pid} sendmodaction - signature=\"no\"")));
        assert!(line.contains(" orig_sid=\"\" rid=\"3\" orig_rid=\"\" "), "{line}");
        assert!(line.ends_with(" action_mode=\"adhoc\" action_status=\"failure\"\n"), "{line}");
    }

    #[test]
    fn lines_are_appended_under_splunk_home() {
        let home = tempfile::tempdir().unwrap();
        let row = Row::of([]);
        assert!(ModAlert::open(Some(home.path()), "act", &payload("s")).is_err(), "no log folder");
        fs::create_dir_all(home.path().join("var/log/splunk")).unwrap();
        for number in 0..3 {
            let mut log = ModAlert::open(Some(home.path()), "act", &payload("s")).unwrap();
            log.record(&row, number, Status::Success, "updated").unwrap();
        }
        let text = fs::read_to_string(home.path().join("var/log/splunk/act_modalert.log")).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.contains("sendmodaction - signature=\"updated\"")));
    }

    #[test]
    fn without_splunk_home_nothing_is_written() {
        let mut log = ModAlert::open(None, "act", &payload("s")).unwrap();
        log.record(&Row::of([]), 0, Status::Success, "updated").unwrap();
    }

    #[test]
    fn a_full_log_is_set_aside() {
        let home = tempfile::tempdir().unwrap();
        let logs = home.path().join("var/log/splunk");
        fs::create_dir_all(&logs).unwrap();
        let path = logs.join("act_modalert.log");
        for round in 1..=7 {
            File::create(&path).unwrap().set_len(FULL + round).unwrap();
            ModAlert::open(Some(home.path()), "act", &payload("s")).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), 0);
            assert_eq!(fs::metadata(logs.join("act_modalert.log.1")).unwrap().len(), FULL + round);
        }
        assert_eq!(fs::read_dir(&logs).unwrap().count(), 1 + KEPT as usize);
        assert_eq!(fs::metadata(logs.join("act_modalert.log.5")).unwrap().len(), FULL + 3);
    }
}
