//! OpenWrt's own commands as the documents for operators show them, typed on a router that is one: from the package's installation by its
//! own package manager to its removal.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;

use super::{LIMIT, TOPOLOGY, wait_for_agent, wait_until_settled, wait_until_whole, without_bfd};
use crate::agent::CONFIG;
use crate::agent_config;
use crate::command;
use crate::documents::{DOCUMENTS, Elsewhere, commands, elsewhere};
use crate::error::LabError;
use crate::files::{read_file, write_file};
use crate::lab::Lab;
use crate::machine::login;
use crate::node::{Node, own_program};
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const NAME: &str = "openwrts-own";
pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: NAME,
    claim: "What the documents have people type on OpenWrt does there what they say, from the package's installation to its removal, \
            which leaves nothing of it; and procd, fw4 and dnsmasq do with it what they do with any service.",
    topology: TOPOLOGY,
    run: openwrts_own,
}];

const ROUTER: &str = "r2";
/// Where somebody who logs in comes from.
const OPERATOR: &str = "s2";
/// Another router, and its identity.
const OTHER: (&str, &str) = ("r3", "10.1.1.3");
/// Where a package is that is to be installed, and one of another version.
const PACKAGE: &str = "/tmp/dlan_0_x86_64.ipk";
const NEWER: &str = "/tmp/newer.ipk";
/// The version of that one.
const NEWER_VERSION: &str = "99";
/// Under what heading a router is set up step by step, and which comes behind.
const STEPS: (&str, &str) = ("## On an OpenWrt router", "## On Debian");

/// What is not typed, and why.
const UNTYPED: &[(&str, &str)] = &[
    ("apk --print-arch", "a release with apk has it, and this is one with opkg"),
    ("apk update", "a release with apk has it, and this is one with opkg"),
    ("apk add --allow-untrusted /tmp/dlan-*.apk", "a release with apk has it, and this is one with opkg"),
    ("apk del dlan", "a release with apk has it, and this is one with opkg"),
    ("opkg update", "it asks servers in the internet, which the lab has not"),
];

/// What is to have come of a command, once it was typed and has said something.
type Check = fn(&Lab, &str) -> Result<(), LabError>;

/// What is typed, and how it is seen that it did what the documents say.
const TYPED: &[(&str, Check)] = &[
    ("logread -e dlan", |_, said| contains(said, "settled")),
    ("nft list chain inet fw4 input_wan", |_, said| contains(said, "ubus:dlan")),
    ("nft list set inet fw4 dlan_udp4", |_, said| contains(said, &agent_config::LISTEN_PORT.to_string())),
    ("opkg install", has_upgraded),
    ("opkg install /tmp/dlan_*.ipk", is_installed),
    ("opkg install kmod-wireguard", |_, said| contains(said, "kmod-wireguard")),
    ("opkg print-architecture", |_, said| contains(said, "x86_64")),
    ("opkg remove dlan", has_gone),
    ("reload_config", |lab, _| waits_for_cost(lab, CHANGED_COST)),
    ("service dlan restart", |lab, _| wait_for_agent(lab, ROUTER).map(drop)),
    ("service dlan status", |_, said| contains(said, "running")),
    ("sysupgrade", |_, said| [CONFIG, "/etc/dlan/"].iter().try_for_each(|kept| contains(said, kept))),
    ("ubus -v list dlan", |_, said| contains(said, "\"neighbors\":{}")),
    ("ubus call dlan status", |lab, said| same_keys(said, &lab.dlan(ROUTER, &["status", "--json"])?)),
    ("uci show dhcp", |_, said| contains(said, "dhcp.lan=dhcp")),
    ("uci show firewall.dlan_from_lan", |_, said| contains(said, "firewall.dlan_from_lan.dest='dlan'")),
];
/// What a change of the configuration by hand makes a link cost.
const CHANGED_COST: u64 = 77;

/// Has a router print everything of ours that is on it, but for what a removal leaves to whoever installs the package again, what uci and
/// procd leave in memory of every package and service, and what the lab has brought.
const TRACES: &str = "find / /tmp -xdev -path /usr/lib/lab -prune -o -name '*dlan*' ! -path '/etc/config/dlan*' ! -path '/etc/dlan*' \
    ! -path '/tmp/dlan_*' ! -path '/tmp/.uci/*' ! -path '/tmp/lock/procd_*' -print
uci show | grep -v '^dlan[.]' | grep dlan
for what in tables sets chains; do nft list $what | grep dlan; done
ip -o link | grep dlan
ip -6 rule; ip -4 rule
ubus list | grep dlan
ubus call service list | grep -v /usr/lib/lab/ | grep dlan
crontab -l 2>/dev/null | grep dlan
true";

fn openwrts_own(stage: &mut Stage) -> Result<(), LabError> {
    let given = without_bfd(&stage.lab, ROUTER)?;
    let before = stage.lab.read_config(ROUTER)?;
    let mut typist = Typist { lab: &stage.lab, transcript: String::new(), typed: 0 };
    let told = typist.try_all(&before);
    let Typist { transcript, typed, .. } = typist;
    let file = own_program()?.ancestors().nth(2).map(|target| target.join("openwrt.txt")).unwrap_or_default();
    write_file(&file, &transcript)?;
    told?;
    stage.saw(format!("{typed} commands; what was typed and said is in {}", file.display()));
    stage.lab.write_config(ROUTER, &given)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    wait_until_whole(&stage.lab)
}

/// Somebody who logs in from a host for each command; what was said is kept.
struct Typist<'a> {
    lab: &'a Lab,
    transcript: String,
    typed: usize,
}

impl Typist<'_> {
    fn try_all(&mut self, before: &str) -> Result<(), LabError> {
        for command in shown("troubleshooting.md").filter(|command| is_openwrts(command)) {
            self.type_shown(&command)?;
        }
        self.services()?;
        self.bring_packages()?;
        let traces = self.without_the_package()?;
        for command in steps() {
            self.type_step(&command, before)?;
        }
        self.claim_nothing_left(&traces)?;
        self.type_in(&format!("opkg install {PACKAGE}"))?;
        self.lab.write_config(ROUTER, before)?;
        self.lab.dlan(ROUTER, &["apply"])?;
        wait_until_whole(self.lab)?;
        wait_until_settled(self.lab, ROUTER)
    }

    /// Types a line in a login of its own, and returns what it said.
    fn type_in(&mut self, line: &str) -> Result<String, LabError> {
        let said = log_in(self.lab, line);
        // Writing to a String cannot fail.
        let _ = match &said {
            Ok(said) => writeln!(self.transcript, "root@{ROUTER}:~# {line}\n{said}"),
            Err(error) => writeln!(self.transcript, "root@{ROUTER}:~# {line}\n{}\n", error.with_causes()),
        };
        self.typed += 1;
        said
    }

    /// Types a command of the documents, and looks at what came of it.
    fn type_shown(&mut self, command: &str) -> Result<(), LabError> {
        if let Some((_, why)) = UNTYPED.iter().find(|(shown, _)| *shown == command) {
            self.transcript.push_str(&format!("({command}: not typed, for {why})\n\n"));
        }
        let Some((_, check)) = TYPED.iter().find(|(shown, _)| *shown == command) else { return Ok(()) };
        let line = match command {
            "opkg install" => &format!("opkg install {NEWER}"),
            // Without a word it tells its words.
            "sysupgrade" => "sysupgrade -l",
            command => command,
        };
        let said = self.type_in(line)?;
        check(self.lab, &said).map_err(|error| LabError::Claim(format!("`{line}`: {}", error.with_causes())))
    }

    /// Types a command of the steps by which a router is set up; `config` is what is pasted where they say so.
    fn type_step(&mut self, command: &str, config: &str) -> Result<(), LabError> {
        match command {
            "dlan init" => self.type_in("dlan init --host-id 2 --wan wan --lan br-lan").map(drop),
            "dlan key" => {
                let said = self.type_in(command)?;
                self.lab.write_config(ROUTER, config)?;
                contains(&said, "public_key")
            }
            "dlan confirm TOKEN" => self.confirm(),
            "dlan apply --confirm 90s" => {
                self.type_in(command)?;
                self.confirm()
            }
            "dlan status" => {
                wait_until_whole(self.lab)?;
                self.type_in(command).map(drop)
            }
            "reload_config" => {
                self.type_in(&format!("uci set dlan.{}.cost={CHANGED_COST}", OTHER.0))?;
                self.type_in("uci commit dlan")?;
                self.type_shown(command)
            }
            command if command.starts_with("dlan ") => self.type_in(command).map(drop),
            command => self.type_shown(command),
        }
    }

    /// Keeps what waits to be confirmed, if anything does.
    fn confirm(&mut self) -> Result<(), LabError> {
        let window = self.lab.dlan_json(ROUTER, &["window"])?;
        let Some(token) = window.get("token").and_then(Value::as_str) else { return Ok(()) };
        self.type_in(&format!("dlan confirm {token}")).map(drop)
    }

    /// What procd, fw4 and dnsmasq do with the service, and it with them.
    fn services(&mut self) -> Result<(), LabError> {
        let said = self.type_in(&format!("nslookup {}.lan 127.0.0.1", OTHER.0))?;
        contains(&said, OTHER.1)?;
        let agent = wait_for_agent(self.lab, ROUTER)?;
        self.type_in(&format!("kill -9 {agent}"))?;
        let next = self.wait_for_another(agent)?;
        for act in
            ["/etc/init.d/firewall reload", "/etc/init.d/firewall restart", "/etc/init.d/network reload"]
        {
            self.type_in(act)?;
            is_open(self.lab)?;
            wait_until_settled(self.lab, ROUTER)?;
        }
        let same = wait_for_agent(self.lab, ROUTER)?;
        claim(same == next, || format!("the agent was process {next}, and is {same}"))?;
        self.type_in("/etc/init.d/dlan stop")?;
        wait::until(LIMIT, "the agent to end", || match self.lab.agents(ROUTER) {
            Ok(agents) if agents.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        self.type_in("/etc/init.d/dlan start")?;
        wait_for_agent(self.lab, ROUTER)?;
        wait_until_settled(self.lab, ROUTER)
    }

    fn wait_for_another(&self, agent: i32) -> Result<i32, LabError> {
        wait::until(LIMIT, "procd to start the agent again", || {
            let agents = self.lab.agents(ROUTER).map_err(|error| error.with_causes())?;
            agents.into_iter().find(|pid| *pid != agent).ok_or_else(|| "none runs".to_owned())
        })
    }

    /// Puts the package there that the lab has, and one that is the same with another version.
    fn bring_packages(&mut self) -> Result<(), LabError> {
        let Some(tree) = &self.lab.fleet()?.prepare()?.0.tree else { return Ok(()) };
        let package = &tree.package;
        let make = format!(
            "set -e; cp {package} {PACKAGE}; rm -rf /tmp/newer; mkdir -p /tmp/newer/control; cd /tmp/newer; tar -xzf {PACKAGE}; \
             tar -xzf control.tar.gz -C control; sed -i 's/^Version: .*/Version: {NEWER_VERSION}/' control/control; \
             tar -czf control.tar.gz -C control .; tar -czf {NEWER} ./debian-binary ./data.tar.gz ./control.tar.gz; rm -rf /tmp/newer"
        );
        Ok(self.node()?.run("sh", &["-c", &make]).map(drop)?)
    }

    /// Has a router be without the package and any configuration, and returns what is found of ours there.
    fn without_the_package(&mut self) -> Result<String, LabError> {
        self.type_in("opkg remove dlan")?;
        self.node()?.run("sh", &["-c", &format!("rm {CONFIG} /etc/dlan/last-good-config*")])?;
        Ok(self.node()?.run("sh", &["-c", TRACES])?)
    }

    /// Claims that nothing is on the router but rules of the kernel's own, and that the firewall is the tree's.
    fn claim_nothing_left(&mut self, first: &str) -> Result<(), LabError> {
        let left = self.node()?.run("sh", &["-c", TRACES])?;
        let ours: Vec<_> =
            left.lines().filter(|line| line.contains("dlan") || line.contains("prohibit")).collect();
        claim(ours.is_empty(), || format!("the removal leaves {ours:?}"))?;
        claim(left == first, || format!("after one removal there is\n{first}\nafter the next\n{left}"))?;
        let tree = &self.lab.fleet()?.prepare()?.0.system;
        let given = read_file(&tree.join("etc/config/firewall"))?;
        let export = "mkdir -p /tmp/given; cat > /tmp/given/firewall; uci -c /tmp/given export firewall; rm -r /tmp/given";
        let given = self.node()?.feed("sh", &["-c", export], &given)?;
        let now = self.node()?.run("uci", &["export", "firewall"])?;
        claim(now == given, || format!("the firewall's configuration was\n{given}\nand is\n{now}"))
    }

    fn node(&self) -> Result<&Node, LabError> {
        self.lab.node(ROUTER)
    }
}

/// Runs a line in a login from the operator's host.
fn log_in(lab: &Lab, line: &str) -> Result<String, LabError> {
    let address = lab.topology.router(ROUTER).map(|router| router.lan_ipv4.addr().to_string());
    let words = [format!("{{ {line}; }} 2>&1")];
    let mut login: Command =
        login::command(lab.node(OPERATOR)?, &lab.file("machines/key"), &address.unwrap_or_default(), &words)?;
    Ok(command::run(&mut login, "")?)
}

/// Returns what a document tells people to type.
fn shown(document: &str) -> impl Iterator<Item = String> {
    let text = DOCUMENTS.iter().find(|(name, _)| *name == document).map_or("", |(_, text)| *text);
    commands(text).into_iter()
}

/// Returns the commands by which a router is set up, kept and cleared, but for those of other machines.
fn steps() -> impl Iterator<Item = String> {
    let text = DOCUMENTS.iter().find(|(name, _)| *name == "install.md").map_or("", |(_, text)| *text);
    let part =
        text.split_once(STEPS.0).and_then(|(_, rest)| rest.split_once(STEPS.1)).map_or("", |(part, _)| part);
    commands(part).into_iter().filter(|command| command.starts_with("dlan ") || is_openwrts(command))
}

/// Returns whether a command is one of OpenWrt's own.
fn is_openwrts(command: &str) -> bool {
    matches!(elsewhere(command), Some(Elsewhere::Machines(NAME)))
}

fn contains(said: &str, words: &str) -> Result<(), LabError> {
    claim(said.contains(words), || format!("'{words}' is not in\n{said}"))
}

/// Claims that two objects say something about the same things.
fn same_keys(one: &str, other: &str) -> Result<(), LabError> {
    let keys = |text: &str| -> Vec<String> {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        value.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect()
    };
    let (one, other) = (keys(one), keys(other));
    claim(one == other && !one.is_empty(), || format!("{one:?} and {other:?}"))
}

/// Waits until fw4 lets WireGuard's packets in.
fn is_open(lab: &Lab) -> Result<(), LabError> {
    wait::until(LIMIT, "fw4 to let WireGuard's port in", || {
        let list =
            "nft list set inet fw4 dlan_udp4; nft list chain inet fw4 input_wan; nft list table inet dlan";
        let said = lab.node(ROUTER).and_then(|node| Ok(node.run("sh", &["-ec", list])?));
        let said = said.map_err(|error| error.with_causes())?;
        let port = agent_config::LISTEN_PORT.to_string();
        if said.contains(&port) && said.contains("@dlan_udp4") { Ok(()) } else { Err(said) }
    })
}

/// Claims what is there once the package is.
fn is_installed(lab: &Lab, _said: &str) -> Result<(), LabError> {
    wait::until(LIMIT, "the agent to say that there is no configuration", || {
        match lab.dlan(ROUTER, &["status"]).map_err(|error| error.with_causes()) {
            Err(why) if why.contains("this router has no configuration yet") => Ok(()),
            Err(said) | Ok(said) => Err(said),
        }
    })?;
    let node = lab.node(ROUTER)?;
    // The name of a program here is that of one in its path there.
    node.run("sh", &["-c", "/etc/init.d/dlan enabled"])?;
    contains(&node.run("uci", &["get", "firewall.dlan.device"])?, "dlan+")?;
    contains(&node.run("opkg", &["status", "dlan"])?, "Status: install ")?;
    let config = node.read(CONFIG)?;
    claim(config.lines().all(|line| line.starts_with('#')), || format!("{CONFIG} says\n{config}"))
}

/// Claims that a package of another version has taken the first one's place, and its links and keys with it.
fn has_upgraded(lab: &Lab, _said: &str) -> Result<(), LabError> {
    contains(&lab.node(ROUTER)?.run("opkg", &["list-installed", "dlan"])?, NEWER_VERSION)?;
    wait_for_agent(lab, ROUTER)?;
    wait_until_settled(lab, ROUTER)?;
    wait_until_whole(lab)
}

/// Claims that the agent has ended without a complaint, and that what the operator wrote is there.
fn has_gone(lab: &Lab, said: &str) -> Result<(), LabError> {
    claim(!said.contains("failed"), || said.to_owned())?;
    let node = lab.node(ROUTER)?;
    claim(lab.agents(ROUTER)?.is_empty(), || "the agent runs".to_owned())?;
    claim(node.exists(CONFIG) && node.exists("/etc/dlan"), || "configuration and keys are gone".to_owned())
}

fn waits_for_cost(lab: &Lab, cost: u64) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("the link to {} to cost {cost}", OTHER.0), || {
        let links = lab.dlan_json(ROUTER, &["links"]).map_err(|error| error.with_causes())?;
        if links.to_string().contains(&format!("\"cost\":{cost}")) { Ok(()) } else { Err(links.to_string()) }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_the_documents_show_of_openwrts_commands_is_typed_or_is_not_for_a_reason() {
        let ours: BTreeSet<String> =
            DOCUMENTS.iter().flat_map(|(_, text)| commands(text)).filter(|it| is_openwrts(it)).collect();
        let typed = TYPED.iter().map(|(shown, _)| *shown);
        let known: BTreeSet<&str> = typed.chain(UNTYPED.iter().map(|(shown, _)| *shown)).collect();
        assert_eq!(known.len(), TYPED.len() + UNTYPED.len(), "one is in a list twice");
        assert_eq!(ours.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
    }

    #[test]
    fn the_steps_begin_with_the_package_and_end_with_its_removal() {
        let steps: Vec<_> = steps().collect();
        assert_eq!(steps.first().map(String::as_str), Some("opkg update"));
        assert_eq!(steps.last().map(String::as_str), Some("opkg remove dlan"));
        assert!(steps.contains(&"dlan confirm TOKEN".to_owned()), "{steps:?}");
    }
}
