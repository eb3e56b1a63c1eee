//! Ageing: refresh of own LSAs, the end of those nobody refreshes, and the removal of what has been flushed (RFC 2328
//! section 14).

use crate::ospf::area::Area;
use crate::ospf::flood;
use crate::ospf::install;
use crate::ospf::lsa::MAX_AGE;
use crate::ospf::lsdb::LsdbKey;
use crate::ospf::outbox::Cx;

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
    install::arm_aging(area, cx);
}

/// Ages an LSA to MaxAge and floods it, so that it goes from every database (RFC 2328 section 14.1).
pub fn flush(area: &mut Area, key: &LsdbKey, cx: &mut Cx<'_>) {
    if area.lsdb.flush(key, cx.now) {
        area.note_change(&key.lsa, cx);
        flood::flood(area, key, None, cx);
        install::arm_aging(area, cx);
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
    install::arm_aging(area, cx);
}

/// Returns whether a neighbor still has to acknowledge the LSA.
fn is_awaited(area: &Area, key: &LsdbKey) -> bool {
    area.interfaces
        .values()
        .filter_map(|interface| interface.neighbor.as_ref())
        .any(|neighbor| neighbor.retransmissions.contains_key(key))
}
