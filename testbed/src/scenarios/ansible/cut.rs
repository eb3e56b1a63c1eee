//! A playbook that is killed leaves every router confirmed or back, whenever that happens.

use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::LIMIT;
use super::operator::{Inventory, MIDDLE, Operator};
use crate::error::LabError;
use crate::layout::INTERNET;
use crate::node::Node;
use crate::scenarios::{Stage, claim};
use crate::wait;

/// How often an instant is looked for: some are over soon.
const GLANCE: Duration = Duration::from_millis(2);
const ROUTERS: [&str; 3] = ["r1", MIDDLE, "r3"];
/// The configuration as it lies ready for an apply.
const READY: &str = "/run/dlan-stage/etc/config/dlan";
/// What the agent notes of a window before it puts anything in place.
const NOTE: &str = "/etc/dlan/window";

/// Ends the playbook while the second router waits to be confirmed.
pub(super) fn off(stage: &mut Stage, operator: &Operator) -> Result<(), LabError> {
    let before = configs(stage)?;
    // Another domain is another configuration for everybody.
    let inventory = inventory("elsewhere");
    // The router before it is to be in time.
    let time = if stage.lab.node(MIDDLE)?.is_machine { 90 } else { 30 };
    let mut playing = start(operator, &inventory, &["-e", &format!("dlan_confirm_time={time}s")])?;
    let window = wait::until(LIMIT, "r2 to wait for its confirmation", || {
        match stage.lab.dlan_json(MIDDLE, &["window"]) {
            Ok(window) if !window.is_null() => Ok(window),
            Ok(_) => Err("no window".to_owned()),
            Err(error) => Err(error.with_causes()),
        }
    });
    operator.end();
    let _ = playing.wait();
    window?;
    let kept = confirmed_or_back(stage, &before, "elsewhere")?;
    claim(kept == [true, false, false], || {
        format!("r1 confirmed, r2 back and r3 untouched is expected, not {kept:?}")
    })?;
    stage.saw("a playbook killed while r2 waited: r1 is confirmed, r2 back, r3 untouched");
    let run = operator.plays("deploy", &inventory, &[])?;
    claim(run.succeeded && run.changed.get("r1") == Some(&0) && run.changed.get("r3") == Some(&1), || {
        format!("the next run does not go on from there:\n{}", run.said)
    })?;
    stage.lab.wait_for_adjacencies(LIMIT)
}

/// Ends a playbook before an apply, and others within one.
pub(super) fn within(stage: &mut Stage, operator: &Operator) -> Result<(), LabError> {
    let before = configs(stage)?;
    let others = inventory("within");
    let mut playing = start(operator, &others, &["--limit", "r3", "-e", "dlan_confirm_time=30s"])?;
    let node = stage.lab.node("r3")?;
    let ready = wait::every(GLANCE, LIMIT, "a configuration to lie ready at r3", || {
        if node.exists(READY) { Ok(()) } else { Err("none".to_owned()) }
    });
    operator.end();
    let _ = playing.wait();
    ready?;
    let kept = confirmed_or_back(stage, &before, "within")?;
    claim(!kept.iter().take(2).any(|is_new| *is_new), || {
        format!("routers beyond the limit changed: {kept:?}")
    })?;

    let instants = instants();
    let mut playing = Vec::new();
    for instant in &instants {
        // An agent that stands still is no neighbor.
        let words = ["-e", "dlan_confirm_time=30s", "-e", "dlan_wait_for_neighbors=false"];
        let words = [&["--limit", instant.router], &words[..]].concat();
        playing.push(start(operator, &others, &words)?);
    }
    let mut still = Vec::new();
    let held = hold(stage, instants, &mut still);
    operator.end();
    for mut playing in playing {
        let _ = playing.wait();
    }
    for agent in still {
        // It may have been killed meanwhile with the whole lab.
        let _ = kill(agent, Signal::SIGCONT);
    }
    held?;
    let kept = confirmed_or_back(stage, &before, "within")?;
    let kept = kept.map(|is_new| if is_new { "confirmed" } else { "back" });
    stage.saw(format!(
        "playbooks killed when a configuration lay ready at r3, and when r1's apply was asked for, while r2's was under way, when r3's confirmation was asked for: {}",
        kept.join(", ")
    ));
    let run = operator.plays("deploy", &inventory("elsewhere"), &[])?;
    claim(run.succeeded, || format!("the next run does not go on from there:\n{}", run.said))?;
    stage.lab.wait_for_adjacencies(LIMIT)
}

/// Where a playbook is to be killed: the agent stands still from one moment on, and the playbook comes as far as it can.
struct Instant {
    router: &'static str,
    is_near: fn(&Node) -> bool,
    is_there: fn(&Node) -> bool,
    is_still: bool,
    is_over: bool,
}

fn instants() -> Vec<Instant> {
    let at =
        |router, is_near, is_there| Instant { router, is_near, is_there, is_still: false, is_over: false };
    vec![
        at("r1", |node| node.exists(READY), |node| asks(node, "apply")),
        at(MIDDLE, |node| node.exists(NOTE), |_| true),
        at("r3", |node| node.exists(NOTE) && !node.exists(READY), |node| asks(node, "confirm")),
    ]
}

/// Says whether somebody asks a router's agent for this.
fn asks(node: &Node, word: &str) -> bool {
    let is_asking = |arguments: &[String]| matches!(arguments, [program, rest @ ..] if program.ends_with("/dlan") && rest.iter().any(|it| it == word));
    !node.processes(is_asking).is_empty()
}

/// Has agents stand still, and waits until every playbook is where it is to be killed, or was there.
fn hold(stage: &Stage, mut instants: Vec<Instant>, still: &mut Vec<Pid>) -> Result<(), LabError> {
    wait::every(GLANCE, LIMIT, "playbooks to be within an apply", || {
        let mut ahead = Vec::new();
        for instant in instants.iter_mut().filter(|instant| !instant.is_over) {
            let node = stage.lab.node(instant.router).map_err(|error| error.with_causes())?;
            if !instant.is_still && (instant.is_near)(node) {
                for agent in stage.lab.agents(instant.router).map_err(|error| error.with_causes())? {
                    let agent = Pid::from_raw(agent);
                    kill(agent, Signal::SIGSTOP).map_err(|error| error.to_string())?;
                    still.push(agent);
                }
                instant.is_still = true;
            }
            instant.is_over = instant.is_still && (instant.is_there)(node);
            ahead.extend((!instant.is_over).then_some(instant.router));
        }
        if ahead.is_empty() { Ok(()) } else { Err(format!("not yet at {}", ahead.join(", "))) }
    })
}

fn inventory(domain: &str) -> Inventory {
    Inventory { cost: 77, ..Inventory::full() }.with(&format!("dlan_domain: {domain}"))
}

/// Starts the rollout, to be killed.
fn start(operator: &Operator, inventory: &Inventory, words: &[&str]) -> Result<Child, LabError> {
    let mut command = operator.command("deploy", inventory, words)?;
    command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    command.spawn().map_err(|source| LabError::Node {
        node: INTERNET.to_owned(),
        why: format!("cannot start ansible-playbook: {source}"),
    })
}

/// Waits until every window is over; each router has then all of the configuration before or all of that with this domain,
/// and is what it says. Returns which have the latter.
fn confirmed_or_back(stage: &Stage, before: &[String], domain: &str) -> Result<[bool; 3], LabError> {
    wait::until(LIMIT, "every window to be over", || {
        for name in ROUTERS {
            match stage.lab.dlan_json(name, &["window"]) {
                Ok(Value::Null) => {}
                Ok(window) => return Err(format!("{name}: {window}")),
                Err(error) => return Err(error.with_causes()),
            }
        }
        Ok(())
    })?;
    wait::until(LIMIT, "every router to be what its configuration says", || {
        for name in ROUTERS {
            let plan = stage.lab.dlan_json(name, &["plan"]).map_err(|error| error.with_causes())?;
            if plan.get("steps").and_then(Value::as_u64) != Some(0) {
                return Err(format!("{name}: {plan}"));
            }
        }
        Ok(())
    })?;
    let mut kept = [false; 3];
    for ((kept, name), (after, before)) in
        kept.iter_mut().zip(ROUTERS).zip(configs(stage)?.iter().zip(before))
    {
        *kept = after.contains(&format!("option domain '{domain}'"));
        claim(*kept || after == before, || format!("{name} is neither confirmed nor back:\n{after}"))?;
    }
    Ok(kept)
}

fn configs(stage: &Stage) -> Result<Vec<String>, LabError> {
    ROUTERS.iter().map(|name| stage.lab.read_config(name)).collect()
}
