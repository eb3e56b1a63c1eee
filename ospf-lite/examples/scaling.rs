//! What a change of the topology costs in areas of 100 to 10,000 routers of every shape, and what it takes until all of up to
//! 2,000 know the area from cold start: `make scale`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a person reads it; what is not as it should be ends it"
)]

use std::process::Command;
use std::time::Duration;

use ospf_lite::ids::{Cost, Family};
use ospf_lite::sim::{Fault, LinkIndex, Side, Statistics, Topology, World, WorldConfig, check};

/// How long a world may take to settle, in its own time.
const LIMIT: Duration = Duration::from_secs(600);
/// How many routers calculate their routes and have them checked, about: so many tables fit beside each other.
const TABLES: usize = 100;
/// How long a change is watched; by then everything is acknowledged.
const CHANGE: Duration = Duration::from_secs(8);
/// How many links change, one after the other.
const CHANGES: usize = 5;

/// How many routers start together.
const COLD_STARTS: [usize; 4] = [250, 500, 1_000, 2_000];
/// The word with which this program starts itself for one cold start: memory is counted by process.
const COLD_START: &str = "cold-start";

fn main() {
    let number = |text: String| text.parse().ok();
    match std::env::args().nth(1) {
        Some(word) if word == COLD_START => cold_start(std::env::args().nth(2).and_then(number).unwrap()),
        most => {
            let most = most.and_then(number).unwrap_or(10_000);
            changes(most);
            cold_starts(most);
        }
    }
}

fn cold_starts(most: usize) {
    println!();
    println!(
        "Cold start of all routers within 2 s, in a random mesh with 4 links each, HelloInterval 10 s: until every database and route is right."
    );
    println!();
    println!(
        "| routers | links | simulated time | updates per link | processor time | a router's | memory | a router's |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for routers in COLD_STARTS.into_iter().filter(|routers| *routers <= most) {
        let program = std::env::current_exe().unwrap();
        let status = Command::new(program).args([COLD_START, &routers.to_string()]).status().unwrap();
        assert!(status.success());
    }
}

/// Starts so many routers and prints what it takes until they have settled.
fn cold_start(routers: usize) {
    let begun = processor_time();
    let config = WorldConfig {
        hello_interval: Duration::from_secs(10),
        dead_interval: Duration::from_secs(40),
        ..WorldConfig::new(topology("random, 4 links", routers), Family::Ipv6)
    };
    let links = config.topology.links.len();
    let mut world = World::new(config, 1);
    let simulated = world.settle(LIMIT).unwrap();
    let (spent, kilobytes) = (processor_time() - begun, peak_memory());
    check(&world).unwrap();
    println!(
        "| {routers} | {links} | {:.1} s | {:.0} | {:.1} s | {:.0} ms | {:.0} MB | {:.0} kB |",
        simulated.as_secs_f64(),
        world.statistics().updates as f64 / links as f64,
        spent.as_secs_f64(),
        spent.as_secs_f64() * 1e3 / routers as f64,
        kilobytes as f64 / 1e3,
        kilobytes as f64 / routers as f64,
    );
}

/// Returns the most memory that this process has had resident, in kilobytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn changes(most: usize) {
    println!(
        "Updates and acknowledgments that one changed LSA costs in an area that has settled; means of {CHANGES} changes."
    );
    println!(
        "Where neighbors do not say that they have it, each link carries the LSA at least once. Routes and databases are checked."
    );
    println!();
    println!(
        "| shape | routers | links | updates | per link | acknowledgments | octets per link | processor time |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (shape, sizes) in [
        // An LSA ages by InfTransDelay, a second, on each link: past 3,600 links it is gone.
        ("line", &[100, 300, 1_000, 3_000][..]),
        ("ring", &[100, 300, 1_000, 3_000]),
        ("grid", &[100, 300, 1_000, 3_000, 10_000]),
        ("random, 4 links", &[100, 300, 1_000, 3_000, 10_000]),
        ("hub and spoke", &[100, 300, 1_000, 3_000]),
        ("full mesh", &[30, 100, 300]),
    ] {
        for routers in sizes.iter().filter(|routers| **routers <= most) {
            measure(shape, *routers);
        }
    }
}

fn topology(shape: &str, routers: usize) -> Topology {
    let side = routers.isqrt();
    match shape {
        "line" => Topology::line(routers),
        "ring" => Topology::ring(routers),
        "grid" => Topology::grid(side, side),
        "hub and spoke" => Topology::hub_and_spoke(routers, 1),
        "full mesh" => Topology::full_mesh(routers),
        _ => Topology::random_mesh(routers, 4, 1),
    }
}

fn measure(shape: &str, routers: usize) {
    let config = WorldConfig {
        // No Hello goes out while changes are measured.
        hello_interval: Duration::from_secs(100),
        dead_interval: Duration::from_secs(400),
        routes_at_every: (routers / TABLES).max(1),
        ..WorldConfig::new(topology(shape, routers), Family::Ipv6)
    };
    let (routers, links) = (config.topology.routers, config.topology.links.len());
    let mut world = World::settled(config, 1);
    world.run_for(CHANGE);
    check(&world).unwrap();
    let (before, begun) = (world.statistics(), processor_time());
    for change in 0..CHANGES {
        let link = LinkIndex((2 * change + 1) * links / (2 * CHANGES));
        world.apply(&Fault::SetCost(link, Side::A, Cost::new(7).unwrap()));
        world.run_for(CHANGE);
    }
    let (after, spent) = (world.statistics(), processor_time() - begun);
    assert_eq!(after.hellos, before.hellos);
    world.settle(LIMIT).unwrap();
    check(&world).unwrap();
    let changes = CHANGES as f64;
    let per = |count: fn(&Statistics) -> u64| (count(&after) - count(&before)) as f64 / changes;
    let updates = per(|sum| sum.updates);
    println!(
        "| {shape} | {routers} | {links} | {updates:.0} | {:.2} | {:.0} | {:.0} | {:.1} ms |",
        updates / links as f64,
        per(|sum| sum.acknowledgments),
        per(|sum| sum.octets) / links as f64,
        spent.as_secs_f64() * 1e3 / changes,
    );
}

/// Returns how long this thread has been running on a processor.
fn processor_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(statistics.split_whitespace().next().unwrap().parse().unwrap())
}
