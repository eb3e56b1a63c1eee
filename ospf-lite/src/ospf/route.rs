//! The route table: every prefix of the database behind its best path (RFC 2328 sections 16.1 to 16.4, RFC 5340 section
//! 4.8).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ipnet::IpNet;

use crate::ids::{Distance, InterfaceId, RouterId};
use crate::io::{NextHop, PathKind, Route};
use crate::ospf::graph::{VertexId, VertexIndex};
use crate::ospf::lsa::{
    AsExternalLsa, InterAreaPrefixLsa, IntraAreaPrefixLsa, LsType, Lsa, LsaBody, MAX_AGE, PrefixOptions,
};
use crate::ospf::spf::{FirstHop, FirstHopSet, Paths};

/// The best way to each prefix, in order.
pub type RouteTable = BTreeMap<IpNet, Route>;

/// What differs between two route tables for one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteChange {
    /// Only the second table has it.
    Added(Route),
    /// Both have it, differently.
    Changed {
        /// The first table's.
        from: Route,
        /// The second table's.
        to: Route,
    },
    /// Only the first table has it.
    Removed(Route),
}

/// Returns the changes that make `to` of `from`, in the order of the prefixes.
pub fn diff(from: &RouteTable, to: &RouteTable) -> Vec<RouteChange> {
    let mut changes: Vec<(IpNet, RouteChange)> = Vec::new();
    for (prefix, route) in to {
        match from.get(prefix) {
            None => changes.push((*prefix, RouteChange::Added(route.clone()))),
            Some(old) if old != route => {
                changes.push((*prefix, RouteChange::Changed { from: old.clone(), to: route.clone() }));
            }
            Some(_) => {}
        }
    }
    let removed = from.iter().filter(|(prefix, _)| !to.contains_key(prefix));
    changes.extend(removed.map(|(prefix, route)| (*prefix, RouteChange::Removed(route.clone()))));
    changes.sort_by_key(|(prefix, _)| *prefix);
    changes.into_iter().map(|(_, change)| change).collect()
}

/// Computes the route table from the shortest paths of a router.
///
/// Prefixes of several routers at the same distance become one route with the next hops of all. `resolve` tells the
/// address of a first hop; one that has none is left out, and a route with nothing left is too. Of the next hops the
/// first `equal_cost_max` are kept. LSAs of MaxAge and prefixes with the NU-bit do not count.
pub fn routes<'a>(
    paths: &Paths<'_>,
    lsas: impl IntoIterator<Item = &'a Lsa>,
    equal_cost_max: usize,
    resolve: impl Fn(FirstHop) -> Option<NextHop>,
) -> RouteTable {
    let announced = Announced::collect(lsas);
    let mut candidates = Candidates { paths, best: BTreeMap::new() };
    for (router, intra) in &announced.intra {
        candidates.add_intra(*router, intra);
    }
    for (router, inter) in &announced.inter_prefixes {
        candidates.add_inter(*router, inter);
    }
    candidates.add_externals(&announced);
    let resolved: Vec<Option<NextHop>> = paths.hops().iter().map(|hop| resolve(*hop)).collect();
    let route = |(prefix, candidate): (IpNet, Candidate)| {
        candidate.into_route(prefix, &resolved, equal_cost_max).map(|route| (prefix, route))
    };
    candidates.best.into_iter().filter_map(route).collect()
}

/// What the LSAs announce, each with its Advertising Router.
#[derive(Default)]
struct Announced<'a> {
    intra: Vec<(RouterId, &'a IntraAreaPrefixLsa)>,
    inter_prefixes: Vec<(RouterId, &'a InterAreaPrefixLsa)>,
    /// Metric and AS boundary router, by the area border router that announces them.
    inter_routers: Vec<(RouterId, u32, RouterId)>,
    externals: Vec<(RouterId, &'a AsExternalLsa)>,
}

impl<'a> Announced<'a> {
    fn collect(lsas: impl IntoIterator<Item = &'a Lsa>) -> Self {
        let mut announced = Self::default();
        for lsa in lsas.into_iter().filter(|lsa| lsa.header.age < MAX_AGE) {
            let router = lsa.header.key.advertising_router;
            match &lsa.body {
                LsaBody::IntraAreaPrefix(intra) => announced.intra.push((router, intra)),
                LsaBody::InterAreaPrefix(inter) => announced.inter_prefixes.push((router, inter)),
                LsaBody::InterAreaRouter(inter) => {
                    announced.inter_routers.push((router, inter.metric, inter.destination));
                }
                LsaBody::AsExternal(external) => announced.externals.push((router, external)),
                _ => {}
            }
        }
        announced
    }
}

/// How good a path is: the smallest is the best (RFC 2328 sections 11 and 16.4, step 6).
type Rank = (PathKind, u32, Distance);

/// The best that is known for a prefix.
struct Candidate {
    rank: Rank,
    /// Whether the prefix is on the root, or on a network on its link.
    is_local: bool,
    hops: FirstHopSet,
    advertising: Vec<RouterId>,
}

impl Candidate {
    /// Takes in another that is as good or better.
    fn join(&mut self, other: Self) {
        if other.rank < self.rank {
            *self = other;
        } else if other.rank == self.rank {
            self.is_local |= other.is_local;
            self.hops.extend(&other.hops);
            self.advertising.extend(other.advertising);
        }
    }

    fn into_route(
        mut self,
        prefix: IpNet,
        resolved: &[Option<NextHop>],
        equal_cost_max: usize,
    ) -> Option<Route> {
        let mut next_hops: Vec<NextHop> = Vec::new();
        if !self.is_local {
            let known = self.hops.places().filter_map(|place| resolved.get(place).copied().flatten());
            next_hops.extend(known.take(equal_cost_max));
            if next_hops.is_empty() {
                return None;
            }
        }
        next_hops.sort_unstable();
        next_hops.dedup();
        self.advertising.sort_unstable();
        self.advertising.dedup();
        let (kind, external_metric, distance) = self.rank;
        Some(Route { prefix, kind, distance, external_metric, advertising: self.advertising, next_hops })
    }
}

/// The best for each prefix so far.
struct Candidates<'p, 'g> {
    paths: &'p Paths<'g>,
    best: BTreeMap<IpNet, Candidate>,
}

impl Candidates<'_, '_> {
    /// Adds the prefixes of a router or a transit network (RFC 5340 section 4.8.1). Only its own router may speak for it.
    fn add_intra(&mut self, router: RouterId, intra: &IntraAreaPrefixLsa) {
        let referenced = intra.referenced;
        let id = match referenced.ls_type {
            LsType::ROUTER => VertexId::Router(router),
            LsType::NETWORK => VertexId::Network {
                designated_router: router,
                interface_id: InterfaceId(referenced.link_state_id.0),
            },
            _ => return,
        };
        let Some((vertex, distance)) = self.reach(id) else { return };
        if referenced.advertising_router != router {
            return;
        }
        for (prefix, metric) in &intra.prefixes {
            if !prefix.options.contains(PrefixOptions::NU) {
                let rank = (PathKind::IntraArea, 0, distance.plus(u32::from(*metric)));
                self.add(prefix.net, router, vertex, rank);
            }
        }
    }

    /// Adds a prefix of another area (RFC 5340 section 4.8.3). What the root itself announces is no path.
    fn add_inter(&mut self, router: RouterId, inter: &InterAreaPrefixLsa) {
        if let Some((vertex, distance)) = self.border(router)
            && !inter.prefix.options.contains(PrefixOptions::NU)
        {
            let rank = (PathKind::InterArea, 0, distance.plus(inter.metric));
            self.add(inter.prefix.net, router, vertex, rank);
        }
    }

    /// Adds the prefixes from outside (RFC 5340 section 4.8.4). What the root itself announces is no path.
    fn add_externals(&mut self, announced: &Announced<'_>) {
        if announced.externals.is_empty() {
            return;
        }
        let boundary = self.boundary_routers(&announced.inter_routers);
        let mut found = Vec::new();
        for (router, external) in &announced.externals {
            let is_wanted = !external.prefix.options.contains(PrefixOptions::NU)
                && external.metric < Distance::INFINITY.0;
            if let Some(boundary) = boundary.get(router)
                && is_wanted
                && let Some(way) = self.external_way(external, boundary)
            {
                let rank = match external.type2 {
                    true => (PathKind::External2, external.metric, way.distance),
                    false => (PathKind::External1, 0, way.distance.plus(external.metric)),
                };
                let (hops, advertising) = (way.hops, vec![*router]);
                found.push((external.prefix.net, Candidate { rank, is_local: false, hops, advertising }));
            }
        }
        found.into_iter().for_each(|(prefix, candidate)| self.put(prefix, candidate));
    }

    /// Returns the way to each AS boundary router but the root: inside the area, else by area border routers.
    fn boundary_routers(&self, announced: &[(RouterId, u32, RouterId)]) -> BTreeMap<RouterId, Way> {
        let mut boundary: BTreeMap<RouterId, Way> = BTreeMap::new();
        for (border, metric, router) in announced {
            if let Some((vertex, distance)) = self.border(*border)
                && distance.plus(*metric) < Distance::INFINITY
            {
                let way = Way { distance: distance.plus(*metric), hops: self.paths.first_hop_set(vertex) };
                match boundary.entry(*router) {
                    Entry::Vacant(entry) => {
                        entry.insert(way);
                    }
                    Entry::Occupied(mut entry) => entry.get_mut().join(way),
                }
            }
        }
        for (index, vertex) in self.paths.graph().vertices().filter(|(_, vertex)| vertex.external) {
            if let VertexId::Router(router) = vertex.id
                && let Some(distance) = self.paths.distance(index)
            {
                boundary.insert(router, Way { distance, hops: self.paths.first_hop_set(index) });
            }
        }
        boundary.retain(|router, _| {
            self.reach(VertexId::Router(*router)).is_none_or(|(at, _)| !self.paths.is_local(at))
        });
        boundary
    }

    /// Returns the way an external prefix is sent: to the forwarding address if there is one, else to the boundary router
    /// (RFC 2328 section 16.4, step 3). A forwarding address on the root's own link is reached by the boundary router
    /// too, because a next hop here is always an OSPF neighbor.
    fn external_way(&self, external: &AsExternalLsa, boundary: &Way) -> Option<Way> {
        let Some(address) = external.forwarding_address.filter(|address| !address.is_unspecified()) else {
            return Some(boundary.clone());
        };
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let found =
            (0..=bits).rev().find_map(|length| self.best.get(&IpNet::new(address, length).ok()?.trunc()))?;
        if found.is_local {
            return Some(boundary.clone());
        }
        Some(Way { distance: found.rank.2, hops: found.hops.clone() })
    }

    /// Returns where an area border router other than the root is.
    fn border(&self, router: RouterId) -> Option<(VertexIndex, Distance)> {
        let (index, distance) = self.reach(VertexId::Router(router))?;
        let is_border = self.paths.graph().vertex(index).is_some_and(|vertex| vertex.border);
        (is_border && !self.paths.is_local(index)).then_some((index, distance))
    }

    /// Returns where a vertex is, if it can be reached.
    fn reach(&self, id: VertexId) -> Option<(VertexIndex, Distance)> {
        let index = self.paths.graph().find(id)?;
        Some((index, self.paths.distance(index)?))
    }

    /// Adds a prefix that lies behind a vertex.
    fn add(&mut self, prefix: IpNet, router: RouterId, vertex: VertexIndex, rank: Rank) {
        if self.best.get(&prefix).is_some_and(|known| known.rank < rank) {
            return;
        }
        let is_local = self.paths.is_local(vertex);
        let hops = self.paths.first_hop_set(vertex);
        self.put(prefix, Candidate { rank, is_local, hops, advertising: vec![router] });
    }

    fn put(&mut self, prefix: IpNet, candidate: Candidate) {
        if candidate.rank.2 >= Distance::INFINITY {
            return;
        }
        match self.best.entry(prefix) {
            Entry::Vacant(entry) => {
                entry.insert(candidate);
            }
            Entry::Occupied(mut entry) => entry.get_mut().join(candidate),
        }
    }
}

/// How to get to an AS boundary router or a forwarding address.
#[derive(Clone)]
struct Way {
    distance: Distance,
    hops: FirstHopSet,
}

impl Way {
    /// Takes in another that is as good or better.
    fn join(&mut self, other: Self) {
        if other.distance < self.distance {
            *self = other;
        } else if other.distance == self.distance {
            self.hops.extend(&other.hops);
        }
    }
}
