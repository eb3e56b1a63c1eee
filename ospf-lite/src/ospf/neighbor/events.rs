//! What the events of a neighbor do: one step of its state machine, and what hangs on the step.

use crate::ids::InterfaceId;
use crate::io::{Event, Reachability};
use crate::ospf::area::Area;
use crate::ospf::grace;
use crate::ospf::neighbor::{Facts, HelpReason, Neighbor, NeighborInput, NeighborState, exchange};
use crate::ospf::outbox::Cx;
use crate::time::Instant;
use crate::timer::TimerKey;

/// Takes in what happened to the neighbor of an interface.
pub fn handle_input(area: &mut Area, id: InterfaceId, input: NeighborInput, cx: &mut Cx<'_>) {
    let is_quiet = area.originations.returns.is_quiet(id);
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    let facts = Facts {
        adjacency_wanted: interface.reachability != Reachability::Unreachable && !is_quiet,
        requests_empty: neighbor.exchange.requests.is_empty(),
    };
    let was_adjacent = neighbor.is_adjacent();
    if matches!(input, NeighborInput::KillNbr | NeighborInput::LlDown) {
        neighbor.help = None;
    }
    let from = neighbor.state;
    let to = from.next(input, facts);
    if from == to {
        if to == NeighborState::Down {
            note_adjacency(area, id, was_adjacent, cx);
            forget(area, id, cx);
        }
        return;
    }
    neighbor.state = to;
    neighbor.since = cx.now;
    let router_id = neighbor.router_id;
    let name = &interface.config.name;
    if [from, to].contains(&NeighborState::Full) {
        tracing::info!(interface = %name, neighbor = %router_id, %from, %to, event = ?input, "neighbor state");
    } else {
        tracing::debug!(interface = %name, neighbor = %router_id, %from, %to, event = ?input, "neighbor state");
    }
    cx.outbox.raise(Event::NeighborChanged { interface: id, neighbor: router_id, from, to });
    update_help(neighbor, (from, to), (interface.reachability, cx.now));
    if to.is_synchronizing() {
        area.synchronizing.insert(id);
    } else {
        area.synchronizing.remove(&id);
    }
    // What has begun may be the way that others wait for.
    let is_begun = from <= NeighborState::TwoWay && to > NeighborState::TwoWay;
    area.due.links |= is_begun && area.originations.returns.asks_for_ways();
    note_adjacency(area, id, was_adjacent, cx);
    handle_edge(area, id, (from, to), cx);
}

/// A neighbor that has lost the adjacency has a moment to take it up again; one that has it needs no help for its silence.
fn update_help(
    neighbor: &mut Neighbor,
    (from, to): (NeighborState, NeighborState),
    (reachability, now): (Reachability, Instant),
) {
    if from == NeighborState::Full {
        neighbor.left_full = Some(now);
        if neighbor.help.is_none() && to != NeighborState::Down {
            neighbor.help = Some(grace::resuming(now + grace::RESUME_HOLD));
        }
    }
    if to == NeighborState::Full {
        neighbor.left_full = None;
        neighbor.help = neighbor.help.filter(|help| match help.reason {
            HelpReason::Announced => true,
            HelpReason::Forwarding => reachability == Reachability::Forwarding,
            HelpReason::Resuming => false,
        });
    }
}

/// Does what hangs on the step from one state to another (RFC 2328 section 10.3).
fn handle_edge(
    area: &mut Area,
    id: InterfaceId,
    (from, to): (NeighborState, NeighborState),
    cx: &mut Cx<'_>,
) {
    if from >= NeighborState::ExStart && to <= NeighborState::ExStart {
        exchange::forget(area, id, cx);
    }
    match to {
        NeighborState::Down => forget(area, id, cx),
        NeighborState::ExStart => exchange::start(area, id, cx),
        NeighborState::Exchange => exchange::summarize(area, id, cx),
        NeighborState::Attempt
        | NeighborState::Init
        | NeighborState::TwoWay
        | NeighborState::Loading
        | NeighborState::Full => {}
    }
}

/// Forgets a neighbor that is Down, but for one that is helped: of that its link stays (RFC 3623 section 3).
fn forget(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    for key in [TimerKey::Inactivity(id), TimerKey::HelloAnswer(id), TimerKey::Acknowledge(id)] {
        cx.timers.disarm(key);
    }
    if let Some(interface) = area.interfaces.get_mut(&id) {
        interface.neighbor.take_if(|neighbor| neighbor.help.is_none());
        interface.sequences.handle_down();
        interface.delayed_acknowledgments.clear();
        interface.direct_acknowledgments.clear();
    }
}

/// Arms the timer of the help that a neighbor has, and has done what follows when its link counts no longer, or does.
fn note_adjacency(area: &mut Area, id: InterfaceId, was_adjacent: bool, cx: &mut Cx<'_>) {
    let neighbor = area.interfaces.get(&id).and_then(|interface| interface.neighbor.as_ref());
    match neighbor.and_then(|neighbor| neighbor.help) {
        Some(help) => cx.timers.arm(TimerKey::Help(id), help.until),
        None => cx.timers.disarm(TimerKey::Help(id)),
    }
    if neighbor.is_some_and(Neighbor::is_adjacent) != was_adjacent {
        if was_adjacent {
            cx.outbox.raise(Event::NeighborLost { interface: id });
        }
        area.due.origination = true;
        area.due.topology = true;
    }
}
