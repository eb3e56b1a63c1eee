//! The engine: inputs in by `handle_*`, what to do about them out by `poll_*`, the state by queries.

use crate::config::Config;
use crate::ids::InterfaceId;
use crate::io::{Event, InterfaceEvent, PrivateContent, Received, Transmit};
use crate::ospf::interface::Interface;
use crate::ospf::lsdb::Lsdb;
use crate::ospf::outbox::Outbox;
use crate::ospf::refusal::Refusal;
use crate::query::{InterfaceView, LsaView, MtuMismatch, NeighborView};
use crate::random::Random;
use crate::time::Instant;
use crate::timer::{TimerKey, Timers};
use std::collections::BTreeMap;

/// One router's OSPFv3 for one address family.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    interfaces: BTreeMap<InterfaceId, Interface>,
    lsdb: Lsdb,
    timers: Timers,
    outbox: Outbox,
    random: Random,
    settled: bool,
    now: Instant,
}

impl Engine {
    /// Makes an engine without interfaces. The same seed and inputs give the same outputs.
    pub fn new(config: Config, now: Instant, seed: u64) -> Self {
        Self {
            interfaces: BTreeMap::new(),
            lsdb: Lsdb::new(config.router_id),
            timers: Timers::default(),
            outbox: Outbox::new(config.authentication_epoch),
            random: Random::new(seed),
            settled: false,
            now,
            config,
        }
    }

    /// Takes in a packet.
    pub fn handle_packet(&mut self, now: Instant, received: &Received) {
        self.now = now;
        let _ = received;
    }

    /// Takes in what happened to an interface.
    pub fn handle_interface(&mut self, now: Instant, event: InterfaceEvent) {
        self.now = now;
        if let InterfaceEvent::Configured(config) = event {
            self.interfaces.insert(config.id, Interface::new(config));
        }
    }

    /// Takes in the owner's content for an LSA type of its own, in place of that type's content before; no parts
    /// withdraw it.
    pub fn handle_private(&mut self, now: Instant, content: PrivateContent) {
        self.now = now;
        drop(content);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        while self.timers.pop_due(now).is_some() {}
        let _ = self.random.bits();
    }

    /// Takes the next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.poll_transmit()
    }

    /// Takes the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.outbox.poll_event()
    }

    /// Returns when [`Engine::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Returns whether the first database is in: an adjacency is Full and none is on its way, or nobody was heard
    /// for RouterDeadInterval. Before that this router does not offer itself for transit (R-bit).
    pub const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Returns what the engine was told of its router.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the interfaces in the order of their ids.
    pub fn interfaces(&self) -> impl Iterator<Item = InterfaceView<'_>> {
        self.interfaces.values().map(|interface| InterfaceView {
            config: &interface.config,
            state: interface.state,
            neighbor: interface.neighbor.as_ref().map(|neighbor| neighbor.router_id),
            refusals: &interface.refusals,
        })
    }

    /// Returns the neighbors in the order of their interfaces' ids.
    pub fn neighbors(&self) -> impl Iterator<Item = NeighborView<'_>> {
        self.interfaces.values().filter_map(|interface| {
            let neighbor = interface.neighbor.as_ref()?;
            let id = interface.config.id;
            let dead_at = self.timers.deadline(TimerKey::Inactivity(id)).unwrap_or(self.now);
            Some(NeighborView {
                interface: id,
                interface_name: &interface.config.name,
                router_id: neighbor.router_id,
                state: neighbor.state,
                since: neighbor.since,
                link_local: neighbor.address,
                interface_id: neighbor.interface_id,
                options: neighbor.options,
                dead_in: dead_at.since(self.now),
                mtu_mismatch: neighbor
                    .mismatched_mtu
                    .zip(interface.link())
                    .map(|(theirs, link)| MtuMismatch { ours: link.mtu, theirs }),
                requests: neighbor.requests.len(),
                retransmissions: neighbor.retransmissions.len(),
            })
        })
    }

    /// Returns the LSAs in the database, in the order of link, area and AS, with their age at the last input.
    pub fn database(&self) -> impl Iterator<Item = LsaView<'_>> {
        self.lsdb.iter().map(|(key, entry)| LsaView {
            domain: key.domain,
            header: entry.header(self.now),
            lsa: entry.lsa(),
            is_self_originated: key.lsa.advertising_router == self.config.router_id,
        })
    }

    /// Returns what was refused, per interface and reason.
    pub fn refusals(&self) -> impl Iterator<Item = (InterfaceId, Refusal, u64)> + '_ {
        self.interfaces.iter().flat_map(|(id, interface)| {
            interface.refusals.iter().map(|(refusal, count)| (*id, refusal, count))
        })
    }
}
