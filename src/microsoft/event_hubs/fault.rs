//! Everything the service and the way to it can answer with that is no event, as one sentence and what to do about it.

use std::fmt;

use fe2o3_amqp::connection::OpenError;
use fe2o3_amqp::link::{LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError, SessionStopReason};
use fe2o3_amqp::session::BeginError;
use fe2o3_amqp::types::definitions::{self, ErrorCondition};
use fe2o3_amqp::types::primitives::Symbol;
use fe2o3_amqp_management::error::{AttachError, Error as CallError};

/// What kind of fault it is: what the caller does depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// There is no connection: name resolution, TCP, a proxy, TLS.
    Unreachable,
    /// A connection, session or link ended.
    Lost,
    /// No answer in time.
    Silent,
    /// The service wants fewer requests.
    Busy,
    /// No right to do this.
    Unauthorized,
    /// There is no such hub, consumer group or partition.
    NotFound,
    /// Another reader has the partition.
    Stolen,
    /// Anything else.
    Refused,
}

/// A fault: what was being done, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub what: What,
    /// What was being done, such as `the hub defender`.
    pub object: String,
    /// What was said.
    pub said: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.said)
    }
}

impl std::error::Error for Fault {}

/// The most of the service's own words that goes into a message; they carry tracking ids and times at their end.
const WORDS: usize = 300;

impl Fault {
    /// A fault with words of this program.
    pub fn new(what: What, object: impl Into<String>, said: impl Into<String>) -> Self {
        Self { what, object: object.into(), said: said.into() }
    }

    /// No answer within so many seconds.
    pub(super) fn silent(object: impl Into<String>, seconds: u64) -> Self {
        Self::new(What::Silent, object, format!("no answer within {seconds} s"))
    }

    /// Whether a person has to act; trying again brings the same.
    pub fn is_permanent(&self) -> bool {
        matches!(self.what, What::Unauthorized | What::NotFound)
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self.what {
            What::Unreachable => Some(
                "check event_hub_namespace, name resolution and the firewall: transport amqp needs port 5671, websocket port 443 or \
                 the proxy",
            ),
            What::Unauthorized => Some(
                "give the app registration the role \"Azure Event Hubs Data Receiver\" on the namespace or the hub (it takes up to 5 \
                 minutes to count), or check that the connection string's policy has the claim Listen",
            ),
            What::Silent => Some(
                "the service is silent where the role \"Azure Event Hubs Data Receiver\" is missing: check it in Access control (IAM) of \
                 the namespace or the hub, and the firewall between",
            ),
            What::NotFound => Some("check event_hub_namespace, event_hub_name and consumer_group of the input"),
            What::Stolen => Some(
                "run one input for each consumer group, or let each read other partitions with `partitions`; other programs need a \
                 consumer group of their own",
            ),
            What::Busy | What::Lost | What::Refused => None,
        }
    }

    /// From an error the service sent.
    fn remote(object: String, error: &definitions::Error) -> Self {
        let condition = condition(&error.condition);
        let what = match condition.as_str() {
            "amqp:unauthorized-access" | "com.microsoft:auth-failed" | "com.microsoft:token-expired" => What::Unauthorized,
            "amqp:not-found" => What::NotFound,
            "amqp:link:stolen" => What::Stolen,
            "com.microsoft:server-busy" | "amqp:resource-limit-exceeded" => What::Busy,
            "amqp:connection:forced" | "amqp:link:detach-forced" | "amqp:internal-error" | "com.microsoft:timeout" => What::Lost,
            _ => What::Refused,
        };
        let said = match &error.description {
            Some(text) if !text.trim().is_empty() => format!("{condition}: {}", words(text)),
            _ => condition,
        };
        Self { what, object, said }
    }

    fn stopped(object: String, reason: &SessionStopReason) -> Self {
        use fe2o3_amqp::connection::ConnectionStopReason as Connection;
        match reason {
            SessionStopReason::RemoteEndedWithError(error)
            | SessionStopReason::ConnectionStopped(Connection::RemoteClosedWithError(error)) => Self::remote(object, error),
            SessionStopReason::EndedWithError(error)
            | SessionStopReason::ConnectionStopped(Connection::ClosedWithError(error)) => {
                let said = error.description.as_deref().map_or_else(|| condition(&error.condition), words);
                Self::new(What::Lost, object, format!("the connection broke: {said}"))
            }
            _ => Self::new(What::Lost, object, "the connection was closed"),
        }
    }

    /// From the end of a link.
    pub(super) fn link(object: impl Into<String>, error: &LinkStateError) -> Self {
        let object = object.into();
        match error {
            LinkStateError::RemoteDetachedWithError(error) | LinkStateError::RemoteClosedWithError(error) => {
                Self::remote(object, error)
            }
            LinkStateError::SessionStopped(reason) => Self::stopped(object, reason),
            other => Self::new(What::Lost, object, format!("the link ended: {other}")),
        }
    }

    /// From a link that brought something other than an event.
    pub(super) fn receive(object: impl Into<String>, error: &RecvError) -> Self {
        match error {
            RecvError::LinkStateError(error) => Self::link(object, error),
            other => Self::new(What::Lost, object, other.to_string()),
        }
    }

    /// From a link that was not made.
    pub(super) fn attach(object: impl Into<String>, error: &ReceiverAttachError) -> Self {
        let object = object.into();
        match error {
            ReceiverAttachError::RemoteClosedWithError(error) => Self::remote(object, error),
            ReceiverAttachError::SessionStopped(reason) => Self::stopped(object, reason),
            other => Self::new(What::Refused, object, other.to_string()),
        }
    }

    /// From a pair of links that was not made.
    pub(super) fn client(object: impl Into<String>, error: &AttachError) -> Self {
        let object = object.into();
        match error {
            AttachError::Receiver(error) => Self::attach(object, error),
            AttachError::Sender(SenderAttachError::RemoteClosedWithError(error)) => Self::remote(object, error),
            AttachError::Sender(SenderAttachError::SessionStopped(reason)) => Self::stopped(object, reason),
            AttachError::Sender(other) => Self::new(What::Refused, object, other.to_string()),
        }
    }

    /// From a request that was not answered as asked.
    pub(super) fn call(object: impl Into<String>, error: &CallError) -> Self {
        let object = object.into();
        match error {
            CallError::Status(status) => {
                let code = status.code.0.get();
                let what = match code {
                    401 | 403 => What::Unauthorized,
                    404 | 410 => What::NotFound,
                    429 | 503 => What::Busy,
                    500..600 => What::Lost,
                    _ => What::Refused,
                };
                let said = status.description.as_deref().map_or_else(String::new, |text| format!(": {}", words(text)));
                Self::new(what, object, format!("status {code}{said}"))
            }
            CallError::Recv(error) => Self::receive(object, error),
            CallError::Send(SendError::LinkStateError(error)) => Self::link(object, error),
            other => Self::new(What::Lost, object, other.to_string()),
        }
    }

    /// From a session that was not begun.
    pub(super) fn begin(object: impl Into<String>, error: &BeginError) -> Self {
        Self::new(What::Lost, object, error.to_string())
    }

    /// From a connection that was not opened.
    pub(super) fn open(object: impl Into<String>, error: &OpenError) -> Self {
        let object = object.into();
        match error {
            OpenError::RemoteClosedWithError(error) => Self::remote(object, error),
            OpenError::Io(error) => Self::new(What::Unreachable, object, error.to_string()),
            other => Self::new(What::Lost, object, other.to_string()),
        }
    }
}

fn condition(condition: &ErrorCondition) -> String {
    let symbol = match condition {
        ErrorCondition::AmqpError(error) => Symbol::from(error),
        ErrorCondition::ConnectionError(error) => Symbol::from(error),
        ErrorCondition::SessionError(error) => Symbol::from(error),
        ErrorCondition::LinkError(error) => Symbol::from(error),
        ErrorCondition::Custom(symbol) => symbol.clone(),
    };
    symbol.as_str().to_owned()
}

/// The service's words on one line, cut to a length.
fn words(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::definitions::{AmqpError, LinkError};

    use super::*;

    #[test]
    fn what_the_service_says_is_told_apart() {
        let custom = |name: &str| ErrorCondition::Custom(Symbol::from(name));
        let table: [(ErrorCondition, What, bool, &str); 7] = [
            (AmqpError::NotFound.into(), What::NotFound, true, "consumer_group"),
            (AmqpError::UnauthorizedAccess.into(), What::Unauthorized, true, "Azure Event Hubs Data Receiver"),
            (LinkError::Stolen.into(), What::Stolen, false, "partitions"),
            (custom("com.microsoft:server-busy"), What::Busy, false, ""),
            (LinkError::DetachForced.into(), What::Lost, false, ""),
            (AmqpError::InternalError.into(), What::Lost, false, ""),
            (custom("com.microsoft:argument-out-of-range"), What::Refused, false, ""),
        ];
        for (condition, what, permanent, remedy) in table {
            let error = definitions::Error::new(condition, Some("said\n so".to_owned()), None);
            let fault = Fault::link("partition 3", &LinkStateError::RemoteClosedWithError(error));
            assert_eq!((fault.what, fault.is_permanent()), (what, permanent), "{fault}");
            assert!(fault.remedy().unwrap_or_default().contains(remedy), "{fault}");
            assert!(fault.to_string().starts_with("partition 3: ") && fault.to_string().ends_with(": said so"), "{fault}");
        }
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(words(&"ü".repeat(400)).chars().count(), WORDS + 1);
    }
}
