//! What comes after a rollout: looking, returning, other versions, and an end that leaves nothing.

use super::LIMIT;
use super::operator::{Inventory, MIDDLE, Operator};
use crate::error::LabError;
use crate::lab::read_file;
use crate::ping::PingRun;
use crate::scenarios::agents::OTHER_VERSION;
use crate::scenarios::{Stage, claim};
use crate::snapshot::Snapshot;
use crate::wait;

/// Time between two pings, in milliseconds.
const INTERVAL: u32 = 20;
/// Where a difference is no trace: configuration and keys, which stay; notes of an agent that runs; the operator's logins; logs; settings of
/// modules that a kernel keeps until it boots.
const STAYS: [&str; 13] = [
    "/run/dlan",
    "/run/sudo",
    "/etc/config/dlan",
    "/etc/dlan",
    "/etc/profile.d/dlan.sh",
    "/run/agent.log",
    "/etc/dropbear/",
    "/proc/sys/net/netfilter",
    "/proc/sys/net/nf_conntrack",
    "/run/own",
    "/run/lab",
    "/run/dropbear",
    "/run/operator",
];

/// The inventory that the routers have been brought to.
fn present() -> Inventory {
    Inventory { cost: 77, ..Inventory::full() }.with("dlan_domain: elsewhere")
}

/// Each router's screen is shown; a rollback brings back what was before the last apply, on that router alone.
pub(in crate::scenarios) fn look_and_return(stage: &mut Stage, operator: &Operator) -> Result<(), LabError> {
    let shown = operator.plays("status", &present(), &[])?;
    let is_shown = |name: &&str| shown.said.contains(&format!("{name}.elsewhere (host id"));
    claim(shown.succeeded && ["r1", "r2", "r3"].iter().all(is_shown), || {
        format!("no screen of each router:\n{}", shown.said)
    })?;
    let one = operator.plays("status", &present(), &["--limit", "r1"])?;
    claim(one.succeeded && is_shown(&"r1"), || one.said.clone())?;
    let others = [stage.lab.read_config("r1")?, stage.lab.read_config("r3")?];
    let config = stage.lab.read_config(MIDDLE)?;
    let before = Snapshot::take(stage.lab.node(MIDDLE)?)?;
    let other = Inventory { cost: 99, ..present() };
    let run = operator.plays("deploy", &other, &["--limit", MIDDLE])?;
    let is_other = stage.lab.read_config(MIDDLE)?.contains("option cost '99'");
    claim(run.succeeded && is_other, || format!("the cost is not changed:\n{}", run.said))?;
    for arguments in [&["--limit", MIDDLE, "--check"][..], &["--limit", MIDDLE]] {
        let run = operator.plays("rollback", &other, arguments)?;
        claim(run.succeeded && run.changed.get(MIDDLE) == Some(&1), || run.said.clone())?;
    }
    claim(stage.lab.read_config(MIDDLE)? == config, || "the configuration is not the one before".to_owned())?;
    wait_for_state(stage, MIDDLE, &before)?;
    let seen = [stage.lab.read_config("r1")?, stage.lab.read_config("r3")?];
    claim(seen == others, || "a rollback of r2 changed others".to_owned())?;
    stage.saw("status shows each router's screen; a rollback of r2 alone brings back what was before the last apply");
    Ok(())
}

/// Another version is installed by the router's own package manager out of a file, and the former again, while pings pass.
pub(in crate::scenarios) fn change_versions(
    stage: &mut Stage,
    operator: &Operator,
    next: &str,
) -> Result<(), LabError> {
    let configs = [stage.lab.read_config("r1")?, stage.lab.read_config(MIDDLE)?];
    let ping = PingRun::start(stage.lab.node("s1")?, stage.lab.address_of("s3", false)?, INTERVAL)?;
    let next = format!("dlan_package={next}");
    for (version, package) in [(OTHER_VERSION, Some(&next)), (env!("CARGO_PKG_VERSION"), None)] {
        let mut words = vec!["--limit", MIDDLE];
        words.extend(package.into_iter().flat_map(|package| ["-e", package]));
        let run = operator.plays("upgrade", &present(), &words)?;
        claim(run.succeeded && run.changed.get(MIDDLE) == Some(&1), || run.said.clone())?;
        let node = stage.lab.node(MIDDLE)?;
        // A machine's agent logs on its console.
        let log =
            if node.is_machine { read_file(&stage.lab.log(MIDDLE))? } else { node.read("/run/agent.log")? };
        let started = log.lines().rfind(|line| line.contains("agent runs")).unwrap_or_default();
        claim(started.contains(&format!("\"{version}\"")), || {
            format!("{version} does not run, but: {started}")
        })?;
    }
    let count = ping.stop()?;
    claim(count.sent > 0 && count.lost == 0, || format!("{} of {} pings lost", count.lost, count.sent))?;
    let seen = [stage.lab.read_config("r1")?, stage.lab.read_config(MIDDLE)?];
    claim(seen == configs, || "another version changed a configuration".to_owned())?;
    let run = operator.plays("deploy", &present(), &["--check", "--limit", MIDDLE])?;
    claim(run.succeeded && run.changed.get(MIDDLE) == Some(&0), || run.said.clone())?;
    stage.saw(format!(
        "r2 upgraded and downgraded by its package manager: {} pings through it, none lost; its configuration stays",
        count.sent
    ));
    Ok(())
}

/// Takes dlan away from every router: but for its configuration and keys all is as before the first run.
pub(in crate::scenarios) fn remove(
    stage: &mut Stage,
    operator: &Operator,
    untouched: &[Snapshot],
) -> Result<(), LabError> {
    let looked = operator.plays("remove", &present(), &["--check", "--limit", MIDDLE])?;
    let run = operator.plays("remove", &present(), &[])?;
    claim(run.succeeded && run.changed.values().all(|changed| *changed == 1), || run.said.clone())?;
    claim(looked.changed.get(MIDDLE) == Some(&1), || {
        format!("check mode foretells nothing:\n{}", looked.said)
    })?;
    for (router, untouched) in stage.lab.topology.routers.clone().iter().zip(untouched) {
        wait_for_state(stage, &router.name, untouched)?;
        claim(!stage.lab.node(&router.name)?.exists("/usr/bin/dlan"), || "the program is left".to_owned())?;
    }
    let again = operator.plays("remove", &present(), &["--limit", MIDDLE])?;
    claim(again.succeeded && again.changed.values().all(|changed| *changed == 0), || again.said.clone())?;
    stage.saw(
        "removed: devices, addresses, routes, rules, filter, settings and files as before the first run",
    );
    Ok(())
}

/// Waits until a router is what it was, but for what stays.
pub(in crate::scenarios) fn wait_for_state(
    stage: &Stage,
    router: &str,
    wanted: &Snapshot,
) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("{router} to be as it was"), || {
        let node = stage.lab.node(router).map_err(|error| error.with_causes())?;
        let seen = Snapshot::take(node).map_err(|error| error.with_causes())?;
        let is_ours = |line: &String| STAYS.iter().any(|path| line.contains(path));
        let differences: Vec<String> =
            wanted.differences(&seen).into_iter().filter(|line| !is_ours(line)).collect();
        if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
    })
}
