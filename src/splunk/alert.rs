//! What splunkd hands an alert action: a payload on stdin and a file of search results.
//!
//! The payload's types are not uniform (`sid` may be a number, `search_name` null, a result's field a list) and its
//! members differ between versions, so nothing is required but what the work needs, and nothing else is kept. A field of
//! `result` holds whatever an event held, so a bad byte in it must not cost the action, whose rows come from the file.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

use serde_json::value::RawValue;

use super::lenient::{Fault, Source};
pub use super::results::{CELL_LIMIT, Rows};
use super::row::MULTIVALUE;
pub use super::row::Row;
use crate::secret::Secret;

/// The most a payload may hold beside `result`, in bytes.
const PAYLOAD_LIMIT: u64 = 64 << 20;
/// The most that `result` may hold, in bytes: it is passed over where it is not needed, which takes time and no memory.
const PASSED_OVER: u64 = 1 << 30;
/// The most of `result`, of the parameters, and of every other member that is kept, in bytes.
const RESULT_LIMIT: usize = 8 << 20;
const PARAMETERS_LIMIT: usize = 1 << 20;
const TEXT_LIMIT: usize = 64 << 10;
/// Without one of these in a payload that is cut off, nobody knows what was to be done, or to which rows.
const NEEDED: [&str; 6] = ["configuration", "results_file", "search_name", "server_uri", "session_key", "sid"];
/// The others that are used.
const USED: [&str; 4] = ["app", "owner", "search_uri", "server_host"];

/// What the action is to do, and for which search.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The app of the search; may be empty.
    pub app: String,
    /// Whose rights the action has.
    pub owner: String,
    /// The results, all rows. Without it, `result` is the only row.
    pub results_file: Option<PathBuf>,
    /// splunkd's name for this machine; may be empty.
    pub server_host: String,
    /// Where splunkd listens.
    pub server_uri: String,
    /// Opens splunkd's REST with the owner's rights.
    pub session_key: Secret,
    /// The search job; may be empty.
    pub sid: String,
    /// The saved search at splunkd, as it was told; see [`Payload::search`].
    pub search_uri: String,
    /// The saved search; empty for `| sendalert`.
    pub search_name: String,
    /// The action's parameters, tokens already replaced.
    pub configuration: BTreeMap<String, String>,
    /// The first row of the results, as JSON.
    pub(super) result: First,
}

/// What is known of the payload's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// There is none.
    None,
    /// It is larger than what is kept.
    TooLarge,
    /// This object, or what stands in its place.
    Json(String),
}

impl Payload {
    /// A parameter's text, trimmed; `None` when it is absent or blank.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.configuration.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The first row of the results, with the fields that `keep` wants; `None` when there is no such row.
    ///
    /// # Errors
    /// [`AlertError::TooLarge`].
    pub(super) fn row(&self, keep: impl Fn(&str) -> bool) -> Result<Option<Row>, AlertError> {
        let text = match &self.result {
            First::None => return Ok(None),
            First::TooLarge => return Err(AlertError::TooLarge("result", RESULT_LIMIT)),
            First::Json(text) => text,
        };
        let damaged = |fault: Fault| AlertError::NotJson(fault.to_string());
        let mut source = Source::new(text.as_bytes(), u64::MAX);
        if !source.begin_object().map_err(damaged)? {
            return Ok(None);
        }
        let (mut fields, mut cut, mut first) = (BTreeMap::new(), None, true);
        while let Some(name) = source.member(first).map_err(damaged)? {
            first = false;
            let wanted = keep(name.strip_prefix(MULTIVALUE).unwrap_or(&name));
            let kept = source.value(if wanted { CELL_LIMIT } else { 0 }).map_err(damaged)?;
            if !wanted {
                continue;
            }
            if kept.cut {
                cut = Some(name.clone());
            }
            let values = if kept.cut { Vec::new() } else { values(&kept.text()) };
            fields.insert(name, values);
        }
        let mut row = Row::of(fields.iter().map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect())));
        if let Some(name) = cut {
            row.mark_cut(&name);
        }
        Ok(Some(row).filter(|row| row.names().next().is_some()))
    }

    /// The path of the saved search at splunkd, as it was told; `None` for a search typed by hand.
    pub fn search(&self) -> Option<&str> {
        // Only a path: what is behind it must not lead elsewhere.
        let plain = |b: u8| b.is_ascii_graphic() && !b"?#\\".contains(&b);
        let path = Some(self.search_uri.as_str()).filter(|_| !self.search_name.is_empty())?;
        let known = path.starts_with("/servicesNS/") && path.contains("/saved/searches/");
        (known && path.bytes().all(plain) && !path.split('/').any(|part| part == "..")).then_some(path)
    }
}

/// Why an alert action has nothing to work on. Never repeats what was read.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// stdin could not be read.
    #[error("cannot read standard input: {0}")]
    Read(#[source] io::Error),
    /// The payload is no JSON object; the reason names the place only.
    #[error("the alert payload on standard input is not a JSON object ({0}); alert_actions.conf must say payload_format = json")]
    NotJson(String),
    /// A part that is needed is larger than what can be kept of it: its name, and the limit in bytes.
    #[error("the alert payload on standard input holds more than {1} bytes in {0}")]
    TooLarge(&'static str, usize),
    /// The payload lacks what the work needs.
    #[error("the alert payload on standard input has no {0}")]
    Missing(&'static str),
    /// The results cannot be opened or read.
    #[error("cannot read the search results {}: {reason}; splunkd deletes them when the search job expires", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },
    /// The results are there but are not whole.
    #[error("the search results {} cannot be used: {reason}; no row was acted on", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// Somebody wrote to the results between the look that found them whole and the one that gave their rows.
    #[error("the search results {} changed while they were read: {given} of {total} rows were acted on", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Rows given before it was noticed.
        given: u64,
        /// Rows there had been.
        total: u64,
    },
}

/// Reads a payload from stdin, up to its last brace: nobody has to close stdin for it. One that is cut off behind all that
/// is needed is warned of, and used.
///
/// # Errors
/// See [`AlertError`].
pub fn read(reader: impl Read) -> Result<Payload, AlertError> {
    let mut source = Source::new(reader, PAYLOAD_LIMIT);
    let wrong = |fault| match fault {
        Fault::Read(error) => AlertError::Read(error),
        Fault::TooLarge => AlertError::NotJson(format!("larger than {} MiB", PAYLOAD_LIMIT >> 20)),
        // The text holds a line and a column, never a piece of the input.
        other => AlertError::NotJson(other.to_string()),
    };
    if !source.begin_object().map_err(wrong)? {
        return Err(AlertError::NotJson("it begins with something else".to_owned()));
    }
    let mut found = BTreeMap::new();
    let mut result = First::None;
    match collect(&mut source, &mut found, &mut result) {
        Ok(()) => {}
        Err(Stopped::Fault(Fault::Ended(line, column))) if NEEDED.iter().all(|name| found.contains_key(name)) => {
            log::warn!(
                "the alert payload on standard input is cut off at line {line} column {column}, behind all that is needed of it"
            );
        }
        Err(Stopped::Fault(fault)) => return Err(wrong(fault)),
        Err(Stopped::TooLarge(name, limit)) => return Err(AlertError::TooLarge(name, limit)),
    }
    let text = |name: &str| found.get(name).map(|json| serde_json::from_str(json).map(plain).unwrap_or_default());
    let text = |name: &str| text(name).unwrap_or_default();
    let required = |name| Some(text(name)).filter(|text| !text.is_empty()).ok_or(AlertError::Missing(name));
    let parameters = found.get("configuration").map(|json| members(json)).unwrap_or_default();
    Ok(Payload {
        app: text("app"),
        owner: text("owner"),
        results_file: Some(text("results_file")).filter(|path| !path.is_empty()).map(PathBuf::from),
        server_host: text("server_host"),
        server_uri: required("server_uri")?,
        session_key: Secret::new(required("session_key")?),
        sid: text("sid"),
        search_uri: text("search_uri"),
        search_name: text("search_name"),
        configuration: parameters.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        result,
    })
}

/// Why the members of a payload were not read to their end.
enum Stopped {
    Fault(Fault),
    TooLarge(&'static str, usize),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads the members of a payload that are used, as JSON.
fn collect<R: Read>(
    source: &mut Source<R>,
    found: &mut BTreeMap<&'static str, String>,
    result: &mut First,
) -> Result<(), Stopped> {
    let mut first = true;
    while let Some(name) = source.member(first)? {
        first = false;
        if name == "result" {
            let left = std::mem::replace(&mut source.left, PASSED_OVER);
            let kept = source.value(RESULT_LIMIT)?;
            source.left = left;
            *result = if kept.cut { First::TooLarge } else { First::Json(kept.text()) };
            continue;
        }
        let used = NEEDED.iter().chain(&USED).copied().find(|used| *used == name);
        let room = match used {
            None => 0,
            Some("configuration") => PARAMETERS_LIMIT,
            Some(_) => TEXT_LIMIT,
        };
        let kept = source.value(room)?;
        match used {
            None => {}
            Some(name) if kept.cut => return Err(Stopped::TooLarge(name, room)),
            Some(name) => drop(found.insert(name, kept.text())),
        }
    }
    Ok(())
}

/// The values of a field: those of a list, or the one.
fn values(json: &str) -> Vec<String> {
    match serde_json::from_str::<Vec<&RawValue>>(json) {
        Ok(values) => values.into_iter().map(plain).collect(),
        Err(_) => serde_json::from_str(json).map(plain).into_iter().collect(),
    }
}

/// A JSON value as the text Splunk means by it; numbers keep their spelling.
fn plain(value: &RawValue) -> String {
    match value.get() {
        "null" => String::new(),
        text => serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()),
    }
}

/// The members of an object; of two of one name the later one. None of what is no object.
fn members(json: &str) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    const KEY: &str = "K3Y";

    fn payload(members: &str) -> Payload {
        let text = format!(r#"{{"server_uri":"https://127.0.0.1:8089","session_key":"{KEY}"{members}}}"#);
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_payload_as_splunkd_writes_it() {
        let found = payload(
            r#","app":"search","owner":"admin","results_file":"/r/results.csv.gz","results_link":"http://x","search_uri":"/s",
            "server_host":"h","sid":"scheduler__admin__x","search_name":"My search","result_id":"0",
            "configuration":{"account":" contoso ","status":"","dry_run":"0"},
            "result":{"id":"7","_time":1700000000.5,"tags":["a","b"],"_si":["x"],"gone":null}"#,
        );
        assert_eq!((found.app.as_str(), found.owner.as_str(), found.server_host.as_str()), ("search", "admin", "h"));
        assert_eq!((found.sid.as_str(), found.search_name.as_str()), ("scheduler__admin__x", "My search"));
        assert_eq!(found.results_file.as_deref(), Some(Path::new("/r/results.csv.gz")));
        assert_eq!((found.param("account"), found.param("status"), found.param("absent")), (Some("contoso"), None, None));
        let row = found.row(|_| true).unwrap().unwrap();
        assert_eq!(row.values("tags"), ["a", "b"]);
        assert_eq!((row.get("_time"), row.get("gone")), (Some("1700000000.5"), None));
        assert!(!format!("{found:?}").contains(KEY));
    }

    #[test]
    fn members_of_other_kinds_and_none() {
        let found = payload(r#","sid":1465593470.1228,"search_name":null,"configuration":null,"result":"x""#);
        assert_eq!((found.sid.as_str(), found.search_name.as_str()), ("1465593470.1228", ""));
        assert!(found.configuration.is_empty());
        assert_eq!(Rows::open(&found, |_| true).unwrap().total(), 0, "neither a file nor a result");
        let found = payload(r#","results_file":"","configuration":{"n":3,"b":true,"o":{"a":1}},"result":{"id":12}"#);
        assert_eq!(found.configuration["o"], r#"{"a":1}"#);
        assert_eq!((found.param("n"), found.param("b")), (Some("3"), Some("true")));
        let only: Vec<Row> = Rows::open(&found, |_| true).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!((only.len(), only[0].get("id")), (1, Some("12")));
    }

    #[test]
    fn payloads_that_are_none() {
        let prefix = "the alert payload on standard input ";
        let hint = "; alert_actions.conf must say payload_format = json";
        for (text, reason) in [
            ("", "is not a JSON object (cut off at line 1 column 0)"),
            (r#"{"session_key":"K3Y","#, "is not a JSON object (cut off at line 1 column 21)"),
            (r#"{"session_key":"K3Y" "x"}"#, "is not a JSON object (expected `,` or the end of a list at line 1 column 22)"),
            ("<alert>K3Y</alert>", "is not a JSON object (it begins with something else)"),
            (r#"["K3Y"]"#, "is not a JSON object (it begins with something else)"),
            (r#"{"session_key":"K3Y"}"#, "has no server_uri"),
            (r#"{"server_uri":"u","session_key":null}"#, "has no session_key"),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            let hint = if reason.starts_with("is not") { hint } else { "" };
            assert_eq!(error.to_string(), format!("{prefix}{reason}{hint}"));
        }
        let endless = read(std::io::repeat(b' ')).unwrap_err().to_string();
        assert!(endless.contains("(larger than 64 MiB)"), "{endless}");
    }

    /// A payload with everything that is needed, and `result` as it is given here.
    fn with_result(result: &[u8]) -> Vec<u8> {
        let head = br#"{"server_uri":"u","session_key":"K3Y","sid":1465593470.10,"search_name":"s","results_file":"/r","#;
        [head.as_slice(), br#""configuration":{"account":"a"},"result":"#, result].concat()
    }

    #[test]
    fn a_bad_byte_in_the_row_costs_nothing() {
        let results: [&[u8]; 12] = [
            b"{\"_raw\":\"x\xff\"}}",
            b"{\"_raw\":\"\xed\xa0\x80\",\"b\":\"\\udc00\"}}",
            b"{\"_raw\":\"a\x00b\x1f\"}}",
            b"{\"n\":NaN,\"i\":-Infinity}}",
            b"{\"a\":1,\"a\":2}}",
            b"{\"a\":\"\\x\"}}",
            b"{}}trailing",
            b"[]}",
            b"null}",
            // Cut off in the row, and behind it.
            b"{\"_raw\":\"half",
            b"{\"_raw\":1}",
            b"",
        ];
        for result in results {
            let found = read(with_result(result).as_slice()).unwrap();
            let path = found.results_file.as_deref();
            assert_eq!((path, found.param("account")), (Some(Path::new("/r")), Some("a")), "{}", String::from_utf8_lossy(result));
            assert_eq!(found.sid, "1465593470.10", "numbers keep their spelling");
        }
        let deep = [b"[".repeat(2_000_000), b"]".repeat(2_000_000), b"}".to_vec()].concat();
        assert!(read(with_result(&deep).as_slice()).is_ok());
        let huge = [b"{\"_raw\":\"".to_vec(), b"x".repeat(70 << 20), b"\"}}".to_vec()].concat();
        let found = read(with_result(&huge).as_slice()).unwrap();
        let needed = Payload { results_file: None, ..found };
        let said = Rows::open(&needed, |_| true).err().unwrap().to_string();
        assert_eq!(said, "the alert payload on standard input holds more than 8388608 bytes in result");
    }

    #[test]
    fn a_payload_in_another_encoding_is_read() {
        let text = String::from_utf8(with_result("{\"id\":\"\u{e9}\"}}".as_bytes())).unwrap();
        let units = || text.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        let marked = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
        for bytes in [
            marked(&[0xEF, 0xBB, 0xBF], text.as_bytes()),
            little.clone(),
            big.clone(),
            marked(&[0xFF, 0xFE], &little),
            marked(&[0xFE, 0xFF], &big),
        ] {
            let found = read(bytes.as_slice()).unwrap();
            assert_eq!(found.row(|_| true).unwrap().unwrap().get("id"), Some("\u{e9}"));
        }
    }

    #[test]
    fn a_payload_that_is_cut_off_before_all_that_is_needed_is_none() {
        let whole = with_result(b"{\"id\":1}}");
        let before = whole.len() - b",\"result\":{\"id\":1}}".len();
        for length in 0..before {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
        assert!(read(&whole[..before]).is_ok());
        // Where the row comes first, what follows it is missing: nobody knows whether there is a file.
        let first = br#"{"result":{"id":"7"},"configuration":{},"server_uri":"u","session_key":"k","sid":"1","search_name":"s""#;
        assert!(read(first.as_slice()).is_err());
    }

    #[test]
    fn what_is_needed_has_bounds() {
        let long = "x".repeat(2 << 20);
        for (text, said) in [
            (format!(r#"{{"configuration":{{"a":"{long}"}}}}"#), "more than 1048576 bytes in configuration"),
            (format!(r#"{{"sid":"{long}"}}"#), "more than 65536 bytes in sid"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.ends_with(said), "{error}");
        }
        let mut row = with_result(format!(r#"{{"_raw":"{long}","id":"{long}","title":"x"}}}}"#).as_bytes());
        row.extend_from_slice(b"ignored");
        let found = Payload { results_file: None, ..read(row.as_slice()).unwrap() };
        let row = found.row(|name| name != "_raw").unwrap().unwrap();
        assert_eq!((row.cut(), row.get("title"), row.get("_raw")), (Some("id"), Some("x"), None));
    }
}
