//! A mesh of 20 simulated routers, from one seed: cold start, faults, every route checked. Small, for processors that have packages.
#![allow(clippy::print_stdout, reason = "packaging/check reads it")]

use std::process::ExitCode;
use std::time::Duration;

use ospf_lite::ids::Family;
use ospf_lite::sim::{FaultKind, FaultSource, Topology, World, WorldConfig, check};

const ROUTERS: usize = 20;
/// How many links a router has on average.
const DEGREE: usize = 4;
const FAULTS: usize = 10;
const SEED: u64 = 20;
/// How long the world may take to settle, in its own time.
const LIMIT: Duration = Duration::from_secs(600);
/// The longest time between two faults, in the world's time.
const PAUSE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    for family in [Family::Ipv6, Family::Ipv4] {
        match run(family) {
            Ok(trace) => println!(
                "{family:?}: {ROUTERS} routers, {FAULTS} faults, every route true, trace {trace:016x}"
            ),
            Err(why) => {
                println!("{family:?}: {why}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs the world of a family, and returns the hash of every packet in it.
fn run(family: Family) -> Result<u64, String> {
    let topology = Topology::random_mesh(ROUTERS, DEGREE, SEED);
    let config = WorldConfig { authenticated: true, numbered: true, ..WorldConfig::new(topology, family) };
    let mut world = World::new(config, SEED);
    settle(&mut world)?;
    let mut faults = FaultSource::new(SEED, &FaultKind::SINGLE);
    for _ in 0..FAULTS {
        let fault = faults.next_fault(&world);
        world.apply(&fault);
        world.run_for(faults.pause(PAUSE));
    }
    settle(&mut world)?;
    Ok(world.trace_hash())
}

fn settle(world: &mut World) -> Result<(), String> {
    world.settle(LIMIT).map_err(|error| error.to_string())?;
    check(world).map_err(|violation| violation.to_string())
}
