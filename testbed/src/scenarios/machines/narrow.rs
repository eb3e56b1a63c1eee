//! A line that is narrower than Ethernet, and whose far end does not say so.

use super::{LIMIT, TOPOLOGY, wait_until_whole};
use crate::agent_config::{with_link_option, with_mesh_option};
use crate::error::LabError;
use crate::layout::{INTERNET, WAN};
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "narrow-path",
    claim: "Behind a PPPoE line whose far end drops the ICMP that would say how narrow it is, transfers pass at full packet size both ways, \
            once the router behind it has the MTUs for it: its neighbors follow, and send nothing that their WireGuard pads beyond it.",
    topology: TOPOLOGY,
    run: narrow_path,
}];

/// The router behind the line.
const ROUTER: &str = "r2";
/// The largest packet of a PPPoE line on Ethernet.
const PPPOE: &str = "1492";
/// What of it is left for WireGuard's device over IPv6, and for a link.
const WG_MTU: &str = "1412";
const LINK_MTU: &str = "1362";
/// The MTU of a neighbor's device then: with VXLAN's 50 a multiple of what WireGuard pads to.
const FOLLOWED: &str = "1358";
/// What a ping carries that fills a link's largest packet.
const LARGE: &str = "1342";
/// How much is carried over it, in octets.
const AMOUNT: u64 = 2_000_000;

fn narrow_path(stage: &mut Stage) -> Result<(), LabError> {
    let internet = stage.lab.node(INTERNET)?.clone();
    let node = stage.lab.node(ROUTER)?.clone();
    let line = format!("to-{ROUTER}");
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
    let text = stage.lab.read_config(ROUTER)?;
    let fits = with_mesh_option(&with_mesh_option(&text, "wg_mtu", Some(WG_MTU)), "link_mtu", Some(LINK_MTU));
    stage.lab.write_config(ROUTER, &fits)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    wait_until_whole(&stage.lab)?;
    wait::until(LIMIT, "the neighbors to follow", || {
        let read =
            |neighbor| stage.lab.node(neighbor).and_then(|node| node.read("/sys/class/net/dlan-vx2/mtu"));
        let mtus = ["r1", "r3"].map(read);
        let follow = mtus.iter().all(|mtu| mtu.as_ref().is_ok_and(|mtu| mtu.trim() == FOLLOWED));
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
		iifname \"to-{ROUTER}\" meta l4proto udp drop
		oifname \"to-{ROUTER}\" meta l4proto udp drop
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
        let links = stage.lab.dlan_json(ROUTER, &["links"]).map_err(|error| error.with_causes())?;
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
