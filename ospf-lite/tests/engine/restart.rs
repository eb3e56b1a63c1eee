//! Restarts: what a router that comes back, soon or late, does to the traffic of the others.

use std::time::Duration;

use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::{LsType, LsaBody};
use ospf_lite::ospf::packet::Options;

use ospf_testnet::{Net, key, seconds};

fn sequences(net: &Net) -> Vec<(u32, i32)> {
    net.headers(4)
        .iter()
        .filter(|header| header.key.ls_type == LsType::ROUTER)
        .map(|header| (header.key.advertising_router.0, header.sequence.0))
        .collect()
}

fn restart(net: &mut Net, router: u32) {
    net.start(router);
    for far in [1, 3] {
        net.configure_up((router, far), |_| {});
    }
}

#[test]
fn a_router_whose_routing_restarts_moves_no_traffic_and_changes_no_lsa() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    let before = sequences(&net);
    restart(&mut net, 2);
    net.run_until(seconds(5), |net| {
        assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![2], vec![2]));
        net.engines[&2].is_settled()
    });
    assert_eq!((net.hops(2, 1).len(), net.engines[&2].routes().len()), (1, 2));
    net.run(seconds(20));
    assert!(net.is_equal());
    assert_eq!(sequences(&net), before);
}

#[test]
fn a_router_that_does_not_take_up_an_adjacency_again_is_given_up_after_a_second() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    // Router 2 restarts and can say nothing after its first Hellos.
    restart(&mut net, 2);
    net.run(Duration::from_millis(1));
    net.loses = |_, sent| sent.from.0 == 2;
    net.run(Duration::from_millis(1_000));
    assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![2], vec![2]));
    net.run_until(Duration::from_millis(50), |net| net.hops(1, 3) == [4] && net.hops(3, 1) == [4]);
}

#[test]
fn a_router_that_returns_gets_no_traffic_before_it_has_had_its_routes_for_a_second() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.engines.remove(&2);
    net.run(seconds(60));
    assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![4], vec![4]));
    restart(&mut net, 2);
    let has_routes = |net: &Net| net.engines[&2].routes().len() == 2;
    net.run_until(seconds(5), |net| {
        assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![4], vec![4]));
        has_routes(net)
    });
    let until = net.now + Duration::from_millis(990);
    net.run_until(seconds(2), |net| {
        assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![4], vec![4]));
        assert!(has_routes(net));
        net.now >= until
    });
    net.run_until(seconds(5), |net| net.hops(1, 3) == [2] && net.hops(3, 1) == [2]);
}

#[test]
fn a_router_that_returns_outdoes_its_old_router_lsa_before_its_links_are_back() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.engines.remove(&2);
    net.run(seconds(60));
    restart(&mut net, 2);
    net.run_until(seconds(1), |net| net.is_full((1, 2)));
    net.run(Duration::from_millis(30));
    let (_, lsa) = net.lsa(4, key(LsType::ROUTER, 0, 2)).unwrap();
    let LsaBody::Router(router) = lsa.body() else { panic!("{lsa:?}") };
    assert!(!router.options.contains(Options::R));
}
