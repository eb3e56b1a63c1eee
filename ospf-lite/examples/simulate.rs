//! Runs a world of routers from a seed and says what it took: `cargo run --profile lab --features sim --example simulate -- --help`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a person reads it, and wants to know how long it took"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use ospf_lite::ids::Family;
use ospf_lite::sim::{FaultKind, FaultSource, LinkQuality, Topology, World, WorldConfig, check};

/// The shape of a world.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Routers in a row.
    Line,
    /// Routers in a circle.
    Ring,
    /// A square of routers.
    Grid,
    /// One router in the middle.
    Star,
    /// A random mesh, see --degree.
    Mesh,
    /// Every router linked with every other.
    Full,
}

/// Runs a world of routers from a seed: cold start, faults, and a check of every route after each.
#[derive(Debug, Parser)]
struct Options {
    /// The shape of the world.
    #[arg(long, value_enum, default_value_t = Kind::Mesh)]
    kind: Kind,
    /// How many routers.
    #[arg(long, default_value_t = 100)]
    routers: usize,
    /// How many links a router has on average, in a mesh.
    #[arg(long, default_value_t = 4)]
    degree: usize,
    /// What everything random follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many random faults after the cold start.
    #[arg(long, default_value_t = 10)]
    faults: usize,
    /// The longest time between two faults, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    pause: u64,
    /// Route IPv4 instead of IPv6.
    #[arg(long)]
    ipv4: bool,
    /// Links that lose, repeat and reorder packets.
    #[arg(long)]
    poor: bool,
    /// Links with prefixes of their own.
    #[arg(long)]
    numbered: bool,
    /// Packets with an authentication trailer.
    #[arg(long)]
    authenticated: bool,
    /// HelloInterval in seconds; RouterDeadInterval is four times as long.
    #[arg(long, default_value_t = 10)]
    hello: u64,
}

/// How long a world may take to settle, in its own time.
const LIMIT: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let options = Options::parse();
    let mut world = World::new(config(&options), options.seed);
    println!("{} routers, {} links, seed {}", world.routers(), world.links(), options.seed);
    let begun = Instant::now();
    if !settle(&mut world, "cold start", begun) {
        return ExitCode::FAILURE;
    }
    let mut faults = FaultSource::new(options.seed, &FaultKind::SINGLE);
    for _ in 0..options.faults {
        let fault = faults.next_fault(&world);
        println!("  {} {fault:?}", world.now());
        world.apply(&fault);
        world.run_for(faults.pause(Duration::from_millis(options.pause)));
    }
    if options.faults > 0 && !settle(&mut world, "faults", begun) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn config(options: &Options) -> WorldConfig {
    let routers = options.routers;
    let topology = match options.kind {
        Kind::Line => Topology::line(routers),
        Kind::Ring => Topology::ring(routers),
        Kind::Grid => Topology::grid(routers.isqrt(), routers.isqrt()),
        Kind::Star => Topology::hub_and_spoke(routers, 1),
        Kind::Mesh => Topology::random_mesh(routers, options.degree, options.seed),
        Kind::Full => Topology::full_mesh(routers),
    };
    let family = if options.ipv4 { Family::Ipv4 } else { Family::Ipv6 };
    WorldConfig {
        quality: if options.poor { LinkQuality::POOR } else { LinkQuality::GOOD },
        numbered: options.numbered,
        authenticated: options.authenticated,
        hello_interval: Duration::from_secs(options.hello),
        dead_interval: Duration::from_secs(options.hello * 4),
        ..WorldConfig::new(topology, family)
    }
}

fn settle(world: &mut World, what: &str, begun: Instant) -> bool {
    let simulated = match world.settle(LIMIT) {
        Ok(simulated) => simulated,
        Err(error) => {
            println!("{what}: {error}");
            return false;
        }
    };
    let real = begun.elapsed();
    let verdict = check(world);
    println!("{what}: settled after {simulated:.1?} simulated; {real:.1?} real since the start");
    println!("  {:?}", world.statistics());
    println!("  trace {:016x}", world.trace_hash());
    match verdict {
        Ok(()) => println!("  every database equal, every route true"),
        Err(ref violation) => println!("  WRONG: {violation}"),
    }
    verdict.is_ok()
}
