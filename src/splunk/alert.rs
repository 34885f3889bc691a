//! What splunkd hands an alert action: a payload on stdin and a file of search results.
//!
//! The payload's types are not uniform (`sid` may be a number, `search_name` null, a result's field a list) and its
//! members differ between versions, so nothing is required but what the work needs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ByteRecord, StringRecord};
use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value};

pub use super::row::Row;
use crate::secret::Secret;

/// The most a payload may hold, in bytes; its largest part is one row of results.
const PAYLOAD_LIMIT: u64 = 64 << 20;
/// The most the fields kept of all rows may hold, in bytes: far beyond 50,000 rows of what an action needs.
const ROWS_LIMIT: usize = 512 << 20;

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
}

/// Reads a payload from stdin, up to its end.
///
/// # Errors
/// See [`AlertError`].
pub fn read(reader: impl Read) -> Result<Payload, AlertError> {
    let mut bytes = Vec::new();
    reader.take(PAYLOAD_LIMIT + 1).read_to_end(&mut bytes).map_err(AlertError::Read)?;
    if bytes.len() as u64 > PAYLOAD_LIMIT {
        return Err(AlertError::NotJson(format!("larger than {} MiB", PAYLOAD_LIMIT >> 20)));
    }
    // A syntax error's text holds a line and a column, never a piece of the input.
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| AlertError::NotJson(error.to_string()))?;
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
        search_name: text("search_name"),
        configuration: object(members.remove("configuration")).iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        result: row(&object(members.remove("result"))),
    })
}

/// Every row to act on, with all its fields: those of the results file, or the payload's own when it names none.
///
/// # Errors
/// See [`AlertError`]. A file that is not whole gives no row at all: half a list acted on is harder to repair than none.
pub fn rows(payload: &Payload) -> Result<Vec<Row>, AlertError> {
    rows_with(payload, |_| true)
}

/// As [`rows`], with only the fields that `keep` wants: results may carry the whole raw event in every row.
///
/// # Errors
/// See [`rows`].
pub fn rows_with(payload: &Payload, keep: impl Fn(&str) -> bool) -> Result<Vec<Row>, AlertError> {
    match &payload.results_file {
        None if payload.result.names().next().is_none() => Ok(Vec::new()),
        None => Ok(vec![payload.result.clone()]),
        Some(path) => read_file(path, keep),
    }
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

fn read_file(path: &Path, keep: impl Fn(&str) -> bool) -> Result<Vec<Row>, AlertError> {
    let unreadable = |reason| AlertError::Unreadable { path: path.to_owned(), reason };
    let damaged = |reason: String| AlertError::Damaged { path: path.to_owned(), reason };
    let mut file = BufReader::with_capacity(64 << 10, File::open(path).map_err(unreadable)?);
    let gzip = file.fill_buf().map_err(unreadable)?.starts_with(&[0x1F, 0x8B]);
    let bytes: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut ending = Ending::new(bytes);
    let rows = read_csv(&mut ending, keep).map_err(|error| damaged(fault(&error, gzip)))?;
    // A checksum vouches for the end of a gzip file; of plain text only its last line's end can.
    if !gzip && ending.last != Some(b'\n') {
        return Err(damaged("its last line has no end, so it was cut off".to_owned()));
    }
    if ending.quotes % 2 == 1 {
        return Err(damaged("a quoted field has no end, so it was cut off".to_owned()));
    }
    Ok(rows)
}

fn read_csv(bytes: impl Read, keep: impl Fn(&str) -> bool) -> Result<Vec<Row>, csv::Error> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record)? {
        return Ok(Vec::new());
    }
    let header = StringRecord::from_byte_record_lossy(record.clone());
    let kept: Vec<bool> = header.iter().map(|name| keep(name.strip_prefix("__mv_").unwrap_or(name))).collect();
    let choose = |record: &StringRecord| -> StringRecord {
        let mut chosen = StringRecord::with_capacity(record.as_slice().len(), record.len());
        record.iter().zip(&kept).filter(|(_, kept)| **kept).for_each(|(cell, _)| chosen.push_field(cell));
        chosen
    };
    let names = Arc::new(choose(&header));
    let (mut rows, mut size) = (Vec::new(), 0);
    while reader.read_byte_record(&mut record)? {
        // Results are UTF-8; one odd byte in one field must not cost the row.
        let row = Row::new(Arc::clone(&names), choose(&StringRecord::from_byte_record_lossy(record.clone())));
        size += row.size();
        if size > ROWS_LIMIT {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
        }
        rows.push(row);
    }
    Ok(rows)
}

/// What is wrong with a file, without a piece of it.
fn fault(error: &csv::Error, gzip: bool) -> String {
    match error.kind() {
        csv::ErrorKind::Io(io) if io.kind() == io::ErrorKind::FileTooLarge => {
            format!("its rows hold more than {} MiB; give the search a `| fields` with what the action needs", ROWS_LIMIT >> 20)
        }
        csv::ErrorKind::Io(io) if gzip && io.kind() == io::ErrorKind::UnexpectedEof => "the gzip data was cut off".to_owned(),
        csv::ErrorKind::Io(io) if gzip => format!("the gzip data is damaged ({io})"),
        csv::ErrorKind::Io(io) => io.to_string(),
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or_else(String::new, |pos| format!("line {}: ", pos.line()));
            format!("{line}{len} fields where the header has {expected_len}")
        }
        _ => "it is not CSV".to_owned(),
    }
}

/// Passes bytes on and remembers what tells a whole CSV text from one that was cut off.
struct Ending<R> {
    inner: R,
    last: Option<u8>,
    /// Double quotes so far: in a whole text they come in pairs.
    quotes: u64,
}

impl<R: Read> Ending<R> {
    fn new(inner: R) -> Self {
        Self { inner, last: None, quotes: 0 }
    }
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        let bytes = &into[..length];
        self.last = bytes.last().copied().or(self.last);
        self.quotes += bytes.iter().map(|byte| u64::from(*byte == b'"')).sum::<u64>();
        Ok(length)
    }
}
