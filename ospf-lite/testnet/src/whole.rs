//! A second opinion on routes: worked out from the LSAs as a whole, prefix by prefix, with nothing kept from before.

use std::collections::BTreeMap;

use ipnet::IpNet;
use ospf_lite::ids::{Distance, InterfaceId, RouterId};
use ospf_lite::io::{HopList, NextHop, PathKind, Route};
use ospf_lite::ospf::graph::{VertexId, VertexIndex};
use ospf_lite::ospf::lfa::{End, Neighbors};
use ospf_lite::ospf::lsa::{
    AsExternalLsa, InterAreaPrefixLsa, IntraAreaPrefixLsa, LsType, Lsa, LsaBody, MAX_AGE, Prefix,
    PrefixOptions,
};
use ospf_lite::ospf::spf::{FirstHop, Paths};

/// The best way to each prefix.
pub type Table = BTreeMap<IpNet, Route>;

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
) -> Table {
    let announced = Announced::collect(lsas);
    let mut offers = Offers { paths, sorted: Vec::new() };
    for (router, intra) in &announced.intra {
        offers.add_intra(*router, intra);
    }
    for (router, inter) in &announced.inter_prefixes {
        offers.add_inter(*router, inter);
    }
    offers.sort();
    if !announced.externals.is_empty() {
        offers.add_externals(&announced);
        offers.sort();
    }
    offers.routes(resolve, equal_cost_max)
}

/// What the LSAs announce, each with its Advertising Router.
#[derive(Default)]
struct Announced {
    intra: Vec<(RouterId, IntraAreaPrefixLsa)>,
    inter_prefixes: Vec<(RouterId, InterAreaPrefixLsa)>,
    /// Metric and AS boundary router, by the area border router that announces them.
    inter_routers: Vec<(RouterId, u32, RouterId)>,
    externals: Vec<(RouterId, AsExternalLsa)>,
}

impl Announced {
    fn collect<'a>(lsas: impl IntoIterator<Item = &'a Lsa>) -> Self {
        let mut announced = Self::default();
        for lsa in lsas.into_iter().filter(|lsa| lsa.header().age < MAX_AGE) {
            let router = lsa.header().key.advertising_router;
            match lsa.body() {
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

/// First hops, in order.
type Hops = std::collections::BTreeSet<FirstHop>;

/// How good a path is: the smallest is the best (RFC 2328 sections 11 and 16.4, step 6).
type Rank = (PathKind, u32, Distance);

/// One router's path to a prefix.
struct Offer {
    prefix: IpNet,
    rank: Rank,
    router: RouterId,
    way: Way,
}

/// Where a path leads.
#[derive(Clone)]
enum Way {
    /// To a vertex.
    To(VertexIndex),
    /// By these first hops.
    By(Hops),
}

/// All paths to all prefixes.
struct Offers<'p, 'g> {
    paths: &'p Paths<'g>,
    /// By prefix, then best first; but for what was added since the last time.
    sorted: Vec<Offer>,
}

impl Offers<'_, '_> {
    fn sort(&mut self) {
        self.sorted.sort_by_key(|offer| (order(offer.prefix), offer.rank, offer.router));
    }

    /// Adds a path, unless it is endless.
    fn add(&mut self, prefix: Prefix, rank: Rank, router: RouterId, way: Way) {
        if rank.2 < Distance::INFINITY && !prefix.options.contains(PrefixOptions::NU) {
            self.sorted.push(Offer { prefix: prefix.net, rank, router, way });
        }
    }

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
        if referenced.advertising_router != router {
            return;
        }
        let Some((vertex, distance)) = self.reach(id) else { return };
        for (prefix, metric) in &intra.prefixes {
            let rank = (PathKind::IntraArea, 0, distance.plus(u32::from(*metric)));
            self.add(*prefix, rank, router, Way::To(vertex));
        }
    }

    /// Adds a prefix of another area (RFC 5340 section 4.8.3). What the root itself announces is no path.
    fn add_inter(&mut self, router: RouterId, inter: &InterAreaPrefixLsa) {
        if let Some((vertex, distance)) = self.border(router) {
            let rank = (PathKind::InterArea, 0, distance.plus(inter.metric));
            self.add(inter.prefix, rank, router, Way::To(vertex));
        }
    }

    /// Adds the prefixes from outside (RFC 5340 section 4.8.4), after those from inside are sorted. What the root itself
    /// announces is no path.
    fn add_externals(&mut self, announced: &Announced) {
        let boundary = self.boundary_routers(&announced.inter_routers);
        let mut found = Vec::new();
        for (router, external) in &announced.externals {
            if let Some(boundary) = boundary.get(router)
                && external.metric < Distance::INFINITY.0
                && let Some((distance, way)) = self.external_way(external, boundary)
            {
                let rank = match external.type2 {
                    true => (PathKind::External2, external.metric, distance),
                    false => (PathKind::External1, 0, distance.plus(external.metric)),
                };
                found.push((external.prefix, rank, *router, way));
            }
        }
        for (prefix, rank, router, way) in found {
            self.add(prefix, rank, router, way);
        }
    }

    /// Returns the way to each AS boundary router but the root: inside the area, else by area border routers.
    fn boundary_routers(
        &self,
        announced: &[(RouterId, u32, RouterId)],
    ) -> BTreeMap<RouterId, (Distance, Way)> {
        let mut by_border: BTreeMap<RouterId, (Distance, Hops)> = BTreeMap::new();
        for (border, metric, router) in announced {
            let Some((vertex, distance)) = self.border(*border) else { continue };
            let distance = distance.plus(*metric);
            let known = by_border.entry(*router).or_insert((Distance::INFINITY, Hops::default()));
            if distance < known.0 {
                *known = (distance, Hops::default());
            }
            if distance == known.0 {
                known.1.extend(self.paths.first_hops(vertex));
            }
        }
        let mut boundary: BTreeMap<RouterId, (Distance, Way)> = by_border
            .into_iter()
            .map(|(router, (distance, hops))| (router, (distance, Way::By(hops))))
            .collect();
        for (index, vertex) in self.paths.graph().vertices() {
            let VertexId::Router(router) = vertex.id else { continue };
            if self.paths.is_local(index) {
                boundary.remove(&router);
            } else if vertex.external
                && let Some(distance) = self.paths.distance(index)
            {
                boundary.insert(router, (distance, Way::To(index)));
            }
        }
        boundary
    }

    /// Returns the way an external prefix is sent: to the forwarding address if there is one, else to the boundary router
    /// (RFC 2328 section 16.4, step 3). A forwarding address on the root's own link is reached by the boundary router
    /// too, because a next hop here is always an OSPF neighbor.
    fn external_way(&self, external: &AsExternalLsa, boundary: &(Distance, Way)) -> Option<(Distance, Way)> {
        let Some(address) = external.forwarding_address.filter(|address| !address.is_unspecified()) else {
            return Some(boundary.clone());
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let found = (0..=longest).rev().find_map(|length| {
            let offers = self.best(IpNet::new(address, length).ok()?.trunc());
            Some((offers.first()?.rank.2, self.join(offers)))
        });
        match found? {
            (_, None) => Some(boundary.clone()),
            (distance, Some(hops)) => Some((distance, Way::By(hops))),
        }
    }

    /// Returns the best paths to a prefix, which are equally good.
    fn best(&self, prefix: IpNet) -> &[Offer] {
        let start = self.sorted.partition_point(|offer| order(offer.prefix) < order(prefix));
        let rest = self.sorted.get(start..).unwrap_or_default();
        let Some(rank) = rest.first().filter(|offer| offer.prefix == prefix).map(|offer| offer.rank) else {
            return &[];
        };
        let count = rest.iter().take_while(|offer| offer.prefix == prefix && offer.rank == rank).count();
        rest.get(..count).unwrap_or_default()
    }

    /// Returns the first hops of all of these paths, or nothing when one ends at the root itself.
    fn join(&self, offers: &[Offer]) -> Option<Hops> {
        let mut hops = Hops::default();
        for offer in offers {
            match &offer.way {
                Way::To(vertex) if self.paths.is_local(*vertex) => return None,
                Way::To(vertex) => hops.extend(self.paths.first_hops(*vertex)),
                Way::By(set) => hops.extend(set),
            }
        }
        Some(hops)
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

    /// Returns the route to each prefix.
    fn routes(&self, resolve: impl Fn(FirstHop) -> Option<NextHop>, equal_cost_max: usize) -> Table {
        let groups = self.sorted.chunk_by(|one, other| one.prefix == other.prefix);
        let routes = groups.filter_map(|group| {
            let first = group.first()?;
            let best = group.get(..group.partition_point(|offer| offer.rank == first.rank))?;
            let mut next_hops = Vec::new();
            if let Some(hops) = self.join(best) {
                next_hops.extend(hops.into_iter().filter_map(&resolve).take(equal_cost_max));
                if next_hops.is_empty() {
                    return None;
                }
            }
            let mut advertising: Vec<RouterId> = best.iter().map(|offer| offer.router).collect();
            advertising.dedup();
            let (kind, external_metric, distance) = first.rank;
            let prefix = first.prefix;
            let alternates = HopList::default();
            let (advertising, next_hops) =
                (advertising.into_iter().collect(), next_hops.into_iter().collect());
            Some((prefix, Route { kind, distance, external_metric, advertising, next_hops, alternates }))
        });
        routes.collect()
    }
}

/// Returns the place of a prefix among those of its family, as numbers, which are compared faster than addresses.
fn order(prefix: IpNet) -> (u128, u8) {
    let address = match prefix {
        IpNet::V4(net) => u128::from(u32::from(net.addr())),
        IpNet::V6(net) => u128::from(net.addr()),
    };
    (address, prefix.prefix_len())
}

/// Enters the alternates of each route that has any.
pub fn protect<'a>(
    paths: &Paths<'_>,
    table: &mut Table,
    lsas: impl IntoIterator<Item = &'a Lsa>,
    resolve: impl Fn(FirstHop) -> Option<NextHop>,
) {
    let neighbors = Neighbors::of(paths, resolve);
    let mut ends = Ends { paths, table, found: BTreeMap::new() };
    for lsa in lsas.into_iter().filter(|lsa| lsa.header().age < MAX_AGE) {
        ends.add(lsa);
    }
    for (prefix, ends) in ends.found {
        if let Some(route) = table.get_mut(&prefix) {
            let mut alternates = Vec::new();
            neighbors.alternates(route, &ends, &mut alternates);
            route.alternates = alternates.into_iter().collect();
        }
    }
}

/// Where the routes with one next hop lead.
struct Ends<'p, 'g> {
    paths: &'p Paths<'g>,
    table: &'p Table,
    found: BTreeMap<IpNet, Vec<End>>,
}

impl Ends<'_, '_> {
    fn add(&mut self, lsa: &Lsa) {
        let router = VertexId::Router(lsa.header().key.advertising_router);
        match lsa.body() {
            LsaBody::IntraAreaPrefix(intra) => self.add_intra(router, &intra),
            LsaBody::InterAreaPrefix(inter) => {
                self.add_end(router, &inter.prefix, (PathKind::InterArea, inter.metric));
            }
            LsaBody::AsExternal(external) => self.add_external(router, &external),
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
