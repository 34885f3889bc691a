//! Why splunkd did not do what it was asked, and what to do about it.

use crate::http::HttpError;

/// An answer of splunkd that helps no further, or none. Messages name the object and the remedy, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// 401: the session key is no longer good. splunkd gives every run a new one.
    #[error("splunkd no longer accepts this run's session key ({object}); the next run gets a new one")]
    SessionEnded {
        /// What was asked for.
        object: String,
    },
    /// 403: the owner of the session key lacks a right.
    #[error("splunkd refuses {object}: {remedy}")]
    Forbidden {
        /// What was asked for.
        object: String,
        /// The right, and how it is given.
        remedy: String,
    },
    /// 404 where something has to be there.
    #[error("splunkd has no {object}; is this app installed and enabled on this server?")]
    NotFound {
        /// What was asked for.
        object: String,
    },
    /// 503, also after a few tries.
    #[error("splunkd is not ready ({object}: 503); it is starting or overloaded, the next run asks again")]
    Busy {
        /// What was asked for.
        object: String,
    },
    /// Any other status.
    #[error("splunkd failed at {object}: {status}{}{said}; see splunkd.log on this server", if said.is_empty() { "" } else { ", " })]
    Failed {
        /// What was asked for.
        object: String,
        /// The status.
        status: u16,
        /// What splunkd says about it; may be empty.
        said: String,
    },
    /// No answer.
    #[error("splunkd cannot be asked for {object}: {source}")]
    Unreachable {
        /// What was asked for.
        object: String,
        /// What happened instead.
        #[source]
        source: HttpError,
    },
    /// An answer that splunkd does not give: something else listens at `server_uri`.
    #[error("the answer for {object} is not splunkd's JSON; something else answers at splunkd's server_uri")]
    NotJson {
        /// What was asked for.
        object: String,
    },
    /// Asterisks instead of a secret.
    #[error(
        "splunkd masks {object}; allow this server to read it in clear text: limits.conf [storage_passwords_masking] \
         view_cleartext_allowlist"
    )]
    Masked {
        /// What was asked for.
        object: String,
    },
    /// A secret in pieces, one of which is missing or damaged.
    #[error("{object} is stored in pieces and incomplete ({fault}); enter it again")]
    Incomplete {
        /// What was asked for.
        object: String,
        /// Which piece, and what is wrong.
        fault: String,
    },
    /// What was stored is not what comes back.
    #[error("splunkd stored {object} but gives back something else; it may be overwritten by another server's configuration")]
    NotKept {
        /// What was stored.
        object: String,
    },
    /// The client cannot even ask.
    #[error("{0}")]
    Setup(String),
}

impl RestError {
    /// Whether a person has to act before another run can do better (exit code 2). Otherwise splunkd's next run on
    /// schedule may (exit code 1).
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Masked { .. }
            | Self::Incomplete { .. }
            | Self::NotKept { .. }
            | Self::NotJson { .. }
            | Self::Setup(_) => true,
            Self::Unreachable { source, .. } => source.needs_a_person(),
            Self::SessionEnded { .. } | Self::Busy { .. } => false,
            // 4xx: what was asked is not acceptable, and the next run would ask the same.
            Self::Failed { status, .. } => (400..500).contains(status) && *status != 429,
        }
    }
}
