//! A neighbor: what is known of the router at the far end of a link.

pub mod description;
pub mod events;
pub mod exchange;
pub mod fsm;
pub mod loading;
pub mod retransmit;
pub mod sequences;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;

use crate::ids::{InterfaceId, RouterId};
use crate::ospf::lsa::{LsaHeader, LsaKey};
use crate::ospf::lsdb::LsdbKey;
use crate::ospf::packet::{DatabaseDescription, Options};
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
    /// Why, and until when, its link counts whatever its state.
    pub help: Option<Help>,
    /// When it was last Full, unless it is.
    pub left_full: Option<Instant>,
    /// The source of its packets, a link-local address.
    pub address: Ipv6Addr,
    /// Its Interface ID for the link.
    pub interface_id: InterfaceId,
    /// The SA ID of the key that it signed its last packet with (RFC 7166 section 3).
    pub sa_id: Option<u16>,
    /// What it can do.
    pub options: Options,
    /// Its Interface MTU, when that is not this end's: then no adjacency comes about.
    pub mismatched_mtu: Option<u16>,
    /// The exchange of databases.
    pub exchange: Exchange,
    /// Link state retransmission list: what it has not acknowledged, and when it gets that again. At most the whole
    /// database.
    pub retransmissions: BTreeMap<LsdbKey, Instant>,
    /// Those of them that it has not been sent, because it gets them from another router.
    pub withheld: BTreeSet<LsdbKey>,
    /// Those of them, and of the instances before, that told a change of topology.
    pub news: BTreeSet<LsdbKey>,
}

impl Neighbor {
    /// Makes a neighbor of which nothing is known but where it is.
    pub const fn new(router_id: RouterId, address: Ipv6Addr, now: Instant) -> Self {
        Self {
            router_id,
            state: NeighborState::Down,
            since: now,
            help: None,
            left_full: None,
            address,
            interface_id: InterfaceId(0),
            sa_id: None,
            options: Options::from_bits(0),
            mismatched_mtu: None,
            exchange: Exchange::new(),
            retransmissions: BTreeMap::new(),
            withheld: BTreeSet::new(),
            news: BTreeSet::new(),
        }
    }

    /// Returns whether its link counts: for the Router-LSA and for the routes.
    pub const fn is_adjacent(&self) -> bool {
        matches!(self.state, NeighborState::Full) || self.help.is_some()
    }

    /// Returns whether the LSA is to be asked for, or has been and has not come.
    pub fn requests(&self, key: &LsaKey) -> bool {
        self.exchange.requests.contains_key(key)
    }
}

/// Helping a neighbor whose routing restarts: its link counts as if it were Full (RFC 3623 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Help {
    /// What shows that it goes on forwarding.
    pub reason: HelpReason,
    /// Until when at most.
    pub until: Instant,
}

/// What shows that a neighbor goes on forwarding while its routing restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HelpReason {
    /// It has said so in a Grace-LSA.
    Announced,
    /// It is silent, but its kernel answers.
    Forwarding,
    /// It was Full a moment ago, and is taking the adjacency up again.
    Resuming,
}

/// What tells a repeated Database Description from the next (RFC 2328 section 10.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Received {
    init: bool,
    more: bool,
    master: bool,
    options: Options,
    sequence: u32,
}

impl From<&DatabaseDescription> for Received {
    fn from(description: &DatabaseDescription) -> Self {
        let DatabaseDescription { init, more, master, options, sequence, .. } = *description;
        Self { init, more, master, options, sequence }
    }
}

/// How far the two databases have been compared.
#[derive(Debug)]
pub struct Exchange {
    /// Whether this router leads the exchange.
    pub(super) is_master: bool,
    /// DD sequence number.
    sequence: u32,
    /// The last Database Description from the neighbor.
    received: Option<Received>,
    /// The last Database Description to the neighbor, kept to be repeated.
    sent: Option<DatabaseDescription>,
    pub(super) sent_at: Instant,
    /// Database summary list: what is still to be described.
    summary: VecDeque<LsdbKey>,
    /// Link state request list: what the neighbor has that is newer. At most a whole database.
    pub requests: BTreeMap<LsaKey, LsaHeader>,
    /// Those that have been asked for.
    pub(super) requested: BTreeSet<LsaKey>,
    pub(super) requested_at: Instant,
    /// When a request of the neighbor was last answered.
    pub(super) answered_at: Option<Instant>,
}

impl Exchange {
    /// Makes one that has not begun.
    pub const fn new() -> Self {
        Self {
            is_master: false,
            sequence: 0,
            received: None,
            sent: None,
            sent_at: Instant::ORIGIN,
            summary: VecDeque::new(),
            requests: BTreeMap::new(),
            requested: BTreeSet::new(),
            requested_at: Instant::ORIGIN,
            answered_at: None,
        }
    }

    /// Takes an LSA off the request list if `header` is at least as recent as what was to be asked for; returns
    /// whether it was more recent, or nothing when the LSA is not on the list (RFC 2328 section 13.3, step 1b).
    pub fn satisfy(&mut self, header: &LsaHeader) -> Option<std::cmp::Ordering> {
        let order = header.compare_recency(self.requests.get(&header.key)?);
        if order.is_ge() {
            self.requests.remove(&header.key);
            self.requested.remove(&header.key);
        }
        Some(order)
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}
