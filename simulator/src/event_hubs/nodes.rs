//! `$cbs` and `$management`: requests and their answers.

use std::sync::atomic::Ordering;

use super::amqp::message::{self, Message};
use super::amqp::{Failure, Value, condition};
use super::faults::{At, HubFault};
use super::hubs::{Hub, not_found, path};
use super::link::Node;
use super::record::{ManagementRead, TokenPut};
use super::rights::{self, Grant};
use super::session::Context;

/// Answers a request; `None` when a fault has it go without.
pub(crate) fn answer(node: Node, request: &Message, context: &mut Context<'_>) -> Option<Vec<u8>> {
    let at = if node == Node::Cbs { At::Token } else { At::Management };
    let fault = match context.service.strike(at, None) {
        Some(HubFault::Refuse(failure)) => Some(failure),
        Some(HubFault::Answer(value)) => {
            let properties = vec![(Value::string("status-code"), Value::Int(200))];
            let mut answer = message::answer(request, properties, Value::Null);
            // Its value is the last octet, that of null.
            answer.pop();
            answer.extend(value);
            return Some(answer);
        }
        Some(other) => {
            if !context.happens(&other) {
                return None;
            }
            None
        }
        None => None,
    };
    match node {
        Node::Cbs => put_token(request, fault, context),
        Node::Management => read(request, fault, context),
    }
}

/// The number an error has as a status.
fn status(failure: &Failure) -> i32 {
    match failure.condition.as_str() {
        condition::UNAUTHORIZED => 401,
        condition::NOT_FOUND => 404,
        condition::NOT_IMPLEMENTED => 501,
        "com.microsoft:server-busy" => 503,
        "com.microsoft:timeout" => 504,
        "amqp:internal-error" => 500,
        _ => 400,
    }
}

fn put_token(request: &Message, fault: Option<Failure>, context: &mut Context<'_>) -> Option<Vec<u8>> {
    let text = |name: &str| request.property(name).unwrap_or_default().to_string();
    let (kind, audience) = (text("type"), text("name"));
    let outcome = match fault {
        Some(failure) => Err(failure),
        None => check_token(request, &kind, &audience, context),
    };
    let (status, description) = match outcome {
        Ok(grant) => {
            context.grants.retain(|old| !old.replaces(&grant));
            context.grants.push(grant);
            (context.service.accepted.load(Ordering::SeqCst), "Accepted".to_string())
        }
        Err(failure) => (status(&failure), context.service.tracked(&failure, "NoSystemTracker", context.now).description),
    };
    let put = TokenPut { connection: context.connection, kind, audience, status };
    context.service.record(|record| record.tokens.push(put));
    let properties = [("status-code", Value::Int(status)), ("status-description", Value::string(description))];
    let properties = properties.map(|(name, value)| (Value::string(name), value)).to_vec();
    Some(message::answer(request, properties, Value::Null))
}

fn check_token(request: &Message, kind: &str, audience: &str, context: &Context<'_>) -> Result<Grant, Failure> {
    let wrong = |property: &str| {
        Failure::new(
            condition::INVALID_FIELD,
            format!(
                "Property '{property}' in the 'application-properties' section is either missing, has the wrong type, or has an unexpected value."
            ),
        )
    };
    if request.property("operation") != Some("put-token") {
        return Err(wrong("operation"));
    }
    if audience.is_empty() {
        return Err(wrong("name"));
    }
    let Some(token) = request.value.text() else {
        return Err(Failure::new(condition::INVALID_FIELD, "The body of the message is not a string."));
    };
    match kind {
        rights::JWT => context.service.world(|world| rights::of_jwt(world, token, audience, context.now)),
        rights::SAS => rights::of_sas(&context.service.policies(), token, audience, context.now),
        _ => Err(wrong("type")),
    }
}

fn read(request: &Message, fault: Option<Failure>, context: &mut Context<'_>) -> Option<Vec<u8>> {
    let text = |name: &str| request.property(name).unwrap_or_default().to_string();
    let (kind, hub, partition) = (text("type"), text("name"), request.property("partition").map(str::to_string));
    let outcome = match fault {
        Some(failure) => Err(failure),
        None if request.property("operation") != Some("READ") => {
            Err(Failure::new(condition::NOT_IMPLEMENTED, format!("The operation '{}' is not known.", text("operation"))))
        }
        None => look_up(&kind, &hub, partition.as_deref(), context),
    };
    let (code, description, value, error) = match outcome {
        Ok(value) => (200, "OK".to_string(), value, None),
        Err(failure) => {
            let told = context.service.tracked(&failure, &hub, context.now);
            (status(&failure), told.description, Value::Null, Some(failure.condition))
        }
    };
    let asked = ManagementRead { connection: context.connection, kind, hub, partition, status: code };
    context.service.record(|record| record.reads.push(asked));
    let mut properties =
        vec![(Value::string("status-code"), Value::Int(code)), (Value::string("status-description"), Value::string(description))];
    if let Some(error) = error {
        properties.push((Value::string("error-condition"), Value::symbol(&error)));
    }
    Some(message::answer(request, properties, value))
}

fn look_up(kind: &str, name: &str, partition: Option<&str>, context: &Context<'_>) -> Result<Value, Failure> {
    let resource = path(name);
    if !context.grants.iter().any(|grant| grant.covers(resource, context.now)) {
        let what = format!(
            "Unauthorized access. 'Listen' claim(s) are required to perform this operation. Resource: 'sb://{}/{}'.",
            context.host,
            resource.to_ascii_lowercase()
        );
        return Err(Failure::new(condition::UNAUTHORIZED, what));
    }
    context.service.namespace(|namespace| {
        let hub = namespace.hub(resource).ok_or_else(|| not_found(&format!("sb://{}/{resource}", context.host)))?;
        match kind {
            "com.microsoft:eventhub" => Ok(of_hub(hub)),
            "com.microsoft:partition" => of_partition(hub, partition.unwrap_or_default()),
            _ => Err(Failure::new(condition::NOT_IMPLEMENTED, format!("The type '{kind}' is not known."))),
        }
    })
}

fn of_hub(hub: &Hub) -> Value {
    let ids = (0..hub.partitions.len()).map(|number| Value::string(number.to_string())).collect();
    map([
        ("type", Value::string("com.microsoft:eventhub")),
        ("name", Value::string(&*hub.name)),
        ("created_at", Value::Timestamp(hub.created.millis())),
        ("partition_count", Value::Int(hub.partitions.len() as i32)),
        ("partition_ids", Value::Array(ids)),
    ])
}

fn of_partition(hub: &Hub, id: &str) -> Result<Value, Failure> {
    let partition = &hub.partitions[hub.number_of(id)?];
    Ok(map([
        ("type", Value::string("com.microsoft:partition")),
        ("name", Value::string(&*hub.name)),
        ("partition", Value::string(id)),
        ("begin_sequence_number", Value::Long(partition.first())),
        ("last_enqueued_sequence_number", Value::Long(partition.last())),
        ("last_enqueued_offset", Value::string(partition.last_offset().to_string())),
        ("last_enqueued_time_utc", Value::Timestamp(partition.last_enqueued().millis())),
        ("is_partition_empty", Value::Boolean(partition.is_empty())),
    ]))
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Map(pairs.map(|(name, value)| (Value::string(name), value)).to_vec())
}
