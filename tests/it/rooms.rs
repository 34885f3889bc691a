//! Where things may be: `splunk` knows nothing of Microsoft, `microsoft` nothing of Splunk, and the stand-ins nothing of
//! the program.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every file of a kind under a folder.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

/// Lines of the folder's code that hold one of the words, whatever their case.
fn mentions(folder: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let paths = files(&root(folder), "rs");
    assert!(!paths.is_empty(), "{folder} holds no code");
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        // Tests may speak of tenants to show that they mean nothing here.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            let lower = line.to_lowercase();
            // The one place that may name it is the sentence that says so.
            let denial = lower.starts_with("//!") && lower.contains("nothing of");
            if !denial && words.iter().any(|word| lower.contains(word)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn splunk_has_never_heard_of_microsoft() {
    let words = ["microsoft", "entra", "graph.", "odata", "tenant", "feeds::", "crate::account", "crate::input"];
    assert_eq!(mentions("src/splunk", &words), Vec::<String>::new());
}

#[test]
fn microsoft_has_never_heard_of_splunk() {
    let words = ["splunk", "modular input", "sourcetype", "feeds::", "crate::account", "crate::input"];
    assert_eq!(mentions("src/microsoft", &words), Vec::<String>::new());
}

#[test]
fn the_cursor_has_neither_clock_nor_files() {
    for file in ["src/cursor.rs", "src/version.rs"] {
        let text = fs::read_to_string(root(file)).unwrap();
        for word in ["std::fs", "std::io", "Ticks::now", "SystemTime", "Instant"] {
            assert!(!text.contains(word), "{file} mentions {word}");
        }
    }
}

#[test]
fn the_stand_ins_do_not_know_the_program() {
    let manifest = fs::read_to_string(root("simulator/Cargo.toml")).unwrap();
    for (what, text) in
        [("manifest", manifest), ("code", mentions("simulator/src", &["ta_defender::", "use ta_defender"]).concat())]
    {
        assert!(!text.contains("ta-defender") && !text.contains("ta_defender"), "{what}: {text}");
    }
}
