//! A vertex: a router or a transit network, and the links that it claims.

use std::sync::Arc;

use super::{Edge, VertexIndex};
use crate::ids::{Family, InterfaceId, RouterId};
use crate::ospf::lsa::{LsType, Lsa, LsaKey, RouterLink, RouterLinkKind};
use crate::ospf::options::Options;

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

impl VertexId {
    /// Returns the router that speaks for it.
    pub const fn advertising_router(self) -> RouterId {
        match self {
            Self::Router(router) => router,
            Self::Network { designated_router, .. } => designated_router,
        }
    }
}

/// Returns the vertex that an LSA speaks for, or nothing when the topology does not depend on it.
pub(super) fn vertex_id(key: &LsaKey) -> Option<VertexId> {
    match key.ls_type {
        LsType::ROUTER => Some(VertexId::Router(key.advertising_router)),
        LsType::NETWORK => Some(VertexId::Network {
            designated_router: key.advertising_router,
            interface_id: InterfaceId(key.link_state_id.0),
        }),
        _ => None,
    }
}

/// A router or a transit network.
#[derive(Debug, Clone)]
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
    /// What it says of itself, in the order of the Link State IDs; a place without is free.
    pub(super) said: Vec<Arc<Lsa>>,
    pub(super) edges: Box<[Edge]>,
}

impl Vertex {
    /// Makes a vertex without edges. A router's flags are those of its part with the lowest Link State ID (RFC 5340
    /// appendix A.4.3).
    pub(super) fn new(id: VertexId, said: &[Arc<Lsa>], family: Family) -> Self {
        let wanted = match family {
            Family::Ipv6 => Options::R.with(Options::V6),
            Family::Ipv4 => Options::R,
        };
        let (transits, border, external) = match said.first().and_then(|lsa| lsa.router_flags()) {
            Some(flags) => (flags.options.contains(wanted), flags.border, flags.external),
            None => (matches!(id, VertexId::Network { .. }), false, false),
        };
        Self { id, transits, border, external, said: said.to_vec(), edges: Box::default() }
    }

    pub(super) const fn flags(&self) -> (bool, bool, bool) {
        (self.transits, self.border, self.external)
    }

    /// Takes one of its LSAs in, or out; returns the one before.
    pub(super) fn hear(&mut self, key: &LsaKey, lsa: Option<Arc<Lsa>>, family: Family) -> Option<Arc<Lsa>> {
        let place = self.said.binary_search_by_key(&key.link_state_id, |lsa| lsa.header().key.link_state_id);
        let before = match (place, lsa) {
            (Ok(place), Some(lsa)) => self.said.get_mut(place).map(|slot| std::mem::replace(slot, lsa)),
            (Ok(place), None) => Some(self.said.remove(place)),
            (Err(place), Some(lsa)) => {
                self.said.insert(place, lsa);
                None
            }
            (Err(_), None) => None,
        };
        self.said.shrink_to_fit();
        let Self { transits, border, external, .. } =
            Self::new(self.id, self.said.get(..1).unwrap_or_default(), family);
        (self.transits, self.border, self.external) = (transits, border, external);
        before
    }

    /// Returns every link that it claims.
    pub(super) fn claims(&self) -> impl Iterator<Item = Claim> {
        self.said.iter().flat_map(|lsa| claims_of(lsa))
    }
}

/// Returns every link that an LSA claims.
pub(super) fn claims_of(lsa: &Lsa) -> impl Iterator<Item = Claim> {
    lsa.links().filter_map(|link| Claim::of_link(&link)).chain(lsa.attached_routers().map(Claim::of_network))
}

/// A link as one end has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub to: VertexId,
    interface_id: InterfaceId,
    neighbor_interface_id: InterfaceId,
    metric: u16,
}

impl Claim {
    fn of_link(link: &RouterLink) -> Option<Self> {
        let to = match link.kind {
            RouterLinkKind::PointToPoint => VertexId::Router(link.neighbor_router_id),
            RouterLinkKind::Transit => VertexId::Network {
                designated_router: link.neighbor_router_id,
                interface_id: link.neighbor_interface_id,
            },
            RouterLinkKind::Virtual => return None,
        };
        let RouterLink { interface_id, neighbor_interface_id, metric, .. } = *link;
        Some(Self { to, interface_id, neighbor_interface_id, metric })
    }

    const fn of_network(router: RouterId) -> Self {
        let none = InterfaceId(0);
        Self { to: VertexId::Router(router), interface_id: none, neighbor_interface_id: none, metric: 0 }
    }

    pub const fn edge(&self, to: VertexIndex) -> Edge {
        let Self { interface_id, neighbor_interface_id, metric, .. } = *self;
        Edge { to, interface_id, neighbor_interface_id, metric }
    }

    /// Returns whether a claim of the far end is the way back to `from`: between routers it must join the same two
    /// interfaces, a network is told by where it leads alone.
    pub fn is_met(&self, from: VertexId, back: &Self) -> bool {
        let is_between_routers = matches!((from, self.to), (VertexId::Router(_), VertexId::Router(_)));
        back.to == from
            && (!is_between_routers
                || (back.interface_id == self.neighbor_interface_id
                    && back.neighbor_interface_id == self.interface_id))
    }
}
