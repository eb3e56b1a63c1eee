//! How soon everybody's routes lead around what failed, counted from when the routers beside it notice.

use std::time::Duration;

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::{InterfaceEvent, Reachability};

use crate::harness::{DELAY, Net, prefix, seconds, stub};

const PREFIX_INTERFACE: u32 = 9;
/// How long after one end the other may notice that nothing arrives: the jitter of BFD with 300 ms.
const LATER: Duration = Duration::from_millis(75);

/// Six routers in a ring, each with a prefix: interface 1 leads onwards, interface 2 back.
fn ring() -> Net {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2, 3, 4, 5, 6]);
    for router in 1..=6 {
        net.join((router, 1), (router % 6 + 1, 2), |_| {});
        net.configure(router, stub((router, PREFIX_INTERFACE), Family::Ipv6));
        net.interface(router, InterfaceEvent::Up(InterfaceId(PREFIX_INTERFACE)));
    }
    net.run_until(seconds(20), Net::is_equal);
    net.run(seconds(20));
    net
}

fn tell(net: &mut Net, (router, interface): (u32, u32), reachability: Reachability) {
    net.interface(router, InterfaceEvent::Reachability { interface: InterfaceId(interface), reachability });
}

/// Returns by which interface a router sends to another one's prefix.
fn way(net: &Net, from: u32, to: u32) -> Option<u32> {
    let route = net.engines[&from].routes().get(&prefix((to, PREFIX_INTERFACE), Family::Ipv6).prefix)?;
    route.next_hops.first().map(|hop| hop.interface.0)
}

/// Whether every router sends to the prefix of each that is left by the way that does not lead from router 1 to 2.
fn is_around(net: &Net) -> bool {
    let onwards = |from: u32, to: u32| (from + 4) % 6 < (to + 4) % 6;
    (1..=6).all(|from| {
        let others = (1..=6).filter(|to| *to != from);
        others.into_iter().all(|to| way(net, from, to) == Some(if onwards(from, to) { 1 } else { 2 }))
    })
}

fn fail(net: &mut Net) {
    tell(net, (1, 1), Reachability::Unreachable);
}

/// How long the way around the ring is for a packet.
const AROUND: Duration = DELAY.saturating_mul(6);

#[test]
fn after_a_quiet_time_everybody_is_around_as_soon_as_one_end_has_noticed() {
    let mut net = ring();
    net.cut((1, 1));
    fail(&mut net);
    assert!(net.run_until(AROUND, is_around) <= AROUND);
}

#[test]
fn what_the_other_end_notices_later_moves_no_route() {
    let mut net = ring();
    net.cut((1, 1));
    fail(&mut net);
    net.run(LATER);
    assert!(is_around(&net));
    tell(&mut net, (2, 2), Reachability::Unreachable);
    for _ in 0..20 {
        net.run(LATER);
        assert!(is_around(&net));
    }
}

#[test]
fn a_link_that_came_back_and_fails_again_is_told_of_at_once() {
    let mut net = ring();
    fail(&mut net);
    net.run(seconds(6));
    tell(&mut net, (1, 1), Reachability::Reachable);
    net.run_until(seconds(10), |net| net.is_full((1, 1)) && net.is_full((2, 2)) && net.is_equal());
    // Longer than the first run after a change has to have been quiet, less than a row of two takes to be forgotten.
    net.run(seconds(4));
    assert!(!is_around(&net));
    fail(&mut net);
    assert!(net.run_until(AROUND, is_around) <= AROUND);
}

#[test]
fn a_router_that_dies_is_left_as_soon_as_the_last_of_its_neighbors_has_noticed() {
    // Router 2 has a neighbor more, router 5, by which router 1 may send while only router 3 has noticed.
    let mut net = ring();
    net.join((2, 3), (5, 3), |_| {});
    net.run_until(seconds(20), Net::is_equal);
    net.run(seconds(20));
    for interface in [1, 2, 3] {
        net.cut((2, interface));
    }
    net.engines.remove(&2);
    for end in [(3, 2), (1, 1), (5, 3)] {
        net.run(LATER);
        tell(&mut net, end, Reachability::Unreachable);
    }
    let is_left =
        |net: &Net| way(net, 1, 3) == Some(2) && way(net, 3, 1) == Some(1) && way(net, 4, 2).is_none();
    let short = ospf_lite::config::SpfDelayConfig::default().short;
    assert!(net.run_until(short + AROUND, is_left) <= Duration::from_millis(60));
}

#[test]
fn while_the_back_off_keeps_routes_over_a_lost_link_no_adjacency_is_told_of_there() {
    let mut net = ring();
    let adjacent = |net: &Net| net.engines[&1].adjacent().map(|id| id.0).collect::<Vec<_>>();
    let leads_over = |net: &Net, interface| (2..=6).any(|to| way(net, 1, to) == Some(interface));
    assert_eq!(adjacent(&net), [1, 2]);
    fail(&mut net);
    assert_eq!(adjacent(&net), [2]);
    assert!(!leads_over(&net, 1), "the first loss is calculated at once");
    tell(&mut net, (1, 2), Reachability::Unreachable);
    assert!(leads_over(&net, 2), "the second waits");
    assert!(adjacent(&net).is_empty());
    net.run(ospf_lite::config::SpfDelayConfig::default().long);
    assert!(!leads_over(&net, 2));
}
