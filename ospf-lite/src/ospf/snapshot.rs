//! A router put into the midst of a network that has settled: for worlds too large to be started cold.

use std::sync::Arc;

use crate::ids::{InterfaceId, RouterId};
use crate::ospf::area::Area;
use crate::ospf::install;
use crate::ospf::lsa::{Lsa, LsaKey};
use crate::ospf::lsdb::{Domain, Installation, Lsdb, LsdbKey, Source};
use crate::ospf::neighbor::{Neighbor, NeighborState};
use crate::ospf::originate;
use crate::ospf::outbox::Cx;
use crate::time::Instant;
use crate::timer::TimerKey;

/// The age of the LSAs that routers find: they have come some way.
const AGE: u16 = 1;

/// A neighbor that is Full already.
#[derive(Debug, Clone)]
pub struct FullNeighbor {
    /// The interface it is on, here.
    pub interface: InterfaceId,
    /// Its Router ID.
    pub router_id: RouterId,
    /// Its link-local address.
    pub address: std::net::Ipv6Addr,
    /// Its Interface ID.
    pub interface_id: InterfaceId,
}

/// Returns the database of these LSAs of area scope, for routers that have all of them.
pub fn database(lsas: impl IntoIterator<Item = Arc<Lsa>>, now: Instant) -> Lsdb {
    let mut lsdb = Lsdb::new(RouterId(0));
    for lsa in lsas {
        let key = LsdbKey { domain: Domain::Area, lsa: lsa.header().key };
        lsdb.install(key, Installation { lsa, age: AGE, source: Source::Flooded, refresh: None }, now);
    }
    lsdb
}

/// Makes the neighbors Full and the router settled, and originates its LSAs. Nobody has to be told of any of it.
pub fn stand_among(area: &mut Area, neighbors: Vec<FullNeighbor>, cx: &mut Cx<'_>) {
    for full in neighbors {
        let Some(interface) = area.interfaces.get_mut(&full.interface) else { continue };
        let Some(dead_interval) = interface.link().map(|link| link.dead_interval) else { continue };
        let mut neighbor = Neighbor::new(full.router_id, full.address, cx.now);
        neighbor.state = NeighborState::Full;
        neighbor.interface_id = full.interface_id;
        interface.neighbor = Some(neighbor);
        cx.timers.arm(TimerKey::Inactivity(full.interface), cx.now + dead_interval);
    }
    area.settle(cx);
    originate::update(area, cx);
    for (id, interface) in &mut area.interfaces {
        interface.flooding.clear();
        if let Some(neighbor) = interface.neighbor.as_mut() {
            neighbor.retransmissions.clear();
            neighbor.news.clear();
        }
        cx.timers.disarm(TimerKey::Retransmit(*id));
    }
    area.originations.throttles.clear();
}

/// Puts the LSAs of the area in place, which hold the router's own as it originated them, and those that the neighbors
/// originated for its links.
pub fn stand_on(area: &mut Area, base: &Lsdb, links: Vec<(InterfaceId, Arc<Lsa>)>, cx: &mut Cx<'_>) {
    let own: Vec<(LsdbKey, Arc<Lsa>)> =
        area.lsdb.iter().map(|(key, entry)| (*key, Arc::clone(entry.lsa()))).collect();
    area.lsdb = base.copy_for(cx.config.router_id);
    for (key, lsa) in own {
        install::install(area, key, (lsa, 0, Source::Originated), cx);
    }
    for (interface, lsa) in links {
        let key = LsdbKey { domain: Domain::Link(interface), lsa: lsa.header().key };
        install::install(area, key, (lsa, AGE, Source::Flooded), cx);
    }
    if cx.config.routes {
        let keys: Vec<LsaKey> = base.iter().map(|(key, _)| key.lsa).collect();
        keys.iter().for_each(|key| area.note_change(key, cx));
        area.due.topology = true;
    }
}
