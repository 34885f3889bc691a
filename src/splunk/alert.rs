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
    // Only as large as what is kept: the rows of a long search live side by side.
    let choose = |record: &ByteRecord| -> StringRecord {
        let wanted = || record.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(cell, _)| cell);
        let mut chosen = StringRecord::with_capacity(wanted().map(<[u8]>::len).sum(), wanted().count());
        // Results are UTF-8; one odd byte in one field must not cost the row.
        wanted().for_each(|cell| chosen.push_field(&String::from_utf8_lossy(cell)));
        chosen
    };
    let names = Arc::new(choose(header.as_byte_record()));
    let (mut rows, mut size) = (Vec::new(), 0);
    while reader.read_byte_record(&mut record)? {
        let row = Row::new(Arc::clone(&names), choose(&record));
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tempfile::TempDir;

    use super::*;

    const KEY: &str = "K3Y";

    fn payload(members: &str) -> Payload {
        let text = format!(r#"{{"server_uri":"https://127.0.0.1:8089","session_key":"{KEY}"{members}}}"#);
        read(text.as_bytes()).unwrap()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The rows of a results file with these bytes.
    fn rows_of(bytes: &[u8]) -> Result<Vec<Row>, AlertError> {
        let (_dir, payload) = with_file(bytes);
        rows(&payload)
    }

    fn with_file(bytes: &[u8]) -> (TempDir, Payload) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.csv.gz");
        fs::write(&path, bytes).unwrap();
        let payload = Payload { results_file: Some(path), ..payload("") };
        (dir, payload)
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
        assert!(rows(&found).unwrap().is_empty(), "neither a file nor a result");
        let found = payload(r#","results_file":"","configuration":{"n":3,"b":true,"o":{"a":1}},"result":{"id":12}"#);
        assert_eq!(found.configuration["o"], r#"{"a":1}"#);
        assert_eq!((found.param("n"), found.param("b")), (Some("3"), Some("true")));
        let only = rows(&found).unwrap();
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
        assert!(matches!(read(std::io::repeat(b' ')), Err(AlertError::NotJson(_))));
    }

    #[test]
    fn every_row_of_a_file_however_it_is_packed() {
        let text = "id,title,__mv_title,__mv_id\r\n1,\"a, \"\"b\"\"\nc\",,\n2,\"x\ny$z\",\"$x$;$y$$z$\",\n";
        let (first, second) = text.as_bytes().split_at(40);
        let marked = ["\u{FEFF}".as_bytes(), text.as_bytes()].concat();
        let members = [gzip(first), gzip(b""), gzip(second)].concat();
        for bytes in [text.as_bytes().to_vec(), marked.clone(), gzip(text.as_bytes()), gzip(&marked), members] {
            let rows = rows_of(&bytes).unwrap();
            assert_eq!(rows.len(), 2);
            assert_eq!((rows[0].get("id"), rows[1].get("id")), (Some("1"), Some("2")));
            assert_eq!(rows[0].values("title"), ["a, \"b\"\nc"]);
            assert_eq!(rows[1].values("title"), ["x", "y$z"]);
            assert_eq!(rows[1].names().collect::<Vec<_>>(), ["id", "title"]);
        }
        // A gzip file needs no last line end, and may hold no row or no field at all.
        assert_eq!(rows_of(&gzip(b"id\n1")).unwrap()[0].get("id"), Some("1"));
        assert_eq!(rows_of(&gzip(b"id\n")).unwrap().len(), 0);
        assert_eq!(rows_of(&gzip(b"")).unwrap().len(), 0);
        assert_eq!(rows_of(b"id,t\n1,caf\xE9\n").unwrap()[0].get("t"), Some("caf\u{FFFD}"));
    }

    #[test]
    fn only_the_fields_that_are_wanted() {
        let (_dir, payload) = with_file(&gzip(b"_raw,id,__mv_id,__mv__raw\nlong,\"1\n2\",$1$;$2$,\n"));
        let rows = rows_with(&payload, |name| name == "id").unwrap();
        assert_eq!(rows[0].names().collect::<Vec<_>>(), ["id"]);
        assert_eq!(rows[0].values("id"), ["1", "2"]);
        assert_eq!(rows[0].get("_raw"), None);
    }

    #[test]
    fn a_file_that_is_not_whole_gives_no_row() {
        let text = b"id,title\n1,one\n2,\"two\nlines\"\n";
        let packed = gzip(text);
        let mut flipped = packed.clone();
        let crc = flipped.len() - 8;
        flipped[crc] ^= 1;
        let trailing = [packed.as_slice(), b"anything but gzip"].concat();
        let unended = "its last line has no end, so it was cut off";
        for (bytes, reason) in [
            (packed[..packed.len() - 9].to_vec(), "the gzip data was cut off"),
            (packed[..packed.len() - 1].to_vec(), "the gzip data was cut off"),
            (packed[..5].to_vec(), "the gzip data was cut off"),
            (flipped, "the gzip data is damaged (corrupt gzip stream does not have a matching checksum)"),
            (trailing, "the gzip data is damaged (invalid gzip header)"),
            (b"id,title\n1,one\n2,tw".to_vec(), unended),
            (b"".to_vec(), unended),
            (b"id,title\n1,one\n2\n".to_vec(), "line 3: 1 fields where the header has 2"),
            (b"id,title\n1,one\n2,\"two\n".to_vec(), "a quoted field has no end, so it was cut off"),
            (gzip(b"id,title\n2,\"two\n"), "a quoted field has no end, so it was cut off"),
        ] {
            let (_dir, payload) = with_file(&bytes);
            let path = payload.results_file.as_ref().unwrap().display().to_string();
            let error = rows(&payload).unwrap_err();
            assert_eq!(error.to_string(), format!("the search results {path} cannot be used: {reason}; no row was acted on"));
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let payload =
            Payload { results_file: Some(PathBuf::from("/nowhere/results.csv.gz")), ..payload(r#","result":{"id":"1"}"#) };
        assert_eq!(
            rows(&payload).unwrap_err().to_string(),
            "cannot read the search results /nowhere/results.csv.gz: No such file or directory (os error 2); splunkd deletes \
             them when the search job expires"
        );
    }

    #[test]
    fn fifty_thousand_rows() {
        let mut text = String::from("id,status,_raw\n");
        for number in 0..50_000 {
            text.push_str(&format!("{number},resolved,\"line {number}\nand another\"\n"));
        }
        let rows = rows_of(&gzip(text.as_bytes())).unwrap();
        assert_eq!(rows.len(), 50_000);
        assert_eq!(rows[49_999].get("id"), Some("49999"));
        assert!(rows.iter().map(Row::size).sum::<usize>() < 4_000_000);
    }
}
