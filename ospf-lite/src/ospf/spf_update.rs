//! Shortest paths after a change: distances and first hops are worked out again only where the change can be felt.
//!
//! The distances follow Ramalingam and Reps: a vertex is consistent when its distance is what its neighbors' distances make
//! of it; those that are not are settled in order of distance, and each tells the neighbors that depended on it, or come
//! closer by it. The first hops follow in a second pass over what was looked at in the first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::ids::Distance;
use crate::ospf::graph::{Edge, Graph, VertexId, VertexIndex};
use crate::ospf::spf::{FirstHop, Tree, root_hops};

/// Past this share of the vertices it costs less to work out the tree whole.
const SHARE: usize = 16;
/// How many steps are always worth it.
const STEPS_MIN: usize = 32;

impl Tree {
    /// Makes the tree that of its graph after a change; `touched` are the vertices whose edges or flags are others by it.
    /// Returns the vertices that are at another distance or behind other first hops than before.
    ///
    /// Returns nothing where the tree must be worked out whole, and is of no use any more then: the root's own first
    /// hops are others, there may be circles that cost nothing, or too much of the tree changes.
    pub fn update(
        &mut self,
        graph: &Graph,
        touched: &BTreeSet<VertexIndex>,
    ) -> Option<BTreeSet<VertexIndex>> {
        let root = self.root.filter(|root| graph.vertex(*root).is_some())?;
        if graph.has_free_edges() || has_networks(graph, root) || root_hops(graph, root) != self.hops {
            return None;
        }
        self.distances.resize(graph.places(), Distance::INFINITY);
        self.hop_bits.resize(graph.places() * self.words, 0);
        let mut update = Update {
            tree: self,
            graph,
            root,
            waiting: BinaryHeap::new(),
            seen: BTreeSet::new(),
            moved: BTreeSet::new(),
            steps: STEPS_MIN + graph.len() / SHARE,
        };
        update.settle_distances(touched)?;
        Some(update.settle_first_hops())
    }
}

/// Returns whether the root has a link to a transit network.
fn has_networks(graph: &Graph, root: VertexIndex) -> bool {
    graph.edges(root).iter().any(|edge| !is_router(graph, edge.to))
}

fn is_router(graph: &Graph, vertex: VertexIndex) -> bool {
    graph.vertex(vertex).is_some_and(|vertex| matches!(vertex.id, VertexId::Router(_)))
}

struct Update<'t> {
    tree: &'t mut Tree,
    graph: &'t Graph,
    root: VertexIndex,
    /// Vertices that may not be consistent, the closest first.
    waiting: BinaryHeap<Reverse<(Distance, VertexIndex)>>,
    /// Every vertex whose paths may be others.
    seen: BTreeSet<VertexIndex>,
    /// Those whose distance was changed.
    moved: BTreeSet<VertexIndex>,
    /// How many steps are left before it costs less to work out the tree whole.
    steps: usize,
}

impl Update<'_> {
    fn distance(&self, vertex: VertexIndex) -> Distance {
        self.tree.distances.get(vertex.get()).copied().unwrap_or(Distance::INFINITY)
    }

    /// Returns whether paths may lead through a vertex.
    fn sends(&self, vertex: VertexIndex) -> bool {
        vertex == self.root || self.graph.vertex(vertex).is_some_and(|vertex| vertex.transits)
    }

    /// Returns the edges that lead to a vertex with the vertices they come from. Each edge away has one back.
    fn edges_to(&self, vertex: VertexIndex) -> impl Iterator<Item = (VertexIndex, &Edge)> {
        let away = self.graph.edges(vertex).chunk_by(|one, other| one.to == other.to);
        away.filter_map(|edges| edges.first()).filter(|edge| self.sends(edge.to)).flat_map(move |edge| {
            let back = self.graph.edges(edge.to);
            let start = back.partition_point(|back| back.to < vertex);
            let back = back.get(start..).unwrap_or_default().iter();
            back.take_while(move |back| back.to == vertex).map(|back| (edge.to, back))
        })
    }

    /// Returns the distance of a vertex that follows from those of its neighbors.
    fn following(&self, vertex: VertexIndex) -> Distance {
        if vertex == self.root {
            return Distance::ZERO;
        }
        let ways = self.edges_to(vertex).map(|(from, edge)| self.distance(from).plus(u32::from(edge.metric)));
        ways.min().unwrap_or(Distance::INFINITY)
    }

    fn look_at(&mut self, vertex: VertexIndex) {
        self.seen.insert(vertex);
        let (known, following) = (self.distance(vertex), self.following(vertex));
        if known != following {
            self.waiting.push(Reverse((known.min(following), vertex)));
        }
    }

    fn settle_distances(&mut self, touched: &BTreeSet<VertexIndex>) -> Option<()> {
        for vertex in touched {
            self.look_at(*vertex);
            // The ways that are gone ended at vertices that are touched too.
            self.look_around(*vertex, |_, _| true);
        }
        while let Some(Reverse((at, vertex))) = self.waiting.pop() {
            self.steps = self.steps.checked_sub(1)?;
            let (known, following) = (self.distance(vertex), self.following(vertex));
            if known == following {
                continue;
            }
            let due = known.min(following);
            if due > at {
                self.waiting.push(Reverse((due, vertex)));
                continue;
            }
            let is_closer = following < known;
            let next = if is_closer { following } else { Distance::INFINITY };
            if let Some(distance) = self.tree.distances.get_mut(vertex.get()) {
                *distance = next;
            }
            self.moved.insert(vertex);
            if is_closer {
                self.look_around(vertex, |reached, there| reached(next) < there);
            } else {
                self.look_around(vertex, |reached, there| reached(known) == there);
                self.look_at(vertex);
            }
        }
        Some(())
    }

    /// Looks at those neighbors of a vertex for which `matters` says so of what is reached there from a distance of the
    /// vertex, and of the distance there.
    fn look_around(
        &mut self,
        vertex: VertexIndex,
        matters: impl Fn(&dyn Fn(Distance) -> Distance, Distance) -> bool,
    ) {
        let graph = self.graph;
        for edge in graph.edges(vertex) {
            let reached = |from: Distance| from.plus(u32::from(edge.metric));
            if matters(&reached, self.distance(edge.to)) {
                self.look_at(edge.to);
            }
        }
    }

    /// Works out the first hops of what was looked at, and of all behind it as far as they change, from near to far. At
    /// the same distance networks come first, for the way from there costs nothing.
    fn settle_first_hops(&mut self) -> BTreeSet<VertexIndex> {
        let graph = self.graph;
        let place = |update: &Self, at: VertexIndex| (update.distance(at), is_router(graph, at), at);
        let mut changed = std::mem::take(&mut self.moved);
        let mut waiting: BTreeSet<_> = self.seen.iter().map(|vertex| place(self, *vertex)).collect();
        while let Some((distance, _, vertex)) = waiting.pop_first() {
            if !self.find_first_hops(vertex) && !changed.contains(&vertex) {
                continue;
            }
            changed.insert(vertex);
            if distance == Distance::INFINITY || !self.sends(vertex) {
                continue;
            }
            let children = graph
                .edges(vertex)
                .iter()
                .filter(|edge| distance.plus(u32::from(edge.metric)) == self.distance(edge.to))
                .map(|edge| place(self, edge.to));
            waiting.extend(children);
        }
        changed
    }

    /// Works out the first hops of a vertex from those before it; returns whether they are others.
    fn find_first_hops(&mut self, vertex: VertexIndex) -> bool {
        let distance = self.distance(vertex);
        let mut parents: Vec<(VertexIndex, Edge)> = Vec::new();
        if vertex != self.root && distance < Distance::INFINITY {
            let ways = self
                .edges_to(vertex)
                .filter(|(from, edge)| self.distance(*from).plus(u32::from(edge.metric)) == distance);
            parents.extend(ways.map(|(from, edge)| (from, *edge)));
        }
        let before = self.tree.bits(vertex).to_vec();
        self.tree.bits_mut(vertex).fill(0);
        for (from, edge) in parents {
            match self.graph.vertex(vertex).map(|vertex| vertex.id) {
                Some(VertexId::Router(neighbor)) if from == self.root => {
                    self.tree.note(FirstHop { interface: edge.interface_id, neighbor }, vertex);
                }
                _ => {
                    let inherited = self.tree.bits(from).to_vec();
                    let bits = self.tree.bits_mut(vertex).iter_mut().zip(inherited);
                    bits.for_each(|(word, added)| *word |= added);
                }
            }
        }
        self.tree.bits(vertex) != before
    }
}
