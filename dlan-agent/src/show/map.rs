//! The mesh as text: each router with its networks and its links.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use ipnet::IpNet;

use super::table::{Table, milliseconds};
use crate::control::report::{AddressFamily, RouterReport, Topology};

/// Returns the mesh, this router first.
pub fn topology(topology: &Topology) -> String {
    let root = topology.routers.iter().filter(|router| router.router_id == topology.root);
    let others = topology.routers.iter().filter(|router| router.router_id != topology.root);
    let mut text = String::new();
    for router in root.chain(others) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", heading(topology, router));
        text.push_str(&links(topology, router));
    }
    text
}

fn heading(topology: &Topology, router: &RouterReport) -> String {
    let mut text = router.label();
    if router.name.is_some() {
        let _ = write!(text, " ({})", router.router_id);
    }
    if router.router_id == topology.root {
        text.push_str(", this router");
    }
    if router.version.is_none() {
        text.push_str(", not dlan");
    }
    match (router.reachable.contains(&AddressFamily::Ipv6), router.reachable.contains(&AddressFamily::Ipv4)) {
        (true, true) => {}
        (true, false) => text.push_str(", reachable over ipv6 only"),
        (false, true) => text.push_str(", reachable over ipv4 only"),
        (false, false) => text.push_str(", not reachable"),
    }
    let nets: Vec<String> = networks(router).map(|net| net.to_string()).collect();
    if !nets.is_empty() {
        let _ = write!(text, ": {}", nets.join(", "));
    }
    text
}

/// Returns what is behind the router and its own addresses; the links' /30 prefixes are left out.
fn networks(router: &RouterReport) -> impl Iterator<Item = IpNet> + '_ {
    let is_link = |net: &IpNet| matches!(net, IpNet::V4(net) if net.prefix_len() == 30);
    router.prefixes.iter().map(|announced| announced.prefix).filter(move |net| !is_link(net))
}

fn links(topology: &Topology, router: &RouterReport) -> String {
    let mut table = Table::new(&["", ""]);
    let name = |id: Ipv4Addr| {
        let far = topology.routers.iter().find(|router| router.router_id == id);
        far.map_or_else(|| id.to_string(), RouterReport::label)
    };
    for edge in &topology.links {
        let (far, swap) = match router.router_id {
            id if id == edge.a => (edge.b, false),
            id if id == edge.b => (edge.a, true),
            _ => continue,
        };
        let both = AddressFamily::BOTH.map(|family| {
            let costs = edge.costs(family);
            let (forth, back) =
                if swap { (costs.b_to_a, costs.a_to_b) } else { (costs.a_to_b, costs.b_to_a) };
            match (forth, back) {
                (Some(forth), Some(_)) => format!("cost {forth}"),
                (Some(_), None) => "announced by this end only".to_owned(),
                (None, Some(_)) => "announced by the other end only".to_owned(),
                (None, None) => "not there".to_owned(),
            }
        });
        let [ipv6, ipv4] = both;
        let said = if ipv6 == ipv4 { ipv6 } else { format!("ipv6 {ipv6}, ipv4 {ipv4}") };
        let took =
            edge.round_trip_micros.map_or_else(String::new, |took| format!(", {}", milliseconds(took)));
        table.row([format!("-- {}", name(far)), said + &took]);
    }
    table.render(2).lines().skip(1).fold(String::new(), |text, line| text + line + "\n")
}
