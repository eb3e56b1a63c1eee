//! From topology to kernel state, on paper: which nodes there are, which cables join them, what each end is set to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::topology::{Home, Router, Topology};

/// The node that stands for everything between the homes and the cloud.
pub const INTERNET: &str = "internet";
/// The name suffix under which routers find each other's underlay addresses.
pub const UNDERLAY_DOMAIN: &str = "example.test";
/// A router's device towards its home or the internet, and a home's towards the internet.
pub const WAN: &str = "wan";
/// A router's LAN.
pub const LAN: &str = "br-lan";
/// A home's network.
pub const HOME_LAN: &str = "br-home";

/// What a node is in the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Routes public addresses only.
    Internet,
    /// A gateway with NAT.
    Home,
    /// A machine on a home network that nobody in the mesh controls.
    Stranger,
    /// A router of the mesh.
    Router,
    /// A host on a router's LAN.
    Host,
}

/// What a node is set to before any cable is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePlan {
    /// What the node is.
    pub role: Role,
    /// Lines for `ip -batch`.
    pub ip: Vec<String>,
    /// Kernel settings, as paths below `/proc/sys` and values.
    pub settings: Vec<(&'static str, &'static str)>,
    /// An nftables ruleset; empty for none.
    pub nftables: String,
    /// The text of `/etc/hosts`.
    pub hosts: String,
}

/// One end of a cable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plug {
    /// The node it is plugged into.
    pub node: String,
    /// The device it is there.
    pub device: String,
    /// Lines for `ip -batch` once it is plugged in.
    pub ip: Vec<String>,
}

/// A cable between two nodes: a pair of Ethernet devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cable(pub Plug, pub Plug);

impl Cable {
    /// Returns whether one end is plugged into `node`.
    pub fn touches(&self, node: &str) -> bool {
        self.0.node == node || self.1.node == node
    }
}

/// All nodes and cables of a mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// By name.
    pub nodes: BTreeMap<String, NodePlan>,
    /// In the order in which they are plugged in.
    pub cables: Vec<Cable>,
}

impl Layout {
    /// Lays a topology out.
    pub fn new(topology: &Topology) -> Self {
        let mut layout = Self { nodes: BTreeMap::new(), cables: Vec::new() };
        layout.nodes.insert(INTERNET.to_owned(), internet());
        for home in &topology.homes {
            layout.nodes.insert(home.name.clone(), home_plan(home));
            layout.cables.push(uplink(&home.name, home.ipv4, home.ipv6, Some(home.lan_ipv6)));
        }
        for router in &topology.routers {
            let mut plan = router_plan(router);
            plan.hosts = names_seen_by(topology, router);
            layout.nodes.insert(router.name.clone(), plan);
            layout.cables.extend(router_cable(topology, router));
        }
        for stranger in &topology.strangers {
            if let Some(home) = topology.home(&stranger.home) {
                layout.nodes.insert(stranger.name.clone(), plain(Role::Stranger));
                layout.cables.push(home_cable(home, &stranger.name, "eth0", stranger.ipv4, stranger.ipv6));
            }
        }
        for host in &topology.hosts {
            if let (Some(router), Some((ipv4, ipv6))) =
                (topology.router_of(host), topology.host_addresses(host))
            {
                layout.nodes.insert(host.name.clone(), plain(Role::Host));
                let near = Plug {
                    node: host.name.clone(),
                    device: "eth0".to_owned(),
                    ip: ends("eth0", (ipv4, router.lan_ipv4), (ipv6, router.lan_ipv6)),
                };
                layout.cables.push(Cable(port(&router.name, &format!("lan-{}", host.name), LAN), near));
            }
        }
        layout
    }
}

/// Returns the settings of a node that is no router: nothing is forwarded, no address makes itself.
fn plain(role: Role) -> NodePlan {
    NodePlan {
        role,
        ip: vec!["link set lo up".to_owned()],
        settings: vec![
            ("net/ipv4/ip_forward", "0"),
            ("net/ipv6/conf/all/forwarding", "0"),
            ("net/ipv6/conf/default/accept_ra", "0"),
            ("net/ipv6/conf/default/accept_dad", "0"),
        ],
        nftables: String::new(),
        hosts: hosts_file(""),
    }
}

fn internet() -> NodePlan {
    let mut plan = plain(Role::Internet);
    plan.settings = forwarding();
    plan.nftables = "table inet internet {
	counter private { }
	chain forward {
		type filter hook forward priority filter; policy accept;
		ip saddr { 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16 } counter name private drop
		ip daddr { 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16 } counter name private drop
		ip6 saddr fc00::/7 counter name private drop
		ip6 daddr fc00::/7 counter name private drop
	}
}
"
    .to_owned();
    plan
}

fn home_plan(home: &Home) -> NodePlan {
    let mut plan = plain(Role::Home);
    plan.settings = forwarding();
    plan.ip.extend(bridge(HOME_LAN, home.lan_ipv4, home.lan_ipv6));
    plan.nftables = format!(
        "table inet home {{
	chain forward {{
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		iifname \"{HOME_LAN}\" accept
	}}
	chain input {{
		type filter hook input priority filter; policy drop;
		iifname {{ \"lo\", \"{HOME_LAN}\" }} accept
		ct state established,related accept
		icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
	}}
}}
table ip home_nat {{
	chain postrouting {{
		type nat hook postrouting priority srcnat;
		oifname \"{WAN}\" masquerade
	}}
}}
"
    );
    plan
}

/// Returns a router as its system leaves it: a LAN and a WAN; whether it forwards is the agent's business.
fn router_plan(router: &Router) -> NodePlan {
    let mut plan = plain(Role::Router);
    plan.ip.extend(bridge(LAN, router.lan_ipv4, router.lan_ipv6));
    plan
}

fn forwarding() -> Vec<(&'static str, &'static str)> {
    vec![
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv6/conf/default/accept_dad", "0"),
    ]
}

fn bridge(name: &str, ipv4: Ipv4Net, ipv6: Ipv6Net) -> Vec<String> {
    vec![
        format!("link add {name} type bridge mcast_snooping 0"),
        format!("addr add {ipv4} dev {name}"),
        format!("addr add {ipv6} dev {name} nodad"),
        format!("link set {name} up"),
    ]
}

/// Returns the lines for a device with an address per family in its gateway's prefixes, and default routes there.
fn ends(
    device: &str,
    (ipv4, gateway4): (std::net::Ipv4Addr, Ipv4Net),
    (ipv6, gateway6): (std::net::Ipv6Addr, Ipv6Net),
) -> Vec<String> {
    vec![
        format!("link set {device} up"),
        format!("addr add {ipv4}/{} dev {device}", gateway4.prefix_len()),
        format!("addr add {ipv6}/{} dev {device} nodad", gateway6.prefix_len()),
        format!("route add default via {} dev {device}", gateway4.addr()),
        format!("route add default via {} dev {device}", gateway6.addr()),
    ]
}

/// Returns a plug into a bridge.
fn port(node: &str, device: &str, bridge: &str) -> Plug {
    Plug {
        node: node.to_owned(),
        device: device.to_owned(),
        ip: vec![format!("link set {device} master {bridge}"), format!("link set {device} up")],
    }
}

/// Returns the cable of a node with public addresses to the internet; a home's delegated prefix is routed to it.
fn uplink(node: &str, ipv4: Ipv4Net, ipv6: Ipv6Net, delegated: Option<Ipv6Net>) -> Cable {
    let device = format!("to-{node}");
    let gateway4 = first(ipv4);
    let gateway6 = first6(ipv6);
    let mut far = vec![
        format!("link set {device} up"),
        format!("addr add {gateway4} dev {device}"),
        format!("addr add {gateway6} dev {device} nodad"),
    ];
    if let Some(prefix) = delegated {
        far.push(format!("route add {} via {} dev {device}", prefix.trunc(), ipv6.addr()));
    }
    Cable(
        Plug { node: INTERNET.to_owned(), device, ip: far },
        Plug {
            node: node.to_owned(),
            device: WAN.to_owned(),
            ip: ends(WAN, (ipv4.addr(), gateway4), (ipv6.addr(), gateway6)),
        },
    )
}

fn first(net: Ipv4Net) -> Ipv4Net {
    let address = std::net::Ipv4Addr::from(u32::from(net.network()).saturating_add(1));
    Ipv4Net::new_assert(address, net.prefix_len())
}

fn first6(net: Ipv6Net) -> Ipv6Net {
    let address = std::net::Ipv6Addr::from(u128::from(net.network()).saturating_add(1));
    Ipv6Net::new_assert(address, net.prefix_len())
}

fn home_cable(
    home: &Home,
    node: &str,
    device: &str,
    ipv4: std::net::Ipv4Addr,
    ipv6: std::net::Ipv6Addr,
) -> Cable {
    let near = Plug {
        node: node.to_owned(),
        device: device.to_owned(),
        ip: ends(device, (ipv4, home.lan_ipv4), (ipv6, home.lan_ipv6)),
    };
    Cable(port(&home.name, &format!("p-{node}"), HOME_LAN), near)
}

fn router_cable(topology: &Topology, router: &Router) -> Option<Cable> {
    match router.home.as_deref() {
        Some(home) => {
            let (ipv4, ipv6) = router.wan_addresses()?;
            Some(home_cable(topology.home(home)?, &router.name, WAN, ipv4, ipv6))
        }
        None => {
            Some(uplink(&router.name, router.wan_ipv4.parse().ok()?, router.wan_ipv6.parse().ok()?, None))
        }
    }
}

/// Returns the `/etc/hosts` of a router: every router that it could call, by name.
fn names_seen_by(topology: &Topology, viewer: &Router) -> String {
    let mut lines = String::new();
    for router in &topology.routers {
        let callable = router.home.is_none() || topology.share_a_home(viewer, router);
        if let (true, Some((ipv4, ipv6))) = (callable, router.wan_addresses()) {
            let name = format!("{}.{UNDERLAY_DOMAIN}", router.name);
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{ipv4} {name}\n{ipv6} {name}");
        }
    }
    hosts_file(&lines)
}

fn hosts_file(lines: &str) -> String {
    format!("127.0.0.1 localhost\n::1 localhost ip6-localhost\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Topology {
        Topology::parse(include_str!("../topologies/reference.toml"), "reference.toml").unwrap()
    }

    #[test]
    fn every_node_of_the_topology_is_laid_out_with_a_cable() {
        let layout = Layout::new(&reference());
        assert_eq!(layout.nodes.len(), 1 + 2 + 2 + 5 + 7);
        for name in layout.nodes.keys() {
            assert!(layout.cables.iter().any(|cable| cable.touches(name)), "{name} hangs in the air");
        }
    }

    #[test]
    fn device_names_fit_the_kernel() {
        for cable in Layout::new(&reference()).cables {
            assert!(cable.0.device.len() < 16 && cable.1.device.len() < 16, "{cable:?}");
        }
    }

    #[test]
    fn a_router_knows_the_addresses_it_could_call_and_no_other() {
        let topology = reference();
        let seen = |name: &str| names_seen_by(&topology, topology.router(name).unwrap());
        assert!(seen("r1").contains("203.0.113.2 r4.example.test"));
        assert!(!seen("r1").contains("r2.example.test"));
        assert!(seen("r2").contains("192.168.1.3 r3.example.test"));
    }
}
