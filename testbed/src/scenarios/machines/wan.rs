//! WANs as providers make them: an address that changes, an interface that is replaced, a path that is narrow and does not say so.

use std::time::Instant;

use super::{LIMIT, TOPOLOGY, restart, wait_until_settled, wait_until_whole};
use crate::agent_config::{with_link_option, with_mesh_option};
use crate::error::LabError;
use crate::layout::{HOME_LAN, INTERNET, WAN};
use crate::machine::{PORTS, Port};
use crate::node::Node;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::transfer::Transfer;
use crate::{tools, wait};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "wan-address-by-dhcp",
        claim: "A router whose provider gives its WAN another address by DHCP keeps its links and its agent.",
        topology: TOPOLOGY,
        run: wan_address_by_dhcp,
    },
    Scenario {
        name: "wan-replaced",
        claim: "A router whose WAN interface is pulled out and replaced by another has its links again by the same agent.",
        topology: TOPOLOGY,
        run: wan_replaced,
    },
    Scenario {
        name: "narrow-path",
        claim: "Behind a PPPoE line whose far end drops the ICMP that would say how narrow it is, transfers pass at full packet size both ways, \
                once the router behind it has the MTUs for it: its neighbors follow.",
        topology: TOPOLOGY,
        run: narrow_path,
    },
];

const ROUTER: &str = "r1";
const HOME: &str = "h1";
/// One that has public addresses of its own.
const REPLACED: &str = "r2";
/// The port of a machine that its WAN is.
const WAN_PORT: Port = PORTS[0];
/// The largest packet of a PPPoE line on Ethernet.
const PPPOE: &str = "1492";
/// What a ping carries that fills a link's largest packet.
const LARGE: &str = "1342";
/// How much is carried over it, in octets.
const AMOUNT: u64 = 2_000_000;
/// What BusyBox's DHCP client calls with what it was given; the link's IPv6 stays as it is.
const SCRIPT: &str = "#!/bin/sh
case $1 in bound|renew)
    /usr/sbin/ip -4 addr flush dev \"$interface\"
    /usr/sbin/ip addr add \"$ip/24\" dev \"$interface\"
    /usr/sbin/ip -4 route replace default via \"$router\" dev \"$interface\" ;;
esac
";

fn wan_address_by_dhcp(stage: &mut Stage) -> Result<(), LabError> {
    let node = stage.lab.node(ROUTER)?.clone();
    let home = stage.lab.node(HOME)?.clone();
    let agents = stage.lab.agents(ROUTER)?;
    node.write("/etc/lab/dhcp", SCRIPT)?;
    node.run("chmod", &["+x", "/etc/lab/dhcp"])?;
    for address in ["192.168.178.101", "192.168.178.102"] {
        let before = address_of(&node)?;
        give(&home, address)?;
        let begun = Instant::now();
        // As the provider's line comes up: one client for one lease.
        let ask = "kill $(cat /run/udhcpc.pid) 2>/dev/null; udhcpc -i wan -p /run/udhcpc.pid -s /etc/lab/dhcp -t 20 -T 2 -q -n";
        node.run("sh", &["-c", ask])?;
        wait::until(LIMIT, "the address that was given", || {
            let seen = address_of(&node).map_err(|error| error.with_causes())?;
            if seen == address { Ok(()) } else { Err(format!("it is {seen}")) }
        })?;
        wait_until_whole(&stage.lab)?;
        stage.saw(format!(
            "{WAN} from {before} to {address}: the mesh is whole {:.1} s after the provider was asked",
            begun.elapsed().as_secs_f64()
        ));
    }
    take(&home)?;
    claim(stage.lab.agents(ROUTER)? == agents, || "the agent did not stay".to_owned())?;
    wait_until_settled(&stage.lab, ROUTER)?;
    restart(stage, ROUTER)
}

fn wan_replaced(stage: &mut Stage) -> Result<(), LabError> {
    let node = stage.lab.node(REPLACED)?.clone();
    let agents = stage.lab.agents(REPLACED)?;
    let index = format!("/sys/class/net/{WAN}/ifindex");
    let before = node.read(&index)?;
    let fleet = stage.lab.fleet()?;
    fleet.unplug(&node.name, WAN_PORT)?;
    wait::until(LIMIT, "the interface to be gone", || {
        if node.exists(&index) { Err("it is there".to_owned()) } else { Ok(()) }
    })?;
    claim(!stage.lab.pings("s1", "s2", true)?, || "s1 reaches s2 although r2 has no WAN".to_owned())?;
    let host_id = stage.lab.topology.router(REPLACED).map_or(0, |router| router.host_id);
    wait::until(LIMIT, "the port to be free", || {
        fleet.plug(&node.name, host_id, WAN_PORT).map_err(|error| error.with_causes())
    })?;
    let begun = Instant::now();
    wait::until(LIMIT, "the other interface", || {
        // What a system does when one is plugged in: its name, its addresses, its routes.
        let set =
            "cd /sys/class/net && ip link set eth* name wan && grep -w wan /etc/lab/network | ip -batch -";
        node.run("sh", &["-c", set]).map(drop).map_err(|error| error.to_string())
    })?;
    wait_until_whole(&stage.lab)?;
    wait_until_settled(&stage.lab, REPLACED)?;
    claim(node.read(&index)? != before, || "it is the same interface".to_owned())?;
    claim(stage.lab.agents(REPLACED)? == agents, || "the agent did not stay".to_owned())?;
    stage.saw(format!(
        "{WAN} of {REPLACED} pulled out and another one plugged in: the mesh is whole {:.1} s later",
        begun.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn narrow_path(stage: &mut Stage) -> Result<(), LabError> {
    let internet = stage.lab.node(INTERNET)?.clone();
    let node = stage.lab.node(REPLACED)?.clone();
    let line = format!("to-{REPLACED}");
    let good = call_by_ipv6(stage)?;
    // What the far end of the line would say of packets that are too large.
    let silence = "table inet silence {
	chain output {
		type filter hook output priority 0;
		icmp type destination-unreachable drop
		icmpv6 type packet-too-big drop
	}
}
";
    internet.feed("nft", &["-f", "-"], silence)?;
    internet.run("ip", &["link", "set", &line, "mtu", PPPOE])?;
    node.run("ip", &["link", "set", WAN, "mtu", PPPOE])?;
    let s1 = stage.lab.node("s1")?.clone();
    let large = ["-n", "-c", "3", "-i", "0.2", "-W", "3", "-M", "do", "-s", LARGE, "10.2.2.12"];
    claim(!s1.succeeds("ping", &large), || {
        "packets of the full size pass: nothing is tried here".to_owned()
    })?;
    stage.saw(format!(
        "behind a line of {PPPOE} octets whose far end says nothing the largest packets of a link vanish"
    ));
    let text = stage.lab.read_config(REPLACED)?;
    let fits = with_mesh_option(&with_mesh_option(&text, "wg_mtu", Some("1412")), "link_mtu", Some("1362"));
    stage.lab.write_config(REPLACED, &fits)?;
    stage.lab.dlan(REPLACED, &["apply"])?;
    wait_until_whole(&stage.lab)?;
    wait::until(LIMIT, "the neighbors to follow", || {
        let read =
            |neighbor| stage.lab.node(neighbor).and_then(|node| node.read("/sys/class/net/dlan-vx2/mtu"));
        let mtus = ["r1", "r3"].map(read);
        let follow = mtus.iter().all(|mtu| mtu.as_ref().is_ok_and(|mtu| mtu.trim() == "1362"));
        if follow { Ok(()) } else { Err(format!("{mtus:?}")) }
    })?;
    transfers_pass(stage)?;
    for table in [["inet", "silence"], ["ip", "ipv6_only"]] {
        internet.run("nft", &[&["delete", "table"], table.as_slice()].concat())?;
    }
    for (node, device) in [(&internet, line.as_str()), (&node, WAN)] {
        node.run("ip", &["link", "set", device, "mtu", "1500"])?;
    }
    for (router, config) in good {
        stage.lab.write_config(router, &config)?;
        stage.lab.dlan(router, &["apply"])?;
    }
    wait_until_whole(&stage.lab)
}

/// Has the routers call each other by IPv6, whose packets nobody on the way cuts into pieces; returns their configurations of before.
fn call_by_ipv6(stage: &Stage) -> Result<Vec<(&'static str, String)>, LabError> {
    // One that hears its neighbor by IPv4 would go back to that.
    let only = format!(
        "table ip ipv6_only {{
	chain forward {{
		type filter hook forward priority 0;
		iifname \"to-{REPLACED}\" meta l4proto udp drop
		oifname \"to-{REPLACED}\" meta l4proto udp drop
	}}
}}
"
    );
    stage.lab.node(INTERNET)?.feed("nft", &["-f", "-"], &only)?;
    let mut before = Vec::new();
    for (router, neighbor, endpoint) in [
        ("r1", "r2", "[2001:db8:f2::2]:51820"),
        ("r3", "r2", "[2001:db8:f2::2]:51820"),
        ("r2", "r3", "[2001:db8:f3::2]:51820"),
    ] {
        let text = stage.lab.read_config(router)?;
        stage.lab.write_config(router, &with_link_option(&text, neighbor, ("endpoint", endpoint)))?;
        stage.lab.dlan(router, &["apply"])?;
        before.push((router, text));
    }
    wait::until(LIMIT, "r2's neighbors to call by IPv6", || {
        let links = stage.lab.dlan_json(REPLACED, &["links"]).map_err(|error| error.with_causes())?;
        let endpoints: Vec<_> = links
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|link| link.get("endpoint")?.as_str())
            .collect();
        let all = endpoints.len() == 2 && endpoints.iter().all(|endpoint| endpoint.starts_with('['));
        if all { Ok(()) } else { Err(links.to_string()) }
    })?;
    wait_until_whole(&stage.lab)?;
    Ok(before)
}

fn transfers_pass(stage: &mut Stage) -> Result<(), LabError> {
    for is_ipv6 in [true, false] {
        for (from, to) in [("s1", "s2"), ("s2", "s1"), ("s3", "s2")] {
            let done = Transfer::start(&stage.lab, from, to, is_ipv6, AMOUNT)?.wait()?;
            stage.saw(format!(
                "a line of {PPPOE} octets that drops ICMP: {} octets from {from} to {to} by {}, all checked, {:.1} s between two at most",
                done.octets,
                family(is_ipv6),
                done.longest_pause.as_secs_f64()
            ));
        }
    }
    Ok(())
}

/// Has a home's gateway give one address, and no other, to who asks.
fn give(home: &Node, address: &str) -> Result<(), LabError> {
    take(home)?;
    let folder = tools::folder("dnsmasq")?;
    let mut command = home.command(
        &tools::program("dnsmasq", "usr/sbin/dnsmasq")?,
        &[
            "--conf-file=/dev/null",
            "--port=0",
            "--bind-interfaces",
            "--dhcp-authoritative",
            "--dhcp-leasefile=/run/provider.leases",
            "--pid-file=/run/provider.pid",
            &format!("--interface={HOME_LAN}"),
            &format!("--dhcp-range={address},{address},2m"),
        ],
    );
    command.env("LD_LIBRARY_PATH", folder.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH)));
    crate::command::run(&mut command, "").map(drop).map_err(LabError::from)
}

/// Ends what gives addresses in a home, if anything does.
fn take(home: &Node) -> Result<(), LabError> {
    for pid in home.processes(|line| line.iter().any(|word| word == "--pid-file=/run/provider.pid")) {
        crate::node::end_process(pid);
    }
    home.run("rm", &["-f", "/run/provider.leases"])?;
    Ok(())
}

/// Returns the IPv4 address of a router's WAN.
fn address_of(node: &Node) -> Result<String, LabError> {
    let said = node.run("ip", &["-4", "-o", "addr", "show", "dev", WAN])?;
    let address =
        said.split_whitespace().find_map(|word| word.split_once('/').map(|(address, _)| address.to_owned()));
    address.ok_or_else(|| LabError::Claim(format!("{WAN} has no address: {said}")))
}
