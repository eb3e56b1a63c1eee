//! What the events of an interface do: configuration taken over, one step of its state machine, and what hangs on it.

use crate::config::{InterfaceConfig, InterfaceKind};
use crate::ids::InterfaceId;
use crate::io::{InterfaceEvent, Reachability};
use crate::ospf::area::Area;
use crate::ospf::grace;
use crate::ospf::interface::{Interface, InterfaceInput, InterfaceState};
use crate::ospf::neighbor::{NeighborInput, events as neighbor_events};
use crate::ospf::outbox::Cx;
use crate::ospf::restart;
use crate::timer::TimerKey;

/// Takes in what happened to an interface.
pub fn handle_event(area: &mut Area, event: InterfaceEvent, cx: &mut Cx<'_>) {
    match event {
        InterfaceEvent::Configured(config) => handle_configured(area, config, cx),
        InterfaceEvent::Removed(id) => {
            area.originations.returns.intend(id);
            handle_input(area, id, InterfaceInput::InterfaceDown, cx);
            area.interfaces.remove(&id);
        }
        InterfaceEvent::Up(id) => handle_input(area, id, InterfaceInput::InterfaceUp, cx),
        InterfaceEvent::Down(id) => handle_input(area, id, InterfaceInput::InterfaceDown, cx),
        InterfaceEvent::Reachability { interface, reachability } => {
            handle_reachability(area, interface, reachability, cx);
        }
    }
}

/// Takes over what is said of the far end (RFC 5882 section 4): while nothing gets through, the neighbor is Down and no
/// adjacency is begun. A far end that still forwards is helped.
fn handle_reachability(area: &mut Area, id: InterfaceId, reachability: Reachability, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id).filter(|one| one.state != InterfaceState::Down) else {
        return;
    };
    if interface.reachability == reachability {
        return;
    }
    tracing::info!(interface = %interface.config.name, ?reachability, "reachability");
    interface.reachability = reachability;
    grace::handle_reachability(area, id, reachability, cx);
    let input = match reachability {
        Reachability::Unreachable => NeighborInput::KillNbr,
        Reachability::Reachable | Reachability::Forwarding => NeighborInput::AdjOk,
    };
    neighbor_events::handle_input(area, id, input, cx);
}

/// Takes a configuration over: in place where the neighbor cannot tell, else by taking the interface down and up.
fn handle_configured(area: &mut Area, config: InterfaceConfig, cx: &mut Cx<'_>) {
    let id = config.id;
    area.due.origination = true;
    let Some(interface) = area.interfaces.get_mut(&id) else {
        area.interfaces.insert(id, Interface::new(config));
        return;
    };
    let was_up = interface.state != InterfaceState::Down;
    if !was_up || keeps_adjacency(&interface.config.kind, &config.kind) {
        interface.config = config;
        return;
    }
    area.originations.returns.intend(id);
    handle_input(area, id, InterfaceInput::InterfaceDown, cx);
    if let Some(interface) = area.interfaces.get_mut(&id) {
        interface.config = config;
    }
    handle_input(area, id, InterfaceInput::InterfaceUp, cx);
}

/// Returns whether a neighbor can go on as it is when `old` becomes `new`. It can with other keys: what it sends from here on
/// must prove one of them.
fn keeps_adjacency(old: &InterfaceKind, new: &InterfaceKind) -> bool {
    match (old, new) {
        (InterfaceKind::Stub, InterfaceKind::Stub) => true,
        (InterfaceKind::PointToPoint(old), InterfaceKind::PointToPoint(new)) => {
            old.hello_interval == new.hello_interval
                && old.dead_interval == new.dead_interval
                && old.mtu == new.mtu
                && old.link_local == new.link_local
        }
        _ => false,
    }
}

fn handle_input(area: &mut Area, id: InterfaceId, input: InterfaceInput, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let from = interface.state;
    let to = from.next(input, interface.link().is_none());
    if from == to {
        return;
    }
    tracing::debug!(interface = %interface.config.name, %from, %to, "interface state");
    area.due.links = true;
    // Nothing is said of a link that is left alone.
    area.due.origination |= !area.originations.returns.is_quiet(id);
    match to {
        InterfaceState::Down => stop(area, id, cx),
        InterfaceState::Stub => interface.state = to,
        InterfaceState::PointToPoint => {
            interface.state = to;
            if let Some(dead_interval) = interface.link().map(|link| link.dead_interval) {
                area.note_start(dead_interval, cx.now);
            }
            restart::handle_up(area, id, cx);
        }
    }
}

/// Forgets the neighbor, what was to be sent, and the LSAs of the link.
fn stop(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    neighbor_events::handle_input(area, id, NeighborInput::LlDown, cx);
    let keys = [
        TimerKey::Hello(id),
        TimerKey::HelloAnswer(id),
        TimerKey::Acknowledge(id),
        TimerKey::Flood(id),
        TimerKey::Announce(id),
    ];
    keys.into_iter().for_each(|key| cx.timers.disarm(key));
    area.lsdb.remove_link(id);
    if let Some(interface) = area.interfaces.get_mut(&id) {
        interface.state = InterfaceState::Down;
        interface.reachability = Reachability::Reachable;
        interface.flooding.clear();
        interface.flooded_at = None;
        interface.delayed_acknowledgments.clear();
        interface.direct_acknowledgments.clear();
        interface.hello_answered = None;
        interface.announcement = None;
    }
}
