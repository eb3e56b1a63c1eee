//! Ageing: refresh of own LSAs, the end of those nobody refreshes, and the removal of what has been flushed (RFC 2328
//! section 14).

use std::time::Duration;

use crate::ospf::area::Area;
use crate::ospf::flood;
use crate::ospf::lsa::MAX_AGE;
use crate::ospf::lsdb::LsdbKey;
use crate::ospf::outbox::Cx;
use crate::time::Instant;
use crate::timer::TimerKey;

/// LSRefreshTime in seconds: own LSAs are originated again at this age (RFC 2328 appendix B).
pub const LS_REFRESH_TIME: u16 = 1800;
/// Refreshes come up to this much early, so that the LSAs of a network that started at once do not all come at once.
pub const REFRESH_JITTER: Duration = Duration::from_secs(300);
/// How often flushed LSAs are looked through for those that can be removed.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Returns when an instance that is installed with this age must be looked at again: an own one for its refresh,
/// another's for its end, a flushed one not at all.
pub fn deadline(key: &LsdbKey, age: u16, cx: &mut Cx<'_>) -> Option<Instant> {
    if age >= MAX_AGE {
        return None;
    }
    if key.lsa.advertising_router != cx.config.router_id {
        return Some(cx.now + seconds(MAX_AGE - age));
    }
    let jitter = cx.random.below(REFRESH_JITTER);
    let left = seconds(LS_REFRESH_TIME.saturating_sub(age)).saturating_sub(jitter);
    Some(cx.now + left)
}

/// Arms the timers of the database.
pub fn arm(area: &Area, cx: &mut Cx<'_>) {
    match area.lsdb.next_deadline() {
        Some(first) if cx.timers.deadline(TimerKey::Aging) != Some(first) => {
            cx.timers.arm(TimerKey::Aging, first);
        }
        Some(_) => {}
        None => cx.timers.disarm(TimerKey::Aging),
    }
    if !area.lsdb.flushed().is_empty() && cx.timers.deadline(TimerKey::Sweep).is_none() {
        cx.timers.arm(TimerKey::Sweep, cx.now + SWEEP_INTERVAL);
    }
}

/// Refreshes the own LSAs whose time has come, and flushes the others.
pub fn handle_timeout(area: &mut Area, cx: &mut Cx<'_>) {
    while let Some(key) = area.lsdb.pop_due(cx.now) {
        let has_ended = area.lsdb.get(&key).is_some_and(|entry| entry.age(cx.now) >= MAX_AGE);
        if key.lsa.advertising_router == cx.config.router_id && !has_ended {
            area.originations.refresh(key);
            area.due.origination = true;
        } else {
            flush(area, &key, cx);
        }
    }
    arm(area, cx);
}

/// Ages an LSA to MaxAge and floods it, so that it goes from every database (RFC 2328 section 14.1).
pub fn flush(area: &mut Area, key: &LsdbKey, cx: &mut Cx<'_>) {
    if area.lsdb.flush(key, cx.now) {
        area.note_change(key.lsa.ls_type, cx);
        flood::flood(area, key, None, cx);
        arm(area, cx);
    }
}

/// Removes the flushed LSAs that every neighbor has acknowledged, once no database is being compared (RFC 2328 section
/// 14).
pub fn handle_sweep_timeout(area: &mut Area, cx: &mut Cx<'_>) {
    if !area.is_synchronizing() {
        let flushed: Vec<LsdbKey> = area.lsdb.flushed().iter().copied().collect();
        for key in flushed.iter().filter(|key| !is_awaited(area, key)).copied().collect::<Vec<_>>() {
            area.lsdb.remove(&key);
            if key.lsa.advertising_router == cx.config.router_id {
                // One whose sequence numbers were used up may start again.
                area.due.origination = true;
            }
        }
    }
    arm(area, cx);
}

/// Returns whether a neighbor still has to acknowledge the LSA.
fn is_awaited(area: &Area, key: &LsdbKey) -> bool {
    area.interfaces
        .values()
        .filter_map(|interface| interface.neighbor.as_ref())
        .any(|neighbor| neighbor.retransmissions.contains_key(key))
}

fn seconds(seconds: u16) -> Duration {
    Duration::from_secs(u64::from(seconds))
}
