//! Which scenarios of the namespaces run with machines as routers, and why the others do not.

use super::TOPOLOGY;
use crate::scenarios::{self, Scenario};

/// Those that are tried on three machines, and run when none is named.
const ON_THE_TRIANGLE: [&str; 2] = ["ping-all", "cut-any-link"];

/// Those that run as they are, on a topology of their own, when they are named or all are asked for.
const AS_THEY_ARE: &[&str] = &[
    "agent-killed",
    "another-host-id",
    "apply-twice",
    "asymmetric-transit",
    "confirmed",
    "documents",
    "forged",
    "home-direct",
    "host-plugged-in",
    "kill-r4",
    "lan-families",
    "masquerade",
    "names",
    "names-owner-away",
    "one-way-peering",
    "segments",
    "service-moves",
    "services",
    "transfer-all",
    "unreadable",
    "zones",
];

/// Those that do not run, with the reason.
const REFUSED: &[(&str, &[&str])] = &[
    (
        "others' routing programs run in namespaces alone",
        &[
            "bfd-bird",
            "bfd-frr",
            "bird",
            "mixed-causes",
            "mixed-defaults",
            "mixed-foreign-lsas",
            "mixed-loss",
            "mixed-mesh",
            "mixed-restarts",
            "names-mixed",
            "plain-cables",
            "restart-beside-bird",
        ],
    ),
    (
        "it looks into a router's files, processes or sockets from outside, where a machine shows none",
        &[
            "bad-config",
            "confirmed-by-login",
            "down-leaves-nothing",
            "drift",
            "first-apply",
            "floods",
            "key-rollover",
            "lease-holds",
            "nat64",
            "network-boot",
            "service-changes",
            "service-counts",
            "service-health",
            "service-limits",
            "service-names",
            "service-port-taken",
            "wan-closed",
        ],
    ),
    (
        "it listens on a router's own devices, and machines have no tcpdump",
        &["drain", "no-leak", "no-leak-at-boot", "vxlan-filter"],
    ),
    (
        "its intervals are shorter than the pauses of a processor that is translated",
        &["bfd-agent-killed", "bfd-silent-loss", "bfd-under-load", "carrier", "flapping"],
    ),
    (
        "it claims that nothing is lost where a router whose processor is translated may take the news too late",
        &["agent-away", "costs", "costs-automatic"],
    ),
    (
        "it carries more than machines do in reasonable time",
        &["fifty-links", "fifty-services", "service-transfer", "transfer-large"],
    ),
    ("machines have a form of it: `rollout`", &["playbook"]),
    ("machines have a form of it: `upgrade`", &["upgraded"]),
    ("machines have a form of it: `taken-over`", &["migration"]),
    ("machines have a form of it: `power-cut-in-window`", &["unconfirmed", "window-and-crash"]),
];

/// Those that run with machines made of Debian packages and not with a root tree of OpenWrt's, with the reason.
const OF_DEBIAN: &[(&str, &[&str])] = &[(
    "it tells the machine's start-up, its service or its devices what OpenWrt's cannot be told from outside",
    &[
        "module-missing",
        "disk-full",
        "narrow-path",
        "rollout",
        "taken-over",
        "two-wans",
        "upgrade",
        "wan-address-by-dhcp",
        "wan-replaced",
    ],
)];

/// Those that run with a root tree of OpenWrt's alone, with the reason.
const OF_OPENWRT: &[(&str, &[&str])] =
    &[("it types OpenWrt's own commands: `--image` names a root tree that has them", &["openwrts-own"])];

/// Returns those that are tried on three machines.
pub fn on_the_triangle() -> Vec<Scenario> {
    let chosen = scenarios::all().into_iter().filter(|scenario| ON_THE_TRIANGLE.contains(&scenario.name));
    chosen.map(|scenario| Scenario { topology: TOPOLOGY, ..scenario }).collect()
}

/// Returns those that run as they are.
pub fn as_they_are() -> Vec<Scenario> {
    scenarios::all().into_iter().filter(|scenario| AS_THEY_ARE.contains(&scenario.name)).collect()
}

/// Returns why a scenario does not run with machines, or not with such as boot a root tree of OpenWrt's; none where it does, or there
/// is none of that name.
pub fn refusal(name: &str, is_tree: bool) -> Option<&'static str> {
    let refused = [REFUSED, if is_tree { OF_DEBIAN } else { OF_OPENWRT }].concat();
    refused.iter().find(|(_, names)| names.contains(&name)).map(|(why, _)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_say_of_each_that_does_not_run_why() {
        let text = include_str!("../../../../docs/lab.md");
        for (why, names) in REFUSED.iter().chain(OF_DEBIAN).chain(OF_OPENWRT) {
            let said = text.lines().find(|line| line.starts_with(&format!("| {why} |"))).unwrap_or_default();
            for name in *names {
                assert!(said.contains(&format!("`{name}`")), "docs/lab.md does not say of {name}: {why}");
            }
        }
    }

    #[test]
    fn every_scenario_of_the_namespaces_runs_with_machines_or_is_refused_for_a_reason() {
        for scenario in scenarios::all() {
            let runs = ON_THE_TRIANGLE.contains(&scenario.name) || AS_THEY_ARE.contains(&scenario.name);
            assert_ne!(runs, refusal(scenario.name, false).is_some(), "{}", scenario.name);
        }
        let known: Vec<_> = scenarios::all().iter().map(|scenario| scenario.name).collect();
        let named =
            REFUSED.iter().flat_map(|(_, names)| names.iter()).chain(AS_THEY_ARE).chain(&ON_THE_TRIANGLE);
        for name in named {
            assert!(known.contains(name), "there is no {name}");
        }
    }
}
