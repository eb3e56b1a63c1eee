//! What the documents for operators tell people to type on a router does what it says, in their order.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::documents::{DOCUMENTS, commands, elsewhere};
use crate::error::LabError;
use crate::scenarios::{Scenario, Stage, claim};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "documents",
    claim: "Every `dlan` command that the documents for operators show succeeds on a router as it stands there.",
    topology: "three",
    run: documents,
}];

const LIMIT: Duration = Duration::from_secs(90);
const ROUTER: &str = "r1";

fn documents(stage: &mut Stage) -> Result<(), LabError> {
    let config = stage.lab.read_config(ROUTER)?;
    for (name, text) in DOCUMENTS {
        let mut run = BTreeSet::new();
        for command in commands(text).into_iter().filter(|command| elsewhere(command).is_none()) {
            // Shown twice, it is the same; but what opens a window comes before what closes it each time.
            if run.insert(command.clone()) || command.contains("apply") || command.contains("confirm") {
                type_in(stage, &command).map_err(|error| {
                    LabError::Claim(format!("{name}: `{command}`: {}", error.with_causes()))
                })?;
            }
        }
        if !run.is_empty() {
            stage.saw(format!("{name}: {} commands", run.len()));
        }
    }
    close_window(stage)?;
    let after = stage.lab.read_config(ROUTER)?;
    claim(after == config, || format!("the configuration is another one:\n{after}"))?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// Runs a command with something in the place of each word in capitals, on a router on which it makes sense.
fn type_in(stage: &Stage, command: &str) -> Result<(), LabError> {
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    match words.first() {
        Some(&"apply") => close_window(stage)?,
        Some(&"confirm") if token(stage)?.is_none() => {
            stage.lab.dlan(ROUTER, &["apply", "--confirm", "90s"])?;
        }
        _ => {}
    }
    let mut filled = Vec::new();
    for word in words {
        match word {
            "TIME" => filled.push("90s".to_owned()),
            "NUMBER" => filled.push(last_apply(stage)?.to_string()),
            // The lab has no login of its own.
            "TOKEN" => filled.extend([token(stage)?.unwrap_or_default(), "--local".to_owned()]),
            word => filled.push(word.to_owned()),
        }
    }
    let arguments: Vec<&str> = filled.iter().map(String::as_str).collect();
    stage.lab.dlan(ROUTER, &arguments)?;
    if arguments == ["down"] {
        stage.lab.start_agent(ROUTER)?;
        stage.lab.wait_for_adjacencies(LIMIT)?;
        stage.lab.wait_for_routes(LIMIT)?;
    }
    Ok(())
}

/// Keeps what waits to be confirmed.
fn close_window(stage: &Stage) -> Result<(), LabError> {
    match token(stage)? {
        Some(token) => stage.lab.dlan(ROUTER, &["confirm", &token, "--local"]).map(drop),
        None => Ok(()),
    }
}

fn token(stage: &Stage) -> Result<Option<String>, LabError> {
    let window = stage.lab.dlan_json(ROUTER, &["window"])?;
    Ok(window.get("token").and_then(Value::as_str).map(str::to_owned))
}

/// Returns the number of the last apply whose configuration came into force.
fn last_apply(stage: &Stage) -> Result<u64, LabError> {
    let history = stage.lab.dlan_json(ROUTER, &["history"])?;
    let applies = history.as_array().into_iter().flatten();
    let in_force = applies.filter(|apply| apply.get("in_force").and_then(Value::as_bool) == Some(true));
    Ok(in_force.filter_map(|apply| apply.get("number")?.as_u64()).next_back().unwrap_or_default())
}
