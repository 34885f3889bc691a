//! Everything the service and the way to it can answer with that is no event, as one sentence and what to do about it.

use std::fmt;

use fe2o3_amqp::connection::OpenError;
use fe2o3_amqp::link::{LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError, SessionStopReason};
use fe2o3_amqp::session::BeginError;
use fe2o3_amqp::types::definitions::{self, ErrorCondition};
use fe2o3_amqp::types::messaging::{Outcome, Rejected};
use fe2o3_amqp::types::primitives::Symbol;

use crate::masking::foreign_text;

/// What kind of fault it is: what the caller does depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// There is no connection: name resolution, TCP, a proxy, TLS.
    Unreachable,
    /// The name server says that there is no such host.
    NoHost,
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
    /// What was sent is nothing that Event Hubs sends.
    Odd,
    /// The way is set up wrongly: a CA bundle, an address.
    Setup,
    /// TLS: nobody who is trusted vouches for whoever answers.
    Untrusted,
    /// The proxy wants credentials, or others.
    ProxyCredentials,
    /// The proxy does not let through.
    ProxyForbids,
    /// Whoever answers opens no WebSocket.
    NoWebSocket,
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
        match self.what {
            What::Unauthorized
            | What::NotFound
            | What::Setup
            | What::Untrusted
            | What::ProxyCredentials
            | What::ProxyForbids
            | What::NoWebSocket => true,
            What::Unreachable
            | What::NoHost
            | What::Lost
            | What::Silent
            | What::Busy
            | What::Stolen
            | What::Odd
            | What::Refused => false,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self.what {
            What::Unreachable => Some(
                "check event_hub_namespace, name resolution and the firewall: transport amqp needs port 5671, websocket port 443 or \
                 the proxy",
            ),
            What::NoHost => Some(
                "check event_hub_namespace, or the proxy on the Configuration page of the app, tab Settings, and this machine's name \
                 server",
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
            What::Odd => {
                Some("see whether event_hub_namespace is an Event Hubs namespace, and what stands between: no event is lost")
            }
            What::Untrusted => Some(
                "where TLS is inspected, put the authority's certificate into the CA bundle (Configuration page of the app, tab \
                 Settings); else check event_hub_namespace and this machine's clock",
            ),
            What::ProxyCredentials => {
                Some("correct the proxy's user name and password on the Configuration page of the app, tab Settings")
            }
            What::ProxyForbids => Some(
                "have the proxy allow CONNECT to port 443 of event_hub_namespace, or name another proxy on the Configuration page \
                 of the app, tab Settings",
            ),
            What::NoWebSocket => Some(
                "check event_hub_namespace; where something between refuses WebSockets, have it let them through, or use transport amqp",
            ),
            What::Setup => Some("correct it on the Configuration page of the app, tab Settings"),
            What::Busy | What::Lost | What::Refused => None,
        }
    }

    /// Something that the service does not send.
    pub(super) fn odd(object: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(What::Odd, object, said)
    }

    /// An end without words of the service; the library's may hold some all the same.
    pub(super) fn lost(object: impl Into<String>, error: &dyn fmt::Display) -> Self {
        Self::new(What::Lost, object, foreign_text(&error.to_string()))
    }

    fn refused(object: String, error: &dyn fmt::Display) -> Self {
        Self::new(What::Refused, object, foreign_text(&error.to_string()))
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
            Some(text) if !text.trim().is_empty() => format!("{condition}: {}", foreign_text(text)),
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
                let said = error.description.as_deref().map_or_else(|| condition(&error.condition), foreign_text);
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
            other => Self::lost(object, &format_args!("the link ended: {other}")),
        }
    }

    /// From a link that brought something other than an event.
    pub(super) fn receive(object: impl Into<String>, error: &RecvError) -> Self {
        match error {
            RecvError::LinkStateError(error) => Self::link(object, error),
            other => Self::lost(object, other),
        }
    }

    /// From a link that was not made.
    pub(super) fn attach(object: impl Into<String>, error: &ReceiverAttachError) -> Self {
        let object = object.into();
        match error {
            ReceiverAttachError::RemoteClosedWithError(error) => Self::remote(object, error),
            ReceiverAttachError::SessionStopped(reason) => Self::stopped(object, reason),
            other => Self::refused(object, other),
        }
    }

    /// From a link of the other direction.
    pub(super) fn attach_sender(object: impl Into<String>, error: &SenderAttachError) -> Self {
        let object = object.into();
        match error {
            SenderAttachError::RemoteClosedWithError(error) => Self::remote(object, error),
            SenderAttachError::SessionStopped(reason) => Self::stopped(object, reason),
            other => Self::refused(object, other),
        }
    }

    /// From a request that did not get there.
    pub(super) fn send(object: impl Into<String>, error: &SendError) -> Self {
        match error {
            SendError::LinkStateError(error) => Self::link(object, error),
            other => Self::lost(object, other),
        }
    }

    /// From a request that was not taken.
    pub(super) fn outcome(object: impl Into<String>, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Rejected(Rejected { error: Some(error) }) => Self::remote(object.into(), error),
            _ => Self::new(What::Lost, object, "the request was not accepted"),
        }
    }

    /// From the status of an answer.
    pub(super) fn status(object: impl Into<String>, code: i64, description: Option<&str>) -> Self {
        let what = match code {
            401 | 403 => What::Unauthorized,
            404 | 410 => What::NotFound,
            429 | 503 => What::Busy,
            500..600 => What::Lost,
            _ => What::Refused,
        };
        let said = description.map_or_else(String::new, |text| format!(": {}", foreign_text(text)));
        Self::new(what, object, format!("status {code}{said}"))
    }

    /// From a session that was not begun.
    pub(super) fn begin(object: impl Into<String>, error: &BeginError) -> Self {
        Self::lost(object, error)
    }

    /// From a connection that was not opened.
    pub(super) fn open(object: impl Into<String>, error: &OpenError) -> Self {
        let object = object.into();
        match error {
            OpenError::RemoteClosedWithError(error) => Self::remote(object, error),
            OpenError::Io(error) => Self::new(What::Unreachable, object, foreign_text(&error.to_string())),
            other => Self::lost(object, other),
        }
    }
}

/// A condition is the service's own word as well, where it is none of the specification's.
fn condition(condition: &ErrorCondition) -> String {
    let symbol = match condition {
        ErrorCondition::AmqpError(error) => Symbol::from(error),
        ErrorCondition::ConnectionError(error) => Symbol::from(error),
        ErrorCondition::SessionError(error) => Symbol::from(error),
        ErrorCondition::LinkError(error) => Symbol::from(error),
        ErrorCondition::Custom(symbol) => symbol.clone(),
    };
    foreign_text(symbol.as_str())
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
}
