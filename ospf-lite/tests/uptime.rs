//! A month of uptime, in simulated time: LSAs are refreshed and no more, none grows old, tables stay as large as they were.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a failing test should stop where it fails"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use ospf_lite::ids::Family;
use ospf_lite::ospf::install::LS_REFRESH_TIME;
use ospf_lite::ospf::lsa::{LsaKey, SequenceNumber};
use ospf_lite::sim::{Fault, NodeIndex, Topology, World, WorldConfig, check};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Without optimization three days say as much about correctness in the same time.
const DAYS: usize = if cfg!(debug_assertions) { 3 } else { 30 };
const LIMIT: Duration = Duration::from_secs(1200);
/// How often an LSA is refreshed in a day: every half hour, or up to five minutes earlier; one less or more for where in its time the day
/// begins.
const REFRESHES: std::ops::RangeInclusive<i32> = 47..=58;
/// How much older an LSA may be elsewhere, in seconds: it ages by one on each link, and waits a little on each.
const ON_THE_WAY: u16 = 30;

/// A mesh with the timers that are shipped.
fn world() -> World {
    let config = WorldConfig {
        hello_interval: Duration::from_secs(10),
        dead_interval: Duration::from_secs(40),
        authenticated: true,
        ..WorldConfig::new(Topology::grid(2, 3), Family::Ipv6)
    };
    let mut world = World::new(config, 1);
    settle(&mut world, "cold start");
    world
}

fn settle(world: &mut World, what: &str) {
    world.settle(LIMIT).unwrap_or_else(|error| panic!("{what}: {error}"));
    check(world).unwrap_or_else(|violation| panic!("{what}, at {}: {violation}", world.now()));
}

fn routers(world: &World) -> impl Iterator<Item = NodeIndex> {
    (0..world.routers()).map(NodeIndex)
}

/// Returns how many LSAs, routes, and neighbors each router has.
fn sizes(world: &World) -> Vec<[usize; 3]> {
    routers(world)
        .map(|node| {
            let engine = world.engine(node).unwrap();
            [engine.database().count(), engine.routes().iter().count(), engine.neighbors().count()]
        })
        .collect()
}

/// Returns each LSA's sequence number where it comes from.
fn sequences(world: &World) -> BTreeMap<(usize, LsaKey), SequenceNumber> {
    let own = |node: NodeIndex| {
        let views = world.engine(node).unwrap().database().filter(|view| view.is_self_originated);
        views.map(move |view| ((node.0, view.header.key), view.header.sequence)).collect::<Vec<_>>()
    };
    routers(world).flat_map(own).collect()
}

#[test]
fn a_month_of_uptime_is_refreshes_alone_and_tables_stay_level() {
    let mut world = world();
    let (sizes_before, mut sequences_before) = (sizes(&world), sequences(&world));
    let routes_before = world.statistics().route_changes;
    for day in 1..=DAYS {
        world.run_for(DAY);
        settle(&mut world, &format!("day {day}"));
        assert_eq!(sizes(&world), sizes_before, "day {day}");
        for node in routers(&world) {
            for view in world.engine(node).unwrap().database() {
                let age = view.header.age;
                assert!(
                    age <= LS_REFRESH_TIME + ON_THE_WAY,
                    "day {day}: {:?} is {age} s old",
                    view.header.key
                );
            }
        }
        let now = sequences(&world);
        assert_eq!(now.len(), sequences_before.len(), "day {day}");
        for (key, sequence) in &now {
            let refreshes = sequence.0.wrapping_sub(sequences_before[key].0);
            assert!(REFRESHES.contains(&refreshes), "day {day}: {key:?} was originated {refreshes} times");
        }
        sequences_before = now;
    }
    assert_eq!(world.statistics().route_changes, routes_before, "a refresh changes no route");
}

#[test]
fn a_router_that_starts_anew_every_day_leaves_nothing_behind() {
    let mut world = world();
    let before = sizes(&world);
    for day in 1..=DAYS {
        let router = NodeIndex(day % world.routers());
        world.apply(&Fault::Crash(router));
        world.run_for(DAY / 2);
        settle(&mut world, &format!("day {day}, one router less"));
        world.apply(&Fault::Boot(router));
        world.run_for(DAY / 2);
        settle(&mut world, &format!("day {day}"));
        assert_eq!(sizes(&world), before, "day {day}");
    }
}
