//! A wall clock that jumps while everything runs.

use std::net::Ipv4Addr;
use std::time::Instant;

use serde_json::Value;

use super::{LIMIT, TOPOLOGY, wait_until_settled, wait_until_whole, without_bfd};
use crate::agent_config;
use crate::dhcp::Guest;
use crate::error::LabError;
use crate::files::read_file;
use crate::lab::Lab;
use crate::scenarios::{Scenario, Stage, claim, hosts};
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "clock-jumps",
    claim: "A router whose wall clock jumps by forty days, forth and back, carries on: transfers, adjacencies, an open window, and what hosts were given.",
    topology: TOPOLOGY,
    run: clock_jumps,
}];

const ROUTER: &str = "r2";
/// The two that talk through it alone while their own link is cut.
const AROUND: (&str, &str) = ("r1", "r3");
/// How far the clock jumps, in seconds: forty days.
const JUMP: i64 = 40 * 24 * 3600;
/// How long each jump is lived with, in seconds: longer than RouterDeadInterval.
const LIVED_WITH: f64 = 25.0;

fn clock_jumps(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let good = hosts::serve(lab, ROUTER, "\toption dhcp '1'\n")?;
    without_bfd(lab, ROUTER)?;
    lab.set_cut(AROUND.0, AROUND.1, true)?;
    let mut seen = Vec::new();
    try_jumps(lab, &mut seen)?;
    lab.set_cut(AROUND.0, AROUND.1, false)?;
    lab.write_config(ROUTER, &good)?;
    lab.dlan(ROUTER, &["apply"])?;
    wait_until_whole(lab)?;
    wait_until_settled(lab, ROUTER)?;
    for (moment, line) in seen {
        stage.saw_at(moment, line);
    }
    Ok(())
}

fn try_jumps(lab: &Lab, seen: &mut Vec<(Instant, String)>) -> Result<(), LabError> {
    let guest = Guest::unplug(lab, "s2")?;
    guest.plug()?;
    let address = wait::until(LIMIT, "an IPv4 address by DHCP", || guest.ask_ipv4())?;
    wait::until(LIMIT, "s1 to reach s3 around the cut", || match lab.pings("s1", "s3", true) {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let transfer = Transfer::start(lab, "s1", "s3", true, u64::MAX)?;
    jump_both_ways(lab, &transfer, (&guest, address), seen)?;
    let done = transfer.stop()?;
    guest.restore()?;
    seen.push((
        Instant::now(),
        format!(
            "{} octets through {ROUTER} meanwhile, all checked, {:.1} s between two at most",
            done.octets,
            done.longest_pause.as_secs_f64()
        ),
    ));
    Ok(())
}

/// Has the clock jump forth and back while a window is open, a transfer runs, and a host has an address.
fn jump_both_ways(
    lab: &Lab,
    transfer: &Transfer,
    (guest, address): (&Guest<'_>, Ipv4Addr),
    seen: &mut Vec<(Instant, String)>,
) -> Result<(), LabError> {
    let agents = lab.agents(ROUTER)?;
    let other = agent_config::with_link_option(&lab.read_config(ROUTER)?, "r1", ("cost", "77"));
    lab.write_config(ROUTER, &other)?;
    let report = lab.dlan_json(ROUTER, &["apply", "--confirm", "60m"])?;
    let token = report.pointer("/window/token").and_then(Value::as_str).unwrap_or_default().to_owned();
    let lost = lost_adjacencies(lab)?;
    for (jump, what) in
        [(JUMP, "forty days on"), (-2 * JUMP, "forty days back from the present"), (JUMP, "right again")]
    {
        let set = format!("date -u -s @$(($(date +%s) + ({jump})))");
        lab.node(ROUTER)?.run("sh", &["-c", &set])?;
        let window = lab.dlan(ROUTER, &["window"])?;
        claim(window.contains(&token), || format!("{what}: the window is gone: {window}"))?;
        let received = transfer.received();
        wait::until(LIMIT, "the transfer to go on", || {
            let more = transfer.received().saturating_sub(received);
            if more > 2_000_000 && !transfer.has_ended() {
                Ok(())
            } else {
                Err(format!("{more} octets more"))
            }
        })?;
        live_with_it(lab)?;
        let now = lost_adjacencies(lab)?;
        claim(now == lost, || format!("{what}: {} adjacencies were lost", now - lost))?;
        let asked = guest.ask_ipv4().map_err(LabError::Claim)?;
        claim(asked == address, || format!("{what}: s2 was given {address}, and then {asked}"))?;
        seen.push((Instant::now(), format!("{what}: {}", window.lines().next().unwrap_or_default().trim())));
    }
    lab.dlan(ROUTER, &["confirm", &token, "--local"])?;
    claim(lab.read_config(ROUTER)? == other, || "what was confirmed did not stay".to_owned())?;
    claim(lab.agents(ROUTER)? == agents, || "the agent did not stay".to_owned())?;
    seen.push((
        Instant::now(),
        format!("the window is confirmed, s2 keeps {address}, no adjacency was lost, the agent is the same"),
    ));
    Ok(())
}

/// Returns how often a neighbor ceased to be Full, by the logs of all routers.
fn lost_adjacencies(lab: &Lab) -> Result<usize, LabError> {
    let mut lost = 0;
    for router in &lab.topology.routers {
        let log = read_file(&lab.log(&router.name))?;
        lost +=
            log.lines().filter(|line| line.contains("neighbor state") && line.contains("from=Full")).count();
    }
    Ok(lost)
}

/// Waits until some time has passed by the clock that never jumps.
fn live_with_it(lab: &Lab) -> Result<(), LabError> {
    let node = lab.node(ROUTER)?;
    let up = || -> Result<f64, LabError> {
        let text = node.read("/proc/uptime")?;
        Ok(text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default())
    };
    let begun = up()?;
    wait::until(LIMIT, "the jump to be lived with", || {
        let passed = up().map_err(|error| error.with_causes())? - begun;
        if passed > LIVED_WITH { Ok(()) } else { Err(format!("{passed} s passed")) }
    })
}
