//! What an engine answers when asked: read-only views of interfaces, neighbors and database.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::InterfaceConfig;
use crate::ids::{InterfaceId, RouterId};
use crate::ospf::interface::InterfaceState;
use crate::ospf::lsa::{Lsa, LsaHeader};
use crate::ospf::lsdb::Domain;
use crate::ospf::neighbor::{HelpReason, NeighborState};
use crate::ospf::packet::Options;
use crate::ospf::refusal::Refusals;
use crate::time::Instant;

/// An interface.
#[derive(Debug, Clone, Copy)]
pub struct InterfaceView<'a> {
    /// What the owner said of it: Interface ID, name, prefixes, kind, cost, timers.
    pub config: &'a InterfaceConfig,
    /// What it is good for.
    pub state: InterfaceState,
    /// The Router ID of the neighbor heard on it.
    pub neighbor: Option<RouterId>,
    /// How many times in a row its link was lost, while it is left alone for that: nothing is sent over it then.
    pub flaps: Option<u8>,
    /// What was refused on it, counted.
    pub refusals: &'a Refusals,
}

/// A neighbor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborView<'a> {
    /// The interface it is heard on.
    pub interface: InterfaceId,
    /// The name of that interface's device.
    pub interface_name: &'a str,
    /// Its Router ID.
    pub router_id: RouterId,
    /// How far the conversation has come.
    pub state: NeighborState,
    /// Since when it is in that state.
    pub since: Instant,
    /// The source of its packets.
    pub link_local: Ipv6Addr,
    /// Its Interface ID for the link.
    pub interface_id: InterfaceId,
    /// The SA ID of the key that it signs with; nothing without authentication.
    pub sa_id: Option<u16>,
    /// What it can do.
    pub options: Options,
    /// How long until it counts as dead unless it is heard.
    pub dead_in: Duration,
    /// Why its link counts whatever its state, and for how long still at most.
    pub help: Option<(HelpReason, Duration)>,
    /// The Interface MTUs of both ends when they differ: no adjacency comes about then.
    pub mtu_mismatch: Option<MtuMismatch>,
    /// How many LSAs are still to be asked for (Link state request list).
    pub requests: usize,
    /// How many LSAs it has not acknowledged (Link state retransmission list).
    pub retransmissions: usize,
}

/// Two ends of a link whose Interface MTUs differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MtuMismatch {
    /// This end's.
    pub ours: u16,
    /// The neighbor's.
    pub theirs: u16,
}

/// An LSA of the database.
#[derive(Debug, Clone, Copy)]
pub struct LsaView<'a> {
    /// The link, area or AS it belongs to.
    pub domain: Domain,
    /// The header with the current age.
    pub header: LsaHeader,
    /// The LSA; the age in its own header is that at receipt.
    pub lsa: &'a Arc<Lsa>,
    /// Whether this router is its Advertising Router.
    pub is_self_originated: bool,
}
