//! Requests to the nodes `$cbs` and `$management`, and their answers ("AMQP management", working draft 16, as the service speaks
//! it).

use fe2o3_amqp::link::{CreditMode, Receiver, Sender};
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{AmqpValue, ApplicationProperties, Message, Properties};
use fe2o3_amqp::types::primitives::{SimpleValue, Value};

use super::fault::Fault;
use super::link::octets;
use super::message::{answered_value, correlation, property};
use super::wire;

/// The largest answer that is taken: that of a hub of 1024 partitions has some 10 KB.
const LARGEST: u64 = 256 << 10;
/// Answers to requests of before that are passed over while one is waited for.
const STRAYS: u32 = 16;

/// The two links of a node.
#[derive(Debug)]
pub(super) struct Node {
    sender: Sender,
    receiver: Receiver,
    /// What answers are sent to.
    address: &'static str,
    next: u64,
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    /// `operation` and `type`.
    pub(super) operation: &'static str,
    pub(super) kind: &'static str,
    pub(super) properties: Vec<(&'static str, SimpleValue)>,
    pub(super) body: Value,
}

/// An answer that said that it went well: its octets.
#[derive(Debug)]
pub(super) struct Answer(Vec<u8>);

impl Answer {
    /// Its body, which is a map in every answer that has one: a value of it. `Err` says what is wrong with the body.
    ///
    /// # Errors
    /// See [`wire::Odd`].
    pub(super) fn map(&self) -> Result<wire::Elements<'_>, String> {
        match answered_value(&self.0) {
            Ok(wire::Value::Map(members)) => Ok(members),
            Ok(_) => Err("the answer is no map".to_owned()),
            Err(odd) => Err(format!("the answer is not read: {odd}")),
        }
    }
}

impl Node {
    /// Attaches to a node.
    ///
    /// # Errors
    /// See [`Fault`].
    pub(super) async fn attach(session: &mut SessionHandle<()>, node: &str, address: &'static str) -> Result<Self, Fault> {
        let sender = Sender::builder().name(format!("{address}-mgmt-sender")).target(node);
        let sender = sender.attach(session).await.map_err(|error| Fault::attach_sender(node, &error))?;
        let receiver = Receiver::builder()
            .name(format!("{address}-mgmt-receiver"))
            .source(node)
            .target(address)
            .credit_mode(CreditMode::Auto(10))
            .max_message_size(LARGEST);
        let receiver = receiver.attach(session).await.map_err(|error| Fault::attach(node, &error))?;
        Ok(Self { sender, receiver, address, next: 0 })
    }

    /// Sends a request and waits for its answer. `object` is what is asked about.
    ///
    /// # Errors
    /// See [`Fault`]; also an answer whose status is none of 200 and 202.
    pub(super) async fn call(&mut self, object: &str, request: Request) -> Result<Answer, Fault> {
        let Request { operation, kind, properties, body } = request;
        let id = self.next;
        self.next += 1;
        let known = [("operation", operation.into()), ("type", kind.into())];
        let properties = known.into_iter().chain(properties);
        let properties =
            properties.fold(ApplicationProperties::builder(), |all, (name, value): (&str, SimpleValue)| all.insert(name, value));
        let message = Message::builder()
            .properties(Properties::builder().message_id(id).reply_to(self.address).build())
            .application_properties(properties.build())
            .body(AmqpValue(body))
            .build();
        let outcome = self.sender.send(message).await.map_err(|error| Fault::send(object, &error))?;
        outcome.accepted_or_else(|outcome| Fault::outcome(object, &outcome))?;
        for _ in 0..STRAYS {
            let answer = octets(&mut self.receiver, object).await?;
            if correlation(&answer).is_none_or(|about| about == id) {
                return status(object, &answer).map(|()| Answer(answer));
            }
        }
        Err(Fault::odd(object, "it answers other requests than it was sent"))
    }
}

fn status(object: &str, answer: &[u8]) -> Result<(), Fault> {
    let named = |names: [&str; 2]| names.into_iter().find_map(|name| property(answer, name));
    let code = named(["status-code", "statusCode"]).and_then(|value| value.number());
    match code {
        Some(200 | 202) => Ok(()),
        Some(code) => {
            let description = named(["status-description", "statusDescription"]);
            Err(Fault::status(object, code, description.and_then(|text| text.text().map(str::to_owned)).as_deref()))
        }
        None => Err(Fault::odd(object, "the answer has no status")),
    }
}
