//! A neighbor: what is known of the router at the far end of a link.

mod fsm;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::ids::{InterfaceId, RouterId};
use crate::ospf::lsa::{LsaHeader, LsaKey};
use crate::ospf::lsdb::LsdbKey;
use crate::ospf::packet::Options;
use crate::time::Instant;

pub use fsm::{Facts, NeighborInput, NeighborState};

/// A router that was heard on an interface.
#[derive(Debug)]
pub struct Neighbor {
    /// Its Router ID.
    pub router_id: RouterId,
    /// How far the conversation has come.
    pub state: NeighborState,
    /// Since when.
    pub since: Instant,
    /// The source of its packets, a link-local address.
    pub address: Ipv6Addr,
    /// Its Interface ID for the link.
    pub interface_id: InterfaceId,
    /// What it can do.
    pub options: Options,
    /// Its Interface MTU, when that is not this end's: then no adjacency comes about.
    pub mismatched_mtu: Option<u16>,
    /// Link state request list: what it has that is newer.
    pub requests: BTreeMap<LsaKey, LsaHeader>,
    /// Link state retransmission list: what it has not acknowledged, with the time of the last sending.
    pub retransmissions: BTreeMap<LsdbKey, Instant>,
}
