//! What a change of the topology costs in areas of 100 to 10,000 routers of every shape, what it takes until all of up to
//! 2,000 know the area from cold start, and how up to 10,000 that had settled come out of a row of faults: `make scale`.
//!
//! `scaling [MOST [PART..]]`: areas of at most so many routers; of the parts (shapes, `cold-starts`, `faults`) those named.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a person reads it; what is not as it should be ends it"
)]

use std::process::Command;
use std::time::Duration;

use ospf_lite::ids::{Cost, Family};
use ospf_lite::sim::{
    Fault, FaultKind, FaultSource, LinkIndex, Side, Statistics, Topology, World, WorldConfig, check,
};

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
/// How many routers, settled before, meet faults.
const FAULTY: [usize; 3] = [1_000, 3_000, 10_000];
/// How many faults, up to a second apart.
const FAULTS: usize = 20;
/// The words with which this program starts itself for one row: memory is counted by process.
const COLD_START: &str = "one-cold-start";
const AFTER_FAULTS: &str = "one-row-of-faults";

fn main() {
    let mut words = std::env::args().skip(1);
    let first = words.next().unwrap_or_else(|| "10000".to_owned());
    let rest: Vec<String> = words.collect();
    let routers = || rest.first().unwrap().parse().unwrap();
    match first.as_str() {
        COLD_START => cold_start(routers()),
        AFTER_FAULTS => after_faults(routers()),
        most => all(most.parse().unwrap(), |part| rest.is_empty() || rest.iter().any(|word| word == part)),
    }
}

fn all(most: usize, is_wanted: impl Fn(&str) -> bool) {
    let shapes: Vec<_> = SHAPES.iter().filter(|(shape, _)| is_wanted(shape)).collect();
    if !shapes.is_empty() {
        changes(most, &shapes);
    }
    if is_wanted("cold-starts") {
        heading(&[
            "Cold start of all routers within 2 s, in a random mesh with 4 links each, HelloInterval 10 s: until every database and route is right.",
            "",
            "| routers | links | simulated time | updates per link | processor time | a router's | memory | a router's |",
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]);
        rows(COLD_START, &COLD_STARTS, most);
    }
    if is_wanted("faults") {
        heading(&[
            &format!(
                "{FAULTS} faults up to a second apart in a random mesh with 4 links each that had settled, HelloInterval 10 s: until every database, and the routes of about {TABLES} routers, are right."
            ),
            "",
            "| routers | links | simulated time after the last fault | updates per link | processor time | memory | a router's |",
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]);
        rows(AFTER_FAULTS, &FAULTY, most);
    }
}

fn heading(lines: &[&str]) {
    println!();
    lines.iter().for_each(|line| println!("{line}"));
}

/// Has a process of its own print the row of each size.
fn rows(word: &str, sizes: &[usize], most: usize) {
    for routers in sizes.iter().filter(|routers| **routers <= most) {
        let program = std::env::current_exe().unwrap();
        let status = Command::new(program).args([word, &routers.to_string()]).status().unwrap();
        assert!(status.success());
    }
}

/// Returns a random mesh with the timers of a mesh as it is shipped.
fn shipped(routers: usize) -> WorldConfig {
    WorldConfig {
        hello_interval: Duration::from_secs(10),
        dead_interval: Duration::from_secs(40),
        ..WorldConfig::new(topology("random", routers), Family::Ipv6)
    }
}

/// Lets so many routers that had settled meet faults, and prints what it takes until they have settled again.
fn after_faults(routers: usize) {
    let begun = processor_time();
    let config = WorldConfig { routes_at_every: (routers / TABLES).max(1), ..shipped(routers) };
    let links = config.topology.links.len();
    let mut world = World::settled(config, 1);
    world.settle(LIMIT).unwrap();
    assert_eq!(world.statistics().updates, 0, "there is nothing to tell");
    let mut faults = FaultSource::new(1, &FaultKind::SINGLE);
    for _ in 0..FAULTS {
        let fault = faults.next_fault(&world);
        world.apply(&fault);
        world.run_for(faults.pause(Duration::from_secs(1)));
    }
    let simulated = world.settle(LIMIT).unwrap();
    let (spent, kilobytes) = (processor_time() - begun, peak_memory());
    check(&world).unwrap();
    println!(
        "| {routers} | {links} | {:.1} s | {:.1} | {:.1} s | {:.0} MB | {:.0} kB |",
        simulated.as_secs_f64(),
        world.statistics().updates as f64 / links as f64,
        spent.as_secs_f64(),
        kilobytes as f64 / 1e3,
        kilobytes as f64 / routers as f64,
    );
}

/// Starts so many routers and prints what it takes until they have settled.
fn cold_start(routers: usize) {
    let begun = processor_time();
    let config = shipped(routers);
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

/// The shapes of areas, and how large they are.
const SHAPES: [(&str, &[usize]); 6] = [
    // An LSA ages by InfTransDelay, a second, on each link: past 3,600 links it is gone.
    ("line", &[100, 300, 1_000, 3_000]),
    ("ring", &[100, 300, 1_000, 3_000]),
    ("grid", &[100, 300, 1_000, 3_000, 10_000]),
    ("random", &[100, 300, 1_000, 3_000, 10_000]),
    ("hub", &[100, 300, 1_000, 3_000, 10_000]),
    ("full-mesh", &[30, 100, 300]),
];

fn changes(most: usize, shapes: &[&(&str, &[usize])]) {
    heading(&[
        &format!(
            "Updates and acknowledgments that one changed LSA costs in an area that has settled; means of {CHANGES} changes."
        ),
        "Where neighbors do not say that they have it, each link carries the LSA at least once. Routes and databases are checked.",
        "",
        "| shape | routers | links | updates | per link | acknowledgments | octets per link | processor time |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]);
    for (shape, sizes) in shapes {
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
        "hub" => Topology::hub_and_spoke(routers, 1),
        "full-mesh" => Topology::full_mesh(routers),
        _ => Topology::random_mesh(routers, 4, 1),
    }
}

fn shape_title(shape: &str) -> &str {
    match shape {
        "random" => "random, 4 links",
        "hub" => "hub and spoke",
        "full-mesh" => "full mesh",
        other => other,
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
        "| {} | {routers} | {links} | {updates:.0} | {:.2} | {:.0} | {:.0} | {:.1} ms |",
        shape_title(shape),
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
