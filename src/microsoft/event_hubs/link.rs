//! A link that brings the events of one partition, from a place on, as far as it is given credit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fe2o3_amqp::link::{CreditMode, Receiver};
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{Fields, SenderSettleMode};
use fe2o3_amqp::types::messaging::{Body, Source};
use fe2o3_amqp::types::primitives::{Symbol, Value};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use tokio::time::timeout;

use super::fault::{Fault, What};
use super::message::{Piece, annotation, body};
use super::namespace::answered;
use super::wire;
use crate::time::{PER_MS, Ticks};

/// The name of the one filter that the service knows.
const SELECTOR: &str = "apache.org:selector-filter:string";
/// The largest message that is taken: those of dedicated clusters have 20 MB, with the properties its publisher set. While one is
/// put together it is in memory twice.
const LARGEST: u64 = 21 << 20;
/// How long a refusal may come after the link was made.
const AFTERTHOUGHT: Duration = Duration::from_millis(300);
/// A name that was used before, for a link that the service still holds, would be refused.
static NAMES: AtomicU64 = AtomicU64::new(0);

/// Where a link begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// After the event of this sequence number.
    After(i64),
    /// With the first event enqueued at or after this instant.
    Since(Ticks),
}

impl Filter {
    fn selector(self) -> String {
        match self {
            // Before the first event no number is; the documented beginning of a partition is an offset.
            Self::After(..0) => "amqp.annotation.x-opt-offset > '-1'".to_owned(),
            Self::After(sequence) => format!("amqp.annotation.x-opt-sequence-number > '{sequence}'"),
            Self::Since(at) => format!("amqp.annotation.x-opt-enqueued-time >= '{}'", at.ceil_ms().0 / PER_MS),
        }
    }
}

/// What is read: a partition of a hub, in a consumer group.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The hub.
    pub hub: &'a str,
    /// The consumer group.
    pub group: &'a str,
    /// The partition's id.
    pub partition: &'a str,
}

/// One event of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in the partition.
    pub sequence: i64,
    /// When the service took it.
    pub enqueued: Option<Ticks>,
    /// What it holds: one piece of data, as a rule.
    pub body: Vec<Piece>,
}

impl Message {
    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.body.iter().map(Piece::len).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An attached link.
#[derive(Debug)]
pub struct Link {
    receiver: Receiver,
    object: String,
}

impl Link {
    /// Attaches to a partition, on a session of [`Namespace::session`] of so many frames. `epoch` is the owner level: the
    /// service ends readers of a lower or the same level and those without, and refuses this one while a reader of a higher
    /// level is there.
    ///
    /// # Errors
    /// See [`Fault`].
    ///
    /// [`Namespace::session`]: super::Namespace::session
    pub async fn attach(
        session: &mut SessionHandle<()>,
        frames: u32,
        place: &Place<'_>,
        filter: Filter,
        epoch: Option<i64>,
    ) -> Result<Self, Fault> {
        let Place { hub, group, partition } = place;
        let object = format!("partition {partition} for the consumer group {group}");
        let selector =
            Described { descriptor: Descriptor::Name(Symbol::from(SELECTOR)), value: Value::String(filter.selector()) };
        let source = Source::builder()
            .address(format!("{hub}/ConsumerGroups/{group}/Partitions/{partition}"))
            .add_to_filter(SELECTOR, selector)
            .build();
        let mut properties = Fields::new();
        if let Some(epoch) = epoch {
            properties.insert(Symbol::from("com.microsoft:epoch"), Value::Long(epoch));
        }
        let mut builder = Receiver::builder()
            .name(format!("defender-{partition}-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed)))
            .source(source)
            // Nothing is settled one by one: what counts is the place in the checkpoint.
            .sender_settle_mode(SenderSettleMode::Settled)
            .credit_mode(CreditMode::Manual)
            .max_message_size(LARGEST)
            .properties(properties);
        builder.buffer_size = frames as usize;
        let receiver = answered(&object, builder.attach(session)).await?.map_err(|error| Fault::attach(&object, &error))?;
        Ok(Self { receiver, object })
    }

    /// Allows so many more events to come, counted from the last one received.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn grant(&mut self, credit: u32) -> Result<(), Fault> {
        let granted = answered(&self.object, self.receiver.set_credit(credit)).await?;
        granted.map_err(|error| Fault::new(What::Lost, &self.object, error.to_string()))
    }

    /// The next event. `Err(None)` is one that has no number: nobody can say where it stands. What is behind it comes all the
    /// same.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn next(&mut self) -> Result<Message, Option<Fault>> {
        let message = octets(&mut self.receiver, &self.object).await.map_err(Some)?;
        let sequence = annotation(&message, "x-opt-sequence-number").and_then(|value| value.number());
        let Some(sequence) = sequence.filter(|number| *number >= 0) else { return Err(None) };
        let enqueued = match annotation(&message, "x-opt-enqueued-time") {
            Some(wire::Value::Timestamp(ms)) => ms.checked_mul(PER_MS).map(Ticks),
            _ => None,
        };
        Ok(Message { sequence, enqueued, body: body(message) })
    }

    /// Waits for the refusal that may come after the link was made, and detaches. Without credit nothing else comes.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn knock(mut self) -> Result<(), Fault> {
        match timeout(AFTERTHOUGHT, self.next()).await {
            Ok(Err(Some(fault))) => Err(fault),
            _ => {
                // The next link takes over from this one anyway.
                let _ = timeout(AFTERTHOUGHT, self.receiver.close()).await;
                Ok(())
            }
        }
    }
}

/// The octets of the next message of a link: the guard made its frames data sections.
///
/// # Errors
/// See [`Fault`].
pub(super) async fn octets(receiver: &mut Receiver, object: &str) -> Result<Vec<u8>, Fault> {
    let delivery = receiver.recv::<Body<Value>>().await.map_err(|error| Fault::receive(object, &error))?;
    if matches!(receiver.credit_mode(), CreditMode::Auto(_)) {
        // Where the library gives credit, it does so for what is accepted.
        receiver.accept(&delivery).await.map_err(|error| Fault::lost(object, &error))?;
    }
    let Body::Data(sections) = delivery.into_body() else { return Err(Fault::odd(object, "a message without octets")) };
    let mut sections = sections.into_inner();
    if let [_] = sections[..] {
        return Ok(sections.pop().map_or_else(Vec::new, |only| only.0.into_vec()));
    }
    // Each section is given back as soon as it is copied.
    let mut octets = Vec::with_capacity(sections.iter().map(|section| section.0.len()).sum());
    sections.into_iter().for_each(|section| octets.extend_from_slice(&section.0));
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        assert_eq!(Filter::After(-1).selector(), "amqp.annotation.x-opt-offset > '-1'");
        assert_eq!(Filter::After(0).selector(), "amqp.annotation.x-opt-sequence-number > '0'");
        assert_eq!(Filter::After(17).selector(), "amqp.annotation.x-opt-sequence-number > '17'");
        assert_eq!(Filter::Since(Ticks(10_000_001)).selector(), "amqp.annotation.x-opt-enqueued-time >= '1001'");
    }
}
