//! Flooding where everybody is linked with everybody: little is sent twice, and everything arrives.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing test should stop where it fails"
)]

use std::time::Duration;

use ospf_lite::ids::{Cost, Family};
use ospf_lite::ospf::lsa::{LsType, SequenceNumber};
use ospf_lite::sim::{
    Fault, LinkIndex, NodeIndex, Side, Statistics, Topology, World, WorldConfig, check, router_id,
};

const LIMIT: Duration = Duration::from_secs(300);
/// The link between the first two routers.
const FIRST: LinkIndex = LinkIndex(0);
/// The link between the first router and the third.
const SECOND: LinkIndex = LinkIndex(1);

fn settled(routers: usize) -> World {
    let mut world = World::new(WorldConfig::new(Topology::full_mesh(routers), Family::Ipv6), 7);
    world.settle(LIMIT).unwrap();
    check(&world).unwrap();
    world
}

fn updates_of(world: &mut World, fault: &Fault) -> u64 {
    let before: Statistics = world.statistics();
    world.apply(fault);
    world.settle(LIMIT).unwrap();
    check(world).unwrap();
    world.statistics().updates - before.updates
}

fn dearer(link: LinkIndex) -> Fault {
    Fault::SetCost(link, Side::A, Cost::new(77).unwrap())
}

/// The sequence number of the first router's Router-LSA as another router has it.
fn known(world: &World, router: usize) -> SequenceNumber {
    let first = router_id(NodeIndex(0));
    let mut lsas = world.engine(NodeIndex(router)).unwrap().database().map(|view| view.header);
    let is_it =
        |key: ospf_lite::ospf::lsa::LsaKey| key.ls_type == LsType::ROUTER && key.advertising_router == first;
    lsas.find(|header| is_it(header.key)).unwrap().sequence
}

#[test]
fn in_a_full_mesh_only_the_originator_sends_an_lsa() {
    let mut world = settled(12);
    assert_eq!(updates_of(&mut world, &dearer(FIRST)), 11);
}

#[test]
fn routers_with_few_neighbors_send_everything_at_once() {
    let mut world = settled(6);
    assert!(updates_of(&mut world, &dearer(FIRST)) > 5);
}

#[test]
fn what_a_silent_link_swallows_comes_by_another_router_within_a_second() {
    let mut world = settled(12);
    world.apply(&Fault::CutOneWay(FIRST, Side::A));
    world.apply(&dearer(SECOND));
    world.run_for(Duration::from_millis(100));
    assert!(known(&world, 1) < known(&world, 2), "the direct way is cut");
    world.run_for(Duration::from_millis(900));
    assert_eq!(known(&world, 1), known(&world, 2));
}
