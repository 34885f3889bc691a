//! The REST mode: requests of the configuration page, which splunkd passes on one after the other over standard input.
//!
//! A request is made with the rights of the user who asks, names an account and nothing that could be sent or asked
//! elsewhere, and is answered within 20 s.

mod connection;
mod finding;
mod streaming;

use std::io::{BufReader, Read, Write};
use std::path::Path;

use crate::error::{Error, Exit};
use crate::masking::admin_text;
use crate::splunk::persistent::{self, Answer, Request};
use crate::splunk::stop::Stop;

/// Below `/services` or a namespace. `restmap.conf` and `web.conf` name it too.
pub const TEST_CONNECTION: &str = "defender/test_connection";

/// Answers requests until `stdin` ends.
pub fn run(stdin: impl Read, stdout: impl Write, splunk_home: Option<&Path>) -> Exit {
    let stop = match Stop::listen(|| {}) {
        Ok(stop) => stop,
        Err(error) => {
            let error = Error::Signals(error);
            log::error!("rest: {}", error.full());
            return error.exit();
        }
    };
    match persistent::serve(BufReader::new(stdin), stdout, |request| answer(request, splunk_home)) {
        Ok(()) => Exit::Done,
        Err(_) if stop.requested() => Exit::Done,
        Err(error) => {
            log::error!("rest: {error}");
            Exit::Failed
        }
    }
}

fn answer(request: &Request, splunk_home: Option<&Path>) -> Answer {
    match (request.path.as_str(), request.method.as_str()) {
        (TEST_CONNECTION, "POST") => connection::test(request, splunk_home),
        (TEST_CONNECTION, method) => Answer::error(405, &format!("{TEST_CONNECTION} takes POST, not {}", admin_text(method))),
        (path, _) => {
            Answer::error(404, &format!("there is nothing at `{}`: this add-on answers {TEST_CONNECTION}", admin_text(path)))
        }
    }
}
