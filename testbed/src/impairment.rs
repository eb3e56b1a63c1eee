//! Delay, loss and cuts of the path below a link, as orders for the one node where that path can be told apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::layout::{HOME_LAN, INTERNET, WAN};
use crate::node::Node;
use crate::topology::{Link, Router, Topology};

/// What one node is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Orders {
    /// A ruleset for `nft -f -`, which replaces the one before.
    pub nftables: String,
    /// Lines for `tc -batch -`, which replace those before; empty where nothing is delayed.
    pub traffic_control: String,
}

/// Where a link's path can be told from every other, and the devices it leaves that node by.
struct Crossing {
    node: String,
    bridged: bool,
    devices: [String; 2],
}

/// Returns how a cut of the one direction from `a` to `b` is called.
pub fn one_way(a: &str, b: &str) -> String {
    format!("{a}>{b}")
}

/// Returns the orders for every node that some link's path crosses, given the names of the links that are cut and of single
/// directions of links that are.
pub fn orders(topology: &Topology, cuts: &BTreeSet<String>) -> BTreeMap<String, Orders> {
    let mut rules: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut delays: BTreeMap<String, String> = BTreeMap::new();
    for (index, link) in topology.links.iter().enumerate() {
        let (Some(a), Some(b)) = (topology.router(&link.between.0), topology.router(&link.between.1)) else {
            continue;
        };
        let crossing = crossing(topology, a, b);
        let class = index + 2;
        let (routed, bridged) = rules.entry(crossing.node.clone()).or_default();
        let into = if crossing.bridged { bridged } else { routed };
        let is_cut =
            |a: &Router, b: &Router| cuts.contains(&link.name()) || cuts.contains(&one_way(&a.name, &b.name));
        write_rules(into, link, (a, b, is_cut(a, b)), class);
        write_rules(into, link, (b, a, is_cut(b, a)), class);
        if link.delay_ms > 0 {
            let lines = delays.entry(crossing.node).or_default();
            for device in &crossing.devices {
                write_delay(lines, device, link, class);
            }
        }
    }
    rules
        .into_iter()
        .map(|(node, (routed, bridged))| {
            let traffic_control = delays.remove(&node).unwrap_or_default();
            let nftables = format!("{}{}", table("inet", &routed), table("bridge", &bridged));
            (node, Orders { nftables, traffic_control })
        })
        .collect()
}

/// Returns whether the kernel can delay packets, as seen from `node`.
pub fn can_delay(node: &Node) -> bool {
    let probed = node.succeeds("tc", &["qdisc", "replace", "dev", "lo", "root", "netem", "delay", "1ms"]);
    // Nothing to take away where nothing was added.
    let _ = node.succeeds("tc", &["qdisc", "delete", "dev", "lo", "root"]);
    probed
}

fn crossing(topology: &Topology, a: &Router, b: &Router) -> Crossing {
    match (&a.home, &b.home) {
        (Some(home), Some(_)) if topology.share_a_home(a, b) => Crossing {
            node: home.clone(),
            bridged: true,
            devices: [format!("p-{}", a.name), format!("p-{}", b.name)],
        },
        // Behind NAT only the gateway sees which of its routers a packet is for.
        (Some(home), _) | (None, Some(home)) => {
            Crossing { node: home.clone(), bridged: false, devices: [HOME_LAN.to_owned(), WAN.to_owned()] }
        }
        (None, None) => Crossing {
            node: INTERNET.to_owned(),
            bridged: false,
            devices: [format!("to-{}", a.name), format!("to-{}", b.name)],
        },
    }
}

/// Writes what holds for packets from `a` to `b`.
fn write_rules(rules: &mut String, link: &Link, (a, b, cut): (&Router, &Router, bool), class: usize) {
    let (Some((a4, a6)), Some((b4, b6))) = (a.wan_addresses(), b.wan_addresses()) else { return };
    let pairs = [format!("ip saddr {a4} ip daddr {b4}"), format!("ip6 saddr {a6} ip6 daddr {b6}")];
    for pair in pairs {
        // Writing to a String cannot fail.
        if cut {
            let _ = writeln!(rules, "\t\t{pair} counter drop");
        } else if link.loss_percent > 0.0 {
            let per_million = link.loss_percent * 10_000.0;
            let _ = writeln!(rules, "\t\t{pair} numgen random mod 1000000 < {per_million:.0} drop");
        }
        if !cut && link.delay_ms > 0 {
            let _ = writeln!(rules, "\t\t{pair} meta priority set 1:{class:x}");
        }
    }
}

/// Returns an order that replaces our table of a family, or takes it away where it would be empty.
fn table(family: &str, rules: &str) -> String {
    let gone = format!("table {family} lab_paths\ndelete table {family} lab_paths\n");
    if rules.is_empty() {
        return gone;
    }
    // After connection tracking has undone NAT, before the node's own filter.
    format!(
        "{gone}table {family} lab_paths {{\n\tchain forward {{\n\t\ttype filter hook forward priority -10;\n{rules}\t}}\n}}\n"
    )
}

fn write_delay(lines: &mut String, device: &str, link: &Link, class: usize) {
    let root = format!("qdisc add dev {device} root handle 1: htb default 1");
    if !lines.contains(&root) {
        let _ = writeln!(lines, "qdisc delete dev {device} root");
        let _ = writeln!(
            lines,
            "{root}\nclass add dev {device} parent 1: classid 1:1 htb rate 10gbit quantum 60000"
        );
    }
    let _ =
        writeln!(lines, "class add dev {device} parent 1: classid 1:{class:x} htb rate 10gbit quantum 60000");
    let _ = writeln!(
        lines,
        "qdisc add dev {device} parent 1:{class:x} netem delay {}ms limit 100000",
        link.delay_ms
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Topology {
        Topology::parse(include_str!("../topologies/reference.toml"), "reference.toml").unwrap()
    }

    #[test]
    fn a_cut_drops_both_families_both_ways_and_nothing_else() {
        let orders = orders(&reference(), &BTreeSet::from(["r1-r4".to_owned()]));
        let rules = &orders["h1"].nftables;
        assert_eq!(rules.matches("counter drop").count(), 4, "{rules}");
        assert!(rules.contains("ip saddr 192.168.178.2 ip daddr 203.0.113.2 counter drop"), "{rules}");
        assert!(
            orders
                .iter()
                .filter(|(node, _)| *node != "h1")
                .all(|(_, orders)| !orders.nftables.contains("drop"))
        );
    }

    #[test]
    fn a_cut_of_one_direction_leaves_the_other() {
        let orders = orders(&reference(), &BTreeSet::from([one_way("r1", "r4")]));
        let rules = &orders["h1"].nftables;
        assert_eq!(rules.matches("counter drop").count(), 2, "{rules}");
        assert!(rules.contains("ip saddr 192.168.178.2 ip daddr 203.0.113.2 counter drop"), "{rules}");
    }

    #[test]
    fn a_link_inside_a_home_is_cut_on_the_home_network_itself() {
        let orders = orders(&reference(), &BTreeSet::from(["r2-r3".to_owned()]));
        let (_, bridged) = orders["h2"].nftables.split_once("delete table bridge lab_paths").unwrap();
        assert_eq!(bridged.matches("counter drop").count(), 4, "{bridged}");
    }

    #[test]
    fn a_delay_has_a_class_of_its_own_on_both_sides_of_the_crossing() {
        let orders = orders(&reference(), &BTreeSet::new());
        let lines = &orders["internet"].traffic_control;
        assert!(
            lines.contains("dev to-r4") && lines.contains("dev to-r5") && lines.contains("delay 2ms"),
            "{lines}"
        );
        assert_eq!(lines.matches("root handle 1: htb").count(), 2, "{lines}");
    }
}
