//! Changes of every kind, each from a configuration to another, or from what somebody else did to what was.

use crate::plan::change::{Act, Change};
use crate::state::State;
use crate::state::managed_file::ManagedFile;
use crate::state::setting::SettingValue;

use super::fixture;

/// A change to try.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What changes.
    pub name: &'static str,
    /// Makes the other configuration from the first one.
    pub config: fn(&str) -> String,
    /// What somebody else does to the router before.
    pub drift: fn(&mut State),
}

const R5: &str = "config link 'r5'\n\toption host_id '5'\n\toption public_key 'KEY5'\n\toption mtu '1300'\n";

/// Every change.
pub const CASES: &[Case] = &[
    case("a link comes", |text| format!("{text}{R5}")),
    case("a link goes", |text| text.split("config link 'r4'").next().unwrap().to_owned()),
    case("a link changes", |text| link(text, "option mtu '1300'\n\toption keepalive '7'")),
    case("a link's key changes", |text| text.replace("KEY3", "KEY7")),
    case("a LAN has another address", |text| text.replace("10.2.1.1/24", "10.2.9.1/24")),
    case("a LAN goes", |text| {
        let (head, tail) = text.split_once("config lan 'lan0'").unwrap();
        format!(
            "{head}{}",
            tail.split_once("config link 'r2'").map(|(_, rest)| format!("config link 'r2'{rest}")).unwrap()
        )
    }),
    case("hosts are given something else", |text| {
        text.replace("option dhcp '1'", "option dhcp '1'\n\toption dhcp_limit '77'")
    }),
    case("hosts are given nothing any more", |text| text.replace("\toption dhcp '1'\n", "")),
    case("another host id", |text| text.replacen("host_id '1'", "host_id '9'", 1)),
    case("another table", |text| mesh(text, "route_table '142'")),
    case("another protocol", |text| mesh(text, "route_protocol '142'")),
    case("another rule preference", |text| mesh(text, "rule_preference '31000'")),
    case("another mark", |text| mesh(text, "fwmark '4711'")),
    case("another WireGuard device", |text| mesh(text, "wg_device 'dlan-wg7'")),
    case("other VXLAN devices", |text| mesh(text, "vxlan_port '4790'")),
    case("everything", |text| {
        let text = text.replacen("host_id '1'", "host_id '9'", 1).replace("10.2.1.1/24", "10.2.9.1/24");
        let text =
            mesh(&text, "route_table '142'\n\toption route_protocol '142'\n\toption vxlan_port '4790'");
        format!("{}{R5}", text.replace("KEY3", "KEY7"))
    }),
    Case {
        name: "somebody changed everything",
        config: str::to_owned,
        drift: |state| {
            state.settings.values_mut().for_each(|value| *value = SettingValue(7 - value.0));
            state.files.values_mut().for_each(|file| *file = ManagedFile::new("else\n"));
            state.programs.values_mut().for_each(|program| program.is_running = false);
            state.rules.pop_first();
            state.addresses.pop_first();
            state.routes.pop_first();
            let mut routes = state.routes.values().cloned().collect::<Vec<_>>();
            routes.rotate_left(1);
            state.routes.values_mut().zip(routes).for_each(|(route, other)| *route = other);
        },
    },
    Case {
        name: "somebody took everything",
        config: str::to_owned,
        drift: |state| *state = State::default(),
    },
];

const fn case(name: &'static str, config: fn(&str) -> String) -> Case {
    Case { name, config, drift: |_| {} }
}

impl Case {
    /// Returns the two configurations.
    pub fn texts(&self) -> (String, String) {
        let first = first();
        (fixture::with_keys(&first), fixture::with_keys(&(self.config)(&first)))
    }
}

/// The configuration that every case begins with: its LAN's hosts are given addresses, by a program beside the agent.
pub fn first() -> String {
    let address = "\toption ipv6 'fd79:1::1/64'\n";
    fixture::CONFIG.replacen(address, &format!("{address}\toption dhcp '1'\n"), 1)
}

fn mesh(text: &str, option: &str) -> String {
    text.replacen("option name 'r1'", &format!("option name 'r1'\n\toption {option}"), 1)
}

fn link(text: &str, option: &str) -> String {
    text.replacen("option host_id '3'", &format!("option host_id '3'\n\t{option}"), 1)
}

/// Returns what a step does, to what. A kind of step that is new has its place here and in [`EVERY_KIND`].
pub fn kind(step: &Change) -> (&'static str, Act) {
    let kind = match step {
        Change::Link(_) => "link",
        Change::Address(_) => "address",
        Change::NextHop(_) => "next hop",
        Change::Route(_) => "route",
        Change::Rule(_) => "rule",
        Change::Setting(_) => "setting",
        Change::Ruleset(_) => "ruleset",
        Change::File(_) => "file",
        Change::Program(_) => "program",
        Change::Uci(_) => "uci",
    };
    (kind, step.act())
}

/// What the cases must make between them.
pub const EVERY_KIND: &[(&str, &[Act])] = &[
    ("link", &[Act::Add, Act::Remove, Act::Change]),
    ("address", &[Act::Add, Act::Remove]),
    ("next hop", &[Act::Add, Act::Remove, Act::Change]),
    ("route", &[Act::Add, Act::Remove, Act::Change]),
    ("rule", &[Act::Add, Act::Remove]),
    ("setting", &[Act::Add, Act::Remove, Act::Change]),
    ("ruleset", &[Act::Add, Act::Change]),
    ("file", &[Act::Add, Act::Change]),
    ("program", &[Act::Add, Act::Remove, Act::Change]),
];
