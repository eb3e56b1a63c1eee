//! Random worlds in storms of faults, each from one seed, against the independent answer.
//!
//! `DLAN_SEEDS=417..418 cargo test --profile lab -p ospf-lite --features sim --test seeds` repeats one; any range of seeds can be given.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a failing test should stop where it fails; figures are for reading"
)]

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ospf_lite::ids::Family;
use ospf_lite::sim::{Fault, FaultKind, FaultSource, LinkQuality, Topology, World, WorldConfig, check};

/// Without optimization there is time for a few.
const SEEDS: Range<u64> = if cfg!(debug_assertions) { 0..40 } else { 0..500 };
/// How many faults a storm has.
const FAULTS: usize = 12;
/// How long a world may take to settle: lost packets are repeated every five seconds.
const LIMIT: Duration = Duration::from_secs(1200);

/// Returns the seeds to run: those asked for, or as many as there is time for.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("DLAN_SEEDS") else { return SEEDS };
    let (first, end) = text.split_once("..").expect("DLAN_SEEDS is a range, first..end");
    first.parse().expect("the first seed is a number")..end.parse().expect("the last seed is a number")
}

fn topology(rng: &mut fastrand::Rng, seed: u64) -> (&'static str, Topology) {
    let routers = rng.usize(8..=30);
    match rng.usize(0..16) {
        0 => ("pair", Topology::line(2)),
        1 => ("line", Topology::line(routers)),
        2 | 3 => ("ring", Topology::ring(routers)),
        4 | 5 => ("grid", Topology::grid(rng.usize(2..=5), rng.usize(3..=6))),
        6 => ("star", Topology::hub_and_spoke(routers, 1)),
        7 => ("two hubs", Topology::hub_and_spoke(routers, 2)),
        8 => ("full mesh", Topology::full_mesh(rng.usize(4..=14))),
        9 => ("two links between two", Topology::from_links(3, &[(0, 1, 5, 5), (0, 1, 5, 9), (1, 2, 1, 1)])),
        10 => ("two islands", Topology::from_links(5, &[(0, 1, 1, 1), (2, 3, 1, 1), (3, 4, 2, 1)])),
        _ => ("mesh", Topology::random_mesh(routers, rng.usize(2..=9), seed)),
    }
}

fn quality(rng: &mut fastrand::Rng) -> LinkQuality {
    match rng.usize(0..4) {
        0 => LinkQuality::POOR,
        1 => LinkQuality {
            jitter: Duration::from_millis(30),
            reordering: 300,
            duplication: 100,
            ..LinkQuality::GOOD
        },
        2 => LinkQuality { loss: 250, duplication: 50, ..LinkQuality::GOOD },
        _ => LinkQuality::GOOD,
    }
}

/// Runs the world of a seed through a storm, has it settle, heals it, and has it settle again.
fn storm(seed: u64) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (name, topology) = topology(&mut rng, seed);
    let quality = quality(&mut rng);
    let family = if rng.bool() { Family::Ipv6 } else { Family::Ipv4 };
    let (numbered, authenticated, watched) = (rng.bool(), rng.bool(), rng.bool());
    let start_within = Duration::from_millis(rng.u64(1..5_000));
    // So long that loss alone does not end adjacencies: the world would never be quiet.
    let dead_interval = Duration::from_secs(if quality.loss > 0 { 12 } else { 4 });
    let new = WorldConfig::new(topology, family);
    let config =
        WorldConfig { quality, numbered, authenticated, watched, start_within, dead_interval, ..new };
    let mut world = World::new(config, seed);
    let mut faults = FaultSource::new(seed, &FaultKind::ALL);
    let longest = Duration::from_millis(rng.u64(10..8_000));
    world.run_for(faults.pause(Duration::from_secs(15)));
    for _ in 0..FAULTS {
        let fault = faults.next_fault(&world);
        world.apply(&fault);
        world.run_for(faults.pause(longest));
    }
    settle(&mut world, &format!("{name}, {family}, after the storm"))?;
    world.apply(&Fault::HealAll);
    settle(&mut world, &format!("{name}, {family}, healed"))
}

fn settle(world: &mut World, what: &str) -> Result<(), String> {
    world.settle(LIMIT).map_err(|error| format!("{what}: {error}"))?;
    check(world).map_err(|violation| format!("{what}, at {}: {violation}", world.now()))
}

/// Runs the storms on every processor; returns those that did not end well.
fn failures(seeds: Range<u64>) -> Vec<(u64, String)> {
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end)
                {
                    if let Err(failure) = storm(seed) {
                        failures.lock().unwrap().push((seed, failure));
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

#[test]
fn every_seed_settles_to_the_true_routes_after_its_storm_and_healed() {
    let seeds = seeds();
    let failures = failures(seeds.clone());
    println!("{} of the seeds {seeds:?} failed", failures.len());
    for (seed, failure) in &failures {
        println!("seed {seed}: {failure}");
        println!(
            "  again: DLAN_SEEDS={seed}..{} cargo test --profile lab -p ospf-lite --features sim --test seeds",
            seed + 1
        );
    }
    assert!(failures.is_empty(), "{} of the seeds {seeds:?}", failures.len());
}
