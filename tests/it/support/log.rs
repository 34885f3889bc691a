//! Log lines as splunkd reads them from standard error.

/// One line: its level, and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// `ERROR`, `WARN`, `INFO` or `DEBUG`.
    pub(crate) level: String,
    /// What it says.
    pub(crate) message: String,
}

/// Reads what a run wrote to standard error. splunkd files a line without a level it knows as an ERROR of its own.
///
/// # Panics
/// When a line has no such level, or the last line does not end.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line does not end: {text:?}");
    text.lines()
        .map(|line| match line.split_once(' ') {
            Some((level @ ("ERROR" | "WARN" | "INFO" | "DEBUG"), message)) => {
                Line { level: level.to_owned(), message: message.to_owned() }
            }
            _ => panic!("a line without a level: {line:?}"),
        })
        .collect()
}

/// What streaming inputs say of themselves, a line for each partition and one for each poll: the lines with which searches
/// and the page of Splunk Web are tested.
pub(crate) fn streamed() -> Vec<Line> {
    lines(include_str!("../../streamed.log"))
}

/// Checks that a line which the program wrote has the members of that line of [`streamed`] which holds `mark`.
#[cfg(feature = "streaming")]
#[track_caller]
pub(crate) fn has_the_members_of_streamed(line: &str, mark: &str) {
    let names = |line: &str| -> Vec<String> {
        line.split(' ').filter_map(|word| word.split_once('=')).map(|(name, _)| name.to_owned()).collect()
    };
    let sample = streamed().into_iter().find(|line| line.message.contains(mark)).unwrap();
    assert_eq!(names(line), names(&sample.message), "tests/streamed.log is to be as the program writes");
}

/// Takes out of a text what no two runs share: ports, GUIDs, times, temporary folders.
pub(crate) fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let before = out.chars().next_back();
        let inside = before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-');
        let fresh = !inside || out.ends_with("%20");
        let found = [port, guid, time, folder].iter().find_map(|read| if fresh { read(rest) } else { None });
        if let Some((length, name)) = found {
            out.push_str(name);
            rest = &rest[length..];
        } else {
            let first = rest.chars().next().unwrap();
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The length of what a pattern matches at the start of a text, and what to write instead.
type Found = Option<(usize, &'static str)>;

fn port(text: &str) -> Found {
    let digits = text.strip_prefix("127.0.0.1:")?.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then_some((10 + digits, "HOST"))
}

fn guid(text: &str) -> Found {
    shape(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx").map(|length| (length, "GUID"))
}

/// RFC 3339 in UTC, whole or with a fraction, percent-encoded or not; and Entra ID's `2026-01-31 00:00:00Z`.
fn time(text: &str) -> Found {
    let whole = ["9999-99-99T99:99:99", "9999-99-99 99:99:99", "9999-99-99T99%3A99%3A99"];
    let length = whole.iter().find_map(|pattern| shape(text, pattern))?;
    let rest = &text[length..];
    let fraction = rest.strip_prefix('.').map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
    rest[fraction..].starts_with('Z').then_some((length + fraction + 1, "TIME"))
}

fn folder(text: &str) -> Found {
    let start = std::env::temp_dir();
    let rest = text.strip_prefix(start.to_str()?)?.strip_prefix('/')?;
    let name = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'.').count();
    Some((text.len() - rest.len() + name, "FOLDER"))
}

/// `9` stands for a digit, `x` for a hexadecimal one, anything else for itself.
fn shape(text: &str, pattern: &str) -> Option<usize> {
    let fits = |(c, p): (u8, u8)| match p {
        b'9' => c.is_ascii_digit(),
        b'x' => c.is_ascii_hexdigit(),
        _ => c == p,
    };
    (text.len() >= pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)).then_some(pattern.len())
}

#[test]
fn what_no_two_runs_share_is_taken_out() {
    let text = "no answer from 127.0.0.1:4711 (request id 0a1b2c3d-0000-4000-8000-00000000000f) at 2026-01-31T00:00:00.125Z, x-2";
    assert_eq!(normal(text), "no answer from HOST (request id GUID) at TIME, x-2");
}
