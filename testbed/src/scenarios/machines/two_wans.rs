//! A router with two WANs, the first of which fails.

use std::time::{Duration, Instant};

use super::{LIMIT, TOPOLOGY, restart, wait_for_answers, wait_until_settled, wait_until_whole};
use crate::error::LabError;
use crate::lab::Lab;
use crate::layout::{Cable, INTERNET, Plug};
use crate::machine::Port;
use crate::scenarios::{Scenario, Stage, claim};
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "two-wans",
    claim: "When the first of a router's two WANs fails, hosts reach each other at once over the second; neighbors behind NAT that know both by its name have their links again, and all stays so when the first is back.",
    topology: TOPOLOGY,
    run: two_wans,
}];

const ROUTER: &str = "r2";
/// The second WAN: the device in the machine, the cable's end in the internet, and the port of the machine.
const SECOND: &str = "wan2";
const FAR: &str = "to-r2-2";
const PORT: Port = Port { tap: "t-wan2", bridge: Some("sw-wan2"), number: 4 };
/// What is carried while the first WAN fails and comes back, at least, in octets.
const AMOUNT: u64 = 200_000;
/// Those that call the router by its name, and what the name means beside the first WAN.
const NEIGHBORS: [&str; 2] = ["r1", "r3"];
const NAMES: &str = "203.0.113.10 r2.example.test\n2001:db8:f4::2 r2.example.test\n";
/// How long links may take that come again by another address of a name: silence counts after 150 s, then each address is tried for 15.
const BY_NAME: Duration = Duration::from_secs(600);
const ADD: &str = "
config wan 'wan1'
	option device 'wan2'
";
/// What a system does when an interface comes up, and when it goes down.
const SECOND_UP: &str = "set -e
cd /sys/class/net
ip link set eth* name wan2
ip link set wan2 up
ip addr add 203.0.113.10/30 dev wan2
ip addr add 2001:db8:f4::2/64 dev wan2 nodad
ip route add default via 203.0.113.9 dev wan2 metric 100
ip route add default via 2001:db8:f4::1 dev wan2 metric 2000";
const FIRST_DOWN: &str = "ip addr flush dev wan && ip link set wan down";
const FIRST_UP: &str = "grep -w wan /etc/lab/network | ip -batch -";

fn two_wans(stage: &mut Stage) -> Result<(), LabError> {
    let good = stage.lab.read_config(ROUTER)?;
    add_wan(&stage.lab)?;
    let mut hosts = Vec::new();
    for neighbor in NEIGHBORS {
        let node = stage.lab.node(neighbor)?;
        let names = node.read("/etc/hosts")?;
        node.write("/etc/hosts", &format!("{names}{NAMES}"))?;
        hosts.push((neighbor, names));
    }
    stage.lab.write_config(ROUTER, &format!("{good}{ADD}"))?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    wait_until_settled(&stage.lab, ROUTER)?;
    let result = try_two_wans(stage);
    stage.lab.write_config(ROUTER, &good)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    remove_wan(&stage.lab)?;
    for (neighbor, names) in hosts {
        stage.lab.node(neighbor)?.write("/etc/hosts", &names)?;
    }
    result?;
    restart(stage, ROUTER)
}

fn try_two_wans(stage: &mut Stage) -> Result<(), LabError> {
    let node = stage.lab.node(ROUTER)?.clone();
    let agents = stage.lab.agents(ROUTER)?;
    let transfer = Transfer::start(&stage.lab, "s1", "s2", true, u64::MAX)?;
    for (what, script) in [("the first WAN is down", FIRST_DOWN), ("it is up again", FIRST_UP)] {
        node.run("sh", &["-c", script])?;
        let begun = Instant::now();
        let received = transfer.received();
        wait_for_answers(&stage.lab)?;
        let answered = begun.elapsed().as_secs_f64();
        stage.lab.wait_for_adjacencies(BY_NAME)?;
        wait_until_whole(&stage.lab)?;
        wait::until(LIMIT, "the transfer to go on", || {
            let more = transfer.received().saturating_sub(received);
            if more > AMOUNT && !transfer.has_ended() { Ok(()) } else { Err(format!("{more} octets more")) }
        })?;
        wait_until_settled(&stage.lab, ROUTER)?;
        stage.saw(format!(
            "{what}: every host reaches every other after {answered:.1} s, all links are there after {:.1} s, a transfer goes on",
            begun.elapsed().as_secs_f64()
        ));
    }
    let done = transfer.stop()?;
    claim(stage.lab.agents(ROUTER)? == agents, || "the agent did not stay".to_owned())?;
    stage.saw(format!(
        "{} octets carried and checked meanwhile, with {:.1} s as the longest pause; the agent is the same",
        done.octets,
        done.longest_pause.as_secs_f64()
    ));
    Ok(())
}

/// Plugs a second WAN into the machine, with a line of its own to the internet.
fn add_wan(lab: &Lab) -> Result<(), LabError> {
    let node = lab.node(ROUTER)?;
    let bridge = PORT.bridge.unwrap_or_default();
    node.cabinet().ip(&PORT.cabinet_lines())?;
    lab.plug(&[Cable(
        Plug {
            node: INTERNET.to_owned(),
            device: FAR.to_owned(),
            ip: vec![
                format!("link set {FAR} up"),
                format!("addr add 203.0.113.9/30 dev {FAR}"),
                format!("addr add 2001:db8:f4::1/64 dev {FAR} nodad"),
            ],
        },
        Plug {
            node: ROUTER.to_owned(),
            device: SECOND.to_owned(),
            ip: vec![format!("link set {SECOND} master {bridge}"), format!("link set {SECOND} up")],
        },
    )])?;
    let host_id = lab.topology.router(ROUTER).map_or(0, |router| router.host_id);
    lab.fleet()?.add_port(ROUTER, host_id, PORT)?;
    wait::until(LIMIT, "the second interface", || {
        node.run("sh", &["-c", SECOND_UP]).map(drop).map_err(|error| error.to_string())
    })
}

/// Takes the second WAN's line away; the machine loses its port when it is switched off.
fn remove_wan(lab: &Lab) -> Result<(), LabError> {
    lab.node(INTERNET)?.run("ip", &["link", "delete", FAR])?;
    lab.cut_power(ROUTER)?;
    let cabinet = lab.node(ROUTER)?.cabinet();
    for device in [PORT.tap, PORT.bridge.unwrap_or_default()] {
        cabinet.run("ip", &["link", "delete", device])?;
    }
    Ok(())
}
