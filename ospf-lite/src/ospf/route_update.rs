//! The routes to the area's own prefixes after a change, entered where they stand: what stays the same is not made again.
//!
//! What comes out is what [`routes`](crate::ospf::route::routes) makes of the same Intra-Area-Prefix-LSAs, with the
//! alternates that the routes had before where these can still be used.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::ids::{Distance, RouterId};
use crate::io::{NextHop, PathKind, Route};
use crate::ospf::announced::{Announced, Offer};
use crate::ospf::graph::VertexIndex;
use crate::ospf::route::RouteTable;
use crate::ospf::spf::{FirstHopSet, Paths};

/// What the routes follow from, besides what is announced.
#[derive(Debug)]
pub struct Basis<'p> {
    /// The shortest paths.
    pub paths: Paths<'p>,
    /// How to reach each of their first hops, in the order of [`Paths::hops`]; nothing for one without an address.
    pub resolved: Vec<Option<NextHop>>,
    /// How many next hops a route keeps at most.
    pub equal_cost_max: usize,
    /// The neighbors that an alternate may lead over; none where there are no alternates.
    pub neighbors: &'p [NextHop],
}

/// Where the routers and networks of all offers are, in the order of the offers.
#[derive(Debug, Default)]
pub struct Ends {
    /// Of which offers, and in which graph, by their counts of changes.
    of: Option<(u64, u64)>,
    vertices: Vec<Option<VertexIndex>>,
}

impl Ends {
    /// Makes one that knows none.
    pub const fn new() -> Self {
        Self { of: None, vertices: Vec::new() }
    }

    /// Looks each up, unless the answers would be the same as the last time.
    fn find(&mut self, announced: &Announced, paths: &Paths<'_>) {
        let graph = paths.graph();
        let of = Some((announced.generation(), graph.generation()));
        if self.of != of {
            self.of = of;
            self.vertices.clear();
            self.vertices.extend(announced.offers().map(|offer| graph.find(offer.end())));
        }
    }
}

/// Brings the routes to these prefixes in line; returns whether any is another one.
pub fn update(
    table: &mut RouteTable,
    announced: &Announced,
    basis: &Basis<'_>,
    prefixes: &BTreeSet<IpNet>,
) -> bool {
    let mut best = Best::default();
    let mut has_changed = false;
    for prefix in prefixes {
        best.clear();
        for offer in announced.offers_of(*prefix) {
            best.add(&offer, basis.paths.graph().find(offer.end()), &basis.paths);
        }
        match (best.settle(basis), table.get_mut(prefix)) {
            (true, Some(route)) => has_changed |= best.enter(route, basis),
            (true, None) => {
                table.insert(*prefix, best.route(*prefix));
                has_changed = true;
            }
            (false, _) => has_changed |= table.remove(prefix).is_some(),
        }
    }
    has_changed
}

/// Brings all routes in line; returns whether any is another one.
pub fn update_all(table: &mut RouteTable, announced: &Announced, basis: &Basis<'_>, ends: &mut Ends) -> bool {
    ends.find(announced, &basis.paths);
    let mut offers = announced.offers().zip(&ends.vertices).peekable();
    let mut standing = table.iter_mut().peekable();
    let (mut gone, mut added) = (Vec::new(), Vec::new());
    let mut best = Best::default();
    let mut has_changed = false;
    while let Some(prefix) = offers.peek().map(|(offer, _)| offer.prefix) {
        best.clear();
        while let Some((offer, vertex)) = offers.next_if(|(offer, _)| offer.prefix == prefix) {
            best.add(&offer, *vertex, &basis.paths);
        }
        while let Some((before, _)) = standing.next_if(|(standing, _)| **standing < prefix) {
            gone.push(*before);
        }
        let route = standing.next_if(|(standing, _)| **standing == prefix);
        match (best.settle(basis), route) {
            (true, Some((_, route))) => has_changed |= best.enter(route, basis),
            (true, None) => added.push((prefix, best.route(prefix))),
            (false, Some(_)) => gone.push(prefix),
            (false, None) => {}
        }
    }
    gone.extend(standing.map(|(prefix, _)| *prefix));
    has_changed |= !gone.is_empty() || !added.is_empty();
    gone.iter().for_each(|prefix| _ = table.remove(prefix));
    table.append(&mut added.into_iter().collect());
    has_changed
}

/// The best way to one prefix, in space that is used for one prefix after the other.
#[derive(Debug, Default)]
struct Best {
    distance: Distance,
    /// Whether it ends at the root itself.
    is_own: bool,
    hops: FirstHopSet,
    advertising: Vec<RouterId>,
    next_hops: Vec<NextHop>,
}

impl Best {
    fn clear(&mut self) {
        self.distance = Distance::INFINITY;
        self.restart();
    }

    fn restart(&mut self) {
        self.is_own = false;
        self.hops.clear();
        self.advertising.clear();
    }

    /// Takes an offer of a router or network into account; those of one prefix come in order.
    fn add(&mut self, offer: &Offer, vertex: Option<VertexIndex>, paths: &Paths<'_>) {
        let reached = vertex.and_then(|vertex| Some((vertex, paths.distance(vertex)?)));
        let Some((vertex, distance)) = reached else { return };
        let distance = distance.plus(offer.metric.into());
        if distance > self.distance || distance == Distance::INFINITY {
            return;
        }
        if distance < self.distance {
            self.distance = distance;
            self.restart();
        }
        if self.advertising.last() != Some(&offer.router) {
            self.advertising.push(offer.router);
        }
        if paths.is_local(vertex) {
            self.is_own = true;
        } else {
            self.hops.extend(paths.hop_bits(vertex));
        }
    }

    /// Finds the next hops; returns whether there is a route.
    fn settle(&mut self, basis: &Basis<'_>) -> bool {
        self.next_hops.clear();
        if self.distance == Distance::INFINITY {
            return false;
        }
        if !self.is_own {
            let known = self.hops.places().filter_map(|place| basis.resolved.get(place).copied().flatten());
            self.next_hops.extend(known.take(basis.equal_cost_max));
        }
        self.is_own || !self.next_hops.is_empty()
    }

    /// Makes a route of it.
    fn route(&self, prefix: IpNet) -> Route {
        Route {
            prefix,
            kind: PathKind::IntraArea,
            distance: self.distance,
            external_metric: 0,
            advertising: self.advertising.clone(),
            next_hops: self.next_hops.clone(),
            alternate: None,
        }
    }

    /// Makes a standing route the one that this is; returns whether it was another.
    fn enter(&self, route: &mut Route, basis: &Basis<'_>) -> bool {
        let alternate = route
            .alternate
            .filter(|alternate| route.next_hops == self.next_hops && basis.neighbors.contains(alternate));
        let rank = (PathKind::IntraArea, self.distance, 0, alternate);
        if (route.kind, route.distance, route.external_metric, route.alternate) == rank
            && route.next_hops == self.next_hops
            && route.advertising == self.advertising
        {
            return false;
        }
        (route.kind, route.distance, route.external_metric, route.alternate) = rank;
        route.next_hops.clone_from(&self.next_hops);
        route.advertising.clone_from(&self.advertising);
        true
    }
}
