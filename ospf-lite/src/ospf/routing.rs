//! Routes from the database: when to calculate them, over which graph, and with which next hops.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{Family, InterfaceId, LinkStateId, RouterId};
use crate::io::{Event, NextHop};
use crate::ospf::area::Area;
use crate::ospf::calculation::{Calculation, Change, Terms};
use crate::ospf::graph::{Edge, VertexId};
use crate::ospf::interface::{Interface, router_options};
use crate::ospf::lsa::{LsType, Lsa, LsaBody, LsaKey, RouterLink, RouterLinkKind, RouterLsa, SequenceNumber};
use crate::ospf::lsdb::{Domain, Entry, LsdbKey};
use crate::ospf::neighbor::Neighbor;
use crate::ospf::outbox::Cx;
use crate::ospf::route::RouteTable;
use crate::ospf::spf_delay::{SpfDelay, SpfDelayInput};
use crate::timer::TimerKey;

/// How long the first routes wait for the neighbors to say that the links to this router are there: as long as
/// MinLSInterval may keep them from it, and the way here.
pub const SETTLE_LINKS: Duration = Duration::from_secs(6);

/// How long an owner that is not going to say so may take to put the first routes to use before a router that returns
/// offers itself for transit.
pub const TRANSIT_DELAY: Duration = Duration::from_secs(1);

/// How long after the routes their alternates are computed in larger areas: the routes go out first.
pub const ALTERNATES_DELAY: Duration = Duration::from_millis(50);

/// The route table and what it takes to keep it right.
#[derive(Debug)]
pub struct Routing {
    delay: SpfDelay,
    calculation: Calculation,
    /// What has changed since the last run.
    stale: Stale,
    /// The own Router-LSAs that were taken in.
    own: BTreeSet<LsaKey>,
    has_database: bool,
    is_settled: bool,
}

#[derive(Debug, Default)]
struct Stale {
    /// LSAs whose content is another; at most the whole database.
    lsas: BTreeSet<LsaKey>,
    /// Which of the own links count.
    links: bool,
}

impl Routing {
    /// Makes one for a router that has no database yet.
    pub fn new(family: Family) -> Self {
        Self {
            delay: SpfDelay::default(),
            calculation: Calculation::new(family),
            stale: Stale { links: true, ..Stale::default() },
            own: BTreeSet::new(),
            has_database: false,
            is_settled: false,
        }
    }

    /// Returns the route table.
    pub const fn table(&self) -> &RouteTable {
        self.calculation.table()
    }

    /// Returns whether the routes have once been calculated from the first database.
    pub const fn has_database(&self) -> bool {
        self.has_database
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
        if !is_pending && !self.has_database {
            self.has_database = true;
            cx.outbox.raise(Event::RoutesChanged);
        }
        let is_linked = || {
            let links = self.links(cx.config.router_id);
            let hops = next_hops(area, cx.config.family);
            hops.iter().all(|hop| links.contains(&(hop.interface, hop.neighbor)))
        };
        let patience_until = since + SETTLE_LINKS;
        if cx.now < patience_until && (is_pending || !is_linked()) {
            cx.timers.arm(TimerKey::Settle, patience_until);
            return;
        }
        tracing::info!(family = %cx.config.family, routes = self.table().len(), "the first routes are in");
        self.is_settled = true;
        cx.timers.disarm(TimerKey::Settle);
        if !cx.config.awaits_installation {
            cx.timers.arm(TimerKey::Transit, cx.now + TRANSIT_DELAY);
        }
        cx.outbox.raise(Event::RoutesChanged);
    }

    /// Returns the links of a router to others that both ends say are there, as the graph has them.
    fn links(&self, router_id: RouterId) -> BTreeSet<(InterfaceId, RouterId)> {
        let graph = self.calculation.graph();
        let root = graph.find(VertexId::Router(router_id));
        let edges = root.map(|root| graph.edges(root)).unwrap_or_default();
        let link = |edge: &Edge| match graph.vertex(edge.to).map(|vertex| vertex.id) {
            Some(VertexId::Router(neighbor)) => Some((edge.interface_id, neighbor)),
            _ => None,
        };
        edges.iter().filter_map(link).collect()
    }

    /// Takes the routes for settled ones.
    pub const fn stand(&mut self) {
        self.is_settled = true;
    }

    /// Calculates, at once or later, if the present input changed anything that routes depend on.
    pub fn handle_changes(&mut self, area: &mut Area, cx: &mut Cx<'_>) {
        if !area.due.topology && !area.due.prefixes && area.due.lsas.is_empty() {
            return;
        }
        area.due.prefixes = false;
        self.stale.links |= std::mem::take(&mut area.due.topology);
        self.stale.lsas.append(&mut area.due.lsas);
        if !cx.config.routes {
            self.stale.lsas.clear();
            return;
        }
        if self.delay.handle_input(SpfDelayInput::Change, self.calculation.graph().len(), cx) {
            self.calculate(area, cx);
        }
    }

    /// Takes in that one of RFC 8405's timers ran out.
    pub fn handle_timeout(&mut self, area: &Area, key: TimerKey, cx: &mut Cx<'_>) {
        let vertices = self.calculation.graph().len();
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
        let Stale { lsas, links } = std::mem::take(&mut self.stale);
        let is_own =
            |key: &LsaKey| key.ls_type == LsType::ROUTER && key.advertising_router == cx.config.router_id;
        let mut changes: Vec<Change> = Vec::with_capacity(lsas.len());
        if links || lsas.iter().any(is_own) {
            let mut local = local_router_lsas(area, cx);
            let before = std::mem::replace(&mut self.own, local.keys().copied().collect());
            let all: BTreeSet<LsaKey> = before.union(&self.own).copied().collect();
            changes.extend(all.into_iter().map(|key| (key, local.remove(&key))));
        }
        let others = lsas.into_iter().filter(|key| !is_own(key));
        changes.extend(others.map(|key| (key, live_lsa(area, &key))));
        let terms = Terms {
            root: cx.config.router_id,
            equal_cost_max: cx.config.equal_cost_max,
            next_hops: next_hops(area, cx.config.family),
            alternates: cx.config.alternates,
        };
        let has_changed = self.calculation.update(changes, terms);
        if self.calculation.owes_alternates() {
            cx.timers.arm_no_later(TimerKey::Alternates, cx.now + ALTERNATES_DELAY);
        }
        tracing::debug!(
            vertices = self.calculation.graph().len(),
            routes = self.table().len(),
            "shortest paths"
        );
        if has_changed {
            cx.outbox.raise(Event::RoutesChanged);
        }
    }

    /// Computes the alternates that the routes still lack.
    pub fn handle_alternates_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.calculation.find_alternates() {
            cx.outbox.raise(Event::RoutesChanged);
        }
    }
}

/// Returns an LSA of the area or the AS if it is in the database and counts.
fn live_lsa(area: &Area, key: &LsaKey) -> Option<Arc<Lsa>> {
    let domain = if key.ls_type == LsType::AS_EXTERNAL { Domain::As } else { Domain::Area };
    let entry = area.lsdb.get(&LsdbKey { domain, lsa: *key })?;
    (!entry.is_flushed()).then(|| Arc::clone(entry.lsa()))
}

/// Returns the own Router-LSAs as this router uses them: with only those links whose adjacency is there, and one even
/// before the first is originated: its routes are wanted in use before others may count on it. A link that has just been lost is not used even while MinLSInterval keeps the
/// Router-LSA from saying so.
fn local_router_lsas(area: &Area, cx: &Cx<'_>) -> BTreeMap<LsaKey, Arc<Lsa>> {
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
            let LsaBody::Router(router) = &lsa.body else { return None };
            let key = lsa.header.key;
            let adjacent = router.links.iter().filter(|link| is_adjacent(area, link));
            let links: Vec<RouterLink> = adjacent.map(|link| with_local_cost(area, *link)).collect();
            if links == router.links {
                return Some((key, Arc::clone(lsa)));
            }
            Some((key, make(key, RouterLsa { links, ..router.clone() })))
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
