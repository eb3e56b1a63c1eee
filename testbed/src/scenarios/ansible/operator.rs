//! Who rolls out from the internet's side: the inventory, and ansible run on it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::agent::dlan_program;
use crate::documents::{playbooks, played};
use crate::error::LabError;
use crate::lab::write_file;
use crate::layout::{INTERNET, LAN, WAN};
use crate::node::Node;
use crate::scenarios::{Stage, claim};
use crate::topology::Router;
use crate::{command, ssh, tools};

/// The router whose costs an inventory can change: the second of three.
pub(super) const MIDDLE: &str = "r2";
/// Variables of every router.
const EVERY: &str = "dlan_domain: lan
dlan_loopback_subnet_ipv4: 10.1.1.0/24
dlan_loopback_subnet_ipv6: fd00:0000:0001:0001::/64
dlan_wg_subnet_ipv4: 10.1.0.0/24
dlan_wg_subnet_ipv6: fd00:0000:0001:0000::/64
dlan_ospf_subnet_pool_ipv4: 10.0.0.0/16
dlan_upstream_dns_servers: [192.0.2.53]
dlan_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJbkl4RXNHXbSwkPkBLFmIoAvvWVNs4B8rGYVIsTmUGR operator]
dlan_uci_network_extras: \"config switch\"
dlan_uci_dhcp_extras: \"config host\"
dlan_uci_system_extras: \"config led\"
dlan_opkg_install: [tcpdump]
dlan_system_urandom_seed: \"1\"
dlan_nginx_status_port: 8081";
/// Variables of one router.
const OWN: [(&str, &str); 3] = [
    (
        "r1",
        "dlan_hostname: r1
      dlan_wg_port: 51820
      dlan_host_records: { 10.2.1.11: [www.example.com] }
      dlan_proxy:
        - name: web
          protocol: tcp
          use_proxy_protocol: true
          listen: [\"8080\"]
          upstreams: [\"10.2.1.11:8080\"]",
    ),
    ("r2", "dlan_hostname: r2"),
    (
        "r3",
        "dlan_wg_privkey: cAdtXAotQU7C0jrjPsZMSbIGm7BSbcSZ1FPWDn5nC0Q=
      dlan_wg_pubkey: /khGjSZd/Tf3wDkjpoGAOtfAlCFlVSMNXZI4kZozWDM=",
    ),
];
/// Where the role lies.
const ROLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ansible");

/// What an inventory says besides what follows from the topology.
pub(in crate::scenarios) struct Inventory {
    /// Lines with variables of every router.
    pub(in crate::scenarios) every: Vec<String>,
    /// Lines with variables of one router, by its name.
    pub(in crate::scenarios) own: BTreeMap<String, String>,
    /// The cost of r2's link to r1.
    pub(super) cost: u16,
}

impl Default for Inventory {
    fn default() -> Self {
        Self { every: Vec::new(), own: BTreeMap::new(), cost: 10 }
    }
}

impl Inventory {
    /// Every variable that the predecessor had: what follows from the topology is added to these.
    pub(super) fn full() -> Self {
        let every = EVERY.lines().map(str::to_owned).collect();
        let own = OWN.map(|(router, lines)| (router.to_owned(), lines.to_owned()));
        Self { every, own: own.into(), ..Self::default() }
    }

    /// Sets a variable of every router.
    pub(super) fn with(mut self, line: &str) -> Self {
        let name = |line: &str| line.split(':').next().map(str::to_owned);
        self.every.retain(|other| name(other) != name(line));
        self.every.push(line.to_owned());
        self
    }
}

/// What became of a playbook.
pub(in crate::scenarios) struct Run {
    pub(in crate::scenarios) succeeded: bool,
    /// `changed=` by router.
    pub(in crate::scenarios) changed: BTreeMap<String, u64>,
    pub(in crate::scenarios) said: String,
    pub(super) seconds: u64,
}

/// Who rolls out, at the internet.
pub(in crate::scenarios) struct Operator {
    pub(in crate::scenarios) node: Node,
    routers: Vec<Router>,
    /// How the routers come to the program, and what else the lab's routers want: lines of the inventory.
    program: Vec<String>,
    /// Where the inventory and ansible's own files lie, in the node.
    home: &'static str,
    /// The playbooks that were run, as the documents' are told apart.
    played: RefCell<BTreeSet<String>>,
}

impl Operator {
    pub(in crate::scenarios) fn new(stage: &Stage) -> Result<Self, LabError> {
        let node = stage.lab.node(INTERNET)?.clone();
        let home = "/run/ansible";
        let path = node.path(home);
        fs::create_dir_all(&path).map_err(|source| LabError::File { act: "make", path, source })?;
        let routers = stage.lab.topology.routers.clone();
        let program = vec![
            format!("dlan_program: {}", dlan_program()?.display()),
            format!("dlan_start_command: \"{}\"", start_command(&dlan_program()?)?),
        ];
        Ok(Self { node, routers, program, home, played: RefCell::default() })
    }

    /// Has the routers get the program by a package, and start it as their system does; login keys are in a file, where that is not the
    /// system's usual one.
    pub(in crate::scenarios) fn install(&mut self, package: &str, keys_file: Option<&str>) {
        self.program = vec![format!("dlan_package: {package}")];
        self.program.extend(keys_file.map(|file| format!("dlan_authorized_keys_file: {file}")));
    }

    /// Has the inventory say a line more, of every router.
    pub(in crate::scenarios) fn say(&mut self, line: &str) {
        self.program.push(line.to_owned());
    }

    /// Makes the key that ansible logs in with.
    pub(in crate::scenarios) fn key(&self) -> Result<(), LabError> {
        ssh::openssh_key(&self.node).map(drop)
    }

    /// Runs a playbook to its end.
    pub(in crate::scenarios) fn plays(
        &self,
        playbook: &str,
        inventory: &Inventory,
        arguments: &[&str],
    ) -> Result<Run, LabError> {
        let begun = std::time::Instant::now();
        let words = [&[playbook], arguments].concat().join(" ");
        self.played.borrow_mut().insert(played(&words));
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

    pub(in crate::scenarios) fn command(
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

    /// Claims that every playbook was run which the documents tell people to run, and which a scenario is to try.
    pub(in crate::scenarios) fn claim_played(&self, scenario: &str) -> Result<(), LabError> {
        let run = self.played.borrow();
        let missing: Vec<String> =
            playbooks(scenario).into_iter().filter(|playbook| !run.contains(playbook)).collect();
        claim(missing.is_empty(), || format!("the documents show what nothing ran: {}", missing.join("; ")))
    }

    /// Ends everything of ansible's at once.
    pub(in crate::scenarios) fn end(&self) {
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
        for variable in &self.program {
            line(format!("    {variable}"));
        }
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

pub(in crate::scenarios) fn wan_address(router: &Router) -> String {
    router.wan_ipv4.split('/').next().unwrap_or_default().to_owned()
}

/// Returns what starts a router's agent as a service manager would: it outlives the login that started it.
pub(super) fn start_command(program: &Path) -> Result<String, LabError> {
    let mut words = vec!["env".to_owned()];
    for (name, value) in tools::environment()? {
        words.push(format!("{name}={}", value.to_string_lossy()));
    }
    let words = words.join(" ");
    Ok(format!("{words} setsid -f {} agent >> /run/agent.log 2>&1 < /dev/null", program.display()))
}
