//! Flooding: what is passed on, to whom, how often, and what is acknowledged.

use std::time::Duration;

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::{InterfaceEvent, PrivateContent};
use ospf_lite::ospf::lsa::{LsType, LsaBody, SequenceNumber};
use ospf_lite::ospf::packet::{Packet, PacketBody};
use ospf_lite::ospf::refusal::Refusal;

use ospf_testnet::{
    DELAY, Net, PRIVATE, STRANGE, Sent, foreign, is_acknowledgment, is_update, key, seconds, stub, update,
};

#[test]
fn private_content_reaches_every_router_and_goes_again() {
    let mut net = Net::line();
    let now = net.now;
    let parts = vec![b"{\"name\":\"r1\"}".to_vec(), vec![7; 1080]];
    net.engine(1).handle_private(now, PrivateContent { ls_type: PRIVATE, parts });
    net.interface(1, InterfaceEvent::Up(InterfaceId(1)));
    net.run_until(seconds(1), |net| net.lsa(3, key(PRIVATE, 1, 1)).is_some());
    let (_, lsa) = net.lsa(3, key(PRIVATE, 0, 1)).unwrap();
    let LsaBody::Unknown(octets) = lsa.body() else { panic!("{lsa:?}") };
    assert_eq!(&octets[..13], b"{\"name\":\"r1\"}");
    let now = net.now;
    net.engine(1).handle_private(now, PrivateContent { ls_type: PRIVATE, parts: Vec::new() });
    net.interface(1, InterfaceEvent::Up(InterfaceId(1)));
    net.run_until(seconds(10), |net| {
        [1, 2, 3].iter().all(|router| net.lsa(*router, key(PRIVATE, 0, 1)).is_none())
    });
}

#[test]
fn content_of_a_known_type_is_no_private_content() {
    let mut net = Net::line();
    let now = net.now;
    for ls_type in [LsType::ROUTER, STRANGE, LsType::from_bits(0x9ff0), LsType::from_bits(0xdff0)] {
        net.engine(1).handle_private(now, PrivateContent { ls_type, parts: vec![vec![1; 8]] });
    }
    net.run(seconds(1));
    assert_eq!(net.headers(1).iter().filter(|header| header.key.advertising_router.0 == 1).count(), 1);
}

#[test]
fn a_burst_of_lsas_is_passed_on_in_few_packets() {
    let mut net = Net::line();
    let start = net.now;
    for id in 0..10 {
        let lsas = (0..10).map(|part| foreign(PRIVATE, id * 10 + part, 0, 1));
        net.inject_body((2, 1), update(lsas));
    }
    net.run(seconds(4));
    assert_eq!(net.headers(3).iter().filter(|header| header.key.ls_type == PRIVATE).count(), 100);
    let updates = net.count_sent(start, |sent, packet| sent.from == (2, 2) && is_update(sent, packet));
    assert!((3..=5).contains(&updates), "{updates} updates");
    let answers =
        net.count_sent(start, |sent, packet| sent.from == (3, 1) && is_acknowledgment(sent, packet));
    assert!((1..=3).contains(&answers), "{answers} acknowledgments");
}

#[test]
fn an_lsa_that_follows_an_answered_request_is_sent_again_after_min_ls_arrival() {
    let mut net = Net::line();
    net.loses = |_, sent| sent.from == (3, 1);
    net.inject_body((2, 2), PacketBody::LinkStateRequest(vec![key(LsType::ROUTER, 0, 1)]));
    net.run(DELAY);
    let start = net.now;
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, 0, 1)]));
    let sent_after = |net: &mut Net, milliseconds: u64| {
        net.run(Duration::from_millis(milliseconds));
        net.count_sent(start, |sent, packet| sent.from == (2, 2) && is_update(sent, packet))
    };
    assert_eq!(sent_after(&mut net, 1000), 1);
    assert_eq!(sent_after(&mut net, 200), 2);
    assert_eq!(sent_after(&mut net, 4800), 2);
    assert_eq!(sent_after(&mut net, 200), 3);
}

/// Ages 901 seconds apart tell two instances apart, ages 900 seconds apart do not (RFC 2328 section 13.1); InfTransDelay
/// brings the answer to a request over that line.
#[test]
fn an_answer_that_its_way_made_as_old_as_the_own_copy_does_not_restart_the_exchange() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]).link((1, 1), (2, 1));
    net.run_until(seconds(5), Net::is_equal);
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(900));
    net.inject_body((1, 1), update(vec![foreign(PRIVATE, 1, 0, 1).aged(0)]));
    let start = net.now;
    net.interface(1, InterfaceEvent::Down(InterfaceId(1)));
    net.interface(1, InterfaceEvent::Up(InterfaceId(1)));
    net.run_until(seconds(5), |net| net.is_full((1, 1)) && net.is_full((2, 1)));
    net.run(seconds(5));
    assert!(net.is_full((1, 1)) && net.is_full((2, 1)));
    assert_eq!(net.refusals((2, 1), Refusal::BadAnswer), 0);
    let is_description =
        |_: &Sent, packet: &Packet| matches!(packet.body, PacketBody::DatabaseDescription(_));
    assert!(net.count_sent(start, is_description) < 10);
}

#[test]
fn a_refresh_without_a_change_calculates_nothing() {
    let mut net = Net::line();
    net.configure(3, stub((3, 9), Family::Ipv6));
    net.interface(3, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(20));
    net.events.clear();
    net.run(seconds(2_000));
    assert_eq!(net.events, []);
    assert!(net.headers(1).iter().all(|header| header.sequence > SequenceNumber::INITIAL));
}

#[test]
fn routes_follow_a_failure_and_its_repair() {
    let mut net = Net::line();
    net.configure(3, stub((3, 9), Family::Ipv6));
    net.interface(3, InterfaceEvent::Up(InterfaceId(9)));
    net.join((1, 2), (3, 2), |link| link.cost = ospf_lite::ids::Cost::new(100).unwrap());
    net.run_until(seconds(20), |net| net.is_equal() && net.engines[&1].routes().len() == 1);
    net.run(seconds(20));
    let hops = |net: &Net| {
        let route = net.engines[&1].routes().values().next().unwrap();
        route.next_hops.iter().map(|hop| hop.interface.0).collect::<Vec<_>>()
    };
    assert_eq!(hops(&net), [1]);
    net.interface(2, InterfaceEvent::Down(InterfaceId(2)));
    let taken = net.run_until(seconds(2), |net| hops(net) == [2]);
    assert!(taken < Duration::from_millis(100), "{taken:?}");
    net.interface(2, InterfaceEvent::Up(InterfaceId(2)));
    net.run_until(seconds(12), |net| hops(net) == [1]);
}

#[test]
fn equal_costs_use_both_ways() {
    let mut net = Net::new(Family::Ipv4)
        .routers(&[1, 2, 3, 4])
        .link((1, 1), (2, 1))
        .link((1, 2), (3, 1))
        .link((2, 2), (4, 1))
        .link((3, 2), (4, 2));
    net.configure(4, stub((4, 9), Family::Ipv4));
    net.interface(4, InterfaceEvent::Up(InterfaceId(9)));
    net.run_until(seconds(20), |net| {
        net.engines[&1].routes().values().next().is_some_and(|route| route.next_hops.len() == 2)
    });
}
