//! Costs steer the traffic.

use std::time::{Duration, SystemTime};

use crate::error::LabError;
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim, family, in_parallel};
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "costs",
    claim: "Raising a cost moves the traffic, equal costs use both ways, lowering it moves it back; no ping is lost.",
    topology: "reference",
    run: costs,
}];

/// How many flows show that both ways are used.
const FLOWS: u32 = 60;

const LIMIT: Duration = Duration::from_secs(60);

fn costs(stage: &mut Stage) -> Result<(), LabError> {
    wait_for_way(stage, &["dlan-vx4"])?;
    let node = stage.lab.node("s1")?.clone();
    let mut pings = Vec::new();
    for is_ipv6 in [true, false] {
        pings.push((is_ipv6, PingRun::start(&node, stage.lab.address_of("s3", is_ipv6)?, 10)?));
    }
    let mut steps = Vec::new();
    // By r5 the way costs 20 + 20.
    for (cost, devices) in
        [(50, ["dlan-vx5"].as_slice()), (30, &["dlan-vx4", "dlan-vx5"]), (10, &["dlan-vx4"])]
    {
        steps.push((since_epoch(), cost));
        set_both(stage, cost)?;
        wait_for_way(stage, devices)?;
        stage.saw(format!("r1-r4 at {cost}: r1 sends to r2 by {}", devices.join(" and ")));
        if devices.len() > 1 {
            both_ways_carry(stage)?;
        }
    }
    for (is_ipv6, ping) in pings {
        let count = ping.stop()?;
        let name = family(is_ipv6);
        let gap = count.longest_gap * 1000.0;
        stage.saw(format!(
            "{name}: {} pings at 10 ms, {} lost, longest gap {gap:.0} ms",
            count.sent, count.lost
        ));
        claim(count.lost == 0, || {
            let moments = count.lost_after.iter().map(|moment| when(&steps, *moment));
            format!(
                "{name}: {} of {} pings lost: {}",
                count.lost,
                count.sent,
                moments.collect::<Vec<_>>().join(", ")
            )
        })?;
    }
    Ok(())
}

fn since_epoch() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Returns a moment in words: how long after which step.
fn when(steps: &[(f64, u16)], moment: f64) -> String {
    let step = steps.iter().rev().find(|(begun, _)| *begun <= moment);
    step.map_or("before all".to_owned(), |(begun, cost)| format!("{:.3} s after cost {cost}", moment - begun))
}

/// Sets the cost of r1-r4 at both ends.
fn set_both(stage: &Stage, cost: u16) -> Result<(), LabError> {
    stage.lab.set_cost("r1", "r4", cost)?;
    stage.lab.set_cost("r4", "r1", cost)
}

/// Waits until r1's routes to r2's LAN leave by exactly these devices.
fn wait_for_way(stage: &Stage, devices: &[&str]) -> Result<(), LabError> {
    let router = stage.lab.topology.router("r2");
    let prefixes =
        router.map(|router| [router.lan_ipv4.trunc().to_string(), router.lan_ipv6.trunc().to_string()]);
    for prefix in prefixes.iter().flatten() {
        wait::until(LIMIT, &format!("r1's route to {prefix} by {}", devices.join(" and ")), || {
            let seen = stage.lab.route_devices("r1", prefix).map_err(|error| error.with_causes())?;
            if seen == devices { Ok(()) } else { Err(format!("it leaves by {}", seen.join(" and "))) }
        })?;
    }
    Ok(())
}

/// Sends many flows and counts packets on both ways.
fn both_ways_carry(stage: &mut Stage) -> Result<(), LabError> {
    for is_ipv6 in [true, false] {
        let before = counts(stage)?;
        let lab = &stage.lab;
        // Many and small, so that no queue runs over and takes a ping with it.
        let flows: Vec<u32> = (0..FLOWS).collect();
        let failures = in_parallel(flows, 2, |_| {
            let done = Transfer::start(lab, "s1", "s3", is_ipv6, 30_000).and_then(Transfer::wait);
            done.map(drop).map_err(|error| error.with_causes())
        });
        claim(failures.is_empty(), || failures.join("; "))?;
        let after = counts(stage)?;
        let sent = [after.0.saturating_sub(before.0), after.1.saturating_sub(before.1)];
        let name = family(is_ipv6);
        stage
            .saw(format!("{name}, equal costs, {FLOWS} flows: {} packets by r4, {} by r5", sent[0], sent[1]));
        let least = (sent[0] + sent[1]) / 10;
        claim(sent.iter().all(|way| *way > least), || {
            format!("{name}: one way carries less than a tenth: {sent:?}")
        })?;
    }
    Ok(())
}

fn counts(stage: &Stage) -> Result<(u64, u64), LabError> {
    Ok((stage.lab.sent_packets("r1", "dlan-vx4")?, stage.lab.sent_packets("r1", "dlan-vx5")?))
}
