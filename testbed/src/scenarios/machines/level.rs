//! What fails over how fast on real kernels, beside namespaces; and memory that stays level while links come and go.

use std::time::{Duration, Instant};

use super::{LIMIT, TOPOLOGY, wait_until_settled, wait_until_whole};
use crate::bench::median;
use crate::error::LabError;
use crate::lab::{Backend, Lab};
use crate::node::Node;
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "failover",
        claim: "When a link is cut in silence, traffic goes around it, on machines and in namespaces alike, and back when it is healed.",
        topology: TOPOLOGY,
        run: failover,
    },
    Scenario {
        name: "memory-level",
        claim: "What the agent and the kernel hold in memory stays level while links are cut and healed and configurations applied.",
        topology: TOPOLOGY,
        run: memory_level,
    },
];

const ROUTER: &str = "r2";
/// The link that is cut, and the hosts that talk over it.
const LINK: (&str, &str) = ("r1", "r2");
const HOSTS: (&str, &str) = ("s1", "s2");
/// How often each is measured; the median counts.
const ROUNDS: usize = 3;
/// How long memory is watched, in seconds, unless the environment's `DLAN_LOAD_SECONDS` says otherwise.
const WATCHED: u64 = 120;
/// What memory may grow by and still be level, in KiB: allocators and caches fill up in steps.
const SLACK: u64 = 4096;

fn failover(stage: &mut Stage) -> Result<(), LabError> {
    let machines = measure(&stage.lab)?;
    stage.saw("measured on machines");
    let mut topology = stage.lab.topology.clone();
    topology.name = beside(&topology.name);
    let name = topology.name.clone();
    Lab::down(&name)?;
    let namespaces = Lab::up_on(&Backend::Namespaces, topology, &|_| ()).and_then(|lab| {
        lab.start_mesh(&|_| ())?;
        wait_until_whole(&lab)?;
        measure(&lab)
    });
    Lab::down(&name)?;
    let namespaces = namespaces?;
    stage.saw("measured in namespaces");
    for (what, on_machines, in_namespaces) in
        [("a link cut in silence", machines.0, namespaces.0), ("the link healed", machines.1, namespaces.1)]
    {
        stage.figure(
            format!("{what}: between two answers at most"),
            format!("{on_machines:.2} s on machines, {in_namespaces:.2} s in namespaces"),
        );
    }
    Ok(())
}

/// Returns what the lab is called that a lab of machines is measured beside.
pub fn beside(name: &str) -> String {
    format!("{name}-beside")
}

/// Returns for how many seconds no answer came at most when a link was cut, and when it was healed: the medians.
fn measure(lab: &Lab) -> Result<(f64, f64), LabError> {
    let (mut cut, mut healed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        wait_for_way(lab, &[LINK.0, LINK.1])?;
        cut.push(gap_of(lab, true, &[LINK.0, "r3", LINK.1])?);
        healed.push(gap_of(lab, false, &[LINK.0, LINK.1])?);
        wait_until_whole(lab)?;
    }
    Ok((median(&cut), median(&healed)))
}

/// Cuts the link or heals it while pings go over it, until traffic goes the way that then is the best one.
fn gap_of(lab: &Lab, is_cut: bool, wanted: &[&str]) -> Result<f64, LabError> {
    let pings = PingRun::start(lab.node(HOSTS.0)?, lab.address_of(HOSTS.1, true)?, 20)?;
    // Before the first answer nothing is missed.
    pings.wait_for_answers(10, LIMIT)?;
    lab.set_cut(LINK.0, LINK.1, is_cut)?;
    wait_for_way(lab, wanted)?;
    wait::until(LIMIT, "answers that way", || match lab.pings(HOSTS.0, HOSTS.1, true) {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    Ok(pings.stop()?.longest_gap)
}

/// Waits until traffic over the link goes this way.
fn wait_for_way(lab: &Lab, wanted: &[&str]) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("the way {}", wanted.join(" - ")), || {
        let way = lab.way(LINK.0, LINK.1).map_err(|error| error.with_causes())?;
        if way == wanted { Ok(()) } else { Err(format!("it is {}", way.join(" - "))) }
    })
}

fn memory_level(stage: &mut Stage) -> Result<(), LabError> {
    let seconds =
        std::env::var("DLAN_LOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(WATCHED);
    let agent =
        *stage.lab.agents(ROUTER)?.first().ok_or_else(|| LabError::Claim("no agent runs".to_owned()))?;
    // What is made at first use is made.
    come_and_go(&stage.lab)?;
    let before = Memory::of(stage.lab.node(ROUTER)?, agent)?;
    let begun = Instant::now();
    let mut rounds = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        come_and_go(&stage.lab)?;
        rounds += 1;
    }
    let after = Memory::of(stage.lab.node(ROUTER)?, agent)?;
    stage.saw(format!("{rounds} times each link cut and healed, and a configuration applied twice"));
    for (what, before, after) in [
        ("the agent", before.agent, after.agent),
        ("the kernel, what it cannot give back", before.kernel, after.kernel),
    ] {
        stage.figure(
            format!("memory of {what}, after one round and after {}", rounds + 1),
            format!("{before} KiB, {after} KiB"),
        );
        claim(after <= before + SLACK, || format!("{what} held {before} KiB and holds {after} KiB"))?;
    }
    wait_until_settled(&stage.lab, ROUTER)
}

/// Cuts and heals each link of the router, and has it apply another configuration and the former again.
fn come_and_go(lab: &Lab) -> Result<(), LabError> {
    for neighbor in ["r1", "r3"] {
        lab.set_cut(ROUTER, neighbor, true)?;
        wait::until(LIMIT, "the routers to go around", || {
            let way = lab.way(ROUTER, neighbor).map_err(|error| error.with_causes())?;
            if way.len() == 3 { Ok(()) } else { Err(way.join(" - ")) }
        })?;
        lab.set_cut(ROUTER, neighbor, false)?;
        wait_until_whole(lab)?;
    }
    for cost in [77, 10] {
        lab.set_cost(ROUTER, "r1", cost)?;
    }
    wait_until_whole(lab)
}

/// What is held in memory, in KiB.
struct Memory {
    agent: u64,
    kernel: u64,
}

impl Memory {
    fn of(node: &Node, agent: i32) -> Result<Self, LabError> {
        let value = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        let status = node.read(&format!("/proc/{agent}/status"))?;
        let memory = node.read("/proc/meminfo")?;
        Ok(Self { agent: value(&status, "VmRSS:"), kernel: value(&memory, "SUnreclaim:") })
    }
}
