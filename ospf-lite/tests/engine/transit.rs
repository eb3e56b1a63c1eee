//! Who passes the traffic of others on: no stub router (RFC 6987), and none whose routes are not in use.

use std::time::Duration;

use ospf_lite::config::Config;
use ospf_lite::engine::Engine;
use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::{LsType, LsaBody, RouterLsa};
use ospf_lite::ospf::packet::Options;

use crate::harness::{End, Net, key, seconds};

fn router_lsa(net: &Net, at: u32, router: u32) -> RouterLsa {
    let (_, lsa) = net.lsa(at, key(LsType::ROUTER, 0, router)).unwrap();
    let LsaBody::Router(router) = lsa.body() else { panic!("{lsa:?}") };
    router
}

fn drain(net: &mut Net, router: u32, is_stub: bool) {
    let now = net.now;
    net.engine(router).handle_stub_router(now, is_stub);
    net.collect(router);
}

const BOTH_WAYS: [(u32, u32); 2] = [(1, 3), (3, 1)];

#[test]
fn traffic_keeps_away_from_a_stub_router_and_comes_back() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let mut net = Net::ring(family, &[1, 2, 3]);
        assert!(BOTH_WAYS.iter().all(|(from, to)| net.hops(*from, *to) == [2]));
        drain(&mut net, 2, true);
        net.run_until(seconds(1), |net| BOTH_WAYS.iter().all(|(from, to)| net.hops(*from, *to) == [4]));
        assert!(router_lsa(&net, 1, 2).links.iter().all(|link| link.metric == 0xffff));
        drain(&mut net, 2, false);
        net.run_until(seconds(6), |net| BOTH_WAYS.iter().all(|(from, to)| net.hops(*from, *to) == [2]));
        assert!(router_lsa(&net, 1, 2).links.iter().all(|link| link.metric == 10));
    }
}

#[test]
fn a_stub_routers_own_prefixes_are_reached_as_before_and_its_own_routes_follow_its_costs() {
    let mut net = Net::ring(Family::Ipv6, &[1, 2, 3]);
    let before = net.engines[&2].routes().clone();
    drain(&mut net, 2, true);
    net.run(seconds(20));
    assert_eq!((net.hops(1, 2), net.hops(3, 2)), (vec![2], vec![2]));
    assert_eq!(net.engines[&2].routes(), &before);
}

#[test]
fn what_has_no_other_way_still_comes_through_a_stub_router() {
    let mut net = Net::ring(Family::Ipv6, &[1, 2, 3]);
    drain(&mut net, 2, true);
    net.run(seconds(20));
    let cut: [End; 2] = [(1, 4), (4, 1)];
    for (router, id) in cut {
        net.interface(router, InterfaceEvent::Down(InterfaceId(id)));
    }
    net.run_until(seconds(10), |net| BOTH_WAYS.iter().all(|(from, to)| net.hops(*from, *to) == [2]));
    assert!(router_lsa(&net, 4, 2).options.contains(Options::R));
}

#[test]
fn a_stub_router_knows_when_its_neighbors_have_its_word() {
    let mut net = Net::ring(Family::Ipv6, &[1, 2, 3]);
    assert!(net.engines[&2].is_acknowledged());
    drain(&mut net, 2, true);
    assert!(!net.engines[&2].is_acknowledged());
    let lost = net.now;
    net.loses = |_, sent| sent.from == (3, 2);
    net.run(seconds(4));
    assert!(!net.engines[&2].is_acknowledged(), "router 3 has said nothing since {lost:?}");
    net.loses = |_, _| false;
    net.run_until(seconds(10), |net| net.engines[&2].is_acknowledged());
    assert!([1, 3].iter().all(|at| router_lsa(&net, *at, 2).links.iter().all(|link| link.metric == 0xffff)));
}

/// Starts router 2 of the ring in place of the one that is there, with an owner that takes its time with the routes.
fn restart_slowly(net: &mut Net) {
    let config = Config { awaits_installation: true, ..Config::new(RouterId(2), net.family) };
    net.engines.insert(2, Engine::new(config, net.now, 77));
    for far in [1, 3] {
        net.configure_up((2, far), |_| {});
    }
}

fn install(net: &mut Net) {
    let now = net.now;
    net.engine(2).handle_installed(now);
    net.collect(2);
}

#[test]
fn a_router_that_joins_gets_no_traffic_before_its_routes_are_in_use_and_then_at_once() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let mut net = Net::ring(family, &[1, 2, 3]);
        net.engines.remove(&2);
        // Nobody remembers it.
        net.run(seconds(4_000));
        restart_slowly(&mut net);
        net.run_until(seconds(5), |net| net.engines[&2].has_database());
        assert_eq!(net.hops(2, 1), [1], "its routes are there before its Router-LSA is");
        assert!(net.lsa(1, key(LsType::ROUTER, 0, 2)).is_none());
        install(&mut net);
        let took = net.run_until(seconds(5), |net| BOTH_WAYS.iter().all(|(a, b)| net.hops(*a, *b) == [2]));
        assert!(took < Duration::from_millis(300), "{took:?}");
    }
}

#[test]
fn a_router_whose_routes_are_long_in_coming_is_reached_and_carries_nothing_meanwhile() {
    let mut net = Net::ring(Family::Ipv6, &[1, 2, 3]);
    net.engines.remove(&2);
    net.run(seconds(4_000));
    restart_slowly(&mut net);
    let until = net.now + seconds(30);
    net.run_until(seconds(60), |net| {
        assert!(BOTH_WAYS.iter().all(|(from, to)| net.hops(*from, *to) == [4]));
        net.now >= until
    });
    assert!(!router_lsa(&net, 1, 2).options.contains(Options::R));
    assert_eq!(router_lsa(&net, 1, 2).links.len(), 2);
    install(&mut net);
    net.run_until(seconds(6), |net| BOTH_WAYS.iter().all(|(from, to)| net.hops(*from, *to) == [2]));
}

#[test]
fn a_router_that_the_others_have_given_up_does_not_count_on_the_routes_of_its_earlier_life() {
    let mut net = Net::ring(Family::Ipv6, &[1, 2, 3]);
    net.engines.remove(&2);
    net.run(seconds(60));
    restart_slowly(&mut net);
    install(&mut net);
    net.run(seconds(10));
    assert!(BOTH_WAYS.iter().all(|(from, to)| net.hops(*from, *to) == [4]));
    install(&mut net);
    net.run_until(seconds(6), |net| BOTH_WAYS.iter().all(|(from, to)| net.hops(*from, *to) == [2]));
}

#[test]
fn a_router_whose_routing_restarts_keeps_its_traffic_when_its_routes_stand() {
    let mut net = Net::ring(Family::Ipv6, &[1, 2, 3]);
    restart_slowly(&mut net);
    install(&mut net);
    let until = net.now + seconds(20);
    net.run_until(seconds(60), |net| {
        assert!(BOTH_WAYS.iter().all(|(from, to)| net.hops(*from, *to) == [2]));
        net.now >= until
    });
}
