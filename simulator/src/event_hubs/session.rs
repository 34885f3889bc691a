//! A session: its windows, its links, and what the client may do in it.

mod attach;
mod send;

use std::collections::BTreeMap;
use std::time::Duration;

use super::amqp::message::Message;
use super::amqp::performative::{Attach, Begin, Detach, Disposition, Flow, Outcome, Performative, Role, Transfer};
use super::amqp::{Failure, condition, frame};
use super::connection::Fate;
use super::faults::HubFault;
use super::link::{Kind, Link, Node};
use super::nodes;
use super::rights::Grant;
use super::service::Service;
use crate::time::Time;

/// Transfer frames that either side may have under way; what Event Hubs offers in its `begin`.
const WINDOW: u32 = 5000;
/// The highest handle; likewise.
const HANDLE_MAX: u32 = 255;
/// Requests a client may have under way.
const REQUEST_CREDIT: u32 = 100;
/// The largest message there may be, in octets.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;

/// What a session needs of its connection.
pub(crate) struct Context<'a> {
    pub(crate) service: &'a Service,
    /// The connection's number.
    pub(crate) connection: usize,
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) grants: &'a mut Vec<Grant>,
    pub(crate) fate: &'a mut Fate,
    pub(crate) pause: &'a mut Duration,
    /// The ends of `$cbs` that the client has attached, on any session.
    pub(crate) cbs: &'a [Role],
    /// The namespace's host as the client names it.
    pub(crate) host: &'a str,
    /// The largest frame the client takes.
    pub(crate) max_frame: usize,
    pub(crate) now: Time,
}

impl Context<'_> {
    /// Lets a fault happen that is about the connection; false when nothing is to be answered.
    pub(crate) fn happens(&mut self, fault: &HubFault) -> bool {
        match fault {
            HubFault::Drop | HubFault::Cut => *self.fate = Fate::Dropped,
            HubFault::Stall => *self.fate = Fate::Stalled,
            HubFault::Close(failure) => *self.fate = Fate::Closing(failure.clone()),
            HubFault::Late(wait) => {
                *self.pause += *wait;
                return true;
            }
            HubFault::Frame(body) => {
                let start = frame::begin(frame::Type::Amqp, 0, self.out);
                self.out.extend(body);
                frame::end(start, self.out);
                return true;
            }
            HubFault::Silence | HubFault::Refuse(_) | HubFault::Answer(_) => {}
        }
        false
    }

    /// Whether something has happened to the connection that ends its work.
    pub(crate) fn over(&self) -> bool {
        *self.fate != Fate::Going
    }
}

/// What an error ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fatal {
    Connection(Failure),
    Session(Failure),
    Link(u32, Failure),
}

fn session(condition: &str, what: impl Into<String>) -> Fatal {
    Fatal::Session(Failure::new(condition, what))
}

/// A session.
pub(crate) struct Session {
    channel: u16,
    next_incoming_id: u32,
    incoming_window: u32,
    next_outgoing_id: u32,
    remote_incoming_window: u32,
    next_delivery_id: u32,
    /// Deliveries the client has not settled, and their links.
    unsettled: BTreeMap<u32, u32>,
    links: BTreeMap<u32, Link>,
    /// The service has ended it; whatever comes until the client does is ignored.
    pub(crate) ended: bool,
}

/// How far `a` is behind `b`, both being serial numbers (RFC 1982).
fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

impl Session {
    /// Begins a session on the client's channel, and says so.
    pub(crate) fn begin(channel: u16, begin: &Begin, context: &mut Context<'_>) -> Result<Self, Fatal> {
        if begin.remote_channel.is_some() {
            let failure = Failure::new(condition::NOT_ALLOWED, "a begin answers one that was not sent");
            return Err(Fatal::Connection(failure));
        }
        let session = Session {
            channel,
            next_incoming_id: begin.next_outgoing_id,
            incoming_window: WINDOW,
            next_outgoing_id: 1,
            remote_incoming_window: begin.incoming_window,
            next_delivery_id: 0,
            unsettled: BTreeMap::new(),
            links: BTreeMap::new(),
            ended: false,
        };
        let answer = Begin {
            remote_channel: Some(channel),
            next_outgoing_id: session.next_outgoing_id,
            incoming_window: WINDOW,
            outgoing_window: WINDOW,
            handle_max: Some(HANDLE_MAX),
        };
        session.write(&Performative::Begin(answer), context);
        Ok(session)
    }

    fn write(&self, performative: &Performative, context: &mut Context<'_>) {
        performative.write(self.channel, b"", context.out);
    }

    /// What the client says in this session.
    pub(crate) fn take(&mut self, performative: Performative, payload: &[u8], context: &mut Context<'_>) -> Result<(), Fatal> {
        match performative {
            Performative::Attach(attach) => self.attach(*attach, context),
            Performative::Flow(flow) => self.flow(&flow, context),
            Performative::Transfer(transfer) => self.transfer(&transfer, payload, context),
            Performative::Disposition(disposition) => self.disposition(&disposition, context),
            Performative::Detach(detach) => self.detach(&detach, context),
            _ => Ok(()),
        }
    }

    fn flow(&mut self, flow: &Flow, context: &mut Context<'_>) -> Result<(), Fatal> {
        // Until the client has seen our begin it does not know what we send first.
        let from = flow.next_incoming_id.unwrap_or(1);
        if ahead(from, self.next_outgoing_id) > 0 {
            let what = format!("next-incoming-id is {from}, and {} was not sent yet", self.next_outgoing_id);
            return Err(session(condition::INVALID_FIELD, what));
        }
        if ahead(flow.next_outgoing_id, self.next_incoming_id) != 0 {
            let what = format!("next-outgoing-id is {}; {} comes next", flow.next_outgoing_id, self.next_incoming_id);
            return Err(session(condition::INVALID_FIELD, what));
        }
        self.remote_incoming_window = from.wrapping_add(flow.incoming_window).wrapping_sub(self.next_outgoing_id);
        let Some(handle) = flow.handle else {
            if flow.delivery_count.is_some() || flow.link_credit.is_some() || flow.available.is_some() || flow.drain {
                return Err(session(condition::INVALID_FIELD, "a flow without a handle speaks of a link"));
            }
            if flow.echo {
                self.write_flow(None, context);
            }
            return Ok(());
        };
        let Some(link) = self.links.get_mut(&handle) else { return Err(unattached(handle)) };
        if matches!(link.kind, Kind::Gone | Kind::Silent) {
            return Ok(());
        }
        if link.role == Role::Receiver {
            let from = flow.delivery_count.unwrap_or(0);
            if ahead(from, link.delivery_count) > 0 {
                let what = format!("delivery-count is {from}, and only {} were sent", link.delivery_count);
                return Err(session(condition::INVALID_FIELD, what));
            }
            if let Some(credit) = flow.link_credit {
                // What is under way counts against the credit; it may have been taken back below that.
                let left = from.wrapping_add(credit).wrapping_sub(link.delivery_count);
                link.credit = if (left as i32) < 0 { 0 } else { left };
            }
            link.drain = flow.drain;
            let credit = link.credit;
            if let Some(partition) = link.partition() {
                partition.record.flows += 1;
                partition.record.credit = credit;
                partition.record.most_credit = partition.record.most_credit.max(credit);
                partition.tell(context);
            }
        }
        if flow.echo {
            self.write_flow(Some(handle), context);
        }
        Ok(())
    }

    /// A request, or a part of one.
    fn transfer(&mut self, transfer: &Transfer, payload: &[u8], context: &mut Context<'_>) -> Result<(), Fatal> {
        if self.incoming_window == 0 {
            return Err(session(condition::WINDOW_VIOLATION, "a transfer exceeds the incoming-window"));
        }
        self.incoming_window -= 1;
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        let handle = transfer.handle;
        let Some(link) = self.links.get_mut(&handle) else { return Err(unattached(handle)) };
        let (node, incoming) = match &mut link.kind {
            Kind::Requests { node, incoming } => (*node, incoming),
            Kind::Gone | Kind::Silent => return Ok(()),
            _ => return Err(session(condition::NOT_ALLOWED, format!("the link with handle {handle} does not take transfers"))),
        };
        let (delivery, mut bytes) = match incoming.take() {
            Some((delivery, bytes)) => {
                if transfer.delivery_id.is_some_and(|id| id != delivery) {
                    let what = format!("delivery {delivery} is not whole, and another begins");
                    return Err(Fatal::Link(handle, Failure::new(condition::NOT_ALLOWED, what)));
                }
                (delivery, bytes)
            }
            None => {
                let (Some(delivery), Some(_)) = (transfer.delivery_id, &transfer.delivery_tag) else {
                    return Err(session(condition::INVALID_FIELD, "the first transfer of a delivery has no id or tag"));
                };
                if link.credit == 0 {
                    let what = "a transfer was sent without link credit";
                    return Err(Fatal::Link(handle, Failure::new(condition::TRANSFER_LIMIT, what)));
                }
                link.credit -= 1;
                link.delivery_count = link.delivery_count.wrapping_add(1);
                (delivery, Vec::new())
            }
        };
        if transfer.aborted {
            return Ok(());
        }
        bytes.extend(payload);
        if bytes.len() > MAX_MESSAGE {
            let what = format!("a message has more than {MAX_MESSAGE} octets");
            return Err(Fatal::Link(handle, Failure::new(condition::MESSAGE_SIZE, what)));
        }
        if transfer.more {
            *incoming = Some((delivery, bytes));
            return Ok(());
        }
        let request = Message::read(&bytes).map_err(|failure| Fatal::Link(handle, failure))?;
        if transfer.settled != Some(true) {
            let accepted = Disposition {
                role: Role::Receiver,
                first: delivery,
                last: Some(delivery),
                settled: true,
                state: Some(Outcome::Accepted),
            };
            self.write(&Performative::Disposition(accepted), context);
        }
        let answer = nodes::answer(node, &request, context);
        let wanted = request.reply_to.as_deref();
        let reply = self.links.values_mut().find_map(|link| match &mut link.kind {
            // Some clients give no reply-to, or one that they did not attach: the node's own link will do.
            Kind::Answers { node: of, address, waiting } if *of == node && (wanted == Some(&*address) || wanted.is_none()) => {
                Some(waiting)
            }
            _ => None,
        });
        if let (Some(answer), Some(waiting)) = (answer, reply) {
            waiting.push_back(answer.into());
        }
        self.replenish(handle, context);
        Ok(())
    }

    /// Grants further requests, and further frames, when half are used up.
    fn replenish(&mut self, handle: u32, context: &mut Context<'_>) {
        let Some(link) = self.links.get_mut(&handle) else { return };
        if link.credit <= REQUEST_CREDIT / 2 || self.incoming_window <= WINDOW / 2 {
            link.credit = REQUEST_CREDIT;
            self.incoming_window = WINDOW;
            self.write_flow(Some(handle), context);
        }
    }

    /// Tells the state of the session, and of a link in it.
    fn write_flow(&self, handle: Option<u32>, context: &mut Context<'_>) {
        let link = handle.and_then(|handle| self.links.get(&handle));
        let flow = Flow {
            next_incoming_id: Some(self.next_incoming_id),
            incoming_window: self.incoming_window,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: WINDOW,
            handle,
            delivery_count: link.map(|link| link.delivery_count),
            link_credit: link.map(|link| link.credit),
            available: link.map(|_| 0),
            drain: link.is_some_and(|link| link.drain),
            echo: false,
        };
        self.write(&Performative::Flow(flow), context);
    }

    fn disposition(&mut self, disposition: &Disposition, context: &mut Context<'_>) -> Result<(), Fatal> {
        let (first, last) = (disposition.first, disposition.last.unwrap_or(disposition.first));
        if ahead(last, first) < 0 {
            return Err(session(condition::INVALID_FIELD, format!("a disposition goes from {first} back to {last}")));
        }
        if disposition.role == Role::Sender {
            return Ok(());
        }
        if ahead(last, self.next_delivery_id) >= 0 {
            let what = format!("a disposition is about delivery {last}, and {} comes next", self.next_delivery_id);
            return Err(session(condition::INVALID_FIELD, what));
        }
        let about: Vec<(u32, u32)> = self.unsettled.range(first..=last).map(|(id, handle)| (*id, *handle)).collect();
        let is_final = disposition.state.is_some_and(|state| state != Outcome::Received);
        for (id, handle) in &about {
            if is_final || disposition.settled {
                self.unsettled.remove(id);
                if let Some(partition) = self.links.get_mut(handle).and_then(Link::partition) {
                    match disposition.state {
                        Some(Outcome::Accepted) => partition.record.accepted += 1,
                        _ => partition.record.other_outcomes += 1,
                    }
                }
            }
        }
        let mut handles: Vec<u32> = about.iter().map(|(_, handle)| *handle).collect();
        handles.dedup();
        for handle in handles {
            if let Some(partition) = self.links.get_mut(&handle).and_then(Link::partition) {
                partition.tell(context);
            }
        }
        if is_final && !disposition.settled && !about.is_empty() {
            // The receiver settles second: it waits to hear that the sender has.
            let settled = Disposition { role: Role::Sender, first, last: Some(last), settled: true, state: disposition.state };
            self.write(&Performative::Disposition(settled), context);
        }
        Ok(())
    }

    fn detach(&mut self, detach: &Detach, context: &mut Context<'_>) -> Result<(), Fatal> {
        let Some(mut link) = self.links.remove(&detach.handle) else { return Err(unattached(detach.handle)) };
        self.unsettled.retain(|_, handle| *handle != detach.handle);
        match &mut link.kind {
            // That was its answer to ours, or there is nothing to answer.
            Kind::Gone => return Ok(()),
            Kind::Silent => {}
            _ => link.leave("", context),
        }
        let answer = Detach { handle: detach.handle, closed: detach.closed, error: None };
        self.write(&Performative::Detach(answer), context);
        Ok(())
    }

    /// The ends of `$cbs` that the client has attached here.
    pub(crate) fn cbs(&self) -> impl Iterator<Item = Role> {
        let is_cbs =
            |link: &&Link| matches!(link.kind, Kind::Requests { node: Node::Cbs, .. } | Kind::Answers { node: Node::Cbs, .. });
        self.links.values().filter(is_cbs).map(|link| link.role)
    }

    /// Detaches a link with an error.
    pub(crate) fn throw_out(&mut self, handle: u32, failure: &Failure, context: &mut Context<'_>) {
        let Some(link) = self.links.get_mut(&handle) else { return };
        link.leave(&failure.condition, context);
        link.kind = Kind::Gone;
        link.sending = None;
        let about = format!("{}:{}", context.host, link.name);
        let error = Some(context.service.tracked(failure, &about, context.now));
        self.unsettled.retain(|_, of| *of != handle);
        self.write(&Performative::Detach(Detach { handle, closed: true, error }), context);
    }

    /// The session is over: its links leave.
    pub(crate) fn leave(&mut self, why: &str, context: &mut Context<'_>) {
        self.links.values_mut().for_each(|link| link.leave(why, context));
        self.links.clear();
        self.unsettled.clear();
    }
}

fn unattached(handle: u32) -> Fatal {
    session(condition::UNATTACHED_HANDLE, format!("no link has the handle {handle}"))
}

impl Link {
    /// Gives up what the link holds outside its session.
    fn leave(&mut self, why: &str, context: &mut Context<'_>) {
        if let Some(partition) = self.partition() {
            let (place, reader) = (partition.place.clone(), partition.reader);
            context.service.namespace(|namespace| namespace.leave(&place, reader));
            partition.record.ended = Some(why.to_string());
            partition.tell(context);
        }
    }
}

impl super::link::PartitionLink {
    /// Puts what the link counted into the record.
    fn tell(&self, context: &Context<'_>) {
        context.service.record(|record| {
            if let Some(receiver) = record.receivers.get_mut(self.record_at) {
                receiver.clone_from(&self.record);
            }
        });
    }
}
