//! What can be done while no agent runs: look at the kernel, plan, and take everything down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::output::Output;
use super::{ASK_DEADLINE, configuration};
use crate::causes::with_causes;
use crate::cli::{EXIT_CONFIG_REJECTED, EXIT_FAILED, EXIT_OK};
use crate::config::{self, Config};
use crate::control::CONTROL_SOCKET;
use crate::control::apply_report::PlanReport;
use crate::control::client::{self, ClientError};
use crate::control::protocol::{Reply, Request};
use crate::control::report::{Problem, Severity, Status};
use crate::control::service_report::ServicesReport;
use crate::daemon::snapshot::{self, AgentView};
use crate::daemon::{AgentPaths, CHECKPOINT_FILE, forget_round_trips, last_good, recover, system_config};
use crate::desired::boot_ruleset;
use crate::drain;
use crate::lock::{AgentLock, LockError, RUN_DIRECTORY};
use crate::openings::Openings;
use crate::reconcile::Reconciler;
use crate::show;
use crate::state::State;
use crate::state::facts::Facts;
use crate::state::marks::Marks;
use crate::system::{System, nftables};

/// How long an agent that was told to end may take.
const END_DEADLINE: Duration = Duration::from_secs(10);
/// How often it is looked whether it has ended.
const END_POLL: Duration = Duration::from_millis(50);

/// Returns what the kernel still does.
pub(super) async fn status(output: &Output, file: &Path) -> Result<Status, u8> {
    let (config, config_errors) = match config::load(file) {
        Ok(loaded) => (loaded.config, Vec::new()),
        Err(errors) => {
            let text = errors.to_string();
            match last_good(Path::new(CHECKPOINT_FILE)) {
                Some(loaded) => (loaded.config, text.lines().map(str::to_owned).collect()),
                None => {
                    output.error(
                        "no agent is running, and there is no configuration that says what to look for",
                    );
                    output.lines_to_error(&text);
                    return Err(super::EXIT_NOT_RUNNING);
                }
            }
        }
    };
    let system = open(output)?;
    let known = observe(output, &system, &config).await?;
    // The key is only looked for, not made: nothing changes by asking.
    let facts = if config.mesh.private_key_file.exists() { system.gather(&config).await.ok() } else { None };
    let seen = system.links().wireguard(&config.mesh.wg_device).await.map(|seen| seen.peers);
    let seen = seen.unwrap_or_default();
    let links = config.links.iter();
    let peers = links.filter_map(|link| Some((link.host_id, *seen.get(&link.public_key)?))).collect();
    let view = AgentView {
        uptime_seconds: None,
        mtu_configured: BTreeMap::new(),
        is_drained: drain::is_drained(Path::new(drain::DRAINED_FILE)),
        config_errors,
        facts,
        known,
        peers,
        resolve_errors: BTreeMap::new(),
        refused: BTreeMap::new(),
        repaired: None,
        apply_failure: None,
        program_errors: BTreeMap::new(),
        occupied: BTreeSet::new(),
        qualities: BTreeMap::new(),
        name_conflicts: BTreeSet::new(),
        name_server_refused: BTreeMap::new(),
        window: None,
        services: ServicesReport::default(),
        config,
    };
    let mut status = snapshot::status(&view, None);
    status.problems.insert(0, not_running(&view));
    Ok(status)
}

fn not_running(view: &AgentView) -> Problem {
    let what = if view.known.links.is_empty() {
        "no agent is running, and nothing of dlan's is on this router".to_owned()
    } else {
        "no agent is running: what stands goes on, but no route follows a change in the mesh".to_owned()
    };
    let next_step = match view.config_errors.first() {
        Some(error) => format!("correct the configuration ({error}), then start the agent"),
        None => "start it with `dlan agent`, or by the system's service manager".to_owned(),
    };
    Problem { severity: Severity::Error, what, next_step }
}

/// Prints what an agent would do when it is started.
pub(super) async fn plan(output: &Output, file: &Path) -> u8 {
    match try_plan(output, file).await {
        Ok(report) => {
            output.result(&report, || format!("{}No agent is running.\n", show::plan(&report)));
            EXIT_OK
        }
        Err(code) => code,
    }
}

async fn try_plan(output: &Output, file: &Path) -> Result<PlanReport, u8> {
    let config = configuration::load(output, file)?.config;
    let system = open(output)?;
    let observed = observe(output, &system, &config).await?;
    let facts: Facts = system.gather(&config).await.map_err(|error| failed(output, &error.with_causes()))?;
    let plan = Reconciler::new().preview(&config, &facts, &observed);
    let plan = plan.map_err(|error| failed(output, &error.to_string()))?;
    Ok(snapshot::plan(&plan, Vec::new()))
}

/// Ends the agent, and removes everything that carries dlan's mark.
pub(super) async fn down(output: &Output, file: &Path) -> u8 {
    // No agent may start while everything is taken away under it.
    let lock = match end_agent(output, Path::new(CONTROL_SOCKET), Path::new(RUN_DIRECTORY)).await {
        Ok(lock) => lock,
        Err(code) => return code,
    };
    let config = config::load(file).ok().or_else(|| last_good(Path::new(CHECKPOINT_FILE)));
    let marks = config.map(|loaded| Marks::of(&loaded.config.mesh));
    let system = match open(output) {
        Ok(system) => system,
        Err(code) => return code,
    };
    match system.down(marks.as_ref()).await {
        Ok((_, outcome)) if outcome.is_success() => {
            if let Err(error) = forget_round_trips(Path::new(RUN_DIRECTORY)) {
                return failed(output, &format!("cannot forget the round-trip times: {error}"));
            }
            if let Err(error) = lock.remove() {
                return failed(output, &with_causes(&error));
            }
            // What others have put into it stays.
            let _ = fs::remove_dir(RUN_DIRECTORY);
            output.result(&outcome, || match outcome.applied {
                0 => "Nothing of dlan's was there.\n".to_owned(),
                count => format!("Removed: {count} steps. Configuration and keys stay.\n"),
            });
            EXIT_OK
        }
        Ok((_, outcome)) => {
            output.result(&outcome, || outcome.to_string());
            EXIT_FAILED
        }
        Err(error) => failed(output, &error.with_causes()),
    }
}

/// Prints the filter that holds before any agent runs, or gives it to nftables unless a filter stands.
pub(super) async fn firewall(output: &Output, file: &Path, load: bool) -> u8 {
    match try_firewall(output, file, load).await {
        Ok(()) => EXIT_OK,
        Err(code) => code,
    }
}

/// Returns the configuration that the next start runs by: the last good one if that on disk is rejected.
fn config_of_next_start(output: &Output, file: &Path) -> Result<Config, u8> {
    match (config::load(file), last_good(Path::new(CHECKPOINT_FILE))) {
        (Ok(loaded), _) | (Err(_), Some(loaded)) => Ok(loaded.config),
        (Err(errors), None) => {
            output.lines_to_error(&errors.to_string());
            Err(EXIT_CONFIG_REJECTED)
        }
    }
}

/// Prints what a firewall of the system's own must let in from WANs once an agent has started.
pub(super) fn openings(output: &Output, file: &Path) -> u8 {
    match config_of_next_start(output, file) {
        Ok(config) => {
            let openings = Openings::of(&config);
            output.result(&openings, || openings.to_string());
            EXIT_OK
        }
        Err(code) => code,
    }
}

async fn try_firewall(output: &Output, file: &Path, load: bool) -> Result<(), u8> {
    let config = config_of_next_start(output, file)?;
    let ruleset = boot_ruleset(&config).map_err(|error| failed(output, &error.to_string()))?;
    if !load {
        let transaction = nftables::replacement(Some(&ruleset), &[]);
        output.result(&transaction, || format!("{transaction}\n"));
        return Ok(());
    }
    #[derive(Serialize)]
    struct Loaded {
        loaded: bool,
    }
    let loaded = nftables::load(&ruleset).await.map_err(|error| failed(output, &with_causes(&error)))?;
    output.result(&Loaded { loaded }, || {
        let text =
            if loaded { "The filter stands." } else { "A filter stands already; it was left as it is." };
        format!("{text}\n")
    });
    Ok(())
}

/// Returns to the last confirmed state if an apply was cut short.
pub(super) fn recover_state(output: &Output, file: &Path) -> u8 {
    // A running agent has its own window.
    let _lock = match AgentLock::take(Path::new(RUN_DIRECTORY)) {
        Ok(lock) => lock,
        Err(error) => return failed(output, &with_causes(&error)),
    };
    #[derive(Serialize)]
    struct Recovered {
        returned: bool,
    }
    match recover(&AgentPaths::new(file)) {
        Ok(returned) => {
            output.result(&Recovered { returned }, || {
                let text = if returned {
                    "An apply was cut short before it was confirmed: the state before it is back."
                } else {
                    "Nothing was cut short."
                };
                format!("{text}\n")
            });
            EXIT_OK
        }
        Err(error) => failed(output, &with_causes(&error)),
    }
}

/// Tells a running agent to end, and waits until it has, for one too that is ending already and does not listen any more; then no
/// other can start.
async fn end_agent(output: &Output, socket: &Path, run_directory: &Path) -> Result<AgentLock, u8> {
    match client::ask(socket, &Request::Stop {}, ASK_DEADLINE).await {
        Ok(Reply::Stopping) | Err(ClientError::NotRunning { .. } | ClientError::Io { .. }) => {}
        Ok(Reply::Refused(refusal)) => return Err(super::refused(output, &refusal)),
        Ok(_) => return Err(failed(output, "the agent answered something else than was asked")),
        Err(error) => return Err(failed(output, &with_causes(&error))),
    }
    let ended = async {
        loop {
            match AgentLock::take(run_directory) {
                Err(LockError::Held { .. }) => tokio::time::sleep(END_POLL).await,
                taken => return taken,
            }
        }
    };
    let taken = tokio::time::timeout(END_DEADLINE, ended).await;
    taken
        .map_err(|_| failed(output, "the agent does not end"))?
        .map_err(|error| failed(output, &with_causes(&error)))
}

pub(super) fn open(output: &Output) -> Result<System, u8> {
    System::open(system_config()).map_err(|error| failed(output, &error.with_causes()))
}

pub(super) async fn observe(output: &Output, system: &System, config: &Config) -> Result<State, u8> {
    system.observe(&Marks::of(&config.mesh)).await.map_err(|error| failed(output, &error.with_causes()))
}

pub(super) fn failed(output: &Output, text: &str) -> u8 {
    output.error(text);
    EXIT_FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_agent_that_is_ending_already_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        // It closes its connections unanswered, and holds its lock until it is through.
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let lock = AgentLock::take(directory.path()).unwrap();
        let agent = async {
            drop(listener.accept().await.unwrap());
            tokio::time::sleep(3 * END_POLL).await;
            lock.remove().unwrap();
        };
        let output = Output::new(false);
        let (ended, ()) = tokio::join!(end_agent(&output, &socket, directory.path()), agent);
        assert!(ended.is_ok(), "{:?}", ended.err());
    }
}
