//! The acts of the exchange of database descriptions: begin, describe, repeat (RFC 2328 sections 10.3 and 10.8).

use std::collections::VecDeque;
use std::time::Duration;

use crate::ids::InterfaceId;
use crate::ospf::area::Area;
use crate::ospf::interface::{Interface, router_options};
use crate::ospf::lsa::LsaHeader;
use crate::ospf::lsdb::{Domain, Lsdb, LsdbKey};
use crate::ospf::neighbor::{Exchange, NeighborState};
use crate::ospf::outbox::Cx;
use crate::ospf::packet::{DatabaseDescription, Options, PacketBody};
use crate::time::Instant;
use crate::timer::TimerKey;
use crate::wire::size;

/// How far apart two runs of the retransmission timer are at least.
const RETRANSMIT_GAP: Duration = Duration::from_millis(50);

/// When an LSA is sent again that follows the answer to a request at once: a little over MinLSArrival. Neighbors that take
/// the answer for flooding (BIRD does; RFC 2328 section 13, step 5a, does not) refuse it before, without a word.
const AFTER_ANSWER: Duration = Duration::from_millis(1100);

/// Forgets what was exchanged: the neighbor has left the exchange or begins it again.
pub fn forget(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    cx.timers.disarm(TimerKey::Retransmit(id));
    cx.timers.disarm(TimerKey::Flood(id));
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    interface.flooding.clear();
    if let Some(neighbor) = interface.neighbor.as_mut() {
        neighbor.retransmissions.clear();
        neighbor.withheld.clear();
        neighbor.news.clear();
        neighbor.exchange = Exchange { sequence: neighbor.exchange.sequence, ..Exchange::new() };
    }
}

/// Begins the exchange: both claim to lead it, the higher Router ID will (RFC 2328 section 10.8).
pub fn start(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let options = router_options(cx.config.family, area.offers_transit());
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let (options, mtu) = (interface.options(options), interface.mtu());
    let Some((neighbor, interface_mtu)) = interface.neighbor.as_mut().zip(mtu) else {
        return;
    };
    let exchange = &mut neighbor.exchange;
    exchange.sequence = match exchange.sequence {
        // A sequence that no earlier life of this router is likely to have used.
        0 => u32::try_from(cx.random.bits() >> 33).unwrap_or(1).max(1),
        last => last.wrapping_add(1),
    };
    exchange.is_master = true;
    exchange.sent = Some(DatabaseDescription {
        options,
        interface_mtu,
        init: true,
        more: true,
        master: true,
        sequence: exchange.sequence,
        headers: Vec::new(),
    });
    send_description(interface, cx);
}

/// Fills the Database summary list. What is being flushed is not described but flooded (RFC 2328 section 10.3,
/// NegotiationDone).
pub fn summarize(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    for domain in [Domain::Link(id), Domain::Area, Domain::As] {
        for (key, entry) in area.lsdb.domain(domain) {
            if entry.is_flushed() {
                neighbor.retransmissions.insert(*key, cx.now);
                interface.flooding.insert(*key);
                area.due.sending.insert(id);
            } else {
                neighbor.exchange.summary.push_back(*key);
            }
        }
    }
}

/// Sends the next description; returns whether it is the last.
pub fn describe(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) -> bool {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return true;
    };
    let room = size::headers_in_description(interface.packet_body_max()).max(1);
    let mtu = interface.mtu();
    let Some((neighbor, interface_mtu)) = interface.neighbor.as_mut().zip(mtu) else {
        return true;
    };
    let exchange = &mut neighbor.exchange;
    let headers = take_summary(&mut exchange.summary, room, &area.lsdb, cx.now);
    let more = !exchange.summary.is_empty();
    // The Options stay those of the first description: a change in the middle would reset the exchange.
    let options = exchange.sent.as_ref().map_or(Options::default(), |sent| sent.options);
    exchange.sent = Some(DatabaseDescription {
        options,
        interface_mtu,
        init: false,
        more,
        master: exchange.is_master,
        sequence: exchange.sequence,
        headers,
    });
    send_description(interface, cx);
    !more
}

/// Takes up to `room` headers off the list, leaving out what has gone or is being flushed meanwhile.
fn take_summary(summary: &mut VecDeque<LsdbKey>, room: usize, lsdb: &Lsdb, now: Instant) -> Vec<LsaHeader> {
    let mut headers = Vec::with_capacity(room.min(summary.len()));
    while headers.len() < room
        && let Some(key) = summary.pop_front()
    {
        headers.extend(lsdb.get(&key).filter(|entry| !entry.is_flushed()).map(|entry| entry.header(now)));
    }
    headers
}

/// Sends the last description, for the first time or again.
pub fn send_description(interface: &mut Interface, cx: &mut Cx<'_>) {
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    let Some(description) = neighbor.exchange.sent.clone() else {
        return;
    };
    neighbor.exchange.sent_at = cx.now;
    interface.send(PacketBody::DatabaseDescription(description), cx);
    arm(interface, cx);
}

/// Arms the retransmission timer for the first thing that will be late, if anything is out.
pub fn arm(interface: &Interface, cx: &mut Cx<'_>) {
    let id = interface.config.id;
    let Some((link, neighbor)) = interface.link().zip(interface.neighbor.as_ref()) else {
        return;
    };
    let exchange = &neighbor.exchange;
    let description = awaits_description(neighbor.state, exchange).then_some(exchange.sent_at);
    let requests = (!exchange.requested.is_empty()).then_some(exchange.requested_at);
    let sent = description.into_iter().chain(requests).map(|sent| sent + link.rxmt_interval);
    let lsas = neighbor.retransmissions.values().min().copied();
    match sent.chain(lsas).min() {
        Some(first) => {
            cx.timers.arm(TimerKey::Retransmit(id), first.max(cx.now + RETRANSMIT_GAP));
        }
        None => cx.timers.disarm(TimerKey::Retransmit(id)),
    }
}

/// Returns when an LSA that is flooded at this moment is sent again if it is not acknowledged.
pub fn first_retransmission(exchange: &Exchange, interval: Duration, now: Instant) -> Instant {
    let is_refused_perhaps = exchange.answered_at.is_some_and(|answered| now.since(answered) < AFTER_ANSWER);
    now + if is_refused_perhaps { interval.min(AFTER_ANSWER) } else { interval }
}

/// Returns whether it is this router's turn to repeat its description: in ExStart both do, then the one that leads.
pub fn awaits_description(state: NeighborState, exchange: &Exchange) -> bool {
    match state {
        NeighborState::ExStart => true,
        NeighborState::Exchange => exchange.is_master,
        _ => false,
    }
}
