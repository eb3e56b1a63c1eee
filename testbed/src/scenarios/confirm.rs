//! An apply that nobody confirms is undone, whatever it broke.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::LabError;
use crate::lab::write_file;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "unconfirmed",
        claim: "An apply that cuts the router off, unconfirmed, is undone: the operator has the router back after the window.",
        topology: "two",
        run: unconfirmed,
    },
    Scenario {
        name: "window-and-crash",
        claim: "An agent killed in a window starts with the state before the apply; so does one behind a power cut.",
        topology: "two",
        run: window_and_crash,
    },
    Scenario {
        name: "confirmed",
        claim: "A window is kept by its token or by what is required to answer; a second apply, and a stale word, are refused.",
        topology: "two",
        run: confirmed,
    },
];

const LIMIT: Duration = Duration::from_secs(60);
/// The router that is changed, and the operator's host behind the other one.
const ROUTER: &str = "r1";
const OPERATOR: &str = "s2";
/// The file of another program that goes with the configuration in one of the cases: a firewall that lets nobody in.
const FIREWALL: &str = "/etc/nftables-lab.conf";
const SHUT: &str =
    "table inet shut {\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n";
/// What has changed files of others read again.
const RELOAD: &str = "/etc/lab-reload";
const RELOAD_SCRIPT: &str = "#!/bin/sh\nnft delete table inet shut 2>/dev/null\n[ ! -e /etc/nftables-lab.conf ] || nft -f /etc/nftables-lab.conf\n";

/// What is broken, and how a configuration is changed for that.
type Break = (&'static str, fn(&str) -> String);

/// Changes to a configuration that cut its router off.
const BREAKS: &[Break] = &[
    ("a wrong endpoint", |good| replace_option(good, "endpoint", "203.0.113.77:51820")),
    ("a wrong key", |good| {
        replace_option(good, "public_key", "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=")
    }),
    ("the highest cost", |good| replace_option(good, "cost", "65535")),
    ("another host id", |good| good.replacen("option host_id '1'", "option host_id '9'", 1)),
];

fn unconfirmed(stage: &mut Stage) -> Result<(), LabError> {
    let good = prepare(stage)?;
    for (what, broken) in BREAKS {
        let text = broken(&good);
        claim(text != good, || format!("{what}: nothing to change in\n{good}"))?;
        stage.lab.write_config(ROUTER, &text)?;
        try_unconfirmed(stage, what, &good, &["apply", "--confirm", "6s", "--force"])?;
    }
    // The operator's own files go back as well, and are read again.
    let staged = stage.lab.node(ROUTER)?.path("/etc/staged");
    make_directory(&staged.join("etc"))?;
    write_file(&staged.join("etc/nftables-lab.conf"), SHUT)?;
    try_unconfirmed(
        stage,
        "a firewall that lets nobody in",
        &good,
        &["apply", "--confirm", "6s", "--stage", "/etc/staged"],
    )?;
    claim(!stage.lab.node(ROUTER)?.path(FIREWALL).exists(), || format!("{FIREWALL} is still there"))?;
    clean_up(stage)
}

/// Tries an apply in a window, lets it run out, and says how long the operator was cut off.
fn try_unconfirmed(stage: &mut Stage, what: &str, good: &str, apply: &[&str]) -> Result<(), LabError> {
    let before = applies(stage)?.len();
    let begun = Instant::now();
    let code = stage.lab.dlan_exit_code(ROUTER, apply)?;
    claim(matches!(code, Some(0 | 1)), || format!("{what}: `dlan {}` ends with {code:?}", apply.join(" ")))?;
    let is_cut_off = !stage.lab.pings(OPERATOR, "s1", true)?;
    wait_for_outcome(stage, before, "undone: not confirmed in time")?;
    let window = begun.elapsed();
    wait_until_whole(stage, what)?;
    claim(stage.lab.read_config(ROUTER)? == good, || format!("{what}: the configuration did not come back"))?;
    let seen = if is_cut_off { "cut off" } else { "not cut off" };
    let back = (begun.elapsed() - window).as_secs_f64();
    let window = window.as_secs_f64();
    stage.saw(format!("{what}: the operator is {seen}; undone after {window:.1} s, whole {back:.1} s later"));
    Ok(())
}

fn window_and_crash(stage: &mut Stage) -> Result<(), LabError> {
    let good = prepare(stage)?;
    let broken = replace_option(&good, "public_key", "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=");
    for is_power_cut in [false, true] {
        let before = applies(stage)?.len();
        stage.lab.write_config(ROUTER, &broken)?;
        stage.lab.dlan(ROUTER, &["apply", "--confirm", "10m", "--force"])?;
        if is_power_cut {
            stage.lab.power_off(ROUTER)?;
            stage.lab.power_on(ROUTER)?;
        } else {
            stage.lab.kill_agent(ROUTER)?;
        }
        stage.lab.start_agent(ROUTER)?;
        let what = if is_power_cut { "a power cut in the window" } else { "an agent killed in the window" };
        wait_until_whole(stage, what)?;
        wait_for_outcome(stage, before, "undone: the agent or the router ended before it was confirmed")?;
        claim(stage.lab.read_config(ROUTER)? == good, || {
            format!("{what}: the configuration did not come back")
        })?;
        stage.saw(format!("{what}: the state before it is back"));
    }
    clean_up(stage)
}

fn confirmed(stage: &mut Stage) -> Result<(), LabError> {
    let good = prepare(stage)?;
    let other = replace_option(&good, "cost", "77");
    let apply = |stage: &Stage, text: &str, arguments: &[&str]| {
        stage.lab.write_config(ROUTER, text)?;
        stage.lab.dlan_json(ROUTER, &[&["apply"], arguments].concat())
    };
    let before = applies(stage)?.len();
    let report = apply(stage, &other, &["--confirm", "10m"])?;
    let token = report.pointer("/window/token").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (arguments, why) in [
        (vec!["apply"], "unconfirmed"),
        (vec!["confirm", "aaaa-aaaa", "--local"], "not the token"),
        (vec!["confirm", &token], "does not come through the network"),
    ] {
        refused(stage, &arguments, why)?;
    }
    let banner = stage.lab.dlan(ROUTER, &["window", "--banner"])?;
    claim(banner.contains(&format!("`dlan confirm {token}` keeps it")), || {
        format!("a login is told {banner:?}")
    })?;
    stage.saw(format!("a login is told: {}", banner.trim()));
    stage.lab.dlan(ROUTER, &["confirm", &token, "--local"])?;
    wait_for_outcome(stage, before, "confirmed")?;
    claim(stage.lab.read_config(ROUTER)? == other, || "what was confirmed did not stay".to_owned())?;
    refused(stage, &["confirm", &token, "--local"], "nothing waits")?;
    // By what answers: the neighbor and a host behind it; then by something that never does.
    let host = stage.lab.address_of(OPERATOR, false)?.to_string();
    apply(stage, &good, &["--confirm", "1m", "--require", "r2", "--require", &host])?;
    wait_for_outcome(stage, before + 1, "confirmed")?;
    apply(stage, &other, &["--confirm", "5s", "--require", "10.2.2.254"])?;
    wait_for_outcome(stage, before + 2, "undone: not confirmed in time")?;
    wait_until_whole(stage, "a window whose requirement never answers")?;
    stage.saw("a window closed by itself once r2 and a host behind it answered; one that required a silent address was undone");
    // Out of a window at once, and back to an earlier apply.
    apply(stage, &other, &["--confirm", "10m"])?;
    stage.lab.dlan(ROUTER, &["rollback"])?;
    claim(stage.lab.read_config(ROUTER)? == good, || {
        "rollback did not bring the configuration back".to_owned()
    })?;
    stage.lab.dlan(ROUTER, &["rollback"])?;
    claim(stage.lab.read_config(ROUTER)? == other, || "rollback did not bring the one before it".to_owned())?;
    stage.lab.dlan(ROUTER, &["rollback"])?;
    wait_until_whole(stage, "rollback")?;
    claim(stage.lab.read_config(ROUTER)? == good, || "rollback did not lead back".to_owned())?;
    clean_up(stage)
}

/// Applies the configuration as it is, with a program that reads the lab's firewall file.
fn prepare(stage: &mut Stage) -> Result<String, LabError> {
    let good = stage.lab.read_config(ROUTER)?;
    let with_reload = good.replacen(
        "option host_id '1'",
        &format!("option host_id '1'\n\toption reload_program '{RELOAD}'"),
        1,
    );
    stage.lab.node(ROUTER)?.write(RELOAD, RELOAD_SCRIPT)?;
    stage.lab.node(ROUTER)?.run("chmod", &["+x", RELOAD])?;
    stage.lab.write_config(ROUTER, &with_reload)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    Ok(with_reload)
}

fn clean_up(stage: &mut Stage) -> Result<(), LabError> {
    let text = stage.lab.read_config(ROUTER)?.replace(&format!("\n\toption reload_program '{RELOAD}'"), "");
    stage.lab.write_config(ROUTER, &text)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// Waits until the apply behind the first `before` ones has come to this outcome.
pub(super) fn wait_for_outcome(stage: &Stage, before: usize, outcome: &str) -> Result<(), LabError> {
    wait::until(LIMIT, "the outcome in `dlan history`", || {
        let applies = applies(stage).map_err(|error| error.with_causes())?;
        match applies.get(before) {
            Some(seen) if seen == outcome => Ok(()),
            seen => Err(format!("it is {seen:?}, not {outcome:?}")),
        }
    })
}

/// Returns what came of each apply in the history.
pub(super) fn applies(stage: &Stage) -> Result<Vec<String>, LabError> {
    let history = stage.lab.dlan_json(ROUTER, &["history"])?;
    let outcome = |entry: &Value| entry.get("outcome").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(history.as_array().map(|entries| entries.iter().map(outcome).collect()).unwrap_or_default())
}

/// Waits until the operator reaches the router's host and the router has nothing to do.
fn wait_until_whole(stage: &Stage, what: &str) -> Result<(), LabError> {
    wait::until(LIMIT, what, || {
        for is_ipv6 in [true, false] {
            match stage.lab.pings(OPERATOR, "s1", is_ipv6) {
                Ok(true) => {}
                Ok(false) => return Err("no answer from s1".to_owned()),
                Err(error) => return Err(error.with_causes()),
            }
        }
        match stage.lab.plans_nothing(ROUTER) {
            Ok(true) => Ok(()),
            Ok(false) => Err("`dlan plan` has plans".to_owned()),
            Err(error) => Err(error.with_causes()),
        }
    })
}

fn refused(stage: &Stage, arguments: &[&str], why: &str) -> Result<(), LabError> {
    let said = match stage.lab.dlan(ROUTER, arguments) {
        Ok(said) => format!("done: {said}"),
        Err(error) => error.with_causes(),
    };
    claim(!said.starts_with("done") && said.contains(why), || {
        format!("`dlan {}` is not refused with {why:?}: {said}", arguments.join(" "))
    })
}

/// Gives the only link another value for an option, which may not be there yet.
pub(super) fn replace_option(text: &str, option: &str, value: &str) -> String {
    let line = format!("\toption {option} '{value}'");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(link) = lines.iter().position(|line| line.starts_with("config link ")) else {
        return text.to_owned();
    };
    let here =
        lines.iter().skip(link).position(|line| line.trim_start().starts_with(&format!("option {option} ")));
    match here {
        Some(offset) => lines.splice(link + offset..=link + offset, [line]).for_each(drop),
        None => lines.insert(link + 1, line),
    }
    lines.join("\n") + "\n"
}

fn make_directory(path: &std::path::Path) -> Result<(), LabError> {
    std::fs::create_dir_all(path).map_err(|source| LabError::File {
        act: "make",
        path: path.to_owned(),
        source,
    })
}
