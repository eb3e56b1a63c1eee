//! WANs as providers make them: an address that changes, an interface that is replaced.

use std::time::Instant;

use super::{LIMIT, TOPOLOGY, restart, wait_until_settled, wait_until_whole};
use crate::error::LabError;
use crate::layout::{HOME_LAN, WAN};
use crate::machine::{PORTS, Port};
use crate::node::Node;
use crate::scenarios::{Scenario, Stage, claim};
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
];

const ROUTER: &str = "r1";
const HOME: &str = "h1";
/// One that has public addresses of its own.
const REPLACED: &str = "r2";
/// The port of a machine that its WAN is.
const WAN_PORT: Port = PORTS[0];
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
