//! The area's topology as a graph: routers and transit networks, joined where both ends say so (RFC 2328 section 16.1,
//! RFC 5340 section 4.8.1).

use std::ops::Range;

use crate::ids::{Family, InterfaceId, LinkStateId, RouterId};
use crate::ospf::lsa::{Lsa, LsaBody, MAX_AGE, NetworkLsa, RouterLinkKind, RouterLsa};
use crate::ospf::packet::Options;

/// What a vertex stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VertexId {
    /// A router, with all of its Router-LSAs.
    Router(RouterId),
    /// A transit network, named by its Network-LSA.
    Network {
        /// The Designated Router, which originates the LSA.
        designated_router: RouterId,
        /// The Designated Router's interface to the network: the LSA's Link State ID.
        interface_id: InterfaceId,
    },
}

/// A vertex's place in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexIndex(u32);

impl VertexIndex {
    /// Returns the place as a number, counted from 0.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A router or a transit network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// What it stands for.
    pub id: VertexId,
    /// Whether paths may lead through it: always for networks; for routers the R-bit, and in the IPv6 family the V6-bit,
    /// decide (RFC 5340 appendix A.2, RFC 5838 section 2.2).
    pub transits: bool,
    /// Whether it is an area border router.
    pub border: bool,
    /// Whether it is an AS boundary router.
    pub external: bool,
    edges: Range<usize>,
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

/// The topology of an area, in an order that depends on nothing but the LSAs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    vertices: Vec<Vertex>,
    /// The Router IDs of the first vertices: close together, they are searched several times faster.
    routers: Vec<RouterId>,
    edges: Vec<Edge>,
}

impl Graph {
    /// Builds the topology that the LSAs describe. LSAs of other types and those of MaxAge are left out, and so are
    /// links without a link back between the same two interfaces, and virtual links.
    pub fn from_lsas<'a>(lsas: impl IntoIterator<Item = &'a Lsa>, family: Family) -> Self {
        let said = Said::collect(lsas);
        let vertices = said.vertices(family);
        let claimed = said.claimed(vertices);
        claimed.confirmed()
    }

    /// Returns the vertices in order: routers by Router ID, then networks.
    pub fn vertices(&self) -> impl Iterator<Item = (VertexIndex, &Vertex)> {
        self.vertices.iter().enumerate().map(|(place, vertex)| (index(place), vertex))
    }

    /// Returns how many vertices there are.
    pub fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Returns whether there is no vertex.
    pub fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    /// Returns a vertex by its place.
    pub fn vertex(&self, index: VertexIndex) -> Option<&Vertex> {
        self.vertices.get(index.get())
    }

    /// Finds a vertex.
    pub fn find(&self, id: VertexId) -> Option<VertexIndex> {
        let place = match id {
            VertexId::Router(router) => self.routers.binary_search(&router).ok()?,
            VertexId::Network { .. } => self.vertices.binary_search_by_key(&id, |vertex| vertex.id).ok()?,
        };
        Some(index(place))
    }

    /// Returns the ways from a vertex, ordered by where they lead and by interface.
    pub fn edges(&self, from: VertexIndex) -> &[Edge] {
        self.vertex(from).and_then(|vertex| self.edges.get(vertex.edges.clone())).unwrap_or_default()
    }

    /// Keeps the edges that have an edge back.
    fn confirmed(mut self) -> Self {
        let mut edges = Vec::with_capacity(self.edges.len());
        let mut ranges = Vec::with_capacity(self.vertices.len());
        for (from, _) in self.vertices() {
            let start = edges.len();
            edges.extend(self.edges(from).iter().filter(|edge| self.has_back(from, edge)));
            ranges.push(start..edges.len());
        }
        self.vertices.iter_mut().zip(ranges).for_each(|(vertex, range)| vertex.edges = range);
        self.edges = edges;
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
struct Said<'a> {
    routers: Vec<(RouterId, LinkStateId, &'a RouterLsa)>,
    networks: Vec<(VertexId, &'a NetworkLsa)>,
}

impl<'a> Said<'a> {
    fn collect(lsas: impl IntoIterator<Item = &'a Lsa>) -> Self {
        let mut said = Self { routers: Vec::new(), networks: Vec::new() };
        for lsa in lsas.into_iter().filter(|lsa| lsa.header.age < MAX_AGE) {
            let key = lsa.header.key;
            match &lsa.body {
                LsaBody::Router(router) => {
                    said.routers.push((key.advertising_router, key.link_state_id, router));
                }
                LsaBody::Network(network) => {
                    let id = VertexId::Network {
                        designated_router: key.advertising_router,
                        interface_id: InterfaceId(key.link_state_id.0),
                    };
                    said.networks.push((id, network));
                }
                _ => {}
            }
        }
        said.routers.sort_by_key(|(router, part, _)| (*router, *part));
        said.networks.sort_by_key(|(id, _)| *id);
        said.networks.dedup_by_key(|(id, _)| *id);
        said
    }

    /// Returns the vertices without edges. A router's flags are those of its part with the lowest Link State ID (RFC
    /// 5340 appendix A.4.3).
    fn vertices(&self, family: Family) -> Vec<Vertex> {
        let wanted = match family {
            Family::Ipv6 => Options::R.with(Options::V6),
            Family::Ipv4 => Options::R,
        };
        let mut vertices = Vec::with_capacity(self.routers.len() + self.networks.len());
        for parts in self.routers.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((router_id, _, router)) = parts.first() else { continue };
            vertices.push(Vertex {
                id: VertexId::Router(*router_id),
                transits: router.options.contains(wanted),
                border: router.border,
                external: router.external,
                edges: 0..0,
            });
        }
        vertices.extend(self.networks.iter().map(|(id, _)| Vertex {
            id: *id,
            transits: true,
            border: false,
            external: false,
            edges: 0..0,
        }));
        vertices
    }

    /// Returns the graph with every edge that one end claims.
    fn claimed(&self, vertices: Vec<Vertex>) -> Graph {
        let routers = vertices.iter().filter_map(|vertex| match vertex.id {
            VertexId::Router(router) => Some(router),
            VertexId::Network { .. } => None,
        });
        let mut graph = Graph { routers: routers.collect(), vertices, edges: Vec::new() };
        let mut edges = Vec::new();
        let mut ranges = Vec::with_capacity(graph.len());
        for parts in self.routers.chunk_by(|(one, ..), (other, ..)| one == other) {
            let start = edges.len();
            edges.extend(parts.iter().flat_map(|(_, _, router)| router_edges(router, &graph)));
            ranges.push(start..edges.len());
        }
        for (_, network) in &self.networks {
            let start = edges.len();
            edges.extend(network_edges(network, &graph));
            ranges.push(start..edges.len());
        }
        for (vertex, range) in graph.vertices.iter_mut().zip(ranges) {
            edges.get_mut(range.clone()).unwrap_or_default().sort_unstable();
            vertex.edges = range;
        }
        graph.edges = edges;
        graph
    }
}

fn router_edges<'a>(router: &'a RouterLsa, graph: &'a Graph) -> impl Iterator<Item = Edge> + 'a {
    router.links.iter().filter_map(|link| {
        let id = match link.kind {
            RouterLinkKind::PointToPoint => VertexId::Router(link.neighbor_router_id),
            RouterLinkKind::Transit => VertexId::Network {
                designated_router: link.neighbor_router_id,
                interface_id: link.neighbor_interface_id,
            },
            RouterLinkKind::Virtual => return None,
        };
        Some(Edge {
            to: graph.find(id)?,
            interface_id: link.interface_id,
            neighbor_interface_id: link.neighbor_interface_id,
            metric: link.metric,
        })
    })
}

fn network_edges<'a>(network: &'a NetworkLsa, graph: &'a Graph) -> impl Iterator<Item = Edge> + 'a {
    network.attached_routers.iter().filter_map(|router| {
        Some(Edge {
            to: graph.find(VertexId::Router(*router))?,
            interface_id: InterfaceId(0),
            neighbor_interface_id: InterfaceId(0),
            metric: 0,
        })
    })
}

fn index(place: usize) -> VertexIndex {
    VertexIndex(u32::try_from(place).unwrap_or(u32::MAX))
}
