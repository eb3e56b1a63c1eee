//! Zones: what the hosts of this router's LANs may begin a connection to. Each router holds its own LANs to their zones:
//! what they send and what is sent to them passes it both ways, so connection tracking sees all of it; transit it sees half
//! of is never asked.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::{Value, json};
use vxlan::link::LinkName;

use super::counters::of_zone;
use super::json::{
    chain, count, dropped, equals, family, is_established, is_one_of, is_to, jump, leaves, passes, payload,
    prefix, rule, set,
};
use super::{IGMP_PROTOCOL, Names, element, named_sets, nat64};
use crate::config::Config;
use crate::config::zone::{Allowed, INTERNAL, Ports, Protocol, Reach, ZoneConfig};
use crate::state::facts::Sides;
use crate::state::ruleset::Ruleset;
use crate::zones::{self, Members, ZoneSets};

/// The chain of what the hosts of zones send to this router itself.
const CHAIN_INPUT: &str = "zone_input";
/// What a host may ask of the router that it sits behind, whatever its zone: names and addresses.
const ASKED_OF_A_ROUTER: [Ports; 5] = [
    Ports::one(Protocol::Udp, 53),
    Ports::one(Protocol::Tcp, 53),
    Ports::one(Protocol::Udp, 67),
    Ports::one(Protocol::Udp, 69),
    Ports::one(Protocol::Udp, 547),
];
/// The ICMPv6 that a host on a network cannot do without.
const ICMPV6_NEEDED: [&str; 7] = [
    "nd-router-solicit",
    "nd-neighbor-solicit",
    "nd-neighbor-advert",
    "mld-listener-report",
    "mld-listener-reduction",
    "mld2-listener-report",
    "echo-request",
];
/// What the names of the sets of zones begin and end with, by family.
const SET_PREFIX: &str = "reach_";
const SET_IPV4: &str = "_4";
const SET_IPV6: &str = "_6";

/// Returns the sets of the zones that some zone held here reaches.
pub(super) fn sets(config: &Config, members: &Members) -> Vec<Value> {
    let sets = zones::sets(members, &zones::reached(config));
    let of_zone = |(zone, prefixes): (String, BTreeSet<IpNet>)| {
        let (ipv4, ipv6): (Vec<IpNet>, Vec<IpNet>) =
            prefixes.into_iter().partition(|prefix| matches!(prefix, IpNet::V4(_)));
        [
            set(&format!("{SET_PREFIX}{zone}{SET_IPV4}"), "ipv4_addr", &ipv4),
            set(&format!("{SET_PREFIX}{zone}{SET_IPV6}"), "ipv6_addr", &ipv6),
        ]
    };
    sets.into_iter().flat_map(of_zone).collect()
}

/// Returns the sets of zones that stand in a table, as far as it is written as this module writes it.
pub fn sets_of(ruleset: &Ruleset) -> ZoneSets {
    let mut sets = ZoneSets::new();
    for (name, elements) in named_sets(ruleset) {
        let Some(name) = name.strip_prefix(SET_PREFIX) else { continue };
        let Some(zone) = name.strip_suffix(SET_IPV4).or_else(|| name.strip_suffix(SET_IPV6)) else {
            continue;
        };
        sets.entry(zone.to_owned()).or_default().extend(elements.iter().filter_map(element));
    }
    sets
}

/// Returns the chains and rules of the zones that this router's LANs are in.
pub(super) fn rules(config: &Config, sides: Sides<'_>, names: &Names<'_>) -> Vec<Value> {
    let held = zones::held(config);
    if held.is_empty() {
        return Vec::new();
    }
    let mut rules = vec![chain(CHAIN_INPUT)];
    rules.extend(held.iter().map(|zone| chain(&of_zone(&zone.name))));
    rules.extend(held.iter().flat_map(|zone| zone_rules(zone, config, names)));
    rules.extend(input_rules(config));
    let mut all = BTreeSet::new();
    for zone in &held {
        let devices = devices(config, sides, zone);
        rules.push(rule(CHAIN_INPUT, vec![is_one_of("iifname", &devices), jump(&of_zone(&zone.name))]));
        for device in &devices {
            let mut statements = leaves(device);
            statements.push(jump(&of_zone(&zone.name)));
            rules.push(rule("forward", statements));
        }
        all.extend(devices);
    }
    rules.push(rule("input", vec![is_one_of("iifname", &all), jump(CHAIN_INPUT)]));
    rules
}

/// Returns the devices of the LANs of a zone, found or not.
fn devices(config: &Config, sides: Sides<'_>, zone: &ZoneConfig) -> BTreeSet<LinkName> {
    let lans = config.lans.iter().filter(|lan| lan.zone == zone.name && lan.zone != INTERNAL);
    lans.map(|lan| sides.lans.get(&lan.name).map_or(&lan.device, |found| &found.device).clone()).collect()
}

/// What the hosts of a zone may begin, wherever it goes; the rest is dropped.
fn zone_rules(zone: &ZoneConfig, config: &Config, names: &Names<'_>) -> Vec<Value> {
    let name = of_zone(&zone.name);
    let pass = |mut matches: Vec<Value>| {
        matches.push(passes());
        rule(&name, matches)
    };
    let mut rules = vec![pass(vec![is_established()])];
    for reach in &zone.reach {
        match reach {
            Reach::Wan if names.wans.is_empty() => {}
            Reach::Wan => {
                rules.push(pass(vec![is_one_of("oifname", &names.wans)]));
                rules.extend(nat64::to_the_internet(config).map(pass));
            }
            Reach::Zone(reached) => {
                for (protocol, family) in [("ip", SET_IPV4), ("ip6", SET_IPV6)] {
                    let set = json!(format!("@{SET_PREFIX}{reached}{family}"));
                    rules.push(pass(vec![equals(payload(protocol, "daddr"), set)]));
                }
            }
        }
    }
    rules.extend(zone.allow.iter().map(|allowed| pass(is_allowed(allowed))));
    rules.push(rule(&name, vec![count(&name), dropped()]));
    rules
}

fn is_allowed(allowed: &Allowed) -> Vec<Value> {
    let to = equals(payload(family(&allowed.net), "daddr"), prefix(&allowed.net));
    std::iter::once(to).chain(allowed.ports.iter().map(is_to)).collect()
}

/// What the hosts of every zone may ask of this router; of one with DNS64 they ask for names at the agent's port.
fn input_rules(config: &Config) -> Vec<Value> {
    let pass = |matches: Value| rule(CHAIN_INPUT, vec![matches, passes()]);
    let mut rules = vec![
        pass(equals(payload("icmpv6", "type"), json!({"set": ICMPV6_NEEDED}))),
        pass(equals(payload("icmp", "type"), json!("echo-request"))),
        pass(equals(payload("ip", "protocol"), json!(IGMP_PROTOCOL))),
    ];
    let names = [Protocol::Udp, Protocol::Tcp].map(|protocol| Ports::one(protocol, config.names.port));
    let names = names.into_iter().filter(|_| config.lans.iter().any(|lan| lan.dns64));
    rules.extend(ASKED_OF_A_ROUTER.into_iter().chain(names).map(|ports| pass(is_to(&ports))));
    rules
}
