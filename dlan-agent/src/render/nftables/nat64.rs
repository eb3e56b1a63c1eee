//! The translator between IPv6 and IPv4: what it sends on as IPv4 leaves this router under an address of the router, as
//! nobody else knows the addresses of its pool.

use ipnet::Ipv6Net;
use serde_json::{Value, json};

use super::json::{differs, equals, meta, payload, prefix, rule};
use crate::addressing::{self, LINK_DEVICE_PREFIX, NAT64_DEVICE};
use crate::config::Config;
use crate::state::ruleset::{TABLE_FAMILY, TABLE_NAME};

/// The chain in which source addresses are translated; no hook has this name.
const CHAIN: &str = "nat64";
/// Where source addresses are translated.
const PRIORITY_SRCNAT: i32 = 100;
/// The IPv4 prefixes in which no host of the internet is, with their lengths: RFC 1918, RFC 6598, RFC 3927, loopback.
const NOT_PUBLIC: [([u16; 2], u8); 6] = [
    ([0x0a00, 0], 8),
    ([0x6440, 0], 10),
    ([0x7f00, 0], 8),
    ([0xa9fe, 0], 16),
    ([0xac10, 0], 12),
    ([0xc0a8, 0], 16),
];

/// Returns the chain and its rules, where this router translates.
pub(super) fn rules(config: &Config) -> Vec<Value> {
    let (Some(nat64), Ok(identity)) =
        (&config.nat64, addressing::loopback(&config.mesh, config.mesh.host_id))
    else {
        return Vec::new();
    };
    let translated = || {
        vec![
            equals(payload("ip", "saddr"), prefix(&nat64.pool.into())),
            differs(meta("oifname"), json!(NAT64_DEVICE)),
        ]
    };
    let chain = json!({"chain": {
        "family": TABLE_FAMILY, "table": TABLE_NAME, "name": CHAIN,
        "type": "nat", "hook": "postrouting", "prio": PRIORITY_SRCNAT, "policy": "accept",
    }});
    // In the mesh this router is known by its identity, which links may be without.
    let mut by_link = translated();
    by_link.push(equals(meta("oifname"), json!(format!("{LINK_DEVICE_PREFIX}*"))));
    by_link.push(json!({"snat": {"family": "ip", "addr": identity.ipv4.to_string()}}));
    let mut elsewhere = translated();
    elsewhere.push(json!({"masquerade": null}));
    vec![chain, rule(CHAIN, by_link), rule(CHAIN, elsewhere)]
}

/// Matches what goes to a host of the internet by the translator.
pub(super) fn to_the_internet(config: &Config) -> Option<Vec<Value>> {
    config.nat64.as_ref()?;
    let whole = config.names.dns64_prefix;
    let [a, b, c, d, e, f, ..] = whole.network().segments();
    let inside = NOT_PUBLIC.iter().filter_map(|([g, h], length)| {
        let net = Ipv6Net::new([a, b, c, d, e, f, *g, *h].into(), length.saturating_add(96)).ok()?;
        Some(prefix(&net.into()))
    });
    let inside: Vec<Value> = inside.collect();
    Some(vec![
        equals(meta("oifname"), json!(NAT64_DEVICE)),
        equals(payload("ip6", "daddr"), prefix(&whole.into())),
        differs(payload("ip6", "daddr"), json!({"set": inside})),
    ])
}
