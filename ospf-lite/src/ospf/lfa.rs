//! Loop-free alternates: for each route with one next hop the neighbor that takes over while the others have not heard
//! that this next hop is lost (RFC 5286).

use std::collections::BTreeMap;
use std::rc::Rc;

use ipnet::IpNet;

use crate::ids::{Cost, Distance, InterfaceId, RouterId};
use crate::io::{NextHop, PathKind, Route};
use crate::ospf::graph::{VertexId, VertexIndex};
use crate::ospf::lsa::{
    AsExternalLsa, IntraAreaPrefixLsa, LsType, Lsa, LsaBody, MAX_AGE, Prefix, PrefixOptions,
};
use crate::ospf::route::RouteTable;
use crate::ospf::spf::{self, FirstHop, Paths};

/// Computes the alternate of each route that has one; `resolve` tells the address of a first hop.
///
/// An alternate never leads over the next hop's interface. One that avoids the next hop's router as well is preferred
/// (RFC 5286 section 3.2), else one closer to the destination than this router, which no second failure turns into a
/// loop; then the shortest way. Routers that do not offer transit (R-bit, RFC 6987) protect nothing but their own
/// prefixes. An external route by a forwarding address or by a router of another area has no alternate.
pub fn alternates<'a>(
    paths: &Paths<'_>,
    table: &RouteTable,
    lsas: impl IntoIterator<Item = &'a Lsa>,
    resolve: impl Fn(FirstHop) -> Option<NextHop>,
) -> BTreeMap<IpNet, NextHop> {
    let candidates = candidates(paths, resolve);
    if candidates.len() < 2 {
        return BTreeMap::new();
    }
    let mut ends = Ends { paths, table, found: BTreeMap::new() };
    for lsa in lsas.into_iter().filter(|lsa| lsa.header.age < MAX_AGE) {
        ends.add(lsa);
    }
    let found = ends.found.iter().filter_map(|(prefix, ends)| {
        let alternate = choose(&candidates, table.get(prefix)?, ends)?;
        Some((*prefix, alternate))
    });
    found.collect()
}

/// Enters the alternates into a table that has none yet.
pub fn protect(table: &mut RouteTable, alternates: &BTreeMap<IpNet, NextHop>) {
    for (prefix, alternate) in alternates {
        if let Some(route) = table.get_mut(prefix) {
            route.alternate = Some(*alternate);
        }
    }
}

/// Returns the alternates of an earlier table that a later one may go on with until it has its own: those over neighbors
/// that are there, of routes whose one next hop is the same.
pub fn still_usable(
    before: &RouteTable,
    table: &RouteTable,
    neighbors: &[NextHop],
) -> BTreeMap<IpNet, NextHop> {
    let of = |(prefix, route): (&IpNet, &Route)| {
        let old = before.get(prefix).filter(|old| old.next_hops == route.next_hops)?;
        let alternate = old.alternate.filter(|alternate| neighbors.contains(alternate))?;
        Some((*prefix, alternate))
    };
    table.iter().filter_map(of).collect()
}

/// A neighbor over one link, and what is far from it.
struct Candidate<'g> {
    next_hop: NextHop,
    vertex: VertexIndex,
    /// What the link to it costs.
    metric: u32,
    /// Whether it takes packets for others.
    transits: bool,
    /// From it back to this router.
    back: Distance,
    tree: Rc<Paths<'g>>,
}

/// Returns the neighbors over this router's links to routers, in order.
fn candidates<'g>(paths: &Paths<'g>, resolve: impl Fn(FirstHop) -> Option<NextHop>) -> Vec<Candidate<'g>> {
    let graph = paths.graph();
    let Some(root) = paths.root() else { return Vec::new() };
    let mut trees: BTreeMap<RouterId, Rc<Paths<'g>>> = BTreeMap::new();
    let links = graph.edges(root).iter().filter_map(|edge| {
        let vertex = graph.vertex(edge.to)?;
        let VertexId::Router(neighbor) = vertex.id else { return None };
        let next_hop = resolve(FirstHop { interface: edge.interface_id, neighbor })?;
        let tree = trees.entry(neighbor).or_insert_with(|| Rc::new(spf::shortest_paths(graph, neighbor)));
        let most = Cost::MAX.get();
        let has_way = graph.edges(edge.to).iter().any(|onward| onward.metric < most);
        Some(Candidate {
            next_hop,
            vertex: edge.to,
            metric: edge.metric.into(),
            transits: vertex.transits && has_way,
            back: tree.distance(root).unwrap_or(Distance::INFINITY),
            tree: Rc::clone(tree),
        })
    });
    links.collect()
}

/// How good an alternate is: the smallest is the best.
type Rank = (bool, bool, Distance, InterfaceId, RouterId);

impl Candidate<'_> {
    /// Returns how far the closest of the ends is from here.
    fn distance(&self, ends: &[End]) -> Option<Distance> {
        let reached = ends.iter().filter(|(vertex, _)| self.transits || *vertex == self.vertex);
        reached.filter_map(|(vertex, metric)| Some(self.tree.distance(*vertex)?.plus(*metric))).min()
    }

    /// Returns how good this neighbor is as alternate for a route by `primary`, or nothing when it is none.
    ///
    /// The ends are those that this router uses. Where the neighbor knows a closer one, it does not lead back here either:
    /// by this router the way to that end is no shorter than `back` and the route together.
    fn rank(&self, route: &Route, ends: &[End], primary: &Self) -> Option<Rank> {
        let distance = self.distance(ends)?;
        let NextHop { interface, neighbor, .. } = self.next_hop;
        let is_loop_free = distance < self.back.plus(route.distance.0);
        let is_other_link = interface != primary.next_hop.interface && self.metric < Cost::MAX.get().into();
        if !is_loop_free || !is_other_link {
            return None;
        }
        let behind = route.distance.0.saturating_sub(primary.metric);
        let avoids_router = neighbor != primary.next_hop.neighbor
            && self.tree.distance(primary.vertex).is_none_or(|there| distance < there.plus(behind));
        let is_downstream = distance < route.distance;
        let is_risky = !avoids_router && !is_downstream;
        Some((!avoids_router, is_risky, distance.plus(self.metric), interface, neighbor))
    }
}

fn choose(candidates: &[Candidate<'_>], route: &Route, ends: &[End]) -> Option<NextHop> {
    let [next_hop] = route.next_hops.as_slice() else { return None };
    let primary = candidates.iter().find(|candidate| candidate.next_hop == *next_hop)?;
    let ranked = candidates.iter().filter_map(|one| Some((one.rank(route, ends, primary)?, one.next_hop)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, next_hop)| next_hop)
}

/// A router that announces a prefix, or a network that has it, and the metric from there.
type End = (VertexIndex, u32);

/// Where the routes with one next hop lead.
struct Ends<'p, 'g> {
    paths: &'p Paths<'g>,
    table: &'p RouteTable,
    found: BTreeMap<IpNet, Vec<End>>,
}

impl Ends<'_, '_> {
    fn add(&mut self, lsa: &Lsa) {
        let router = VertexId::Router(lsa.header.key.advertising_router);
        match &lsa.body {
            LsaBody::IntraAreaPrefix(intra) => self.add_intra(router, intra),
            LsaBody::InterAreaPrefix(inter) => {
                self.add_end(router, &inter.prefix, (PathKind::InterArea, inter.metric));
            }
            LsaBody::AsExternal(external) => self.add_external(router, external),
            _ => {}
        }
    }

    fn add_intra(&mut self, router: VertexId, intra: &IntraAreaPrefixLsa) {
        let referenced = intra.referenced;
        let network = VertexId::Network {
            designated_router: referenced.advertising_router,
            interface_id: InterfaceId(referenced.link_state_id.0),
        };
        let id = if referenced.ls_type == LsType::ROUTER { router } else { network };
        if router != VertexId::Router(referenced.advertising_router) {
            return;
        }
        for (prefix, metric) in &intra.prefixes {
            self.add_end(id, prefix, (PathKind::IntraArea, (*metric).into()));
        }
    }

    fn add_external(&mut self, router: VertexId, external: &AsExternalLsa) {
        if external.forwarding_address.is_none_or(|address| address.is_unspecified()) {
            let kind = if external.type2 { PathKind::External2 } else { PathKind::External1 };
            self.add_end(router, &external.prefix, (kind, external.metric));
        }
    }

    /// Adds an end if it is one of those that the prefix's route leads to.
    fn add_end(&mut self, id: VertexId, prefix: &Prefix, (kind, metric): (PathKind, u32)) {
        let route =
            self.table.get(&prefix.net).filter(|route| route.kind == kind && route.next_hops.len() == 1);
        let vertex = self.paths.graph().find(id);
        let (Some(route), Some(vertex)) = (route, vertex) else { return };
        let metric = match kind {
            PathKind::External2 if metric != route.external_metric => return,
            PathKind::External2 => 0,
            PathKind::IntraArea | PathKind::InterArea | PathKind::External1 => metric,
        };
        let distance = self.paths.distance(vertex).map(|distance| distance.plus(metric));
        if distance == Some(route.distance) && !prefix.options.contains(PrefixOptions::NU) {
            self.found.entry(prefix.net).or_default().push((vertex, metric));
        }
    }
}
