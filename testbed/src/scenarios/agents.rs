//! Agents die and come back while the traffic flows.

use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "agent-killed",
    claim: "A killed agent leaves traffic flowing; started again in time it adopts what stands, plans nothing, and a path without alternative is away for at most 2 s.",
    topology: "reference",
    run: agent_killed,
}];

const LIMIT: Duration = Duration::from_secs(20);
/// How long the agent stays dead: within RouterDeadInterval, which is 4 s.
const DEAD_TIME: Duration = Duration::from_millis(1500);

fn agent_killed(stage: &mut Stage) -> Result<(), LabError> {
    // s3 is behind r2, s5 behind r3, which hangs on r2 alone.
    let node = stage.lab.node("s1")?.clone();
    let mut pings = Vec::new();
    for is_ipv6 in [true, false] {
        pings.push((is_ipv6, PingRun::start(&node, stage.lab.address_of("s5", is_ipv6)?, 10)?));
    }
    let devices = stage.lab.node("r2")?.run("ip", &["-br", "link", "show"])?;
    let before = stage.lab.sent_packets("r2", "dlan-vx3")?;
    stage.lab.kill_agent("r2")?;
    let killed = Instant::now();
    wait::until(LIMIT, "the traffic to flow while the agent is dead", || {
        let carried = stage.lab.sent_packets("r2", "dlan-vx3").unwrap_or_default().saturating_sub(before);
        let enough = killed.elapsed() >= DEAD_TIME && carried > 200;
        if enough { Ok(()) } else { Err(format!("{carried} packets passed r2")) }
    })?;
    let carried = stage.lab.sent_packets("r2", "dlan-vx3")?.saturating_sub(before);
    stage.saw(format!(
        "r2's agent dead for {:.1} s: {carried} packets went on to r3",
        killed.elapsed().as_secs_f64()
    ));
    stage.lab.start_agent("r2")?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    let plan = wait::until(LIMIT, "an empty plan", || {
        let plan = stage.lab.dlan("r2", &["plan"]).map_err(|error| error.with_causes())?;
        let empty = stage.lab.plans_nothing("r2").map_err(|error| error.with_causes())?;
        if empty { Ok(plan) } else { Err(plan) }
    })?;
    stage.saw(format!("started again: `dlan plan` says: {}", plan.trim()));
    let after = stage.lab.node("r2")?.run("ip", &["-br", "link", "show"])?;
    claim(devices == after, || format!("the devices are not the same:\n{devices}\n{after}"))?;
    for (is_ipv6, ping) in pings {
        let count = ping.stop()?;
        stage.saw(format!(
            "{}: {} pings at 10 ms, {} lost, away for {:.2} s",
            family(is_ipv6),
            count.sent,
            count.lost,
            count.longest_gap
        ));
        claim(count.longest_gap <= 2.0, || {
            format!("{}: the path was away for {:.2} s", family(is_ipv6), count.longest_gap)
        })?;
    }
    Ok(())
}
