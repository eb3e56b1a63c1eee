//! What passes between a WAN and the rest: nothing internal leaves by it, nothing comes in by one that is closed but what
//! the configuration opens, and on request the inside leaves under this router's address.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::{Value, json};

use super::Names;
use super::counters::{COUNTER_FROM_WAN, COUNTER_TO_WAN, COUNTER_WAN_INPUT};
use super::json::{
    chain, count, differs, dropped, equals, family, is_established, is_one_of, is_to, jump, leaves, meta,
    passes, payload, prefix, rule,
};
use super::services::is_for;
use super::{IGMP_PROTOCOL, SET_INSIDE_IPV4, SET_INSIDE_IPV6};
use crate::addressing::{LINK_DEVICE_PREFIX, NAT64_DEVICE};
use crate::config::service::{self, Opening};
use crate::config::zone::{Ports, Protocol, WanInput};
use crate::config::{Config, WanConfig};
use crate::state::facts::Sides;
use crate::state::ruleset::{Ruleset, TABLE_FAMILY, TABLE_NAME};

/// The chain of what a closed WAN brings for this router.
const CHAIN_INPUT: &str = "wan_input";
/// The chain in which addresses are translated; no hook has this name.
const CHAIN_MASQUERADE: &str = "masquerade";
/// The chain of what would be forwarded to a WAN while nobody knows which private addresses are the mesh's.
const CHAIN_UNHEARD: &str = "unheard";
/// The networks of private addresses, and how long their lengths are: RFC 1918, RFC 6598, RFC 4193.
const PRIVATE: [(IpAddr, u8); 5] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
];
/// Where source addresses are translated.
const PRIORITY_SRCNAT: i32 = 100;
/// How many echoes a second are answered by a closed WAN, of all senders together.
const ECHOES_PER_SECOND: u32 = 100;
/// The ICMPv6 that a host on a network cannot do without (RFC 4890 section 4.4.1): neighbor discovery, router
/// advertisements, multicast listener discovery. Errors belong to a connection, or mean nothing here.
const ICMPV6_NEEDED: [&str; 6] = [
    "nd-router-advert",
    "nd-neighbor-solicit",
    "nd-neighbor-advert",
    "mld-listener-query",
    "mld-listener-report",
    "mld2-listener-report",
];
/// The ICMPv6 errors that may come for packets which connection tracking has forgotten.
const ICMPV6_ERRORS: [&str; 4] =
    ["destination-unreachable", "packet-too-big", "time-exceeded", "parameter-problem"];
/// The same of ICMP.
const ICMP_ERRORS: [&str; 3] = ["destination-unreachable", "time-exceeded", "parameter-problem"];

/// Returns the chains and rules.
pub(super) fn rules(config: &Config, names: &Names<'_>) -> Vec<Value> {
    if names.wans.is_empty() {
        return Vec::new();
    }
    let mut rules = inside_rules(names, config.mesh.fwmark);
    rules.extend(forward_rules(config, names));
    let closed = names.wans_with(is_closed);
    if !closed.is_empty() {
        rules.push(chain(CHAIN_INPUT));
        rules.extend(input_rules(names, &service::openings(config)));
        rules.push(rule("input", vec![is_one_of("iifname", &closed), jump(CHAIN_INPUT)]));
    }
    rules.extend(masquerade_rules(names));
    rules
}

/// Nothing for a private address is forwarded to a WAN, but to what is on it. What the router itself sends is left alone: it asks
/// its name servers, and renews its addresses, before it can hear of the mesh.
pub(super) fn private_rules(sides: Sides<'_>, names: &Names<'_>) -> Vec<Value> {
    if names.wans.is_empty() {
        return Vec::new();
    }
    let on_wan: BTreeSet<IpNet> =
        sides.wans.values().flat_map(|wan| &wan.prefixes).map(IpNet::trunc).collect();
    let to = |net: &IpNet| equals(payload(family(net), "daddr"), prefix(net));
    let mut rules = vec![chain(CHAIN_UNHEARD)];
    rules.extend(on_wan.iter().map(|net| rule(CHAIN_UNHEARD, vec![to(net), passes()])));
    let private = PRIVATE.iter().filter_map(|(address, length)| IpNet::new(*address, *length).ok());
    let held = |net| rule(CHAIN_UNHEARD, vec![to(&net), count(COUNTER_TO_WAN), dropped()]);
    rules.extend(private.map(held));
    rules.push(rule("forward", vec![is_one_of("oifname", &names.wans), jump(CHAIN_UNHEARD)]));
    rules
}

/// Returns whether a table holds back what is for private addresses.
pub fn holds_private(ruleset: &Ruleset) -> bool {
    let chains = ruleset.objects.iter().filter_map(|object| object.get("chain")?.get("name")?.as_str());
    chains.into_iter().any(|name| name == CHAIN_UNHEARD)
}

fn is_closed(wan: &WanConfig) -> bool {
    wan.input == WanInput::Drop
}

/// What is inside neither comes from a WAN nor leaves by it.
fn inside_rules(names: &Names<'_>, fwmark: u32) -> Vec<Value> {
    let (from_wan, to_wan) = (is_one_of("iifname", &names.wans), is_one_of("oifname", &names.wans));
    let mut rules = Vec::new();
    for (protocol, inside) in [("ip", SET_INSIDE_IPV4), ("ip6", SET_INSIDE_IPV6)] {
        let inside = format!("@{inside}");
        for field in ["saddr", "daddr"] {
            let matches = equals(payload(protocol, field), json!(inside));
            rules.push(rule(
                "prerouting",
                vec![from_wan.clone(), matches, count(COUNTER_FROM_WAN), dropped()],
            ));
        }
        // WireGuard's own packets go where the operator's endpoints say.
        let unmarked = differs(meta("mark"), json!(fwmark));
        let matches = equals(payload(protocol, "daddr"), json!(inside));
        let statements = vec![to_wan.clone(), unmarked, matches, count(COUNTER_TO_WAN), dropped()];
        rules.push(rule("postrouting", statements));
    }
    rules
}

/// Nothing is forwarded from a WAN to the inside, and from a closed one to anywhere, but what the inside asked for and what
/// the operator forwards by name.
fn forward_rules(config: &Config, names: &Names<'_>) -> Vec<Value> {
    let from_wan = is_one_of("iifname", &names.wans);
    let is_translated = json!({"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}});
    let mut rules = Vec::new();
    for wanted in [is_established(), is_translated] {
        rules.push(rule("forward", vec![from_wan.clone(), wanted, passes()]));
    }
    for closed in names.wans_with(is_closed) {
        let mut statements = leaves(&closed);
        statements.extend([count(COUNTER_FROM_WAN), dropped()]);
        rules.push(rule("forward", statements));
    }
    let overlay = [format!("{LINK_DEVICE_PREFIX}*"), names.wg.to_string()];
    let translator = config.nat64.as_ref().map(|_| NAT64_DEVICE.to_owned());
    for device in names.inner.iter().map(ToString::to_string).chain(overlay).chain(translator) {
        let to_inner = equals(meta("oifname"), json!(device));
        rules.push(rule("forward", vec![from_wan.clone(), to_inner, count(COUNTER_FROM_WAN), dropped()]));
    }
    rules
}

/// What a closed WAN may bring for this router; the rest is dropped.
fn input_rules(names: &Names<'_>, services: &BTreeSet<Opening>) -> Vec<Value> {
    let pass = |mut matches: Vec<Value>| {
        matches.push(passes());
        rule(CHAIN_INPUT, matches)
    };
    let type_of = |protocol: &str, types: &[&str]| equals(payload(protocol, "type"), json!({"set": types}));
    let limit = json!({"limit": {"rate": ECHOES_PER_SECOND, "burst": ECHOES_PER_SECOND, "per": "second"}});
    let mut rules = vec![
        pass(vec![is_established()]),
        pass(vec![type_of("icmpv6", &ICMPV6_NEEDED)]),
        pass(vec![type_of("icmpv6", &ICMPV6_ERRORS)]),
        pass(vec![type_of("icmp", &ICMP_ERRORS)]),
        pass(vec![type_of("icmpv6", &["echo-request"]), limit.clone()]),
        pass(vec![type_of("icmp", &["echo-request"]), limit]),
        pass(vec![equals(payload("ip", "protocol"), json!(IGMP_PROTOCOL))]),
        // A DHCP server answers from its port, perhaps to everybody; one of DHCPv6 from its link or its site.
        pass(vec![
            equals(meta("nfproto"), json!("ipv4")),
            equals(payload("udp", "sport"), json!(67)),
            equals(payload("udp", "dport"), json!(68)),
        ]),
        pass(vec![
            equals(payload("ip6", "saddr"), json!({"prefix": {"addr": "fc00::", "len": 6}})),
            equals(payload("udp", "dport"), json!(546)),
        ]),
    ];
    for (wan, device) in names.of_wan.iter().filter(|(wan, _)| is_closed(wan)) {
        let ssh = wan.ssh.map(|port| Ports::one(Protocol::Tcp, port));
        let open = [Ports::one(Protocol::Udp, wan.listen_port)]
            .into_iter()
            .chain(ssh)
            .chain(wan.open.iter().copied());
        let by = equals(meta("iifname"), json!(device.as_str()));
        rules.extend(open.map(|ports| pass(vec![by.clone(), is_to(&ports)])));
    }
    rules.extend(services.iter().map(|opening| pass(is_for(opening))));
    rules.push(rule(CHAIN_INPUT, vec![count(COUNTER_WAN_INPUT), dropped()]));
    rules
}

/// What leaves by a WAN from a private address of the inside gets this router's own.
fn masquerade_rules(names: &Names<'_>) -> Vec<Value> {
    let wans = names.wans_with(|wan| wan.masquerade);
    if wans.is_empty() {
        return Vec::new();
    }
    let mut rules = vec![json!({"chain": {
        "family": TABLE_FAMILY, "table": TABLE_NAME, "name": CHAIN_MASQUERADE,
        "type": "nat", "hook": "postrouting", "prio": PRIORITY_SRCNAT, "policy": "accept",
    }})];
    for (protocol, inside) in [("ip", SET_INSIDE_IPV4), ("ip6", SET_INSIDE_IPV6)] {
        let from_inside = equals(payload(protocol, "saddr"), json!(format!("@{inside}")));
        let statements = vec![is_one_of("oifname", &wans), from_inside, json!({"masquerade": null})];
        rules.push(rule(CHAIN_MASQUERADE, statements));
    }
    rules
}
