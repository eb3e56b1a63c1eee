//! The best of several offers of a prefix (RFC 2328 sections 16.1 to 16.4, RFC 5340 section 4.8), and its alternates.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::ids::{Distance, RouterId};
use crate::io::{HopList, NextHop, PathKind, Route};
use crate::ospf::announced::{Announced, Offer, Said};
use crate::ospf::graph::{VertexId, VertexIndex};
use crate::ospf::lfa::End;
use crate::ospf::spf::{FirstHopSet, Paths};

/// What routes follow from, besides what is announced of their prefixes.
pub struct Basis<'p> {
    /// The shortest paths.
    pub paths: Paths<'p>,
    /// How to reach each of their first hops, in the order of [`Paths::hops`]; nothing for one without an address.
    pub resolved: Vec<Option<NextHop>>,
    /// How many next hops a route keeps at most.
    pub equal_cost_max: usize,
    /// The neighbors that alternates may lead over; none where there are no alternates.
    pub neighbors: &'p [NextHop],
    /// Who announces routers of other areas.
    pub announced: &'p Announced,
    /// What is announced of any prefix.
    pub offers_of: &'p dyn Fn(&IpNet) -> &'p [Offer],
}

/// How good a way is: the smallest is the best (RFC 2328 sections 11 and 16.4, step 6).
type Rank = (PathKind, u32, Distance);

/// Where a way leads.
enum Way {
    /// To a vertex.
    To(VertexIndex),
    /// By these first hops.
    By(FirstHopSet),
}

/// The best of the offers of one prefix, in space that is used for one after the other.
#[derive(Debug, Default)]
pub struct Best {
    rank: Option<Rank>,
    /// Whether it ends at the root itself.
    is_own: bool,
    hops: FirstHopSet,
    advertising: Vec<RouterId>,
    next_hops: Vec<NextHop>,
}

impl Best {
    /// Finds the best of these offers, which are in order. Prefixes of several routers at the same distance become one route
    /// with the next hops of all; without any next hop there is none, unless the prefix is the root's own. Returns whether
    /// there is a route.
    pub fn find(&mut self, offers: &[Offer], basis: &Basis<'_>) -> bool {
        self.gather(
            offers.iter().filter_map(|offer| {
                let (rank, way) = basis.way(offer)?;
                Some((rank, offer.router, way))
            }),
            &basis.paths,
        );
        self.next_hops.clear();
        if self.rank.is_none() {
            return false;
        }
        if !self.is_own {
            let known = self.hops.places().filter_map(|place| basis.resolved.get(place).copied().flatten());
            self.next_hops.extend(known.take(basis.equal_cost_max));
        }
        self.is_own || !self.next_hops.is_empty()
    }

    /// Takes the best of these ways together.
    fn gather(&mut self, ways: impl Iterator<Item = (Rank, RouterId, Way)>, paths: &Paths<'_>) {
        self.restart(None);
        for (rank, router, way) in ways {
            if rank.2 == Distance::INFINITY || self.rank.is_some_and(|best| rank > best) {
                continue;
            }
            if self.rank != Some(rank) {
                self.restart(Some(rank));
            }
            if self.advertising.last() != Some(&router) {
                self.advertising.push(router);
            }
            match way {
                Way::To(vertex) if paths.is_local(vertex) => self.is_own = true,
                Way::To(vertex) => self.hops.extend(paths.hop_bits(vertex)),
                Way::By(hops) => self.hops.extend(hops.bits()),
            }
        }
    }

    fn restart(&mut self, rank: Option<Rank>) {
        self.rank = rank;
        self.is_own = false;
        self.hops.clear();
        self.advertising.clear();
    }

    /// Returns the route that this is, with those alternates that the prefix had before that can still be used; nothing where
    /// it is the one before. What is as it was is shared with that one, and next hops with all routes that have the same.
    pub fn route(&self, before: Option<&Route>, basis: &Basis<'_>, known: &mut HopLists) -> Option<Route> {
        let (kind, external_metric, distance) = self.rank?;
        let kept = before.filter(|before| *before.next_hops == *self.next_hops);
        let alternates = kept.map(|before| before.alternates.clone()).unwrap_or_default();
        let is_usable = |alternate: &&NextHop| basis.neighbors.contains(alternate);
        let alternates = match alternates.iter().all(|alternate| is_usable(&alternate)) {
            true => alternates,
            false => known.share(&alternates.iter().filter(is_usable).copied().collect::<Vec<_>>()),
        };
        let is_same = before.is_some_and(|before| {
            (before.kind, before.external_metric, before.distance) == (kind, external_metric, distance)
                && before.alternates == alternates
                && *before.next_hops == *self.next_hops
                && *before.advertising == *self.advertising
        });
        (!is_same).then(|| Route {
            kind,
            distance,
            external_metric,
            advertising: match before.filter(|before| *before.advertising == *self.advertising) {
                Some(before) => before.advertising.clone(),
                None => self.advertising.iter().copied().collect(),
            },
            next_hops: known.share(&self.next_hops),
            alternates,
        })
    }
}

/// The lists of next hops and alternates that routes have, each once.
#[derive(Debug, Default)]
pub struct HopLists {
    held: BTreeSet<HopList>,
    /// How many there may be before they are looked through for those that no route has any more.
    room: usize,
}

/// How many lists there may be at least.
const LISTS_MIN: usize = 16;

impl HopLists {
    /// Makes one without any.
    pub const fn new() -> Self {
        Self { held: BTreeSet::new(), room: LISTS_MIN }
    }

    /// Returns the one list of these next hops.
    pub fn share(&mut self, next_hops: &[NextHop]) -> HopList {
        if let Some(held) = self.held.get(next_hops) {
            return held.clone();
        }
        if self.held.len() >= self.room {
            self.held.retain(|list| list.shares() > 1);
            self.room = LISTS_MIN.max(2 * self.held.len());
        }
        let list: HopList = next_hops.iter().copied().collect();
        self.held.insert(list.clone());
        list
    }
}

impl Basis<'_> {
    /// Returns the way that an offer means, if there is one. What the root itself announces of other areas or from outside is
    /// none.
    fn way(&self, offer: &Offer) -> Option<(Rank, Way)> {
        match offer.said {
            Said::Router { .. } | Said::Network { .. } | Said::OtherArea { .. } => {
                let (rank, vertex) = self.inside(offer)?;
                Some((rank, Way::To(vertex)))
            }
            Said::Outside { is_type2, metric, forwarding } => {
                let (distance, way) = self.outside(offer.router, forwarding)?;
                let rank = match is_type2 {
                    true => (PathKind::External2, metric, distance),
                    false => (PathKind::External1, 0, distance.plus(metric)),
                };
                Some((rank, way))
            }
        }
    }

    /// Returns where an offer from inside the system leads.
    fn inside(&self, offer: &Offer) -> Option<(Rank, VertexIndex)> {
        let (vertex, distance) = match offer.said {
            Said::Router { .. } | Said::Network { .. } => self.reach(offer.end()),
            Said::OtherArea { .. } => self.border(offer.router),
            Said::Outside { .. } => None,
        }?;
        let rank = match offer.said {
            Said::OtherArea { metric } => (PathKind::InterArea, 0, distance.plus(metric)),
            Said::Router { metric } | Said::Network { metric, .. } => {
                (PathKind::IntraArea, 0, distance.plus(metric.into()))
            }
            Said::Outside { .. } => return None,
        };
        Some((rank, vertex))
    }

    /// Returns the way a prefix from outside is sent: to the forwarding address if there is one, else to the boundary router
    /// (RFC 2328 section 16.4, step 3). A forwarding address on the root's own link is reached by the boundary router
    /// too, because a next hop here is always an OSPF neighbor.
    fn outside(&self, router: RouterId, forwarding: Option<IpAddr>) -> Option<(Distance, Way)> {
        let boundary = self.boundary(router)?;
        let Some(address) = forwarding else { return Some(boundary) };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let mut best = Best::default();
        for length in (0..=longest).rev() {
            let offers = (self.offers_of)(&IpNet::new(address, length).ok()?.trunc());
            let inside = offers.iter().filter_map(|offer| {
                let (rank, vertex) = self.inside(offer)?;
                Some((rank, offer.router, Way::To(vertex)))
            });
            best.gather(inside, &self.paths);
            match best.rank {
                Some(_) if best.is_own => return Some(boundary),
                Some((_, _, distance)) => return Some((distance, Way::By(best.hops))),
                None => {}
            }
        }
        None
    }

    /// Returns the way to an AS boundary router but the root: inside the area, else by area border routers.
    fn boundary(&self, router: RouterId) -> Option<(Distance, Way)> {
        let graph = self.paths.graph();
        if let Some(vertex) = graph.find(VertexId::Router(router)) {
            if self.paths.is_local(vertex) {
                return None;
            }
            if graph.vertex(vertex).is_some_and(|vertex| vertex.external)
                && let Some(distance) = self.paths.distance(vertex)
            {
                return Some((distance, Way::To(vertex)));
            }
        }
        let mut best = Best::default();
        let ways = self.announced.ways_to(router).filter_map(|(border, metric)| {
            let (vertex, distance) = self.border(border)?;
            Some(((PathKind::InterArea, 0, distance.plus(metric)), border, Way::To(vertex)))
        });
        best.gather(ways, &self.paths);
        best.rank.map(|(_, _, distance)| (distance, Way::By(best.hops)))
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

    /// Returns where a route with these offers ends: the routers and networks that it leads to, and the metric from there. None
    /// of a route by a forwarding address or to a router of another area.
    pub fn ends(&self, offers: &[Offer], route: &Route) -> Vec<End> {
        let end = |offer: &Offer| {
            let (kind, metric) = match offer.said {
                Said::Router { metric } | Said::Network { metric, .. } => {
                    (PathKind::IntraArea, u32::from(metric))
                }
                Said::OtherArea { metric } => (PathKind::InterArea, metric),
                Said::Outside { forwarding: Some(_), .. } => return None,
                Said::Outside { is_type2: false, metric, .. } => (PathKind::External1, metric),
                Said::Outside { metric, .. } if metric == route.external_metric => (PathKind::External2, 0),
                Said::Outside { .. } => return None,
            };
            let (vertex, distance) = self.reach(offer.end()).filter(|_| kind == route.kind)?;
            (distance.plus(metric) == route.distance).then_some((vertex, metric))
        };
        offers.iter().filter_map(end).collect()
    }
}
