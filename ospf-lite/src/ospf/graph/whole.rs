//! A graph worked out whole from the LSAs.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::vertex::vertex_id;
use super::{Edge, Graph, Vertex, VertexId, VertexIndex, free_edges, index};
use crate::ids::{Family, InterfaceId, LinkStateId, RouterId};
use crate::ospf::lsa::{LsType, Lsa, LsaKey, MAX_AGE};

impl Graph {
    /// Builds the topology that the LSAs describe. LSAs of other types and those of MaxAge are left out, and so are
    /// links without a link back between the same two interfaces, and virtual links.
    pub fn from_lsas<'a>(lsas: impl IntoIterator<Item = &'a Lsa>, family: Family) -> Self {
        let is_topology = |lsa: &&Lsa| matches!(lsa.header().key.ls_type, LsType::ROUTER | LsType::NETWORK);
        Self::from_shared(lsas.into_iter().filter(is_topology).map(|lsa| Arc::new(lsa.clone())), family)
    }

    /// Builds the topology that the LSAs describe, which it keeps a hold of.
    pub fn from_shared(lsas: impl IntoIterator<Item = Arc<Lsa>>, family: Family) -> Self {
        let said = Said::collect(lsas);
        let vertices = said.vertices(family);
        let claimed = said.claimed(vertices, family);
        claimed.confirmed()
    }

    /// Takes many changes in at once; every vertex may have another place afterwards. What is not about the topology
    /// changes nothing.
    pub fn rebuild(&mut self, changes: &[(LsaKey, Option<Arc<Lsa>>)]) {
        let told: BTreeSet<&LsaKey> = changes.iter().map(|(key, _)| key).collect();
        let kept = self.vertices.iter().flat_map(|vertex| vertex.said.iter().map(Arc::clone));
        let kept = kept.filter(|lsa| !told.contains(&lsa.header().key));
        let other = changes.iter().filter_map(|(_, lsa)| lsa.clone());
        let whole = Self::from_shared(kept.chain(other), self.family);
        *self = Self { links_read: self.links_read, ..whole };
    }

    /// Keeps the edges that have an edge back.
    fn confirmed(mut self) -> Self {
        let confirmed: Vec<Vec<Edge>> = (0..self.places())
            .map(index)
            .map(|from| self.edges(from).iter().filter(|edge| self.has_back(from, edge)).copied().collect())
            .collect();
        for (vertex, edges) in self.vertices.iter_mut().zip(confirmed) {
            self.free_edges += free_edges(vertex.id, &edges);
            vertex.edges = edges.into();
        }
        self
    }

    fn has_back(&self, from: VertexIndex, edge: &Edge) -> bool {
        let is_router = |at: VertexIndex| at.get() < self.routers.len();
        let none = InterfaceId(0);
        let (near, far) = match (is_router(from), is_router(edge.to)) {
            (true, true) => (edge.neighbor_interface_id, edge.interface_id),
            (true, false) => (none, none),
            // A router's link to a network is told by where it leads alone.
            (false, _) => return self.edges(edge.to).iter().any(|back| back.to == from),
        };
        let wanted = (from, near, far);
        let said = |back: &Edge| (back.to, back.interface_id, back.neighbor_interface_id);
        match self.edges(edge.to) {
            few if few.len() <= 8 => few.iter().any(|back| said(back) == wanted),
            many => many.binary_search_by_key(&wanted, said).is_ok(),
        }
    }
}

/// What the LSAs say, in order, before one end's word is held against the other's.
struct Said {
    routers: Vec<(RouterId, LinkStateId, Arc<Lsa>)>,
    networks: Vec<(VertexId, Arc<Lsa>)>,
}

impl Said {
    fn collect(lsas: impl IntoIterator<Item = Arc<Lsa>>) -> Self {
        let mut said = Self { routers: Vec::new(), networks: Vec::new() };
        for lsa in lsas.into_iter().filter(|lsa| lsa.header().age < MAX_AGE) {
            let key = lsa.header().key;
            match vertex_id(&key) {
                Some(VertexId::Router(router)) => said.routers.push((router, key.link_state_id, lsa)),
                Some(id @ VertexId::Network { .. }) => said.networks.push((id, lsa)),
                None => {}
            }
        }
        said.routers.sort_by_key(|(router, part, _)| (*router, *part));
        said.networks.sort_by_key(|(id, _)| *id);
        said.networks.dedup_by_key(|(id, _)| *id);
        said
    }

    /// Returns the vertices in order, without edges.
    fn vertices(&self, family: Family) -> Vec<Vertex> {
        let mut vertices = Vec::with_capacity(self.routers.len() + self.networks.len());
        for parts in self.routers.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((router, ..)) = parts.first() else { continue };
            let said: Vec<Arc<Lsa>> = parts.iter().map(|(.., lsa)| Arc::clone(lsa)).collect();
            vertices.push(Vertex::new(VertexId::Router(*router), &said, family));
        }
        let networks = self.networks.iter();
        vertices.extend(networks.map(|(id, lsa)| Vertex::new(*id, std::slice::from_ref(lsa), family)));
        vertices
    }

    /// Returns the graph with every edge that one end claims.
    fn claimed(&self, vertices: Vec<Vertex>, family: Family) -> Graph {
        let mut graph = Graph { vertices, ..Graph::new(family) };
        for (place, vertex) in graph.vertices.iter().enumerate() {
            match vertex.id {
                VertexId::Router(router) => graph.routers.push((router, index(place))),
                VertexId::Network { .. } => graph.networks.push((vertex.id, index(place))),
            }
        }
        let claimed: Vec<Vec<Edge>> = graph
            .vertices
            .iter()
            .map(|vertex| {
                let edges = vertex.claims().filter_map(|claim| Some(claim.edge(graph.find(claim.to)?)));
                let mut edges: Vec<Edge> = edges.collect();
                edges.sort_unstable();
                edges
            })
            .collect();
        graph.vertices.iter_mut().zip(claimed).for_each(|(vertex, edges)| vertex.edges = edges.into());
        graph
    }
}
