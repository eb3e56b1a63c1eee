//! From power-on to a mesh, also where something is missing at first: the clock, a module, names, room on the disk.

use std::time::Instant;

use serde_json::Value;

use super::{
    LIMIT, TOPOLOGY, restart, wait_for_agent, wait_for_problem, wait_until_settled, wait_until_whole,
};
use crate::agent_config;
use crate::error::LabError;
use crate::lab::Lab;
use crate::machine::qemu::Start;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "cold-boot",
        claim: "Routers that are switched on together come to a whole mesh by themselves, over WireGuard devices of their kernels, with no process for them.",
        topology: TOPOLOGY,
        run: cold_boot,
    },
    Scenario {
        name: "clock-in-1970",
        claim: "A router whose clock stands in 1970 is a router like any other.",
        topology: TOPOLOGY,
        run: clock_in_1970,
    },
    Scenario {
        name: "module-missing",
        claim: "A router without the WireGuard module says so, its agent stays, and it heals by itself when the module is there.",
        topology: TOPOLOGY,
        run: module_missing,
    },
    Scenario {
        name: "names-late",
        claim: "A router that finds no endpoint's name at boot says so, and has its links as soon as the names are there.",
        topology: TOPOLOGY,
        run: names_late,
    },
    Scenario {
        name: "disk-full",
        claim: "On a full disk the agent stays and the traffic flows, whatever becomes of an apply; with room again the apply holds, over a power cut too.",
        topology: TOPOLOGY,
        run: disk_full,
    },
];

const ROUTER: &str = "r2";

fn cold_boot(stage: &mut Stage) -> Result<(), LabError> {
    let routers: Vec<String> = stage.lab.topology.routers.iter().map(|router| router.name.clone()).collect();
    for router in &routers {
        stage.lab.cut_power(router)?;
    }
    let begun = Instant::now();
    for router in &routers {
        stage.lab.boot(router, &Start::default())?;
    }
    for router in &routers {
        stage.lab.wait_for_boot(router)?;
    }
    let booted = begun.elapsed().as_secs_f64();
    stage.saw("all have booted");
    wait_until_whole(&stage.lab)?;
    stage.saw("every neighbor is Full, every host reaches every other");
    let machines = format!("{} machines from power-on", routers.len());
    stage.figure(format!("{machines}: booted after"), format!("{booted:.1} s"));
    stage
        .figure(format!("{machines}: a whole mesh after"), format!("{:.1} s", begun.elapsed().as_secs_f64()));
    for router in &routers {
        claim_kernel_wireguard(&stage.lab, router)?;
    }
    let version = stage.lab.node(ROUTER)?.run("uname", &["-r"])?;
    let memory = stage.lab.node(ROUTER)?.read("/proc/meminfo")?;
    let value = |key: &str| -> u64 {
        let line = memory.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    let used = value("MemTotal:").saturating_sub(value("MemAvailable:")) / 1024;
    stage.saw(format!("Linux {}: dlan-wg is the kernel's on each", version.trim()));
    stage.figure(format!("memory used on {ROUTER}, all of it"), format!("{used} MiB"));
    Ok(())
}

/// Claims that a router's WireGuard device is its kernel's, and that no process stands in for one.
fn claim_kernel_wireguard(lab: &Lab, router: &str) -> Result<(), LabError> {
    let node = lab.node(router)?;
    let said = node.run("ip", &["-d", "-j", "link", "show", "dlan-wg"])?;
    let devices: Value = serde_json::from_str(&said).unwrap_or_default();
    let kind = devices.pointer("/0/linkinfo/info_kind").and_then(Value::as_str).unwrap_or_default();
    claim(kind == "wireguard", || format!("{router}: dlan-wg is of kind '{kind}': {said}"))?;
    let processes = node.run("ps", &[])?;
    claim(!processes.contains("dlan wireguard"), || {
        format!("{router} has a process for WireGuard:\n{processes}")
    })?;
    let status = lab.dlan_json(router, &["status"])?.to_string();
    claim(status.contains("\"kernel\""), || {
        format!("{router} does not say that WireGuard is the kernel's: {status}")
    })
}

fn clock_in_1970(stage: &mut Stage) -> Result<(), LabError> {
    let clock = Some("1970-01-01T00:00:30".to_owned());
    stage.lab.reset(ROUTER, &Start { clock, ..Start::default() })?;
    wait_until_whole(&stage.lab)?;
    let year = stage.lab.node(ROUTER)?.run("date", &["-u", "+%Y"])?;
    claim(year.trim() == "1970", || format!("{ROUTER}'s clock says {year}"))?;
    wait_until_settled(&stage.lab, ROUTER)?;
    wait::until(LIMIT, &format!("{ROUTER} to have no problems"), || {
        let said = stage.lab.dlan(ROUTER, &["status"]).map_err(|error| error.with_causes())?;
        if said.contains("No problems.") { Ok(()) } else { Err(said) }
    })?;
    stage.saw(format!("{ROUTER} in {}: the mesh is whole, and it has no problems", year.trim()));
    restart(stage, ROUTER)
}

fn module_missing(stage: &mut Stage) -> Result<(), LabError> {
    let words = vec!["lab.without=wireguard".to_owned()];
    stage.lab.reset(ROUTER, &Start { words, ..Start::default() })?;
    let agent = wait_for_agent(&stage.lab, ROUTER)?;
    let said = wait_for_problem(&stage.lab, ROUTER, "WireGuard")?;
    stage.saw(format!("without the module: {said}"));
    // What the other two have without it goes on.
    claim(stage.lab.pings("s1", "s3", true)?, || "s1 does not reach s3, which is behind others".to_owned())?;
    let lists = "for list in dep alias; do umount /lib/modules/$(uname -r)/modules.$list || exit 1; done";
    stage.lab.node(ROUTER)?.run("sh", &["-c", lists])?;
    let begun = Instant::now();
    wait_until_whole(&stage.lab)?;
    wait_until_settled(&stage.lab, ROUTER)?;
    let same = stage.lab.agents(ROUTER)?;
    claim(same == [agent], || format!("the agent was process {agent}, and is {same:?}"))?;
    stage.saw(format!(
        "the module there, the mesh whole {:.1} s later, with the same agent",
        begun.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn names_late(stage: &mut Stage) -> Result<(), LabError> {
    let router = "r1";
    let node = stage.lab.node(router)?.clone();
    let names = node.read("/etc/hosts")?;
    node.write("/etc/hosts", "127.0.0.1 localhost\n")?;
    stage.lab.reset(router, &Start::default())?;
    wait_for_agent(&stage.lab, router)?;
    let said = wait_for_problem(&stage.lab, router, "has no address")?;
    stage.saw(format!("no names: {said}"));
    claim(!stage.lab.pings("s1", "s2", true)?, || "s1 reaches s2 without any name".to_owned())?;
    node.write("/etc/hosts", &names)?;
    let begun = Instant::now();
    wait_until_whole(&stage.lab)?;
    stage.saw(format!("with the names the mesh is whole {:.1} s later", begun.elapsed().as_secs_f64()));
    Ok(())
}

fn disk_full(stage: &mut Stage) -> Result<(), LabError> {
    let node = stage.lab.node(ROUTER)?.clone();
    let good = stage.lab.read_config(ROUTER)?;
    let other = agent_config::with_link_option(&good, "r3", ("cost", "77"));
    stage.lab.write_config(ROUTER, &other)?;
    // To the last block: what is left after large ones is filled by small ones.
    let fill = "for size in 64k 1k; do dd if=/dev/zero of=/disk/full-$size bs=$size 2>/dev/null; done; sync; df /disk";
    node.run("sh", &["-c", fill])?;
    let is_full = !node.succeeds("sh", &["-c", "head -c 65536 /dev/zero > /disk/more"]);
    claim(is_full, || "there is room on the disk".to_owned())?;
    let said = match stage.lab.dlan(ROUTER, &["apply"]) {
        Ok(said) => said,
        Err(error) => error.with_causes(),
    };
    stage.saw(format!("an apply on a full disk: {}", said.lines().next_back().unwrap_or_default().trim()));
    let agents = stage.lab.agents(ROUTER)?;
    wait_until_whole(&stage.lab)?;
    node.run("sh", &["-c", "rm /disk/full-* /disk/more; sync"])?;
    wait::until(LIMIT, "the apply to go through", || {
        stage.lab.dlan(ROUTER, &["apply"]).map(drop).map_err(|error| error.with_causes())
    })?;
    claim(stage.lab.agents(ROUTER)? == agents && !agents.is_empty(), || "the agent did not stay".to_owned())?;
    restart(stage, ROUTER)?;
    claim(stage.lab.read_config(ROUTER)? == other, || {
        "the configuration is not what was applied".to_owned()
    })?;
    wait_until_settled(&stage.lab, ROUTER)?;
    stage.saw("with room again the same apply holds, with the same agent, and over a power cut");
    stage.lab.write_config(ROUTER, &good)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    wait_until_whole(&stage.lab)
}
