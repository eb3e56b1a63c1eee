//! Installing an instance: what changed by it is noted, what it supersedes forgotten, its deadline set (RFC 2328 section
//! 13.2).

use std::sync::Arc;
use std::time::Duration;

use crate::ospf::area::Area;
use crate::ospf::interface::Interface;
use crate::ospf::lsa::{Lsa, MAX_AGE};
use crate::ospf::lsdb::{Domain, Entry, Installation, LsdbKey, Source};
use crate::ospf::outbox::Cx;
use crate::time::Instant;
use crate::timer::TimerKey;

/// LSRefreshTime in seconds: own LSAs are originated again at this age (RFC 2328 appendix B).
pub const LS_REFRESH_TIME: u16 = 1800;
/// Refreshes come up to this much early, so that the LSAs of a network that started at once do not all come at once.
pub const REFRESH_JITTER: Duration = Duration::from_secs(300);
/// How often flushed LSAs are looked through for those that can be removed.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Installs an instance, notes whether the content changed, and takes the one before off every list (RFC 2328 section
/// 13.2).
pub fn install(area: &mut Area, key: LsdbKey, (lsa, age, source): (Arc<Lsa>, u16, Source), cx: &mut Cx<'_>) {
    let refresh = refresh(&key, age, cx);
    if let Some(pool) = cx.pool {
        pool.share(&lsa);
    }
    area.lsdb.install(key, Installation { lsa, age, source, refresh }, cx.now);
    if area.lsdb.get(&key).is_some_and(Entry::is_change) {
        area.note_change(&key.lsa, cx);
    }
    arm_aging(area, cx);
    match key.domain {
        Domain::Link(id) => {
            if let Some(interface) = area.interfaces.get_mut(&id) {
                drop_from_lists(interface, &key);
            }
        }
        Domain::Area | Domain::As => {
            area.interfaces.values_mut().for_each(|interface| drop_from_lists(interface, &key));
        }
    }
}

fn drop_from_lists(interface: &mut Interface, key: &LsdbKey) {
    interface.flooding.remove(key);
    if let Some(neighbor) = interface.neighbor.as_mut() {
        neighbor.retransmissions.remove(key);
        neighbor.withheld.remove(key);
    }
}

/// Returns when an own instance that is installed with this age must be refreshed, unless it is flushed.
fn refresh(key: &LsdbKey, age: u16, cx: &mut Cx<'_>) -> Option<Instant> {
    if age >= MAX_AGE || key.lsa.advertising_router != cx.config.router_id {
        return None;
    }
    let jitter = cx.random.below(REFRESH_JITTER);
    let left = seconds(LS_REFRESH_TIME.saturating_sub(age)).saturating_sub(jitter);
    Some(cx.now + left)
}

/// Arms the timers of the database.
pub fn arm_aging(area: &Area, cx: &mut Cx<'_>) {
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

fn seconds(seconds: u16) -> Duration {
    Duration::from_secs(u64::from(seconds))
}
