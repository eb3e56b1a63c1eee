//! A change taken into a graph: the vertex that it is about and those around are worked out again, nothing else.

use std::sync::Arc;

use super::vertex::vertex_id;
use super::{Edge, Graph, Vertex, VertexId, VertexIndex, free_edges, index};
use crate::ospf::lsa::{Lsa, LsaKey};

impl Graph {
    /// Takes in that an LSA has another content, or that it does not count any more; returns the vertices whose edges or
    /// flags are others by that. An LSA of another type changes nothing.
    pub fn update(&mut self, key: &LsaKey, lsa: Option<Arc<Lsa>>) -> Vec<VertexIndex> {
        let Some(id) = vertex_id(key) else { return Vec::new() };
        let at = match (self.find(id), &lsa) {
            (Some(at), _) => at,
            (None, Some(_)) => self.insert(id),
            (None, None) => return Vec::new(),
        };
        let Some(before) = self.vertices.get_mut(at.get()).map(|vertex| vertex.hear(key, lsa, self.family))
        else {
            return Vec::new();
        };
        let edges = self.confirmed_edges(at);
        let mut touched = Vec::new();
        let mut around: Vec<VertexIndex> = self.edges(at).iter().chain(&edges).map(|edge| edge.to).collect();
        around.sort_unstable();
        around.dedup();
        for near in around.into_iter().filter(|near| *near != at) {
            if self.join(near, at) {
                touched.push(near);
            }
        }
        if self.set_edges(at, edges)
            || self.vertices.get(at.get()).is_some_and(|vertex| vertex.flags() != before)
        {
            touched.push(at);
        }
        if self.vertex(at).is_some_and(|vertex| vertex.said.is_empty()) {
            self.remove(id, at);
        }
        touched
    }

    /// Makes a vertex that says nothing yet.
    fn insert(&mut self, id: VertexId) -> VertexIndex {
        let at = self.free.pop().unwrap_or_else(|| index(self.vertices.len()));
        let vertex = Vertex::new(id, &[], self.family);
        match self.vertices.get_mut(at.get()) {
            Some(place) => *place = vertex,
            None => self.vertices.push(vertex),
        }
        if let Err(place) = self.search(id) {
            match id {
                VertexId::Router(router) => self.routers.insert(place, (router, at)),
                VertexId::Network { .. } => self.networks.insert(place, (id, at)),
            }
        }
        at
    }

    fn remove(&mut self, id: VertexId, at: VertexIndex) {
        if let Ok(place) = self.search(id) {
            match id {
                VertexId::Router(_) => _ = self.routers.remove(place),
                VertexId::Network { .. } => _ = self.networks.remove(place),
            }
            self.free.push(at);
        }
    }

    /// Returns the edges of a vertex as it and those at the far ends say.
    fn confirmed_edges(&self, at: VertexIndex) -> Vec<Edge> {
        let Some(vertex) = self.vertex(at) else { return Vec::new() };
        let mut edges: Vec<Edge> = vertex
            .claims()
            .filter_map(|claim| {
                let to = self.find(claim.to)?;
                let far = self.vertex(to)?;
                far.claims().any(|back| claim.is_met(vertex.id, &back)).then(|| claim.edge(to))
            })
            .collect();
        edges.sort_unstable();
        edges
    }

    /// Brings the edges from one vertex to another in line with what both say; returns whether they are others.
    fn join(&mut self, from: VertexIndex, to: VertexIndex) -> bool {
        let Some((near, far)) = self.vertex(from).zip(self.vertex(to)) else { return false };
        let joining = near
            .claims()
            .filter(|claim| claim.to == far.id && far.claims().any(|back| claim.is_met(near.id, &back)))
            .map(|claim| claim.edge(to));
        let mut edges: Vec<Edge> =
            near.edges.iter().filter(|edge| edge.to != to).copied().chain(joining).collect();
        edges.sort_unstable();
        self.set_edges(from, edges)
    }

    /// Returns whether the edges are others than before.
    fn set_edges(&mut self, at: VertexIndex, edges: Vec<Edge>) -> bool {
        let Some(vertex) = self.vertices.get_mut(at.get()).filter(|vertex| vertex.edges != edges) else {
            return false;
        };
        self.free_edges -= free_edges(vertex.id, &vertex.edges);
        self.free_edges += free_edges(vertex.id, &edges);
        vertex.edges = edges;
        true
    }
}
