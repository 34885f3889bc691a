//! The nine performatives (section 2.7), with the fields a broker looks at.

use super::{Failure, Value, condition, encode, frame};

/// A performative.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum Performative {
    Open(Open),
    Begin(Begin),
    Attach(Box<Attach>),
    Flow(Flow),
    Transfer(Transfer),
    Disposition(Disposition),
    Detach(Detach),
    End(Option<Failure>),
    Close(Option<Failure>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Open {
    pub(crate) container_id: String,
    pub(crate) hostname: Option<String>,
    /// Octets; the default is no limit.
    pub(crate) max_frame_size: Option<u32>,
    pub(crate) channel_max: Option<u16>,
    /// Milliseconds.
    pub(crate) idle_time_out: Option<u32>,
    pub(crate) properties: Value,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Begin {
    pub(crate) remote_channel: Option<u16>,
    pub(crate) next_outgoing_id: u32,
    pub(crate) incoming_window: u32,
    pub(crate) outgoing_window: u32,
    pub(crate) handle_max: Option<u32>,
}

/// Which end of a link the sender of a performative is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sender,
    Receiver,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attach {
    pub(crate) name: String,
    pub(crate) handle: u32,
    pub(crate) role: Role,
    /// 0 unsettled, 1 settled, 2 mixed, the default.
    pub(crate) snd_settle_mode: Option<u8>,
    pub(crate) rcv_settle_mode: Option<u8>,
    pub(crate) source: Value,
    pub(crate) target: Value,
    pub(crate) initial_delivery_count: Option<u32>,
    pub(crate) max_message_size: Option<u64>,
    pub(crate) offered: Vec<String>,
    pub(crate) desired: Vec<String>,
    pub(crate) properties: Value,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Flow {
    pub(crate) next_incoming_id: Option<u32>,
    pub(crate) incoming_window: u32,
    pub(crate) next_outgoing_id: u32,
    pub(crate) outgoing_window: u32,
    pub(crate) handle: Option<u32>,
    pub(crate) delivery_count: Option<u32>,
    pub(crate) link_credit: Option<u32>,
    pub(crate) available: Option<u32>,
    pub(crate) drain: bool,
    pub(crate) echo: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Transfer {
    pub(crate) handle: u32,
    pub(crate) delivery_id: Option<u32>,
    pub(crate) delivery_tag: Option<Vec<u8>>,
    pub(crate) message_format: Option<u32>,
    pub(crate) settled: Option<bool>,
    pub(crate) more: bool,
    pub(crate) aborted: bool,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `received`, which is not final.
    Received,
    Accepted,
    Rejected,
    Released,
    Modified,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Disposition {
    pub(crate) role: Role,
    pub(crate) first: u32,
    pub(crate) last: Option<u32>,
    pub(crate) settled: bool,
    pub(crate) state: Option<Outcome>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Detach {
    pub(crate) handle: u32,
    pub(crate) closed: bool,
    pub(crate) error: Option<Failure>,
}

/// The fields of a composite, taken one by one. A field of another type is a `decode-error`, a missing one `invalid-field`.
pub(crate) struct Fields {
    of: &'static str,
    values: std::vec::IntoIter<Value>,
}

macro_rules! typed {
    ($($name:ident, $variant:ident, $type:ty;)*) => {$(
        pub(crate) fn $name(&mut self, field: &'static str) -> Result<Option<$type>, Failure> {
            match self.value() {
                Value::Null => Ok(None),
                Value::$variant(value) => Ok(Some(value)),
                other => Err(self.mistyped(field, &other)),
            }
        }
    )*};
}

impl Fields {
    pub(crate) fn new(of: &'static str, fields: Value, most: usize) -> Result<Self, Failure> {
        let Value::List(values) = fields else {
            return Err(Failure::new(condition::DECODE_ERROR, format!("{of} is not a list")));
        };
        if values.len() > most {
            let what = format!("{of} has {} fields; the specification knows {most}", values.len());
            return Err(Failure::new(condition::DECODE_ERROR, what));
        }
        Ok(Fields { of, values: values.into_iter() })
    }

    pub(crate) fn value(&mut self) -> Value {
        self.values.next().unwrap_or(Value::Null)
    }

    typed! {
        string, String, String;
        symbol, Symbol, String;
        binary, Binary, Vec<u8>;
        boolean, Boolean, bool;
        ubyte, Ubyte, u8;
        ushort, Ushort, u16;
        uint, Uint, u32;
        ulong, Ulong, u64;
    }

    fn mistyped(&self, field: &str, found: &Value) -> Failure {
        Failure::new(condition::DECODE_ERROR, format!("{} of {} cannot be {found:?}", field, self.of))
    }

    fn needed<T>(&self, field: &str, value: Option<T>) -> Result<T, Failure> {
        value.ok_or_else(|| Failure::new(condition::INVALID_FIELD, format!("{} is missing in {}", field, self.of)))
    }

    fn role(&mut self) -> Result<Role, Failure> {
        let receiver = self.boolean("role")?;
        Ok(if self.needed("role", receiver)? { Role::Receiver } else { Role::Sender })
    }

    fn map(&mut self, field: &'static str) -> Result<Value, Failure> {
        match self.value() {
            value @ (Value::Null | Value::Map(_)) => Ok(value),
            other => Err(self.mistyped(field, &other)),
        }
    }

    fn error(&mut self) -> Result<Option<Failure>, Failure> {
        let fields = match self.value() {
            Value::Null => return Ok(None),
            Value::Described(descriptor, fields) if *descriptor == Value::Ulong(0x1d) => *fields,
            other => return Err(self.mistyped("error", &other)),
        };
        let mut fields = Fields::new("error", fields, 3)?;
        let condition = fields.symbol("condition")?;
        let condition = fields.needed("condition", condition)?;
        Ok(Some(Failure { condition, description: fields.string("description")?.unwrap_or_default() }))
    }
}

impl Performative {
    /// Reads a performative.
    pub(crate) fn read(value: Value) -> Result<Self, Failure> {
        let Value::Described(descriptor, fields) = value else {
            return Err(Failure::new(condition::DECODE_ERROR, "a frame body is not a performative"));
        };
        // Each may be named by symbol as well (section 2.7).
        let code = match *descriptor {
            Value::Ulong(code) => code,
            Value::Symbol(ref name) => SYMBOLS.iter().position(|known| known == name).map_or(0, |at| at as u64 + 0x10),
            _ => 0,
        };
        Self::with(code, *fields)
    }

    fn with(code: u64, fields: Value) -> Result<Self, Failure> {
        Ok(match code {
            0x10 => {
                let mut f = Fields::new("open", fields, 10)?;
                let container_id = f.string("container-id")?;
                let open = Open {
                    container_id: f.needed("container-id", container_id)?,
                    hostname: f.string("hostname")?,
                    max_frame_size: f.uint("max-frame-size")?,
                    channel_max: f.ushort("channel-max")?,
                    idle_time_out: f.uint("idle-time-out")?,
                    ..Open::default()
                };
                for _ in 0..4 {
                    f.value(); // locales and capabilities
                }
                Performative::Open(Open { properties: f.map("properties")?, ..open })
            }
            0x11 => {
                let mut f = Fields::new("begin", fields, 8)?;
                let remote_channel = f.ushort("remote-channel")?;
                let [next, incoming, outgoing] =
                    [f.uint("next-outgoing-id")?, f.uint("incoming-window")?, f.uint("outgoing-window")?];
                Performative::Begin(Begin {
                    remote_channel,
                    next_outgoing_id: f.needed("next-outgoing-id", next)?,
                    incoming_window: f.needed("incoming-window", incoming)?,
                    outgoing_window: f.needed("outgoing-window", outgoing)?,
                    handle_max: f.uint("handle-max")?,
                })
            }
            0x12 => {
                let mut f = Fields::new("attach", fields, 14)?;
                let (name, handle) = (f.string("name")?, f.uint("handle")?);
                let mut attach = Attach::new(f.needed("name", name)?, f.needed("handle", handle)?, f.role()?);
                attach.snd_settle_mode = f.ubyte("snd-settle-mode")?;
                attach.rcv_settle_mode = f.ubyte("rcv-settle-mode")?;
                attach.source = f.value();
                attach.target = f.value();
                f.map("unsettled")?;
                f.boolean("incomplete-unsettled")?;
                attach.initial_delivery_count = f.uint("initial-delivery-count")?;
                attach.max_message_size = f.ulong("max-message-size")?;
                attach.offered = f.value().symbols();
                attach.desired = f.value().symbols();
                attach.properties = f.map("properties")?;
                for (field, mode, most) in
                    [("snd-settle-mode", attach.snd_settle_mode, 2), ("rcv-settle-mode", attach.rcv_settle_mode, 1)]
                {
                    if mode.is_some_and(|mode| mode > most) {
                        return Err(Failure::new(condition::INVALID_FIELD, format!("{field} of attach is above {most}")));
                    }
                }
                Performative::Attach(Box::new(attach))
            }
            0x13 => {
                let mut f = Fields::new("flow", fields, 11)?;
                let next_incoming_id = f.uint("next-incoming-id")?;
                let [incoming, next, outgoing] =
                    [f.uint("incoming-window")?, f.uint("next-outgoing-id")?, f.uint("outgoing-window")?];
                Performative::Flow(Flow {
                    next_incoming_id,
                    incoming_window: f.needed("incoming-window", incoming)?,
                    next_outgoing_id: f.needed("next-outgoing-id", next)?,
                    outgoing_window: f.needed("outgoing-window", outgoing)?,
                    handle: f.uint("handle")?,
                    delivery_count: f.uint("delivery-count")?,
                    link_credit: f.uint("link-credit")?,
                    available: f.uint("available")?,
                    drain: f.boolean("drain")?.unwrap_or(false),
                    echo: f.boolean("echo")?.unwrap_or(false),
                })
            }
            0x14 => {
                let mut f = Fields::new("transfer", fields, 11)?;
                let handle = f.uint("handle")?;
                let mut transfer = Transfer {
                    handle: f.needed("handle", handle)?,
                    delivery_id: f.uint("delivery-id")?,
                    delivery_tag: f.binary("delivery-tag")?,
                    message_format: f.uint("message-format")?,
                    settled: f.boolean("settled")?,
                    more: f.boolean("more")?.unwrap_or(false),
                    aborted: false,
                };
                f.ubyte("rcv-settle-mode")?;
                f.value(); // state
                f.boolean("resume")?;
                transfer.aborted = f.boolean("aborted")?.unwrap_or(false);
                if transfer.delivery_tag.as_ref().is_some_and(|tag| tag.len() > 32) {
                    return Err(Failure::new(condition::INVALID_FIELD, "a delivery-tag has more than 32 octets"));
                }
                Performative::Transfer(transfer)
            }
            0x15 => {
                let mut f = Fields::new("disposition", fields, 6)?;
                let role = f.role()?;
                let first = f.uint("first")?;
                Performative::Disposition(Disposition {
                    role,
                    first: f.needed("first", first)?,
                    last: f.uint("last")?,
                    settled: f.boolean("settled")?.unwrap_or(false),
                    state: outcome(&f.value())?,
                })
            }
            0x16 => {
                let mut f = Fields::new("detach", fields, 3)?;
                let handle = f.uint("handle")?;
                Performative::Detach(Detach {
                    handle: f.needed("handle", handle)?,
                    closed: f.boolean("closed")?.unwrap_or(false),
                    error: f.error()?,
                })
            }
            0x17 => Performative::End(Fields::new("end", fields, 1)?.error()?),
            0x18 => Performative::Close(Fields::new("close", fields, 1)?.error()?),
            _ => return Err(Failure::new(condition::DECODE_ERROR, "a frame body is no known performative")),
        })
    }

    /// The performative as a value, with every field: there are clients that index fields without looking at their number.
    fn value(&self) -> Value {
        use Value::{Boolean, Null, Uint};
        let uint = |number: Option<u32>| number.map_or(Null, Uint);
        let text = |text: &Option<String>| text.clone().map_or(Null, Value::String);
        let symbols = |all: &[String]| match all {
            [] => Null,
            all => Value::Array(all.iter().map(|one| Value::symbol(one)).collect()),
        };
        match self {
            Performative::Open(open) => Value::composite(
                0x10,
                vec![
                    Value::string(&*open.container_id),
                    text(&open.hostname),
                    uint(open.max_frame_size),
                    open.channel_max.map_or(Null, Value::Ushort),
                    uint(open.idle_time_out),
                    Null,
                    Null,
                    Null,
                    Null,
                    open.properties.clone(),
                ],
            ),
            Performative::Begin(begin) => Value::composite(
                0x11,
                vec![
                    begin.remote_channel.map_or(Null, Value::Ushort),
                    Uint(begin.next_outgoing_id),
                    Uint(begin.incoming_window),
                    Uint(begin.outgoing_window),
                    uint(begin.handle_max),
                    Null,
                    Null,
                    Null,
                ],
            ),
            Performative::Attach(attach) => Value::composite(
                0x12,
                vec![
                    Value::string(&*attach.name),
                    Uint(attach.handle),
                    Boolean(attach.role == Role::Receiver),
                    attach.snd_settle_mode.map_or(Null, Value::Ubyte),
                    attach.rcv_settle_mode.map_or(Null, Value::Ubyte),
                    attach.source.clone(),
                    attach.target.clone(),
                    Null,
                    Null,
                    uint(attach.initial_delivery_count),
                    attach.max_message_size.map_or(Null, Value::Ulong),
                    symbols(&attach.offered),
                    symbols(&attach.desired),
                    attach.properties.clone(),
                ],
            ),
            Performative::Flow(flow) => Value::composite(
                0x13,
                vec![
                    uint(flow.next_incoming_id),
                    Uint(flow.incoming_window),
                    Uint(flow.next_outgoing_id),
                    Uint(flow.outgoing_window),
                    uint(flow.handle),
                    uint(flow.delivery_count),
                    uint(flow.link_credit),
                    uint(flow.available),
                    Boolean(flow.drain),
                    Boolean(flow.echo),
                    Null,
                ],
            ),
            Performative::Transfer(transfer) => Value::composite(
                0x14,
                vec![
                    Uint(transfer.handle),
                    uint(transfer.delivery_id),
                    transfer.delivery_tag.clone().map_or(Null, Value::Binary),
                    uint(transfer.message_format),
                    transfer.settled.map_or(Null, Boolean),
                    Boolean(transfer.more),
                    Null,
                    Null,
                    Null,
                    Boolean(transfer.aborted),
                    Null,
                ],
            ),
            Performative::Disposition(disposition) => Value::composite(
                0x15,
                vec![
                    Boolean(disposition.role == Role::Receiver),
                    Uint(disposition.first),
                    uint(disposition.last),
                    Boolean(disposition.settled),
                    disposition.state.map_or(Null, |state| Value::composite(state as u64 + 0x23, Vec::new())),
                    Null,
                ],
            ),
            Performative::Detach(detach) => {
                Value::composite(0x16, vec![Uint(detach.handle), Boolean(detach.closed), error(detach.error.as_ref())])
            }
            Performative::End(failure) => Value::composite(0x17, vec![error(failure.as_ref())]),
            Performative::Close(failure) => Value::composite(0x18, vec![error(failure.as_ref())]),
        }
    }

    /// Appends a frame with this performative and a payload.
    pub(crate) fn write(&self, channel: u16, payload: &[u8], out: &mut Vec<u8>) {
        let start = frame::begin(frame::Type::Amqp, channel, out);
        encode(&self.value(), out);
        out.extend(payload);
        frame::end(start, out);
    }
}

/// Their names where a symbol is the descriptor, in the order of their numbers.
const SYMBOLS: [&str; 9] = [
    "amqp:open:list",
    "amqp:begin:list",
    "amqp:attach:list",
    "amqp:flow:list",
    "amqp:transfer:list",
    "amqp:disposition:list",
    "amqp:detach:list",
    "amqp:end:list",
    "amqp:close:list",
];

impl Attach {
    /// An attach that says no more than it must.
    pub(crate) fn new(name: String, handle: u32, role: Role) -> Self {
        Attach {
            name,
            handle,
            role,
            snd_settle_mode: None,
            rcv_settle_mode: None,
            source: Value::Null,
            target: Value::Null,
            initial_delivery_count: None,
            max_message_size: None,
            offered: Vec::new(),
            desired: Vec::new(),
            properties: Value::Null,
        }
    }
}

fn outcome(value: &Value) -> Result<Option<Outcome>, Failure> {
    let code = match value {
        Value::Null => return Ok(None),
        Value::Described(descriptor, _) => match **descriptor {
            Value::Ulong(code) => code,
            Value::Symbol(ref name) => match name.as_str() {
                "amqp:received:list" => 0x23,
                "amqp:accepted:list" => 0x24,
                "amqp:rejected:list" => 0x25,
                "amqp:released:list" => 0x26,
                "amqp:modified:list" => 0x27,
                _ => 0,
            },
            _ => 0,
        },
        _ => 0,
    };
    Ok(Some(match code {
        0x23 => Outcome::Received,
        0x24 => Outcome::Accepted,
        0x25 => Outcome::Rejected,
        0x26 => Outcome::Released,
        0x27 => Outcome::Modified,
        _ => return Err(Failure::new(condition::DECODE_ERROR, format!("{value:?} is no delivery state"))),
    }))
}

fn error(failure: Option<&Failure>) -> Value {
    failure.map_or(Value::Null, |failure| {
        let fields = vec![Value::symbol(&failure.condition), Value::string(&*failure.description), Value::Null];
        Value::composite(0x1d, fields)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_hubs::amqp::decode;

    #[test]
    fn what_is_written_is_read() {
        let mut attach = Attach::new("link".to_string(), 7, Role::Sender);
        (attach.snd_settle_mode, attach.initial_delivery_count) = (Some(1), Some(0));
        attach.desired = vec!["a".to_string(), "b".to_string()];
        let failure = Failure::new(condition::STOLEN, "a higher epoch");
        for performative in [
            Performative::Open(Open { container_id: "c".to_string(), idle_time_out: Some(60_000), ..Open::default() }),
            Performative::Begin(Begin { next_outgoing_id: 1, incoming_window: 5000, ..Begin::default() }),
            Performative::Attach(Box::new(attach)),
            Performative::Flow(Flow { handle: Some(0), link_credit: Some(300), drain: true, ..Flow::default() }),
            Performative::Transfer(Transfer { delivery_id: Some(0), delivery_tag: Some(vec![1; 32]), ..Transfer::default() }),
            Performative::Disposition(Disposition {
                role: Role::Receiver,
                first: 3,
                last: Some(9),
                settled: true,
                state: Some(Outcome::Released),
            }),
            Performative::Detach(Detach { handle: 1, closed: true, error: Some(failure.clone()) }),
            Performative::End(Some(failure)),
            Performative::Close(None),
        ] {
            let mut bytes = Vec::new();
            performative.write(3, b"", &mut bytes);
            let frame = frame::whole(&bytes, frame::Type::Amqp).unwrap().unwrap();
            assert_eq!((frame.channel, frame.end), (3, bytes.len()));
            assert_eq!(Performative::read(decode(&bytes[frame.body..]).unwrap()), Ok(performative));
        }
    }

    #[test]
    fn fields_that_are_missing_mistyped_or_unknown() {
        let list = |code, fields| Performative::read(Value::composite(code, fields)).unwrap_err();
        for (failure, condition, part) in [
            (list(0x10, vec![]), condition::INVALID_FIELD, "container-id is missing in open"),
            (list(0x10, vec![Value::symbol("c")]), condition::DECODE_ERROR, "container-id of open cannot be Symbol"),
            (list(0x11, vec![Value::Null; 9]), condition::DECODE_ERROR, "begin has 9 fields"),
            (list(0x13, vec![Value::Null, Value::Uint(1)]), condition::INVALID_FIELD, "next-outgoing-id is missing in flow"),
            (
                list(0x12, vec![Value::string("l"), Value::Uint(0), Value::Boolean(true), Value::Ubyte(3)]),
                condition::INVALID_FIELD,
                "snd-settle-mode of attach is above 2",
            ),
            (
                list(0x14, vec![Value::Uint(0), Value::Uint(0), Value::Binary(vec![0; 33])]),
                condition::INVALID_FIELD,
                "more than 32 octets",
            ),
            (list(0x19, vec![]), condition::DECODE_ERROR, "no known performative"),
        ] {
            assert!(failure.condition == condition && failure.description.contains(part), "{failure:?}");
        }
        let symbol = Value::Described(Value::symbol("amqp:end:list").into(), Value::List(vec![]).into());
        assert_eq!(Performative::read(symbol), Ok(Performative::End(None)));
    }
}
