//! The nftables table `inet dlan`: it only drops, counts and clamps; what is let in elsewhere stays let in.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::{Value, json};
use vxlan::link::LinkName;

use crate::addressing::{LINK_DEVICE_PREFIX, LinkAddressing};
use crate::config::{Config, LinkConfig, MeshConfig};
use crate::state::facts::{Facts, is_private};
use crate::state::ruleset::{Ruleset, TABLE_FAMILY, TABLE_NAME};

/// Counts VXLAN that arrived by anything but WireGuard.
pub const COUNTER_NOT_BY_WIREGUARD: &str = "vxlan_not_by_wireguard";
/// Counts VXLAN whose VNI is another link's than its sender's.
pub const COUNTER_WRONG_SOURCE: &str = "vxlan_wrong_source";
/// Counts VXLAN of no link of ours.
pub const COUNTER_UNKNOWN_VNI: &str = "vxlan_unknown_vni";
/// Counts VXLAN that would have left by anything but WireGuard.
pub const COUNTER_LEAVING: &str = "vxlan_not_to_wireguard";
/// Counts what came by a WAN from or to the inside.
pub const COUNTER_FROM_WAN: &str = "from_wan";
/// Counts what would have left by a WAN to the inside.
pub const COUNTER_TO_WAN: &str = "to_wan";

/// Counts OSPFv3 that arrived by anything but a link.
pub const COUNTER_OSPF: &str = "ospf_not_by_link";
/// Counts BFD over IPv6 that arrived by anything but a link.
pub const COUNTER_BFD: &str = "bfd_not_by_link";

/// All counters of the table.
pub const COUNTERS: [&str; 8] = [
    COUNTER_NOT_BY_WIREGUARD,
    COUNTER_WRONG_SOURCE,
    COUNTER_UNKNOWN_VNI,
    COUNTER_LEAVING,
    COUNTER_FROM_WAN,
    COUNTER_TO_WAN,
    COUNTER_OSPF,
    COUNTER_BFD,
];

/// The set of the IPv4 prefixes that must never meet a WAN.
const SET_INSIDE_IPV4: &str = "inside4";
/// The set of the IPv6 prefixes that must never meet a WAN.
const SET_INSIDE_IPV6: &str = "inside6";
/// Before connection tracking, which would take up what is dropped.
const PRIORITY_RAW: i32 = -300;
/// Where packets are mangled, before anybody's filter.
const PRIORITY_MANGLE: i32 = -150;
/// Just before everybody else's filter.
const PRIORITY_FILTER: i32 = -10;
/// Where the VNI is, from the start of the UDP header: 8 octets of UDP, 4 of VXLAN flags (RFC 7348 section 5).
const VNI_OFFSET_BITS: u32 = 96;
/// How long it is.
const VNI_LENGTH_BITS: u32 = 24;
/// The IP protocol number of OSPF.
const OSPF_PROTOCOL: u8 = 89;
/// The UDP ports of BFD: single hop, echo (RFC 5881 section 4), several hops (RFC 5883 section 5).
const BFD_PORTS: [u16; 3] = [3784, 3785, 4784];

/// Renders the table. `guarded` are the prefixes that must never meet a WAN.
pub fn render(
    config: &Config,
    facts: &Facts,
    links: &[(&LinkConfig, LinkAddressing)],
    guarded: &BTreeSet<IpNet>,
) -> Ruleset {
    let names = Names::of(config, facts);
    let (ipv4, ipv6) = inside(facts, guarded);
    let mut objects = vec![json!({"table": {"family": TABLE_FAMILY, "name": TABLE_NAME}})];
    objects.extend(COUNTERS.map(counter));
    objects.push(set(
        SET_INSIDE_IPV4,
        "ipv4_addr",
        ipv4.iter().map(|net| prefix(&IpNet::V4(*net))).collect(),
    ));
    objects.push(set(
        SET_INSIDE_IPV6,
        "ipv6_addr",
        ipv6.iter().map(|net| prefix(&IpNet::V6(*net))).collect(),
    ));
    objects.extend(chains());
    objects.extend(vxlan_rules(&config.mesh, links));
    objects.extend(routing_rules());
    objects.extend(clamp_rules());
    if !names.wans.is_empty() {
        objects.extend(wan_rules(&names, config.mesh.fwmark));
    }
    Ruleset { objects }
}

/// The devices that the rules tell apart.
struct Names {
    wans: BTreeSet<LinkName>,
    inner: BTreeSet<LinkName>,
    wg: LinkName,
}

impl Names {
    fn of(config: &Config, facts: &Facts) -> Self {
        let inner: BTreeSet<LinkName> = facts.lans.values().map(|lan| lan.device.clone()).collect();
        // A device that is both has its LAN hosts on it.
        let wans = facts.wans.values().filter_map(|wan| wan.device.clone());
        Self {
            wans: wans.filter(|wan| !inner.contains(wan)).collect(),
            inner,
            wg: config.mesh.wg_device.clone(),
        }
    }
}

/// Returns the private guarded prefixes, joined where they touch, without those that lie on a WAN themselves.
fn inside(facts: &Facts, guarded: &BTreeSet<IpNet>) -> (Vec<Ipv4Net>, Vec<Ipv6Net>) {
    let outside: Vec<&IpNet> = facts.wans.values().flat_map(|wan| &wan.prefixes).collect();
    let overlaps = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
    let kept = guarded
        .iter()
        .filter(|prefix| is_private(prefix) && !outside.iter().any(|wan| overlaps(wan, prefix)));
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    for prefix in kept {
        match prefix {
            IpNet::V4(net) => ipv4.push(*net),
            IpNet::V6(net) => ipv6.push(*net),
        }
    }
    (Ipv4Net::aggregate(&ipv4), Ipv6Net::aggregate(&ipv6))
}

/// Returns the prefixes that a table keeps off the WAN, as far as it is written as this module writes it.
pub fn inside_of(ruleset: &Ruleset) -> BTreeSet<IpNet> {
    let sets = ruleset.objects.iter().filter_map(|object| object.get("set"));
    let inside = sets.filter(|set| {
        let name = set.get("name").and_then(Value::as_str);
        name.is_some_and(|name| [SET_INSIDE_IPV4, SET_INSIDE_IPV6].contains(&name))
    });
    let elements = inside.filter_map(|set| set.get("elem")?.as_array()).flatten();
    elements.filter_map(element).collect()
}

/// Takes a prefix from a set's element; a single address is written without its length.
fn element(element: &Value) -> Option<IpNet> {
    if let Some(address) = element.as_str() {
        return address.parse().ok().map(|address: IpAddr| IpNet::from(address));
    }
    let prefix = element.get("prefix")?;
    let length = u8::try_from(prefix.get("len")?.as_u64()?).ok()?;
    IpNet::new(prefix.get("addr")?.as_str()?.parse().ok()?, length).ok()
}

fn chains() -> [Value; 6] {
    [
        base_chain("prerouting", PRIORITY_RAW),
        base_chain("input", PRIORITY_FILTER),
        base_chain("forward", PRIORITY_MANGLE),
        base_chain("output", PRIORITY_FILTER),
        base_chain("postrouting", PRIORITY_FILTER),
        json!({"chain": {"family": TABLE_FAMILY, "table": TABLE_NAME, "name": "vxlan"}}),
    ]
}

/// VXLAN takes frames from anyone; these rules take them from each link's neighbor only.
fn vxlan_rules(mesh: &MeshConfig, links: &[(&LinkConfig, LinkAddressing)]) -> Vec<Value> {
    let vni = json!({"payload": {"base": "th", "offset": VNI_OFFSET_BITS, "len": VNI_LENGTH_BITS}});
    let mut rules = vec![
        rule(
            "input",
            vec![
                differs(meta("iifname"), json!(mesh.wg_device.as_str())),
                is_vxlan(mesh),
                count(COUNTER_NOT_BY_WIREGUARD),
                drop(),
            ],
        ),
        rule("input", vec![is_vxlan(mesh), json!({"jump": {"target": "vxlan"}})]),
        rule(
            "output",
            vec![
                differs(meta("oifname"), json!(mesh.wg_device.as_str())),
                is_vxlan(mesh),
                count(COUNTER_LEAVING),
                drop(),
            ],
        ),
    ];
    for (_, at) in links {
        let from = json!(at.neighbor_underlay.ipv4.to_string());
        let own = equals(vni.clone(), json!(at.vni.get()));
        rules.push(rule(
            "vxlan",
            vec![equals(payload("ip", "saddr"), from), own.clone(), json!({"return": null})],
        ));
        rules.push(rule("vxlan", vec![own, count(COUNTER_WRONG_SOURCE), drop()]));
    }
    rules.push(rule("vxlan", vec![count(COUNTER_UNKNOWN_VNI), drop()]));
    rules
}

/// Routing speaks over links only, and over IPv6 only: what arrives elsewhere is dropped before any program sees it. OSPF and
/// BFD over IPv4 are none of dlan's.
fn routing_rules() -> [Value; 2] {
    let elsewhere = || differs(meta("iifname"), json!(format!("{LINK_DEVICE_PREFIX}*")));
    let ipv6 = || equals(meta("nfproto"), json!("ipv6"));
    let bfd = equals(payload("udp", "dport"), json!({"set": BFD_PORTS}));
    [
        rule(
            "input",
            vec![
                elsewhere(),
                ipv6(),
                equals(meta("l4proto"), json!(OSPF_PROTOCOL)),
                count(COUNTER_OSPF),
                drop(),
            ],
        ),
        rule("input", vec![elsewhere(), ipv6(), bfd, count(COUNTER_BFD), drop()]),
    ]
}

/// TCP learns the path's MTU when a connection begins: the links' is smaller than a LAN's.
fn clamp_rules() -> [Value; 1] {
    let flags = json!({"&": [payload("tcp", "flags"), {"|": ["syn", "rst"]}]});
    let size = json!({"tcp option": {"name": "maxseg", "field": "size"}});
    [rule(
        "forward",
        vec![
            equals(meta("oifname"), json!(format!("{LINK_DEVICE_PREFIX}*"))),
            equals(flags, json!("syn")),
            json!({"mangle": {"key": size, "value": {"rt": {"key": "mtu"}}}}),
        ],
    )]
}

/// Nothing beyond the WAN port is trusted, and nothing internal leaves by it.
fn wan_rules(names: &Names, fwmark: u32) -> Vec<Value> {
    let (from_wan, to_wan) = (is_one_of("iifname", &names.wans), is_one_of("oifname", &names.wans));
    let mut rules = Vec::new();
    for (protocol, inside) in [("ip", SET_INSIDE_IPV4), ("ip6", SET_INSIDE_IPV6)] {
        let inside = format!("@{inside}");
        for field in ["saddr", "daddr"] {
            let matches = equals(payload(protocol, field), json!(inside));
            rules.push(rule("prerouting", vec![from_wan.clone(), matches, count(COUNTER_FROM_WAN), drop()]));
        }
        // WireGuard's own packets go where the operator's endpoints say.
        let unmarked = differs(meta("mark"), json!(fwmark));
        let matches = equals(payload(protocol, "daddr"), json!(inside));
        rules.push(rule(
            "postrouting",
            vec![to_wan.clone(), unmarked, matches, count(COUNTER_TO_WAN), drop()],
        ));
    }
    // What the inside asked for, and what the operator forwards by name, may pass.
    let wanted = [
        json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}),
        json!({"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}}),
    ];
    for passes in wanted {
        rules.push(rule("forward", vec![from_wan.clone(), passes, json!({"return": null})]));
    }
    let overlay = [format!("{LINK_DEVICE_PREFIX}*"), names.wg.to_string()];
    let inner = names.inner.iter().map(ToString::to_string).chain(overlay);
    for device in inner {
        let to_inner = equals(meta("oifname"), json!(device));
        rules.push(rule("forward", vec![from_wan.clone(), to_inner, count(COUNTER_FROM_WAN), drop()]));
    }
    rules
}

fn rule(chain: &str, statements: Vec<Value>) -> Value {
    json!({"rule": {"family": TABLE_FAMILY, "table": TABLE_NAME, "chain": chain, "expr": statements}})
}

fn base_chain(hook: &str, priority: i32) -> Value {
    json!({"chain": {
        "family": TABLE_FAMILY, "table": TABLE_NAME, "name": hook,
        "type": "filter", "hook": hook, "prio": priority, "policy": "accept",
    }})
}

fn counter(name: &str) -> Value {
    json!({"counter": {"family": TABLE_FAMILY, "table": TABLE_NAME, "name": name, "packets": 0, "bytes": 0}})
}

fn set(name: &str, kind: &str, elements: Vec<Value>) -> Value {
    let mut set = json!({
        "family": TABLE_FAMILY, "table": TABLE_NAME, "name": name, "type": kind, "flags": ["interval"],
    });
    if let (Some(set), false) = (set.as_object_mut(), elements.is_empty()) {
        set.insert("elem".to_owned(), Value::Array(elements));
    }
    json!({"set": set})
}

fn prefix(net: &IpNet) -> Value {
    json!({"prefix": {"addr": net.network().to_string(), "len": net.prefix_len()}})
}

fn is_vxlan(mesh: &MeshConfig) -> Value {
    equals(payload("udp", "dport"), json!(mesh.vxlan_port))
}

fn is_one_of(key: &str, devices: &BTreeSet<LinkName>) -> Value {
    let names: Vec<&str> = devices.iter().map(LinkName::as_str).collect();
    equals(meta(key), json!({"set": names}))
}

fn equals(left: Value, right: Value) -> Value {
    json!({"match": {"op": "==", "left": left, "right": right}})
}

fn differs(left: Value, right: Value) -> Value {
    json!({"match": {"op": "!=", "left": left, "right": right}})
}

fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

fn payload(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

fn count(counter: &str) -> Value {
    json!({"counter": counter})
}

fn drop() -> Value {
    json!({"drop": null})
}
