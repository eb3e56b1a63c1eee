//! The role rolls a mesh out from an inventory of its predecessor, over ssh, router by router.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::agent::{CONFIG, dlan_program};
use crate::error::LabError;
use crate::lab::write_file;
use crate::layout::{INTERNET, LAN, WAN};
use crate::node::Node;
use crate::scenarios::{Scenario, Stage, claim};
use crate::topology::Router;
use crate::{command, ssh, tools, wait};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "playbook",
    claim: "From an inventory of the predecessor the role brings three fresh routers up over ssh, changes nothing the second time, one router's one thing when one variable changes, and no router by a bad inventory; cut off in the middle it leaves every router confirmed or back.",
    topology: "three",
    run: playbook,
}];

const LIMIT: Duration = Duration::from_secs(90);
/// The router whose apply is cut off before it is confirmed: the second of three.
const MIDDLE: &str = "r2";
/// Where the role lies.
const ROLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ansible");
/// What is put aside of a router while the role has it.
pub(super) const KEPT: &str = "/etc/dlan.kept";

fn playbook(stage: &mut Stage) -> Result<(), LabError> {
    let operator = Operator::new(stage)?;
    let configs = borrow_routers(stage, &operator)?;
    let result = operator.key().and_then(|()| roll_out(stage, &operator));
    give_back(stage, &operator, &configs)?;
    result
}

/// Makes all routers ones on which dlan never ran and into which the operator can log in; returns their configurations.
pub(super) fn borrow_routers(stage: &Stage, operator: &Operator) -> Result<Vec<(String, String)>, LabError> {
    let mut configs = Vec::new();
    for router in &stage.lab.topology.routers {
        configs.push((router.name.clone(), stage.lab.read_config(&router.name)?));
        make_fresh(stage, &router.name)?;
        ssh::open(stage.lab.node(&router.name)?, &operator.node)?;
    }
    Ok(configs)
}

/// Makes the routers what they were, and waits until the mesh is whole.
pub(super) fn give_back(
    stage: &Stage,
    operator: &Operator,
    configs: &[(String, String)],
) -> Result<(), LabError> {
    operator.end();
    for (name, config) in configs {
        ssh::close(stage.lab.node(name)?)?;
        bring_back(stage, name, config)?;
    }
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

fn roll_out(stage: &mut Stage, operator: &Operator) -> Result<(), LabError> {
    let good = Inventory::default();
    refuse_bad(stage, operator)?;
    let first = operator.plays("deploy", &good, &[])?;
    claim(first.succeeded && first.changed.values().all(|changed| *changed > 0), || first.said.clone())?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    stage.saw(format!("three fresh routers, {} s for the playbook; the mesh is whole", first.seconds));
    let second = operator.plays("deploy", &good, &[])?;
    claim(second.succeeded && second.changed.values().all(|changed| *changed == 0), || {
        format!("the second run changes something:\n{}", second.said)
    })?;
    stage.saw(format!("the second run: changed=0 on every router, {} s", second.seconds));
    change_one(stage, operator)?;
    cut_off(stage, operator)
}

/// No router is touched by an inventory that is refused, nor by one that is only looked at.
fn refuse_bad(stage: &mut Stage, operator: &Operator) -> Result<(), LabError> {
    let bad = Inventory::default().with("dlan_loopback_subnet_ipv4: 10.1.1.0/33");
    let run = operator.plays("deploy", &bad, &[])?;
    let is_named = run.said.contains("r1: dlan_loopback_subnet_ipv4: '10.1.1.0/33' is not an IPv4 network");
    claim(!run.succeeded && is_named, || format!("a bad inventory is not refused:\n{}", run.said))?;
    let checked = operator.plays("deploy", &Inventory::default(), &["--check", "--diff"])?;
    claim(checked.succeeded && checked.said.contains("+config mesh 'mesh'"), || {
        format!("check mode does not show the difference:\n{}", checked.said)
    })?;
    for router in &stage.lab.topology.routers {
        let node = stage.lab.node(&router.name)?;
        claim(!node.path(CONFIG).exists() && !node.path("/etc/dlan/wg.key").exists(), || {
            format!("{} was touched", router.name)
        })?;
    }
    stage.saw("a bad inventory is refused by host and variable, check mode shows the difference, and no router was touched");
    Ok(())
}

fn change_one(stage: &mut Stage, operator: &Operator) -> Result<(), LabError> {
    let others = [stage.lab.read_config("r1")?, stage.lab.read_config("r3")?];
    let changed = Inventory { cost: 77, ..Inventory::default() };
    let looked = operator.plays("deploy", &changed, &["--check"])?;
    claim(looked.changed.get(MIDDLE) == Some(&1), || format!("check mode sees nothing:\n{}", looked.said))?;
    let run = operator.plays("deploy", &changed, &[])?;
    let counts: Vec<u64> =
        ["r1", MIDDLE, "r3"].iter().filter_map(|name| run.changed.get(*name)).copied().collect();
    claim(run.succeeded && counts == [0, 1, 0], || {
        format!("{counts:?} and not one thing of r2:\n{}", run.said)
    })?;
    let history = stage.lab.dlan_json(MIDDLE, &["history"])?;
    let diff =
        history.as_array().and_then(|entries| entries.last()?.get("diff")?.as_str()).unwrap_or_default();
    let lines: Vec<&str> = diff.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    claim(lines.len() == 2 && lines.iter().all(|line| line.contains("option cost")), || {
        format!("more than the cost changed: {diff}")
    })?;
    let seen = [stage.lab.read_config("r1")?, stage.lab.read_config("r3")?];
    claim(seen == others, || "the other routers' configurations changed".to_owned())?;
    stage.saw("one variable of r2 changed: r1 changed=0, r2 changed=1, r3 changed=0, and the cost is all that differs");
    Ok(())
}

/// Ends the playbook while the second router waits to be confirmed.
fn cut_off(stage: &mut Stage, operator: &Operator) -> Result<(), LabError> {
    let names = ["r1", MIDDLE, "r3"];
    let before = configs(stage, &names)?;
    // Another domain is another configuration for everybody.
    let inventory = Inventory { cost: 77, ..Inventory::default() }.with("dlan_domain: elsewhere");
    let mut child = operator.command("deploy", &inventory, &["-e", "dlan_confirm_time=30s"])?;
    child.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    let mut child = child.spawn().map_err(|source| LabError::Node {
        node: INTERNET.to_owned(),
        why: format!("cannot start ansible-playbook: {source}"),
    })?;
    let window = wait::until(LIMIT, "r2 to wait for its confirmation", || {
        match stage.lab.dlan_json(MIDDLE, &["window"]) {
            Ok(window) if !window.is_null() => Ok(window),
            Ok(_) => Err("no window".to_owned()),
            Err(error) => Err(error.with_causes()),
        }
    });
    operator.end();
    let _ = child.wait();
    window?;
    wait::until(LIMIT, "every window to be over", || {
        for name in names {
            match stage.lab.dlan_json(name, &["window"]) {
                Ok(Value::Null) => {}
                Ok(window) => return Err(format!("{name}: {window}")),
                Err(error) => return Err(error.with_causes()),
            }
        }
        Ok(())
    })?;
    let after = configs(stage, &names)?;
    let is_new = |text: &String| text.contains("option domain 'elsewhere'");
    let states: Vec<bool> = after.iter().map(is_new).collect();
    let is_whole = after.iter().zip(&before).all(|(after, before)| is_new(after) || after == before);
    claim(is_whole && states == [true, false, false], || {
        format!("r1 confirmed, r2 back and r3 untouched is expected, not {states:?}")
    })?;
    stage.saw("a playbook killed while r2 waited: r1 is confirmed, r2 back, r3 untouched");
    let run = operator.plays("deploy", &inventory, &[])?;
    claim(run.succeeded && run.changed.get("r1") == Some(&0) && run.changed.get("r3") == Some(&1), || {
        format!("the next run does not go on from there:\n{}", run.said)
    })?;
    stage.lab.wait_for_adjacencies(LIMIT)
}

fn configs(stage: &Stage, names: &[&str]) -> Result<Vec<String>, LabError> {
    names.iter().map(|name| stage.lab.read_config(name)).collect()
}

/// Makes a router one on which dlan never ran.
fn make_fresh(stage: &Stage, name: &str) -> Result<(), LabError> {
    stage.lab.stop_agent(name)?;
    stage.lab.dlan(name, &["down"])?;
    let node = stage.lab.node(name)?;
    let failed = |path: &Path, source| LabError::File { act: "put aside", path: path.to_owned(), source };
    let own = node.path("/etc/dlan");
    fs::rename(&own, node.path(KEPT)).map_err(|source| failed(&own, source))?;
    let config = node.path(CONFIG);
    fs::remove_file(&config).map_err(|source| failed(&config, source))
}

/// Makes a router what it was in the lab.
fn bring_back(stage: &Stage, name: &str, config: &str) -> Result<(), LabError> {
    stage.lab.stop_agent(name)?;
    let node = stage.lab.node(name)?;
    if node.path(CONFIG).exists() {
        stage.lab.dlan(name, &["down"])?;
    }
    let own = node.path("/etc/dlan");
    // Not there when the role never came so far.
    let _ = fs::remove_dir_all(&own);
    fs::rename(node.path(KEPT), &own).map_err(|source| LabError::File {
        act: "bring back",
        path: own,
        source,
    })?;
    stage.lab.write_config(name, config)?;
    stage.lab.start_agent(name)
}

/// What an inventory says besides what follows from the topology.
pub(super) struct Inventory {
    /// Lines with variables of every router.
    pub(super) every: Vec<String>,
    /// A line with a variable of one router, by its name.
    pub(super) own: BTreeMap<String, String>,
    /// The cost of r2's link to r1.
    cost: u16,
}

impl Default for Inventory {
    fn default() -> Self {
        Self { every: Vec::new(), own: BTreeMap::new(), cost: 10 }
    }
}

impl Inventory {
    /// Adds a variable of every router.
    fn with(mut self, line: &str) -> Self {
        self.every.push(line.to_owned());
        self
    }
}

/// What became of a playbook.
pub(super) struct Run {
    pub(super) succeeded: bool,
    /// `changed=` by router.
    pub(super) changed: BTreeMap<String, u64>,
    pub(super) said: String,
    seconds: u64,
}

/// Who rolls out, at the internet.
pub(super) struct Operator {
    node: Node,
    routers: Vec<Router>,
    /// What starts an agent on any of them.
    start_command: String,
    /// Where the inventory and ansible's own files lie, in the node.
    home: &'static str,
}

impl Operator {
    pub(super) fn new(stage: &Stage) -> Result<Self, LabError> {
        let node = stage.lab.node(INTERNET)?.clone();
        let home = "/run/ansible";
        let path = node.path(home);
        fs::create_dir_all(&path).map_err(|source| LabError::File { act: "make", path, source })?;
        let routers = stage.lab.topology.routers.clone();
        Ok(Self { node, routers, start_command: start_command()?, home })
    }

    /// Makes the key that ansible logs in with.
    pub(super) fn key(&self) -> Result<(), LabError> {
        ssh::openssh_key(&self.node).map(drop)
    }

    /// Runs a playbook to its end.
    pub(super) fn plays(
        &self,
        playbook: &str,
        inventory: &Inventory,
        arguments: &[&str],
    ) -> Result<Run, LabError> {
        let begun = std::time::Instant::now();
        let output = command::output(&mut self.command(playbook, inventory, arguments)?, "")?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let recap = said.rsplit("PLAY RECAP").next().unwrap_or_default();
        let changed = recap.lines().filter_map(|line| {
            let (name, counts) = line.split_once(':')?;
            let changed = counts.split("changed=").nth(1)?.split_whitespace().next()?;
            Some((name.trim().to_owned(), changed.parse().ok()?))
        });
        let changed = changed.collect();
        Ok(Run { succeeded: output.status.success(), changed, said, seconds: begun.elapsed().as_secs() })
    }

    fn command(
        &self,
        playbook: &str,
        inventory: &Inventory,
        arguments: &[&str],
    ) -> Result<Command, LabError> {
        write_file(&self.node.path(&format!("{}/hosts.yml", self.home)), &self.inventory(inventory)?)?;
        let program = tools::program("ansible", "bin/ansible-playbook")?;
        let role = PathBuf::from(ROLE);
        let playbook = role.join(format!("playbooks/{playbook}.yml")).display().to_string();
        let inventory = format!("{}/hosts.yml", self.home);
        let words = [&["-i", inventory.as_str(), playbook.as_str()], arguments].concat();
        let mut command = self.node.command(&program, &words);
        command.env("HOME", self.home).env("ANSIBLE_CONFIG", role.join("ansible.cfg"));
        command.env("ANSIBLE_NOCOLOR", "1").env("ANSIBLE_HOME", format!("{}/.ansible", self.home));
        command.env("ANSIBLE_LOCAL_TEMP", format!("{}/tmp", self.home)).env("LC_ALL", "C.UTF-8");
        Ok(command)
    }

    /// Ends everything of ansible's at once.
    fn end(&self) {
        let is_ansible = |arguments: &[String]| {
            arguments
                .iter()
                .take(2)
                .any(|it| it.ends_with("ansible-playbook") || it.starts_with("ssh") || it.ends_with("/ssh"))
        };
        for pid in self.node.processes(is_ansible) {
            crate::node::end_process(pid);
        }
    }

    /// The inventory as the predecessor's users write it, and how to get at the routers.
    fn inventory(&self, wanted: &Inventory) -> Result<String, LabError> {
        let mut text = String::new();
        let mut line = |text_of: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{text_of}");
        };
        line("all:\n  vars:".to_owned());
        line("    ansible_user: root\n    ansible_ssh_private_key_file: /run/operator.openssh".to_owned());
        line("    ansible_ssh_common_args: -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR".to_owned());
        line(format!("    dlan_program: {}", dlan_program()?.display()));
        line(format!("    dlan_start_command: \"{}\"", self.start_command));
        line("    dlan_ospf_psk: a secret of the lab".to_owned());
        line("    dlan_wg_psk: BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=".to_owned());
        for variable in &wanted.every {
            line(format!("    {variable}"));
        }
        line("  hosts:".to_owned());
        for (index, router) in self.routers.iter().enumerate() {
            line(format!("    {}:", router.name));
            line(format!("      ansible_host: {}", wan_address(router)));
            line(format!("      dlan_host_id: {}", router.host_id));
            line(format!("      dlan_wan_interfaces_configuration:\n        {WAN}: {{}}"));
            line(format!("      dlan_lan_interfaces_configuration:\n        {LAN}:"));
            line(format!("          subnet_ipv4: {}", router.lan_ipv4.trunc()));
            line(format!("          subnet_ipv6: {}", router.lan_ipv6.trunc()));
            if let Some(variable) = wanted.own.get(&router.name) {
                line(format!("      {variable}"));
            }
            line("      dlan_links:".to_owned());
            // A chain: each calls those before and behind it.
            let around = [index.checked_sub(1), index.checked_add(1)];
            for neighbor in around.into_iter().flatten().filter_map(|at| self.routers.get(at)) {
                let cost = if router.name == MIDDLE && neighbor.host_id == 1 { wanted.cost } else { 10 };
                line(format!(
                    "        {}: {{ host: {}, cost: {cost} }}",
                    neighbor.name,
                    wan_address(neighbor)
                ));
            }
        }
        Ok(text)
    }
}

pub(super) fn wan_address(router: &Router) -> String {
    router.wan_ipv4.split('/').next().unwrap_or_default().to_owned()
}

/// Returns what starts a router's agent as a service manager would: it outlives the login that started it.
fn start_command() -> Result<String, LabError> {
    let mut words = vec!["env".to_owned()];
    for (name, value) in tools::environment()? {
        words.push(format!("{name}={}", value.to_string_lossy()));
    }
    let (words, program) = (words.join(" "), dlan_program()?);
    Ok(format!("{words} setsid -f {} agent >> /run/agent.log 2>&1 < /dev/null", program.display()))
}
