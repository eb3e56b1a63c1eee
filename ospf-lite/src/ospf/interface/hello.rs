//! Hellos: sent in time and together, answered at once where that brings a neighbor back sooner, and judged.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::ids::{Family, InterfaceId, RouterId};
use crate::ospf::area::Area;
use crate::ospf::interface::{Interface, InterfaceState, router_options};
use crate::ospf::neighbor::{Neighbor, NeighborInput, NeighborState, events};
use crate::ospf::outbox::Cx;
use crate::ospf::packet::{Hello, Options, PacketBody};
use crate::ospf::refusal::Refusal;
use crate::time::Instant;
use crate::timer::TimerKey;

/// How far apart answers to Hellos are at least, per interface: two routers that do not hear each other must not make
/// each other talk without end.
pub const ANSWER_INTERVAL: Duration = Duration::from_secs(1);
/// The Router Priority sent; it has no meaning on point-to-point links.
const PRIORITY: u8 = 1;
/// Hellos come up to this part of HelloInterval early, so that the routers of a network do not fall into step.
const JITTER_PART: u32 = 10;

/// Sends the first Hello of an interface and arms the next.
pub fn start(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    send(area, id, cx);
    arm(area, id, cx);
}

/// Sends the periodic Hello.
pub fn handle_timeout(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    send(area, id, cx);
    arm(area, id, cx);
}

/// Sends a Hello that answers one.
pub fn handle_answer_timeout(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    if let Some(interface) = area.interfaces.get_mut(&id) {
        interface.hello_answered = Some(cx.now);
    }
    send(area, id, cx);
}

/// Judges a Hello that arrived `age` ago (RFC 2328 section 10.5, RFC 5340 section 4.2.2.1) and tells the neighbor's state machine.
pub fn handle(
    area: &mut Area,
    id: InterfaceId,
    (router_id, source, age): (RouterId, Ipv6Addr, Duration),
    hello: &Hello,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return Err(Refusal::InterfaceNotActive);
    };
    let Some(link) = interface.link() else {
        return Err(Refusal::InterfaceNotActive);
    };
    let dead_interval = link.dead_interval;
    if hello.hello_interval.as_secs() != link.hello_interval.as_secs() {
        return Err(Refusal::HelloInterval);
    }
    if hello.dead_interval.as_secs() != dead_interval.as_secs() {
        return Err(Refusal::DeadInterval);
    }
    if !hello.options.contains(Options::E) {
        return Err(Refusal::ExternalRouting);
    }
    if cx.config.family == Family::Ipv4 && !hello.options.contains(Options::AF) {
        return Err(Refusal::AddressFamily);
    }

    let known = interface.neighbor.as_ref().map(|neighbor| neighbor.router_id);
    if known.is_some_and(|known| known != router_id) {
        events::handle_input(area, id, NeighborInput::KillNbr, cx);
    }
    let is_first = known != Some(router_id) || area.neighbor_state(id) == NeighborState::Down;
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return Err(Refusal::InterfaceNotActive);
    };
    let neighbor = interface.neighbor.get_or_insert_with(|| Neighbor::new(router_id, source, cx.now));
    let has_moved = neighbor.address != source || neighbor.interface_id != hello.interface_id;
    neighbor.address = source;
    neighbor.interface_id = hello.interface_id;
    neighbor.options = hello.options;
    if has_moved {
        area.due.origination = true;
        area.due.prefixes = true;
    }

    cx.timers.arm(TimerKey::Inactivity(id), cx.now + dead_interval.saturating_sub(age));
    events::handle_input(area, id, NeighborInput::HelloReceived, cx);
    let is_two_way = hello.neighbors.contains(&cx.config.router_id);
    let input = if is_two_way { NeighborInput::TwoWayReceived } else { NeighborInput::OneWayReceived };
    // The answer goes first: a neighbor takes a Database Description only from a router that it has heard.
    if is_first || !is_two_way {
        answer(area, id, cx);
    }
    events::handle_input(area, id, input, cx);
    Ok(())
}

/// Sends a Hello at once, or as soon as [`ANSWER_INTERVAL`] allows. A neighbor that has just started is heard by us at
/// its first Hello; without an answer it would hear us only at our next one, up to HelloInterval later.
fn answer(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let is_quiet = area.originations.returns.is_quiet(id);
    let Some(interface) = area.interfaces.get(&id).filter(|_| !is_quiet) else {
        return;
    };
    match interface.hello_answered.map(|answered| answered + ANSWER_INTERVAL) {
        Some(allowed) if allowed > cx.now => cx.timers.arm_no_later(TimerKey::HelloAnswer(id), allowed),
        _ => handle_answer_timeout(area, id, cx),
    }
}

/// Sends the periodic Hellos that may go already: one wake-up for all links instead of one each. None comes earlier than the
/// jitter may bring it.
pub fn send_early(area: &mut Area, cx: &mut Cx<'_>) {
    if area.hellos_from.is_none_or(|from| cx.now < from) {
        return;
    }
    let waiting = |(id, interface): (&InterfaceId, &Interface)| {
        cx.timers.deadline(TimerKey::Hello(*id)).and(interface.hello_from).map(|from| (from, *id))
    };
    let waiting: Vec<(Instant, InterfaceId)> = area.interfaces.iter().filter_map(waiting).collect();
    area.hellos_from = waiting.iter().map(|(from, _)| *from).filter(|from| *from > cx.now).min();
    let now = cx.now;
    for (_, id) in waiting.into_iter().filter(|(from, _)| *from <= now) {
        handle_timeout(area, id, cx);
    }
}

/// Arms the next periodic Hello; none while the link is left alone, after which [`start`] begins anew.
fn arm(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let is_quiet = area.originations.returns.is_quiet(id);
    let Some(interface) = area.interfaces.get_mut(&id).filter(|_| !is_quiet) else {
        return;
    };
    let Some(interval) = interface.link().map(|link| link.hello_interval.max(Duration::from_secs(1))) else {
        return;
    };
    let early = interval / JITTER_PART;
    let from = cx.now + (interval - early);
    interface.hello_from = Some(from);
    area.hellos_from = Some(area.hellos_from.map_or(from, |first| first.min(from)));
    cx.timers.arm(TimerKey::Hello(id), cx.now + (interval - cx.random.below(early)));
}

fn send(area: &Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let is_quiet = area.originations.returns.is_quiet(id);
    let may_speak = |one: &&Interface| {
        one.state == InterfaceState::PointToPoint && one.announcement.is_none() && !is_quiet
    };
    let Some(interface) = area.interfaces.get(&id).filter(may_speak) else {
        return;
    };
    let Some(link) = interface.link() else {
        return;
    };
    // One that is kept though it has been silent for RouterDeadInterval is not heard.
    let heard = interface.neighbor.iter().filter(|neighbor| neighbor.state != NeighborState::Down);
    let hello = Hello {
        interface_id: id,
        priority: PRIORITY,
        options: interface.options(router_options(cx.config.family, area.offers_transit())),
        hello_interval: link.hello_interval,
        dead_interval: link.dead_interval,
        designated_router: RouterId(0),
        backup_designated_router: RouterId(0),
        neighbors: heard.map(|neighbor| neighbor.router_id).collect(),
    };
    interface.send(PacketBody::Hello(hello), cx);
}
