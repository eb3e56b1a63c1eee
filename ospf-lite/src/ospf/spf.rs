//! Shortest paths from one router to everything in its area (RFC 2328 section 16.1).

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ids::{Distance, InterfaceId, RouterId};
use crate::ospf::graph::{Edge, Graph, VertexId, VertexIndex};
use crate::ospf::queue::Queue;

/// The first step of a path: over an interface of the root to the neighbor behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FirstHop {
    /// The root's interface.
    pub interface: InterfaceId,
    /// The first router on the path.
    pub neighbor: RouterId,
}

/// A set of the root's first hops, one bit each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirstHopSet(Vec<u64>);

impl FirstHopSet {
    /// Adds what is in these bits.
    pub(super) fn extend(&mut self, bits: &[u64]) {
        if self.0.len() < bits.len() {
            self.0.resize(bits.len(), 0);
        }
        self.0.iter_mut().zip(bits).for_each(|(word, added)| *word |= added);
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the bits.
    pub(super) fn bits(&self) -> &[u64] {
        &self.0
    }

    /// Returns the places, in [`Paths::hops`], of what is in it.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            std::iter::successors(Some(*word), |rest| Some(rest & rest.wrapping_sub(1)))
                .take_while(|rest| *rest != 0)
                .map(move |rest| at * 64 + usize::try_from(rest.trailing_zeros()).unwrap_or(0))
        })
    }
}

/// The shortest-path tree of a root, all equally short paths in it, by the places of a graph's vertices.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub(super) root: Option<VertexIndex>,
    /// Every first hop that the root's links allow, in order: interface, then neighbor.
    pub(super) hops: Vec<FirstHop>,
    /// Per place.
    pub(super) distances: Vec<Distance>,
    /// Per place, so many words each: bits of `hops`.
    pub(super) hop_bits: Vec<u64>,
    pub(super) words: usize,
    /// The root's interfaces to networks that are best reached without a router between.
    pub(super) attached: BTreeMap<VertexIndex, Vec<InterfaceId>>,
}

/// A shortest-path tree with its graph.
#[derive(Debug, Clone)]
pub struct Paths<'g> {
    graph: &'g Graph,
    tree: Cow<'g, Tree>,
}

impl<'g> Paths<'g> {
    /// Puts a tree beside the graph that it belongs to.
    pub const fn new(graph: &'g Graph, tree: &'g Tree) -> Self {
        Self { graph, tree: Cow::Borrowed(tree) }
    }

    /// Returns the graph the paths lead through.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// Returns the router that the paths lead from, if it is in the graph.
    pub fn root(&self) -> Option<VertexIndex> {
        self.tree.root
    }

    /// Returns every first hop that the root's links allow, in order: interface, then neighbor.
    pub fn hops(&self) -> &[FirstHop] {
        &self.tree.hops
    }

    /// Returns how far a vertex is, or nothing when it cannot be reached.
    pub fn distance(&self, vertex: VertexIndex) -> Option<Distance> {
        let distance = self.tree.distances.get(vertex.get()).copied();
        distance.filter(|distance| *distance < Distance::INFINITY)
    }

    /// Returns the first hops of all shortest paths to a vertex; none for the root itself.
    pub fn first_hop_set(&self, vertex: VertexIndex) -> FirstHopSet {
        FirstHopSet(self.hop_bits(vertex).to_vec())
    }

    /// Returns the bits of the first hops of all shortest paths to a vertex.
    pub(super) fn hop_bits(&self, vertex: VertexIndex) -> &[u64] {
        self.tree.bits(vertex)
    }

    /// Returns the first hops of all shortest paths to a vertex in order; none for the root itself.
    pub fn first_hops(&self, vertex: VertexIndex) -> Vec<FirstHop> {
        self.first_hop_set(vertex).places().filter_map(|place| self.hops().get(place).copied()).collect()
    }

    /// Returns whether no router is between the root and the vertex: it is the root, or a network on the root's link.
    pub fn is_local(&self, vertex: VertexIndex) -> bool {
        self.tree.is_local(vertex)
    }
}

impl Tree {
    /// Makes one in which nothing is reached.
    pub const fn new() -> Self {
        Self {
            root: None,
            hops: Vec::new(),
            distances: Vec::new(),
            hop_bits: Vec::new(),
            words: 0,
            attached: BTreeMap::new(),
        }
    }

    /// Returns the bits of one vertex.
    pub(super) fn bits(&self, vertex: VertexIndex) -> &[u64] {
        let start = vertex.get() * self.words;
        self.hop_bits.get(start..start + self.words).unwrap_or_default()
    }

    /// Returns the bits of one vertex, to change them.
    pub(super) fn bits_mut(&mut self, vertex: VertexIndex) -> &mut [u64] {
        let start = vertex.get() * self.words;
        self.hop_bits.get_mut(start..start + self.words).unwrap_or_default()
    }

    /// Works the tree out whole, in the space that it has.
    pub fn calculate(&mut self, graph: &Graph, root: RouterId) {
        self.root = graph.find(VertexId::Router(root));
        self.hops = self.root.map(|root| root_hops(graph, root)).unwrap_or_default();
        self.words = self.hops.len().div_ceil(64);
        self.distances.clear();
        self.distances.resize(graph.places(), Distance::INFINITY);
        self.hop_bits.clear();
        self.hop_bits.resize(graph.places() * self.words, 0);
        self.attached.clear();
        let mut waiting = Queue::new();
        if let Some(root) = self.root
            && let Some(distance) = self.distances.get_mut(root.get())
        {
            *distance = Distance::ZERO;
            waiting.push(Distance::ZERO, root);
        }
        while let Some((distance, from)) = waiting.pop() {
            let is_outdated = self.distances.get(from.get()).is_none_or(|known| *known < distance);
            let Some(vertex) = graph.vertex(from).filter(|_| !is_outdated) else { continue };
            if vertex.transits || self.root == Some(from) {
                self.advance(graph, (from, distance), &mut waiting);
            }
        }
    }

    /// Walks on from a vertex whose distance is final.
    fn advance(&mut self, graph: &Graph, (from, distance): (VertexIndex, Distance), waiting: &mut Queue) {
        let is_start = self.is_local(from);
        for edge in graph.edges(from) {
            let reached = distance.plus(u32::from(edge.metric));
            let Some(known) = self.distances.get_mut(edge.to.get()) else { continue };
            if reached > *known || reached == Distance::INFINITY || self.root == Some(edge.to) {
                continue;
            }
            let is_closer = reached < *known;
            if is_closer {
                *known = reached;
                if !self.attached.is_empty() {
                    self.attached.remove(&edge.to);
                }
                self.bits_mut(edge.to).fill(0);
            }
            let is_wider = self.inherit(from, edge.to) | (is_start && self.begin(graph, from, edge));
            // What is as close may have been walked on from already, with fewer first hops.
            if is_closer || (is_wider && edge.metric == 0) {
                waiting.push(reached, edge.to);
            }
        }
    }

    /// Returns whether no router is between the root and the vertex.
    fn is_local(&self, vertex: VertexIndex) -> bool {
        self.root == Some(vertex) || (!self.attached.is_empty() && self.attached.contains_key(&vertex))
    }

    /// Adds the first hops of one vertex to another's; returns whether that has more by it.
    fn inherit(&mut self, from: VertexIndex, to: VertexIndex) -> bool {
        let (from, to) = (from.get() * self.words, to.get() * self.words);
        let mut is_wider = false;
        for word in 0..self.words {
            let inherited = self.hop_bits.get(from + word).copied().unwrap_or_default();
            if let Some(slot) = self.hop_bits.get_mut(to + word) {
                is_wider |= inherited & !*slot != 0;
                *slot |= inherited;
            }
        }
        is_wider
    }

    /// Notes the first hop where a path leaves the root's own links, from the root or a network on one of them; returns
    /// whether there was one to note.
    fn begin(&mut self, graph: &Graph, from: VertexIndex, edge: &Edge) -> bool {
        let neighbor = match graph.vertex(edge.to).map(|vertex| vertex.id) {
            Some(VertexId::Router(neighbor)) => neighbor,
            Some(VertexId::Network { .. }) if self.root == Some(from) => {
                self.attached.entry(edge.to).or_default().push(edge.interface_id);
                return true;
            }
            _ => return false,
        };
        let interfaces = match self.attached.get(&from) {
            Some(interfaces) => interfaces.clone(),
            None if self.root == Some(from) => vec![edge.interface_id],
            None => return false,
        };
        for interface in interfaces {
            self.note(FirstHop { interface, neighbor }, edge.to);
        }
        true
    }

    /// Notes a first hop of a path to a vertex.
    pub(super) fn note(&mut self, hop: FirstHop, vertex: VertexIndex) {
        if let Ok(place) = self.hops.binary_search(&hop)
            && let Some(word) = self.bits_mut(vertex).get_mut(place / 64)
        {
            *word |= 1 << (place % 64);
        }
    }
}

/// Computes the shortest paths from a router. A router that does not transit is reached, but nothing behind it is by way
/// of it; the root may always send. Nothing is reached from a root that is not in the graph.
pub fn shortest_paths(graph: &Graph, root: RouterId) -> Paths<'_> {
    let mut tree = Tree::new();
    tree.calculate(graph, root);
    Paths { graph, tree: Cow::Owned(tree) }
}

/// Returns the first hops that the root's links allow, in order.
pub(super) fn root_hops(graph: &Graph, root: VertexIndex) -> Vec<FirstHop> {
    let mut hops = Vec::new();
    for link in graph.edges(root) {
        let interface = link.interface_id;
        match graph.vertex(link.to).map(|vertex| vertex.id) {
            Some(VertexId::Router(neighbor)) => hops.push(FirstHop { interface, neighbor }),
            Some(VertexId::Network { .. }) => {
                let behind = graph.edges(link.to).iter().filter_map(|edge| graph.vertex(edge.to));
                hops.extend(behind.filter_map(|vertex| match vertex.id {
                    VertexId::Router(neighbor) => Some(FirstHop { interface, neighbor }),
                    VertexId::Network { .. } => None,
                }));
            }
            None => {}
        }
    }
    hops.sort_unstable();
    hops.dedup();
    hops
}
