//! AMQP 1.0 as the OASIS specification has it: types (part 1), frames and performatives (part 2), messages (part 3), SASL
//! (part 5). It knows nothing of Event Hubs.

mod decode;
mod encode;
pub(crate) mod frame;
pub(crate) mod message;
pub(crate) mod performative;
mod value;

pub(crate) use decode::value_at;
pub use decode::{Malformed, decode};
pub(crate) use encode::bare_u32;
pub use encode::encode;
pub use value::Value;

/// An error as a performative carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The condition, such as `amqp:not-found`.
    pub condition: String,
    /// What it says to a person.
    pub description: String,
}

impl Failure {
    /// An error.
    pub fn new(condition: &str, description: impl Into<String>) -> Self {
        Failure { condition: condition.to_string(), description: description.into() }
    }
}

/// Conditions of the specification (part 2, section 2.8.14 and on).
pub(crate) mod condition {
    pub(crate) const DECODE_ERROR: &str = "amqp:decode-error";
    pub(crate) const INVALID_FIELD: &str = "amqp:invalid-field";
    pub(crate) const NOT_ALLOWED: &str = "amqp:not-allowed";
    pub(crate) const NOT_FOUND: &str = "amqp:not-found";
    pub(crate) const NOT_IMPLEMENTED: &str = "amqp:not-implemented";
    pub(crate) const UNAUTHORIZED: &str = "amqp:unauthorized-access";
    pub(crate) const RESOURCE_LIMIT: &str = "amqp:resource-limit-exceeded";
    pub(crate) const CONNECTION_FORCED: &str = "amqp:connection:forced";
    pub(crate) const FRAMING_ERROR: &str = "amqp:connection:framing-error";
    pub(crate) const WINDOW_VIOLATION: &str = "amqp:session:window-violation";
    pub(crate) const UNATTACHED_HANDLE: &str = "amqp:session:unattached-handle";
    pub(crate) const HANDLE_IN_USE: &str = "amqp:session:handle-in-use";
    pub(crate) const TRANSFER_LIMIT: &str = "amqp:link:transfer-limit-exceeded";
    pub(crate) const MESSAGE_SIZE: &str = "amqp:link:message-size-exceeded";
    pub(crate) const STOLEN: &str = "amqp:link:stolen";
}
