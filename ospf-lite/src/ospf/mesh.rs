//! Dense meshes: neighbors that get an LSA from the router that sent it here are told that it is here, and get it from here
//! only if they do not say the same.
//!
//! Where everybody is linked with everybody, each router would get each LSA from each other one. An acknowledgment
//! nobody waited for is as good as the LSA itself: whoever has the LSA on the list for this router takes it off (RFC 2328
//! section 13.7). The LSA stays on the retransmission list until the neighbor has answered, so it arrives in any case,
//! [`WITHHOLD`] later where the sender's own link to the neighbor has just failed. Nobody has to agree to it: one that
//! floods as usual is heard instead.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::{InterfaceId, LinkStateId, RouterId};
use crate::ospf::area::Area;
use crate::ospf::interface::Interface;
use crate::ospf::lsa::{LsType, LsaKey, RouterLinkKind};
use crate::ospf::lsdb::{Domain, Lsdb, LsdbKey};

/// With fewer neighbors than this everything is flooded at once.
pub const DENSE_MIN: usize = 8;
/// How long a neighbor has to say that it has an LSA before it gets it.
pub const WITHHOLD: Duration = Duration::from_millis(500);
/// How long the acknowledgments wait that tell neighbors so, and share a packet.
pub const TELL_DELAY: Duration = Duration::from_millis(200);

/// Returns the routers that the neighbor of an interface sends its LSAs to, as it says itself; none where this router has
/// few neighbors.
pub fn served(area: &Area, from: Option<InterfaceId>) -> BTreeSet<RouterId> {
    let neighbor_of = |interface: &Interface| {
        interface
            .neighbor
            .as_ref()
            .filter(|neighbor| neighbor.state.takes_flooding())
            .map(|one| one.router_id)
    };
    let sender = from.and_then(|from| area.interfaces.get(&from)).and_then(neighbor_of);
    let is_dense = || area.interfaces.values().filter_map(neighbor_of).nth(DENSE_MIN - 1).is_some();
    match sender {
        Some(sender) if is_dense() => neighbors(&area.lsdb, sender),
        _ => BTreeSet::new(),
    }
}

/// Returns the neighbors that a router's LSAs name. Their Link State IDs are taken to count from 0: those of a router that
/// numbers them otherwise are not found.
fn neighbors(lsdb: &Lsdb, router: RouterId) -> BTreeSet<RouterId> {
    let part = |id| {
        let lsa =
            LsaKey { ls_type: LsType::ROUTER, link_state_id: LinkStateId(id), advertising_router: router };
        lsdb.get(&LsdbKey { domain: Domain::Area, lsa }).filter(|entry| !entry.is_flushed())
    };
    let links = (0..).map_while(part).flat_map(|entry| entry.lsa().links());
    links
        .filter(|link| link.kind == RouterLinkKind::PointToPoint)
        .map(|link| link.neighbor_router_id)
        .collect()
}
