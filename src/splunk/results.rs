//! The results file of a search: CSV, usually gzip, of any size and with rows of any size.
//!
//! It is gone through twice and never held: once to see that it is whole, because half a list acted on is harder to repair
//! than none, and once to give its rows.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use csv_core::{ReadFieldResult, Reader};
use flate2::bufread::MultiGzDecoder;

use super::alert::{AlertError, Payload};
use super::row::{MULTIVALUE, Row};
use crate::files::{self, Links};

/// The most a cell may hold, in bytes: far beyond an id or a comment. The rest of a longer one is passed over.
pub const CELL_LIMIT: usize = 1 << 20;
/// What is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// The rows to act on, one after the other: those of the results file, or the payload's own when it names none.
pub struct Rows {
    source: Source,
    total: u64,
    given: u64,
}

enum Source {
    Payload(Option<Row>),
    File(Box<Table>),
    Over,
}

/// A results file that is being read.
struct Table {
    path: PathBuf,
    file: File,
    /// The file as it was when it was found whole.
    was: Metadata,
    csv: Csv,
}

impl Rows {
    /// Finds the rows of a payload, with only the fields that `keep` wants: results may carry the whole raw event in every
    /// row. `keep` is asked by the field's own name, without `__mv_`.
    ///
    /// # Errors
    /// See [`AlertError`]. A file that is not whole gives no row at all.
    pub fn open(payload: &Payload, keep: impl Fn(&str) -> bool) -> Result<Self, AlertError> {
        let Some(path) = &payload.results_file else {
            let row = payload.row(keep)?;
            return Ok(Self { total: u64::from(row.is_some()), source: Source::Payload(row), given: 0 });
        };
        let unreadable = |reason| AlertError::Unreadable { path: path.clone(), reason };
        let damaged = |reason| AlertError::Damaged { path: path.clone(), reason };
        // Opened once: splunkd may delete or replace the file meanwhile, and this one stays.
        let file = files::open(path, Links::Followed).map_err(unreadable)?;
        let was = file.metadata().map_err(unreadable)?;
        let (mut csv, mut total) = (Csv::begin(&file, &keep).map_err(unreadable)?.map_err(damaged)?, 0);
        while csv.next().map_err(damaged)?.is_some() {
            total += 1;
        }
        let csv = Csv::begin(&file, &keep).map_err(unreadable)?.map_err(damaged)?;
        let table = Table { path: path.clone(), file, was, csv };
        Ok(Self { source: Source::File(Box::new(table)), total, given: 0 })
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }
}

impl Iterator for Rows {
    type Item = Result<Row, AlertError>;

    /// The next row. An error is the last thing it gives: somebody changed the file after it was found whole.
    fn next(&mut self) -> Option<Self::Item> {
        let found = match &mut self.source {
            Source::Payload(row) => Ok(row.take()),
            Source::File(table) => table.next(self.given, self.total),
            Source::Over => Ok(None),
        };
        match found {
            Ok(Some(row)) => {
                self.given += 1;
                Some(Ok(row))
            }
            Ok(None) => {
                self.source = Source::Over;
                None
            }
            Err(error) => {
                self.source = Source::Over;
                Some(Err(error))
            }
        }
    }
}

impl Table {
    fn next(&mut self, given: u64, total: u64) -> Result<Option<Row>, AlertError> {
        let changed = || AlertError::Changed { path: self.path.clone(), given, total };
        let now = self.file.metadata().map_err(|_| changed())?;
        let same = now.len() == self.was.len() && now.modified().ok() == self.was.modified().ok();
        let row = if same { self.csv.next().map_err(|_| changed())? } else { None };
        if !same || row.is_some() != (given < total) { Err(changed()) } else { Ok(row) }
    }
}

/// CSV that is being read, of which some columns are wanted.
struct Csv {
    bytes: Box<dyn BufRead>,
    core: Reader,
    gzip: bool,
    names: Arc<[String]>,
    /// Of each column, whether it is wanted. Empty while the header is read.
    kept: Vec<bool>,
    /// A piece of a cell, and what is wanted of the cell so far.
    piece: Box<[u8; 4096]>,
    cell: Vec<u8>,
    /// Whether a cell of the last record holds the end of a line.
    spans_lines: bool,
    ending: Ending,
}

/// What tells a whole CSV text from one that was cut off.
#[derive(Default)]
struct Ending {
    last: Option<u8>,
    /// Double quotes so far: in a whole text they come in pairs.
    quotes: u64,
}

impl Csv {
    /// Reads the header of the file from its beginning. The outer error is the file's, the inner one its content's.
    fn begin(file: &File, keep: &impl Fn(&str) -> bool) -> io::Result<Result<Self, String>> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        let mut file = BufReader::with_capacity(PIECE, file);
        let gzip = file.fill_buf()?.starts_with(&[0x1F, 0x8B]);
        let bytes: Box<dyn BufRead> =
            if gzip { Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(file))) } else { Box::new(file) };
        let (names, kept, cell) = (Arc::default(), Vec::new(), Vec::new());
        let (piece, ending) = (Box::new([0; 4096]), Ending::default());
        let mut csv = Self { bytes, core: Reader::new(), gzip, names, kept, piece, cell, spans_lines: false, ending };
        Ok(csv.header(keep).map(|()| csv))
    }

    fn header(&mut self, keep: &impl Fn(&str) -> bool) -> Result<(), String> {
        let mut names: Vec<String> = Vec::new();
        self.record(|_| true, |_, cell, _| names.push(String::from_utf8_lossy(cell).into_owned()))?;
        // The reader itself knows the mark only where its first piece holds it whole.
        if let Some(bare) = names.first().and_then(|name| name.strip_prefix('\u{FEFF}')) {
            names[0] = bare.to_owned();
        }
        self.kept = names.iter().map(|name| keep(name.strip_prefix(MULTIVALUE).unwrap_or(name))).collect();
        let wanted = names.into_iter().zip(&self.kept).filter(|(_, kept)| **kept).map(|(name, _)| name);
        self.names = wanted.collect();
        Ok(())
    }

    /// The next row; `None` at a whole end. One with too few or too many cells is bad by itself, as long as it is one line of
    /// the file: its cells may stand under other names, so none of them is believed. In one of several lines a stray quote may
    /// have swallowed its neighbours, and then nobody knows which rows there are.
    fn next(&mut self) -> Result<Option<Row>, String> {
        let (expected, line) = (self.kept.len(), self.core.line());
        let kept = std::mem::take(&mut self.kept);
        let mut row = Row::new(Arc::clone(&self.names));
        let read = self.record(
            |at| kept.get(at).copied().unwrap_or(false),
            |at, cell, cut| {
                if kept.get(at) == Some(&true) {
                    row.push(cell, cut);
                }
            },
        );
        self.kept = kept;
        match read? {
            0 => Ok(None),
            fields if fields != expected => {
                let wrong = format!("{fields} fields where the header has {expected}");
                if self.spans_lines { Err(format!("line {line}: {wrong}")) } else { Ok(Some(Row::bad(wrong))) }
            }
            _ => Ok(Some(row)),
        }
    }

    /// Reads a record and gives its cells, with the number of the column and whether the cell was cut; of those that are not
    /// wanted nothing but an empty one. The number of fields; 0 at a whole end.
    fn record(&mut self, wants: impl Fn(usize) -> bool, mut take: impl FnMut(usize, &[u8], bool)) -> Result<usize, String> {
        let (mut fields, mut cut) = (0, false);
        self.cell.clear();
        self.spans_lines = false;
        loop {
            let input = match self.bytes.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                input => input.map_err(|error| unreadable(&error, self.gzip))?,
            };
            let (result, taken, written) = self.core.read_field(input, self.piece.as_mut_slice());
            self.ending.saw(&input[..taken]);
            let ended = input.is_empty();
            self.bytes.consume(taken);
            self.spans_lines |= memchr::memchr2(b'\n', b'\r', &self.piece[..written]).is_some();
            if wants(fields) {
                let room = CELL_LIMIT - self.cell.len();
                cut |= written > room;
                self.cell.extend_from_slice(&self.piece[..written.min(room)]);
            }
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    take(fields, &self.cell, cut);
                    self.cell.clear();
                    cut = false;
                    fields += 1;
                    if record_end {
                        if ended {
                            self.ending.check(self.gzip)?;
                        }
                        return Ok(fields);
                    }
                }
                ReadFieldResult::End => return self.ending.check(self.gzip).map(|()| 0),
            }
        }
    }
}

impl Ending {
    fn saw(&mut self, bytes: &[u8]) {
        self.last = bytes.last().copied().or(self.last);
        self.quotes += bytes.iter().map(|byte| u64::from(*byte == b'"')).sum::<u64>();
    }

    fn check(&self, gzip: bool) -> Result<(), String> {
        // A checksum vouches for the end of a gzip file; of plain text only its last line's end can.
        if !gzip && !matches!(self.last, Some(b'\n' | b'\r')) {
            return Err("its last line has no end, so it was cut off".to_owned());
        }
        if self.quotes % 2 == 1 {
            return Err("a quoted field has no end, so it was cut off".to_owned());
        }
        Ok(())
    }
}

/// Why its bytes cannot be had, without a piece of them.
fn unreadable(error: &io::Error, gzip: bool) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof if gzip => "the gzip data was cut off".to_owned(),
        _ if gzip => format!("the gzip data is damaged ({error})"),
        _ => error.to_string(),
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

    use super::super::alert;
    use super::*;

    fn payload() -> Payload {
        alert::read(br#"{"server_uri":"https://127.0.0.1:8089","session_key":"k"}"#.as_slice()).unwrap()
    }

    fn all(payload: &Payload, keep: impl Fn(&str) -> bool) -> Result<Vec<Row>, AlertError> {
        let rows = Rows::open(payload, keep)?;
        let total = rows.total();
        let rows = rows.collect::<Result<Vec<Row>, _>>()?;
        assert_eq!(rows.len() as u64, total);
        Ok(rows)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The rows of a results file with these bytes.
    fn rows_of(bytes: &[u8]) -> Result<Vec<Row>, AlertError> {
        let (_dir, payload) = with_file(bytes);
        all(&payload, |_| true)
    }

    fn with_file(bytes: &[u8]) -> (TempDir, Payload) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.csv.gz");
        fs::write(&path, bytes).unwrap();
        let payload = Payload { results_file: Some(path), ..payload() };
        (dir, payload)
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
        let rows = all(&payload, |name| name == "id").unwrap();
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
            (gzip(b"id,title\n1,x\n\"1,\none\",2,3\n"), "line 3: 3 fields where the header has 2"),
            (b"id,title\n1,one\n2,\"two\n".to_vec(), "a quoted field has no end, so it was cut off"),
            (gzip(b"id,title\n2,\"two\n"), "a quoted field has no end, so it was cut off"),
        ] {
            let (_dir, payload) = with_file(&bytes);
            let path = payload.results_file.as_ref().unwrap().display().to_string();
            let error = all(&payload, |_| true).unwrap_err();
            assert_eq!(error.to_string(), format!("the search results {path} cannot be used: {reason}; no row was acted on"));
        }
    }

    #[test]
    fn a_row_with_too_few_or_too_many_cells_is_bad_alone() {
        for (text, bad) in [
            ("id,title\n1,one\n2\n3,three\n", "1 fields where the header has 2"),
            ("id,title\r\n1,one\r\n2,two,2\r\n3,three\r\n", "3 fields where the header has 2"),
            ("id,title\r1,one\r2\r3,three\r", "1 fields where the header has 2"),
        ] {
            for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
                let rows = rows_of(&bytes).unwrap();
                assert_eq!(rows.iter().map(Row::fault).collect::<Vec<_>>(), [None, Some(bad), None], "{text:?}");
                assert_eq!(rows.iter().map(|row| row.get("id")).collect::<Vec<_>>(), [Some("1"), None, Some("3")]);
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let payload = Payload { results_file: Some(PathBuf::from("/nowhere/results.csv.gz")), ..payload() };
        assert_eq!(
            all(&payload, |_| true).unwrap_err().to_string(),
            "cannot read the search results /nowhere/results.csv.gz: No such file or directory (os error 2); splunkd deletes \
             them when the search job expires"
        );
    }

    #[test]
    fn a_cell_of_any_size_takes_no_more_than_the_limit() {
        let long = "x".repeat(3 * CELL_LIMIT);
        let text = format!("_raw,id,comment\n{long},1,short\n{long},2,{long}\n,3,\"{}\"\n", "y".repeat(CELL_LIMIT));
        let (_dir, payload) = with_file(&gzip(text.as_bytes()));
        let rows = all(&payload, |name| name != "_raw").unwrap();
        assert_eq!(rows.iter().map(Row::cut).collect::<Vec<_>>(), [None, Some("comment"), None]);
        assert_eq!(rows.iter().map(|row| row.get("id")).collect::<Vec<_>>(), [Some("1"), Some("2"), Some("3")]);
        assert_eq!(rows.iter().map(|row| row.get("comment").unwrap().len()).collect::<Vec<_>>(), [5, CELL_LIMIT, CELL_LIMIT]);
    }

    #[test]
    fn a_file_that_changes_after_it_was_found_whole() {
        let text = |rows: usize| gzip(format!("id\n{}", "1\n".repeat(rows)).as_bytes());
        let (_dir, payload) = with_file(&text(3));
        let path = payload.results_file.clone().unwrap();
        // Replaced or deleted, as splunkd does: what was opened stays.
        let mut rows = Rows::open(&payload, |_| true).unwrap();
        assert!(rows.next().unwrap().is_ok());
        fs::remove_file(&path).unwrap();
        fs::write(&path, text(9)).unwrap();
        assert_eq!((rows.total(), rows.by_ref().filter(Result::is_ok).count()), (3, 2));
        // Written to.
        let mut rows = Rows::open(&payload, |_| true).unwrap();
        assert!(rows.next().unwrap().is_ok());
        fs::write(&path, text(20)).unwrap();
        let said = format!("the search results {} changed while they were read: 1 of 9 rows were acted on", path.display());
        assert_eq!(rows.next().unwrap().unwrap_err().to_string(), said);
        assert!(rows.next().is_none());
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
