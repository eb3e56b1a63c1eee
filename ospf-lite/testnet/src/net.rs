//! Engines and the wires between them: packets cross after a fixed delay unless a filter takes them.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ospf_lite::config::{Config, InterfaceConfig, InterfaceKind, PointToPointConfig};
use ospf_lite::engine::Engine;
use ospf_lite::ids::{AreaId, Cost, Family, InterfaceId, RouterId};
use ospf_lite::io::{Event, InterfaceEvent, Received, Transmit};
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody, LsaHeader, LsaKey, RouterLsa};
use ospf_lite::ospf::lsdb::Domain;
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{Packet, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_lite::time::Instant;
use ospf_lite::wire::packet::{self, Protection};

use crate::make::{ALL, interface, key, link_local, prefix, seconds, stub};

/// How long a packet is on its way.
pub const DELAY: Duration = Duration::from_millis(5);

/// One end of a wire.
pub type End = (u32, u32);

/// A packet that was sent: when, from which interface, to whom, and what it says.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at: Instant,
    pub from: End,
    pub destination: Ipv6Addr,
    pub octets: Vec<u8>,
}

impl Sent {
    pub fn packet(&self, family: Family) -> Packet {
        packet::decode(&self.octets, family, Protection::Trailer).unwrap()
    }
}

/// Engines and the wires between them.
pub struct Net {
    pub now: Instant,
    pub family: Family,
    pub engines: BTreeMap<u32, Engine>,
    pub events: Vec<(u32, Event)>,
    pub sent: Vec<Sent>,
    pub(crate) wires: BTreeMap<End, End>,
    on_the_way: BTreeMap<(Instant, u64), (u32, Received)>,
    count: u64,
    /// Whether the n-th packet is lost.
    pub loses: fn(u64, &Sent) -> bool,
    /// How long packets that are injected have waited.
    pub age: Duration,
}

impl Net {
    pub fn new(family: Family) -> Self {
        Self {
            now: Instant::ORIGIN + Duration::from_secs(1_000),
            family,
            engines: BTreeMap::new(),
            events: Vec::new(),
            sent: Vec::new(),
            wires: BTreeMap::new(),
            on_the_way: BTreeMap::new(),
            count: 0,
            loses: |_, _| false,
            age: Duration::ZERO,
        }
    }

    /// Two routers that have been Full for a while, joined by the first interface of each.
    pub fn pair(family: Family) -> Self {
        let mut net = Self::new(family).routers(&[1, 2]).link((1, 1), (2, 1));
        net.run_until(seconds(10), Self::is_equal);
        net.run(seconds(20));
        net
    }

    /// Routers 1 - 2 - 3 in a line, Full for a while: interface 1 of router 2 leads to router 1, its interface 2 to router 3.
    pub fn line() -> Self {
        let mut net = Self::new(Family::Ipv6).routers(&[1, 2, 3]).link((1, 1), (2, 1)).link((2, 2), (3, 1));
        net.run_until(seconds(10), Self::is_equal);
        net.run(seconds(20));
        net
    }

    /// 1 - 2 - 3 is the way, 1 - 4 - 3 the longer one; interfaces are numbered by the router they lead to, and some routers have a
    /// LAN at their interface 9.
    pub fn ring(family: Family, with_lan: &[u32]) -> Self {
        let mut net = Self::new(family)
            .routers(&[1, 2, 3, 4])
            .link((1, 2), (2, 1))
            .link((2, 3), (3, 2))
            .link((1, 4), (4, 1))
            .link((4, 3), (3, 4));
        for end in [(1, 4), (3, 4)] {
            net.set_cost(end, 50);
        }
        for router in with_lan {
            net.configure(*router, stub((*router, 9), family));
            net.interface(*router, InterfaceEvent::Up(InterfaceId(9)));
        }
        net.run(seconds(30));
        assert!(net.is_equal());
        net
    }

    /// Gives an interface, otherwise with the default configuration, a cost.
    pub fn set_cost(&mut self, end: End, cost: u16) {
        let mut config = interface(end, self.family);
        if let InterfaceKind::PointToPoint(link) = &mut config.kind {
            link.cost = Cost::new(cost).unwrap();
        }
        self.configure(end.0, config);
    }

    /// Returns the interfaces over which a router reaches the LAN of another.
    pub fn hops(&self, router: u32, far: u32) -> Vec<u32> {
        let route = self.engines[&router].routes().get(&prefix((far, 9), self.family).prefix);
        route.map(|route| route.next_hops.iter().map(|hop| hop.interface.0).collect()).unwrap_or_default()
    }

    /// Adds routers that do nothing yet.
    pub fn routers(mut self, routers: &[u32]) -> Self {
        for router in routers {
            self.start(*router);
        }
        self
    }

    /// Makes an engine, in place of the one that may be there.
    pub fn start(&mut self, router: u32) {
        self.start_with(router, |_| {});
    }

    /// Makes an engine with a changed configuration, in place of the one that may be there.
    pub fn start_with(&mut self, router: u32, change: impl FnOnce(&mut Config)) {
        let mut config = Config::new(RouterId(router), self.family);
        config.authentication_epoch = u32::try_from(self.now.as_micros() / 1_000_000).unwrap();
        change(&mut config);
        self.engines.insert(router, Engine::new(config, self.now, u64::from(router)));
    }

    /// Joins two interfaces with the default configuration and takes them up.
    pub fn link(mut self, a: End, b: End) -> Self {
        self.join(a, b, |_| {});
        self
    }

    /// Joins two interfaces, configured alike, and takes them up.
    pub fn join(&mut self, a: End, b: End, change: fn(&mut PointToPointConfig)) {
        self.wires.insert(a, b);
        self.wires.insert(b, a);
        for end in [a, b] {
            self.configure_up(end, change);
        }
    }

    pub fn configure_up(&mut self, end: End, change: fn(&mut PointToPointConfig)) {
        let mut config = interface(end, self.family);
        if let InterfaceKind::PointToPoint(link) = &mut config.kind {
            change(link);
        }
        self.configure(end.0, config);
        self.interface(end.0, InterfaceEvent::Up(InterfaceId(end.1)));
    }

    pub fn configure(&mut self, router: u32, config: InterfaceConfig) {
        self.interface(router, InterfaceEvent::Configured(config));
    }

    pub fn interface(&mut self, router: u32, event: InterfaceEvent) {
        let now = self.now;
        self.engine(router).handle_interface(now, event);
        self.collect(router);
    }

    pub fn engine(&mut self, router: u32) -> &mut Engine {
        self.engines.get_mut(&router).unwrap()
    }

    /// Hands octets to an engine as if a neighbor had sent them.
    pub fn inject(&mut self, (router, interface): End, source: Ipv6Addr, octets: Vec<u8>) {
        let received =
            Received { interface: InterfaceId(interface), source, destination: ALL, age: self.age, octets };
        let now = self.now;
        self.engine(router).handle_packet(now, &received);
        self.collect(router);
    }

    /// Hands a packet to an engine as if the router at the far end had sent it without authentication.
    pub fn inject_body(&mut self, end: End, body: PacketBody) {
        let far = self.wires[&end];
        let source = link_local(far);
        let packet = Packet {
            router_id: RouterId(far.0),
            area_id: AreaId::BACKBONE,
            instance_id: self.family.instance_id(),
            body,
        };
        let protection = Protection::Checksum { source, destination: ALL };
        self.inject(end, source, packet::encode(&packet, protection));
    }

    /// Lets what is next happen; returns false when nothing is left to happen before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let arrival = self.on_the_way.keys().next().copied();
        let timeout =
            self.engines.iter().filter_map(|(id, engine)| Some((engine.poll_timeout()?, *id))).min();
        let next = arrival.map(|(at, _)| at).into_iter().chain(timeout.map(|(at, _)| at)).min();
        let Some(at) = next.filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(at);
        let now = self.now;
        if let Some(key) = arrival.filter(|(due, _)| *due == at) {
            let (router, received) = self.on_the_way.remove(&key).unwrap();
            if let Some(engine) = self.engines.get_mut(&router) {
                engine.handle_packet(now, &received);
                self.collect(router);
            }
        } else if let Some((_, router)) = timeout {
            self.engine(router).handle_timeout(now);
            self.collect(router);
        }
        true
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Runs until the claim holds; returns how long that took.
    pub fn run_until(&mut self, limit: Duration, claim: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !claim(self) {
            assert!(self.step(start + limit), "not within {limit:?}");
        }
        self.now.since(start)
    }

    /// Takes what an engine wants done after it was told something.
    pub fn collect(&mut self, router: u32) {
        let engine = self.engines.get_mut(&router).unwrap();
        let mut transmits: Vec<Transmit> = Vec::new();
        while let Some(transmit) = engine.poll_transmit() {
            transmits.push(transmit);
        }
        while let Some(event) = engine.poll_event() {
            self.events.push((router, event));
        }
        for transmit in transmits {
            self.count += 1;
            let from = (router, transmit.interface.0);
            let destination = transmit.destination;
            let sent = Sent { at: self.now, from, destination, octets: transmit.octets };
            let is_lost = (self.loses)(self.count, &sent);
            if let Some(to) = self.wires.get(&from).filter(|_| !is_lost) {
                let received = Received {
                    interface: InterfaceId(to.1),
                    source: link_local(from),
                    destination,
                    age: Duration::ZERO,
                    octets: sent.octets.clone(),
                };
                self.on_the_way.insert((self.now + DELAY, self.count), (to.0, received));
            }
            self.sent.push(sent);
        }
    }

    /// Cuts a wire without telling anybody.
    pub fn cut(&mut self, end: End) {
        if let Some(far) = self.wires.remove(&end) {
            self.wires.remove(&far);
        }
    }

    pub fn state(&self, (router, interface): End) -> Option<NeighborState> {
        self.engines[&router]
            .neighbors()
            .find(|neighbor| neighbor.interface == InterfaceId(interface))
            .map(|neighbor| neighbor.state)
    }

    pub fn is_full(&self, end: End) -> bool {
        self.state(end) == Some(NeighborState::Full)
    }

    /// Whether every neighbor is Full, everyone has one and is in the topology, and all area-scope databases are equal.
    pub fn is_equal(&self) -> bool {
        let all_full = self.engines.values().all(|engine| {
            engine.neighbors().count() > 0 && engine.neighbors().all(|one| one.state == NeighborState::Full)
        });
        if !all_full {
            return false;
        }
        let databases: Vec<_> = self.engines.keys().map(|router| self.headers(*router)).collect();
        databases.windows(2).all(|pair| pair[0] == pair[1])
            && self.engines.values().all(|engine| engine.graph().len() == self.engines.len())
    }

    /// The area-scope database but for the ages.
    pub fn headers(&self, router: u32) -> Vec<LsaHeader> {
        self.engines[&router]
            .database()
            .filter(|lsa| lsa.domain == Domain::Area && lsa.header.age < 3600)
            .map(|lsa| LsaHeader { age: 0, ..lsa.header })
            .collect()
    }

    pub fn lsa(&self, router: u32, key: LsaKey) -> Option<(LsaHeader, Lsa)> {
        self.engines[&router]
            .database()
            .find(|lsa| lsa.header.key == key)
            .map(|lsa| (lsa.header, Lsa::clone(lsa.lsa)))
    }

    /// What `router` knows of the first Router-LSA of another.
    pub fn router_lsa(&self, router: u32, of: u32) -> RouterLsa {
        match self.lsa(router, key(LsType::ROUTER, 0, of)).unwrap().1.body() {
            LsaBody::Router(body) => body,
            other => panic!("{other:?}"),
        }
    }

    /// The bodies of the packets that were sent from an interface since `since`, in order.
    pub fn bodies(&self, from: End, since: Instant) -> Vec<PacketBody> {
        let sent = self.sent.iter().filter(|sent| sent.from == from && sent.at >= since);
        sent.map(|sent| sent.packet(self.family).body).collect()
    }

    pub fn refusals(&self, (router, interface): End, kind: Refusal) -> u64 {
        self.engines[&router]
            .refusals()
            .filter(|(id, refusal, _)| id.0 == interface && *refusal == kind)
            .map(|(_, _, count)| count)
            .sum()
    }

    /// How often router 1 of a pair refuses the octets for this reason, as if router 2 had sent them.
    pub fn refusals_of(family: Family, octets: Vec<u8>, reason: Refusal) -> u64 {
        let mut net = Self::pair(family);
        net.inject((1, 1), link_local((2, 1)), octets);
        net.refusals((1, 1), reason)
    }

    /// The packets that were sent since `since` and pass the filter.
    pub fn count_sent(&self, since: Instant, filter: impl Fn(&Sent, &Packet) -> bool) -> usize {
        self.sent.iter().filter(|sent| sent.at >= since && filter(sent, &sent.packet(self.family))).count()
    }
}

/// Returns whether it is a Link State Update, for [`Net::count_sent`].
pub fn is_update(_: &Sent, packet: &Packet) -> bool {
    matches!(packet.body, PacketBody::LinkStateUpdate(_))
}

/// Returns whether it is a Link State Acknowledgment, for [`Net::count_sent`].
pub fn is_acknowledgment(_: &Sent, packet: &Packet) -> bool {
    matches!(packet.body, PacketBody::LinkStateAcknowledgment(_))
}
