//! The secret of the mesh's routing packets is changed while the mesh works.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::error::LabError;
use crate::lab::write_file;
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "key-rollover",
    claim: "A second secret is accepted, then signs, then the first one goes, router by router, and no packet is lost.",
    topology: "reference",
    run: key_rollover,
}];

const LIMIT: Duration = Duration::from_secs(60);
const SECOND_FILE: &str = "/etc/dlan/ospf.2.secret";
const FIRST_OPTION: &str = "\toption ospf_secret_file '/etc/dlan/ospf.secret'\n";

/// A change of a router's configuration.
type Step = fn(&str) -> String;

const STEPS: [(&str, Step); 3] = [
    ("a second key is accepted", |text| {
        format!("{text}\nconfig ospf_key 'second'\n\toption id '2'\n\toption secret_file '{SECOND_FILE}'\n")
    }),
    ("the second key signs", |text| {
        text.replacen(FIRST_OPTION, &format!("{FIRST_OPTION}\toption ospf_key_active '2'\n"), 1)
    }),
    ("the first key is taken out", |text| text.replacen(FIRST_OPTION, "", 1)),
];

fn key_rollover(stage: &mut Stage) -> Result<(), LabError> {
    let routers: Vec<String> = stage.lab.topology.routers.iter().map(|router| router.name.clone()).collect();
    let mut before = Vec::new();
    for router in &routers {
        before.push(stage.lab.read_config(router)?);
        write_secret(stage, router)?;
    }
    let pairs = [("s1", "s6"), ("s3", "s1"), ("s5", "s7"), ("s6", "s7")];
    let mut pings = Vec::new();
    for (from, to) in pairs {
        for is_ipv6 in [true, false] {
            let address = stage.lab.address_of(to, is_ipv6)?;
            pings.push((from, to, PingRun::start(stage.lab.node(from)?, address, 10)?));
        }
    }
    for (what, step) in STEPS {
        for router in &routers {
            let text = step(&stage.lab.read_config(router)?);
            stage.lab.write_config(router, &text)?;
            stage.lab.dlan(router, &["apply"])?;
        }
        let missing = stage.lab.missing_adjacencies();
        claim(missing.is_empty(), || format!("after the step \"{what}\": {}", missing.join(", ")))?;
        stage.saw(what.to_owned());
    }
    for router in &routers {
        wait_for_second_key(stage, router)?;
    }
    // Longer than RouterDeadInterval: what is refused would have been missed by then.
    std::thread::sleep(Duration::from_secs(u64::from(stage.lab.topology.mesh.dead_interval) + 1));
    for (from, to, ping) in pings {
        let count = ping.stop()?;
        claim(count.lost == 0, || {
            format!("{from} to {to}: {} of {} pings were lost", count.lost, count.sent)
        })?;
        stage.saw(format!("{from} to {to}: {} pings, none lost", count.sent));
    }
    restore(stage, &routers, &before)
}

fn write_secret(stage: &Stage, router: &str) -> Result<(), LabError> {
    let path = stage.lab.node(router)?.path(SECOND_FILE);
    write_file(&path, "another secret of the whole mesh\n")?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(|source| LabError::File {
        act: "protect",
        path,
        source,
    })
}

/// Waits until every neighbor of the router signs with the second key.
fn wait_for_second_key(stage: &Stage, router: &str) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("the neighbors of {router} to sign with key 2"), || {
        let report = stage.lab.dlan_json(router, &["neighbors"]).map_err(|error| error.with_causes())?;
        let neighbors = report.get("neighbors").and_then(serde_json::Value::as_array);
        let keys: Vec<u64> =
            neighbors.into_iter().flatten().filter_map(|one| one.get("key")?.as_u64()).collect();
        if !keys.is_empty() && keys.iter().all(|key| *key == 2) { Ok(()) } else { Err(format!("{keys:?}")) }
    })
}

/// Goes the same steps back, in the same order, so that the mesh has its first secret again.
fn restore(stage: &Stage, routers: &[String], before: &[String]) -> Result<(), LabError> {
    for active in ["\toption ospf_key_active '2'\n", ""] {
        for (router, text) in routers.iter().zip(before) {
            let text = text.replacen(FIRST_OPTION, &format!("{FIRST_OPTION}{active}"), 1);
            let key =
                format!("config ospf_key 'second'\n\toption id '2'\n\toption secret_file '{SECOND_FILE}'\n");
            stage.lab.write_config(router, &format!("{text}\n{key}"))?;
            stage.lab.dlan(router, &["apply"])?;
        }
    }
    for (router, text) in routers.iter().zip(before) {
        stage.lab.write_config(router, text)?;
        stage.lab.dlan(router, &["apply"])?;
    }
    stage.lab.wait_for_adjacencies(LIMIT)
}
