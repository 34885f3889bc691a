//! `attach`: who is let in, and where.

use std::collections::VecDeque;

use super::{Attach, Context, Fatal, HANDLE_MAX, MAX_MESSAGE, REQUEST_CREDIT, Session, session};
use crate::event_hubs::amqp::performative::{Detach, Performative, Role};
use crate::event_hubs::amqp::{Failure, Value, condition};
use crate::event_hubs::faults::{At, HubFault};
use crate::event_hubs::hubs::{Place, not_found};
use crate::event_hubs::link::{Kind, Link, Node, PartitionLink};
use crate::event_hubs::record::Receiver;
use crate::event_hubs::selector::Selector;

/// The capability by which a receiver asks to be told of the partition's end with each event.
const METRICS: &str = "com.microsoft:enable-receiver-runtime-metric";

/// What becomes of an attach.
enum Answer {
    Link(Kind),
    Refused(Failure),
    Silence,
}

impl Session {
    pub(super) fn attach(&mut self, attach: Attach, context: &mut Context<'_>) -> Result<(), Fatal> {
        let handle = attach.handle;
        if handle > HANDLE_MAX {
            let what = format!("the handle {handle} is above handle-max, which is {HANDLE_MAX}");
            return Err(Fatal::Connection(Failure::new(condition::FRAMING_ERROR, what)));
        }
        if self.links.contains_key(&handle) {
            return Err(session(condition::HANDLE_IN_USE, format!("the handle {handle} is in use")));
        }
        if attach.role == Role::Sender && attach.initial_delivery_count.is_none() {
            return Err(session(condition::INVALID_FIELD, "initial-delivery-count is missing in the attach of a sender"));
        }
        let same = |link: &&Link| link.name == attach.name && link.role == attach.role && !matches!(link.kind, Kind::Gone);
        let answer = if self.links.values().any(|link| same(&link)) {
            Answer::Refused(Failure::new(condition::NOT_ALLOWED, format!("a link of the name '{}' is attached", attach.name)))
        } else if attach.role == Role::Sender {
            accept_requests(&attach, context)
        } else {
            offer(&attach, context)
        };
        if context.over() {
            return Ok(());
        }
        let is_requests = matches!(answer, Answer::Link(Kind::Requests { .. }));
        let mut link = Link {
            name: attach.name.clone(),
            role: attach.role,
            delivery_count: attach.initial_delivery_count.unwrap_or(0),
            credit: if is_requests { REQUEST_CREDIT } else { 0 },
            drain: false,
            settled: attach.snd_settle_mode == Some(1),
            kind: Kind::Gone,
            sending: None,
        };
        match answer {
            Answer::Silence => link.kind = Kind::Silent,
            Answer::Refused(failure) => self.refuse(&attach, &failure, context),
            Answer::Link(kind) => {
                link.kind = kind;
                self.welcome(attach, context);
            }
        }
        self.links.insert(handle, link);
        if is_requests {
            self.write_flow(Some(handle), context);
        }
        Ok(())
    }

    /// The answer to an attach that is granted: the same, seen from the other end.
    fn welcome(&self, attach: Attach, context: &mut Context<'_>) {
        let role = if attach.role == Role::Sender { Role::Receiver } else { Role::Sender };
        let mut properties = match attach.properties {
            Value::Map(pairs) => pairs,
            _ => Vec::new(),
        };
        let id = crate::chance::mix(context.now.0 as u64);
        properties.push((Value::symbol("com.microsoft:tracking-id"), Value::string(format!("{id:016x}_G{}", id % 60))));
        let metrics = attach.desired.iter().any(|desired| desired == METRICS);
        let answer = Attach {
            role,
            initial_delivery_count: (role == Role::Sender).then_some(0),
            max_message_size: Some(MAX_MESSAGE as u64),
            offered: if metrics { vec![METRICS.to_string()] } else { Vec::new() },
            desired: Vec::new(),
            properties: Value::Map(properties),
            ..attach
        };
        self.write(&Performative::Attach(Box::new(answer)), context);
    }

    /// A refusal, as section 2.6.3 has it: an attach without termini, and a detach that says why.
    fn refuse(&self, attach: &Attach, failure: &Failure, context: &mut Context<'_>) {
        let role = if attach.role == Role::Sender { Role::Receiver } else { Role::Sender };
        let mut answer = Attach::new(attach.name.clone(), attach.handle, role);
        // Mandatory for a sender; the service leaves it out, and clients had to learn to live with that.
        answer.initial_delivery_count = None;
        self.write(&Performative::Attach(Box::new(answer)), context);
        let error = Some(context.service.tracked(failure, context.host, context.now));
        self.write(&Performative::Detach(Detach { handle: attach.handle, closed: true, error }), context);
    }
}

/// A client that sends.
fn accept_requests(attach: &Attach, context: &Context<'_>) -> Answer {
    let address = address(&attach.target);
    match Node::of(&address) {
        Some(Node::Cbs) if context.cbs.contains(&Role::Sender) => cbs_is_open(context),
        Some(node) => Answer::Link(Kind::Requests { node, incoming: None }),
        None => Answer::Refused(Failure::new(
            condition::UNAUTHORIZED,
            format!("Unauthorized access. 'Send' claim(s) are required to perform this operation. Resource: '{address}'."),
        )),
    }
}

/// A connection has one pair of links to `$cbs`, by which tokens are renewed as well.
fn cbs_is_open(context: &Context<'_>) -> Answer {
    let what = format!("A link to connection '{}' $cbs node has already been opened.", context.connection);
    Answer::Refused(Failure::new(condition::NOT_ALLOWED, what))
}

/// The address of a source or target.
fn address(terminus: &Value) -> String {
    let Value::Described(_, fields) = terminus else { return String::new() };
    let Value::List(fields) = &**fields else { return String::new() };
    fields.first().and_then(Value::text).unwrap_or_default().to_string()
}

/// A client that receives.
fn offer(attach: &Attach, context: &mut Context<'_>) -> Answer {
    let from = address(&attach.source);
    if let Some(node) = Node::of(&from) {
        if node == Node::Cbs && context.cbs.contains(&Role::Receiver) {
            return cbs_is_open(context);
        }
        return Answer::Link(Kind::Answers { node, address: address(&attach.target), waiting: VecDeque::new() });
    }
    let Some((hub, group, partition)) = Place::read(&from) else {
        return Answer::Refused(not_found(&from));
    };
    let mut record = Receiver {
        connection: context.connection,
        name: attach.name.clone(),
        hub,
        group,
        partition,
        settled: attach.snd_settle_mode == Some(1),
        metrics: attach.desired.iter().any(|desired| desired == METRICS),
        ..Receiver::default()
    };
    let fault = context.service.strike(At::Attach, record.partition.parse().ok());
    let answer = match fault {
        Some(HubFault::Refuse(failure)) => Answer::Refused(failure),
        Some(fault) if !context.happens(&fault) => Answer::Silence,
        _ => receiver(attach, &mut record, context).map_or_else(|refusal| refusal, |link| Answer::Link(Kind::Partition(link))),
    };
    match answer {
        Answer::Link(Kind::Partition(mut link)) => {
            record.attached = true;
            link.record_at = context.service.record(|all| {
                all.receivers.push(record.clone());
                all.receivers.len() - 1
            });
            link.record = record;
            Answer::Link(Kind::Partition(link))
        }
        other => {
            if let Answer::Refused(failure) = &other {
                record.ended = Some(failure.condition.clone());
            }
            context.service.record(|all| all.receivers.push(record));
            other
        }
    }
}

/// A receiver of a partition, in the order the service looks at things: rights, hub, group, partition, position, epoch.
fn receiver(attach: &Attach, record: &mut Receiver, context: &mut Context<'_>) -> Result<Box<PartitionLink>, Answer> {
    let refused = Answer::Refused;
    record.selector = Selector::of(&attach.source).map_err(refused)?;
    record.epoch = match attach.properties.get("com.microsoft:epoch") {
        None | Some(Value::Null) => None,
        Some(Value::Long(epoch)) if *epoch >= 0 => Some(*epoch),
        Some(other) => {
            let what = format!("com.microsoft:epoch is a long and not negative; it cannot be {other:?}");
            return Err(refused(Failure::new(condition::INVALID_FIELD, what)));
        }
    };
    let Receiver { hub, group, partition, .. } = &*record;
    let resource = format!("{hub}/consumergroups/{group}/partitions/{partition}").to_ascii_lowercase();
    let grants: Vec<_> = context.grants.iter().filter(|grant| grant.covers(&resource, context.now)).collect();
    if !grants.iter().any(|grant| grant.listen) {
        // A token without the role is good, and the service does not say what it lacks.
        if !grants.is_empty() && context.service.silent.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Answer::Silence);
        }
        return Err(refused(unauthorized(context.host, &resource)));
    }
    let selector = match &record.selector {
        Some(text) => Selector::read(text).map_err(refused)?,
        None => Selector::Offset { value: -1, inclusive: false },
    };
    let reader = context.service.reader();
    let name = receiver_name(attach);
    context.service.namespace(|namespace| {
        let found = namespace.hub(hub).ok_or_else(|| refused(not_found(&format!("sb://{}/{hub}", context.host))))?;
        if !found.has_group(group) {
            return Err(refused(not_found(&format!("{}:eventhub:{hub}|{group}", context.host))));
        }
        let number = found.number_of(partition).map_err(refused)?;
        let next = found.partitions[number].start(&selector).map_err(refused)?;
        let generation = found.generation;
        let place = Place { hub: hub.clone(), group: group.clone(), partition: number };
        namespace.admit(&place, reader, &name, record.epoch).map_err(refused)?;
        Ok(Box::new(PartitionLink {
            place,
            resource: resource.clone(),
            reader,
            generation,
            next,
            metrics: record.metrics,
            mute: false,
            record: Receiver::default(),
            record_at: 0,
            told: (0, 0),
        }))
    })
}

/// The name a receiver gives itself, which others are told when it takes their partition.
fn receiver_name(attach: &Attach) -> String {
    attach.properties.get("com.microsoft:receiver-name").and_then(Value::text).unwrap_or("nil").to_string()
}

/// What a link is told that lacks the right to listen, or whose token has ended.
pub(super) fn unauthorized(host: &str, resource: &str) -> Failure {
    let what = format!(
        "Unauthorized access. 'Listen' claim(s) are required to perform this operation. Resource: 'sb://{host}/{resource}'."
    );
    Failure::new(condition::UNAUTHORIZED, what)
}
