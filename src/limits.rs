//! How large what comes in may be: one bound for each kind, all of them here. What is beyond is refused in one line while it
//! arrives, so that a small compressed body cannot become a large one in memory.
//!
//! What has units of its own beside bytes has its bounds where it is read: rows of lists (`microsoft::page`), lists and pieces of
//! blobs (`microsoft::storage`), records and
//! messages (`feeds::records`), documents of splunkd (`splunk::definition`, `splunk::alert`, `splunk::persistent`), cells of
//! results (`splunk::results`).

/// A list of objects, read row by row and never held. What is beyond is asked for in smaller pieces.
pub const PAGE: u64 = 256 << 20;
/// An answer to a request for a token, or for the words of a refusal. A token with all permissions has some 5 KB.
pub const TOKEN: u64 = 1 << 20;
/// One object, several of a batch, or a list that is held: twenty alerts with much evidence have 4 MB.
pub const OBJECT: u64 = 16 << 20;
/// One row that is held until all of it came: an incident with all its alerts.
pub const HELD_ROW: u64 = 64 << 20;
/// What is looked at of an answer whose status says already that it holds no data.
pub const ERROR: u64 = 1 << 20;
/// An answer of splunkd: a thousand inputs have 3 MB.
pub const SPLUNKD: u64 = 16 << 20;
/// The head of an answer, in bytes; a client library of ours takes 128 lines of it.
pub const HEAD: usize = 64 << 10;
/// The certificates of `ca_bundle`. All public authorities together have 0.3 MB.
pub const CA_BUNDLE: u64 = 16 << 20;
/// A file that holds a position. Those with 200,000 remembered alerts have 5 MB.
pub const CHECKPOINT: u64 = 64 << 20;

/// What the values of a JSON text may take in memory once they are read into a tree, in bytes.
const TREE: usize = 40 << 20;
/// What one object takes there, however small: its members live in blocks of this size.
const OF_OBJECT: usize = 640;
/// What any other value takes.
const OF_VALUE: usize = 40;

/// Whether a JSON text can be read into a tree without taking many times its own size: two bytes of a list become forty there,
/// and eight of an object six hundred.
///
/// # Errors
/// A clause that says what is too much.
pub fn check_tree(json: &[u8]) -> Result<(), String> {
    // Those in strings are counted too: real answers have far less of all.
    let (objects, values) = json.iter().fold((0usize, 0usize), |(objects, values), byte| match byte {
        b'{' => (objects + 1, values),
        b',' | b'[' => (objects, values + 1),
        _ => (objects, values),
    });
    let takes = json.len() + objects * OF_OBJECT + values * OF_VALUE;
    if takes <= TREE {
        return Ok(());
    }
    Err(format!("its {} values are more than an answer of this kind holds", objects + values))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_bounded_by_what_it_takes() {
        let of = |one: &str, count: usize| format!("[{}1]", one.repeat(count));
        for (text, fits) in [
            (of("{\"a\":{\"b\":[1,2,3]}},", 20_000), true),
            (of("0,", 900_000), true),
            (of("0,", 2_000_000), false),
            (of("{},", 70_000), false),
            (of("[],", 700_000), false),
            (format!("\"{}\"", "x".repeat(16 << 20)), true),
        ] {
            assert_eq!(check_tree(text.as_bytes()).is_ok(), fits, "{}", &text[..20]);
        }
        let said = check_tree(of("0,", 2_000_000).as_bytes()).unwrap_err();
        assert_eq!(said, "its 2000001 values are more than an answer of this kind holds");
    }
}
