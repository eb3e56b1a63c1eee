//! Applying and taking down touch what is dlan's, once, and nothing else.

use std::time::Duration;

use crate::error::LabError;
use crate::scenarios::{Scenario, Stage, claim};
use crate::snapshot::Snapshot;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "apply-twice",
        claim: "Applying an applied configuration changes nothing.",
        topology: "reference",
        run: apply_twice,
    },
    Scenario {
        name: "down-leaves-nothing",
        claim: "`dlan down` leaves no device, route, rule, setting or file of dlan's, and nobody else's missing.",
        topology: "reference",
        run: down_leaves_nothing,
    },
];

/// What stays beside the keys.
const BOOT_COUNT: &str = "file /etc/dlan/boots,";

const LIMIT: Duration = Duration::from_secs(30);

/// Things of somebody else's that look as much like dlan's as they may.
const FOREIGN: &str = "link add foreign0 type bridge
addr add 10.77.0.1/24 dev foreign0
addr add fd77::1/64 dev foreign0 nodad
link set foreign0 up
link add foreign-vx type vxlan id 777 dstport 8472 local 10.77.0.1 remote 10.77.0.2 dev foreign0
link set foreign-vx up
route add 10.78.0.0/24 dev foreign0 table 77 proto 77
route add 10.79.0.0/24 dev foreign0 proto static
route add fd78::/64 dev foreign0 table 77 proto 77
rule add pref 777 from 10.78.0.0/24 lookup 77
-6 rule add pref 777 from fd78::/64 lookup 77
";

fn apply_twice(stage: &mut Stage) -> Result<(), LabError> {
    stage.lab.dlan("r2", &["apply"])?;
    let before = Snapshot::take(stage.lab.node("r2")?)?;
    let said = stage.lab.dlan("r2", &["apply"])?;
    let after = Snapshot::take(stage.lab.node("r2")?)?;
    let differences = before.differences(&after);
    claim(differences.is_empty(), || format!("the second apply changed:\n{}", differences.join("\n")))?;
    claim(stage.lab.plans_nothing("r2")?, || "`dlan plan` still has plans".to_owned())?;
    stage.saw(format!("the second `dlan apply` says: {}", said.trim()));
    Ok(())
}

fn down_leaves_nothing(stage: &mut Stage) -> Result<(), LabError> {
    let router = "r5";
    // A router on which dlan never ran, but for its keys, and on which somebody else has things of their own.
    stage.lab.power_off(router)?;
    stage.lab.power_on(router)?;
    let node = stage.lab.node(router)?.clone();
    for made_before in ["/etc/iproute2/rt_protos.d", "/etc/iproute2/rt_tables.d"] {
        // Not there is as good as removed.
        let _ = std::fs::remove_dir_all(node.path(made_before));
    }
    let lines: Vec<String> = FOREIGN.lines().map(str::to_owned).collect();
    for line in lines {
        node.run("ip", &line.split_whitespace().collect::<Vec<_>>())?;
    }
    node.feed(
        "nft",
        &["-f", "-"],
        "table inet foreign { chain input { type filter hook input priority 5\n}\n}\n",
    )?;
    let before = Snapshot::take(&node)?;
    stage.lab.start_agent(router)?;
    stage.lab.wait_for_routes(LIMIT)?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    let during = Snapshot::take(&node)?;
    let made = before.differences(&during);
    claim(made.len() > 20, || format!("the agent changed next to nothing: {}", made.join("\n")))?;
    stage.lab.dlan(router, &["down"])?;
    let after = Snapshot::take(&node)?;
    let mut differences = before.differences(&after);
    // The count of starts stays with the keys: authentication sequence numbers must never go back.
    differences.retain(|line| !line.contains(BOOT_COUNT));
    claim(differences.is_empty(), || format!("`dlan down` left a difference:\n{}", differences.join("\n")))?;
    claim(stage.lab.agents(router)?.is_empty(), || "the agent still runs".to_owned())?;
    let left =
        node.processes(|arguments| arguments.first().is_some_and(|program| program.ends_with("/dlan")));
    claim(left.is_empty(), || format!("processes of dlan still run: {left:?}"))?;
    stage.saw(format!(
        "{} lines of the system's state differed while dlan ran, none after `dlan down`",
        made.len()
    ));
    stage.lab.power_off(router)?;
    stage.lab.power_on(router)?;
    stage.lab.start_agent(router)?;
    stage.lab.wait_for_routes(LIMIT)?;
    stage.lab.wait_for_adjacencies(LIMIT)
}
