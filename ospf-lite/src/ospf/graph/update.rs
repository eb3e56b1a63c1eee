//! A change taken into a graph: the links that it is about are worked out again, nothing else.

use std::sync::Arc;

use super::vertex::{Claim, claims_of, vertex_id};
use super::{Edge, Graph, Vertex, VertexId, VertexIndex, free_edges, index};
use crate::ospf::lsa::{Lsa, LsaKey};

impl Graph {
    /// Takes in that an LSA has another content, or that it does not count any more; returns the vertices whose edges or
    /// flags are others by that. An LSA of another type changes nothing.
    ///
    /// Only the ends of links that the LSA says something else about are looked at: what a router with thousands of links
    /// says in its other LSAs does not matter.
    pub fn update(&mut self, key: &LsaKey, lsa: Option<Arc<Lsa>>) -> Vec<VertexIndex> {
        let Some(id) = vertex_id(key) else { return Vec::new() };
        let at = match (self.find(id), &lsa) {
            (Some(at), _) => at,
            (None, Some(_)) => self.insert(id),
            (None, None) => return Vec::new(),
        };
        let Some(vertex) = self.vertices.get_mut(at.get()) else { return Vec::new() };
        let flags = vertex.flags();
        let before = vertex.hear(key, lsa.clone(), self.family);
        let has_other_flags = vertex.flags() != flags;
        let ends = differing(before.as_deref(), lsa.as_deref());
        let mut touched = self.join(at, &ends);
        if has_other_flags && !touched.contains(&at) {
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

    /// Brings the edges between a vertex and some others in line with what both say; returns the vertices with other edges.
    fn join(&mut self, at: VertexIndex, ends: &[VertexId]) -> Vec<VertexIndex> {
        let Some(near) = self.vertex(at).map(|vertex| vertex.id) else { return Vec::new() };
        let claims = self.claims_towards(at, ends);
        let (mut places, mut joining, mut touched) = (Vec::new(), Vec::new(), Vec::new());
        for end in ends {
            let Some(far) = self.find(*end) else { continue };
            let start = claims.partition_point(|claim| claim.to < *end);
            let rest = claims.get(start..).unwrap_or_default();
            let forth = rest.get(..rest.partition_point(|claim| claim.to == *end)).unwrap_or_default();
            let back = self.claims_towards(far, &[near]);
            let is_met = |claim: &&Claim| back.iter().any(|back| claim.is_met(near, back));
            joining.extend(forth.iter().filter(is_met).map(|claim| claim.edge(far)));
            places.push(far);
            if far != at {
                let is_met = |claim: &&Claim| forth.iter().any(|forth| claim.is_met(*end, forth));
                let joining = back.iter().filter(is_met).map(|claim| claim.edge(at)).collect();
                if self.replace_edges(far, &[at], joining) {
                    touched.push(far);
                }
            }
        }
        places.sort_unstable();
        if self.replace_edges(at, &places, joining) {
            touched.push(at);
        }
        touched
    }

    /// Returns what a vertex claims about links to some others, in the order of these.
    fn claims_towards(&mut self, at: VertexIndex, ends: &[VertexId]) -> Vec<Claim> {
        let (mut claims, mut read) = (Vec::new(), 0);
        let all = self.vertices.get(at.get()).into_iter().flat_map(Vertex::claims);
        for claim in all {
            read += 1;
            if ends.binary_search(&claim.to).is_ok() {
                claims.push(claim);
            }
        }
        self.links_read += read;
        claims.sort_unstable();
        claims
    }

    /// Replaces the edges from a vertex to some places; returns whether they are others than before.
    fn replace_edges(&mut self, from: VertexIndex, to: &[VertexIndex], joining: Vec<Edge>) -> bool {
        let mut edges = joining;
        let others = self.edges(from).iter().filter(|edge| to.binary_search(&edge.to).is_err());
        edges.extend(others);
        edges.sort_unstable();
        self.set_edges(from, edges)
    }

    /// Returns whether the edges are others than before.
    fn set_edges(&mut self, at: VertexIndex, edges: Vec<Edge>) -> bool {
        let Some(vertex) = self.vertices.get_mut(at.get()).filter(|vertex| *vertex.edges != *edges) else {
            return false;
        };
        self.free_edges -= free_edges(vertex.id, &vertex.edges);
        self.free_edges += free_edges(vertex.id, &edges);
        vertex.edges = edges.into();
        true
    }
}

/// Returns the far ends of the links about which two instances of an LSA do not say the same, in order.
fn differing(before: Option<&Lsa>, after: Option<&Lsa>) -> Vec<VertexId> {
    let sorted = |lsa: Option<&Lsa>| {
        let mut claims: Vec<Claim> = lsa.into_iter().flat_map(claims_of).collect();
        claims.sort_unstable();
        claims
    };
    let (before, after) = (sorted(before), sorted(after));
    let count = |claims: &[Claim], one: &Claim| {
        claims.partition_point(|claim| claim <= one) - claims.partition_point(|claim| claim < one)
    };
    // Who says the same twice, and once afterwards, may say it in another LSA now.
    let missing = |from: &[Claim], other: &[Claim]| -> Vec<VertexId> {
        let same = from.chunk_by(|one, two| one == two);
        let same = same.filter_map(|same| same.first().map(|claim| (claim, same.len())));
        same.filter(|(claim, times)| *times > count(other, claim)).map(|(claim, _)| claim.to).collect()
    };
    let mut ends = [missing(&before, &after), missing(&after, &before)].concat();
    ends.sort_unstable();
    ends.dedup();
    ends
}
