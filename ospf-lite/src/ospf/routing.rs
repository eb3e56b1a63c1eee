//! Routes from the database: when to calculate them, over which graph, and with which next hops.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{Family, InterfaceId, RouterId};
use crate::io::Event;
use crate::ospf::area::Area;
use crate::ospf::calculation::{Calculation, Change, Terms};
use crate::ospf::graph::{Edge, VertexId, VertexIndex};
use crate::ospf::local::{self, Local};
use crate::ospf::lsa::{LsType, Lsa, LsaKey};
use crate::ospf::lsdb::{Domain, LsdbKey};
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
    /// This router as it was taken in.
    local: Local,
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
            local: Local::default(),
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
            let hops = local::next_hops(area, cx.config.family);
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

    /// Goes through the routers from which another one can be reached without this router, that one included, until
    /// `is_enough` says so; returns whether it did.
    pub fn is_reached(&self, router: RouterId, mut is_enough: impl FnMut(RouterId) -> bool) -> bool {
        let graph = self.calculation.graph();
        let end = VertexId::Router(router);
        let mut waiting: Vec<VertexIndex> = graph.find(end).into_iter().collect();
        let mut seen: BTreeSet<VertexIndex> = self.calculation.paths().root().into_iter().collect();
        seen.extend(&waiting);
        while let Some(index) = waiting.pop() {
            let Some(vertex) = graph.vertex(index) else { continue };
            if matches!(vertex.id, VertexId::Router(router) if is_enough(router)) {
                return true;
            }
            if vertex.transits || vertex.id == end {
                let before = graph.edges(index).iter().map(|edge| edge.to);
                waiting.extend(before.filter(|to| seen.insert(*to)));
            }
        }
        false
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
        let has_links = std::mem::take(&mut area.due.topology) | std::mem::take(&mut area.due.prefixes);
        if area.due.lsas.is_empty() && self.local.is_as(&Local::new(area, cx)) {
            // As when an adjacency comes that is not told of yet.
            return;
        }
        self.stale.links |= has_links;
        self.stale.lsas.append(&mut area.due.lsas);
        if !cx.config.routes {
            self.stale.lsas.clear();
            return;
        }
        let vertices = self.calculation.graph().len();
        if self.delay.handle_input(SpfDelayInput::Change, vertices, cx) && !self.calculate(area, cx) {
            // Nothing depends on it, as on one end's word of a link: the next change is the first.
            self.delay.handle_input(SpfDelayInput::HolddownTimer, vertices, cx);
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

    /// Calculates; returns whether the topology is another one, or what is announced in it.
    fn calculate(&mut self, area: &Area, cx: &mut Cx<'_>) -> bool {
        let Stale { lsas, links } = std::mem::take(&mut self.stale);
        let is_own =
            |key: &LsaKey| key.ls_type == LsType::ROUTER && key.advertising_router == cx.config.router_id;
        let mut changes: Vec<Change> = Vec::with_capacity(lsas.len());
        if links || lsas.iter().any(is_own) {
            let before = std::mem::replace(&mut self.local, Local::new(area, cx)).router_lsas;
            let now = &self.local.router_lsas;
            let all: BTreeSet<&LsaKey> = before.keys().chain(now.keys()).collect();
            changes.extend(all.into_iter().map(|key| (*key, now.get(key).cloned())));
        }
        let others = lsas.into_iter().filter(|key| !is_own(key));
        changes.extend(others.map(|key| (key, live_lsa(area, &key))));
        let terms = Terms {
            root: cx.config.router_id,
            equal_cost_max: cx.config.equal_cost_max,
            next_hops: self.local.next_hops.clone(),
            alternates: cx.config.alternates,
        };
        let update = self.calculation.update(changes, terms);
        if self.calculation.owes_alternates() {
            cx.timers.arm_no_later(TimerKey::Alternates, cx.now + ALTERNATES_DELAY);
        }
        tracing::debug!(
            vertices = self.calculation.graph().len(),
            routes = self.table().len(),
            "shortest paths"
        );
        if update.has_other_routes {
            cx.outbox.raise(Event::RoutesChanged);
        }
        if area.originations.returns.asks_for_ways() {
            // Whether there is another way may have another answer.
            cx.timers.arm_no_later(TimerKey::Return, cx.now);
        }
        update.has_other_basis
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
