//! A router of the predecessor's kind, with BIRD 2, is a full neighbor.

use std::time::Duration;

use crate::error::LabError;
use crate::foreign::Maker;
use crate::scenarios::{Scenario, Stage, family};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "bird",
    claim: "BIRD 2 in the place of R4 is a full neighbor: both families, HMAC-SHA-256, routes both ways.",
    topology: "reference",
    run: bird,
}];

const LIMIT: Duration = Duration::from_secs(60);

fn bird(stage: &mut Stage) -> Result<(), LabError> {
    stage.lab.replace_agent("r4", Maker::Bird)?;
    for family in ["state_ipv6", "state_ipv4"] {
        for router in ["r1", "r2", "r5"] {
            wait_until_full(stage, router, family)?;
        }
    }
    stage.saw("r1, r2 and r5 are Full with BIRD in both families");
    stage.lab.wait_for_routes(LIMIT)?;
    for (from, to) in [("s1", "s6"), ("s6", "s1"), ("s3", "s6"), ("s6", "s3"), ("s1", "s3"), ("s1", "s5")] {
        for is_ipv6 in [true, false] {
            wait::until(LIMIT, &format!("{from} to reach {to}, {}", family(is_ipv6)), || {
                match stage.lab.pings(from, to, is_ipv6) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err("no answer".to_owned()),
                    Err(error) => Err(error.with_causes()),
                }
            })?;
        }
    }
    wait::until(LIMIT, "traffic from r1 to r2 to go through BIRD", || {
        let way = stage.lab.way("r1", "r2").map_err(|error| error.with_causes())?;
        if way == ["r1", "r4", "r2"] { Ok(()) } else { Err(format!("it goes {}", way.join(" - "))) }
    })?;
    stage.saw("s1, s3 and s5 talk with and through it; r1 sends to r2 through BIRD");
    Maker::Bird.stop(stage.lab.node("r4")?)?;
    stage.lab.start_agent("r4")?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

fn wait_until_full(stage: &Stage, router: &str, family: &str) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("{router} to be Full with BIRD"), || {
        let links = stage.lab.dlan_json(router, &["links"]).map_err(|error| error.with_causes())?;
        let link = links
            .as_array()
            .and_then(|links| links.iter().find(|link| link.get("name").is_some_and(|name| name == "r4")));
        let state = link.and_then(|link| link.get(family)?.as_str()).unwrap_or("missing");
        if state.eq_ignore_ascii_case("full") { Ok(()) } else { Err(format!("{family}: {state}")) }
    })
}
