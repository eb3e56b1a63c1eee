//! The area's topology as a graph: routers and transit networks, joined where both ends say so (RFC 2328 section 16.1,
//! RFC 5340 section 4.8.1).

mod update;
mod vertex;
mod whole;

use crate::ids::{Family, InterfaceId, RouterId};

pub use vertex::{Vertex, VertexId};

/// A vertex's place in its graph. It stays the same for as long as the vertex is there, whatever else changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexIndex(u32);

impl VertexIndex {
    /// Returns the place as a number, counted from 0.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A way from one vertex to another, which has one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Where it leads.
    pub to: VertexIndex,
    /// The interface at the near end; 0 where that is a network.
    pub interface_id: InterfaceId,
    /// The interface at the far end; 0 where the near end is a network.
    pub neighbor_interface_id: InterfaceId,
    /// What it adds to the distance; 0 away from a network.
    pub metric: u16,
}

/// The topology of an area.
///
/// It follows from the LSAs alone, in whatever order they came: [`Graph::from_lsas`] works it out whole, [`Graph::update`]
/// takes a change in, and both come to the same but for the places of the vertices.
#[derive(Debug, Clone)]
pub struct Graph {
    family: Family,
    vertices: Vec<Vertex>,
    /// Where each router is, in order: close together, they are searched several times faster.
    routers: Vec<(RouterId, VertexIndex)>,
    /// Where each transit network is, in order.
    networks: Vec<(VertexId, VertexIndex)>,
    /// Places that a vertex has left.
    free: Vec<VertexIndex>,
    /// How many edges away from routers cost nothing. The standard has none.
    free_edges: usize,
    /// How many links [`Graph::update`] has looked at so far.
    links_read: u64,
}

impl PartialEq for Graph {
    /// Whether the same vertices are joined in the same way, wherever they have their places.
    fn eq(&self, other: &Self) -> bool {
        let same_edge = |one: &Edge, two: &Edge| {
            let far = |graph: &Self, edge: &Edge| graph.vertex(edge.to).map(|vertex| vertex.id);
            let rest = |edge: &Edge| (edge.interface_id, edge.neighbor_interface_id, edge.metric);
            far(self, one) == far(other, two) && rest(one) == rest(two)
        };
        let kind = |vertex: &Vertex| (vertex.id, vertex.transits, vertex.border, vertex.external);
        self.len() == other.len()
            && self.vertices().zip(other.vertices()).all(|((_, one), (_, two))| {
                let (ones, twos) = (self.in_order(one), other.in_order(two));
                kind(one) == kind(two)
                    && ones.len() == twos.len()
                    && ones.iter().zip(&twos).all(|(one, two)| same_edge(one, two))
            })
    }
}

impl Graph {
    /// Makes an empty one.
    pub const fn new(family: Family) -> Self {
        Self {
            family,
            vertices: Vec::new(),
            routers: Vec::new(),
            networks: Vec::new(),
            free: Vec::new(),
            free_edges: 0,
            links_read: 0,
        }
    }

    /// Returns the vertices in order: routers by Router ID, then networks.
    pub fn vertices(&self) -> impl Iterator<Item = (VertexIndex, &Vertex)> {
        let routers = self.routers.iter().map(|(_, index)| *index);
        let networks = self.networks.iter().map(|(_, index)| *index);
        routers.chain(networks).filter_map(|index| Some((index, self.vertex(index)?)))
    }

    /// Returns how many vertices there are.
    pub fn len(&self) -> usize {
        self.routers.len() + self.networks.len()
    }

    /// Returns whether there is no vertex.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number that every place is below.
    pub fn places(&self) -> usize {
        self.vertices.len()
    }

    /// Returns whether a router offers a way that costs nothing, so that there may be a circle that does.
    pub const fn has_free_edges(&self) -> bool {
        self.free_edges > 0
    }

    /// Returns how many links have been looked at so far to take changes in, whatever the machine: the measure of their cost.
    pub const fn links_read(&self) -> u64 {
        self.links_read
    }

    /// Returns a vertex by its place.
    pub fn vertex(&self, index: VertexIndex) -> Option<&Vertex> {
        self.vertices.get(index.get())
    }

    /// Finds a vertex.
    pub fn find(&self, id: VertexId) -> Option<VertexIndex> {
        match self.search(id) {
            Ok(place) => match id {
                VertexId::Router(_) => self.routers.get(place).map(|(_, index)| *index),
                VertexId::Network { .. } => self.networks.get(place).map(|(_, index)| *index),
            },
            Err(_) => None,
        }
    }

    /// Returns the ways from a vertex, ordered by the places where they lead and by interface.
    pub fn edges(&self, from: VertexIndex) -> &[Edge] {
        self.vertex(from).map_or(&[], |vertex| &vertex.edges)
    }

    /// Returns where a vertex is among those of its kind, or where it would be.
    fn search(&self, id: VertexId) -> Result<usize, usize> {
        match id {
            VertexId::Router(router) => self.routers.binary_search_by_key(&router, |(known, _)| *known),
            VertexId::Network { .. } => self.networks.binary_search_by_key(&id, |(known, _)| *known),
        }
    }

    /// Returns the edges of a vertex in an order that does not depend on places.
    fn in_order(&self, vertex: &Vertex) -> Vec<Edge> {
        let mut edges = vertex.edges.to_vec();
        edges.sort_unstable_by_key(|edge| {
            let far = self.vertex(edge.to).map(|vertex| vertex.id);
            (far, edge.interface_id, edge.neighbor_interface_id, edge.metric)
        });
        edges
    }
}

/// Returns how many of a vertex's edges cost nothing although it is a router.
fn free_edges(id: VertexId, edges: &[Edge]) -> usize {
    match id {
        VertexId::Router(_) => edges.iter().filter(|edge| edge.metric == 0).count(),
        VertexId::Network { .. } => 0,
    }
}

fn index(place: usize) -> VertexIndex {
    VertexIndex(u32::try_from(place).unwrap_or(u32::MAX))
}
