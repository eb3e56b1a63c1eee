//! Applying and taking down touch what is dlan's, once, and nothing else.

use std::time::Duration;

use serde_json::Value;

use crate::error::LabError;
use crate::scenarios::{Scenario, Stage, claim};
use crate::snapshot::Snapshot;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "apply-twice",
        claim: "Applying an applied configuration changes nothing.",
        topology: "reference",
        run: apply_twice,
    },
    Scenario {
        name: "bad-config",
        claim: "A rejected configuration changes nothing, told to a running agent or found by one that starts.",
        topology: "reference",
        run: bad_config,
    },
    Scenario {
        name: "down-leaves-nothing",
        claim: "`dlan down` leaves no device, route, rule, setting or file of dlan's, and nobody else's missing.",
        topology: "reference",
        run: down_leaves_nothing,
    },
    Scenario {
        name: "another-host-id",
        claim: "A router that is given another host id is that router to the whole mesh, without a restart of its agent.",
        topology: "reference",
        run: another_host_id,
    },
];

/// What stays beside the keys.
const BOOT_COUNT: &str = "file /etc/dlan/boots,";
const HISTORY: &str = "file /etc/dlan/history";

/// The host id of r3 as the topology has it, in r3's configuration and in that of r2, its only neighbor.
const HOST_ID: &str = "option host_id '3'";
/// One that no router has, and its Router ID.
const HOST_ID_FREE: &str = "option host_id '7'";
const ROUTER_ID_FREE: &str = "0.0.0.7";

const LIMIT: Duration = Duration::from_secs(60);

/// Things of somebody else's that look as much like dlan's as they may.
pub(super) const FOREIGN: &str = "link add foreign0 type bridge
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

/// The broken files that the parser's own tests hold to their exact messages.
const BROKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dlan-agent/tests/config/bad");
/// `dlan`'s exit code for a rejected configuration.
const REJECTED: i32 = 3;

fn bad_config(stage: &mut Stage) -> Result<(), LabError> {
    let router = "r2";
    let good = stage.lab.read_config(router)?;
    let before = Snapshot::take(stage.lab.node(router)?)?;
    let mut files = 0;
    let entries = std::fs::read_dir(BROKEN).map_err(|source| LabError::File {
        act: "read",
        path: BROKEN.into(),
        source,
    })?;
    let broken = entries.flatten().map(|entry| entry.path());
    for path in broken.filter(|path| path.extension().is_some_and(|extension| extension == "conf")) {
        let octets = std::fs::read(&path).map_err(|source| LabError::File {
            act: "read",
            path: path.clone(),
            source,
        })?;
        let into = stage.lab.node(router)?.path(crate::agent::CONFIG);
        std::fs::write(&into, octets).map_err(|source| LabError::File {
            act: "write",
            path: into,
            source,
        })?;
        let code = stage.lab.dlan_exit_code(router, &["apply"])?;
        claim(code == Some(REJECTED), || format!("{}: `dlan apply` ends with {code:?}", path.display()))?;
        files += 1;
    }
    claim(files >= 40, || format!("only {files} broken files were found"))?;
    // The last of them stays while the agent starts anew: it runs with what it ran with before.
    stage.lab.kill_agent(router)?;
    stage.lab.start_agent(router)?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    let status = stage.lab.dlan(router, &["status"])?;
    claim(status.contains("reject"), || {
        format!("`dlan status` does not say that the file is rejected:\n{status}")
    })?;
    stage.lab.write_config(router, &good)?;
    stage.lab.dlan(router, &["apply"])?;
    let after = Snapshot::take(stage.lab.node(router)?)?;
    let mut differences = before.differences(&after);
    differences.retain(|line| {
        ![BOOT_COUNT, HISTORY, "file /run/dlan/"].iter().any(|expected| line.contains(expected))
    });
    claim(differences.is_empty(), || format!("they changed:\n{}", differences.join("\n")))?;
    stage.saw(format!(
        "{files} broken files, each refused by `dlan apply`; an agent started on one ran on as before"
    ));
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

fn another_host_id(stage: &mut Stage) -> Result<(), LabError> {
    let routers = ["r3", "r2"];
    let agents = stage.lab.agents("r3")?;
    let mut before = Vec::new();
    for router in routers {
        let config = stage.lab.read_config(router)?;
        stage.lab.write_config(router, &config.replace(HOST_ID, HOST_ID_FREE))?;
        stage.lab.dlan(router, &["apply"])?;
        before.push((router, config));
    }
    // s5 is behind r3.
    let host = stage.lab.node("s1")?.clone();
    let far = [stage.lab.address_of("s5", true)?, stage.lab.address_of("s5", false)?];
    wait::until(LIMIT, "the mesh to know r3 by its other host id", || {
        let topology = stage.lab.dlan_json("r1", &["topology"]).map_err(|error| error.with_causes())?;
        let routers = topology.get("routers").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_known = |router: &Value| {
            let reachable = router.get("reachable").and_then(Value::as_array).map_or(0, Vec::len);
            router.get("router_id").and_then(Value::as_str) == Some(ROUTER_ID_FREE) && reachable == 2
        };
        let silent: Vec<_> = far
            .iter()
            .filter(|address| !host.succeeds("ping", &["-c1", "-W1", &address.to_string()]))
            .collect();
        if routers.iter().any(is_known) && silent.is_empty() {
            Ok(())
        } else {
            Err(format!("no answer from {silent:?}; r1 knows {topology}"))
        }
    })?;
    claim(stage.lab.agents("r3")? == agents, || "the agent is another process".to_owned())?;
    stage.saw(format!(
        "r1 reaches r3 as {ROUTER_ID_FREE}, s1 reaches s5 behind it, the agent is the same process"
    ));
    for (router, config) in before {
        stage.lab.write_config(router, &config)?;
        stage.lab.dlan(router, &["apply"])?;
    }
    stage.lab.wait_for_routes(LIMIT)?;
    stage.lab.wait_for_adjacencies(LIMIT)
}
