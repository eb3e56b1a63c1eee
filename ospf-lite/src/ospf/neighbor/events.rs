//! What the events of a neighbor do: one step of its state machine, and what hangs on the step.

use std::time::Duration;

use crate::ids::InterfaceId;
use crate::io::{Event, Reachability};
use crate::ospf::area::Area;
use crate::ospf::neighbor::{Facts, NeighborInput, NeighborState, exchange};
use crate::ospf::outbox::Cx;
use crate::timer::TimerKey;

/// How long a neighbor that has lost the adjacency has to take it up again before its link is taken out of the Router-LSA.
/// Departure from RFC 2328 section 10.3, which takes it out at once: a router whose routing restarts goes on forwarding,
/// and is Full again within a fraction of this; taking the link out and in would cost everybody MinLSInterval.
pub const RESUME_HOLD: Duration = Duration::from_secs(1);

/// Takes in what happened to the neighbor of an interface.
pub fn handle_input(area: &mut Area, id: InterfaceId, input: NeighborInput, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    let facts = Facts {
        adjacency_wanted: interface.reachability != Reachability::Unreachable,
        requests_empty: neighbor.exchange.requests.is_empty(),
    };
    let from = neighbor.state;
    let to = from.next(input, facts);
    if from == to {
        return;
    }
    neighbor.state = to;
    neighbor.since = cx.now;
    let router_id = neighbor.router_id;
    tracing::info!(interface = %interface.config.name, neighbor = %router_id, %from, %to, event = ?input, "neighbor state");
    cx.outbox.raise(Event::NeighborChanged { interface: id, neighbor: router_id, from, to });
    handle_edge(area, id, (from, to), cx);
}

/// Does what hangs on the step from one state to another (RFC 2328 section 10.3).
fn handle_edge(
    area: &mut Area,
    id: InterfaceId,
    (from, to): (NeighborState, NeighborState),
    cx: &mut Cx<'_>,
) {
    note_adjacency(area, id, (from, to), cx);
    if from >= NeighborState::ExStart && to <= NeighborState::ExStart {
        exchange::forget(area, id, cx);
    }
    match to {
        NeighborState::Down => {
            cx.timers.disarm(TimerKey::Inactivity(id));
            cx.timers.disarm(TimerKey::HelloAnswer(id));
            cx.timers.disarm(TimerKey::Acknowledge(id));
            if let Some(interface) = area.interfaces.get_mut(&id) {
                interface.neighbor = None;
                interface.sequences.handle_down();
                interface.delayed_acknowledgments.clear();
                interface.direct_acknowledgments.clear();
            }
        }
        NeighborState::ExStart => exchange::start(area, id, cx),
        NeighborState::Exchange => exchange::summarize(area, id, cx),
        NeighborState::Attempt
        | NeighborState::Init
        | NeighborState::TwoWay
        | NeighborState::Loading
        | NeighborState::Full => {}
    }
}

/// Keeps track of whether the neighbor's link counts, and has done what follows when that changes.
fn note_adjacency(
    area: &mut Area,
    id: InterfaceId,
    (from, to): (NeighborState, NeighborState),
    cx: &mut Cx<'_>,
) {
    let Some(neighbor) = area.interfaces.get_mut(&id).and_then(|interface| interface.neighbor.as_mut())
    else {
        return;
    };
    let was_adjacent = from == NeighborState::Full || neighbor.resumes;
    if to == NeighborState::Full || to == NeighborState::Down {
        neighbor.resumes = false;
        cx.timers.disarm(TimerKey::Resume(id));
    } else if from == NeighborState::Full {
        neighbor.resumes = true;
        cx.timers.arm(TimerKey::Resume(id), cx.now + RESUME_HOLD);
    }
    if was_adjacent != neighbor.is_adjacent() {
        area.due.origination = true;
        area.due.topology = true;
    }
}

/// Takes the link of a neighbor out of the Router-LSA that has not taken up the adjacency again.
pub fn handle_resume_timeout(area: &mut Area, id: InterfaceId) {
    if let Some(neighbor) = area.interfaces.get_mut(&id).and_then(|interface| interface.neighbor.as_mut()) {
        neighbor.resumes = false;
        area.due.origination = true;
        area.due.topology = true;
    }
}
