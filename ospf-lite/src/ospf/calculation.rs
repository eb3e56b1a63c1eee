//! The route table kept in line with the LSAs: a change costs what it touches.
//!
//! Graph and tree come to what [`Graph::from_lsas`] and [`shortest_paths`](crate::ospf::spf::shortest_paths) make of the same
//! LSAs. A route is worked out once for all prefixes that are announced alike: how many these are makes no difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::ids::{Family, RouterId};
use crate::io::{NextHop, Route};
use crate::ospf::alike::Alike;
use crate::ospf::announced::{Announced, Offer};
use crate::ospf::graph::{Graph, VertexIndex};
use crate::ospf::lfa;
use crate::ospf::lsa::{LsType, Lsa, LsaKey};
use crate::ospf::route::{RouteId, RouteTable};
use crate::ospf::spf::{FirstHop, Paths, Tree};
use crate::ospf::ways::{Basis, Best, HopLists};

/// The graph is worked out whole when more than this share of it says something else.
const REBUILD_SHARE: usize = 8;
/// So few LSAs are taken in one by one in a graph of any size: it shows then whether they say anything that counts.
const REBUILD_MIN: usize = 4;

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
    alike: Alike,
    terms: Option<Terms>,
    table: RouteTable,
    hop_lists: HopLists,
    owes_alternates: bool,
    /// How many routes were worked out so far, each for all of its prefixes.
    routes_found: u64,
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
    /// Whether there are other routers of other areas.
    far_routers: bool,
    /// Whether every vertex may have another place.
    places: bool,
    before: Before,
}

/// What was there before a change, as far as it is touched.
#[derive(Debug, Default)]
struct Before {
    /// The routes of prefixes that are announced differently.
    prefixes: BTreeMap<IpNet, Option<Arc<Route>>>,
    /// The routes that were entered or taken out.
    routes: BTreeMap<RouteId, Option<Arc<Route>>>,
}

impl Calculation {
    /// Makes one without any LSA.
    pub fn new(family: Family) -> Self {
        Self {
            graph: Graph::new(family),
            tree: Tree::new(),
            announced: Announced::new(),
            alike: Alike::new(),
            terms: None,
            table: RouteTable::default(),
            hop_lists: HopLists::new(),
            owes_alternates: false,
            routes_found: 0,
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

    /// Returns how many routes were worked out so far, each for all of its prefixes: what changes have cost, but for the
    /// graph and the tree.
    pub const fn routes_found(&self) -> u64 {
        self.routes_found
    }

    /// Takes changes in.
    pub fn update(&mut self, changes: impl IntoIterator<Item = Change>, terms: Terms) -> Update {
        let mut touched = self.take_in(changes);
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
        let moved = moved.filter(|_| !has_other_terms && !touched.far_routers);
        let ids = match moved.filter(|_| !self.announced.has_far_routers()) {
            Some(moved) => self.touched_routes(&touched, &moved),
            None => self.alike.all().collect(),
        };
        let mut before = std::mem::take(&mut touched.before);
        self.find_routes(&ids, &mut before);
        let neighbors = self.terms.as_ref().map_or(0, |terms| terms.next_hops.len());
        if self.graph.len() * neighbors <= ALTERNATES_AT_ONCE_MAX {
            self.protect(&mut before);
        }
        let has_other_routes = self.differs(&before);
        for id in self.alike.sweep() {
            self.table.set_route(id, None, 0);
        }
        Update { has_other_basis: is_touched || has_other_routes, has_other_routes }
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
                LsType::INTRA_AREA_PREFIX | LsType::INTER_AREA_PREFIX | LsType::AS_EXTERNAL => {
                    let (gone, added) = self.announced.update(key, lsa);
                    let router = key.advertising_router;
                    for (prefix, said) in gone {
                        self.say(prefix, (Offer { router, said }, false), &mut touched.before);
                    }
                    for (prefix, said) in added {
                        self.say(prefix, (Offer { router, said }, true), &mut touched.before);
                    }
                }
                LsType::INTER_AREA_ROUTER => {
                    self.announced.update(key, lsa);
                    touched.far_routers = true;
                }
                _ => {}
            }
        }
        touched
    }

    /// Takes in that a prefix is offered, or not any more.
    fn say(&mut self, prefix: IpNet, (offer, is_offered): (Offer, bool), before: &mut Before) {
        let Self { alike, table, .. } = self;
        let place = table.place(&prefix);
        let route = || place.and_then(|id| table.route(id)).map(Arc::clone);
        before.prefixes.entry(prefix).or_insert_with(route);
        let mut offers = place.map(|id| alike.offers(id).to_vec()).unwrap_or_default();
        match (offers.binary_search(&offer), is_offered) {
            (Ok(at) | Err(at), true) => offers.insert(at, offer),
            (Ok(at), false) => _ = offers.remove(at),
            (Err(_), false) => {}
        }
        let next = (!offers.is_empty()).then(|| alike.join(offers));
        table.set_place(prefix, next);
        place.into_iter().for_each(|id| alike.leave(id));
    }

    /// Returns every route that may be another one.
    fn touched_routes(&self, touched: &Touched, moved: &BTreeSet<VertexIndex>) -> BTreeSet<RouteId> {
        let vertices = moved.iter().filter_map(|vertex| self.graph.vertex(*vertex));
        let moved: BTreeSet<RouterId> = vertices.map(|vertex| vertex.id.advertising_router()).collect();
        let routers = touched.routers.union(&moved);
        let announced = touched.before.prefixes.keys().filter_map(|prefix| self.table.place(prefix));
        let announced = announced.chain(routers.flat_map(|router| self.alike.of_router(*router)));
        announced.chain(self.alike.forwarded()).filter(|id| self.alike.prefixes(*id) > 0).collect()
    }

    /// Works these routes out.
    fn find_routes(&mut self, ids: &BTreeSet<RouteId>, before: &mut Before) {
        let Self { graph, tree, announced, alike, terms: Some(terms), table, hop_lists, .. } = self else {
            return;
        };
        let (alike, paths, places) = (&*alike, Paths::new(graph, tree), Arc::clone(table.places()));
        let offers_of = |prefix: &IpNet| places.get(prefix).map(|id| alike.offers(*id)).unwrap_or_default();
        let basis = Basis {
            resolved: paths.hops().iter().map(|hop| terms.resolve(*hop)).collect(),
            equal_cost_max: terms.equal_cost_max,
            neighbors: if terms.protects() { &terms.next_hops } else { &[] },
            announced,
            offers_of: &offers_of,
            paths,
        };
        let mut best = Best::default();
        for id in ids {
            let stands = table.route(*id);
            let next = match best.find(alike.offers(*id), &basis) {
                true => match best.route(stands.map(|stands| &**stands), &basis, hop_lists) {
                    Some(next) => Some(Arc::new(next)),
                    None => continue,
                },
                false if stands.is_none() => continue,
                false => None,
            };
            before.routes.entry(*id).or_insert_with(|| stands.cloned());
            table.set_route(*id, next, alike.prefixes(*id));
        }
        self.routes_found += u64::try_from(ids.len()).unwrap_or(u64::MAX);
    }

    /// Computes the alternates that the routes still lack; returns whether any is another one.
    pub fn find_alternates(&mut self) -> bool {
        let mut before = Before::default();
        self.protect(&mut before);
        !before.routes.is_empty()
    }

    /// Gives every route the alternates that follow from the present paths.
    fn protect(&mut self, before: &mut Before) {
        self.owes_alternates = false;
        let Self { graph, tree, announced, alike, terms: Some(terms), table, hop_lists, .. } = self else {
            return;
        };
        let (alike, paths) = (&*alike, Paths::new(graph, tree));
        let resolve = |hop| terms.resolve(hop);
        let neighbors = terms.protects().then(|| lfa::Neighbors::of(&paths, resolve));
        let basis = Basis {
            resolved: Vec::new(),
            equal_cost_max: terms.equal_cost_max,
            neighbors: &terms.next_hops,
            announced,
            offers_of: &|_| &[],
            paths,
        };
        let mut alternates = Vec::new();
        let all = table.routes().filter(|(id, _)| alike.prefixes(*id) > 0);
        let other = all.filter_map(|(id, route)| {
            if let Some(neighbors) = &neighbors {
                neighbors.alternates(route, &basis.ends(alike.offers(id), route), &mut alternates);
            }
            let is_same = *route.alternates == *alternates;
            (!is_same).then(|| (id, Arc::clone(route), hop_lists.share(&alternates)))
        });
        for (id, route, alternates) in other.collect::<Vec<_>>() {
            let next = Route { alternates, ..Route::clone(&route) };
            before.routes.entry(id).or_insert(Some(route));
            table.set_route(id, Some(Arc::new(next)), alike.prefixes(id));
        }
    }

    /// Returns whether any prefix has another route than before.
    fn differs(&self, before: &Before) -> bool {
        let mut joined: BTreeMap<RouteId, usize> = BTreeMap::new();
        for (prefix, route) in &before.prefixes {
            let place = self.table.place(prefix);
            if place.and_then(|id| self.table.route(id)) != route.as_ref() {
                return true;
            }
            place.into_iter().for_each(|id| *joined.entry(id).or_default() += 1);
        }
        before.routes.iter().any(|(id, route)| {
            let stayed = self.alike.prefixes(*id) > joined.get(id).copied().unwrap_or_default();
            stayed && self.table.route(*id) != route.as_ref()
        })
    }
}

impl Touched {
    fn is_empty(&self) -> bool {
        self.vertices.is_empty() && self.before.prefixes.is_empty() && !self.far_routers && !self.places
    }
}
