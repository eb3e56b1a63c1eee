//! RFC 5340, and RFC 2328 and 5838 where it builds on them: a test per clause that an engine can break on its own.

use std::net::Ipv6Addr;

use ospf_lite::ids::{AreaId, Family, InstanceId, InterfaceId, RouterId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::{LsType, LsaBody, LsaHeader, SequenceNumber};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{DatabaseDescription, Hello, Options, Packet, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_lite::wire::packet::{self, Protection};

use crate::harness::{ALL, Net, key, link_local, seconds, stub};

fn pair(family: Family) -> Net {
    let mut net = Net::new(family).routers(&[1, 2]).link((1, 1), (2, 1));
    net.run_until(seconds(10), Net::is_equal);
    net.run(seconds(20));
    net
}

fn hello(family: Family) -> Hello {
    let options = Options::E.with(Options::R).with(Options::AF);
    Hello {
        interface_id: InterfaceId(1),
        priority: 1,
        options: if family == Family::Ipv6 { options.with(Options::V6) } else { options },
        hello_interval: seconds(10),
        dead_interval: seconds(40),
        designated_router: RouterId(0),
        backup_designated_router: RouterId(0),
        neighbors: vec![RouterId(1)],
    }
}

/// The octets of a Hello of router 2 after a change to the packet.
fn altered(family: Family, change: impl FnOnce(&mut Packet)) -> Vec<u8> {
    let mut packet = Packet {
        router_id: RouterId(2),
        area_id: AreaId::BACKBONE,
        instance_id: family.instance_id(),
        body: PacketBody::Hello(hello(family)),
    };
    change(&mut packet);
    packet::encode(&packet, Protection::Checksum { source: link_local((2, 1)), destination: ALL })
}

/// Counts how often router 1 refuses the octets for this reason.
fn refusals_of(family: Family, octets: Vec<u8>, reason: Refusal) -> u64 {
    let mut net = pair(family);
    net.inject((1, 1), link_local((2, 1)), octets);
    net.refusals((1, 1), reason)
}

fn router_lsa(net: &Net, router: u32) -> ospf_lite::ospf::lsa::RouterLsa {
    match net.lsa(router, key(LsType::ROUTER, 0, router)).unwrap().1.body {
        LsaBody::Router(body) => body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn section_2_5_a_packet_comes_from_a_link_local_address() {
    let mut net = pair(Family::Ipv6);
    let source: Ipv6Addr = "2001:db8::2".parse().unwrap();
    net.inject((1, 1), source, altered(Family::Ipv6, |_| {}));
    assert_eq!(net.refusals((1, 1), Refusal::Source), 1);
}

#[test]
fn section_4_2_1_1_a_hello_carries_the_interface_id_and_the_neighbors_heard() {
    let net = pair(Family::Ipv6);
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
fn section_4_2_1_2_a_description_carries_the_mtu_and_the_same_options_throughout() {
    let net = pair(Family::Ipv6);
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
fn section_4_2_2_the_version_is_3() {
    let mut octets = altered(Family::Ipv6, |_| {});
    octets[0] = 2;
    assert_eq!(refusals_of(Family::Ipv6, octets, Refusal::Version), 1);
}

#[test]
fn section_4_2_2_the_checksum_covers_packet_and_addresses() {
    let mut octets = altered(Family::Ipv6, |_| {});
    octets[20] ^= 1;
    assert_eq!(refusals_of(Family::Ipv6, octets, Refusal::Checksum), 1);
    let mut net = pair(Family::Ipv6);
    net.inject((1, 1), link_local((2, 7)), altered(Family::Ipv6, |_| {}));
    assert_eq!(net.refusals((1, 1), Refusal::Checksum), 1);
}

#[test]
fn section_4_2_2_the_area_and_the_instance_are_the_interfaces() {
    let area = altered(Family::Ipv6, |packet| packet.area_id = AreaId(1));
    assert_eq!(refusals_of(Family::Ipv6, area, Refusal::AreaMismatch), 1);
    let instance = altered(Family::Ipv6, |packet| packet.instance_id = InstanceId(64));
    assert_eq!(refusals_of(Family::Ipv6, instance, Refusal::InstanceMismatch), 1);
}

#[test]
fn section_4_2_2_the_destination_is_all_spf_routers_or_the_interface() {
    let mut net = pair(Family::Ipv6);
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
fn section_4_2_2_nobody_else_has_this_routers_id() {
    let own = altered(Family::Ipv6, |packet| packet.router_id = RouterId(1));
    assert_eq!(refusals_of(Family::Ipv6, own, Refusal::DuplicateRouterId), 1);
    let zero = altered(Family::Ipv6, |packet| packet.router_id = RouterId(0));
    assert_eq!(refusals_of(Family::Ipv6, zero, Refusal::RouterIdZero), 1);
}

#[test]
fn section_4_2_2_1_hello_parameters_agree() {
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
        assert_eq!(refusals_of(Family::Ipv6, octets, reason), 1, "{reason:?}");
    }
}

#[test]
fn rfc_5838_section_2_4_the_af_bit_is_required_in_the_ipv4_family_only() {
    for (family, expected) in [(Family::Ipv4, 1), (Family::Ipv6, 0)] {
        let octets = altered(family, |packet| match &mut packet.body {
            PacketBody::Hello(hello) => hello.options = hello.options.without(Options::AF),
            other => panic!("{other:?}"),
        });
        assert_eq!(refusals_of(family, octets, Refusal::AddressFamily), expected, "{family}");
    }
}

#[test]
fn rfc_5838_section_2_2_the_af_bit_is_set_everywhere_and_the_v6_bit_in_the_ipv6_family() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let net = pair(family);
        let options = router_lsa(&net, 1).options;
        assert!(options.contains(Options::AF));
        assert_eq!(options.contains(Options::V6), family == Family::Ipv6);
    }
}

#[test]
fn rfc_5838_section_2_5_the_link_lsa_holds_the_ipv4_address_in_its_first_octets() {
    let net = pair(Family::Ipv4);
    let (_, lsa) = net.lsa(2, key(LsType::LINK, 1, 1)).unwrap();
    let LsaBody::Link(link) = lsa.body else { panic!("{lsa:?}") };
    assert_eq!(link.address, Ipv6Addr::from([192, 168, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
}

#[test]
fn section_4_4_3_2_a_router_lsa_names_interfaces_and_routers_and_no_address() {
    let net = pair(Family::Ipv6);
    let router = router_lsa(&net, 1);
    let link = router.links[0];
    assert_eq!((link.interface_id, link.neighbor_interface_id), (InterfaceId(1), InterfaceId(1)));
    assert_eq!((link.neighbor_router_id, link.metric), (RouterId(2), 10));
    assert!(!router.border && !router.external && !router.virtual_endpoint);
}

#[test]
fn section_4_4_3_8_a_link_lsa_has_the_interface_id_as_link_state_id_and_the_link_local_address() {
    let net = pair(Family::Ipv6);
    let (_, lsa) = net.lsa(2, key(LsType::LINK, 1, 1)).unwrap();
    let LsaBody::Link(link) = lsa.body else { panic!("{lsa:?}") };
    assert_eq!(link.address, link_local((1, 1)));
}

#[test]
fn section_4_4_3_9_prefixes_refer_to_the_router_lsa_with_link_state_id_0() {
    let mut net = pair(Family::Ipv6);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(1));
    let (_, lsa) = net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).unwrap();
    let LsaBody::IntraAreaPrefix(body) = lsa.body else { panic!("{lsa:?}") };
    assert_eq!(body.referenced, key(LsType::ROUTER, 0, 1));
    assert_eq!(net.engines[&2].routes().len(), 1);
}

#[test]
fn a_changed_interface_id_of_the_neighbor_is_in_the_router_lsa() {
    let mut net = pair(Family::Ipv6);
    let octets = altered(Family::Ipv6, |packet| match &mut packet.body {
        PacketBody::Hello(hello) => hello.interface_id = InterfaceId(77),
        other => panic!("{other:?}"),
    });
    net.inject((1, 1), link_local((2, 1)), octets);
    assert!(net.is_full((1, 1)));
    assert_eq!(router_lsa(&net, 1).links[0].neighbor_interface_id, InterfaceId(77));
}

#[test]
fn rfc_2328_section_10_6_a_description_out_of_sequence_starts_the_exchange_again() {
    let description = |change: fn(&mut DatabaseDescription)| {
        let mut description = DatabaseDescription {
            options: hello(Family::Ipv6).options,
            interface_mtu: 1370,
            init: false,
            more: false,
            master: true,
            sequence: 12_345,
            headers: Vec::new(),
        };
        change(&mut description);
        PacketBody::DatabaseDescription(description)
    };
    let changes: [fn(&mut DatabaseDescription); 3] =
        [|_| {}, |one| one.master = false, |one| (one.init, one.more) = (true, true)];
    for change in changes {
        let mut net = pair(Family::Ipv6);
        net.inject_body((1, 1), description(change));
        assert_ne!(net.state((1, 1)), Some(NeighborState::Full));
        net.run_until(seconds(30), Net::is_equal);
    }
}

#[test]
fn rfc_2328_section_10_6_a_repeated_description_is_answered_by_the_one_that_follows() {
    let mut net = pair(Family::Ipv6);
    let is_description = |packet: &Packet| matches!(packet.body, PacketBody::DatabaseDescription(_));
    // Router 2 leads; router 1 has lost nothing, but its last answer went missing.
    let last =
        net.sent.iter().rev().find(|sent| sent.from == (2, 1) && is_description(&sent.packet(Family::Ipv6)));
    let octets = last.unwrap().octets.clone();
    let start = net.now;
    net.inject((1, 1), link_local((2, 1)), octets);
    assert!(net.is_full((1, 1)));
    assert_eq!(net.count_sent(start, |sent, packet| sent.from == (1, 1) && is_description(packet)), 1);
}

#[test]
fn rfc_2328_section_10_6_a_described_lsa_of_reserved_scope_starts_the_exchange_again() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]).link((1, 1), (2, 1));
    net.loses = |_, sent| sent.from == (2, 1);
    net.inject_body((1, 1), PacketBody::Hello(hello(Family::Ipv6)));
    let description = |init: bool, sequence: u32, headers: Vec<LsaHeader>| {
        PacketBody::DatabaseDescription(DatabaseDescription {
            options: hello(Family::Ipv6).options,
            interface_mtu: 1370,
            init,
            more: true,
            master: true,
            sequence,
            headers,
        })
    };
    net.inject_body((1, 1), description(true, 7, Vec::new()));
    assert_eq!(net.state((1, 1)), Some(NeighborState::Exchange));
    let reserved = LsaHeader {
        age: 1,
        key: key(LsType::from_bits(0xe001), 1, 2),
        sequence: SequenceNumber::INITIAL,
        checksum: 1,
        length: 20,
    };
    net.inject_body((1, 1), description(false, 8, vec![reserved]));
    assert_eq!(net.state((1, 1)), Some(NeighborState::ExStart));
    assert_eq!(net.refusals((1, 1), Refusal::DescriptionScope), 1);
}

#[test]
fn rfc_2328_section_8_2_only_a_hello_makes_a_neighbor() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]).link((1, 1), (2, 1));
    net.loses = |_, _| true;
    net.inject_body((1, 1), PacketBody::LinkStateRequest(Vec::new()));
    assert_eq!(net.refusals((1, 1), Refusal::UnknownNeighbor), 1);
    net.inject_body((1, 1), PacketBody::Hello(hello(Family::Ipv6)));
    net.inject_body((1, 1), PacketBody::LinkStateRequest(Vec::new()));
    assert_eq!(net.refusals((1, 1), Refusal::NeighborState), 1);
}

#[test]
fn rfc_2328_section_10_5_a_hello_without_this_router_ends_the_adjacency_and_is_answered() {
    let mut net = pair(Family::Ipv6);
    let start = net.now;
    net.loses = |_, _| true;
    let octets = altered(Family::Ipv6, |packet| match &mut packet.body {
        PacketBody::Hello(hello) => hello.neighbors.clear(),
        other => panic!("{other:?}"),
    });
    for _ in 0..3 {
        net.inject((1, 1), link_local((2, 1)), octets.clone());
    }
    assert_eq!(net.state((1, 1)), Some(NeighborState::Init));
    let is_hello = |packet: &Packet| matches!(packet.body, PacketBody::Hello(_));
    let answers = |net: &Net| net.count_sent(start, |sent, packet| sent.from == (1, 1) && is_hello(packet));
    assert_eq!(answers(&net), 1);
    net.run(seconds(1));
    assert_eq!(answers(&net), 2);
}

#[test]
fn a_stub_interface_sends_and_accepts_nothing() {
    let mut net = pair(Family::Ipv6);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(30));
    assert!(net.sent.iter().all(|sent| sent.from != (1, 9)));
    net.inject((1, 9), link_local((2, 1)), altered(Family::Ipv6, |_| {}));
    assert_eq!(net.refusals((1, 9), Refusal::InterfaceNotActive), 1);
}
