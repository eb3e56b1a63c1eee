//! An interface: what is known of it, and the way out over it.

pub mod events;
pub mod fsm;
pub mod hello;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{InterfaceConfig, InterfaceKind, PointToPointConfig};
use crate::ids::Family;
use crate::io::{ALL_SPF_ROUTERS, Reachability, Transmit};
use crate::ospf::lsa::{LsaHeader, LsaKey};
use crate::ospf::lsdb::LsdbKey;
use crate::ospf::neighbor::Neighbor;
use crate::ospf::neighbor::sequences::Sequences;
use crate::ospf::outbox::Cx;
use crate::ospf::packet::{Options, Packet, PacketBody};
use crate::ospf::refusal::Refusals;
use crate::time::Instant;
use crate::wire::packet::{self, Protection};
use crate::wire::{auth, size};

pub use fsm::{InterfaceInput, InterfaceState};

/// An interface of the area.
#[derive(Debug)]
pub struct Interface {
    /// What the owner said of it.
    pub config: InterfaceConfig,
    /// What it is good for.
    pub state: InterfaceState,
    /// What watches the link beside OSPF says of its far end.
    pub reachability: Reachability,
    /// The router at the far end, once heard. A point-to-point link has one.
    pub neighbor: Option<Neighbor>,
    /// The LSAs to be flooded over it with the next Update.
    pub flooding: BTreeSet<LsdbKey>,
    /// When the last Update with flooded LSAs was sent.
    pub flooded_at: Option<Instant>,
    /// The LSAs to be acknowledged when the delay is over.
    pub delayed_acknowledgments: BTreeMap<LsaKey, LsaHeader>,
    /// The LSAs to be acknowledged at the end of the input.
    pub direct_acknowledgments: Vec<LsaHeader>,
    /// From when on the next periodic Hello may go.
    pub hello_from: Option<Instant>,
    /// When a Hello was last answered out of turn.
    pub hello_answered: Option<Instant>,
    /// Whether the neighbor must first learn that this router restarts; until then nothing else is said or heard.
    pub announcement: Option<Announcement>,
    /// The cryptographic sequence numbers heard on it.
    pub sequences: Sequences,
    /// What was refused on it.
    pub refusals: Refusals,
}

/// How far the announcement of a restart has come on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// How often the Grace-LSA is sent still, unless it is acknowledged.
    pub left: u8,
}

impl Interface {
    /// Makes an interface that is down.
    pub const fn new(config: InterfaceConfig) -> Self {
        Self {
            config,
            state: InterfaceState::Down,
            reachability: Reachability::Reachable,
            neighbor: None,
            flooding: BTreeSet::new(),
            flooded_at: None,
            delayed_acknowledgments: BTreeMap::new(),
            direct_acknowledgments: Vec::new(),
            hello_from: None,
            hello_answered: None,
            announcement: None,
            sequences: Sequences::new(),
            refusals: Refusals::new(),
        }
    }

    /// Returns how packets are exchanged, unless it is a stub.
    pub const fn link(&self) -> Option<&PointToPointConfig> {
        match &self.config.kind {
            InterfaceKind::PointToPoint(link) => Some(link),
            InterfaceKind::Stub => None,
        }
    }

    /// Returns the largest packet that crosses the link, unless it is a stub.
    pub fn mtu(&self) -> Option<u16> {
        self.link().map(|link| link.mtu)
    }

    /// Returns how many octets a packet's body may have.
    pub fn packet_body_max(&self) -> usize {
        self.link().map_or(0, |link| {
            size::packet_body(link.mtu, link.authentication.first().map(|association| association.algorithm))
        })
    }

    /// Returns the Options of Hellos and Database Descriptions: those of the router, with the AT-bit when a trailer
    /// follows (RFC 7166 section 2.1).
    pub fn options(&self, router: Options) -> Options {
        match self.link() {
            Some(link) if !link.authentication.is_empty() => router.with(Options::AT),
            _ => router,
        }
    }

    /// Sends a packet to AllSPFRouters, as every packet on a point-to-point link (RFC 2328 section 8.1).
    pub fn send(&self, body: PacketBody, cx: &mut Cx<'_>) {
        let Some(link) = self.link().filter(|_| self.state == InterfaceState::PointToPoint) else {
            return;
        };
        let kind = body.kind();
        let packet = Packet {
            router_id: cx.config.router_id,
            area_id: cx.config.area,
            instance_id: cx.config.family.instance_id(),
            body,
        };
        let (source, destination) = (link.link_local, ALL_SPF_ROUTERS);
        let octets = match link.authentication.first() {
            None => packet::encode(&packet, Protection::Checksum { source, destination }),
            Some(association) => {
                let sequence = cx.outbox.next_authentication_sequence();
                auth::sign(packet::encode(&packet, Protection::Trailer), association, sequence, source)
            }
        };
        tracing::trace!(interface = %self.config.name, ?kind, octets = octets.len(), "send");
        cx.outbox.transmit(Transmit { interface: self.config.id, destination, octets });
    }
}

/// Returns the Options that this router sets wherever it sets any (RFC 5340 appendix A.2, RFC 5838 section 2.2).
pub const fn router_options(family: Family, offers_transit: bool) -> Options {
    let options = Options::E.with(Options::AF);
    let options = match family {
        Family::Ipv6 => options.with(Options::V6),
        Family::Ipv4 => options,
    };
    if offers_transit { options.with(Options::R) } else { options }
}
