//! What only routers with kernels of their own can show: boot, power cuts, modules, clocks, disks.

mod clock;
mod five;
mod level;
mod migration;
mod narrow;
mod openwrt;
mod power;
mod rollout;
mod shared;
mod start;
mod throughput;
mod two_wans;
mod upgrade;
mod wan;

pub use self::level::beside;
pub use self::shared::refusal;

use std::time::Duration;

use crate::agent_config::with_mesh_option;
use crate::error::LabError;
use crate::lab::Lab;
use crate::machine::qemu::Start;
use crate::scenarios::{Scenario, Stage, claim, connected_pairs, family, in_parallel};
use crate::wait;

/// The topology that they are tried on.
const TOPOLOGY: &str = "triangle";
/// How long anything may take: all processors of all routers are translated, on as many as this machine has.
const LIMIT: Duration = Duration::from_secs(240);
/// Of those that only machines can show, the ones that take minutes or measure.
const LONG: [&str; 10] = [
    "failover",
    "five-without-names",
    "memory-level",
    "narrow-path",
    openwrt::NAME,
    "power-cuts-in-apply",
    "rollout",
    "taken-over",
    "throughput",
    "two-wans",
];

/// Returns every scenario for machines, in the order in which they run.
fn all() -> Vec<Scenario> {
    [
        start::SCENARIOS,
        shared::on_the_triangle().as_slice(),
        power::SCENARIOS,
        wan::SCENARIOS,
        two_wans::SCENARIOS,
        narrow::SCENARIOS,
        clock::SCENARIOS,
        upgrade::SCENARIOS,
        migration::SCENARIOS,
        rollout::SCENARIOS,
        throughput::SCENARIOS,
        level::SCENARIOS,
        openwrt::SCENARIOS,
        five::SCENARIOS,
        shared::as_they_are().as_slice(),
    ]
    .concat()
}

/// Returns those that run with machines made of Debian packages.
pub fn of_debian() -> Vec<Scenario> {
    all().into_iter().filter(|scenario| refusal(scenario.name, false).is_none()).collect()
}

/// Returns those that run with machines that boot a root tree of OpenWrt's.
pub fn of_a_tree() -> Vec<Scenario> {
    all().into_iter().filter(|scenario| refusal(scenario.name, true).is_none()).collect()
}

/// Returns whether a scenario runs only when it is named, or when all are asked for.
pub fn is_long(name: &str) -> bool {
    LONG.contains(&name) || shared::as_they_are().iter().any(|scenario| scenario.name == name)
}

/// Waits until a mesh is whole: every neighbor Full, every host reached by every other in both families.
fn wait_until_whole(lab: &Lab) -> Result<(), LabError> {
    lab.wait_for_adjacencies(LIMIT)?;
    lab.wait_for_routes(LIMIT)?;
    wait_for_answers(lab)
}

/// Waits until every host reaches every other that it is connected with, in both families.
fn wait_for_answers(lab: &Lab) -> Result<(), LabError> {
    let silent = in_parallel(connected_pairs(lab), 4, |(from, to, is_ipv6)| {
        let what = format!("{from} to reach {to} by {}", family(*is_ipv6));
        wait::until(LIMIT, &what, || match lab.pings(from, to, *is_ipv6) {
            Ok(true) => Ok(()),
            Ok(false) => Err("no answer".to_owned()),
            Err(error) => Err(error.with_causes()),
        })
        .map_err(|error| error.with_causes())
    });
    claim(silent.is_empty(), || silent.join("; "))
}

/// Waits until a router's agent runs and would change nothing.
fn wait_until_settled(lab: &Lab, router: &str) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("{router} to have nothing to do"), || match lab.plans_nothing(router) {
        Ok(true) => Ok(()),
        Ok(false) => Err("`dlan plan` has plans".to_owned()),
        Err(error) => Err(error.with_causes()),
    })
}

/// Waits until `dlan status` on a router names a problem with these words.
fn wait_for_problem(lab: &Lab, router: &str, words: &str) -> Result<String, LabError> {
    wait::until(LIMIT, &format!("{router} to say '{words}'"), || {
        let status = lab.dlan_json(router, &["status"]).map_err(|error| error.with_causes())?;
        let problems =
            status.get("problems").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        let what = |problem: &serde_json::Value| problem.get("what")?.as_str().map(str::to_owned);
        let said: Vec<String> = problems.iter().filter_map(what).collect();
        said.iter().find(|what| what.contains(words)).cloned().ok_or_else(|| said.join("; "))
    })
}

/// Waits until a router's agent runs and returns its process id there.
fn wait_for_agent(lab: &Lab, router: &str) -> Result<i32, LabError> {
    wait::until(LIMIT, &format!("{router}'s agent to answer"), || {
        let status = lab.dlan_json(router, &["status"]).map_err(|error| error.with_causes())?;
        let agents = lab.agents(router).map_err(|error| error.with_causes())?;
        match agents.first() {
            Some(pid) => Ok(*pid),
            None => Err(format!("none runs: {status}")),
        }
    })
}

/// Has a router do without BFD, whose intervals are shorter than the pauses of a processor that is translated and carries a transfer; returns
/// its configuration of before.
fn without_bfd(lab: &Lab, router: &str) -> Result<String, LabError> {
    let before = lab.read_config(router)?;
    lab.write_config(router, &with_mesh_option(&before, "bfd", Some("0")))?;
    lab.dlan(router, &["apply"])?;
    Ok(before)
}

/// Leaves a mesh as every scenario finds it: machines that were started in some other way are started as usual.
fn restart(stage: &Stage, router: &str) -> Result<(), LabError> {
    stage.lab.reset(router, &Start::default())?;
    wait_until_whole(&stage.lab)
}
