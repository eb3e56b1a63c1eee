//! Routes from the database: when to calculate them, over which graph, and with which next hops.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::ids::{Family, InterfaceId, LinkStateId, RouterId};
use crate::io::{Event, NextHop};
use crate::ospf::area::Area;
use crate::ospf::graph::{Edge, Graph, VertexId};
use crate::ospf::interface::{Interface, router_options};
use crate::ospf::lfa;
use crate::ospf::lsa::{LsType, Lsa, LsaBody, LsaKey, RouterLink, RouterLsa, SequenceNumber};
use crate::ospf::lsdb::Domain;
use crate::ospf::neighbor::Neighbor;
use crate::ospf::outbox::Cx;
use crate::ospf::route::{self, RouteTable};
use crate::ospf::spf::{self, FirstHop};
use crate::ospf::spf_delay::{SpfDelay, SpfDelayInput};
use crate::timer::TimerKey;

/// How long the first routes wait for the neighbors to say that the links to this router are there: as long as
/// MinLSInterval may keep them from it, and the way here.
pub const SETTLE_LINKS: Duration = Duration::from_secs(6);

/// How long the owner may take to put the first routes to use before a router that returns offers itself for transit.
pub const TRANSIT_DELAY: Duration = Duration::from_secs(1);

/// Up to so many vertices in all neighbors' trees, alternates are computed together with the routes; that takes less than
/// a millisecond.
pub const ALTERNATES_AT_ONCE_MAX: usize = 4_096;

/// How long after the routes their alternates are computed in larger areas: the routes go out first.
pub const ALTERNATES_DELAY: Duration = Duration::from_millis(50);

/// The route table and what it takes to keep it right.
#[derive(Debug, Default)]
pub struct Routing {
    delay: SpfDelay,
    graph: Graph,
    next_hops: Vec<NextHop>,
    /// Which parts of the database have changed since the last run.
    stale: Stale,
    table: RouteTable,
    is_settled: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Stale {
    topology: bool,
    prefixes: bool,
}

impl Routing {
    /// Returns the route table.
    pub const fn table(&self) -> &RouteTable {
        &self.table
    }

    /// Returns whether the routes have once been those of a complete database.
    pub const fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Settles when the first database is in, the routes are calculated from it, and both ends of this router's links
    /// are in it; of the last, for [`SETTLE_LINKS`] at most.
    pub fn handle_settling(&mut self, area: &Area, cx: &mut Cx<'_>) {
        let Some(since) = area.settled_at().filter(|_| !self.is_settled) else {
            return;
        };
        let is_pending = cx.timers.deadline(TimerKey::ShortestPaths).is_some();
        let is_linked =
            || next_hops(area, cx.config.family).iter().all(|hop| self.has_link(cx.config.router_id, hop));
        let patience_until = since + SETTLE_LINKS;
        if cx.now < patience_until && (is_pending || !is_linked()) {
            cx.timers.arm(TimerKey::Settle, patience_until);
            return;
        }
        tracing::info!(family = %cx.config.family, routes = self.table.len(), "the first routes are in");
        self.is_settled = true;
        cx.timers.disarm(TimerKey::Settle);
        cx.timers.arm(TimerKey::Transit, cx.now + TRANSIT_DELAY);
        cx.outbox.raise(Event::RoutesChanged);
    }

    fn has_link(&self, router_id: RouterId, hop: &NextHop) -> bool {
        let leads_there = |edge: &Edge| {
            edge.interface_id == hop.interface
                && self.graph.find(VertexId::Router(hop.neighbor)) == Some(edge.to)
        };
        let root = self.graph.find(VertexId::Router(router_id));
        root.is_some_and(|root| self.graph.edges(root).iter().any(leads_there))
    }

    /// Calculates, at once or later, if the present input changed anything that routes depend on.
    pub fn handle_changes(&mut self, area: &mut Area, cx: &mut Cx<'_>) {
        if !area.due.topology && !area.due.prefixes {
            return;
        }
        self.stale.topology |= area.due.topology;
        self.stale.prefixes |= area.due.prefixes;
        area.due.topology = false;
        area.due.prefixes = false;
        if self.delay.handle_input(SpfDelayInput::Change, self.graph.len(), cx) {
            self.calculate(area, cx);
        }
    }

    /// Takes in that one of RFC 8405's timers ran out.
    pub fn handle_timeout(&mut self, area: &Area, key: TimerKey, cx: &mut Cx<'_>) {
        let vertices = self.graph.len();
        let is_due = match key {
            TimerKey::Learn => self.delay.handle_input(SpfDelayInput::LearnTimer, vertices, cx),
            TimerKey::Holddown => self.delay.handle_input(SpfDelayInput::HolddownTimer, vertices, cx),
            _ => true,
        };
        if is_due {
            self.calculate(area, cx);
        }
    }

    fn calculate(&mut self, area: &Area, cx: &mut Cx<'_>) {
        let stale = std::mem::take(&mut self.stale);
        let next_hops = next_hops(area, cx.config.family);
        let graph = if stale.topology || self.graph.is_empty() { Some(local_graph(area, cx)) } else { None };
        let graph = graph.filter(|graph| *graph != self.graph);
        if graph.is_none() && !stale.prefixes && next_hops == self.next_hops {
            // One end of a link says what only counts when the other end says so too.
            return;
        }
        self.next_hops = next_hops;
        if let Some(graph) = graph {
            self.graph = graph;
        }
        let paths = spf::shortest_paths(&self.graph, cx.config.router_id);
        let resolve = |hop| resolve(&self.next_hops, hop);
        let mut table = route::routes(&paths, prefix_lsas(area), cx.config.equal_cost_max, resolve);
        if cx.config.alternates && self.next_hops.len() > 1 {
            let alternates = if self.graph.len() * self.next_hops.len() <= ALTERNATES_AT_ONCE_MAX {
                lfa::alternates(&paths, &table, prefix_lsas(area), resolve)
            } else {
                cx.timers.arm_no_later(TimerKey::Alternates, cx.now + ALTERNATES_DELAY);
                lfa::still_usable(&self.table, &table, &self.next_hops)
            };
            lfa::protect(&mut table, &alternates);
        }
        tracing::debug!(vertices = self.graph.len(), routes = table.len(), "shortest paths");
        if table != self.table {
            self.table = table;
            cx.outbox.raise(Event::RoutesChanged);
        }
    }

    /// Computes the alternates of the routes that stand.
    pub fn handle_alternates_timeout(&mut self, area: &Area, cx: &mut Cx<'_>) {
        let paths = spf::shortest_paths(&self.graph, cx.config.router_id);
        let resolve = |hop| resolve(&self.next_hops, hop);
        let alternates = lfa::alternates(&paths, &self.table, prefix_lsas(area), resolve);
        let is_same =
            self.table.values().all(|route| route.alternate == alternates.get(&route.prefix).copied());
        if !is_same {
            self.table.values_mut().for_each(|route| route.alternate = None);
            lfa::protect(&mut self.table, &alternates);
            cx.outbox.raise(Event::RoutesChanged);
        }
    }
}

/// Returns how to reach a first hop.
fn resolve(next_hops: &[NextHop], hop: FirstHop) -> Option<NextHop> {
    let at = |next: &NextHop| (next.interface, next.neighbor);
    let place = next_hops.binary_search_by_key(&(hop.interface, hop.neighbor), at).ok()?;
    next_hops.get(place).copied()
}

/// Returns the LSAs that announce prefixes, or routers of other areas.
fn prefix_lsas(area: &Area) -> impl Iterator<Item = &Lsa> {
    [
        (Domain::Area, LsType::INTRA_AREA_PREFIX),
        (Domain::Area, LsType::INTER_AREA_PREFIX),
        (Domain::Area, LsType::INTER_AREA_ROUTER),
        (Domain::As, LsType::AS_EXTERNAL),
    ]
    .into_iter()
    .flat_map(|(domain, ls_type)| area.lsdb.live_of(domain, ls_type))
    .map(|(_, entry)| &**entry.lsa())
}

/// Returns the graph as this router uses it: of its own links only those whose adjacency is there, and itself even before
/// its first Router-LSA. A link that has just been lost is not used even while MinLSInterval keeps the Router-LSA from
/// saying so.
fn local_graph(area: &Area, cx: &Cx<'_>) -> Graph {
    let router_id = cx.config.router_id;
    let (own, others): (Vec<_>, Vec<_>) = area
        .lsdb
        .live_of(Domain::Area, LsType::ROUTER)
        .partition(|(key, _)| key.lsa.advertising_router == router_id);
    let without_links = RouterLsa {
        border: false,
        external: false,
        virtual_endpoint: false,
        options: router_options(cx.config.family, area.offers_transit()),
        links: Vec::new(),
    };
    let first =
        LsaKey { ls_type: LsType::ROUTER, link_state_id: LinkStateId(0), advertising_router: router_id };
    let make = |key, router| Lsa::originate(key, SequenceNumber::INITIAL, 0, LsaBody::Router(router));
    let mut local: Vec<Lsa> = own
        .iter()
        .filter_map(|(key, entry)| match &entry.lsa().body {
            LsaBody::Router(router) => {
                let adjacent = router.links.iter().filter(|link| is_adjacent(area, link));
                let links = adjacent.map(|link| with_local_cost(area, *link)).collect();
                Some(make(key.lsa, RouterLsa { links, ..router.clone() }))
            }
            _ => None,
        })
        .collect();
    if local.is_empty() {
        local.push(make(first, without_links));
    }
    let networks = area.lsdb.live_of(Domain::Area, LsType::NETWORK);
    let others = others.into_iter().chain(networks).map(|(_, entry)| &**entry.lsa());
    Graph::from_lsas(others.chain(&local), cx.config.family)
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

/// Returns how to reach each neighbor whose link counts, in the order of the interfaces (RFC 5340 section 4.8.2, RFC 5838
/// section 2.5).
fn next_hops(area: &Area, family: Family) -> Vec<NextHop> {
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
    let LsaBody::Link(link) = &entry.lsa().body else {
        return None;
    };
    let [a, b, c, d, ..] = link.address.octets();
    let address = Ipv4Addr::new(a, b, c, d);
    let is_usable =
        !IpAddr::V4(address).is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    is_usable.then_some(address)
}
