//! What is on its way while a link comes back, fails or costs more, or a router is drained: no router's back-off makes the routes of
//! several lead in a circle.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a failing test should stop where it fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::IpNet;
use ospf_lite::ids::{Cost, Family, RouterId};
use ospf_lite::sim::{Fault, LinkIndex, NodeIndex, Side, Topology, World, WorldConfig, check};

const LIMIT: Duration = Duration::from_secs(1200);
const STEP: Duration = Duration::from_millis(2);
/// How long news may take round: the shortest delay of the back-off is eight times that.
const NEWS: Duration = Duration::from_millis(6);
const LINK: LinkIndex = LinkIndex(0);

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn settled(topology: Topology) -> World {
    let mut world = World::new(WorldConfig::new(topology, Family::Ipv6), 7);
    world.settle(LIMIT).unwrap();
    check(&world).unwrap();
    world
}

/// The routers between which packets to some prefix go round, if there are any.
fn circle(world: &World) -> Option<(IpNet, RouterId)> {
    let mut next: BTreeMap<IpNet, BTreeMap<RouterId, Vec<RouterId>>> = BTreeMap::new();
    for node in 0..world.routers() {
        let Some(engine) = world.engine(NodeIndex(node)) else { continue };
        for (prefix, route) in engine.routes().iter() {
            let hops = route.next_hops.iter().map(|hop| hop.neighbor).collect();
            next.entry(*prefix).or_default().insert(engine.config().router_id, hops);
        }
    }
    next.into_iter().find_map(|(prefix, hops)| Some((prefix, in_a_circle(&hops)?)))
}

/// A router that some packet may come back to.
fn in_a_circle(hops: &BTreeMap<RouterId, Vec<RouterId>>) -> Option<RouterId> {
    let of = |router: &RouterId| hops.get(router).into_iter().flatten().copied();
    hops.keys().copied().find(|from| {
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<RouterId> = of(from).collect();
        while let Some(router) = waiting.pop() {
            if router == *from {
                return true;
            }
            if seen.insert(router) {
                waiting.extend(of(&router));
            }
        }
        false
    })
}

/// How long packets go round from now on.
fn time_in_circles(world: &mut World, watched: Duration) -> Duration {
    let mut circling = Duration::ZERO;
    let until = world.now() + watched;
    while world.now() < until {
        world.run_for(STEP);
        if circle(world).is_some() {
            circling += STEP;
        }
    }
    circling
}

/// How long packets go round when a link comes back after each of these times.
///
/// While the news is on its way from one router to the next they may.
fn circling_at_return(topology: &Topology, away: impl Iterator<Item = u64>) -> BTreeMap<u64, Duration> {
    let away = away.map(|away| {
        let mut world = settled(topology.clone());
        world.apply(&Fault::CarrierDown(LINK));
        world.run_for(ms(away));
        world.apply(&Fault::Heal(LINK));
        let circling = time_in_circles(&mut world, ms(6_000));
        world.settle(LIMIT).unwrap();
        check(&world).unwrap();
        (away, circling)
    });
    away.filter(|(_, circling)| *circling > NEWS).collect()
}

#[test]
fn nothing_goes_round_when_a_link_comes_back_soon_or_late() {
    let circling = circling_at_return(&Topology::ring(6), [300, 1_500, 2_900, 5_000].into_iter());
    assert_eq!(circling, BTreeMap::new(), "ms away, time in circles");
    // Far from the link the back-off ends later than beside it.
    let circling = circling_at_return(&Topology::ring(9), [3_000].into_iter());
    assert_eq!(circling, BTreeMap::new(), "ms away, time in circles, in a larger ring");
}

#[test]
fn a_link_waits_while_there_is_another_way() {
    let mut world = settled(Topology::ring(4));
    world.apply(&Fault::CarrierDown(LINK));
    world.run_for(ms(300));
    world.apply(&Fault::Heal(LINK));
    world.run_for(ms(2_500));
    assert!(check(&world).is_err(), "it waits for longer than one without another way takes");
    world.settle(LIMIT).unwrap();
    check(&world).unwrap();
}

#[test]
fn a_link_without_which_the_neighbor_is_not_reached_comes_back_at_once() {
    let mut world = settled(Topology::line(3));
    world.apply(&Fault::CarrierDown(LINK));
    world.run_for(ms(300));
    world.apply(&Fault::Heal(LINK));
    world.run_for(ms(2_500));
    check(&world).unwrap();
}

#[test]
fn a_link_that_waits_comes_back_when_the_other_way_is_lost() {
    let mut world = settled(Topology::ring(4));
    world.apply(&Fault::CarrierDown(LINK));
    world.run_for(ms(300));
    world.apply(&Fault::Heal(LINK));
    world.run_for(ms(1_000));
    assert!(check(&world).is_err(), "it waits");
    world.apply(&Fault::CarrierDown(LinkIndex(2)));
    world.run_for(ms(2_200));
    check(&world).unwrap();
}

/// How long packets go round after each of these, from a settled world, where that is longer than news may take.
fn circling_after(
    topology: &Topology,
    changes: &[(&'static str, Vec<Fault>)],
) -> BTreeMap<&'static str, Duration> {
    let circling = changes.iter().map(|(what, faults)| {
        let mut world = settled(topology.clone());
        faults.iter().for_each(|fault| world.apply(fault));
        if faults.iter().any(|fault| matches!(fault, Fault::Cut(_))) {
            // Nobody notices before RouterDeadInterval is over for the Hello before the last.
            world.run_for(ms(28_000));
            return (*what, time_in_circles(&mut world, ms(14_000)));
        }
        (*what, time_in_circles(&mut world, ms(2_500)))
    });
    circling.filter(|(_, circling)| *circling > NEWS).collect()
}

#[test]
fn nothing_goes_round_when_a_link_fails_costs_more_or_a_router_is_drained() {
    let cost = |side| Fault::SetCost(LINK, side, Cost::new(100).unwrap());
    let changes = [
        ("a link fails, and both ends are told", vec![Fault::CarrierDown(LINK)]),
        ("a link fails, and nobody is told", vec![Fault::Cut(LINK)]),
        ("one end of a link costs more", vec![cost(Side::A)]),
        ("both ends of a link cost more", vec![cost(Side::A), cost(Side::B)]),
        ("a router is drained", vec![Fault::Drain(NodeIndex(1), true)]),
    ];
    for topology in [Topology::ring(9), Topology::grid(3, 4)] {
        assert_eq!(circling_after(&topology, &changes), BTreeMap::new(), "{} routers", topology.routers);
    }
}
