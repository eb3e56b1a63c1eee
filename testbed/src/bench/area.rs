//! An area of many routers that exist only as LSAs, and the puppet that floods them into an engine.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;
use ospf_lite::engine::Engine;
use ospf_lite::ids::{AreaId, Cost, Family, InterfaceId, LinkStateId, RouterId};
use ospf_lite::io::{ALL_SPF_ROUTERS, Received, Transmit};
use ospf_lite::ospf::lsa::{
    IntraAreaPrefixLsa, LsType, Lsa, LsaBody, LsaKey, Prefix, PrefixOptions, RouterLink, RouterLinkKind,
    RouterLsa, SequenceNumber,
};
use ospf_lite::ospf::packet::{
    AgedLsa, DatabaseDescription, Hello, LinkStateUpdate, Options, Packet, PacketBody,
};
use ospf_lite::sim::{NodeIndex, PerSide, Side, Topology, TopologyLink};
use ospf_lite::time::Instant;
use ospf_lite::wire::packet::{Protection, decode, encode};

/// Router IDs of the area start above this, below the engine's own: the puppet never leads an exchange.
const ROUTER_ID_BASE: u32 = 1000;
/// The puppet's Interface ID towards the engine; those of the area's links are smaller.
const PUPPET_INTERFACE: InterfaceId = InterfaceId(0x0fff_ffff);
/// The puppet's address.
const PUPPET_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xbeef);
/// What every prefix costs, and the link of the last router.
const PREFIX_METRIC: u16 = 10;
/// LSAs of one Link State Update.
const LSAS_PER_UPDATE: usize = 12;

/// What the engine is told about the link to the puppet, and the puppet about the engine.
#[derive(Debug, Clone, Copy)]
pub struct Attachment {
    /// The engine's Router ID; above every one of the area.
    pub router_id: RouterId,
    /// The engine's Interface ID of the link to the puppet.
    pub interface: InterfaceId,
    /// HelloInterval and RouterDeadInterval of that link.
    pub intervals: (Duration, Duration),
    /// MTU of that link.
    pub mtu: u16,
}

/// One thing that changes in an area, to one value and back in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// What a link far away costs.
    Far,
    /// What the way to the area costs: afterwards everything is at another distance.
    Near,
    /// What the only link of a router far away costs.
    Leaf,
    /// The metric of that router's prefix.
    Prefix,
}

/// The routers of a topology as LSAs of the IPv6 family; router 0 is the puppet, and the last has one link only.
#[derive(Debug)]
pub struct Area {
    topology: Topology,
    attachment: Attachment,
    sequences: Vec<SequenceNumber>,
    /// The metric of the last router's prefix, and how often it has been another.
    last_prefix: (u16, SequenceNumber),
}

impl Area {
    /// Attaches router 0 of a topology to an engine, and a router more to the last one.
    pub fn new(mut topology: Topology, attachment: Attachment) -> Self {
        let ends =
            PerSide { a: NodeIndex(topology.routers.saturating_sub(1)), b: NodeIndex(topology.routers) };
        let cost = Cost::new(PREFIX_METRIC).unwrap_or(Cost::MAX);
        topology.links.push(TopologyLink { ends, costs: PerSide { a: cost, b: cost } });
        topology.routers += 1;
        let sequences = vec![SequenceNumber::INITIAL; topology.routers];
        Self { topology, attachment, sequences, last_prefix: (PREFIX_METRIC, SequenceNumber::INITIAL) }
    }

    /// Returns every LSA of the area.
    pub fn lsas(&self) -> Vec<Arc<Lsa>> {
        let mut links = vec![Vec::new(); self.topology.routers];
        for (index, link) in self.topology.links.iter().enumerate() {
            for side in Side::BOTH {
                let (near, far) = (*link.ends.at(side), *link.ends.at(side.other()));
                if let Some(links) = links.get_mut(near.0) {
                    links.push(RouterLink {
                        kind: RouterLinkKind::PointToPoint,
                        metric: link.costs.at(side).get(),
                        interface_id: interface_id(index, side),
                        neighbor_interface_id: interface_id(index, side.other()),
                        neighbor_router_id: router_id(far),
                    });
                }
            }
        }
        if let Some(puppets) = links.first_mut() {
            puppets.push(RouterLink {
                kind: RouterLinkKind::PointToPoint,
                metric: 10,
                interface_id: PUPPET_INTERFACE,
                neighbor_interface_id: self.attachment.interface,
                neighbor_router_id: self.attachment.router_id,
            });
        }
        links.into_iter().enumerate().flat_map(|(n, links)| self.lsas_of(NodeIndex(n), links)).collect()
    }

    /// Makes a change to a metric or cost, and returns the LSAs that say so.
    pub fn change(&mut self, change: Change, metric: u16) -> Vec<Arc<Lsa>> {
        let leaf = self.topology.links.len().saturating_sub(1);
        let routers = match change {
            Change::Far => self.set_costs(metric, |number, _| number + 1 == leaf),
            Change::Leaf => self.set_costs(metric, |number, _| number == leaf),
            Change::Near => {
                self.set_costs(metric, |_, link| Side::BOTH.into_iter().any(|side| link.ends.at(side).0 == 0))
            }
            Change::Prefix => {
                let next = self.last_prefix.1.next().unwrap_or(SequenceNumber::INITIAL);
                self.last_prefix = (metric, next);
                vec![NodeIndex(self.topology.routers.saturating_sub(1))]
            }
        };
        let ls_type = if change == Change::Prefix { LsType::INTRA_AREA_PREFIX } else { LsType::ROUTER };
        let ids: Vec<RouterId> = routers.into_iter().map(router_id).collect();
        let is_meant = |lsa: &Arc<Lsa>| {
            let key = lsa.header().key;
            key.ls_type == ls_type && ids.contains(&key.advertising_router)
        };
        self.lsas().into_iter().filter(is_meant).collect()
    }

    /// Sets what some links cost at both ends, and returns the routers that have another Router-LSA by that.
    fn set_costs(&mut self, metric: u16, is_meant: impl Fn(usize, &TopologyLink) -> bool) -> Vec<NodeIndex> {
        let cost = Cost::new(metric).unwrap_or(Cost::MAX);
        let mut routers = Vec::new();
        for (number, link) in self.topology.links.iter_mut().enumerate() {
            if is_meant(number, link) {
                link.costs = PerSide { a: cost, b: cost };
                routers.extend(Side::BOTH.map(|side| *link.ends.at(side)));
            }
        }
        routers.sort_unstable();
        routers.dedup();
        for router in &routers {
            if let Some(sequence) = self.sequences.get_mut(router.0) {
                *sequence = sequence.next().unwrap_or(SequenceNumber::INITIAL);
            }
        }
        routers
    }

    fn lsas_of(&self, node: NodeIndex, links: Vec<RouterLink>) -> [Arc<Lsa>; 2] {
        let key =
            |ls_type| LsaKey { ls_type, link_state_id: LinkStateId(0), advertising_router: router_id(node) };
        let sequence = self.sequences.get(node.0).copied().unwrap_or(SequenceNumber::INITIAL);
        let router = LsaBody::Router(RouterLsa {
            border: false,
            external: false,
            virtual_endpoint: false,
            options: options(),
            links,
        });
        let is_last = node.0 + 1 == self.topology.routers;
        let (metric, of_prefix) =
            if is_last { self.last_prefix } else { (PREFIX_METRIC, SequenceNumber::INITIAL) };
        let prefixes = LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa {
            referenced: key(LsType::ROUTER),
            prefixes: vec![(Prefix { net: lan(node).into(), options: PrefixOptions::default() }, metric)],
        });
        [
            Arc::new(Lsa::originate(key(LsType::ROUTER), sequence, 1, router)),
            Arc::new(Lsa::originate(key(LsType::INTRA_AREA_PREFIX), of_prefix, 1, prefixes)),
        ]
    }
}

/// The router 0 of an area, as far as it takes to flood the area's LSAs into an engine.
#[derive(Debug)]
pub struct Puppet {
    attachment: Attachment,
}

impl Puppet {
    /// Stands at the far end of an engine's link.
    pub fn new(attachment: Attachment) -> Self {
        Self { attachment }
    }

    /// Says Hello to the engine.
    pub fn hello(&self, now: Instant, engine: &mut Engine) {
        let (hello_interval, dead_interval) = self.attachment.intervals;
        let hello = Hello {
            interface_id: PUPPET_INTERFACE,
            priority: 1,
            options: options(),
            hello_interval,
            dead_interval,
            designated_router: RouterId(0),
            backup_designated_router: RouterId(0),
            neighbors: vec![self.attachment.router_id],
        };
        self.send(now, engine, PacketBody::Hello(hello));
    }

    /// Floods LSAs into the engine.
    pub fn flood(&self, now: Instant, engine: &mut Engine, lsas: &[Arc<Lsa>]) {
        for chunk in lsas.chunks(LSAS_PER_UPDATE) {
            let aged = |lsa: &Arc<Lsa>| AgedLsa { lsa: Arc::clone(lsa), age: 1 };
            let update = LinkStateUpdate { lsas: chunk.iter().map(aged).collect(), refused: Vec::new() };
            self.send(now, engine, PacketBody::LinkStateUpdate(update));
        }
    }

    /// Answers what the engine sent to the puppet: follows its exchange, acknowledges nothing but that.
    pub fn handle(&self, now: Instant, engine: &mut Engine, sent: &Transmit) {
        let Ok(packet) = decode(&sent.octets, Family::Ipv6, Protection::Trailer) else { return };
        match packet.body {
            PacketBody::DatabaseDescription(description) => {
                let answer = DatabaseDescription {
                    init: false,
                    more: false,
                    master: false,
                    headers: Vec::new(),
                    ..description
                };
                self.send(now, engine, PacketBody::DatabaseDescription(answer));
            }
            PacketBody::LinkStateUpdate(update) => {
                let headers = update.lsas.iter().map(|aged| aged.lsa.header()).collect();
                self.send(now, engine, PacketBody::LinkStateAcknowledgment(headers));
            }
            PacketBody::Hello(_)
            | PacketBody::LinkStateRequest(_)
            | PacketBody::LinkStateAcknowledgment(_) => {}
        }
    }

    fn send(&self, now: Instant, engine: &mut Engine, body: PacketBody) {
        let packet = Packet {
            router_id: router_id(NodeIndex(0)),
            area_id: AreaId::BACKBONE,
            instance_id: Family::Ipv6.instance_id(),
            body,
        };
        let protection = Protection::Checksum { source: PUPPET_ADDRESS, destination: ALL_SPF_ROUTERS };
        let received = Received {
            interface: self.attachment.interface,
            source: PUPPET_ADDRESS,
            destination: ALL_SPF_ROUTERS,
            age: Duration::ZERO,
            octets: encode(&packet, protection),
        };
        engine.handle_packet(now, &received);
    }
}

fn options() -> Options {
    Options::V6.with(Options::E).with(Options::R).with(Options::AF)
}

fn router_id(node: NodeIndex) -> RouterId {
    RouterId(ROUTER_ID_BASE.saturating_add(u32::try_from(node.0).unwrap_or(u32::MAX)))
}

fn interface_id(link: usize, side: Side) -> InterfaceId {
    let end = usize::from(side == Side::B);
    InterfaceId(u32::try_from(2 * link + end + 1).unwrap_or(u32::MAX))
}

fn lan(node: NodeIndex) -> Ipv6Net {
    let number = u128::try_from(node.0).unwrap_or(0);
    let address = Ipv6Addr::from(0xfd00_0000_0002_0000_0000_0000_0000_0000_u128 | number << 64);
    Ipv6Net::new_assert(address, 64)
}
