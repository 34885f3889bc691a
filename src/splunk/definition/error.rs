//! Why a document on stdin was not understood; nothing here repeats what was read, save for element and stanza names.

use super::LIMIT;

/// Why a document was not understood.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// stdin could not be read.
    #[error("cannot read standard input: {0}")]
    Read(#[source] std::io::Error),
    /// stdin ended too early, or held nothing.
    #[error("standard input ended before </{root}>; splunkd starts this program and writes an <{root}> document to it")]
    Ended {
        /// The root expected.
        root: &'static str,
    },
    /// Not such a document: a program or a person was at the other end.
    #[error("standard input holds no <{root}> document; splunkd starts this program and writes one to it")]
    OtherRoot {
        /// The root expected.
        root: &'static str,
    },
    /// More than 4 MiB.
    #[error("the <{root}> document on standard input is larger than {} MiB", LIMIT >> 20)]
    TooLarge {
        /// The root expected.
        root: &'static str,
    },
    /// Not well-formed.
    #[error("the <{root}> document on standard input is malformed near byte {at}: {fault}")]
    Malformed {
        /// The root expected.
        root: &'static str,
        /// Bytes read before it.
        at: u64,
        /// What is wrong.
        fault: &'static str,
    },
    /// An element where another one belongs.
    #[error("{found} near byte {at} of standard input, in {within}, where {expected} was expected")]
    Unexpected {
        /// The element, if its name looks like one.
        found: String,
        /// Bytes read before it.
        at: u64,
        /// What it stands in.
        within: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// Something every such document holds is not there.
    #[error("the <{root}> document on standard input has no {what}")]
    Missing {
        /// The root expected.
        root: &'static str,
        /// What is missing.
        what: &'static str,
    },
}
