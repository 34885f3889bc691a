//! Why no answer came, and whether that passes.

use std::io;

use super::barrier::Barrier;
use crate::masking::foreign_text;

/// Why no answer came. Never holds a header or a body that was sent.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke: name resolution, TCP, a proxy whose own way fails, a cut body. It may pass.
    #[error("no answer from {host}: {reason}")]
    Unreachable {
        /// Host and port asked.
        host: String,
        /// What the layer below said.
        reason: String,
    },
    /// Something stands in the way until somebody has acted.
    #[error("no answer from {host}: {}{barrier}", of_proxy(.proxy.as_deref()))]
    Barred {
        /// Host and port asked.
        host: String,
        /// What stands in the way.
        barrier: Barrier,
        /// The proxy, where it is the proxy that is not reached.
        proxy: Option<String>,
    },
    /// The exchange took longer than it may.
    #[error("no answer from {host} in time ({limit})")]
    TimedOut {
        /// Host and port asked.
        host: String,
        /// Which limit ran out.
        limit: String,
    },
    /// The body is larger than its kind may be ([`limits`](crate::limits)).
    #[error("the answer from {host} is larger than {} MB", most >> 20)]
    TooLarge {
        /// Host and port asked.
        host: String,
        /// What it may hold, in bytes.
        most: u64,
    },
    /// The transport itself is set up wrongly; a person has to act.
    #[error("{0}")]
    Setup(String),
}

impl HttpError {
    /// Whether asking again brings the same until a person has acted. Every other error that wraps this one asks here.
    ///
    /// A host that the name server does not know is no such thing: what ran yesterday runs again when the name server does.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Barred { barrier: Barrier::NoSuchHost, .. } => false,
            Self::Barred { .. } | Self::Setup(_) => true,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// Whether the name server says that there is no such host: while a form is open, that is a mistyped name.
    pub fn names_no_host(&self) -> bool {
        matches!(self, Self::Barred { barrier: Barrier::NoSuchHost, .. })
    }

    /// What to do about it, where more is known than that no answer came.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Barred { barrier, .. } => Some(barrier.remedy()),
            _ => None,
        }
    }
}

/// How a message begins that is about the proxy and not about the host.
fn of_proxy(proxy: Option<&str>) -> String {
    proxy.map_or_else(String::new, |proxy| format!("the proxy {proxy} cannot be reached: "))
}

/// Turns the client's error into ours; a wrapped one inside an I/O error included. `proxy`: whom the connection goes through.
pub(super) fn explain(error: ureq::Error, host: &str, proxy: Option<&str>) -> HttpError {
    let owned = || host.to_owned();
    let barred = |barrier: Barrier| {
        // Only the proxy's name is looked up where there is one; its own resolver looks up the rest.
        let proxy = proxy.filter(|_| barrier == Barrier::NoSuchHost).map(str::to_owned);
        HttpError::Barred { host: owned(), barrier, proxy }
    };
    let passing = |reason: String| HttpError::Unreachable { host: owned(), reason: foreign_text(&reason) };
    match error {
        ureq::Error::Timeout(limit) => HttpError::TimedOut { host: owned(), limit: limit.to_string() },
        ureq::Error::BodyExceedsLimit(most) => HttpError::TooLarge { host: owned(), most },
        ureq::Error::BadUri(reason) => HttpError::Setup(format!("not a URL that can be asked: {}", foreign_text(&reason))),
        ureq::Error::HostNotFound => barred(Barrier::NoSuchHost),
        ureq::Error::Rustls(tls) => match Barrier::of_tls(&tls) {
            Some(barrier) => barred(barrier),
            None => passing(tls.to_string()),
        },
        ureq::Error::ConnectProxyFailed(reason) => match status(&reason) {
            Some(status) => {
                Barrier::of_proxy(status).map_or_else(|| passing(format!("the proxy refused the connection: {status}")), barred)
            }
            None => passing(format!("the proxy failed: {reason}")),
        },
        ureq::Error::Io(io) => match io.downcast::<ureq::Error>() {
            Ok(inner) => explain(inner, host, proxy),
            Err(io) => match Barrier::of_io(&io) {
                Some(barrier) => barred(barrier),
                None if is_before_any_tunnel(&io) => passing(format!("{}{io}", of_proxy(proxy))),
                None => passing(io.to_string()),
            },
        },
        other => passing(other.to_string()),
    }
}

/// Whether no connection was made at all; where there is a proxy, it is the proxy that was not reached.
fn is_before_any_tunnel(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable)
        || error.to_string().contains("failed to lookup address information")
}

/// What the client says of a proxy's refusal ends with its status.
fn status(reason: &str) -> Option<u16> {
    reason.rsplit_once('/')?.1.parse().ok()
}
