//! An area written down in a few words, as the LSAs that describe it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use ipnet::IpNet;
use ospf_lite::ids::{Family, InterfaceId, LinkStateId, RouterId};
use ospf_lite::io::{NextHop, PathKind, Route};
use ospf_lite::ospf::calculation::{Calculation, Terms};
use ospf_lite::ospf::graph::{Graph, VertexId};
use ospf_lite::ospf::lsa::{
    IntraAreaPrefixLsa, LsType, Lsa, LsaBody, LsaKey, NetworkLsa, Prefix, PrefixOptions, RouterLink,
    RouterLinkKind, RouterLsa, SequenceNumber,
};
use ospf_lite::ospf::packet::Options;
use ospf_lite::ospf::route::RouteTable;
use ospf_lite::ospf::spf::{FirstHop, shortest_paths};

/// Options of a router that forwards both families.
pub const FORWARDS: Options = Options::V6.with(Options::E).with(Options::R).with(Options::AF);

/// Routers and their links; other LSAs are added as they are.
#[derive(Debug, Clone, Default)]
pub struct Area {
    pub routers: BTreeMap<u32, RouterLsa>,
    pub others: Vec<Lsa>,
    pub links_per_part: Option<usize>,
}

impl Area {
    /// Routers 1, 2 and 3 in a row, each link at cost 10.
    pub fn row() -> Self {
        let mut area = Self::default();
        area.link(1, 2, 10);
        area.link(2, 3, 10);
        area
    }

    /// Returns what the router says of itself, which starts as a forwarding router without links.
    pub fn router(&mut self, id: u32) -> &mut RouterLsa {
        self.routers.entry(id).or_insert_with(|| RouterLsa {
            border: false,
            external: false,
            virtual_endpoint: false,
            options: FORWARDS,
            links: Vec::new(),
        })
    }

    /// One end's word for a link: router and interface, to router and interface, at a cost.
    pub fn claim(&mut self, (near, interface): (u32, u32), (far, neighbor_interface): (u32, u32), cost: u16) {
        self.router(far);
        self.router(near).links.push(RouterLink {
            kind: RouterLinkKind::PointToPoint,
            metric: cost,
            interface_id: InterfaceId(interface),
            neighbor_interface_id: InterfaceId(neighbor_interface),
            neighbor_router_id: RouterId(far),
        });
    }

    /// A link with the same cost both ways; each end's Interface ID is the other's Router ID.
    pub fn link(&mut self, one: u32, other: u32, cost: u16) {
        self.claim((one, other), (other, one), cost);
        self.claim((other, one), (one, other), cost);
    }

    /// Joins routers by a transit network whose Designated Router is the first. All use Interface ID 100.
    pub fn network(&mut self, routers: &[u32], cost: u16) {
        let designated = RouterId(routers[0]);
        for router in routers {
            self.router(*router).links.push(RouterLink {
                kind: RouterLinkKind::Transit,
                metric: cost,
                interface_id: InterfaceId(100),
                neighbor_interface_id: InterfaceId(100),
                neighbor_router_id: designated,
            });
        }
        let attached_routers = routers.iter().map(|router| RouterId(*router)).collect();
        let body = LsaBody::Network(NetworkLsa { options: FORWARDS, attached_routers });
        self.add(routers[0], 100, body);
    }

    /// A prefix of a router.
    pub fn prefix(&mut self, router: u32, prefix: &str, metric: u16) {
        self.prefix_with(router, prefix, metric, PrefixOptions::default());
    }

    pub fn prefix_with(&mut self, router: u32, prefix: &str, metric: u16, options: PrefixOptions) {
        let referenced = key(LsType::ROUTER, router, 0);
        let prefixes = vec![(Prefix { net: net(prefix), options }, metric)];
        self.add_next(router, LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa { referenced, prefixes }));
    }

    pub fn add(&mut self, router: u32, link_state_id: u32, body: LsaBody) {
        let key = key(LsType::ROUTER, router, link_state_id);
        self.others.push(Lsa::originate(key, SequenceNumber::INITIAL, 0, body));
    }

    /// Adds an LSA under a Link State ID that no other has.
    pub fn add_next(&mut self, router: u32, body: LsaBody) {
        let link_state_id = u32::try_from(self.others.len()).unwrap() + 1;
        self.add(router, link_state_id, body);
    }

    /// Returns all LSAs.
    pub fn lsas(&self) -> Vec<Lsa> {
        let mut lsas = self.others.clone();
        for (id, router) in &self.routers {
            let most = self.links_per_part.unwrap_or(usize::MAX);
            let empty: [&[RouterLink]; 1] = [&[]];
            let parts: Vec<&[RouterLink]> = match router.links.is_empty() {
                true => empty.to_vec(),
                false => router.links.chunks(most).collect(),
            };
            for (part, links) in parts.into_iter().enumerate() {
                let body = LsaBody::Router(RouterLsa { links: links.to_vec(), ..router.clone() });
                let key = key(LsType::ROUTER, *id, u32::try_from(part).unwrap());
                lsas.push(Lsa::originate(key, SequenceNumber::INITIAL, 0, body));
            }
        }
        lsas
    }
}

pub fn key(ls_type: LsType, router: u32, link_state_id: u32) -> LsaKey {
    LsaKey { ls_type, link_state_id: LinkStateId(link_state_id), advertising_router: RouterId(router) }
}

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// A next hop whose address follows from the neighbor.
pub fn resolve(hop: FirstHop) -> Option<NextHop> {
    Some(NextHop {
        interface: hop.interface,
        neighbor: hop.neighbor,
        link_local: Ipv6Addr::from(0xfe80 << 112 | u128::from(hop.neighbor.0)),
        ipv4: None,
    })
}

/// The topology in the IPv6 family.
pub fn graph(area: &Area) -> Graph {
    Graph::from_lsas(&area.lsas(), Family::Ipv6)
}

/// Distance and first hops (interface, neighbor) of a router, as router 1 sees it.
pub fn way(graph: &Graph, router: u32) -> Option<(u32, Vec<(u32, u32)>)> {
    let paths = shortest_paths(graph, RouterId(1));
    let vertex = graph.find(VertexId::Router(RouterId(router)))?;
    let hops = paths.first_hops(vertex).into_iter().map(|hop| (hop.interface.0, hop.neighbor.0));
    Some((paths.distance(vertex)?.0, hops.collect()))
}

pub fn table_of(lsas: &[Lsa]) -> RouteTable {
    table_with(lsas, (1, 16), resolve)
}

/// The route table of a router with so many next hops for a route at most, which have these addresses.
pub fn table_with(
    lsas: &[Lsa],
    (root, equal_cost_max): (u32, usize),
    resolve: impl Fn(FirstHop) -> Option<NextHop>,
) -> RouteTable {
    let graph = Graph::from_lsas(lsas, Family::Ipv6);
    let root = RouterId(root);
    let next_hops = shortest_paths(&graph, root).hops().iter().filter_map(|hop| resolve(*hop)).collect();
    let mut calculation = Calculation::new(Family::Ipv6);
    let changes = lsas.iter().map(|lsa| (lsa.header().key, Some(Arc::new(lsa.clone()))));
    calculation.update(changes, Terms { root, equal_cost_max, next_hops, alternates: true });
    calculation.table().clone()
}

/// The route table of router 1.
pub fn table(area: &Area) -> RouteTable {
    table_of(&area.lsas())
}

/// Kind, distance and next hops (interface, neighbor) of a route.
pub type Brief = (PathKind, u32, Vec<(u32, u32)>);

/// What matters most of a route.
pub fn brief(route: Option<&Route>) -> Option<Brief> {
    let route = route?;
    let hops = route.next_hops.iter().map(|hop| (hop.interface.0, hop.neighbor.0)).collect();
    Some((route.kind, route.distance.0, hops))
}

/// What matters most of router 1's route to a prefix.
pub fn brief_of(area: &Area, prefix: &str) -> Option<Brief> {
    brief(table(area).get(&net(prefix)))
}
