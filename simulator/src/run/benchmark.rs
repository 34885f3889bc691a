//! What the programs that measure a streaming feed beside a peer have in common: a command line, the instance, and events
//! counted on a stdout.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// What follows an option on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'a> {
    option: &'a str,
    value: &'a str,
    usage: &'a str,
}

impl Argument<'_> {
    /// A file.
    pub fn file(self) -> PathBuf {
        PathBuf::from(self.value)
    }

    /// A number.
    ///
    /// # Errors
    /// What is wrong with it, and the usage.
    pub fn number(self) -> Result<usize, String> {
        let Self { option, value, usage } = self;
        value.parse().map_err(|_| format!("{option}: {value} is not a number\n{usage}"))
    }
}

/// Reads options, each with a value; `take` says whether it knows one.
///
/// # Errors
/// What is wrong with the command line, and the usage.
pub fn options(usage: &str, mut take: impl FnMut(&str, Argument<'_>) -> Result<bool, String>) -> Result<(), String> {
    let mut arguments = env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or(format!("{option} needs a value\n{usage}"))?;
        if !take(&option, Argument { option: &option, value: &value, usage })? {
            return Err(format!("{option} is not an option\n{usage}"));
        }
    }
    Ok(())
}

/// Says why nothing was measured.
// What such a program prints is its purpose.
#[allow(clippy::print_stderr)]
pub fn exit(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Removes the positions of the run before.
///
/// # Errors
/// The system's, with the folder.
pub fn forget(folder: &Path) -> Result<(), String> {
    let again = fs::remove_dir_all(folder).and_then(|()| fs::create_dir(folder));
    again.map_err(|error| format!("{}: {error}", folder.display()))
}

/// Events on a stdout, counted by their end tags.
#[derive(Debug, Default)]
pub struct Count {
    /// How many there were so far.
    pub events: usize,
    /// An end tag may lie across two blocks.
    tail: Vec<u8>,
}

impl Count {
    /// Counts in what was read next.
    pub fn take(&mut self, block: &[u8]) {
        const END: &[u8] = b"</event>";
        self.tail.extend_from_slice(block);
        self.events += self.tail.windows(END.len()).filter(|window| *window == END).count();
        self.tail.drain(..self.tail.len().saturating_sub(END.len() - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn an_end_tag_in_two_blocks_counts_once() {
        let text = b"<event><data>a</data></event>\n<event></event></event";
        for at in 0..text.len() {
            let mut count = Count::default();
            count.take(&text[..at]);
            count.take(&text[at..]);
            assert_eq!(count.events, 2, "cut at {at}");
            count.take(b">");
            assert_eq!(count.events, 3, "cut at {at}");
        }
    }
}
