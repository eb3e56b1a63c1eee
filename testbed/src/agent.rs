//! The dlan agent in the lab's routers: secrets, configuration, start, kill, and what it answers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::agent_config;
use crate::command;
use crate::error::LabError;
use crate::lab::Lab;
use crate::node::{Node, own_program};
use crate::{tools, wait};

/// How long an agent may take to end, on a processor that is translated and shared.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(60);
/// Where a router's configuration is, in the router.
pub const CONFIG: &str = "/etc/config/dlan";
/// While this file is there, a machine's start-up does not start the agent.
pub const HOLD: &str = "/run/lab/hold";
/// What starts, ends and restarts the agent of a machine that is OpenWrt's.
const SERVICE: &str = "/etc/init.d/dlan";

impl Lab {
    /// Gives every router its secrets and configuration and starts its agent.
    pub fn start_mesh(&self, progress: &dyn Fn(&str)) -> Result<(), LabError> {
        let mut keys = BTreeMap::new();
        let secret = BASE64.encode(random_octets()?);
        let psk = BASE64.encode(random_octets()?);
        for router in &self.topology.routers {
            progress(&format!("making {}'s key", router.name));
            let node = self.node(&router.name)?;
            node.run("mkdir", &["-p", "-m", "0700", "/etc/dlan"])?;
            write_secret(node, agent_config::OSPF_SECRET_FILE, &secret)?;
            write_secret(node, agent_config::WG_PSK_FILE, &psk)?;
            self.write_config(&router.name, &agent_config::render(&self.topology, router, &keys))?;
            keys.insert(router.name.clone(), public_key(node)?);
        }
        for router in &self.topology.routers {
            self.write_config(&router.name, &agent_config::render(&self.topology, router, &keys))?;
        }
        // Those that are called come first, and listen before the others call: WireGuard calls again after 5 s only.
        let mut order: Vec<_> = self.topology.routers.iter().collect();
        order.sort_by_key(|router| router.home.is_some());
        for router in order {
            progress(&format!("starting the agent of {}", router.name));
            self.start_agent(&router.name)?;
            if router.home.is_none() {
                self.wait_for_links(&router.name)?;
            }
        }
        self.replace_foreign(progress)
    }

    /// Replaces a router's configuration file.
    pub fn write_config(&self, router: &str, text: &str) -> Result<(), LabError> {
        self.node(router)?.write(CONFIG, text)
    }

    /// Returns a router's configuration file.
    pub fn read_config(&self, router: &str) -> Result<String, LabError> {
        self.node(router)?.read(CONFIG)
    }

    /// Starts a router's agent; it logs to the lab's directory and outlives this program.
    pub fn start_agent(&self, router: &str) -> Result<(), LabError> {
        self.start_agent_of(router, &dlan_program()?)
    }

    /// Starts a router's agent out of this program.
    pub fn start_agent_of(&self, router: &str, program: &Path) -> Result<(), LabError> {
        let node = self.node(router)?;
        if node.is_machine {
            // Its own start-up keeps the agent running unless it is held.
            let start = format!("rm -f {HOLD}; [ ! -e {SERVICE} ] || {SERVICE} restart");
            node.run("sh", &["-c", &start])?;
            return Ok(());
        }
        let path = self.log(router);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|source| LabError::File { act: "open", path: path.clone(), source })?;
        let copy = log.try_clone().map_err(|source| LabError::File { act: "open", path, source })?;
        let mut command = node.command(&program.to_string_lossy(), &["agent"]);
        command.stdin(Stdio::null()).stdout(log).stderr(copy).process_group(0).envs(tools::environment()?);
        command.spawn().map(drop).map_err(|source| LabError::Node {
            node: router.to_owned(),
            why: format!("cannot start its agent: {source}"),
        })
    }

    /// Kills a router's agent, which gets no chance to do anything, and nothing else.
    pub fn kill_agent(&self, router: &str) -> Result<(), LabError> {
        let agents = self.agents(router)?;
        if agents.is_empty() {
            return Err(LabError::Node { node: router.to_owned(), why: "no agent runs there".to_owned() });
        }
        let node = self.node(router)?;
        if node.is_machine {
            node.run("touch", &[HOLD])?;
        }
        agents.into_iter().for_each(|pid| node.kill(pid));
        Ok(())
    }

    /// Tells a router's agent to end, as a service manager does before an upgrade, and waits until it has.
    pub fn stop_agent(&self, router: &str) -> Result<(), LabError> {
        let node = self.node(router)?;
        for pid in self.agents(router)? {
            // It may have ended by itself.
            if node.is_machine {
                let stop = format!(
                    "touch {HOLD}; if [ -e {SERVICE} ]; then {SERVICE} stop; else kill {pid} || true; fi"
                );
                node.run("sh", &["-c", &stop])?;
            } else {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
        }
        wait::until(STOP_LIMIT, &format!("{router}'s agent to end"), || match self.agents(router) {
            Ok(agents) if agents.is_empty() => Ok(()),
            Ok(_) => Err("it runs".to_owned()),
            Err(error) => Err(error.with_causes()),
        })
    }

    /// Returns the process ids of a router's agents, as its own kernel numbers them in a machine: none or one.
    pub fn agents(&self, router: &str) -> Result<Vec<i32>, LabError> {
        let node = self.node(router)?;
        Ok(node.processes(|arguments| {
            matches!(arguments, [program, command, ..] if program.ends_with("dlan") && command == "agent")
        }))
    }

    /// Runs `dlan` in a router and returns what it wrote.
    pub fn dlan(&self, router: &str, arguments: &[&str]) -> Result<String, LabError> {
        Ok(self.node(router)?.run(&dlan_program()?.to_string_lossy(), arguments)?)
    }

    /// Runs `dlan` in a router and returns its exit code.
    pub fn dlan_exit_code(&self, router: &str, arguments: &[&str]) -> Result<Option<i32>, LabError> {
        let mut command = self.node(router)?.command(&dlan_program()?.to_string_lossy(), arguments);
        Ok(command::output(&mut command, "")?.status.code())
    }

    /// Runs `dlan --json` in a router and returns its answer.
    pub fn dlan_json(&self, router: &str, arguments: &[&str]) -> Result<Value, LabError> {
        let text = self.dlan(router, &[&["--json"], arguments].concat())?;
        serde_json::from_str(&text).map_err(|error| LabError::Node {
            node: router.to_owned(),
            why: format!("`dlan --json {}` is not JSON ({error}): {text}", arguments.join(" ")),
        })
    }

    /// Writes a router's configuration with another cost of one link and has it applied.
    pub fn set_cost(&self, router: &str, neighbor: &str, cost: u16) -> Result<(), LabError> {
        let text =
            agent_config::with_link_option(&self.read_config(router)?, neighbor, ("cost", &cost.to_string()));
        self.write_config(router, &text)?;
        self.dlan(router, &["apply"]).map(drop)
    }
}

/// Returns where the `dlan` program is: beside this one, unless the environment's `DLAN` says otherwise.
pub fn dlan_program() -> Result<PathBuf, LabError> {
    let beside = own_program()?.with_file_name("dlan");
    let program = std::env::var_os("DLAN").map_or(beside, PathBuf::from);
    if program.exists() {
        return Ok(program);
    }
    Err(LabError::Asked(format!(
        "there is no {}: `cargo build -p dlan-agent --features userspace-wireguard` builds it, DLAN names another",
        program.display()
    )))
}

/// Has a router make its key, and returns the public one.
fn public_key(node: &Node) -> Result<String, LabError> {
    let program = dlan_program()?;
    let mut command = node.command(&program.to_string_lossy(), &["--json", "key"]);
    let text = command::run(&mut command, "")?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    answer.get("public_key").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| LabError::Node {
        node: node.name.clone(),
        why: format!("`dlan --json key` names no public_key: {text}"),
    })
}

fn write_secret(node: &Node, path: &str, text: &str) -> Result<(), LabError> {
    node.write(path, &format!("{text}\n"))?;
    node.run("chmod", &["0600", path])?;
    Ok(())
}

fn random_octets() -> Result<[u8; 32], LabError> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets)
        .map_err(|error| LabError::Asked(format!("the system gives no random octets: {error}")))?;
    Ok(octets)
}

/// Returns whether a program can be found, for the checks before a lab is brought up.
pub fn is_installed(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
