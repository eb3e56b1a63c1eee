//! A neighbor: what is known of the router at the far end of a link and what its events do.

pub mod exchange;
mod fsm;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::ids::{InterfaceId, RouterId};
use crate::io::Event;
use crate::ospf::area::Area;
use crate::ospf::lsa::LsaKey;
use crate::ospf::lsdb::LsdbKey;
use crate::ospf::neighbor::exchange::Exchange;
use crate::ospf::outbox::Cx;
use crate::ospf::packet::{Options, PacketKind};
use crate::ospf::refusal::Refusal;
use crate::time::Instant;
use crate::timer::TimerKey;

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
    /// The exchange of databases.
    pub exchange: Exchange,
    /// Link state retransmission list: what it has not acknowledged, with the time of the last sending. At most the
    /// whole database.
    pub retransmissions: BTreeMap<LsdbKey, Instant>,
    /// The last cryptographic sequence number of each kind of packet (RFC 7166 section 4.6).
    sequences: BTreeMap<PacketKind, u64>,
}

impl Neighbor {
    /// Makes a neighbor of which nothing is known but where it is.
    pub const fn new(router_id: RouterId, address: Ipv6Addr, now: Instant) -> Self {
        Self {
            router_id,
            state: NeighborState::Down,
            since: now,
            address,
            interface_id: InterfaceId(0),
            options: Options::from_bits(0),
            mismatched_mtu: None,
            exchange: Exchange::new(),
            retransmissions: BTreeMap::new(),
            sequences: BTreeMap::new(),
        }
    }

    /// Returns whether the LSA is to be asked for, or has been and has not come.
    pub fn requests(&self, key: &LsaKey) -> bool {
        self.exchange.requests.contains_key(key)
    }

    /// Accepts a cryptographic sequence number if it is higher than the last for this kind of packet (RFC 7166
    /// section 4.6). A neighbor that has started again with lower ones is refused until it counts as dead.
    pub fn accept_sequence(&mut self, kind: PacketKind, sequence: u64) -> Result<(), Refusal> {
        if self.sequences.get(&kind).is_some_and(|last| sequence <= *last) {
            return Err(Refusal::AuthenticationReplay);
        }
        self.note_sequence(kind, sequence);
        Ok(())
    }

    /// Takes down the sequence number of an accepted packet.
    pub fn note_sequence(&mut self, kind: PacketKind, sequence: u64) {
        self.sequences.insert(kind, sequence);
    }
}

/// Takes in what happened to the neighbor of an interface.
pub fn handle_input(area: &mut Area, id: InterfaceId, input: NeighborInput, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    let facts = Facts { adjacency_wanted: true, requests_empty: neighbor.exchange.requests.is_empty() };
    let from = neighbor.state;
    let to = from.next(input, facts);
    if from == to {
        return;
    }
    neighbor.state = to;
    neighbor.since = cx.now;
    let router_id = neighbor.router_id;
    tracing::info!(interface = %interface.config.name, neighbor = %router_id, %from, %to, event = ?input, "neighbor state");
    cx.outbox.raise(Event::NeighborChanged { interface: id, neighbor: router_id, from, to });
    handle_edge(area, id, (from, to), cx);
}

/// Does what hangs on the step from one state to another (RFC 2328 section 10.3).
fn handle_edge(
    area: &mut Area,
    id: InterfaceId,
    (from, to): (NeighborState, NeighborState),
    cx: &mut Cx<'_>,
) {
    if from == NeighborState::Full || to == NeighborState::Full {
        area.due.origination = true;
        area.due.topology = true;
    }
    if from >= NeighborState::ExStart && to <= NeighborState::ExStart {
        exchange::forget(area, id, cx);
    }
    match to {
        NeighborState::Down => {
            cx.timers.disarm(TimerKey::Inactivity(id));
            cx.timers.disarm(TimerKey::HelloAnswer(id));
            cx.timers.disarm(TimerKey::Acknowledge(id));
            if let Some(interface) = area.interfaces.get_mut(&id) {
                interface.neighbor = None;
                interface.delayed_acknowledgments.clear();
                interface.direct_acknowledgments.clear();
            }
        }
        NeighborState::ExStart => exchange::start(area, id, cx),
        NeighborState::Exchange => exchange::summarize(area, id, cx),
        NeighborState::Attempt
        | NeighborState::Init
        | NeighborState::TwoWay
        | NeighborState::Loading
        | NeighborState::Full => {}
    }
}
