//! The first apply that a router ever sees: unconfirmed, it leaves nothing behind.

use std::time::Duration;

use serde_json::Value;

use crate::agent::CONFIG;
use crate::error::LabError;
use crate::lab::write_file;
use crate::scenarios::confirm::wait_for_outcome;
use crate::scenarios::{Scenario, Stage, claim};
use crate::snapshot::Snapshot;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "first-apply",
    claim: "The first apply ever, unconfirmed, leaves a router as it was before dlan: in time, after a kill and a power cut; confirmed, it stands.",
    topology: "two",
    run: first_apply,
}];

const LIMIT: Duration = Duration::from_secs(60);
const ROUTER: &str = "r1";
/// Where the package's file stands that says nothing.
const BLANK: &str = "# dlan does nothing until it is told who this router is\n";
/// Where the first configuration lies ready.
const STAGE: &str = "/etc/staged";
/// What an agent writes down for the next start, with the suffix of the one before it.
const NOTES: [&str; 3] = ["last-good-config", "history", "window"];

/// How a window comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Time,
    Kill,
    PowerCut,
}

fn first_apply(stage: &mut Stage) -> Result<(), LabError> {
    let text = stage.lab.read_config(ROUTER)?;
    make_fresh(stage)?;
    let staged = stage.lab.node(ROUTER)?.path(STAGE).join(CONFIG.trim_start_matches('/'));
    let directory = staged.parent().unwrap_or(&staged).to_owned();
    std::fs::create_dir_all(&directory).map_err(|source| LabError::File {
        act: "make",
        path: directory.clone(),
        source,
    })?;
    write_file(&staged, &text)?;
    stage.lab.start_agent(ROUTER)?;
    wait_until_idle(stage)?;
    let status = stage.lab.dlan(ROUTER, &["status"]).unwrap_or_else(|error| error.with_causes());
    claim(status.contains("no configuration yet"), || format!("`dlan status` says {status:?}"))?;
    for (number, end) in [End::Time, End::Kill, End::PowerCut].into_iter().enumerate() {
        let before = Snapshot::take(stage.lab.node(ROUTER)?)?;
        let window = if end == End::Time { "6s" } else { "10m" };
        let code = stage.lab.dlan_exit_code(ROUTER, &["apply", "--confirm", window, "--stage", STAGE])?;
        // In a short window a slow machine may not get through.
        claim(code == Some(0) || end == End::Time && code == Some(1), || {
            format!("{end:?}: the first apply ends with {code:?}")
        })?;
        if end != End::Time {
            stage.lab.wait_for_adjacencies(LIMIT)?;
        }
        cut(stage, end)?;
        let outcome = match end {
            End::Time => "undone: not confirmed in time",
            End::Kill | End::PowerCut => "undone: the agent or the router ended before it was confirmed",
        };
        wait_for_outcome(stage, number, outcome)?;
        wait_until_gone(stage, end, &before)?;
        stage.saw(format!("a first apply ended by {end:?}: nothing of dlan's is left"));
    }
    let report = stage.lab.dlan_json(ROUTER, &["apply", "--confirm", "10m", "--stage", STAGE])?;
    let token = report.pointer("/window/token").and_then(Value::as_str).unwrap_or_default().to_owned();
    stage.lab.dlan(ROUTER, &["confirm", &token, "--local"])?;
    stage.lab.kill_agent(ROUTER)?;
    stage.lab.start_agent(ROUTER)?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    claim(stage.lab.read_config(ROUTER)? == text, || "what was confirmed did not stay".to_owned())?;
    stage.saw("a first apply that was confirmed stands, also after a kill");
    Ok(())
}

/// Takes everything of dlan's off the router, but for the secrets.
fn make_fresh(stage: &Stage) -> Result<(), LabError> {
    stage.lab.dlan(ROUTER, &["down"])?;
    let node = stage.lab.node(ROUTER)?;
    for name in NOTES {
        node.run("sh", &["-c", &format!("rm -f /etc/dlan/{name} /etc/dlan/{name}.previous")])?;
    }
    stage.lab.write_config(ROUTER, BLANK)
}

fn cut(stage: &mut Stage, end: End) -> Result<(), LabError> {
    match end {
        End::Time => return Ok(()),
        End::Kill => stage.lab.kill_agent(ROUTER)?,
        End::PowerCut => {
            stage.lab.power_off(ROUTER)?;
            stage.lab.power_on(ROUTER)?;
        }
    }
    stage.lab.start_agent(ROUTER)
}

/// Waits until an agent without a configuration answers: then nothing of dlan's stands.
fn wait_until_idle(stage: &Stage) -> Result<(), LabError> {
    wait::until(LIMIT, "an agent without a configuration", || match stage.lab.dlan_json(ROUTER, &["links"]) {
        Ok(links) if links.as_array().is_some_and(Vec::is_empty) => Ok(()),
        Ok(links) => Err(format!("it has links: {links}")),
        Err(error) => Err(error.with_causes()),
    })
}

/// Waits until the router is as it was.
fn wait_until_gone(stage: &Stage, end: End, before: &Snapshot) -> Result<(), LabError> {
    wait_until_idle(stage)?;
    wait::until(LIMIT, "the router as it was before its first apply", || {
        let node = stage.lab.node(ROUTER).map_err(|error| error.with_causes())?;
        let after = Snapshot::take(node).map_err(|error| error.with_causes())?;
        let differences: Vec<String> =
            before.differences(&after).into_iter().filter(|line| matters(line, end)).collect();
        if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
    })
}

/// Returns whether a difference says that something was left behind.
fn matters(line: &str, end: End) -> bool {
    if ["/etc/dlan/", "/run/dlan/"].iter().any(|path| line.contains(path)) {
        return false;
    }
    // Behind a power cut the devices below have other numbers, and nobody knows any more who made an empty directory.
    let kinds = ["link ", "address ", "route ", "directory /etc/iproute2/"];
    let is_lower = line.get(2..).is_some_and(|line| kinds.iter().any(|kind| line.starts_with(kind)));
    end != End::PowerCut || !is_lower || line.contains("dlan")
}
