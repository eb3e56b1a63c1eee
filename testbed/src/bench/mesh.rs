//! How soon a mesh converges and heals, and what its routers hold in memory: ours and BIRD on the same links.

use std::path::Path;
use std::time::{Duration, Instant};

use super::cpu::{Memory, resident_memory};
use super::shapes;
use crate::console::Console;
use crate::error::LabError;
use crate::foreign::Maker;
use crate::lab::Lab;
use crate::node::Node;
use crate::ping::PingRun;
use crate::topology::Topology;
use crate::wait;

/// How often everything is measured; the median counts.
const RUNS: usize = 5;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Milliseconds between pings.
const PING_INTERVAL: u32 = 10;

/// The program that routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Daemon {
    Dlan,
    Bird,
}

impl Daemon {
    const BOTH: [Self; 2] = [Self::Dlan, Self::Bird];

    fn name(self) -> &'static str {
        match self {
            Self::Dlan => "dlan",
            Self::Bird => "BIRD",
        }
    }

    fn start(self, lab: &Lab, router: &str) -> Result<(), LabError> {
        match self {
            Self::Dlan => lab.start_agent(router),
            Self::Bird => lab.start_foreign(router, Maker::Bird),
        }
    }

    /// Ends it in every router and takes its routes along; the links stay.
    fn stop(self, lab: &Lab) -> Result<(), LabError> {
        for router in router_names(lab) {
            match self {
                Self::Dlan => {
                    lab.kill_agent(&router)?;
                    lab.flush_routes(&router)?;
                }
                Self::Bird => Maker::Bird.stop(lab.node(&router)?)?,
            }
        }
        Ok(())
    }

    fn process(self, lab: &Lab, router: &str) -> Result<i32, LabError> {
        let pids = match self {
            Self::Dlan => lab.agents(router)?,
            Self::Bird => Maker::Bird.processes(lab.node(router)?),
        };
        pids.first().copied().ok_or_else(|| LabError::Node {
            node: router.to_owned(),
            why: format!("{} does not run there", self.name()),
        })
    }
}

/// Measures cold start and failover in the reference mesh, then memory there and in a mesh of twenty.
pub fn measure(console: Console) -> Result<(), LabError> {
    let mut reference = Topology::find(Path::new("reference"))?;
    "bench-mesh".clone_into(&mut reference.name);
    let lab = bring_up(console, reference)?;
    let result = converge(console, &lab).and_then(|()| remember(console, &lab));
    Lab::down(&lab.topology.name)?;
    result?;
    let lab = bring_up(console, Topology::parse(&ring_with_chords(20), "a mesh of 20 routers")?)?;
    let result = remember(console, &lab);
    Lab::down(&lab.topology.name)?;
    result
}

fn bring_up(console: Console, topology: Topology) -> Result<Lab, LabError> {
    Lab::down(&topology.name)?;
    let name = topology.name.clone();
    let progress = |step: &str| console.replace(format!("{name}: {step}"));
    let started = Lab::up(topology, &progress).and_then(|lab| {
        lab.start_mesh(&progress)?;
        lab.wait_for_adjacencies(LIMIT)?;
        lab.wait_for_routes(LIMIT)?;
        Ok(lab)
    });
    console.replace("");
    if started.is_err() {
        Lab::down(&name)?;
    }
    started
}

fn converge(console: Console, lab: &Lab) -> Result<(), LabError> {
    let mesh = &lab.topology.mesh;
    console.heading(&format!(
        "Five routers, hello {} s, dead {} s, the same links (medians of {RUNS} runs, in seconds)",
        mesh.hello_interval, mesh.dead_interval
    ));
    console.line("daemon  cold start to all routes  silent cut of R1-R4: IPv6 away  IPv4 away");
    let mut running = Daemon::Dlan;
    for daemon in Daemon::BOTH {
        let (mut cold, mut away6, mut away4) = (Vec::new(), Vec::new(), Vec::new());
        for run in 1..=RUNS {
            console.replace(format!("{}: run {run} of {RUNS}", daemon.name()));
            running.stop(lab)?;
            running = daemon;
            cold.push(cold_start(lab, daemon)?);
            let [ipv6, ipv4] = silent_cut(lab)?;
            away6.push(ipv6);
            away4.push(ipv4);
        }
        console.replace("");
        console.line(format!(
            "{:<6}  {:>24.2}  {:>30.2}  {:>9.2}",
            daemon.name(),
            super::median(&cold),
            super::median(&away6),
            super::median(&away4)
        ));
    }
    Ok(())
}

/// Starts a daemon in every router and returns how long it takes until each has a route to every LAN.
fn cold_start(lab: &Lab, daemon: Daemon) -> Result<f64, LabError> {
    let begun = Instant::now();
    for router in router_names(lab) {
        daemon.start(lab, &router)?;
    }
    lab.wait_for_routes(LIMIT)?;
    let took = begun.elapsed().as_secs_f64();
    wait_for_way(lab, |way| way == ["r1", "r4", "r2"])?;
    Ok(took)
}

/// Cuts R1-R4 below the tunnels, where no device goes down, and returns how long s1 does not reach s3.
fn silent_cut(lab: &Lab) -> Result<[f64; 2], LabError> {
    let start = |is_ipv6| PingRun::start(lab.node("s1")?, lab.address_of("s3", is_ipv6)?, PING_INTERVAL);
    let pings = [start(true)?, start(false)?];
    // A gap has two ends: both pings have answers before the cut.
    for is_ipv6 in [true, false] {
        lab.round_trip("s1", "s3", is_ipv6)?;
    }
    lab.set_cut("r1", "r4", true)?;
    wait_for_way(lab, |way| way.get(1).is_some_and(|second| second == "r5"))?;
    for is_ipv6 in [true, false] {
        wait::until(LIMIT, "s1 to reach s3 again", || match lab.pings("s1", "s3", is_ipv6) {
            Ok(true) => Ok(()),
            Ok(false) => Err("no answer".to_owned()),
            Err(error) => Err(error.with_causes()),
        })?;
    }
    let [ipv6, ipv4] = pings;
    let away = [ipv6.stop()?.longest_gap, ipv4.stop()?.longest_gap];
    lab.set_cut("r1", "r4", false)?;
    wait_for_way(lab, |way| way == ["r1", "r4", "r2"])?;
    Ok(away)
}

fn wait_for_way(lab: &Lab, is_it: impl Fn(&[String]) -> bool) -> Result<(), LabError> {
    wait::until(LIMIT, "traffic from r1 to r2 to take its way", || {
        let way = lab.way("r1", "r2").map_err(|error| error.with_causes())?;
        if is_it(&way) { Ok(()) } else { Err(format!("it goes {}", way.join(" - "))) }
    })
}

/// Prints what the daemons hold in memory, in the router that holds most. Leaves BIRD running.
fn remember(console: Console, lab: &Lab) -> Result<(), LabError> {
    console.heading(&format!(
        "Resident memory with {} routers (the largest of them)",
        lab.topology.routers.len()
    ));
    console.line("daemon  resident   private");
    let runs = |daemon: Daemon| router_names(lab).iter().all(|router| daemon.process(lab, router).is_ok());
    for daemon in Daemon::BOTH {
        if !runs(daemon) {
            let other = if daemon == Daemon::Dlan { Daemon::Bird } else { Daemon::Dlan };
            other.stop(lab)?;
            cold_start_anywhere(lab, daemon)?;
        }
        let most = largest(lab, |router| daemon.process(lab, router))?;
        console.line(row(daemon.name(), most));
    }
    let is_embedded = |arguments: &[String]| arguments.get(1).is_some_and(|word| word == "wireguard");
    let embedded = largest(lab, |router| {
        let pids = lab.node(router).map(|node: &Node| node.processes(is_embedded))?;
        pids.first().copied().ok_or_else(|| LabError::Asked("no embedded WireGuard runs".to_owned()))
    })?;
    console
        .line(format!("{}  (embedded WireGuard, a process of its own beside either)", row("wg", embedded)));
    Ok(())
}

fn cold_start_anywhere(lab: &Lab, daemon: Daemon) -> Result<(), LabError> {
    for router in router_names(lab) {
        daemon.start(lab, &router)?;
    }
    lab.wait_for_routes(LIMIT)
}

fn largest(lab: &Lab, process: impl Fn(&str) -> Result<i32, LabError>) -> Result<Memory, LabError> {
    let mut most = Memory { resident: 0, private: 0 };
    for router in router_names(lab) {
        let memory = resident_memory(process(&router)?)
            .map_err(|error| LabError::Node { node: router.clone(), why: error.to_string() })?;
        if memory.private > most.private {
            most = memory;
        }
    }
    Ok(most)
}

fn row(name: &str, memory: Memory) -> String {
    format!(
        "{name:<6}  {:>5.1} MB  {:>5.1} MB",
        super::megabytes(memory.resident),
        super::megabytes(memory.private)
    )
}

fn router_names(lab: &Lab) -> Vec<String> {
    lab.topology.routers.iter().map(|router| router.name.clone()).collect()
}

/// Returns a topology file of routers in a ring, each also linked with the one five further on: degree four.
fn ring_with_chords(routers: usize) -> String {
    let mesh = "hello_interval = 1\ndead_interval = 4\n";
    shapes::topology(&format!("bench-{routers}"), mesh, &shapes::ring(routers, Some(5)), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_mesh_is_a_sound_topology_of_degree_four() {
        let topology = Topology::parse(&ring_with_chords(20), "test").unwrap();
        assert_eq!((topology.routers.len(), topology.links.len()), (20, 40));
    }
}
