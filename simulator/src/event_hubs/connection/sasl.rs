//! SASL (part 5): the mechanisms Event Hubs offers.

use crate::event_hubs::amqp::performative::Fields;
use crate::event_hubs::amqp::{Failure, Value, condition, decode, encode, frame};
use crate::event_hubs::rights::{Grant, Policy};

/// In the order of the service. `MSSBCBS` and `ANONYMOUS` leave the rights to `$cbs`, as `EXTERNAL` does without a client
/// certificate; `PLAIN` takes the name and the key of a policy.
const MECHANISMS: [&str; 4] = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"];

/// What a client answers to the offer.
pub(super) struct Init {
    pub(super) mechanism: String,
    response: Vec<u8>,
}

fn write(code: u64, fields: Vec<Value>, out: &mut Vec<u8>) {
    let start = frame::begin(frame::Type::Sasl, 0, out);
    encode(&Value::composite(code, fields), out);
    frame::end(start, out);
}

/// Offers the mechanisms.
pub(super) fn offer(out: &mut Vec<u8>) {
    write(0x40, vec![Value::Array(MECHANISMS.iter().map(|name| Value::symbol(name)).collect())], out);
}

/// Says how it went: 0 is well, 1 is a refusal.
pub(super) fn outcome(code: u8, out: &mut Vec<u8>) {
    write(0x44, vec![Value::Ubyte(code), Value::Null], out);
}

impl Init {
    pub(super) fn read(body: &[u8]) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::new(condition::DECODE_ERROR, what);
        let Value::Described(descriptor, fields) = decode(body).map_err(|malformed| wrong(malformed.0))? else {
            return Err(wrong("a SASL frame has no descriptor"));
        };
        if *descriptor != Value::Ulong(0x41) && descriptor.text() != Some("amqp:sasl-init:list") {
            return Err(wrong("a SASL frame is not the sasl-init that is due"));
        }
        let mut fields = Fields::new("sasl-init", *fields, 3)?;
        let mechanism = fields.symbol("mechanism")?.ok_or_else(|| wrong("mechanism is missing in sasl-init"))?;
        let response = fields.binary("initial-response")?.unwrap_or_default();
        Ok(Init { mechanism, response })
    }

    /// What the client is granted for it, if that is anything yet.
    pub(super) fn check(&self, policies: &[Policy]) -> Result<Option<Grant>, ()> {
        match self.mechanism.as_str() {
            "MSSBCBS" | "ANONYMOUS" | "EXTERNAL" => Ok(None),
            "PLAIN" => {
                let response = String::from_utf8_lossy(&self.response).into_owned();
                let [_, name, key] = response.split('\0').collect::<Vec<_>>()[..] else { return Err(()) };
                let policy = policies.iter().find(|policy| policy.name == name && policy.key == key).ok_or(())?;
                Ok(Some(Grant::of_policy(policy)))
            }
            _ => Err(()),
        }
    }
}
