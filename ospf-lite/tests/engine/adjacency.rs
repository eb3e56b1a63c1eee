//! Adjacencies: how they come about, what keeps them from it, and what they survive.

use std::time::Duration;

use ospf_lite::config::InterfaceKind;
use ospf_lite::ids::{Cost, Family, InterfaceId};
use ospf_lite::io::{Event, InterfaceEvent};
use ospf_lite::ospf::lsa::{LsType, LsaBody};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{Options, PacketBody};
use ospf_lite::ospf::refusal::Refusal;

use ospf_testnet::{Net, altered, interface, key, link_local, seconds, secret, stub};

fn pair(family: Family) -> Net {
    Net::new(family).routers(&[1, 2]).link((1, 1), (2, 1))
}

#[test]
fn two_routers_are_full_well_under_a_second_in_both_families() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let mut net = pair(family);
        let taken = net.run_until(seconds(1), |net| net.is_full((1, 1)) && net.is_full((2, 1)));
        assert!(taken < Duration::from_millis(100), "{taken:?}");
        net.run_until(seconds(1), Net::is_equal);
    }
}

#[test]
fn a_restarted_neighbor_is_full_again_at_once() {
    let mut net = pair(Family::Ipv6);
    net.run_until(seconds(6), Net::is_equal);
    net.run(seconds(20));
    net.start(2);
    net.configure_up((2, 1), |_| {});
    let taken = net.run_until(seconds(2), |net| net.is_full((1, 1)) && net.is_full((2, 1)));
    assert!(taken < Duration::from_millis(100), "{taken:?}");
    net.run_until(seconds(2), Net::is_equal);
}

#[test]
fn another_router_on_the_same_link_takes_the_place_of_the_one_before() {
    let mut net = pair(Family::Ipv6);
    net.run_until(seconds(6), Net::is_equal);
    net.engines.remove(&2);
    net.start(3);
    net.cut((1, 1));
    net.join((1, 1), (3, 1), |_| {});
    net.run_until(seconds(12), |net| net.is_full((1, 1)) && net.is_full((3, 1)));
    let neighbors: Vec<_> = net.engines[&1].neighbors().map(|neighbor| neighbor.router_id.0).collect();
    assert_eq!(neighbors, [3]);
}

#[test]
fn a_silent_neighbor_is_dead_after_router_dead_interval() {
    let mut net = pair(Family::Ipv6);
    net.run_until(seconds(6), Net::is_equal);
    net.cut((1, 1));
    net.run(seconds(29));
    assert_eq!(net.state((1, 1)), Some(NeighborState::Full));
    net.run(seconds(12));
    assert_eq!(net.state((1, 1)), None);
    assert_eq!(net.engines[&1].routes().len(), 0);
}

#[test]
fn another_hello_says_nothing_new_only_of_a_neighbor_that_is_full() {
    let mut net = pair(Family::Ipv6);
    let is_settled = |net: &Net| net.engines[&1].is_settled_with(InterfaceId(1));
    let mut was_full = false;
    for _ in 0..200 {
        assert_eq!(is_settled(&net), net.is_full((1, 1)), "{:?}", net.state((1, 1)));
        was_full |= net.is_full((1, 1));
        net.run(Duration::from_millis(1));
    }
    assert!(was_full);
    assert!(!net.engines[&1].is_settled_with(InterfaceId(2)), "there is nobody");
    net.cut((1, 1));
    net.run(seconds(41));
    assert!(!is_settled(&net));
}

#[test]
fn an_adjacency_comes_about_in_spite_of_thirty_percent_loss() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let mut net = Net::new(family).routers(&[1, 2, 3]);
        net.loses = |count, _| (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 10 < 3;
        net.join((1, 1), (2, 1), |_| {});
        net.join((2, 2), (3, 1), |_| {});
        net.run_until(seconds(300), Net::is_equal);
    }
}

#[test]
fn routers_with_one_secret_become_full() {
    let mut net = Net::new(Family::Ipv4).routers(&[1, 2]);
    net.join((1, 1), (2, 1), |link| link.authentication = vec![secret(1, "the same")]);
    net.run_until(seconds(6), Net::is_equal);
    let hello = net.sent.iter().find_map(|sent| match sent.packet(Family::Ipv4).body {
        PacketBody::Hello(hello) => Some(hello),
        _ => None,
    });
    assert!(hello.unwrap().options.contains(Options::AT));
}

#[test]
fn routers_with_different_secrets_refuse_each_other() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]);
    net.join((1, 1), (2, 1), |link| link.authentication = vec![secret(1, "one")]);
    net.configure_up((2, 1), |link| link.authentication = vec![secret(1, "other")]);
    net.run(seconds(60));
    assert_eq!(net.state((1, 1)), None);
    assert!(net.refusals((1, 1), Refusal::AuthenticationDigest) > 3);
}

#[test]
fn a_secret_at_one_end_only_is_named_at_both() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]);
    net.join((1, 1), (2, 1), |_| {});
    net.configure_up((2, 1), |link| link.authentication = vec![secret(1, "one")]);
    net.run(seconds(100));
    assert_eq!((net.state((1, 1)), net.state((2, 1))), (None, None));
    assert!(net.refusals((1, 1), Refusal::AuthenticationMissing) > 3);
    assert!(net.refusals((2, 1), Refusal::AuthenticationMissing) > 3);
}

#[test]
fn a_replayed_packet_is_refused() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]);
    net.join((1, 1), (2, 1), |link| link.authentication = vec![secret(1, "the same")]);
    net.run_until(seconds(6), Net::is_equal);
    let old = net.sent.iter().find(|sent| sent.from.0 == 2).unwrap().clone();
    net.inject((1, 1), link_local((2, 1)), old.octets);
    assert_eq!(net.refusals((1, 1), Refusal::AuthenticationReplay), 1);
    assert!(net.is_full((1, 1)));
}

#[test]
fn another_mtu_is_refused_and_told_at_both_ends() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]);
    net.join((1, 1), (2, 1), |_| {});
    net.configure_up((2, 1), |link| link.mtu = 1320);
    net.run(seconds(60));
    for (router, ours, theirs) in [(1, 1370, 1320), (2, 1320, 1370)] {
        let neighbor = net.engines[&router].neighbors().next().unwrap();
        assert_eq!(neighbor.state, NeighborState::ExStart);
        let mismatch = neighbor.mtu_mismatch.unwrap();
        assert_eq!((mismatch.ours, mismatch.theirs), (ours, theirs));
    }
    net.configure_up((1, 1), |link| link.mtu = 1320);
    net.run_until(seconds(10), Net::is_equal);
    assert!(net.engines[&1].neighbors().all(|neighbor| neighbor.mtu_mismatch.is_none()));
}

#[test]
fn a_changed_cost_keeps_the_adjacency_and_reaches_the_neighbor() {
    let mut net = pair(Family::Ipv6);
    net.run_until(seconds(6), Net::is_equal);
    net.run(seconds(20));
    net.events.clear();
    let mut config = interface((1, 1), Family::Ipv6);
    if let InterfaceKind::PointToPoint(link) = &mut config.kind {
        link.cost = Cost::new(77).unwrap();
    }
    net.configure(1, config);
    net.run(Duration::from_millis(50));
    let (_, lsa) = net.lsa(2, key(LsType::ROUTER, 0, 1)).unwrap();
    let LsaBody::Router(router) = lsa.body() else { panic!("{lsa:?}") };
    assert_eq!(router.links[0].metric, 77);
    assert!(!net.events.iter().any(|(_, event)| matches!(event, Event::NeighborChanged { .. })));
}

#[test]
fn a_changed_hello_interval_restarts_the_interface() {
    let mut net = pair(Family::Ipv6);
    net.run_until(seconds(6), Net::is_equal);
    net.configure_up((1, 1), |link| link.hello_interval = seconds(5));
    assert_eq!(net.state((1, 1)), None);
    net.run(seconds(20));
    assert!(net.refusals((1, 1), Refusal::HelloInterval) > 0);
    net.configure_up((2, 1), |link| link.hello_interval = seconds(5));
    net.run_until(seconds(6), Net::is_equal);
}

#[test]
fn a_router_offers_no_transit_until_it_has_settled() {
    let mut net = pair(Family::Ipv6);
    let offers_transit = |net: &Net| {
        net.lsa(1, key(LsType::ROUTER, 0, 1)).is_some_and(|(_, lsa)| match lsa.body() {
            LsaBody::Router(router) => router.options.contains(Options::R),
            other => panic!("{other:?}"),
        })
    };
    net.run_until(seconds(6), |net| net.is_full((1, 1)));
    assert!(!net.engines[&1].is_settled());
    assert!(!offers_transit(&net));
    net.run_until(seconds(6), |net| net.engines[&1].is_settled());
    assert!(offers_transit(&net));
}

#[test]
fn a_router_that_cannot_settle_offers_its_links_without_transit() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2, 3]).link((1, 1), (2, 1)).link((1, 2), (3, 1));
    // Router 3 is asked for what it has and never says.
    net.loses = |_, sent| {
        sent.from.0 == 3 && matches!(sent.packet(Family::Ipv6).body, PacketBody::LinkStateUpdate(_))
    };
    net.run(seconds(2));
    assert!(!net.engines[&1].is_settled());
    let (_, lsa) = net.lsa(2, key(LsType::ROUTER, 0, 1)).unwrap();
    let LsaBody::Router(router) = lsa.body() else { panic!("{lsa:?}") };
    assert_eq!(router.links.len(), 1);
    assert!(!router.options.contains(Options::R));
}

#[test]
fn a_restarted_router_settles_when_its_routes_are_back_and_says_so() {
    let mut net = pair(Family::Ipv6);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run_until(seconds(6), |net| net.engines[&2].routes().len() == 1);
    net.run(seconds(20));
    net.start(2);
    net.events.clear();
    net.configure_up((2, 1), |_| {});
    let taken = net.run_until(seconds(3), |net| net.engines[&2].is_settled());
    assert!(taken < Duration::from_millis(1_500), "{taken:?}");
    assert_eq!(net.engines[&2].routes().len(), 1);
    assert!(net.events.contains(&(2, Event::RoutesChanged)));
}

#[test]
fn a_router_that_hears_nobody_settles_after_router_dead_interval() {
    let mut net = Net::new(Family::Ipv6).routers(&[1]);
    net.configure_up((1, 1), |_| {});
    net.run(seconds(39));
    assert!(!net.engines[&1].is_settled());
    net.run(seconds(2));
    assert!(net.engines[&1].is_settled());
}

#[test]
fn a_router_alone_has_its_own_prefixes_as_routes() {
    let mut net = Net::new(Family::Ipv6).routers(&[1]);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    let route = net.engines[&1].routes().values().next().unwrap();
    assert_eq!((route.distance.0, route.next_hops.len()), (10, 0));
}

#[test]
fn a_lost_interface_takes_its_neighbor_and_its_prefixes_along() {
    let mut net = pair(Family::Ipv4);
    net.configure(2, stub((2, 9), Family::Ipv4));
    net.interface(2, InterfaceEvent::Up(InterfaceId(9)));
    net.run_until(seconds(6), |net| net.engines[&1].routes().len() == 1);
    let route = net.engines[&1].routes().values().next().unwrap().clone();
    assert_eq!(route.next_hops[0].ipv4, Some("192.168.2.1".parse().unwrap()));
    assert_eq!(route.next_hops[0].link_local, link_local((2, 1)));
    net.interface(2, InterfaceEvent::Removed(InterfaceId(9)));
    net.run_until(seconds(6), |net| net.engines[&1].routes().is_empty());
    net.interface(1, InterfaceEvent::Down(InterfaceId(1)));
    assert_eq!(net.state((1, 1)), None);
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut net = pair(Family::Ipv6);
        net.loses = |count, _| count % 7 == 0;
        net.run(seconds(4_000));
        net.sent.into_iter().map(|sent| (sent.at, sent.from, sent.octets)).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_stub_interface_sends_and_accepts_nothing() {
    let mut net = Net::pair(Family::Ipv6);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(30));
    assert!(net.sent.iter().all(|sent| sent.from != (1, 9)));
    net.inject((1, 9), link_local((2, 1)), altered(Family::Ipv6, |_| {}));
    assert_eq!(net.refusals((1, 9), Refusal::InterfaceNotActive), 1);
}
