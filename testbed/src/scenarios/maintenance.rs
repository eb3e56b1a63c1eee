//! A router is taken out of the traffic for maintenance, and put back.

use std::time::Duration;

use serde_json::Value;

use crate::capture::Capture;
use crate::error::LabError;
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "drain",
    claim: "Draining a router moves the traffic between others off it and undraining brings it back; no ping is lost, \
            its own LAN stays reachable, and it stays drained over a restart.",
    topology: "reference",
    run: drain,
}];

const LIMIT: Duration = Duration::from_secs(60);

/// How long it is listened for traffic that should have gone another way: every agent looks at its routes meanwhile.
const LISTENED: Duration = Duration::from_secs(6);

fn drain(stage: &mut Stage) -> Result<(), LabError> {
    wait_for_way(stage, "dlan-vx4")?;
    let node = stage.lab.node("s1")?.clone();
    let mut pings = Vec::new();
    for (to, is_ipv6) in [("s3", true), ("s3", false), ("s6", true), ("s6", false)] {
        pings.push((to, is_ipv6, PingRun::start(&node, stage.lab.address_of(to, is_ipv6)?, 10)?));
    }
    let report = stage.lab.dlan_json("r4", &["drain"])?;
    claim(report.get("acknowledged").and_then(Value::as_bool) == Some(true), || {
        format!("the neighbors have not acknowledged: {report}")
    })?;
    wait_for_way(stage, "dlan-vx5")?;
    nothing_passes(stage)?;
    stays_drained(stage)?;
    stage.lab.dlan("r4", &["undrain"])?;
    wait_for_way(stage, "dlan-vx4")?;
    for (to, is_ipv6, ping) in pings {
        let count = ping.stop()?;
        let name = family(is_ipv6);
        stage.saw(format!("s1 to {to}, {name}: {} pings at 10 ms, {} lost", count.sent, count.lost));
        claim(count.lost == 0, || format!("s1 to {to}, {name}: {} of {} lost", count.lost, count.sent))?;
    }
    Ok(())
}

/// Listens behind the drained router for what the two hosts on either side of it send each other.
fn nothing_passes(stage: &mut Stage) -> Result<(), LabError> {
    let hosts = [stage.lab.address_of("s3", true)?, stage.lab.address_of("s3", false)?];
    let filter = format!("host {} or host {}", hosts[0], hosts[1]);
    let capture = Capture::start(&stage.lab, "r4", "dlan-vx2", &filter)?;
    std::thread::sleep(LISTENED);
    let packets = capture.stop()?.packets();
    stage.saw(format!("{packets} packets between others pass the drained r4 in {} s", LISTENED.as_secs()));
    claim(packets == 0, || format!("{packets} packets still pass r4"))
}

/// Starts the drained router's agent again: it goes on keeping traffic away, and says so first.
fn stays_drained(stage: &mut Stage) -> Result<(), LabError> {
    stage.lab.kill_agent("r4")?;
    stage.lab.start_agent("r4")?;
    stage.lab.wait_for_links("r4")?;
    wait::until(LIMIT, "r4's agent to have its neighbors", || {
        let links = stage.lab.dlan_json("r4", &["links"]).map_err(|error| error.with_causes())?;
        let states = links.as_array().into_iter().flatten().filter_map(|link| link.get("state_ipv6"));
        let is_full = |state: &Value| state.as_str() == Some("Full");
        if states.clone().count() == 3 && states.clone().all(is_full) {
            Ok(())
        } else {
            Err(links.to_string())
        }
    })?;
    let status = stage.lab.dlan("r4", &["status"])?;
    claim(status.starts_with("DRAINED") && status.contains("`dlan undrain`"), || status.clone())?;
    wait_for_way(stage, "dlan-vx5")?;
    nothing_passes(stage)
}

/// Waits until r1's routes to r2's LAN leave by this device alone.
fn wait_for_way(stage: &Stage, device: &str) -> Result<(), LabError> {
    let router = stage.lab.topology.router("r2");
    let prefixes =
        router.map(|router| [router.lan_ipv4.trunc().to_string(), router.lan_ipv6.trunc().to_string()]);
    for prefix in prefixes.iter().flatten() {
        wait::until(LIMIT, &format!("r1's route to {prefix} by {device}"), || {
            let seen = stage.lab.route_devices("r1", prefix).map_err(|error| error.with_causes())?;
            if seen == [device] { Ok(()) } else { Err(format!("it leaves by {}", seen.join(" and "))) }
        })?;
    }
    Ok(())
}
