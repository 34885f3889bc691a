//! A value that must never reach a log, an argument list, an event or an error.

use std::fmt;
use std::sync::Arc;

use crate::masking;

/// A secret text: a client secret, a private key, a token, a session key.
///
/// `Debug` prints `***`; there is no `Display`, so it cannot be formatted into a message by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the text in; from here on only [`Secret::expose`] gives it out, and no message repeats it ([`masking`]).
    pub fn new(text: impl Into<String>) -> Self {
        Self(masking::remember(&text.into()))
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Keeps what this process holds out of core dumps, whatever ends it, and from other processes of the same user that would read
/// its memory. Windows writes none unless an admin asks for them.
pub fn forbid_core_dumps() {
    // A limit does not bind a `core_pattern` that is a pipe, which most distributions have; this does. It gives the process's
    // files in /proc that are not for everybody to root: splunkd, which reads `stat` and `status`, reads them as before.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // Lowering a limit is always allowed.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_text() {
        let holder = (1, Some(Secret::new("s3cr3t")));
        assert_eq!(format!("{holder:?}"), "(1, Some(***))");
    }
}
