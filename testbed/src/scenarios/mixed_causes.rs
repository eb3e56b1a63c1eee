//! Why a router refuses a BIRD or an FRR beside it, told in words.

use std::time::Duration;

use serde_json::Value;

use crate::agent_config::OSPF_SECRET_FILE;
use crate::error::LabError;
use crate::foreign::{Algorithm, Authentication, Maker};
use crate::lab::{Lab, read_file};
use crate::scenarios::mixed::whole;
use crate::scenarios::{Scenario, Stage};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "mixed-causes",
    claim: "Another MTU, FRR's trailer and FRR's missing AF-bit are told in words by the router that refuses them.",
    topology: "mixed",
    run: causes,
}];

const LIMIT: Duration = Duration::from_secs(60);

fn causes(stage: &mut Stage) -> Result<(), LabError> {
    other_mtus(stage)?;
    whole(stage)?;
    no_address_families(stage)?;
    foreign_trailer(stage)?;
    whole(stage)
}

/// BIRD and FRR with a larger MTU than r1's, then with a smaller one.
fn other_mtus(stage: &mut Stage) -> Result<(), LabError> {
    let config = stage.lab.read_config("r1")?;
    let smaller = ["r2", "r5"].iter().fold(config.clone(), |text, far| {
        text.replace(
            &format!("config link '{far}'\n"),
            &format!("config link '{far}'\n\toption mtu '1300'\n"),
        )
    });
    stage.lab.write_config("r1", &smaller)?;
    stage.lab.dlan("r1", &["apply"])?;
    for far in ["r2", "r5"] {
        wait_for_words(stage, &format!("link {far}: MTU 1300 here, 1370 at the neighbor"))?;
    }
    stage.lab.write_config("r1", &config)?;
    stage.lab.dlan("r1", &["apply"])?;
    whole(stage)?;
    set_mtu(&stage.lab, "1300")?;
    restart_foreign(&stage.lab, "r2", Maker::Bird)?;
    restart_foreign(&stage.lab, "r5", Maker::Frr)?;
    for far in ["r2", "r5"] {
        wait_for_words(
            stage,
            &format!("link {far}: MTU 1300 is in use, the neighbor's; 1370 is configured"),
        )?;
    }
    whole(stage)?;
    set_mtu(&stage.lab, "1370")?;
    restart_foreign(&stage.lab, "r2", Maker::Bird)?;
    restart_foreign(&stage.lab, "r5", Maker::Frr)
}

/// Sets the MTU of the far ends of r1's links.
fn set_mtu(lab: &Lab, mtu: &str) -> Result<(), LabError> {
    for router in ["r2", "r5"] {
        lab.node(router)?.run("ip", &["link", "set", "dlan-vx1", "mtu", mtu])?;
    }
    Ok(())
}

/// FRR with Instance ID 64 towards r1.
fn no_address_families(stage: &mut Stage) -> Result<(), LabError> {
    let mut plan = stage.lab.foreign_plan("r5")?;
    for link in plan.links.iter_mut().filter(|link| link.device == "dlan-vx1") {
        link.instance = Some(64);
    }
    let node = stage.lab.node("r5")?;
    Maker::Frr.stop(node)?;
    Maker::Frr.start(node, &plan)?;
    wait_for_words(
        stage,
        "link r5: the neighbor does not speak OSPFv3 for IPv4 with address families (RFC 5838)",
    )?;
    restart_foreign(&stage.lab, "r5", Maker::Frr)
}

/// r1 and FRR with one secret, which BIRD does not have.
fn foreign_trailer(stage: &mut Stage) -> Result<(), LabError> {
    let secret = read_file(&stage.lab.node("r1")?.path(OSPF_SECRET_FILE))?.trim().to_owned();
    let mut plan = stage.lab.foreign_plan("r5")?;
    for link in plan.links.iter_mut().filter(|link| link.device == "dlan-vx1") {
        link.authentication = Some(Authentication { algorithm: Algorithm::Sha256, secret: secret.clone() });
    }
    let node = stage.lab.node("r5")?;
    Maker::Frr.stop(node)?;
    Maker::Frr.start(node, &plan)?;
    let config = stage.lab.read_config("r1")?;
    let option = format!("\toption ospf_secret_file '{OSPF_SECRET_FILE}'\n");
    stage.lab.write_config("r1", &config.replacen('\n', &format!("\n{option}"), 1))?;
    stage.lab.dlan("r1", &["apply"])?;
    wait_for_words(stage, "link r5: FRR's authentication trailer departs from RFC 7166")?;
    wait_for_words(stage, "link r2: only one end has an OSPF secret")?;
    stage.lab.write_config("r1", &config)?;
    stage.lab.dlan("r1", &["apply"])?;
    restart_foreign(&stage.lab, "r5", Maker::Frr)
}

fn restart_foreign(lab: &Lab, router: &str, maker: Maker) -> Result<(), LabError> {
    maker.stop(lab.node(router)?)?;
    lab.start_foreign(router, maker)
}

/// Waits until one of r1's problems begins with these words.
fn wait_for_words(stage: &mut Stage, words: &str) -> Result<(), LabError> {
    let said = wait::until(LIMIT, &format!("r1 to say '{words}'"), || {
        let status = stage.lab.dlan_json("r1", &["status"]).map_err(|error| error.with_causes())?;
        let problems = status.get("problems").and_then(Value::as_array).cloned().unwrap_or_default();
        let what = |problem: &Value| problem.get("what").and_then(Value::as_str).map(str::to_owned);
        let said: Vec<String> = problems.iter().filter_map(what).collect();
        said.iter().find(|what| what.starts_with(words)).cloned().ok_or_else(|| said.join("; "))
    })?;
    stage.saw(said);
    Ok(())
}
