//! The words of libnftables' JSON that the rules are made of. Every name in them is plain text by its type or its reader.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::{Value, json};
use vxlan::link::LinkName;

use crate::config::MeshConfig;
use crate::config::zone::Ports;
use crate::state::ruleset::{TABLE_FAMILY, TABLE_NAME};

pub(super) fn rule(chain: &str, statements: Vec<Value>) -> Value {
    json!({"rule": {"family": TABLE_FAMILY, "table": TABLE_NAME, "chain": chain, "expr": statements}})
}

/// Makes a base chain of a filter. All accept what no rule drops: a policy holds at once, the rules only with the whole
/// transaction.
pub(super) fn base_chain(hook: &str, priority: i32) -> Value {
    json!({"chain": {
        "family": TABLE_FAMILY, "table": TABLE_NAME, "name": hook,
        "type": "filter", "hook": hook, "prio": priority, "policy": "accept",
    }})
}

pub(super) fn chain(name: &str) -> Value {
    json!({"chain": {"family": TABLE_FAMILY, "table": TABLE_NAME, "name": name}})
}

pub(super) fn jump(chain: &str) -> Value {
    json!({"jump": {"target": chain}})
}

/// Lets a packet go on to whatever comes after the chain.
pub(super) fn passes() -> Value {
    json!({"return": null})
}

/// Matches what belongs to a connection that was allowed to begin.
pub(super) fn is_established() -> Value {
    json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}})
}

/// Matches the destination ports.
pub(super) fn is_to(ports: &Ports) -> Value {
    let right = if ports.first == ports.last {
        json!(ports.first)
    } else {
        json!({"range": [ports.first, ports.last]})
    };
    equals(payload(ports.protocol.name(), "dport"), right)
}

/// Returns the word for a family in rules: `ip` or `ip6`.
pub(super) const fn family(net: &IpNet) -> &'static str {
    match net {
        IpNet::V4(_) => "ip",
        IpNet::V6(_) => "ip6",
    }
}

pub(super) fn counter(name: &str) -> Value {
    json!({"counter": {"family": TABLE_FAMILY, "table": TABLE_NAME, "name": name, "packets": 0, "bytes": 0}})
}

pub(super) fn set(name: &str, kind: &str, prefixes: &[IpNet]) -> Value {
    let mut set = json!({
        "family": TABLE_FAMILY, "table": TABLE_NAME, "name": name, "type": kind, "flags": ["interval"],
    });
    if let (Some(set), false) = (set.as_object_mut(), prefixes.is_empty()) {
        set.insert("elem".to_owned(), prefixes.iter().map(prefix).collect());
    }
    json!({"set": set})
}

pub(super) fn prefix(net: &IpNet) -> Value {
    json!({"prefix": {"addr": net.network().to_string(), "len": net.prefix_len()}})
}

pub(super) fn is_vxlan(mesh: &MeshConfig) -> Value {
    equals(payload("udp", "dport"), json!(mesh.vxlan_port))
}

pub(super) fn is_one_of(key: &str, devices: &BTreeSet<LinkName>) -> Value {
    let names: Vec<&str> = devices.iter().map(LinkName::as_str).collect();
    equals(meta(key), json!({"set": names}))
}

/// Matches what comes by a device and leaves by another: what stays on it is bridged, and no router's affair.
pub(super) fn leaves(device: &LinkName) -> Vec<Value> {
    let name = json!(device.as_str());
    vec![equals(meta("iifname"), name.clone()), differs(meta("oifname"), name)]
}

pub(super) fn equals(left: Value, right: Value) -> Value {
    json!({"match": {"op": "==", "left": left, "right": right}})
}

pub(super) fn differs(left: Value, right: Value) -> Value {
    json!({"match": {"op": "!=", "left": left, "right": right}})
}

pub(super) fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

pub(super) fn payload(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

pub(super) fn count(counter: &str) -> Value {
    json!({"counter": counter})
}

pub(super) fn dropped() -> Value {
    json!({"drop": null})
}
