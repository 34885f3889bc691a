//! What the service sends in a session: answers and events, as far as credit and window go.

use std::sync::Arc;

use super::attach::unauthorized;
use super::{Context, Session};
use crate::event_hubs::amqp::{Value, bare_u32, frame, message};
use crate::event_hubs::connection::Fate;
use crate::event_hubs::faults::{At, HubFault};
use crate::event_hubs::link::{Kind, Link, PartitionLink, Sending};

/// So many octets are made before they are written, and new frames are looked at.
const ENOUGH: usize = 256 * 1024;

impl Session {
    /// Sends what there is to send; true when there is more than fits into one go.
    pub(crate) fn send(&mut self, context: &mut Context<'_>) -> bool {
        let handles: Vec<u32> = self.links.keys().copied().collect();
        for handle in &handles {
            self.look_after(*handle, context);
        }
        // In turns, a frame of each: deliveries of several links come mixed.
        let mut busy = true;
        while busy && !context.over() {
            busy = false;
            for handle in &handles {
                if context.out.len() >= ENOUGH {
                    self.tell(&handles, context);
                    return true;
                }
                busy |= self.send_frame(*handle, context);
                if context.over() {
                    break;
                }
            }
        }
        for handle in &handles {
            if !context.over() {
                self.drained(*handle, context);
            }
        }
        self.tell(&handles, context);
        false
    }

    fn tell(&mut self, handles: &[u32], context: &Context<'_>) {
        for handle in handles {
            if let Some(link) = self.links.get_mut(handle) {
                let credit = link.credit;
                if let Some(partition) = link.partition()
                    && partition.told != (partition.record.frames, credit)
                {
                    partition.record.credit = credit;
                    partition.told = (partition.record.frames, credit);
                    partition.tell(context);
                }
            }
        }
    }

    /// Throws a receiver out whose partition was taken away or whose token has ended.
    fn look_after(&mut self, handle: u32, context: &mut Context<'_>) {
        let Some(partition) = self.links.get_mut(&handle).and_then(Link::partition) else { return };
        let evicted = context.service.namespace(|namespace| namespace.evicted(partition.reader));
        let allowed = context.grants.iter().any(|grant| grant.listen && grant.covers(&partition.resource, context.now));
        let failure = match evicted {
            Some(failure) => failure,
            None if !allowed => unauthorized(context.host, &partition.resource),
            None => return,
        };
        self.throw_out(handle, &failure, context);
    }

    /// Sends one frame of a link; false when it has none, or none may be sent.
    fn send_frame(&mut self, handle: u32, context: &mut Context<'_>) -> bool {
        if self.remote_incoming_window == 0 {
            return false;
        }
        let Some(link) = self.links.get_mut(&handle) else { return false };
        if link.sending.is_none() {
            if link.credit == 0 {
                return false;
            }
            let Some((bytes, sequence)) = next_message(link, context) else { return false };
            link.credit -= 1;
            link.delivery_count = link.delivery_count.wrapping_add(1);
            link.sending = Some(Sending { delivery_id: self.next_delivery_id, bytes, sent: 0, sequence });
            self.next_delivery_id = self.next_delivery_id.wrapping_add(1);
            if !link.settled {
                self.unsettled.insert(self.next_delivery_id.wrapping_sub(1), handle);
            }
        }
        let settled = link.settled;
        let Some(sending) = &mut link.sending else { return false };
        let start = context.out.len();
        write_transfer(self.channel, handle, settled, sending, context.max_frame, context.out);
        self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
        self.remote_incoming_window -= 1;
        let whole = sending.sent == sending.bytes.len();
        let sequence = sending.sequence;
        if whole {
            link.sending = None;
        }
        let Kind::Partition(partition) = &mut link.kind else { return true };
        partition.record.frames += 1;
        if whole {
            partition.record.events += 1;
            partition.record.last_sequence = sequence;
        }
        let Some(fault) = context.service.strike(At::Transfer, Some(partition.place.partition)) else { return true };
        match fault {
            HubFault::Cut => {
                let half = start + (context.out.len() - start) / 2;
                context.out.truncate(half);
                *context.fate = Fate::Dropped;
            }
            HubFault::Refuse(failure) => self.throw_out(handle, &failure, context),
            HubFault::Silence => partition.mute = true,
            other => {
                context.happens(&other);
            }
        }
        true
    }

    /// A receiver that drains is told when there is nothing more; its credit is gone with that.
    fn drained(&mut self, handle: u32, context: &mut Context<'_>) {
        let Some(link) = self.links.get_mut(&handle) else { return };
        if !link.drain || link.sending.is_some() || matches!(link.kind, Kind::Gone | Kind::Silent) {
            return;
        }
        if link.credit > 0 {
            if self.remote_incoming_window == 0 {
                return;
            }
            link.delivery_count = link.delivery_count.wrapping_add(link.credit);
            link.credit = 0;
        }
        self.write_flow(Some(handle), context);
        if let Some(link) = self.links.get_mut(&handle) {
            link.drain = false;
        }
    }
}

/// The next message of a link, and its sequence number if it is an event.
fn next_message(link: &mut Link, context: &Context<'_>) -> Option<(Arc<[u8]>, Option<i64>)> {
    match &mut link.kind {
        Kind::Answers { waiting, .. } => waiting.pop_front().map(|answer| (answer, None)),
        Kind::Partition(partition) if !partition.mute => next_event(partition, context),
        _ => None,
    }
}

fn next_event(link: &mut PartitionLink, context: &Context<'_>) -> Option<(Arc<[u8]>, Option<i64>)> {
    context.service.namespace(|namespace| {
        let hub = namespace.hub(&link.place.hub).filter(|hub| hub.generation == link.generation)?;
        let partition = hub.partitions.get(link.place.partition)?;
        let event = partition.from(link.next)?;
        link.next = event.sequence + 1;
        let bytes = if link.metrics {
            let mut with = Vec::with_capacity(event.encoded.len() + 160);
            message::section(0x71, Value::Map(partition.metrics(context.now)), &mut with);
            with.extend(&*event.encoded);
            with.into()
        } else {
            Arc::clone(&event.encoded)
        };
        Some((bytes, Some(event.sequence)))
    })
}

/// Appends a transfer with as much of a message as one frame takes. This is where the time goes, so it is written by hand;
/// all eleven fields are there, as everywhere.
fn write_transfer(channel: u16, handle: u32, settled: bool, sending: &mut Sending, max_frame: usize, out: &mut Vec<u8>) {
    let start = frame::begin(frame::Type::Amqp, channel, out);
    out.extend([0x00, 0x53, 0x14, 0xc0, 0, 11]);
    let fields = out.len();
    bare_u32(handle, out);
    if sending.sent == 0 {
        bare_u32(sending.delivery_id, out);
        out.extend([0xa0, 4]);
        out.extend(sending.delivery_id.to_be_bytes());
        out.push(0x43);
        out.push(if settled { 0x41 } else { 0x42 });
    } else {
        // The following frames need not repeat what the first said, and these do not.
        out.extend([0x40, 0x40, 0x40, 0x40]);
    }
    let more = out.len();
    out.extend([0x42, 0x40, 0x40, 0x40, 0x42, 0x40]);
    out[fields - 2] = (out.len() - fields + 1) as u8;
    let room = max_frame - (out.len() - start);
    let rest = &sending.bytes[sending.sent..];
    let part = &rest[..rest.len().min(room)];
    if part.len() < rest.len() {
        out[more] = 0x41;
    }
    out.extend(part);
    sending.sent += part.len();
    frame::end(start, out);
}
