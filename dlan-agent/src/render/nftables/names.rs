//! Hosts of LANs with DNS64 ask the agent's name server: what they send to this router's port 53 goes to its port there.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::json::{equals, family, meta, payload, rule};
use crate::config::Config;
use crate::names::asking::PORT;
use crate::state::facts::Sides;
use crate::state::ruleset::{TABLE_FAMILY, TABLE_NAME};

/// The chain in which they are sent there; no hook has this name.
const CHAIN: &str = "dns64";
/// Where destination addresses are translated.
const PRIORITY_DSTNAT: i32 = -100;

/// Returns the chain and its rules, where a LAN has DNS64.
pub(super) fn rules(config: &Config, sides: Sides<'_>) -> Vec<Value> {
    let lans = config.lans.iter().filter(|lan| lan.dns64);
    let rules: Vec<Value> = lans
        .flat_map(|lan| {
            let device = sides.lans.get(&lan.name).map_or(&lan.device, |found| &found.device).to_string();
            let own = sides.lan_prefixes(lan).into_iter().map(|(address, _)| address);
            own.flat_map(move |address| {
                ["udp", "tcp"].map(|transport| redirected(&device, transport, (address, config.names.port)))
            })
        })
        .collect();
    if rules.is_empty() {
        return rules;
    }
    let chain = json!({"chain": {
        "family": TABLE_FAMILY, "table": TABLE_NAME, "name": CHAIN,
        "type": "nat", "hook": "prerouting", "prio": PRIORITY_DSTNAT, "policy": "accept",
    }});
    std::iter::once(chain).chain(rules).collect()
}

fn redirected(device: &str, transport: &str, (address, port): (IpAddr, u16)) -> Value {
    let is_own = json!({"fib": {"result": "type", "flags": ["daddr"]}});
    let version = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    let to = json!({"family": family(&address.into()), "addr": address.to_string(), "port": port});
    let statements = vec![
        equals(meta("iifname"), json!(device)),
        equals(meta("nfproto"), json!(version)),
        equals(is_own, json!("local")),
        equals(payload(transport, "dport"), json!(PORT)),
        json!({"dnat": to}),
    ];
    rule(CHAIN, statements)
}
