//! What a failure seen by BFD does to an adjacency (RFC 5882 sections 3 and 4).

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::{InterfaceEvent, Reachability};
use ospf_lite::ospf::neighbor::NeighborState;

use crate::harness::{Net, seconds, stub};

fn tell(net: &mut Net, (router, interface): (u32, u32), reachability: Reachability) {
    net.interface(router, InterfaceEvent::Reachability { interface: InterfaceId(interface), reachability });
}

/// Routers 1 and 2 with two links of equal cost, and a prefix behind router 2.
fn settled(family: Family) -> Net {
    let mut net = Net::new(family).routers(&[1, 2]).link((1, 1), (2, 1)).link((1, 2), (2, 2));
    net.configure(2, stub((2, 9), family));
    net.interface(2, InterfaceEvent::Up(InterfaceId(9)));
    net.run_until(seconds(10), Net::is_equal);
    net.run(seconds(20));
    net
}

fn next_hops(net: &Net) -> Vec<u32> {
    let routes = net.engines[&1].routes();
    let prefix = crate::harness::prefix((2, 9), net.family).prefix;
    let hops = routes.get(&prefix).map(|route| route.next_hops.clone());
    hops.unwrap_or_default().iter().map(|hop| hop.interface.0).collect()
}

#[test]
fn an_unreachable_neighbor_is_down_at_once_and_its_routes_move_in_the_same_input() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let mut net = settled(family);
        assert_eq!(next_hops(&net), [1, 2]);
        net.cut((1, 1));
        tell(&mut net, (1, 1), Reachability::Unreachable);
        assert_eq!(net.state((1, 1)), None);
        assert_eq!(next_hops(&net), [2]);
    }
}

#[test]
fn no_adjacency_begins_while_the_neighbor_is_unreachable_although_it_is_heard() {
    let mut net = settled(Family::Ipv6);
    tell(&mut net, (1, 1), Reachability::Unreachable);
    net.run(seconds(30));
    assert_eq!(net.state((1, 1)), Some(NeighborState::TwoWay));
    assert_eq!(next_hops(&net), [2]);
    tell(&mut net, (1, 1), Reachability::Reachable);
    // Router 2 leads the exchange, and repeats its Database Description after RxmtInterval.
    net.run_until(seconds(6), |net| net.is_full((1, 1)) && net.is_full((2, 1)));
    net.run_until(seconds(10), |net| next_hops(net) == [1, 2]);
}

#[test]
fn an_interface_that_comes_up_again_takes_its_neighbor_for_reachable() {
    let mut net = settled(Family::Ipv6);
    tell(&mut net, (1, 1), Reachability::Unreachable);
    net.interface(1, InterfaceEvent::Down(InterfaceId(1)));
    net.interface(1, InterfaceEvent::Up(InterfaceId(1)));
    net.run_until(seconds(12), |net| net.is_full((1, 1)));
}

#[test]
fn what_is_said_of_an_interface_that_is_down_is_forgotten() {
    let mut net = settled(Family::Ipv6);
    net.interface(1, InterfaceEvent::Down(InterfaceId(1)));
    tell(&mut net, (1, 1), Reachability::Unreachable);
    net.interface(1, InterfaceEvent::Up(InterfaceId(1)));
    net.run_until(seconds(12), |net| net.is_full((1, 1)));
}

#[test]
fn a_silent_neighbor_that_still_forwards_keeps_its_routes() {
    let mut net = settled(Family::Ipv6);
    tell(&mut net, (1, 1), Reachability::Forwarding);
    net.run(seconds(5));
    assert!(net.is_full((1, 1)));
    assert_eq!(next_hops(&net), [1, 2]);
}
