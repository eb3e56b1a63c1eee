//! This router's own graceful restart: announced before anything else, nothing originated until the adjacencies of the time
//! before are back, or cannot come back (RFC 3623 sections 2 and 5).

use std::time::Duration;

use crate::ids::{InterfaceId, LinkStateId, RouterId};
use crate::io::Leaving;
use crate::ospf::area::Area;
use crate::ospf::flood;
use crate::ospf::interface::{Announcement, InterfaceState, hello};
use crate::ospf::lsa::{GraceLsa, LsType, Lsa, LsaHeader, LsaKey, RestartReason, RouterLink, SequenceNumber};
use crate::ospf::lsdb::{Domain, LsdbKey, Source};
use crate::ospf::neighbor::NeighborState;
use crate::ospf::outbox::Cx;
use crate::ospf::own::{Restart, Start};
use crate::ospf::wanted::Places;
use crate::timer::TimerKey;

/// How often a Grace-LSA is sent before the first Hello, unless it is acknowledged sooner (RFC 3623 section 5 leaves it open).
const ANNOUNCEMENTS: u8 = 5;
/// How far apart.
const ANNOUNCE_INTERVAL: Duration = Duration::from_millis(200);
/// How long after a restart that came to a good end the neighbors are told so. To this router an adjacency is Full before it
/// is to a neighbor whose last Database Description or request was lost; that has RxmtInterval to come again.
const LINGER: Duration = Duration::from_secs(6);
/// How long after the first interface the others have to come up.
const INTERFACES_WITHIN: Duration = Duration::from_secs(2);
/// How many Grace-LSAs of one link a start may originate without coming near the sequence numbers of the next.
const SEQUENCE_BITS: u32 = 3;

/// Why a graceful restart is over (RFC 3623 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Every adjacency of the time before is Full.
    Complete,
    /// A neighbor does not count on this router, or the link to it is gone.
    Inconsistent,
    /// The neighbors know nothing of a time before.
    Unknown,
    /// Who is missing has not been heard for RouterDeadInterval.
    Silent,
    /// The grace period is over.
    Expired,
}

/// Begins, with the engine, a restart in which nothing is to be lost.
pub fn start(area: &mut Area, cx: &mut Cx<'_>) {
    if cx.config.restarting {
        let until = cx.now + cx.config.grace.period;
        area.originations.restart = Some(Restart::Running { until });
        area.originations.is_installed = true;
        cx.timers.arm(TimerKey::Restart, until);
    }
}

/// Takes in that this router is about to stop. One that goes on forwarding asks the neighbors for grace (RFC 3623 section
/// 2.1), unless it has only just asked as it started.
pub fn handle_leaving(area: &mut Area, leaving: Leaving) {
    match leaving {
        Leaving::Restart(_) if area.originations.is_restarting() => {}
        Leaving::Restart(reason) => area.originations.restart = Some(Restart::Announced { reason }),
        Leaving::ForGood => {
            area.originations.restart = None;
            area.originations.leaves = true;
        }
    }
    area.due.origination = true;
}

/// Returns what the neighbors are told, if anything.
pub fn grace(area: &Area, cx: &Cx<'_>) -> Option<GraceLsa> {
    let reason = match area.originations.restart? {
        Restart::Announced { reason } => reason,
        Restart::Running { .. } | Restart::Lingering => RestartReason::Unknown,
    };
    let period = u32::try_from(cx.config.grace.period.as_secs()).unwrap_or(u32::MAX);
    Some(GraceLsa { period, reason })
}

/// Returns the sequence number of a Grace-LSA that this router has not originated since it was started: higher than those of
/// earlier starts, which neighbors may hold still.
pub fn first_sequence(epoch: u32) -> SequenceNumber {
    let starts = i64::from(epoch) << SEQUENCE_BITS;
    let sequence = i64::from(SequenceNumber::INITIAL.0).saturating_add(starts);
    // Past a hundred thousand boots it begins again; nobody holds those of the first by then.
    SequenceNumber(i32::try_from(sequence).unwrap_or(SequenceNumber::INITIAL.0))
}

/// Begins to speak over an interface that came up: with the Grace-LSA while this router restarts, for a neighbor that is told
/// too late takes the first Hello for the end of the adjacency (RFC 3623 section 5).
pub fn handle_up(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    if !area.originations.is_restarting() {
        hello::start(area, id, cx);
        return;
    }
    if let Some(interface) = area.interfaces.get_mut(&id) {
        interface.announcement = Some(Announcement { left: ANNOUNCEMENTS });
        // With the next input: the Grace-LSA is originated at the end of this one.
        cx.timers.arm(TimerKey::Announce(id), cx.now);
    }
}

/// Announces the restart once more, or begins with the Hellos.
pub fn handle_announce_timeout(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let key = key(id, cx.config.router_id);
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(announcement) = interface.announcement.as_mut() else {
        return;
    };
    if announcement.left == 0 {
        handle_announced(area, id, cx);
        return;
    }
    // The second of two is a duplicate, which is acknowledged at once (RFC 2328 section 13.5).
    let copies = if announcement.left == ANNOUNCEMENTS { 2 } else { 1 };
    announcement.left -= 1;
    for _ in 0..copies {
        flood::send_update(interface, vec![key], (&area.lsdb, 1), cx);
    }
    cx.timers.arm(TimerKey::Announce(id), cx.now + ANNOUNCE_INTERVAL);
}

/// Takes in an acknowledgment while the restart is being announced; returns whether it was of the Grace-LSA.
pub fn handle_acknowledgment(
    area: &mut Area,
    id: InterfaceId,
    headers: &[LsaHeader],
    cx: &mut Cx<'_>,
) -> bool {
    let key = key(id, cx.config.router_id);
    let Some(sent) = area.lsdb.get(&key).map(|entry| entry.header(cx.now)) else {
        return false;
    };
    let is_acknowledged =
        headers.iter().any(|header| header.key == key.lsa && header.compare_recency(&sent).is_eq());
    if is_acknowledged {
        handle_announced(area, id, cx);
    }
    is_acknowledged
}

fn handle_announced(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    cx.timers.disarm(TimerKey::Announce(id));
    if let Some(interface) = area.interfaces.get_mut(&id) {
        interface.announcement = None;
    }
    hello::start(area, id, cx);
}

/// Ends the restart if the present input has brought it to an end.
pub fn handle_progress(area: &mut Area, cx: &mut Cx<'_>) {
    let Some(Restart::Running { until }) = area.originations.restart else {
        return;
    };
    let exit = if cx.now >= until { Some(Exit::Expired) } else { find_exit(area, cx) };
    let Some(exit) = exit else {
        let looks = [
            area.settles_at(),
            area.patience_until(),
            area.started_at().unwrap_or(cx.now) + INTERFACES_WITHIN,
        ];
        if let Some(at) = looks.into_iter().filter(|at| *at > cx.now).min() {
            cx.timers.arm(TimerKey::Settle, at);
        }
        return;
    };
    tracing::info!(family = %cx.config.family, ?exit, "graceful restart ends");
    area.due.origination = true;
    if exit == Exit::Complete {
        area.originations.restart = Some(Restart::Lingering);
        cx.timers.arm(TimerKey::Restart, cx.now + LINGER);
        area.originations.start = Start::Resuming;
        area.originations.places = Places::of(own_lsas(area));
        area.settle(cx);
    } else {
        area.originations.restart = None;
        cx.timers.disarm(TimerKey::Restart);
    }
    let announcing: Vec<InterfaceId> = area
        .interfaces
        .iter()
        .filter(|(_, interface)| interface.announcement.is_some())
        .map(|(id, _)| *id)
        .collect();
    for id in announcing {
        handle_announced(area, id, cx);
    }
}

fn own_lsas(area: &Area) -> impl Iterator<Item = &Lsa> {
    let entries = area.lsdb.own().iter().filter_map(|key| area.lsdb.get(key));
    entries.filter(|entry| !entry.is_flushed()).map(|entry| &**entry.lsa())
}

/// Tells the neighbors, some time after the end, that the restart is over.
pub fn handle_timeout(area: &mut Area) {
    if area.originations.restart == Some(Restart::Lingering) {
        area.originations.restart = None;
        area.due.origination = true;
    }
}

/// Holds what is there against the Router-LSAs from before the restart, as the neighbors have kept them.
fn find_exit(area: &Area, cx: &Cx<'_>) -> Option<Exit> {
    let links = links(area, cx.config.router_id);
    let is_late = cx.now >= area.started_at()? + INTERFACES_WITHIN;
    let is_gone = |link: &RouterLink| {
        area.interfaces.get(&link.interface_id).is_none_or(|one| one.state != InterfaceState::PointToPoint)
    };
    if links.iter().any(|link| is_refuted(area, link, cx) || is_late && is_gone(link)) {
        return Some(Exit::Inconsistent);
    }
    let mut missing = links.iter().filter(|link| !is_full(area, link)).peekable();
    if links.is_empty() {
        (cx.now >= area.settles_at()).then_some(Exit::Unknown)
    } else if missing.peek().is_none() {
        (!area.is_synchronizing()).then_some(Exit::Complete)
    } else {
        let is_silent = |link: &RouterLink| area.neighbor_state(link.interface_id) == NeighborState::Down;
        (cx.now >= area.patience_until() && missing.all(is_silent)).then_some(Exit::Silent)
    }
}

fn is_full(area: &Area, link: &RouterLink) -> bool {
    let neighbor = area.interfaces.get(&link.interface_id).and_then(|interface| interface.neighbor.as_ref());
    neighbor.is_some_and(|neighbor| {
        neighbor.state == NeighborState::Full && neighbor.router_id == link.neighbor_router_id
    })
}

/// Returns the links that this router had, by its own Router-LSAs of then.
fn links(area: &Area, own: RouterId) -> Vec<RouterLink> {
    router_links(area, own, |source| source != Source::Originated)
}

fn router_links(area: &Area, router: RouterId, counts: impl Fn(Source) -> bool) -> Vec<RouterLink> {
    let lsas = area.lsdb.live_of(Domain::Area, LsType::ROUTER);
    lsas.filter(|(key, entry)| key.lsa.advertising_router == router && counts(entry.source()))
        .flat_map(|(_, entry)| entry.lsa().links())
        .collect()
}

/// Returns whether the router at the far end of a link says that there is none (RFC 3623 section 2.2, item 2). Its word counts
/// when all of it is in.
fn is_refuted(area: &Area, link: &RouterLink, cx: &Cx<'_>) -> bool {
    let far = link.neighbor_router_id;
    let is_of_far = |key: &LsaKey| key.ls_type == LsType::ROUTER && key.advertising_router == far;
    let is_coming =
        area.interfaces.values().filter_map(|interface| interface.neighbor.as_ref()).any(|neighbor| {
            neighbor.state == NeighborState::Exchange || neighbor.exchange.requests.keys().any(is_of_far)
        });
    let said = router_links(area, far, |_| true);
    let has_spoken = area.lsdb.live_of(Domain::Area, LsType::ROUTER).any(|(key, _)| is_of_far(&key.lsa));
    let leads_back = |back: &RouterLink| {
        back.neighbor_router_id == cx.config.router_id
            && back.interface_id == link.neighbor_interface_id
            && back.neighbor_interface_id == link.interface_id
    };
    !is_coming && has_spoken && !said.iter().any(leads_back)
}

/// Returns the key of this router's Grace-LSA for a link (RFC 5187 section 2.2).
const fn key(id: InterfaceId, router_id: RouterId) -> LsdbKey {
    let lsa =
        LsaKey { ls_type: LsType::GRACE, link_state_id: LinkStateId(id.0), advertising_router: router_id };
    LsdbKey { domain: Domain::Link(id), lsa }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_has_sequence_numbers_of_its_own_for_several_grace_lsas() {
        let firsts: Vec<SequenceNumber> = [0, 1, 2, 4_096, 8_191].map(first_sequence).to_vec();
        assert!(firsts.windows(2).all(|pair| i64::from(pair[1].0) - i64::from(pair[0].0) >= 8), "{firsts:?}");
        assert_eq!(firsts[0], SequenceNumber::INITIAL);
        assert_eq!(first_sequence(u32::MAX), SequenceNumber::INITIAL);
    }
}
