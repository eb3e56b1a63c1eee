//! Power cuts: in a window, and at any instant of an apply.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{LIMIT, TOPOLOGY, wait_until_settled, wait_until_whole};
use crate::agent_config;
use crate::error::LabError;
use crate::machine::qemu::Start;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "power-cut-in-window",
        claim: "A router that loses power while an apply waits to be confirmed boots into the confirmed state, before its network starts.",
        topology: TOPOLOGY,
        run: power_cut_in_window,
    },
    Scenario {
        name: "power-cuts-in-apply",
        claim: "Whenever the power goes during an apply, the router boots into the configuration before or the one after, whole, and does what it says.",
        topology: TOPOLOGY,
        run: power_cuts_in_apply,
    },
];

const ROUTER: &str = "r2";
/// How many times the power goes.
const CUTS: u32 = 10;

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

fn power_cuts_in_apply(stage: &mut Stage) -> Result<(), LabError> {
    let good = stage.lab.read_config(ROUTER)?;
    let begun = Instant::now();
    stage.lab.write_config(ROUTER, &with_costs(&good, 99))?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    // How long an apply takes here, and some time after it, in which the disk is still written.
    let span = begun.elapsed() * 3 / 2;
    let (mut instants, mut undone) = (Vec::new(), 0);
    for cut in 0..CUTS {
        let old = stage.lab.read_config(ROUTER)?;
        let new = with_costs(&good, 100 + cut);
        stage.lab.write_config(ROUTER, &new)?;
        stage.lab.node(ROUTER)?.run("sync", &[])?;
        let instant = span.mul_f64(random_share()?);
        cut_power_in_apply(stage, instant)?;
        stage.lab.boot(ROUTER, &Start::default())?;
        stage.lab.wait_for_boot(ROUTER)?;
        let text = stage.lab.read_config(ROUTER)?;
        claim(text == new || text == old, || {
            format!("cut {cut}, after {instant:?}: the configuration is neither, but\n{text}")
        })?;
        undone += usize::from(text == old);
        wait_until_settled(&stage.lab, ROUTER)?;
        instants.push(format!("{:.2}", instant.as_secs_f64()));
    }
    wait_until_whole(&stage.lab)?;
    stage.saw(format!(
        "power cut {} s after the beginning of an apply: booted into the configuration after it {} times, into that before it {undone} times, \
         with nothing left to do; the mesh is whole",
        instants.join(", "),
        instants.len() - undone
    ));
    stage.lab.write_config(ROUTER, &good)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    wait_until_settled(&stage.lab, ROUTER)
}

/// Returns a configuration with this cost on every link.
fn with_costs(text: &str, cost: u32) -> String {
    let set =
        |text: String, link: &&str| agent_config::with_link_option(&text, link, ("cost", &cost.to_string()));
    ["r1", "r3"].iter().fold(text.to_owned(), set)
}

/// Has the router apply what is in its file, and cuts its power when so much time has passed.
fn cut_power_in_apply(stage: &Stage, instant: Duration) -> Result<(), LabError> {
    let broken = |source| LabError::Asked(format!("cannot run `dlan apply`: {source}"));
    let mut apply = stage.lab.node(ROUTER)?.command("dlan", &["apply"]);
    apply.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut apply = apply.spawn().map_err(broken)?;
    // The instant of the cut is what is tried here.
    std::thread::sleep(instant);
    stage.lab.cut_power(ROUTER)?;
    // It waits for an answer that nobody is left to give.
    apply.kill().map_err(broken)?;
    apply.wait().map(drop).map_err(broken)
}

/// Returns a random number from 0 to 1.
fn random_share() -> Result<f64, LabError> {
    let mut octets = [0; 4];
    getrandom::fill(&mut octets).map_err(|error| LabError::Asked(error.to_string()))?;
    Ok(f64::from(u32::from_ne_bytes(octets)) / f64::from(u32::MAX))
}
