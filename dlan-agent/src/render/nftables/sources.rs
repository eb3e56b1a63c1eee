//! Forged sources: what comes from the inside with an address that does not belong where it came from.

use serde_json::{Value, json};

use super::Names;
use super::counters::{COUNTER_FORGED_INSIDE, COUNTER_FORGED_LAN};
use super::json::{count, differs, dropped, equals, is_one_of, leaves, meta, payload, rule};
use super::{SET_INSIDE_IPV4, SET_INSIDE_IPV6};
use crate::addressing::{LINK_DEVICE_PREFIX, NAT64_DEVICE};
use crate::config::Config;
use crate::state::LOOPBACK_DEVICE;

/// The bit of a packet's mark that says that its source is forged, from where routes are asked to where it is known whether
/// this router has anything to do with it: a bridge's frames pass by both on some systems, and are the LAN's own affair.
const FORGED: u32 = 0x4000_0000;

/// Drops what no route leads back to by the device that it came by: from a LAN anything, from other devices the addresses
/// of the inside. Links bring packets from everywhere; what a WAN brings is looked at for itself.
pub(super) fn rules(config: &Config, names: &Names<'_>) -> Vec<Value> {
    // What has no address yet, or one of its link only, is no business of routes: the kernel's look-up lets it pass.
    let no_way_back = || json!({"match": {"op": "==", "left": {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "right": false}});
    let is_forged = || equals(json!({"&": [meta("mark"), FORGED]}), json!(FORGED));
    let marks = json!({"mangle": {"key": meta("mark"), "value": {"|": [meta("mark"), FORGED]}}});
    let mut rules = Vec::new();
    if !names.inner.is_empty() {
        let from_lan = || is_one_of("iifname", &names.inner);
        rules.push(rule("prerouting", vec![from_lan(), no_way_back(), marks]));
        rules.push(rule("input", vec![from_lan(), is_forged(), count(COUNTER_FORGED_LAN), dropped()]));
    }
    for lan in &names.inner {
        let mut statements = leaves(lan);
        statements.extend([is_forged(), count(COUNTER_FORGED_LAN), dropped()]);
        rules.push(rule("forward", statements));
    }
    let others = names.inner.iter().chain(&names.wans).chain([&names.wg]).map(|device| device.as_str());
    // What comes out of it was sent by somebody whose source was looked at.
    let translator = config.nat64.as_ref().map(|_| NAT64_DEVICE);
    let known: Vec<&str> = others.chain([LOOPBACK_DEVICE]).chain(translator).collect();
    for (protocol, inside) in [("ip", SET_INSIDE_IPV4), ("ip6", SET_INSIDE_IPV6)] {
        let statements = vec![
            differs(meta("iifname"), json!(format!("{LINK_DEVICE_PREFIX}*"))),
            differs(meta("iifname"), json!({"set": known})),
            equals(payload(protocol, "saddr"), json!(format!("@{inside}"))),
            no_way_back(),
            count(COUNTER_FORGED_INSIDE),
            dropped(),
        ];
        rules.push(rule("prerouting", statements));
    }
    rules
}
