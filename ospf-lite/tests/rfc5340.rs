//! RFC 5340, OSPF for IPv6: a test per clause, named after section and clause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

use std::net::Ipv6Addr;

use ospf_lite::ids::{AreaId, Family, InstanceId, InterfaceId, RouterId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::{LsType, LsaBody};
use ospf_lite::ospf::packet::{DatabaseDescription, Hello, Options, Packet, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_lite::wire::packet::{self, Protection};
use ospf_testnet::{Net, altered, hello, key, link_local, seconds, stub};

#[test]
fn s2_5_source_is_a_link_local_address() {
    let mut net = Net::pair(Family::Ipv6);
    let source: Ipv6Addr = "2001:db8::2".parse().unwrap();
    net.inject((1, 1), source, altered(Family::Ipv6, |_| {}));
    assert_eq!(net.refusals((1, 1), Refusal::Source), 1);
}

#[test]
fn s4_2_1_1_interface_id_and_the_neighbors_heard_are_in_every_hello() {
    let net = Net::pair(Family::Ipv6);
    let hellos = net.sent.iter().filter(|sent| sent.from == (1, 1));
    let last = hellos.rev().find_map(|sent| match sent.packet(Family::Ipv6).body {
        PacketBody::Hello(hello) => Some(hello),
        _ => None,
    });
    let last = last.unwrap();
    assert_eq!((last.interface_id, last.neighbors), (InterfaceId(1), vec![RouterId(2)]));
    assert!(last.options.contains(Options::E.with(Options::V6).with(Options::R)));
}

#[test]
fn s4_2_1_2_options_are_the_same_throughout_an_exchange() {
    let net = Net::pair(Family::Ipv6);
    let descriptions: Vec<DatabaseDescription> = net
        .sent
        .iter()
        .filter(|sent| sent.from == (1, 1))
        .filter_map(|sent| match sent.packet(Family::Ipv6).body {
            PacketBody::DatabaseDescription(description) => Some(description),
            _ => None,
        })
        .collect();
    assert!(descriptions.len() >= 2);
    assert!(descriptions.iter().all(|one| one.interface_mtu == 1370));
    assert!(descriptions.iter().all(|one| one.options == descriptions[0].options));
}

#[test]
fn s4_2_2_version_other_than_3_is_refused() {
    let mut octets = altered(Family::Ipv6, |_| {});
    octets[0] = 2;
    assert_eq!(Net::refusals_of(Family::Ipv6, octets, Refusal::Version), 1);
}

#[test]
fn s4_2_2_checksum_covers_packet_and_addresses() {
    let mut octets = altered(Family::Ipv6, |_| {});
    octets[20] ^= 1;
    assert_eq!(Net::refusals_of(Family::Ipv6, octets, Refusal::Checksum), 1);
    let mut net = Net::pair(Family::Ipv6);
    net.inject((1, 1), link_local((2, 7)), altered(Family::Ipv6, |_| {}));
    assert_eq!(net.refusals((1, 1), Refusal::Checksum), 1);
}

#[test]
fn s4_2_2_area_and_instance_are_those_of_the_interface() {
    let area = altered(Family::Ipv6, |packet| packet.area_id = AreaId(1));
    assert_eq!(Net::refusals_of(Family::Ipv6, area, Refusal::AreaMismatch), 1);
    let instance = altered(Family::Ipv6, |packet| packet.instance_id = InstanceId(64));
    assert_eq!(Net::refusals_of(Family::Ipv6, instance, Refusal::InstanceMismatch), 1);
}

#[test]
fn s4_2_2_destination_is_all_spf_routers_or_the_interface() {
    let mut net = Net::pair(Family::Ipv6);
    let now = net.now;
    let body = PacketBody::Hello(hello(Family::Ipv6));
    let packet =
        Packet { router_id: RouterId(2), area_id: AreaId::BACKBONE, instance_id: InstanceId(0), body };
    let to = |destination: Ipv6Addr| ospf_lite::io::Received {
        interface: InterfaceId(1),
        source: link_local((2, 1)),
        destination,
        octets: packet::encode(&packet, Protection::Checksum { source: link_local((2, 1)), destination }),
    };
    net.engine(1).handle_packet(now, &to(link_local((1, 1))));
    assert_eq!(net.engines[&1].refusals().count(), 0);
    net.engine(1).handle_packet(now, &to("ff02::1".parse().unwrap()));
    assert_eq!(net.refusals((1, 1), Refusal::Destination), 1);
}

#[test]
fn s4_2_2_own_packets_and_those_with_router_id_0_are_refused() {
    let own = altered(Family::Ipv6, |packet| packet.router_id = RouterId(1));
    assert_eq!(Net::refusals_of(Family::Ipv6, own, Refusal::DuplicateRouterId), 1);
    let zero = altered(Family::Ipv6, |packet| packet.router_id = RouterId(0));
    assert_eq!(Net::refusals_of(Family::Ipv6, zero, Refusal::RouterIdZero), 1);
}

#[test]
fn s4_2_2_1_intervals_and_e_bit_of_a_hello_agree() {
    type Change = fn(&mut Hello);
    let cases: [(Change, Refusal); 3] = [
        (|hello| hello.hello_interval = seconds(9), Refusal::HelloInterval),
        (|hello| hello.dead_interval = seconds(41), Refusal::DeadInterval),
        (|hello| hello.options = hello.options.without(Options::E), Refusal::ExternalRouting),
    ];
    for (change, reason) in cases {
        let octets = altered(Family::Ipv6, |packet| match &mut packet.body {
            PacketBody::Hello(hello) => change(hello),
            other => panic!("{other:?}"),
        });
        assert_eq!(Net::refusals_of(Family::Ipv6, octets, reason), 1, "{reason:?}");
    }
}

#[test]
fn s4_4_3_2_router_lsa_names_interfaces_and_routers_and_no_address() {
    let net = Net::pair(Family::Ipv6);
    let router = net.router_lsa(1, 1);
    let link = router.links[0];
    assert_eq!((link.interface_id, link.neighbor_interface_id), (InterfaceId(1), InterfaceId(1)));
    assert_eq!((link.neighbor_router_id, link.metric), (RouterId(2), 10));
    assert!(!router.border && !router.external && !router.virtual_endpoint);
}

#[test]
fn s4_4_3_8_link_lsa_has_the_interface_id_as_link_state_id_and_the_link_local_address() {
    let net = Net::pair(Family::Ipv6);
    let (_, lsa) = net.lsa(2, key(LsType::LINK, 1, 1)).unwrap();
    let LsaBody::Link(link) = lsa.body else { panic!("{lsa:?}") };
    assert_eq!(link.address, link_local((1, 1)));
}

#[test]
fn s4_4_3_9_reference_is_the_router_lsa_with_link_state_id_0() {
    let mut net = Net::pair(Family::Ipv6);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(1));
    let (_, lsa) = net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).unwrap();
    let LsaBody::IntraAreaPrefix(body) = lsa.body else { panic!("{lsa:?}") };
    assert_eq!(body.referenced, key(LsType::ROUTER, 0, 1));
    assert_eq!(net.engines[&2].routes().len(), 1);
}

#[test]
fn s4_4_3_2_router_lsa_follows_the_neighbors_interface_id() {
    let mut net = Net::pair(Family::Ipv6);
    let octets = altered(Family::Ipv6, |packet| match &mut packet.body {
        PacketBody::Hello(hello) => hello.interface_id = InterfaceId(77),
        other => panic!("{other:?}"),
    });
    net.inject((1, 1), link_local((2, 1)), octets);
    assert!(net.is_full((1, 1)));
    assert_eq!(net.router_lsa(1, 1).links[0].neighbor_interface_id, InterfaceId(77));
}
