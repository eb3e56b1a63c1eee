//! Routes from the database: when to calculate them, over which graph, and with which next hops.

use std::net::{IpAddr, Ipv4Addr};

use crate::ids::{Family, InterfaceId};
use crate::io::{Event, NextHop};
use crate::ospf::area::Area;
use crate::ospf::graph::Graph;
use crate::ospf::lsa::{LsType, Lsa, LsaBody, RouterLink};
use crate::ospf::lsdb::Domain;
use crate::ospf::neighbor::{Neighbor, NeighborState};
use crate::ospf::outbox::Cx;
use crate::ospf::route::{self, RouteTable};
use crate::ospf::spf::{self, FirstHop};
use crate::ospf::spf_delay::{SpfDelay, SpfDelayInput};
use crate::timer::TimerKey;

/// The route table and what it takes to keep it right.
#[derive(Debug, Default)]
pub struct Routing {
    delay: SpfDelay,
    graph: Graph,
    is_graph_stale: bool,
    table: RouteTable,
}

impl Routing {
    /// Returns the route table.
    pub const fn table(&self) -> &RouteTable {
        &self.table
    }

    /// Calculates, at once or later, if the present input changed anything that routes depend on.
    pub fn handle_changes(&mut self, area: &mut Area, cx: &mut Cx<'_>) {
        if !area.due.topology && !area.due.prefixes {
            return;
        }
        self.is_graph_stale |= area.due.topology;
        area.due.topology = false;
        area.due.prefixes = false;
        if self.delay.handle_input(SpfDelayInput::Change, cx) {
            self.calculate(area, cx);
        }
    }

    /// Takes in that one of RFC 8405's timers ran out.
    pub fn handle_timeout(&mut self, area: &Area, key: TimerKey, cx: &mut Cx<'_>) {
        let is_due = match key {
            TimerKey::Learn => self.delay.handle_input(SpfDelayInput::LearnTimer, cx),
            TimerKey::Holddown => self.delay.handle_input(SpfDelayInput::HolddownTimer, cx),
            _ => true,
        };
        if is_due {
            self.calculate(area, cx);
        }
    }

    fn calculate(&mut self, area: &Area, cx: &mut Cx<'_>) {
        if self.is_graph_stale {
            self.graph = local_graph(area, cx);
            self.is_graph_stale = false;
        }
        let paths = spf::shortest_paths(&self.graph, cx.config.router_id);
        let lsas = area.lsdb.live().map(|(_, entry)| &**entry.lsa());
        let family = cx.config.family;
        let resolve = |hop: FirstHop| next_hop(area, family, hop);
        let table = route::routes(&paths, lsas, cx.config.equal_cost_max, resolve);
        tracing::debug!(vertices = self.graph.len(), routes = table.len(), "shortest paths");
        if table != self.table {
            self.table = table;
            cx.outbox.raise(Event::RoutesChanged);
        }
    }
}

/// Returns the graph as this router uses it: of its own links only those whose adjacency is Full. A link that has just
/// been lost is not used even while MinLSInterval keeps the Router-LSA from saying so.
fn local_graph(area: &Area, cx: &Cx<'_>) -> Graph {
    let mut lost: Vec<Lsa> = Vec::new();
    let mut lsas: Vec<&Lsa> = Vec::new();
    for (key, entry) in area.lsdb.live() {
        let lsa = &**entry.lsa();
        match &lsa.body {
            LsaBody::Router(router)
                if key.lsa.advertising_router == cx.config.router_id
                    && !router.links.iter().all(|link| is_adjacent(area, link)) =>
            {
                let mut router = router.clone();
                router.links.retain(|link| is_adjacent(area, link));
                lost.push(Lsa::originate(key.lsa, lsa.header.sequence, 0, LsaBody::Router(router)));
            }
            LsaBody::Router(_) | LsaBody::Network(_) => lsas.push(lsa),
            _ => {}
        }
    }
    Graph::from_lsas(lsas.into_iter().chain(&lost), cx.config.family)
}

fn is_adjacent(area: &Area, link: &RouterLink) -> bool {
    full_neighbor(area, link.interface_id)
        .is_some_and(|neighbor| neighbor.router_id == link.neighbor_router_id)
}

fn full_neighbor(area: &Area, id: InterfaceId) -> Option<&Neighbor> {
    area.interfaces.get(&id)?.neighbor.as_ref().filter(|neighbor| neighbor.state == NeighborState::Full)
}

/// Returns how to reach the first router of a path (RFC 5340 section 4.8.2, RFC 5838 section 2.5).
fn next_hop(area: &Area, family: Family, hop: FirstHop) -> Option<NextHop> {
    let neighbor =
        full_neighbor(area, hop.interface).filter(|neighbor| neighbor.router_id == hop.neighbor)?;
    Some(NextHop {
        interface: hop.interface,
        neighbor: hop.neighbor,
        link_local: neighbor.address,
        ipv4: match family {
            Family::Ipv6 => None,
            Family::Ipv4 => ipv4_address(area, hop),
        },
    })
}

/// Returns the IPv4 address in the neighbor's Link-LSA.
fn ipv4_address(area: &Area, hop: FirstHop) -> Option<Ipv4Addr> {
    let (_, entry) = area.lsdb.domain(Domain::Link(hop.interface)).find(|(key, entry)| {
        key.lsa.ls_type == LsType::LINK && key.lsa.advertising_router == hop.neighbor && !entry.is_flushed()
    })?;
    let LsaBody::Link(link) = &entry.lsa().body else {
        return None;
    };
    let [a, b, c, d, ..] = link.address.octets();
    let address = Ipv4Addr::new(a, b, c, d);
    let is_usable =
        !IpAddr::V4(address).is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    is_usable.then_some(address)
}
