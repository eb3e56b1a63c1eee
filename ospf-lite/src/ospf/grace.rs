//! Helping neighbors whose routing restarts: their links count meanwhile as if they were Full (RFC 3623 section 3, RFC
//! 5187), as long as the topology stays what it was when they stopped.

use std::time::Duration;

use crate::ids::InterfaceId;
use crate::io::{Event, Reachability};
use crate::ospf::area::Area;
use crate::ospf::install::LS_REFRESH_TIME;
use crate::ospf::lsa::{LsaBody, LsaHeader};
use crate::ospf::lsdb::{Domain, LsdbKey};
use crate::ospf::neighbor::{Help, HelpReason, Neighbor, NeighborState};
use crate::ospf::outbox::Cx;
use crate::timer::TimerKey;

/// How long a neighbor that has lost the adjacency has to take it up again before its link is taken out of the Router-LSA.
/// Departure from RFC 2328 section 10.3, which takes it out at once: a router whose routing restarts goes on forwarding,
/// and is Full again within a fraction of this; taking the link out and in would cost everybody MinLSInterval.
pub const RESUME_HOLD: Duration = Duration::from_secs(1);

/// What decides whether a neighbor is helped (RFC 3623 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Conditions {
    /// It is Full, or helped already.
    is_adjacent: bool,
    /// It has all that was told of the topology before it fell silent.
    is_informed: bool,
    /// Some of the grace period is left.
    has_time: bool,
    /// Local policy.
    is_allowed: bool,
    /// This router restarts itself.
    restarts: bool,
}

/// Why a neighbor is not helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Objection {
    NotAdjacent,
    TopologyChanged,
    Expired,
    NotAllowed,
    Restarting,
}

impl Conditions {
    fn check(self) -> Result<(), Objection> {
        let objections = [
            (!self.is_adjacent, Objection::NotAdjacent),
            (!self.is_informed, Objection::TopologyChanged),
            (!self.has_time, Objection::Expired),
            (!self.is_allowed, Objection::NotAllowed),
            (self.restarts, Objection::Restarting),
        ];
        objections.into_iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, objection)| Err(objection))
    }
}

/// Takes in a Grace-LSA of the neighbor that has just been installed. One of no age left ends the help.
pub fn handle_grace_lsa(area: &mut Area, key: &LsdbKey, cx: &mut Cx<'_>) {
    let Domain::Link(id) = key.domain else {
        return;
    };
    let Some(entry) = area.lsdb.get(key) else {
        return;
    };
    let LsaBody::Grace(grace) = entry.lsa().body() else {
        return;
    };
    let neighbor = area.interfaces.get(&id).and_then(|interface| interface.neighbor.as_ref());
    let Some(neighbor) = neighbor.filter(|neighbor| neighbor.router_id == key.lsa.advertising_router) else {
        return;
    };
    if entry.is_flushed() {
        if neighbor.help.is_some_and(|help| help.reason == HelpReason::Announced) {
            end(area, id, "it is done", cx);
        }
        return;
    }
    let period = grace.period.min(u32::from(LS_REFRESH_TIME));
    let left = Duration::from_secs(u64::from(period)).saturating_sub(age(&entry.header(cx.now)));
    begin(area, id, (HelpReason::Announced, left), cx);
}

/// Takes in what else shows of a neighbor's far end: that it forwards though it is silent, or that it speaks again.
pub fn handle_reachability(area: &mut Area, id: InterfaceId, reachability: Reachability, cx: &mut Cx<'_>) {
    match reachability {
        Reachability::Forwarding => begin(area, id, (HelpReason::Forwarding, cx.config.grace.period), cx),
        Reachability::Reachable => handle_reachable(area, id, cx),
        // The neighbor goes Down, and with it the help.
        Reachability::Unreachable => {}
    }
}

/// A neighbor that speaks again and was not given up needs no help; another has RouterDeadInterval to be heard.
fn handle_reachable(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let dead_interval = interface.link().map(|link| link.dead_interval).unwrap_or_default();
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    let Some(help) = neighbor.help.as_mut().filter(|help| help.reason == HelpReason::Forwarding) else {
        return;
    };
    if neighbor.state == NeighborState::Full {
        neighbor.help = None;
        cx.timers.disarm(TimerKey::Help(id));
        return;
    }
    help.until = help.until.min(cx.now + dead_interval);
    cx.timers.arm(TimerKey::Help(id), help.until);
}

/// Helps the neighbor of an interface for a while, if nothing speaks against it. One that is helped gets that time from here
/// on (RFC 3623 section 3.1); what it has announced outdoes what shows otherwise.
fn begin(area: &mut Area, id: InterfaceId, (reason, left): (HelpReason, Duration), cx: &mut Cx<'_>) {
    let restarts = area.originations.is_restarting();
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    let announced = |help: Help| help.reason == HelpReason::Announced;
    let was_helped = neighbor.help.is_some_and(|help| help.reason != HelpReason::Resuming);
    if reason == HelpReason::Forwarding && neighbor.help.is_some_and(announced) {
        return;
    }
    let conditions = Conditions {
        is_adjacent: neighbor.is_adjacent(),
        is_informed: was_helped || neighbor.news.is_empty(),
        has_time: !left.is_zero(),
        is_allowed: cx.config.grace.helps,
        restarts,
    };
    let (name, router_id) = (&interface.config.name, neighbor.router_id);
    if let Err(objection) = conditions.check() {
        tracing::info!(interface = %name, neighbor = %router_id, ?reason, ?objection, "graceful restart not helped");
        return;
    }
    if !was_helped {
        tracing::info!(interface = %name, neighbor = %router_id, ?reason, seconds = left.as_secs(), "neighbor restarts gracefully");
    }
    neighbor.help = Some(Help { reason, until: cx.now + left });
    cx.timers.arm(TimerKey::Help(id), cx.now + left);
}

/// Ends every help but the short one for a neighbor that has just lost the adjacency: the topology is not what it was when
/// the neighbors stopped, and they may forward in circles (RFC 3623 section 3.2).
pub fn handle_topology_change(area: &mut Area, cx: &mut Cx<'_>) {
    let is_helped =
        |neighbor: &Neighbor| neighbor.help.is_some_and(|help| help.reason != HelpReason::Resuming);
    let helped =
        area.interfaces.iter().filter(|(_, interface)| interface.neighbor.as_ref().is_some_and(is_helped));
    let ids: Vec<InterfaceId> = helped.map(|(id, _)| *id).collect();
    for id in ids {
        end(area, id, "the topology changed", cx);
    }
}

/// Ends the help whose time is over.
pub fn handle_timeout(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    end(area, id, "it took too long", cx);
}

/// Ends a help: the link counts from here on by the neighbor's state (RFC 3623 section 3.2). One that is just taking the
/// adjacency up again has the time for it that any neighbor has.
fn end(area: &mut Area, id: InterfaceId, why: &str, cx: &mut Cx<'_>) {
    cx.timers.disarm(TimerKey::Help(id));
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    if neighbor.help.is_some_and(|help| help.reason != HelpReason::Resuming) {
        tracing::info!(interface = %interface.config.name, neighbor = %neighbor.router_id, why, state = %neighbor.state, "graceful restart ends");
    }
    neighbor.help = match neighbor.state {
        NeighborState::Down | NeighborState::Full => None,
        _ => neighbor.left_full.map(|left| left + RESUME_HOLD).filter(|until| *until > cx.now).map(resuming),
    };
    if let Some(help) = neighbor.help {
        cx.timers.arm(TimerKey::Help(id), help.until);
    } else if neighbor.state != NeighborState::Full {
        if neighbor.state == NeighborState::Down {
            interface.neighbor = None;
        }
        cx.outbox.raise(Event::NeighborLost { interface: id });
        area.due.origination = true;
        area.due.topology = true;
    }
}

/// Returns the help for a neighbor that has just lost the adjacency.
pub const fn resuming(until: crate::time::Instant) -> Help {
    Help { reason: HelpReason::Resuming, until }
}

fn age(header: &LsaHeader) -> Duration {
    Duration::from_secs(u64::from(header.age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_of_section_3_1_is_needed() {
        let met = Conditions {
            is_adjacent: true,
            is_informed: true,
            has_time: true,
            is_allowed: true,
            restarts: false,
        };
        assert_eq!(met.check(), Ok(()));
        let unmet = [
            (Conditions { is_adjacent: false, ..met }, Objection::NotAdjacent),
            (Conditions { is_informed: false, ..met }, Objection::TopologyChanged),
            (Conditions { has_time: false, ..met }, Objection::Expired),
            (Conditions { is_allowed: false, ..met }, Objection::NotAllowed),
            (Conditions { restarts: true, ..met }, Objection::Restarting),
        ];
        for (conditions, objection) in unmet {
            assert_eq!(conditions.check(), Err(objection));
        }
    }
}
