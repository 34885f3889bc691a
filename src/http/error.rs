//! Why no answer came.

use super::BODY_LIMIT;

/// Why no answer came. Never holds a header or a body that was sent.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke: name resolution, TCP, TLS, a proxy that refused, a cut body.
    #[error("no answer from {host}: {reason}")]
    Unreachable {
        /// Host and port asked.
        host: String,
        /// What the layer below said.
        reason: String,
    },
    /// The exchange took longer than it may.
    #[error("no answer from {host} in time ({limit})")]
    TimedOut {
        /// Host and port asked.
        host: String,
        /// Which limit ran out.
        limit: String,
    },
    /// The body is larger than [`BODY_LIMIT`].
    #[error("the answer from {host} is larger than {} MB", BODY_LIMIT >> 20)]
    TooLarge {
        /// Host and port asked.
        host: String,
    },
    /// The transport itself is set up wrongly; a person has to act.
    #[error("{0}")]
    Setup(String),
}

/// Turns the client's error into ours; a wrapped one inside an I/O error included.
pub(super) fn explain(error: ureq::Error, host: &str) -> HttpError {
    let host = host.to_owned();
    match error {
        ureq::Error::Timeout(limit) => HttpError::TimedOut { host, limit: limit.to_string() },
        ureq::Error::BodyExceedsLimit(_) => HttpError::TooLarge { host },
        ureq::Error::BadUri(reason) => HttpError::Setup(format!("not a URL that can be asked: {reason}")),
        ureq::Error::ConnectProxyFailed(reason) => HttpError::Unreachable { host, reason: proxy_refusal(&reason) },
        ureq::Error::Io(io) => match io.downcast::<ureq::Error>() {
            Ok(inner) => explain(inner, &host),
            Err(io) => HttpError::Unreachable { host, reason: io.to_string() },
        },
        other => HttpError::Unreachable { host, reason: other.to_string() },
    }
}

/// What the client says of a proxy's refusal ends with its status.
fn proxy_refusal(reason: &str) -> String {
    match reason.rsplit_once('/') {
        Some((_, "407")) => "the proxy refused the connection: 407, it wants another user name or password".to_owned(),
        Some((_, status)) => format!("the proxy refused the connection: {status}"),
        None => format!("the proxy failed: {reason}"),
    }
}
