//! A connection without its socket: octets in, octets out. Protocol headers, SASL, `open` to `close`, heartbeats.

mod sasl;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::amqp::performative::{Open, Performative, Role};
use super::amqp::{Failure, Value, condition, frame, value_at};
use super::faults::At;
use super::record::Connection as Recorded;
use super::rights::Grant;
use super::service::Service;
use super::session::{Context, Fatal, Session};
use crate::time::Time;

/// `AMQP` with protocol id 0, version 1.0.0.
const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
/// The same with the id of SASL.
const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
/// The highest channel; what Event Hubs offers in its `open`.
const CHANNEL_MAX: u16 = 4999;
/// A client that sends nothing for so long is given up; likewise, in milliseconds.
const IDLE_TIME_OUT: u32 = 240_000;

/// What is to become of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Going,
    /// It is closed with this error next.
    Closing(Failure),
    /// What is left is written, then it ends in the orderly way.
    Closed,
    /// What is left is written, then it is gone.
    Dropped,
    /// It stays open and nothing comes on it any more.
    Stalled,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Sasl,
    SecondHeader,
    Opening,
    Open,
}

/// Now, twice: by the services' clock, and by one that nobody sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) wall: Time,
    pub(crate) since_start: Duration,
}

/// A connection.
pub(crate) struct Connection {
    service: Arc<Service>,
    number: usize,
    stage: Stage,
    pub(crate) fate: Fate,
    /// What is to wait before more is written.
    pub(crate) pause: Duration,
    held: Vec<u8>,
    /// What is to be written.
    pub(crate) out: Vec<u8>,
    grants: Vec<Grant>,
    sessions: BTreeMap<u16, Session>,
    /// Channels of sessions that the client has ended.
    ended: BTreeSet<u16>,
    cbs: Vec<Role>,
    host: String,
    max_frame: usize,
    /// How long the client waits for a frame before it gives up.
    patience: Option<Duration>,
    heard: Duration,
    spoke: Duration,
}

impl Connection {
    pub(crate) fn new(service: Arc<Service>, record: Recorded, now: Now) -> Self {
        let number = service.connected(record);
        let mut connection = Connection {
            number,
            stage: Stage::Header,
            fate: Fate::Going,
            pause: Duration::ZERO,
            held: Vec::new(),
            out: Vec::new(),
            grants: Vec::new(),
            sessions: BTreeMap::new(),
            ended: BTreeSet::new(),
            cbs: Vec::new(),
            host: "localhost".to_string(),
            max_frame: 512,
            patience: None,
            heard: now.since_start,
            spoke: now.since_start,
            service,
        };
        if let Some(fault) = connection.service.strike(At::Connect, None) {
            connection.in_session(now, |_, context| {
                context.happens(&fault);
            });
            if fault == super::faults::HubFault::Silence {
                connection.fate = Fate::Stalled;
            }
        }
        connection
    }

    /// It came over a WebSocket.
    pub(crate) fn is_web_socket(&self) {
        self.service.record(|record| record.connections[self.number].web_socket = true);
    }

    /// Takes what the client sent.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Now) {
        if self.fate == Fate::Stalled {
            return;
        }
        self.heard = now.since_start;
        self.held.extend_from_slice(bytes);
        let mut held = std::mem::take(&mut self.held);
        let mut taken = 0;
        while self.fate == Fate::Going {
            match self.step(&held[taken..], now) {
                Ok(0) => break,
                Ok(step) => taken += step,
                Err(failure) => self.fate = Fate::Closing(failure),
            }
        }
        held.drain(..taken);
        self.held = held;
        self.settle(now);
    }

    /// One header or frame; how many octets that was, 0 while it is not whole.
    fn step(&mut self, bytes: &[u8], now: Now) -> Result<usize, Failure> {
        match self.stage {
            Stage::Header | Stage::SecondHeader => Ok(self.header(bytes)),
            Stage::Sasl => {
                let Some(frame) = frame::whole(bytes, frame::Type::Sasl)? else { return Ok(0) };
                self.sasl_init(&bytes[frame.body..frame.end])?;
                Ok(frame.end)
            }
            Stage::Opening | Stage::Open => {
                let Some(frame) = frame::whole(bytes, frame::Type::Amqp)? else { return Ok(0) };
                let body = &bytes[frame.body..frame.end];
                if !body.is_empty() {
                    let (value, payload) =
                        value_at(body).map_err(|malformed| Failure::new(condition::DECODE_ERROR, malformed.0))?;
                    let performative = Performative::read(value)?;
                    if !payload.is_empty() && !matches!(performative, Performative::Transfer(_)) {
                        return Err(Failure::new(condition::FRAMING_ERROR, "a frame other than a transfer has a payload"));
                    }
                    self.take(frame.channel, performative, payload, now)?;
                }
                Ok(frame.end)
            }
        }
    }

    /// The header of a protocol. One that is not the one due is answered with the one that is, and the end.
    fn header(&mut self, bytes: &[u8]) -> usize {
        let Some(header) = bytes.first_chunk::<8>() else {
            // What cannot become a header is answered before eight octets have come.
            if !AMQP_HEADER[..4].starts_with(&bytes[..bytes.len().min(4)]) {
                self.out.extend(SASL_HEADER);
                self.fate = Fate::Closed;
            }
            return 0;
        };
        let (due, next) = match self.stage {
            Stage::Header => (SASL_HEADER, Stage::Sasl),
            _ => (AMQP_HEADER, Stage::Opening),
        };
        self.out.extend(due);
        if *header == due {
            self.stage = next;
            if next == Stage::Sasl {
                sasl::offer(&mut self.out);
            }
        } else {
            self.service.record(|record| record.violations.push(format!("the protocol header {header:?} where {due:?} is due")));
            self.fate = Fate::Closed;
        }
        header.len()
    }

    fn sasl_init(&mut self, body: &[u8]) -> Result<(), Failure> {
        let init = sasl::Init::read(body)?;
        let outcome = init.check(&self.service.policies());
        self.service.record(|record| record.connections[self.number].mechanism = Some(init.mechanism.clone()));
        match outcome {
            Ok(grant) => {
                self.grants.extend(grant);
                self.stage = Stage::SecondHeader;
                sasl::outcome(0, &mut self.out);
            }
            Err(()) => {
                sasl::outcome(1, &mut self.out);
                self.fate = Fate::Closed;
            }
        }
        Ok(())
    }

    fn take(&mut self, channel: u16, performative: Performative, payload: &[u8], now: Now) -> Result<(), Failure> {
        let not_allowed = |what: String| Err(Failure::new(condition::NOT_ALLOWED, what));
        match (self.stage, performative) {
            (Stage::Opening, Performative::Open(open)) => self.opened(&open),
            (Stage::Opening, _) => not_allowed("the first frame is not an open".to_string()),
            (_, Performative::Open(_)) => not_allowed("a second open".to_string()),
            (_, Performative::Close(_)) => {
                self.finish("", now);
                Performative::Close(None).write(0, b"", &mut self.out);
                self.fate = Fate::Closed;
                Ok(())
            }
            _ if channel > CHANNEL_MAX => {
                let what = format!("the channel {channel} is above channel-max, which is {CHANNEL_MAX}");
                Err(Failure::new(condition::FRAMING_ERROR, what))
            }
            (_, Performative::Begin(begin)) => {
                if self.sessions.contains_key(&channel) {
                    return not_allowed(format!("a session has begun on channel {channel} already"));
                }
                let begun = self.in_session(now, |_, context| Session::begin(channel, &begin, context));
                match begun {
                    Ok(session) => {
                        self.sessions.insert(channel, session);
                        Ok(())
                    }
                    Err(fatal) => self.end(channel, fatal, now),
                }
            }
            (_, Performative::End(_)) => {
                let Some(mut session) = self.sessions.remove(&channel) else {
                    return not_allowed(format!("no session has begun on channel {channel}"));
                };
                self.ended.insert(channel);
                if !session.ended {
                    self.in_session(now, |_, context| session.leave("", context));
                    Performative::End(None).write(channel, b"", &mut self.out);
                }
                Ok(())
            }
            (_, performative) => {
                match self.sessions.get(&channel) {
                    Some(session) if session.ended => return Ok(()),
                    Some(_) => {}
                    // Microsoft's client for Python detaches its management links behind the end of their session.
                    None if self.ended.contains(&channel) => return Ok(()),
                    None => return not_allowed(format!("no session has begun on channel {channel}")),
                }
                if matches!(performative, Performative::Attach(_)) {
                    self.cbs = self.sessions.values().flat_map(Session::cbs).collect();
                }
                let taken = self.in_session(now, |sessions, context| match sessions.get_mut(&channel) {
                    Some(session) => session.take(performative, payload, context),
                    None => Ok(()),
                });
                taken.or_else(|fatal| self.end(channel, fatal, now))
            }
        }
    }

    fn opened(&mut self, open: &Open) -> Result<(), Failure> {
        let most = open.max_frame_size.unwrap_or(u32::MAX) as usize;
        if most < 512 {
            let what = format!("max-frame-size is {most}; the least that is allowed is 512");
            return Err(Failure::new(condition::INVALID_FIELD, what));
        }
        self.max_frame = most.min(frame::MAX_FRAME);
        self.patience = open.idle_time_out.filter(|millis| *millis > 0).map(|millis| Duration::from_millis(millis.into()));
        if let Some(host) = open.hostname.as_ref().filter(|host| !host.is_empty()) {
            self.host.clone_from(host);
        }
        self.service.record(|record| {
            let connection = &mut record.connections[self.number];
            connection.container = Some(open.container_id.clone());
            connection.hostname.clone_from(&open.hostname);
        });
        let answer = Open {
            container_id: format!("{:016x}{:016x}_G{}", crate::chance::mix(self.number as u64), self.number, self.number % 60),
            hostname: None,
            max_frame_size: Some(frame::MAX_FRAME as u32),
            channel_max: Some(CHANNEL_MAX),
            idle_time_out: Some(IDLE_TIME_OUT),
            properties: Value::Null,
        };
        Performative::Open(answer).write(0, b"", &mut self.out);
        self.stage = Stage::Open;
        Ok(())
    }

    /// Ends what an error ends.
    fn end(&mut self, channel: u16, fatal: Fatal, now: Now) -> Result<(), Failure> {
        let (failure, handle) = match fatal {
            Fatal::Connection(failure) => return Err(failure),
            Fatal::Session(failure) => (failure, None),
            Fatal::Link(handle, failure) => (failure, Some(handle)),
        };
        self.violation(&failure);
        self.in_session(now, |sessions, context| {
            let Some(session) = sessions.get_mut(&channel) else { return };
            match handle {
                Some(handle) => session.throw_out(handle, &failure, context),
                None => {
                    session.leave(&failure.condition, context);
                    session.ended = true;
                    let told = context.service.tracked(&failure, context.host, context.now);
                    Performative::End(Some(told)).write(channel, b"", context.out);
                }
            }
        });
        Ok(())
    }

    fn violation(&self, failure: &Failure) {
        self.service.record(|record| record.violations.push(format!("{}: {}", failure.condition, failure.description)));
    }

    fn in_session<T>(&mut self, now: Now, act: impl FnOnce(&mut BTreeMap<u16, Session>, &mut Context<'_>) -> T) -> T {
        let mut context = Context {
            service: &self.service,
            connection: self.number,
            out: &mut self.out,
            grants: &mut self.grants,
            fate: &mut self.fate,
            pause: &mut self.pause,
            cbs: &self.cbs,
            host: &self.host,
            max_frame: self.max_frame,
            now: now.wall,
        };
        act(&mut self.sessions, &mut context)
    }

    /// Sends what there is to send, and looks at the clocks; true when there is more than fits into one go.
    pub(crate) fn send(&mut self, now: Now) -> bool {
        if self.fate == Fate::Stalled {
            return false;
        }
        if self.fate == Fate::Going && self.stage == Stage::Open {
            let more = self.in_session(now, |sessions, context| {
                sessions.values_mut().any(|session| !session.ended && !context.over() && session.send(context))
            });
            if more && self.fate == Fate::Going {
                self.spoke = now.since_start;
                return true;
            }
            self.look_at_clocks(now);
        }
        self.settle(now);
        if !self.out.is_empty() {
            self.spoke = now.since_start;
        }
        false
    }

    fn look_at_clocks(&mut self, now: Now) {
        if now.since_start.saturating_sub(self.heard) > Duration::from_millis(IDLE_TIME_OUT.into()) {
            let what = format!("The connection was inactive for more than the allowed {IDLE_TIME_OUT} milliseconds.");
            self.fate = Fate::Closing(Failure::new(condition::CONNECTION_FORCED, what));
        } else if self.out.is_empty()
            && self.patience.is_some_and(|patience| now.since_start.saturating_sub(self.spoke) >= patience / 2)
        {
            let start = frame::begin(frame::Type::Amqp, 0, &mut self.out);
            frame::end(start, &mut self.out);
        }
    }

    /// Closes the connection if something has decided that.
    fn settle(&mut self, now: Now) {
        let Fate::Closing(failure) = &self.fate else { return };
        let failure = failure.clone();
        if failure.condition != condition::CONNECTION_FORCED {
            self.violation(&failure);
        }
        self.finish(&failure.condition, now);
        if matches!(self.stage, Stage::Opening | Stage::Open) {
            if self.stage == Stage::Opening {
                // An open comes before a close, even so.
                let _ = self.opened(&Open::default());
            }
            let told = self.service.tracked(&failure, &self.host, now.wall);
            Performative::Close(Some(told)).write(0, b"", &mut self.out);
        }
        self.fate = Fate::Closed;
    }

    /// The links of all sessions leave.
    pub(crate) fn finish(&mut self, why: &str, now: Now) {
        self.in_session(now, |sessions, context| {
            sessions.values_mut().for_each(|session| session.leave(why, context));
            sessions.clear();
        });
    }

    /// The connection has ended: what it held is given back.
    pub(crate) fn gone(&mut self, now: Now) {
        self.finish("drop", now);
        self.service.record(|record| record.connections[self.number].ended = true);
    }
}

#[cfg(test)]
mod tests;
