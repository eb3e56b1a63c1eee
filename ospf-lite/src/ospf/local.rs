//! This router as its own routes are made from it: its Router-LSAs as they hold for itself, and how to reach its neighbors.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::ids::{Family, InterfaceId, LinkStateId, RouterId};
use crate::io::NextHop;
use crate::ospf::area::Area;
use crate::ospf::interface::{Interface, router_options};
use crate::ospf::lsa::{LsType, Lsa, LsaBody, LsaKey, RouterLink, RouterLinkKind, RouterLsa, SequenceNumber};
use crate::ospf::lsdb::{Domain, Entry};
use crate::ospf::neighbor::Neighbor;
use crate::ospf::outbox::Cx;

/// This router as its own routes are made from it.
#[derive(Debug, Clone, Default)]
pub struct Local {
    /// The own Router-LSAs.
    pub router_lsas: BTreeMap<LsaKey, Arc<Lsa>>,
    /// How to reach the neighbors that are in them, in the order of the interfaces.
    pub next_hops: Vec<NextHop>,
}

impl Local {
    /// Looks at the area as it is.
    pub fn new(area: &Area, cx: &Cx<'_>) -> Self {
        let router_lsas = router_lsas(area, cx);
        let links: BTreeSet<InterfaceId> =
            router_lsas.values().flat_map(|lsa| lsa.links()).map(|link| link.interface_id).collect();
        let mut next_hops = next_hops(area, cx.config.family);
        next_hops.retain(|hop| links.contains(&hop.interface));
        Self { router_lsas, next_hops }
    }

    /// Returns whether routes made from the one are those made from the other.
    pub fn is_as(&self, other: &Self) -> bool {
        let mut pairs = self.router_lsas.iter().zip(&other.router_lsas);
        self.next_hops == other.next_hops
            && self.router_lsas.len() == other.router_lsas.len()
            && pairs.all(|((key, one), (other_key, other))| key == other_key && one.says_what(other))
    }
}

/// Returns the own Router-LSAs as this router uses them: with only those links whose adjacency is there, and one even
/// before the first is originated: its routes are wanted in use before others may count on it. A link that has just been lost is not used even while MinLSInterval keeps the
/// Router-LSA from saying so.
fn router_lsas(area: &Area, cx: &Cx<'_>) -> BTreeMap<LsaKey, Arc<Lsa>> {
    let own = area
        .lsdb
        .own()
        .iter()
        .filter(|key| key.lsa.ls_type == LsType::ROUTER)
        .filter_map(|key| area.lsdb.get(key))
        .filter(|entry| !entry.is_flushed())
        .map(Entry::lsa);
    let make =
        |key, router| Arc::new(Lsa::originate(key, SequenceNumber::INITIAL, 0, LsaBody::Router(router)));
    let mut local: BTreeMap<LsaKey, Arc<Lsa>> = own
        .filter_map(|lsa| {
            let LsaBody::Router(router) = lsa.body() else { return None };
            let key = lsa.header().key;
            let adjacent = router.links.iter().filter(|link| is_adjacent(area, link));
            let links: Vec<RouterLink> = adjacent.map(|link| with_local_cost(area, *link)).collect();
            if links == router.links {
                return Some((key, Arc::clone(lsa)));
            }
            Some((key, make(key, RouterLsa { links, ..router })))
        })
        .collect();
    if local.is_empty() {
        let first = LsaKey {
            ls_type: LsType::ROUTER,
            link_state_id: LinkStateId(0),
            advertising_router: cx.config.router_id,
        };
        let router = RouterLsa {
            border: false,
            external: false,
            virtual_endpoint: false,
            options: router_options(cx.config.family, area.offers_transit()),
            links: area.interfaces.values().filter_map(adjacent_link).collect(),
        };
        local.insert(first, make(first, router));
    }
    local
}

/// Returns the link of an interface with an adjacency.
fn adjacent_link(interface: &Interface) -> Option<RouterLink> {
    let neighbor = interface.neighbor.as_ref().filter(|neighbor| neighbor.is_adjacent())?;
    Some(RouterLink {
        kind: RouterLinkKind::PointToPoint,
        metric: interface.link()?.cost.get(),
        interface_id: interface.config.id,
        neighbor_interface_id: neighbor.interface_id,
        neighbor_router_id: neighbor.router_id,
    })
}

/// Returns the link as this router uses it. What a stub router says keeps others away (RFC 6987); its own packets follow the
/// configured costs, and none of them comes back: the way of each of its neighbors avoids it, or there is no other.
fn with_local_cost(area: &Area, link: RouterLink) -> RouterLink {
    let configured = area.interfaces.get(&link.interface_id).and_then(Interface::link);
    match configured.filter(|_| area.originations.is_stub_router) {
        Some(configured) => RouterLink { metric: configured.cost.get(), ..link },
        None => link,
    }
}

fn is_adjacent(area: &Area, link: &RouterLink) -> bool {
    adjacent_neighbor(area, link.interface_id)
        .is_some_and(|neighbor| neighbor.router_id == link.neighbor_router_id)
}

fn adjacent_neighbor(area: &Area, id: InterfaceId) -> Option<&Neighbor> {
    area.interfaces.get(&id)?.neighbor.as_ref().filter(|neighbor| neighbor.is_adjacent())
}

/// Returns how to reach each neighbor with an adjacency, in the order of the interfaces (RFC 5340 section 4.8.2, RFC 5838
/// section 2.5).
pub fn next_hops(area: &Area, family: Family) -> Vec<NextHop> {
    area.interfaces
        .keys()
        .filter_map(|id| {
            let neighbor = adjacent_neighbor(area, *id)?;
            let ipv4 = match family {
                Family::Ipv6 => None,
                Family::Ipv4 => ipv4_address(area, *id, neighbor.router_id),
            };
            let (neighbor, link_local) = (neighbor.router_id, neighbor.address);
            Some(NextHop { interface: *id, neighbor, link_local, ipv4 })
        })
        .collect()
}

/// Returns the IPv4 address in the neighbor's Link-LSA.
fn ipv4_address(area: &Area, interface: InterfaceId, neighbor: RouterId) -> Option<Ipv4Addr> {
    let (_, entry) = area
        .lsdb
        .live_of(Domain::Link(interface), LsType::LINK)
        .find(|(key, _)| key.lsa.advertising_router == neighbor)?;
    let LsaBody::Link(link) = entry.lsa().body() else {
        return None;
    };
    let [a, b, c, d, ..] = link.address.octets();
    let address = Ipv4Addr::new(a, b, c, d);
    let is_usable =
        !IpAddr::V4(address).is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    is_usable.then_some(address)
}
