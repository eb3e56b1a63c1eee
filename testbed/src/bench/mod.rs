//! Measurements that compare with BIRD side by side, in one run.

pub mod apply;
pub mod area;
pub mod cold;
pub mod cpu;
pub mod database;
pub mod failover;
pub mod listener;
mod load;
pub mod mesh;
pub mod names;
pub mod played;
pub mod player;
pub mod proxy;
pub mod resident;
pub mod rest;
pub mod shapes;

use std::fs;
use std::path::Path;

use crate::cli::Bench;
use crate::console::Console;
use crate::error::LabError;
use crate::lab::Lab;
use crate::topology::Topology;

/// Carries out one measurement, or one of its processes, and returns the exit code.
pub fn run(console: Console, command: Bench) -> Result<u8, LabError> {
    let done = match command {
        Bench::Database { routers, windows } => {
            let orders = database::Orders { routers, windows };
            database::measure(console, &crate::foreign::bird::program()?, &orders)
        }
        Bench::Resident { routers, subjects } => {
            resident::measure(console, &resident::Orders { routers, subjects })
        }
        Bench::Mesh => mesh::measure(console),
        Bench::Cold { routers, hello, runs } => {
            cold::measure(console, &cold::Orders { routers, hello, runs })
        }
        Bench::Names { seconds } => names::measure(console, std::time::Duration::from_secs(seconds)),
        Bench::Proxy { seconds } => proxy::measure(console, std::time::Duration::from_secs(seconds)),
        Bench::Apply { links, services } => apply::measure(console, links, services),
        Bench::Rest { seconds, runs, links, subjects, situations } => {
            let (window, links) = (std::time::Duration::from_secs(seconds), usize::from(links));
            rest::measure(console, &rest::Orders { window, runs, links, subjects, situations })
        }
        Bench::Failover { runs, subjects, cases, shapes, prefixes, prefix_runs, changes } => {
            let orders = failover::Orders { runs, subjects, cases, shapes, prefixes, prefix_runs, changes };
            return failover::measure(console, &orders);
        }
        Bench::Play { device, address, routers } => {
            let ifindex = index_of(&device)?;
            let play = player::Play { device, ifindex, address, routers };
            runtime()?.block_on(player::play(play)).map_err(|error| LabError::Asked(error.to_string()))
        }
        Bench::Listen { device, address } => {
            let ifindex = index_of(&device)?;
            let listen = listener::listen(device, ifindex, address);
            runtime()?.block_on(listen).map_err(|error| LabError::Asked(error.to_string()))
        }
    };
    done.map(|()| 0)
}

/// Measures on a lab of two routers, which has a name of its own and is gone afterwards.
fn on_two_routers(
    console: Console,
    name: &str,
    measure: impl FnOnce(&Lab) -> Result<(), LabError>,
) -> Result<(), LabError> {
    let mut topology = Topology::find(Path::new("two"))?;
    name.clone_into(&mut topology.name);
    Lab::down(name)?;
    let lab = Lab::up(topology, &|step| console.replace(step))?;
    let result = measure(&lab);
    Lab::down(name)?;
    result
}

fn index_of(device: &str) -> Result<u32, LabError> {
    let path = std::path::PathBuf::from(format!("/sys/class/net/{device}/ifindex"));
    let text = fs::read_to_string(&path).map_err(|source| LabError::File { act: "read", path, source })?;
    text.trim().parse().map_err(|_| LabError::Asked(format!("{device} has no index")))
}

/// Returns a runtime of one thread.
pub fn runtime() -> Result<tokio::runtime::Runtime, LabError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LabError::Asked(format!("cannot start the runtime: {error}")))
}

/// Returns the median; of an even number the higher of both in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "for people: one digit after the point")]
fn megabytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
