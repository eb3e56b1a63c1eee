//! A thousand routers: cold start, a hundred faults, the true routes everywhere, and what it took.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a failing test should stop where it fails; figures are for reading"
)]

use std::time::Duration;

use ospf_lite::ids::Family;
use ospf_lite::sim::{FaultKind, FaultSource, Topology, World, WorldConfig, check};

/// Without optimization a tenth of the routers says as much about correctness in the same time.
const ROUTERS: usize = if cfg!(debug_assertions) { 100 } else { 1000 };
const FAULTS: usize = 100;
/// Processor time: what an otherwise idle machine needs.
const BUDGET: Duration = Duration::from_secs(120);
const LIMIT: Duration = Duration::from_secs(1200);

/// Returns how long this thread has been running on a processor.
fn processor_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(statistics.split_whitespace().next().unwrap().parse().unwrap())
}

fn world(routers: usize, family: Family, seed: u64) -> World {
    let config = WorldConfig {
        hello_interval: Duration::from_secs(10),
        dead_interval: Duration::from_secs(40),
        start_within: Duration::from_secs(2),
        ..WorldConfig::new(Topology::random_mesh(routers, 4, seed), family)
    };
    World::new(config, seed)
}

fn figures(what: &str, world: &World, simulated: Duration, begun: Duration) {
    let sum = world.statistics();
    println!(
        "{what}: settled after {:.1} s simulated, {:.1} s of processor time; {} updates, {} acknowledgments, {} hellos, {} route changes, {:.0} MB; trace {:016x}",
        simulated.as_secs_f64(),
        (processor_time() - begun).as_secs_f64(),
        sum.updates,
        sum.acknowledgments,
        sum.hellos,
        sum.route_changes,
        sum.octets as f64 / 1e6,
        world.trace_hash(),
    );
}

/// Runs a cold start and a minute with so many faults, checks both, and returns the trace.
fn run(routers: usize, family: Family, seed: u64) -> u64 {
    let begun = processor_time();
    let mut world = world(routers, family, seed);
    let simulated = world.settle(LIMIT).unwrap();
    figures(&format!("{routers} routers, {family}, cold start"), &world, simulated, begun);
    check(&world).unwrap();
    println!("checked at {:.1} s", (processor_time() - begun).as_secs_f64());
    let mut faults = FaultSource::new(seed, &FaultKind::SINGLE);
    for _ in 0..FAULTS {
        let fault = faults.next_fault(&world);
        world.apply(&fault);
        world.run_for(faults.pause(Duration::from_millis(200)));
    }
    let simulated = world.settle(LIMIT).unwrap();
    figures(&format!("{routers} routers, {family}, {FAULTS} faults"), &world, simulated, begun);
    check(&world).unwrap();
    println!("checked at {:.1} s", (processor_time() - begun).as_secs_f64());
    world.trace_hash()
}

#[test]
fn a_thousand_routers_settle_from_cold_start_and_after_a_hundred_faults_within_the_budget() {
    let begun = processor_time();
    run(ROUTERS, Family::Ipv6, 1);
    let taken = processor_time() - begun;
    assert!(taken < BUDGET, "{taken:?}");
}

#[test]
fn the_trace_of_one_seed_is_identical_in_two_runs() {
    assert_eq!(run(ROUTERS / 5, Family::Ipv4, 2), run(ROUTERS / 5, Family::Ipv4, 2));
}

/// Tables of routes are there at every hundredth router, and are checked there.
#[test]
fn ten_thousand_routers_settle_after_faults_from_a_settled_world() {
    const MANY: usize = if cfg!(debug_assertions) { 300 } else { 10_000 };
    let begun = processor_time();
    let config = WorldConfig {
        hello_interval: Duration::from_secs(10),
        dead_interval: Duration::from_secs(40),
        routes_at_every: MANY / 100,
        ..WorldConfig::new(Topology::random_mesh(MANY, 4, 3), Family::Ipv6)
    };
    let mut world = World::settled(config, 3);
    let simulated = world.settle(LIMIT).unwrap();
    assert_eq!(world.statistics().updates, 0, "there is nothing to tell");
    figures(&format!("{MANY} routers that had settled"), &world, simulated, begun);
    check(&world).unwrap();
    let mut faults = FaultSource::new(3, &FaultKind::SINGLE);
    for _ in 0..10 {
        let fault = faults.next_fault(&world);
        world.apply(&fault);
        world.run_for(faults.pause(Duration::from_millis(200)));
    }
    let simulated = world.settle(LIMIT).unwrap();
    figures(&format!("{MANY} routers, 10 faults"), &world, simulated, begun);
    check(&world).unwrap();
}
