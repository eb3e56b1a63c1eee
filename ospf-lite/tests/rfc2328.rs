//! RFC 2328, OSPF, as far as RFC 5340 builds on it: a test per clause, named after section and clause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::{LsType, LsaHeader, SequenceNumber};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{DatabaseDescription, Packet, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{Net, altered, hello, key, link_local, seconds};

#[test]
fn s10_6_out_of_sequence_starts_the_exchange_again() {
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
        let mut net = Net::pair(Family::Ipv6);
        net.inject_body((1, 1), description(change));
        assert_ne!(net.state((1, 1)), Some(NeighborState::Full));
        net.run_until(seconds(30), Net::is_equal);
    }
}

#[test]
fn s10_6_repeated_is_answered_by_the_one_that_follows() {
    let mut net = Net::pair(Family::Ipv6);
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
fn s10_6_bad_header_starts_the_exchange_again() {
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
fn s8_2_only_a_hello_makes_a_neighbor() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]).link((1, 1), (2, 1));
    net.loses = |_, _| true;
    net.inject_body((1, 1), PacketBody::LinkStateRequest(Vec::new()));
    assert_eq!(net.refusals((1, 1), Refusal::UnknownNeighbor), 1);
    net.inject_body((1, 1), PacketBody::Hello(hello(Family::Ipv6)));
    net.inject_body((1, 1), PacketBody::LinkStateRequest(Vec::new()));
    assert_eq!(net.refusals((1, 1), Refusal::NeighborState), 1);
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
        net.inject((1, 1), link_local((2, 1)), octets.clone());
    }
    assert_eq!(net.state((1, 1)), Some(NeighborState::Init));
    let is_hello = |packet: &Packet| matches!(packet.body, PacketBody::Hello(_));
    let answers = |net: &Net| net.count_sent(start, |sent, packet| sent.from == (1, 1) && is_hello(packet));
    assert_eq!(answers(&net), 1);
    net.run(seconds(1));
    assert_eq!(answers(&net), 2);
}
