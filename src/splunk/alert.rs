//! What splunkd hands an alert action: a payload on stdin and a file of search results.
//!
//! The payload's types are not uniform (`sid` may be a number, `search_name` null, a result's field a list) and its
//! members differ between versions, so nothing is required but what the work needs.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Deserializer, Map, Value};

pub use super::results::{CELL_LIMIT, Rows};
pub use super::row::Row;
use crate::secret::Secret;

/// The most a payload may hold, in bytes; its largest part is one row of results.
const PAYLOAD_LIMIT: u64 = 64 << 20;

/// What the action is to do, and for which search.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The app of the search; may be empty.
    pub app: String,
    /// Whose rights the action has.
    pub owner: String,
    /// The results, all rows. Without it, [`Payload::result`] is the only row.
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
    /// The first row of the results.
    pub result: Row,
}

impl Payload {
    /// A parameter's text, trimmed; `None` when it is absent or blank.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.configuration.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
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

/// Reads a payload from stdin, up to its last brace: nobody has to close stdin for it.
///
/// # Errors
/// See [`AlertError`].
pub fn read(reader: impl Read) -> Result<Payload, AlertError> {
    let mut reader = BufReader::new(reader.take(PAYLOAD_LIMIT + 1));
    let value = match Value::deserialize(&mut Deserializer::from_reader(&mut reader)) {
        Ok(value) => value,
        Err(_) if reader.get_ref().limit() == 0 => {
            return Err(AlertError::NotJson(format!("larger than {} MiB", PAYLOAD_LIMIT >> 20)));
        }
        Err(error) if error.is_io() => return Err(AlertError::Read(error.into())),
        // A syntax error's text holds a line and a column, never a piece of the input.
        Err(error) => return Err(AlertError::NotJson(error.to_string())),
    };
    let Value::Object(mut members) = value else {
        return Err(AlertError::NotJson("another kind of value".to_owned()));
    };
    let text = |name: &str| members.get(name).map(plain).unwrap_or_default();
    let required = |text: String, name| if text.is_empty() { Err(AlertError::Missing(name)) } else { Ok(text) };
    let (server_uri, session_key) = (text("server_uri"), text("session_key"));
    Ok(Payload {
        app: text("app"),
        owner: text("owner"),
        results_file: Some(text("results_file")).filter(|path| !path.is_empty()).map(PathBuf::from),
        server_host: text("server_host"),
        server_uri: required(server_uri, "server_uri")?,
        session_key: Secret::new(required(session_key, "session_key")?),
        sid: text("sid"),
        search_uri: text("search_uri"),
        search_name: text("search_name"),
        configuration: object(members.remove("configuration")).iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        result: row(&object(members.remove("result"))),
    })
}

/// A JSON value as the text Splunk means by it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The payload's row. It may carry multivalue twins of its own besides its lists; the lists say the same.
fn row(members: &Map<String, Value>) -> Row {
    let fields: Vec<(&str, Vec<String>)> = members
        .iter()
        .map(|(name, value)| match value {
            Value::Array(values) => (name.as_str(), values.iter().map(plain).collect()),
            other => (name.as_str(), vec![plain(other)]),
        })
        .collect();
    Row::of(fields.iter().map(|(name, values)| (*name, values.iter().map(String::as_str).collect())))
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
        assert_eq!(found.result.values("tags"), ["a", "b"]);
        assert_eq!((found.result.get("_time"), found.result.get("gone")), (Some("1700000000.5"), None));
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
            ("", "is not a JSON object (EOF while parsing a value at line 1 column 0)"),
            (r#"{"session_key":"K3Y","#, "is not a JSON object (EOF while parsing a value at line 1 column 21)"),
            ("<alert>K3Y</alert>", "is not a JSON object (expected value at line 1 column 1)"),
            (r#"["K3Y"]"#, "is not a JSON object (another kind of value)"),
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
}
