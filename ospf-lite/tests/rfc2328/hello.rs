//! Sections 8, 9.5 and 10.5: packets in general, Hellos sent and received.

use std::time::Duration;

use ospf_lite::ids::{AreaId, Family, InterfaceId, RouterId};
use ospf_lite::ospf::lsa::{LsType, LsaBody};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{Hello, Options, Packet, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{ALL, End, Net, altered, hello, key, link_local, seconds};

const AT: End = (1, 1);

fn hellos(net: &Net) -> Vec<(Duration, Hello)> {
    let sent = net.sent.iter().filter(|sent| sent.from == AT);
    sent.filter_map(|sent| match sent.packet(net.family).body {
        PacketBody::Hello(hello) => Some((sent.at.since(net.sent[0].at), hello)),
        _ => None,
    })
    .collect()
}

#[test]
fn s8_1_destination_of_every_packet_is_all_spf_routers_even_of_those_sent_again() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]).link((1, 1), (2, 1));
    net.loses = |count, _| count % 3 == 0;
    net.run(seconds(300));
    assert!(net.sent.len() > 50);
    assert!(net.sent.iter().all(|sent| sent.destination == ALL));
}

#[test]
fn s8_1_header_carries_router_and_area_of_the_sender() {
    let net = Net::pair(Family::Ipv6);
    for sent in &net.sent {
        let packet = sent.packet(Family::Ipv6);
        assert_eq!((packet.router_id, packet.area_id), (RouterId(sent.from.0), AreaId::BACKBONE));
    }
}

#[test]
fn s8_2_designated_router_is_nobody_here_and_its_packets_are_refused() {
    let mut net = Net::following(Family::Ipv6);
    let octets = net.sent[0].octets.clone();
    let received = ospf_lite::io::Received {
        interface: InterfaceId(1),
        source: link_local((2, 1)),
        destination: "ff02::6".parse().unwrap(),
        age: Duration::ZERO,
        octets,
    };
    let now = net.now;
    net.engine(1).handle_packet(now, &received);
    assert_eq!(net.refusals(AT, Refusal::Destination), 1);
}

#[test]
fn s8_2_only_a_hello_makes_a_neighbor() {
    let mut net = Net::following(Family::Ipv6);
    net.inject_body(AT, PacketBody::LinkStateRequest(Vec::new()));
    assert_eq!((net.state(AT), net.refusals(AT, Refusal::UnknownNeighbor)), (None, 1));
    net.inject_body(AT, PacketBody::Hello(hello(Family::Ipv6)));
    assert!(net.state(AT).is_some());
}

#[test]
fn s9_5_interval_between_hellos_is_never_longer_than_hello_interval() {
    let mut net = Net::following(Family::Ipv6);
    net.run(seconds(300));
    let moments: Vec<Duration> = hellos(&net).into_iter().map(|(at, _)| at).collect();
    let gaps: Vec<Duration> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A departure: up to a tenth early, so that routers do not fall into step.
    assert!(gaps.len() >= 30 && gaps.iter().all(|gap| (seconds(9)..=seconds(10)).contains(gap)), "{gaps:?}");
}

#[test]
fn s9_5_interval_hellos_of_all_links_go_together_and_none_more_than_a_tenth_early() {
    let net = Net::new(Family::Ipv6).routers(&[1, 2, 3, 4]);
    let mut net = (2..=4).fold(net, |net, far| net.link((1, far), (far, 1)));
    net.run(seconds(60));
    let begun = net.now;
    net.run(seconds(300));
    let of = |interface: u32| {
        let sent = net.sent.iter().filter(move |sent| sent.at > begun && sent.from == (1, interface));
        sent.filter(|sent| matches!(sent.packet(Family::Ipv6).body, PacketBody::Hello(_)))
            .map(|sent| sent.at)
            .collect::<Vec<_>>()
    };
    let moments = of(2);
    assert!(moments.windows(2).all(|pair| (seconds(9)..=seconds(10)).contains(&pair[1].since(pair[0]))));
    assert_eq!((of(3), of(4)), (moments.clone(), moments));
}

#[test]
fn s9_5_neighbors_heard_within_router_dead_interval_are_listed() {
    let mut net = Net::following(Family::Ipv6);
    let listed = |net: &Net| hellos(net).last().unwrap().1.neighbors.clone();
    assert_eq!(listed(&net), []);
    net.inject_body(AT, PacketBody::Hello(hello(Family::Ipv6)));
    net.run(seconds(39));
    assert_eq!(listed(&net), [RouterId(2)]);
    net.run(seconds(20));
    assert_eq!(listed(&net), []);
}

#[test]
fn s9_5_contents_of_a_hello_are_the_interfaces_parameters_and_no_designated_router() {
    let net = Net::following(Family::Ipv6);
    let (_, sent) = hellos(&net)[0].clone();
    assert_eq!((sent.hello_interval, sent.dead_interval), (seconds(10), seconds(40)));
    assert_eq!((sent.designated_router, sent.backup_designated_router), (RouterId(0), RouterId(0)));
    assert!(sent.options.contains(Options::E));
}

#[test]
fn s10_5_parameters_that_differ_make_no_neighbor_and_keep_none_alive() {
    let changes: [fn(&mut Hello); 3] = [
        |hello| hello.hello_interval = seconds(9),
        |hello| hello.dead_interval = seconds(41),
        |hello| hello.options = hello.options.without(Options::E),
    ];
    for change in changes {
        let mut other = hello(Family::Ipv6);
        change(&mut other);
        let mut net = Net::following(Family::Ipv6);
        net.inject_body(AT, PacketBody::Hello(other.clone()));
        assert_eq!(net.state(AT), None);
        net.bring(AT, NeighborState::Full);
        for _ in 0..4 {
            net.run(seconds(10));
            net.inject_body(AT, PacketBody::Hello(other.clone()));
        }
        assert_eq!(net.state(AT), None);
    }
}

#[test]
fn s10_5_two_way_is_a_hello_that_lists_this_router() {
    let mut net = Net::following(Family::Ipv6);
    let others = Hello { neighbors: vec![RouterId(3), RouterId(9)], ..hello(Family::Ipv6) };
    net.inject_body(AT, PacketBody::Hello(others));
    assert_eq!(net.state(AT), Some(NeighborState::Init));
    net.inject_body(AT, PacketBody::Hello(hello(Family::Ipv6)));
    assert_eq!(net.state(AT), Some(NeighborState::ExStart));
}

#[test]
fn s10_5_one_way_ends_the_adjacency_and_is_answered() {
    let mut net = Net::pair(Family::Ipv6);
    let start = net.now;
    net.loses = |_, _| true;
    let octets = altered(Family::Ipv6, |packet| match &mut packet.body {
        PacketBody::Hello(hello) => hello.neighbors.clear(),
        other => panic!("{other:?}"),
    });
    for _ in 0..3 {
        net.inject(AT, link_local((2, 1)), octets.clone());
    }
    assert_eq!(net.state(AT), Some(NeighborState::Init));
    let is_hello = |packet: &Packet| matches!(packet.body, PacketBody::Hello(_));
    let answers = |net: &Net| net.count_sent(start, |sent, packet| sent.from == AT && is_hello(packet));
    assert_eq!(answers(&net), 1);
    net.run(seconds(1));
    assert_eq!(answers(&net), 2);
}

#[test]
fn s10_5_identity_of_a_neighbor_is_its_router_id_whatever_its_address() {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, NeighborState::Full);
    let moved = link_local((2, 7));
    let octets = ospf_lite::wire::packet::encode(
        &ospf_testnet::packet_of_two(Family::Ipv6, PacketBody::Hello(hello(Family::Ipv6))),
        ospf_lite::wire::packet::Protection::Checksum { source: moved, destination: ALL },
    );
    net.inject(AT, moved, octets);
    let neighbor = net.engines[&1].neighbors().next().unwrap();
    assert_eq!((neighbor.state, neighbor.link_local), (NeighborState::Full, moved));
}

#[test]
fn s12_4_1_links_are_only_those_to_full_neighbors() {
    let mut net = Net::following(Family::Ipv6);
    let links = |net: &Net| match net.lsa(1, key(LsType::ROUTER, 0, 1)).map(|(_, lsa)| lsa.body()) {
        Some(LsaBody::Router(router)) => router.links.len(),
        _ => 0,
    };
    net.bring(AT, NeighborState::Loading);
    net.run(seconds(3));
    assert_eq!(links(&net), 0);
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, NeighborState::Full);
    net.run(seconds(3));
    assert_eq!(links(&net), 1);
}
