//! The route table kept in line with the LSAs: a change costs what it touches.
//!
//! What comes out is what [`Graph::from_lsas`], [`spf::shortest_paths`] and [`route::routes`] make of the same LSAs. They are
//! asked for the whole where a change touches much, or something from outside the area.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::ids::{Family, RouterId};
use crate::io::NextHop;
use crate::ospf::announced::Announced;
use crate::ospf::graph::{Graph, VertexIndex};
use crate::ospf::lfa;
use crate::ospf::lsa::{LsType, Lsa, LsaKey};
use crate::ospf::route::{self, RouteTable};
use crate::ospf::route_update::{self, Basis, Ends};
use crate::ospf::spf::{FirstHop, Paths, Tree};

/// The graph is worked out whole when more than this share of it says something else.
const REBUILD_SHARE: usize = 8;
/// So few LSAs are taken in one by one in a graph of any size: it shows then whether they say anything that counts.
const REBUILD_MIN: usize = 4;

/// Past this share of the routes it costs less to go through all of them than to look each up.
const ROUTES_SHARE: usize = 4;

/// What an LSA says from a moment on; nothing when it does not count any more.
pub type Change = (LsaKey, Option<Arc<Lsa>>);

/// What the routes depend on besides the LSAs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whose routes they are.
    pub root: RouterId,
    /// How many next hops a route keeps at most.
    pub equal_cost_max: usize,
    /// How to reach each neighbor, in the order of interface and neighbor.
    pub next_hops: Vec<NextHop>,
    /// Whether routes get loop-free alternates.
    pub alternates: bool,
}

impl Terms {
    /// Returns how to reach a first hop.
    fn resolve(&self, hop: FirstHop) -> Option<NextHop> {
        let at = |next: &NextHop| (next.interface, next.neighbor);
        let place = self.next_hops.binary_search_by_key(&(hop.interface, hop.neighbor), at).ok()?;
        self.next_hops.get(place).copied()
    }

    /// Returns whether there can be any alternate.
    fn protects(&self) -> bool {
        self.alternates && self.next_hops.len() > 1
    }
}

/// Up to so many vertices in all neighbors' trees, alternates are computed together with the routes; that takes less than
/// a millisecond.
pub const ALTERNATES_AT_ONCE_MAX: usize = 4_096;

/// Graph, tree and routes as they follow from the LSAs that were taken in.
#[derive(Debug)]
pub struct Calculation {
    graph: Graph,
    tree: Tree,
    announced: Announced,
    /// What other areas and the world outside announce, and the routers that lead there.
    outside: BTreeMap<LsaKey, Arc<Lsa>>,
    terms: Option<Terms>,
    table: RouteTable,
    ends: Ends,
    owes_alternates: bool,
}

/// What came of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Update {
    /// Whether the topology is another one, what is announced in it, or where a route leads.
    pub has_other_basis: bool,
    /// Whether any route is another one.
    pub has_other_routes: bool,
}

/// What a set of changes means for the routes.
#[derive(Debug, Default)]
struct Touched {
    /// Vertices with other edges or flags.
    vertices: BTreeSet<VertexIndex>,
    /// Routers that say something else of themselves, or of a network.
    routers: BTreeSet<RouterId>,
    /// Prefixes that are announced differently.
    prefixes: BTreeSet<IpNet>,
    /// Whether anything from outside the area is announced differently.
    outside: bool,
    /// Whether every vertex may have another place.
    places: bool,
}

impl Calculation {
    /// Makes one without any LSA.
    pub const fn new(family: Family) -> Self {
        Self {
            graph: Graph::new(family),
            tree: Tree::new(),
            announced: Announced::new(),
            outside: BTreeMap::new(),
            terms: None,
            table: RouteTable::new(),
            ends: Ends::new(),
            owes_alternates: false,
        }
    }

    /// Returns the topology.
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the shortest paths.
    pub const fn paths(&self) -> Paths<'_> {
        Paths::new(&self.graph, &self.tree)
    }

    /// Returns the routes.
    pub const fn table(&self) -> &RouteTable {
        &self.table
    }

    /// Returns whether alternates do not follow from the present paths, because they are many: see
    /// [`Calculation::find_alternates`].
    pub const fn owes_alternates(&self) -> bool {
        self.owes_alternates
    }

    /// Takes changes in.
    pub fn update(&mut self, changes: impl IntoIterator<Item = Change>, terms: Terms) -> Update {
        let touched = self.take_in(changes);
        let has_other_terms = self.terms.as_ref() != Some(&terms);
        let has_other_root = self.terms.as_ref().is_none_or(|old| old.root != terms.root);
        let root = terms.root;
        self.terms = Some(terms);
        let is_touched = !touched.is_empty();
        if !is_touched && !has_other_terms {
            // One end of a link says what only counts when the other end says so too.
            return Update::default();
        }
        self.owes_alternates = true;
        let moved = match (has_other_root || touched.places, touched.vertices.is_empty()) {
            (true, _) => None,
            (false, true) => Some(BTreeSet::new()),
            (false, false) => self.tree.update(&self.graph, &touched.vertices),
        };
        if moved.is_none() {
            self.tree.calculate(&self.graph, root);
        }
        let has_changed = if touched.outside || !self.outside.is_empty() {
            self.find_routes()
        } else {
            let prefixes =
                moved.filter(|_| !has_other_terms).map(|moved| self.touched_prefixes(touched, &moved));
            self.update_routes(prefixes.as_ref())
        };
        let neighbors = self.terms.as_ref().map_or(0, |terms| terms.next_hops.len());
        let is_small = self.graph.len() * neighbors <= ALTERNATES_AT_ONCE_MAX;
        let has_other_routes = has_changed | (is_small && self.find_alternates());
        Update { has_other_basis: is_touched || has_changed, has_other_routes }
    }

    /// Brings the graph and what is announced in line with the LSAs.
    fn take_in(&mut self, changes: impl IntoIterator<Item = Change>) -> Touched {
        let mut touched = Touched::default();
        let is_topology = |(key, _): &Change| matches!(key.ls_type, LsType::ROUTER | LsType::NETWORK);
        let (topology, others): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(is_topology);
        if topology.len() > (self.graph.len() / REBUILD_SHARE).max(REBUILD_MIN) {
            self.graph.rebuild(&topology);
            touched.places = true;
        } else {
            for (key, lsa) in topology {
                touched.vertices.extend(self.graph.update(&key, lsa));
                touched.routers.insert(key.advertising_router);
            }
        }
        for (key, lsa) in others {
            match key.ls_type {
                LsType::INTRA_AREA_PREFIX => self.announced.update(&key, lsa, &mut touched.prefixes),
                LsType::INTER_AREA_PREFIX | LsType::INTER_AREA_ROUTER | LsType::AS_EXTERNAL => {
                    touched.outside = true;
                    match lsa {
                        Some(lsa) => _ = self.outside.insert(key, lsa),
                        None => _ = self.outside.remove(&key),
                    }
                }
                _ => {}
            }
        }
        touched
    }

    /// Returns every prefix whose route may be another one.
    fn touched_prefixes(&self, touched: Touched, moved: &BTreeSet<VertexIndex>) -> BTreeSet<IpNet> {
        let Touched { mut routers, mut prefixes, .. } = touched;
        let vertices = moved.iter().filter_map(|vertex| self.graph.vertex(*vertex));
        routers.extend(vertices.map(|vertex| vertex.id.advertising_router()));
        prefixes.extend(routers.iter().flat_map(|router| self.announced.prefixes_of(*router)));
        prefixes
    }

    /// Brings the routes to these prefixes, or all, in line with what the area announces; returns whether any is another one.
    fn update_routes(&mut self, prefixes: Option<&BTreeSet<IpNet>>) -> bool {
        let Self { graph, tree, announced, terms: Some(terms), table, ends, .. } = self else { return false };
        let paths = Paths::new(graph, tree);
        let basis = Basis {
            resolved: paths.hops().iter().map(|hop| terms.resolve(*hop)).collect(),
            equal_cost_max: terms.equal_cost_max,
            neighbors: if terms.protects() { &terms.next_hops } else { &[] },
            paths,
        };
        match prefixes.filter(|prefixes| prefixes.len() <= table.len() / ROUTES_SHARE) {
            Some(prefixes) => route_update::update(table, announced, &basis, prefixes),
            None => route_update::update_all(table, announced, &basis, ends),
        }
    }

    /// Works out all routes, those from outside the area included; returns whether any is another one.
    fn find_routes(&mut self) -> bool {
        let table = self.routes_from(self.lsas());
        let has_changed = table != self.table;
        self.table = table;
        has_changed
    }

    /// Returns every LSA that announces something.
    fn lsas(&self) -> impl Iterator<Item = &Lsa> {
        self.announced.lsas().chain(self.outside.values().map(|lsa| &**lsa))
    }

    /// Works out the routes that follow from these LSAs. Each goes on with the alternate that it had, where it still can.
    fn routes_from<'a>(&self, lsas: impl IntoIterator<Item = &'a Lsa>) -> RouteTable {
        let Some(terms) = &self.terms else { return RouteTable::new() };
        let resolve = |hop| terms.resolve(hop);
        let mut table = route::routes(&self.paths(), lsas, terms.equal_cost_max, resolve);
        if terms.protects() {
            let alternates = lfa::still_usable(&self.table, &table, &terms.next_hops);
            lfa::protect(&mut table, &alternates);
        }
        table
    }

    /// Works out the alternates of the routes that stand; returns whether any is another one.
    pub fn find_alternates(&mut self) -> bool {
        self.owes_alternates = false;
        let Some(terms) = self.terms.as_ref().filter(|terms| terms.protects()) else { return false };
        let resolve = |hop| terms.resolve(hop);
        let alternates = lfa::alternates(&self.paths(), &self.table, self.lsas(), resolve);
        let mut has_changed = false;
        for (prefix, route) in &mut self.table {
            let alternate = alternates.get(prefix).copied();
            has_changed |= route.alternate != alternate;
            route.alternate = alternate;
        }
        has_changed
    }
}

impl Touched {
    fn is_empty(&self) -> bool {
        self.vertices.is_empty() && self.prefixes.is_empty() && !self.outside && !self.places
    }
}
