//! Sections 2.5, 4.2 and appendices A.2 and A.3: packets sent and received.

use std::net::Ipv6Addr;
use std::time::Duration;

use ospf_lite::ids::{AreaId, Family, InstanceId, InterfaceId, RouterId};
use ospf_lite::ospf::lsa::LsType;
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{DatabaseDescription, Hello, Options, Packet, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_lite::time::Instant;
use ospf_lite::wire::checksum;
use ospf_lite::wire::packet::{self, Protection};
use ospf_testnet::{ALL, Net, altered, foreign, hello, link_local, packet_of_two, seconds};

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
fn s4_2_1_2_options_have_the_e_bit_and_no_dc_bit_throughout_an_exchange() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let net = Net::pair(family);
        let of_the_family = match family {
            Family::Ipv6 => Options::V6.with(Options::AF),
            Family::Ipv4 => Options::AF,
        };
        for end in [(1, 1), (2, 1)] {
            let bodies = net.bodies(end, Instant::ORIGIN).into_iter();
            let descriptions = bodies.filter_map(|body| match body {
                PacketBody::DatabaseDescription(description) => Some(description),
                _ => None,
            });
            let descriptions: Vec<DatabaseDescription> = descriptions.collect();
            assert!(descriptions.len() >= 2);
            for description in &descriptions {
                // A router in a regular area without demand circuits; the R-bit is no matter of the adjacency.
                let options = description.options.without(Options::R);
                assert_eq!(options, Options::E.with(of_the_family), "{family}");
                assert_eq!(description.options, descriptions[0].options, "{family}");
                assert_eq!(description.interface_mtu, 1370);
            }
        }
    }
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
        age: Duration::ZERO,
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

/// The octets of router 2's Hello after a change to them, with the checksum that they have then.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut octets = altered(Family::Ipv6, |_| {});
    change(&mut octets);
    octets[12..14].copy_from_slice(&[0, 0]);
    let sum = checksum::internet(&octets, link_local((2, 1)), ALL);
    octets[12..14].copy_from_slice(&sum.to_be_bytes());
    octets
}

#[test]
fn s4_2_2_type_other_than_the_five_is_refused() {
    for kind in [0, 6, 255] {
        assert_eq!(
            Net::refusals_of(Family::Ipv6, changed(|octets| octets[1] = kind), Refusal::PacketType),
            1
        );
    }
}

#[test]
fn s4_2_2_length_beyond_what_arrived_or_below_a_header_is_refused() {
    for length in [0, 12, 42, 48] {
        let octets = changed(|octets| octets[3] = length);
        assert_eq!(Net::refusals_of(Family::Ipv6, octets, Refusal::Malformed), 1, "{length}");
    }
}

#[test]
fn s4_2_2_checksum_is_there_on_everything_sent() {
    for sent in Net::pair(Family::Ipv6).sent {
        let source = link_local(sent.from);
        assert_eq!(checksum::internet(&sent.octets, source, sent.destination), 0);
        assert!(
            packet::decode(&sent.octets, Family::Ipv6, Protection::Checksum { source, destination: ALL })
                .is_ok()
        );
    }
}

#[test]
fn s4_2_1_1_options_of_hellos_are_those_of_a_router_in_a_regular_area() {
    for sent in Net::pair(Family::Ipv6).sent {
        if let PacketBody::Hello(hello) = sent.packet(Family::Ipv6).body {
            assert!(hello.options.contains(Options::E));
            for off in [Options::N, Options::DC] {
                assert!(!hello.options.contains(off), "{:?}", hello.options);
            }
        }
    }
}

#[test]
fn s4_2_2_2_unknown_types_may_be_described_and_are_asked_for() {
    let mut net = Net::following(Family::Ipv6);
    net.bring((1, 1), NeighborState::Exchange);
    let types = [0xbff0, 0x9ff0, 0xdff0, 0x3ff0, 0x5ff0, 0x1ff0].map(LsType::from_bits);
    let headers = types.iter().map(|ls_type| foreign(*ls_type, 1, 0, 1).header()).collect();
    let next = net.next_description((1, 1));
    net.describe((1, 1), DatabaseDescription { headers, more: false, ..next });
    assert_eq!(net.state((1, 1)), Some(NeighborState::Loading));
    assert_eq!(net.engines[&1].neighbors().next().unwrap().requests, types.len());
}

#[test]
fn s4_1_3_identity_of_neighbors_is_their_router_id_and_another_one_takes_the_link_over() {
    let mut net = Net::following(Family::Ipv6);
    net.bring((1, 1), NeighborState::Full);
    let other = Packet {
        router_id: RouterId(7),
        ..packet_of_two(Family::Ipv6, PacketBody::Hello(hello(Family::Ipv6)))
    };
    let source = link_local((2, 1));
    net.inject((1, 1), source, packet::encode(&other, Protection::Checksum { source, destination: ALL }));
    let neighbors: Vec<_> = net.engines[&1].neighbors().map(|one| (one.router_id, one.state)).collect();
    assert_eq!(neighbors, [(RouterId(7), NeighborState::ExStart)]);
}

#[test]
fn sa_2_unknown_bits_of_the_options_are_not_sent_and_ignored_when_received() {
    let known = [Options::V6, Options::E, Options::R, Options::AF]
        .into_iter()
        .fold(Options::default(), Options::with);
    for sent in Net::pair(Family::Ipv6).sent {
        let options = match sent.packet(Family::Ipv6).body {
            PacketBody::Hello(hello) => hello.options,
            PacketBody::DatabaseDescription(description) => description.options,
            _ => continue,
        };
        assert_eq!(options.without(known), Options::default());
    }
    let mut net = Net::following(Family::Ipv6);
    let options = hello(Family::Ipv6).options.with(Options::from_bits(0xff_f8c4));
    net.inject_body((1, 1), PacketBody::Hello(Hello { options, ..hello(Family::Ipv6) }));
    assert_eq!(net.state((1, 1)), Some(NeighborState::ExStart));
}

#[test]
fn sa_3_1_reserved_octet_is_sent_as_0_and_ignored_when_received() {
    let mut net = Net::following(Family::Ipv6);
    assert!(net.sent.iter().all(|sent| sent.octets[15] == 0));
    net.inject((1, 1), link_local((2, 1)), changed(|octets| octets[15] = 0xff));
    assert_eq!(net.state((1, 1)), Some(NeighborState::ExStart));
}

#[test]
fn sc_3_intervals_and_costs_are_sent_as_configured_and_never_0() {
    assert_eq!(ospf_lite::ids::Cost::new(0), None);
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]);
    net.join((1, 1), (2, 1), |link| {
        link.inf_trans_delay = std::time::Duration::ZERO;
        link.hello_interval = seconds(3);
        link.dead_interval = seconds(9);
    });
    net.run_until(seconds(10), Net::is_equal);
    let PacketBody::Hello(sent) = net.sent[0].packet(Family::Ipv6).body else { panic!() };
    assert_eq!((sent.hello_interval.as_secs(), sent.dead_interval.as_secs()), (3, 9));
    // An LSA ages on the link even when InfTransDelay is said to be nothing.
    let (header, _) = net.lsa(1, ospf_testnet::key(LsType::ROUTER, 0, 2)).unwrap();
    assert!(header.age >= 1, "{header:?}");
}
