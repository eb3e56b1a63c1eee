//! BIRD and FRR at the far end of one of dlan's own links, with the timers that routers are shipped with.

use std::time::{Duration, Instant};

use crate::agent_config::with_mesh_option;
use crate::error::LabError;
use crate::foreign::{Algorithm, Maker};
use crate::scenarios::{Scenario, Stage, family};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "mixed-defaults",
    claim: "Over a link of VXLAN in WireGuard, with HelloInterval 10 s and RouterDeadInterval 40 s, ours is Full with BIRD in both families, with each HMAC, and with FRR in IPv6; hosts talk through them.",
    topology: "two",
    run: defaults,
}];

const LIMIT: Duration = Duration::from_secs(90);
/// HelloInterval and RouterDeadInterval, in seconds, where the configuration names none.
const INTERVALS: (u16, u16) = (10, 40);

/// Who is at the far end, and what packets are signed with.
const ROWS: [(Maker, Option<Algorithm>); 5] = [
    (Maker::Bird, Some(Algorithm::Sha1)),
    (Maker::Bird, Some(Algorithm::Sha384)),
    (Maker::Bird, Some(Algorithm::Sha512)),
    (Maker::Bird, Some(Algorithm::Sha256)),
    (Maker::Frr, None),
];

fn defaults(stage: &mut Stage) -> Result<(), LabError> {
    let before = stage.lab.read_config("r1")?;
    stage.lab.kill_agent("r2")?;
    stage.lab.flush_routes("r2")?;
    for (maker, algorithm) in ROWS {
        beside(stage, &before, (maker, algorithm))?;
    }
    stage.lab.write_config("r1", &before)?;
    stage.lab.dlan("r1", &["apply"])?;
    stage.lab.start_agent("r2")?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

fn beside(
    stage: &mut Stage,
    config: &str,
    (maker, algorithm): (Maker, Option<Algorithm>),
) -> Result<(), LabError> {
    let mut text = config.to_owned();
    for timer in ["hello_interval", "dead_interval"] {
        text = with_mesh_option(&text, timer, None);
    }
    text = match algorithm {
        Some(algorithm) => with_mesh_option(&text, "ospf_algorithm", Some(option(algorithm))),
        None => with_mesh_option(&text, "ospf_secret_file", None),
    };
    stage.lab.write_config("r1", &text)?;
    stage.lab.dlan("r1", &["apply"])?;
    let mut plan = stage.lab.foreign_plan("r2")?;
    for link in &mut plan.links {
        link.intervals = INTERVALS;
        link.authentication =
            link.authentication.take().zip(algorithm).map(|(mut authentication, algorithm)| {
                authentication.algorithm = algorithm;
                authentication
            });
    }
    let begun = Instant::now();
    let node = stage.lab.node("r2")?.clone();
    maker.start(&node, &plan)?;
    let families: &[bool] = if maker == Maker::Bird { &[true, false] } else { &[true] };
    for is_ipv6 in families {
        wait_for(stage, *is_ipv6, |state| state == "full")?;
        wait::until(LIMIT, &format!("s1 to reach s2, {}", family(*is_ipv6)), || {
            match stage.lab.pings("s1", "s2", *is_ipv6) {
                Ok(true) => Ok(()),
                Ok(false) => Err("no answer".to_owned()),
                Err(error) => Err(error.with_causes()),
            }
        })?;
    }
    let signed = algorithm.map_or("bare", option);
    let elapsed = begun.elapsed().as_secs_f64();
    stage.saw(format!("{}, {signed}: Full, and hosts talk, after {elapsed:.1} s", maker.name()));
    maker.stop(&node)?;
    // The next one is not to pass for this one.
    for is_ipv6 in families {
        wait_for(stage, *is_ipv6, |state| state != "full")?;
    }
    Ok(())
}

/// Waits until r1's neighbor r2 is in a state of a family that passes.
fn wait_for(stage: &Stage, is_ipv6: bool, passes: impl Fn(&str) -> bool) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("r1's adjacency with r2, {}", family(is_ipv6)), || {
        let links = stage.lab.dlan_json("r1", &["links"]).map_err(|error| error.with_causes())?;
        let field = if is_ipv6 { "state_ipv6" } else { "state_ipv4" };
        let state = links.get(0).and_then(|link| link.get(field)?.as_str()).unwrap_or("missing");
        let state = state.to_ascii_lowercase();
        if passes(&state) { Ok(()) } else { Err(state) }
    })
}

/// Returns the algorithm's name in the configuration.
const fn option(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Sha1 => "hmac-sha-1",
        Algorithm::Sha256 => "hmac-sha-256",
        Algorithm::Sha384 => "hmac-sha-384",
        Algorithm::Sha512 => "hmac-sha-512",
    }
}
