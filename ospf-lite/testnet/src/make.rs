//! The things that tests configure engines with and inject into them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ospf_lite::config::{
    AdvertisedPrefix, AuthenticationKey, HmacAlgorithm, InterfaceConfig, InterfaceKind, PointToPointConfig,
    SecurityAssociation,
};
use ospf_lite::ids::{AreaId, Cost, Family, InterfaceId, LinkStateId, RouterId};
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody, LsaKey, SequenceNumber};
use ospf_lite::ospf::packet::{
    AgedLsa, DatabaseDescription, Hello, LinkStateUpdate, Options, Packet, PacketBody,
};
use ospf_lite::wire::packet::{self, Protection};

use crate::net::End;

pub const ALL: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 5);

pub fn link_local((router, interface): End) -> Ipv6Addr {
    let low = |number: u32| u16::try_from(number).unwrap();
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, low(router), low(interface))
}

pub fn key(ls_type: LsType, id: u32, router: u32) -> LsaKey {
    LsaKey { ls_type, link_state_id: LinkStateId(id), advertising_router: RouterId(router) }
}

/// The prefix that an interface of a test router has.
pub fn prefix((router, interface): End, family: Family) -> AdvertisedPrefix {
    let prefix = match family {
        Family::Ipv6 => format!("fd00:{router:x}:{interface:x}::/64"),
        Family::Ipv4 => format!("10.{}.{}.0/24", router % 256, interface % 256),
    };
    AdvertisedPrefix { prefix: prefix.parse().unwrap(), metric: 10, local_address: false }
}

pub fn interface(end: End, family: Family) -> InterfaceConfig {
    let (router, id) = end;
    InterfaceConfig {
        id: InterfaceId(id),
        name: format!("r{router}-{id}"),
        prefixes: Vec::new(),
        kind: InterfaceKind::PointToPoint(PointToPointConfig {
            cost: Cost::new(10).unwrap(),
            hello_interval: Duration::from_secs(10),
            dead_interval: Duration::from_secs(40),
            rxmt_interval: Duration::from_secs(5),
            inf_trans_delay: Duration::from_secs(1),
            mtu: 1370,
            link_local: link_local(end),
            neighbor: None,
            ipv4_address: (family == Family::Ipv4).then(|| {
                Ipv4Addr::new(192, 168, u8::try_from(router).unwrap(), u8::try_from(id % 256).unwrap())
            }),
            authentication: Vec::new(),
        }),
    }
}

pub fn stub(end: End, family: Family) -> InterfaceConfig {
    InterfaceConfig {
        id: InterfaceId(end.1),
        name: format!("lan{}", end.1),
        prefixes: vec![prefix(end, family)],
        kind: InterfaceKind::Stub,
    }
}

pub fn secret(id: u16, key: &str) -> SecurityAssociation {
    SecurityAssociation { id, algorithm: HmacAlgorithm::Sha256, key: AuthenticationKey::new(key.as_bytes()) }
}

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The Hello of router 2 that hears routers 1 and 3, as it is sent over its link.
pub fn hello(family: Family) -> Hello {
    let options = Options::E.with(Options::R).with(Options::AF);
    Hello {
        interface_id: InterfaceId(1),
        priority: 1,
        options: if family == Family::Ipv6 { options.with(Options::V6) } else { options },
        hello_interval: seconds(10),
        dead_interval: seconds(40),
        designated_router: RouterId(0),
        backup_designated_router: RouterId(0),
        neighbors: vec![RouterId(1), RouterId(3)],
    }
}

/// A Database Description of router 2, which leads: neither the first nor the last of its exchange.
pub fn description(family: Family, sequence: u32) -> DatabaseDescription {
    DatabaseDescription {
        options: hello(family).options,
        interface_mtu: 1370,
        init: false,
        more: true,
        master: true,
        sequence,
        headers: Vec::new(),
    }
}

/// A packet of router 2 in the backbone.
pub fn packet_of_two(family: Family, body: PacketBody) -> Packet {
    Packet { router_id: RouterId(2), area_id: AreaId::BACKBONE, instance_id: family.instance_id(), body }
}

/// The octets of router 2's Hello after a change to the packet.
pub fn altered(family: Family, change: impl FnOnce(&mut Packet)) -> Vec<u8> {
    let mut packet = packet_of_two(family, PacketBody::Hello(hello(family)));
    change(&mut packet);
    packet::encode(&packet, Protection::Checksum { source: link_local((2, 1)), destination: ALL })
}

/// An LS type nobody knows, with the U-bit: passed on throughout the area.
pub const PRIVATE: LsType = LsType::from_bits(0xbff0);
/// An LS type nobody knows, without the U-bit: it stays on its link.
pub const STRANGE: LsType = LsType::from_bits(0x3ff0);

/// An LSA of router 99, which is not there, with a body of eight octets.
pub fn foreign(ls_type: LsType, id: u32, sequence: i32, content: u8) -> Lsa {
    let sequence = SequenceNumber(SequenceNumber::INITIAL.0 + sequence);
    Lsa::originate(key(ls_type, id, 99), sequence, 1, LsaBody::Unknown(vec![content; 8]))
}

/// An Update with these LSAs.
pub fn update(lsas: impl IntoIterator<Item = Lsa>) -> PacketBody {
    let lsas = lsas.into_iter().map(AgedLsa::from).collect();
    PacketBody::LinkStateUpdate(LinkStateUpdate { lsas, refused: Vec::new() })
}
