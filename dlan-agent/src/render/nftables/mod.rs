//! The nftables table `inet dlan`: it only drops, counts and clamps; what is let in elsewhere stays let in.

pub mod counters;
mod json;
mod names;
mod nat64;
mod services;
mod sources;
mod wan;
mod zones;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::{Value, json};
use vxlan::link::LinkName;

use self::counters::{
    COUNTER_BFD, COUNTER_LEAVING, COUNTER_NOT_BY_WIREGUARD, COUNTER_OSPF, COUNTER_UNKNOWN_VNI,
    COUNTER_WRONG_SOURCE,
};
use self::json::{
    base_chain, chain, count, counter, differs, dropped, equals, is_vxlan, jump, meta, passes, payload, rule,
    set,
};
use crate::addressing::{LINK_DEVICE_PREFIX, LinkAddressing};
use crate::config::service::openings;
use crate::config::{Config, LinkConfig, MeshConfig, WanConfig};
use crate::state::facts::{Sides, is_private};
use crate::state::ruleset::{Ruleset, TABLE_FAMILY, TABLE_NAME};
use crate::zones::{Members, prefixes};

pub use self::wan::holds_private;
pub use self::zones::sets_of;

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
/// The IP protocol number of IGMP (RFC 3376 section 4). By its name nftables knows it only where there is an `/etc/protocols`.
const IGMP_PROTOCOL: u8 = 2;
/// The UDP ports of BFD: single hop, echo (RFC 5881 section 4), several hops (RFC 5883 section 5).
const BFD_PORTS: [u16; 3] = [3784, 3785, 4784];

/// What the table follows from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What was found of the router's sides.
    pub sides: Sides<'a>,
    /// The links.
    pub links: &'a [(&'a LinkConfig, LinkAddressing)],
    /// The prefixes that must never meet a WAN.
    pub guarded: &'a BTreeSet<IpNet>,
    /// Whether any private address may be the mesh's, so that none is reached by a WAN but those on it.
    pub holds_private: bool,
    /// The zone of each prefix.
    pub members: &'a Members,
}

/// Renders the table.
pub fn render(inputs: &Inputs<'_>) -> Ruleset {
    let Inputs { config, sides, .. } = *inputs;
    let names = Names::of(config, sides);
    let (ipv4, ipv6) = inside(sides, inputs.guarded);
    let mut objects = vec![json!({"table": {"family": TABLE_FAMILY, "name": TABLE_NAME}})];
    objects.extend(counters::all(config).iter().map(|name| counter(name)));
    objects.push(set(SET_INSIDE_IPV4, "ipv4_addr", &ipv4));
    objects.push(set(SET_INSIDE_IPV6, "ipv6_addr", &ipv6));
    objects.extend(zones::sets(config, inputs.members));
    objects.extend(chains());
    objects.extend(vxlan_rules(&config.mesh, inputs.links));
    objects.extend(routing_rules());
    objects.extend(clamp_rules());
    objects.extend(services::rules(&openings(config)));
    objects.extend(wan::rules(config, &names));
    if inputs.holds_private {
        objects.extend(wan::private_rules(sides, &names));
    }
    objects.extend(sources::rules(config, &names));
    objects.extend(zones::rules(config, sides, &names));
    objects.extend(self::names::rules(config, sides));
    objects.extend(self::nat64::rules(config));
    Ruleset::from(objects)
}

/// The devices that the rules tell apart.
struct Names<'a> {
    wans: BTreeSet<LinkName>,
    inner: BTreeSet<LinkName>,
    wg: LinkName,
    /// The WANs with their devices.
    of_wan: Vec<(&'a WanConfig, LinkName)>,
}

impl<'a> Names<'a> {
    fn of(config: &'a Config, sides: Sides<'_>) -> Self {
        let inner: BTreeSet<LinkName> = sides.lans.values().map(|lan| lan.device.clone()).collect();
        let device = |wan: &WanConfig| sides.wans.get(&wan.name)?.device.clone();
        let of_wan = config.wans.iter().filter_map(|wan| Some((wan, device(wan)?)));
        // A device that is both has its LAN hosts on it.
        let of_wan: Vec<_> = of_wan.filter(|(_, device)| !inner.contains(device)).collect();
        Self {
            wans: of_wan.iter().map(|(_, device)| device.clone()).collect(),
            inner,
            wg: config.mesh.wg_device.clone(),
            of_wan,
        }
    }

    /// Returns the devices of the WANs for which something holds.
    fn wans_with(&self, holds: impl Fn(&WanConfig) -> bool) -> BTreeSet<LinkName> {
        let of_wan = self.of_wan.iter().filter(|(wan, _)| holds(wan));
        of_wan.map(|(_, device)| device.clone()).collect()
    }
}

/// Returns the private guarded prefixes, joined where they touch, without what lies on a WAN itself.
fn inside(sides: Sides<'_>, guarded: &BTreeSet<IpNet>) -> (Vec<IpNet>, Vec<IpNet>) {
    let outside: BTreeSet<IpNet> =
        sides.wans.values().flat_map(|wan| &wan.prefixes).map(IpNet::trunc).collect();
    let is_outside = |prefix: &IpNet| outside.iter().any(|wan| wan.contains(prefix));
    let within = |prefix: &IpNet| -> Vec<IpNet> {
        outside.iter().filter(|wan| prefix.contains(*wan)).copied().collect()
    };
    let kept = guarded.iter().filter(|prefix| is_private(prefix) && !is_outside(prefix));
    let kept = kept.flat_map(|prefix| prefixes::without(*prefix, &within(prefix)));
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    for prefix in kept {
        match prefix {
            IpNet::V4(net) => ipv4.push(net),
            IpNet::V6(net) => ipv6.push(net),
        }
    }
    let (ipv4, ipv6) = (Ipv4Net::aggregate(&ipv4), Ipv6Net::aggregate(&ipv6));
    (ipv4.into_iter().map(IpNet::V4).collect(), ipv6.into_iter().map(IpNet::V6).collect())
}

/// Returns the prefixes that a table keeps off the WAN, as far as it is written as this module writes it.
pub fn inside_of(ruleset: &Ruleset) -> BTreeSet<IpNet> {
    let inside = named_sets(ruleset).filter(|(name, _)| [SET_INSIDE_IPV4, SET_INSIDE_IPV6].contains(name));
    inside.flat_map(|(_, elements)| elements).filter_map(element).collect()
}

/// Returns the sets of a table with their elements.
fn named_sets(ruleset: &Ruleset) -> impl Iterator<Item = (&str, &[Value])> {
    let sets = ruleset.objects.iter().filter_map(|object| object.get("set"));
    sets.filter_map(|set| {
        let elements = set.get("elem").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Some((set.get("name")?.as_str()?, elements))
    })
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
        chain("vxlan"),
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
                dropped(),
            ],
        ),
        rule("input", vec![is_vxlan(mesh), jump("vxlan")]),
        rule(
            "output",
            vec![
                differs(meta("oifname"), json!(mesh.wg_device.as_str())),
                is_vxlan(mesh),
                count(COUNTER_LEAVING),
                dropped(),
            ],
        ),
    ];
    for (_, at) in links {
        let from = json!(at.neighbor_underlay.ipv4.to_string());
        let own = equals(vni.clone(), json!(at.vni.get()));
        rules.push(rule("vxlan", vec![equals(payload("ip", "saddr"), from), own.clone(), passes()]));
        rules.push(rule("vxlan", vec![own, count(COUNTER_WRONG_SOURCE), dropped()]));
    }
    rules.push(rule("vxlan", vec![count(COUNTER_UNKNOWN_VNI), dropped()]));
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
                dropped(),
            ],
        ),
        rule("input", vec![elsewhere(), ipv6(), bfd, count(COUNTER_BFD), dropped()]),
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
