//! Small worlds of every shape, with every fault, against the independent answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a failing test should stop where it fails"
)]

use std::time::Duration;

use ospf_lite::ids::{Cost, Family};
use ospf_lite::sim::{
    Fault, FaultKind, FaultSource, LinkIndex, LinkQuality, NodeIndex, Side, Topology, World, WorldConfig,
    check,
};

const FAMILIES: [Family; 2] = [Family::Ipv6, Family::Ipv4];
const MINUTE: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(1200);

fn topologies() -> Vec<(&'static str, Topology)> {
    vec![
        ("alone", Topology::line(1)),
        ("pair", Topology::line(2)),
        ("line", Topology::line(6)),
        ("ring", Topology::ring(6)),
        ("grid", Topology::grid(3, 4)),
        ("star", Topology::hub_and_spoke(9, 1)),
        ("two hubs", Topology::hub_and_spoke(8, 2)),
        ("full mesh", Topology::full_mesh(6)),
        ("random mesh", Topology::random_mesh(12, 4, 3)),
        (
            "two links between two routers",
            Topology::from_links(3, &[(0, 1, 5, 5), (0, 1, 5, 9), (1, 2, 1, 1)]),
        ),
        ("two islands", Topology::from_links(4, &[(0, 1, 1, 1), (2, 3, 1, 1)])),
    ]
}

fn settle(world: &mut World, what: &str) {
    world.settle(LIMIT).unwrap_or_else(|error| panic!("{what}: {error}"));
    check(world).unwrap_or_else(|violation| panic!("{what}, at {}: {violation}", world.now()));
}

#[test]
fn every_topology_settles_to_the_true_routes_from_a_cold_start() {
    for (name, topology) in topologies() {
        for family in FAMILIES {
            for numbered in [false, true] {
                let config = WorldConfig { numbered, ..WorldConfig::new(topology.clone(), family) };
                settle(&mut World::new(config, 1), &format!("{name}, {family}, numbered: {numbered}"));
            }
        }
    }
}

#[test]
fn every_kind_of_fault_leads_to_the_true_routes_and_so_does_its_repair() {
    for kind in FaultKind::ALL {
        for seed in 0..4 {
            let family = FAMILIES[usize::try_from(seed % 2).unwrap()];
            let mut world = World::new(WorldConfig::new(Topology::random_mesh(8, 3, seed), family), seed);
            settle(&mut world, "cold start");
            let fault = FaultSource::new(seed, &[kind]).next_fault(&world);
            world.apply(&fault);
            settle(&mut world, &format!("seed {seed}, after {fault:?}"));
            world.apply(&Fault::HealAll);
            settle(&mut world, &format!("seed {seed}, healed of {fault:?}"));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let run = |seed: u64| {
        let config = WorldConfig {
            quality: LinkQuality::POOR,
            ..WorldConfig::new(Topology::grid(3, 3), Family::Ipv6)
        };
        let mut world = World::new(config, seed);
        let mut faults = FaultSource::new(seed, &FaultKind::ALL);
        for _ in 0..20 {
            world.run_for(faults.pause(Duration::from_secs(3)));
            let fault = faults.next_fault(&world);
            world.apply(&fault);
        }
        world.run_for(MINUTE);
        (world.trace_hash(), world.statistics())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).0, run(6).0);
}

#[test]
fn databases_stay_equal_while_lsas_are_refreshed_for_hours() {
    let mut world = World::new(WorldConfig::new(Topology::ring(4), Family::Ipv6), 1);
    settle(&mut world, "cold start");
    let before = world.statistics().route_changes;
    world.run_for(MINUTE * 150);
    settle(&mut world, "after two and a half hours");
    assert_eq!(world.statistics().route_changes, before, "a refresh changes no route");
}

#[test]
fn the_lsas_of_a_router_that_never_returns_age_out_everywhere() {
    let mut world = World::new(WorldConfig::new(Topology::ring(4), Family::Ipv6), 1);
    settle(&mut world, "cold start");
    world.apply(&Fault::Crash(NodeIndex(3)));
    world.run_for(MINUTE * 65);
    settle(&mut world, "after MaxAge");
    let gone = ospf_lite::sim::router_id(NodeIndex(3));
    let engine = world.engine(NodeIndex(0)).unwrap();
    assert_eq!(engine.database().filter(|view| view.header.key.advertising_router == gone).count(), 0);
}

#[test]
fn a_silent_cut_is_noticed_after_the_dead_interval_and_a_lost_carrier_at_once() {
    let elapsed = |fault: &Fault| {
        let mut world = World::new(WorldConfig::new(Topology::ring(5), Family::Ipv4), 1);
        settle(&mut world, "cold start");
        world.apply(fault);
        let elapsed = world.settle(LIMIT).unwrap();
        check(&world).unwrap();
        elapsed
    };
    assert!(elapsed(&Fault::CarrierDown(LinkIndex(0))) < Duration::from_secs(3));
    let silent = elapsed(&Fault::Cut(LinkIndex(0)));
    assert!((Duration::from_secs(3)..Duration::from_secs(8)).contains(&silent), "{silent:?}");
}

#[test]
fn a_cold_start_over_good_links_waits_for_no_retransmission() {
    for seed in 0..12 {
        let config = WorldConfig::new(Topology::random_mesh(24, 4, seed), Family::Ipv6);
        let start = config.start_within;
        let mut world = World::new(config, seed);
        let elapsed = world.settle(LIMIT).unwrap();
        // The last to start may find its neighbors in MinLSInterval, but not RxmtInterval after that.
        assert!(elapsed < start + Duration::from_secs(8), "seed {seed}: {elapsed:?}");
    }
}

#[test]
fn the_oracle_sees_what_is_wrong_before_the_engines_have_noticed() {
    let mut world = World::new(WorldConfig::new(Topology::ring(5), Family::Ipv6), 1);
    world.run_for(Duration::from_millis(1));
    check(&world).expect("nobody runs, nothing can be wrong");
    settle(&mut world, "cold start");
    world.apply(&Fault::SetCost(LinkIndex(0), Side::A, Cost::new(1).unwrap()));
    check(&world).expect_err("the cost is another");
    settle(&mut world, "another cost");
    world.apply(&Fault::Cut(LinkIndex(0)));
    check(&world).expect_err("the way leads over a cut link");
    settle(&mut world, "a cut link");
    world.apply(&Fault::Heal(LinkIndex(0)));
    check(&world).expect_err("the healed link has no adjacency");
}
