//! Why reading a hub ends, or cannot begin.

use std::path::PathBuf;

use crate::account::AccountError;
use crate::checkpoint::CheckpointError;
use crate::http::HttpError;
use crate::microsoft::event_hubs::{ConnectionStringError, Fault, What};
use crate::microsoft::token::TokenError;
use crate::splunk::event::StreamError;
use crate::time::Ticks;

/// Why reading a hub ends.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "most variants are one layer's error, documented there")]
pub enum EventHubError {
    #[error("{0}")]
    Fault(Fault),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    ConnectionString(#[from] ConnectionStringError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("the receiver cannot be started: {0}")]
    Start(#[from] std::io::Error),
    /// The numbers of a partition went back.
    #[error(
        "the hub {hub} was made anew: event {read} of its partition {partition} was read before, and now its newest is {last}; \
         nothing is read, since its events cannot be told from those read before"
    )]
    Rewound {
        /// The hub.
        hub: String,
        /// The partition.
        partition: String,
        /// What was read.
        read: i64,
        /// What there is.
        last: i64,
        /// The file of its position.
        file: PathBuf,
    },
    /// Another date of creation.
    #[error(
        "the hub {hub} was made anew: the one read before was created at {was}, this one at {is}; nothing is read, since the \
         position belongs to the old one"
    )]
    Remade {
        /// The hub.
        hub: String,
        /// Before.
        was: String,
        /// Now.
        is: String,
        /// The file of its position.
        file: PathBuf,
    },
    /// The first run would begin at a time that is still to come.
    #[error(
        "parameter start: {start} is still to come, by this machine's clock, which says {now}: nothing would be read until then"
    )]
    Ahead {
        /// `start`.
        start: Ticks,
        /// The clock.
        now: Ticks,
    },
    /// None of the partitions that the input names exists.
    #[error("parameter partitions: the hub {hub} has the partitions {has}, and none of those named")]
    NoPartition {
        /// The hub.
        hub: String,
        /// Its partitions.
        has: String,
    },
}

impl From<Fault> for EventHubError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl EventHubError {
    /// Whether a person has to act.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.is_permanent(),
            Self::Token(error) => error.is_permanent(),
            Self::Account(AccountError::Splunkd(error)) => error.needs_a_person(),
            Self::Checkpoint(error) => matches!(error, CheckpointError::Unreadable { .. }),
            Self::Account(_)
            | Self::ConnectionString(_)
            | Self::Rewound { .. }
            | Self::Remade { .. }
            | Self::Ahead { .. }
            | Self::NoPartition { .. } => true,
            Self::Http(error) => error.needs_a_person(),
            Self::Stream(_) | Self::Start(_) => false,
        }
    }

    /// Whether there is no such host to ask.
    pub fn names_no_host(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.what == What::NoHost,
            Self::Token(error) => error.names_no_host(),
            Self::Http(error) => error.names_no_host(),
            _ => false,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Fault(fault) => fault.remedy().map(str::to_owned),
            Self::Token(error) => error.remedy(),
            Self::Checkpoint(error) => Some(error.remedy().to_owned()),
            Self::Rewound { file, .. } | Self::Remade { file, .. } => Some(format!(
                "if it is meant to be, delete {} and the files beside it that begin the same: then the input begins again at its \
                 `start`; what the old hub still held is gone with it",
                file.display()
            )),
            Self::Ahead { .. } => {
                Some("write a time that is past, a duration, latest or earliest; or put the clock right".to_owned())
            }
            _ => None,
        }
    }
}
