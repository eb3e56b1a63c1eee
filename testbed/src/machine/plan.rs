//! What a router's part of a layout becomes when the router is a machine: the cabinet's part, and the machine's own start-up.

use std::collections::BTreeMap;

use crate::layout::{LAN, Layout, NodePlan, Role, WAN};
use crate::machine::{LAN_PORT, PORTS, Port};

/// What a machine sets up by itself when it boots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boot {
    /// Lines for `ip -batch`.
    pub ip: Vec<String>,
    /// Kernel settings, as paths below `/proc/sys` and values, from before there is any device.
    pub settings: Vec<(&'static str, &'static str)>,
    /// The text of `/etc/hosts`.
    pub hosts: String,
}

/// Turns every router of a layout into a cabinet, and returns what its machine is to set up.
pub fn split(layout: &mut Layout) -> BTreeMap<String, Boot> {
    let mut boots = BTreeMap::new();
    for (name, plan) in layout.nodes.iter_mut().filter(|(_, plan)| plan.role == Role::Router) {
        let mut boot = Boot {
            ip: std::mem::take(&mut plan.ip),
            settings: std::mem::take(&mut plan.settings),
            hosts: std::mem::take(&mut plan.hosts),
        };
        // The bridge has its port before it is up: its link-local address is then of the port's hardware address, at each boot the same.
        let bridge = format!("link add {LAN} ");
        let behind = boot.ip.iter().position(|line| line.starts_with(&bridge)).map_or(0, |at| at + 1);
        boot.ip.insert(behind, format!("link set {LAN_PORT} master {LAN}"));
        boot.ip.push(format!("link set {LAN_PORT} up"));
        *plan = cabinet();
        boots.insert(name.clone(), boot);
    }
    for cable in &mut layout.cables {
        for plug in [&mut cable.0, &mut cable.1] {
            let Some(boot) = boots.get_mut(&plug.node) else { continue };
            // A LAN's cables end in its bridge, which the cabinet has as well.
            if plug.device == WAN {
                let bridge = PORTS.iter().find_map(|port| port.bridge).unwrap_or_default();
                let outside = vec![format!("link set {WAN} master {bridge}"), format!("link set {WAN} up")];
                boot.ip.extend(std::mem::replace(&mut plug.ip, outside));
            }
        }
    }
    boots
}

/// Returns what a cabinet is set to: bridges and ports, silent themselves, and the lab's own line.
fn cabinet() -> NodePlan {
    let mut ip = vec!["link set lo up".to_owned()];
    ip.extend(PORTS.into_iter().flat_map(Port::cabinet_lines));
    NodePlan {
        role: Role::Router,
        ip,
        settings: vec![("net/ipv4/ip_forward", "0"), ("net/ipv6/conf/default/disable_ipv6", "1")],
        nftables: String::new(),
        hosts: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    #[test]
    fn a_machine_has_the_addresses_and_its_cabinet_has_none() {
        let topology =
            Topology::parse(include_str!("../../topologies/reference.toml"), "reference.toml").unwrap();
        let mut layout = Layout::new(&topology);
        let plain = layout.clone();
        let boots = split(&mut layout);
        assert_eq!(boots.len(), topology.routers.len());
        let r4 = &boots["r4"];
        assert!(r4.ip.contains(&"addr add 203.0.113.2/30 dev wan".to_owned()), "{:?}", r4.ip);
        assert!(r4.hosts.contains("r5.example.test"));
        let place = |wanted: &str| r4.ip.iter().position(|line| line == wanted).unwrap();
        assert!(place("link set lan0 master br-lan") < place("link set br-lan up"), "{:?}", r4.ip);
        let addresses = |lines: &[String]| lines.iter().filter(|line| line.contains("addr add")).count();
        assert_eq!(addresses(&layout.nodes["r4"].ip), 1, "only the lab's own line");
        for (cable, before) in layout.cables.iter().zip(&plain.cables) {
            for (plug, before) in [(&cable.0, &before.0), (&cable.1, &before.1)] {
                let is_routers_wan = boots.contains_key(&plug.node) && plug.device == WAN;
                assert_eq!(plug == before, !is_routers_wan, "{plug:?}");
            }
        }
    }
}
