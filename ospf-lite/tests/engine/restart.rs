//! Restarts: what a router that comes back, soon or late, does to the traffic of the others.

use std::time::Duration;

use ospf_lite::config::InterfaceKind;
use ospf_lite::ids::{Cost, Family, InterfaceId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::{LsType, LsaBody};
use ospf_lite::ospf::packet::Options;

use ospf_testnet::{Net, interface, key, seconds, stub};

/// 1 - 2 - 3 is the way, 1 - 4 - 3 the longer one; 1 and 3 have a LAN.
fn ring() -> Net {
    let mut net = Net::new(Family::Ipv6)
        .routers(&[1, 2, 3, 4])
        .link((1, 2), (2, 1))
        .link((2, 3), (3, 2))
        .link((1, 4), (4, 1))
        .link((4, 3), (3, 4));
    for end in [(1, 4), (3, 4)] {
        let mut config = interface(end, Family::Ipv6);
        if let InterfaceKind::PointToPoint(link) = &mut config.kind {
            link.cost = Cost::new(50).unwrap();
        }
        net.configure(end.0, config);
        net.configure(end.0, stub((end.0, 9), Family::Ipv6));
        net.interface(end.0, InterfaceEvent::Up(InterfaceId(9)));
    }
    net.run(seconds(30));
    assert!(net.is_equal());
    assert_eq!(hops(&net, 1), [2]);
    net
}

/// The interfaces over which a router reaches the LAN of the other end.
fn hops(net: &Net, router: u32) -> Vec<u32> {
    let far = if router == 1 { 3 } else { 1 };
    let prefix = ospf_testnet::prefix((far, 9), Family::Ipv6).prefix;
    let route = net.engines[&router].routes().get(&prefix);
    route.map(|route| route.next_hops.iter().map(|hop| hop.interface.0).collect()).unwrap_or_default()
}

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
    let mut net = ring();
    let before = sequences(&net);
    restart(&mut net, 2);
    net.run_until(seconds(5), |net| {
        assert_eq!((hops(net, 1), hops(net, 3)), (vec![2], vec![2]));
        net.engines[&2].is_settled()
    });
    assert_eq!((hops(&net, 2).len(), net.engines[&2].routes().len()), (1, 2));
    net.run(seconds(20));
    assert!(net.is_equal());
    assert_eq!(sequences(&net), before);
}

#[test]
fn a_router_that_does_not_take_up_an_adjacency_again_is_given_up_after_a_second() {
    let mut net = ring();
    // Router 2 restarts and can say nothing after its first Hellos.
    restart(&mut net, 2);
    net.run(Duration::from_millis(1));
    net.loses = |_, sent| sent.from.0 == 2;
    net.run(Duration::from_millis(1_000));
    assert_eq!((hops(&net, 1), hops(&net, 3)), (vec![2], vec![2]));
    net.run_until(Duration::from_millis(50), |net| hops(net, 1) == [4] && hops(net, 3) == [4]);
}

#[test]
fn a_router_that_returns_gets_no_traffic_before_it_has_had_its_routes_for_a_second() {
    let mut net = ring();
    net.engines.remove(&2);
    net.run(seconds(60));
    assert_eq!((hops(&net, 1), hops(&net, 3)), (vec![4], vec![4]));
    restart(&mut net, 2);
    let has_routes = |net: &Net| net.engines[&2].routes().len() == 2;
    net.run_until(seconds(5), |net| {
        assert_eq!((hops(net, 1), hops(net, 3)), (vec![4], vec![4]));
        has_routes(net)
    });
    let until = net.now + Duration::from_millis(990);
    net.run_until(seconds(2), |net| {
        assert_eq!((hops(net, 1), hops(net, 3)), (vec![4], vec![4]));
        assert!(has_routes(net));
        net.now >= until
    });
    net.run_until(seconds(3), |net| hops(net, 1) == [2] && hops(net, 3) == [2]);
}

#[test]
fn a_router_that_returns_outdoes_its_old_router_lsa_before_its_links_are_back() {
    let mut net = ring();
    net.engines.remove(&2);
    net.run(seconds(60));
    restart(&mut net, 2);
    net.run_until(seconds(1), |net| net.is_full((1, 2)));
    net.run(Duration::from_millis(30));
    let (_, lsa) = net.lsa(4, key(LsType::ROUTER, 0, 2)).unwrap();
    let LsaBody::Router(router) = lsa.body else { panic!("{lsa:?}") };
    assert!(!router.options.contains(Options::R));
}
