//! Events from a program that is no input: files in `$SPLUNK_HOME/var/spool/splunk`, which splunkd reads and deletes. It
//! takes no capability of the search's owner. The format is that of Splunk's own summary indexing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files;
use crate::time::Ticks;

/// Between two events, on a line of its own.
const BREAK: &str = "==##~~##~~  1E8N3D4E6V5E7N2T9 ~~##~~##==";

/// What is the same for all events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The index they go to; see [`is_index`].
    pub index: String,
    /// The machine's name; empty leaves it to splunkd.
    pub host: String,
    /// Their source.
    pub source: String,
    /// Their sourcetype.
    pub sourcetype: &'static str,
}

/// The spool of one run.
#[derive(Debug)]
pub struct Spool {
    home: PathBuf,
    header: Header,
    files: u32,
}

impl Spool {
    /// The spool under `splunk_home`. Nothing is touched yet.
    pub fn new(splunk_home: &Path, header: Header) -> Self {
        Self { home: splunk_home.to_owned(), header, files: 0 }
    }

    /// Hands events over, each one line, as one file. No event, no file.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&mut self, events: &[String]) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        self.files += 1;
        let name = format!("{}_{}_{}_{}", self.header.source, Ticks::now().0, std::process::id(), self.files);
        let text = self.header.text(events);
        let whole = self.home.join("var/spool/splunk").join(format!("{name}.stash_new"));
        // splunkd takes any file out of the spool as soon as it sees it, a half-written one too. So the file is made beside
        // it and moved in; where the two folders are on different file systems, it has to be written in place.
        let beside = self.home.join("var/run/splunk").join(format!("{name}.tmp"));
        if files::write(&beside, text.as_bytes()).and_then(|()| fs::rename(&beside, &whole)).is_ok() {
            return Ok(());
        }
        let _ = fs::remove_file(&beside);
        // Half a file would be read as a whole one.
        files::write(&whole, text.as_bytes())
            .inspect_err(|error| drop((!files::is_no_file(error)).then(|| fs::remove_file(&whole))))
            .map_err(|error| files::at(&whole, error))
    }
}

impl Header {
    fn text(&self, events: &[String]) -> String {
        // A blank would end a value.
        let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
        let mut text = format!("***SPLUNK*** index={}", plain(&self.index));
        let host = plain(&self.host);
        if !host.is_empty() {
            text.push_str(&format!(" host={host}"));
        }
        text.push_str(&format!(" source={} sourcetype={}", plain(&self.source), self.sourcetype));
        for event in events {
            text.push_str(&format!("\n{BREAK}\n{event}"));
        }
        text
    }
}

/// Whether a text can be the name of an index that people write to: lower-case letters, digits, `_` and `-`, and none of
/// Splunk's own, which begin with `_`.
pub fn is_index(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    !name.is_empty() && name.len() <= 80 && !name.starts_with(['_', '-']) && name.bytes().all(allowed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { index: "main".to_owned(), host: "sh 1".to_owned(), source: "act".to_owned(), sourcetype: "my:type" }
    }

    fn spooled(home: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(home.join("var/spool/splunk"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_file_as_summary_indexing_writes_it() {
        let home = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(home.path(), header());
        assert!(spool.write(&["{}".to_owned()]).is_err(), "no such folder");
        fs::create_dir_all(home.path().join("var/spool/splunk")).unwrap();
        spool.write(&[]).unwrap();
        assert_eq!(spooled(home.path()), []);
        // Without a folder beside it, in place.
        spool.write(&["{\"a\":1}".to_owned(), "{\"b\":2}".to_owned()]).unwrap();
        fs::create_dir_all(home.path().join("var/run/splunk")).unwrap();
        spool.write(&["{\"c\":3}".to_owned()]).unwrap();
        let files = spooled(home.path());
        let line = "***SPLUNK*** index=main host=sh1 source=act sourcetype=my:type";
        assert_eq!(files.len(), 2);
        assert!(files.iter().all(|(name, _)| name.starts_with("act_") && name.ends_with(".stash_new")), "{files:?}");
        assert_eq!(files[0].1, format!("{line}\n{BREAK}\n{{\"a\":1}}\n{BREAK}\n{{\"b\":2}}"));
        assert_eq!(files[1].1, format!("{line}\n{BREAK}\n{{\"c\":3}}"));
        assert_eq!(fs::read_dir(home.path().join("var/run/splunk")).unwrap().count(), 0);
    }

    #[test]
    fn names_of_indexes() {
        for name in ["main", "sec_1", "a-b", "7"] {
            assert!(is_index(name), "{name}");
        }
        for name in ["", "_internal", "-a", "Main", "a b", "a=b", "a\n***", "é"] {
            assert!(!is_index(name), "{name}");
        }
    }
}
