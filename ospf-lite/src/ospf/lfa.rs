//! Loop-free alternates: for each route with one next hop the neighbors that take over while the others have not heard that
//! this next hop is lost (RFC 5286).

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::ids::{Cost, Distance, RouterId};
use crate::io::{NextHop, Route};
use crate::ospf::graph::{VertexId, VertexIndex};
use crate::ospf::spf::{self, FirstHop, Paths};

/// The neighbors that can be an alternate, as far as links to them are there.
pub struct Neighbors<'g>(Vec<Candidate<'g>>);

/// How many alternates a route keeps at most. They carry what its next hop did for a moment: more would share it better, but
/// most areas have no more that are equally good.
pub const ALTERNATES_MAX: usize = 2;

/// A router that announces a prefix, or a network that has it, and the metric from there.
pub type End = (VertexIndex, u32);

impl<'g> Neighbors<'g> {
    /// Looks at the area from each neighbor of the root; `resolve` tells the address of a first hop.
    pub fn of(paths: &Paths<'g>, resolve: impl Fn(FirstHop) -> Option<NextHop>) -> Self {
        Self(candidates(paths, resolve))
    }

    /// Finds the alternates of a route that ends at these: those that are equally good, in order of interface and neighbor,
    /// and no more than [`ALTERNATES_MAX`]. Each is free of loops for itself, so that they may be used side by side.
    ///
    /// An alternate never leads over the next hop's interface. One that avoids the next hop's router as well is preferred
    /// (RFC 5286 section 3.2), else one closer to the destination than this router, which no second failure turns into a
    /// loop; then the shortest way. Routers that do not offer transit (R-bit, RFC 6987) protect nothing but their own
    /// prefixes. An external route by a forwarding address or by a router of another area has no alternate.
    pub fn alternates(&self, route: &Route, ends: &[End], found: &mut Vec<NextHop>) {
        found.clear();
        let [next_hop] = &*route.next_hops else { return };
        let Some(primary) = self.0.iter().find(|candidate| candidate.next_hop == *next_hop) else { return };
        let mut best = None;
        for candidate in &self.0 {
            let Some(rank) = candidate.rank(route, ends, primary) else { continue };
            if best.is_some_and(|best| rank > best) {
                continue;
            }
            if best != Some(rank) {
                found.clear();
                best = Some(rank);
            }
            if found.len() < ALTERNATES_MAX {
                found.push(candidate.next_hop);
            }
        }
    }
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

/// Returns the neighbors over this router's links to routers, in order of interface and neighbor.
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
    let mut candidates: Vec<Candidate<'_>> = links.collect();
    candidates.sort_by_key(|candidate| (candidate.next_hop.interface, candidate.next_hop.neighbor));
    candidates
}

/// How good an alternate is: the smallest is the best.
type Rank = (bool, bool, Distance);

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
        Some((!avoids_router, is_risky, distance.plus(self.metric)))
    }
}
