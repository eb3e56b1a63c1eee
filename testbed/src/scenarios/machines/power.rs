//! A power cut while an apply waits to be confirmed.

use std::time::Instant;

use serde_json::Value;

use super::{LIMIT, TOPOLOGY, wait_until_settled, wait_until_whole};
use crate::error::LabError;
use crate::machine::qemu::Start;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "power-cut-in-window",
    claim: "A router that loses power while an apply waits to be confirmed boots into the confirmed state, before its network starts.",
    topology: TOPOLOGY,
    run: power_cut_in_window,
}];

const ROUTER: &str = "r2";

fn power_cut_in_window(stage: &mut Stage) -> Result<(), LabError> {
    let good = stage.lab.read_config(ROUTER)?;
    let broken = with_another_key(&good);
    claim(broken != good, || format!("nothing to break in\n{good}"))?;
    let before = outcomes(stage)?.len();
    stage.lab.write_config(ROUTER, &broken)?;
    let report = stage.lab.dlan_json(ROUTER, &["apply", "--confirm", "10m", "--force"])?;
    claim(report.pointer("/window/token").is_some(), || format!("no window is open: {report}"))?;
    claim(stage.lab.read_config(ROUTER)? == broken, || {
        "the broken configuration is not in place".to_owned()
    })?;
    let begun = Instant::now();
    stage.lab.reset(ROUTER, &Start::default())?;
    // Put back when the machine has booted, whether its agent has run or not.
    let back = stage.lab.read_config(ROUTER)?;
    claim(back == good, || format!("{ROUTER} has booted with\n{back}"))?;
    let booted = begun.elapsed().as_secs_f64();
    wait_until_whole(&stage.lab)?;
    wait_until_settled(&stage.lab, ROUTER)?;
    let wanted = "undone: the agent or the router ended before it was confirmed";
    wait::until(LIMIT, "the outcome in `dlan history`", || {
        let seen = outcomes(stage).map_err(|error| error.with_causes())?;
        match seen.get(before) {
            Some(outcome) if outcome == wanted => Ok(()),
            other => Err(format!("it is {other:?}")),
        }
    })?;
    stage.saw(format!(
        "the power cut in the window: the confirmed configuration is back at the end of the boot ({booted:.1} s), the mesh whole after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Returns a configuration whose first neighbor has another key.
fn with_another_key(good: &str) -> String {
    let mut parts = good.splitn(2, "option public_key '");
    let (head, tail) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let rest = tail.split_once('\'').map_or("", |(_, rest)| rest);
    format!("{head}option public_key 'HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw='{rest}")
}

fn outcomes(stage: &Stage) -> Result<Vec<String>, LabError> {
    let history = stage.lab.dlan_json(ROUTER, &["history"])?;
    let outcome = |entry: &Value| entry.get("outcome").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(history.as_array().map(|entries| entries.iter().map(outcome).collect()).unwrap_or_default())
}
