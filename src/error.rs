//! Every way a run can fail, and the one place where a failure becomes a message, a remedy and an exit code.

use std::process::ExitCode;

use crate::account::AccountError;
#[cfg(feature = "streaming")]
use crate::blobs::BlobsError;
use crate::checkpoint::CheckpointError;
use crate::collect::CollectError;
#[cfg(feature = "streaming")]
use crate::event_hub::EventHubError;
use crate::http::HttpError;
use crate::input::InputError;
use crate::microsoft::api_error::ApiError;
use crate::microsoft::token::TokenError;
use crate::splunk::alert::AlertError;
use crate::splunk::definition::DefinitionError;
use crate::splunk::event::StreamError;
use crate::splunk::rest::RestError;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, also after SIGTERM.
    Done,
    /// 1: failed; splunkd runs it again on schedule. Of an action: some row failed.
    Failed,
    /// 2: configured wrongly; a person has to act.
    Misconfigured,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Misconfigured => 2,
        })
    }
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is one layer's error, documented there")]
pub enum Error {
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Splunkd(#[from] RestError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Api(#[from] Box<ApiError>),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Collect(#[from] CollectError),
    #[error(transparent)]
    Alert(#[from] AlertError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[cfg(feature = "streaming")]
    #[error(transparent)]
    EventHub(#[from] EventHubError),
    #[cfg(feature = "streaming")]
    #[error(transparent)]
    Blobs(#[from] BlobsError),
    #[error("standard output cannot be used: {0}")]
    Stdout(std::io::Error),
    #[error("the signal handler cannot be set up: {0}")]
    Signals(std::io::Error),
    /// A build for machines that only poll.
    #[error("this build of the program has no streaming feeds, so `feed = {feed}` cannot run")]
    NoStreaming {
        /// The feed.
        feed: &'static str,
    },
    /// An action's parameter: which, and what is wrong with it.
    #[error("parameter {0}")]
    Parameter(String),
    /// The same search job's action was started twice.
    #[error("another run of this action for the search job {0} is at work; what it does is in its own results")]
    AtWork(String),
    /// Inputs keep their position in a file of one machine.
    #[error("inputs do not run on a search head cluster member, where each member would collect everything")]
    SearchHeadCluster,
}

impl Error {
    /// How the process ends after it.
    pub fn exit(&self) -> Exit {
        let person = match self {
            Self::Definition(_) | Self::Stdout(_) | Self::Signals(_) | Self::Stream(_) | Self::AtWork(_) => false,
            Self::Input(_) | Self::Alert(_) | Self::Parameter(_) | Self::NoStreaming { .. } | Self::SearchHeadCluster => true,
            Self::Account(AccountError::Splunkd(error)) | Self::Splunkd(error) => error.needs_a_person(),
            Self::Account(_) => true,
            Self::Http(error) => error.needs_a_person(),
            Self::Token(error) => error.is_permanent(),
            Self::Api(error) | Self::Collect(CollectError::Api(error)) => error.is_permanent(),
            Self::Checkpoint(error) | Self::Collect(CollectError::Checkpoint(error)) => error.is_permanent(),
            Self::Collect(_) => false,
            #[cfg(feature = "streaming")]
            Self::EventHub(error) => error.is_permanent(),
            #[cfg(feature = "streaming")]
            Self::Blobs(error) => error.is_permanent(),
        };
        if person { Exit::Misconfigured } else { Exit::Failed }
    }

    /// Whether a form that is being saved is refused for it: whatever ends a run with 2, and a host that does not exist, which a
    /// run tries again.
    pub fn refuses(&self) -> bool {
        self.exit() == Exit::Misconfigured || self.names_no_host()
    }

    /// Whether the name server does not know a host of Microsoft's, or the proxy.
    fn names_no_host(&self) -> bool {
        match self {
            Self::Http(error) => error.names_no_host(),
            Self::Token(error) => error.names_no_host(),
            Self::Api(error) | Self::Collect(CollectError::Api(error)) => error.names_no_host(),
            #[cfg(feature = "streaming")]
            Self::EventHub(error) => error.names_no_host(),
            #[cfg(feature = "streaming")]
            Self::Blobs(error) => error.names_no_host(),
            _ => false,
        }
    }

    /// What to do about it, where the message does not already say so.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Token(error) => error.remedy(),
            Self::Api(error) | Self::Collect(CollectError::Api(error)) => error.remedy(),
            Self::Checkpoint(error) | Self::Collect(CollectError::Checkpoint(error)) => Some(error.remedy().to_owned()),
            Self::Http(error) => {
                Some(error.remedy().unwrap_or_else(|| "correct it on the Configuration page of the app, tab Settings".to_owned()))
            }
            Self::SearchHeadCluster => Some("disable this input here and set it up on a heavy forwarder".to_owned()),
            #[cfg(feature = "streaming")]
            Self::EventHub(error) => error.remedy(),
            #[cfg(feature = "streaming")]
            Self::Blobs(error) => error.remedy(),
            Self::NoStreaming { .. } => Some("install the package as it is published".to_owned()),
            Self::Input(_) => Some(
                "correct it on the Configuration page of the app, tab Inputs, or in Settings > Data inputs > Microsoft Defender"
                    .to_owned(),
            ),
            Self::Collect(CollectError::TooManyGivenUp { .. }) => Some(
                "the service fails for too many objects: open a case with Microsoft; nothing is skipped meanwhile".to_owned(),
            ),
            _ => None,
        }
    }

    /// The message with its remedy, as one line.
    pub fn full(&self) -> String {
        match self.remedy() {
            Some(remedy) => format!("{self}; {remedy}"),
            None => self.to_string(),
        }
    }
}
