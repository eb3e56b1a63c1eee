//! A mesh of the predecessor on kernels of its own, taken over router by router.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use super::{LIMIT, TOPOLOGY, restart, wait_for_agent, wait_for_answers, wait_until_whole};
use crate::agent::CONFIG;
use crate::agent_config::{LISTEN_PORT, OSPF_SECRET_FILE, WG_PSK_FILE, with_section_options};
use crate::error::LabError;
use crate::foreign::{Algorithm, Authentication, Maker};
use crate::lab::Lab;
use crate::scenarios::migration::predecessor;
use crate::scenarios::{Scenario, Stage, claim};
use crate::topology::Router;
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "taken-over",
    claim: "Three routers of the predecessor (BIRD, kernel WireGuard and VXLAN made by commands) are taken over one after the other while a transfer runs; after each, every host reaches every other.",
    topology: TOPOLOGY,
    run: taken_over,
}];

/// Where a router's WireGuard key is, the predecessor's as well.
const KEY: &str = "/etc/dlan/wg.key";
/// Ends BIRD, which leaves its routes.
const STOP: &str = "kill -9 $(pidof bird)";
/// Takes away what was not taken over.
const RELEASE: &str = "for name in vx0 vx1 wg0; do [ ! -e /sys/class/net/$name ] || ip link del $name; done";

fn taken_over(stage: &mut Stage) -> Result<(), LabError> {
    let routers = stage.lab.topology.routers.clone();
    let mut keys = BTreeMap::new();
    for router in &routers {
        let key = stage.lab.dlan_json(&router.name, &["key"])?;
        let key = key.get("public_key").and_then(Value::as_str).unwrap_or_default().to_owned();
        keys.insert(router.name.clone(), key);
        stage.lab.stop_agent(&router.name)?;
        stage.lab.dlan(&router.name, &["down"])?;
    }
    for router in &routers {
        start_predecessor(&stage.lab, router, &keys)?;
    }
    let begun = Instant::now();
    wait_for_answers(&stage.lab)?;
    stage.saw(format!(
        "three routers of the predecessor: every host reaches every other after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    let transfer = Transfer::start(&stage.lab, "s1", "s3", true, u64::MAX)?;
    for router in &routers {
        let begun = Instant::now();
        take_over(&stage.lab, &router.name)?;
        wait_for_answers(&stage.lab)?;
        let received = transfer.received();
        wait::until(LIMIT, "the transfer to go on", || {
            if transfer.received() > received { Ok(()) } else { Err(format!("{received} octets")) }
        })?;
        stage.saw(format!(
            "{} taken over: every host reaches every other after {:.1} s",
            router.name,
            begun.elapsed().as_secs_f64()
        ));
    }
    let done = transfer.stop()?;
    stage.saw(format!(
        "{} octets crossed meanwhile, all checked, with {:.1} s as the longest pause",
        done.octets,
        done.longest_pause.as_secs_f64()
    ));
    wait_until_whole(&stage.lab)?;
    for router in &routers {
        let said = stage.lab.node(&router.name)?.run("sh", &["-c", "ip -o link; pidof bird || true"])?;
        let is_left = ["wg0", "vx0", "vx1"].iter().any(|name| said.contains(&format!(" {name}:")));
        claim(!is_left, || format!("something of the predecessor is left in {}:\n{said}", router.name))?;
    }
    for router in &routers {
        let config = without_numbers(&stage.lab.read_config(&router.name)?);
        stage.lab.write_config(&router.name, &config)?;
        restart(stage, &router.name)?;
    }
    Ok(())
}

/// Makes a router what the predecessor's files make of it, with the keys that it has.
fn start_predecessor(lab: &Lab, router: &Router, keys: &BTreeMap<String, String>) -> Result<(), LabError> {
    let node = lab.node(&router.name)?;
    let neighbors: Vec<&Router> =
        lab.topology.routers.iter().filter(|other| other.name != router.name).collect();
    let mut words =
        format!("ip link add wg0 type wireguard && wg set wg0 private-key {KEY} listen-port {LISTEN_PORT}");
    for neighbor in &neighbors {
        let (n, key) = (neighbor.host_id, keys.get(&neighbor.name).map_or("", String::as_str));
        words += &format!(
            " peer {key} preshared-key {WG_PSK_FILE} persistent-keepalive 30 allowed-ips 10.1.0.{n}/32,fd00:0:1::{n}/128"
        );
        if let (None, Some((address, _))) = (&neighbor.home, neighbor.wan_addresses()) {
            words += &format!(" endpoint {address}:{LISTEN_PORT}");
        }
    }
    let forward = "for at in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$at; done";
    node.run("sh", &["-c", &format!("{words} && {forward}")])?;
    let secret = node.read(OSPF_SECRET_FILE)?.trim().to_owned();
    let mesh = &lab.topology.mesh;
    let secret = Authentication { algorithm: Algorithm::Sha256, secret };
    let (lines, plan) = predecessor(router, &neighbors, ((mesh.hello_interval, mesh.dead_interval), &secret));
    node.ip(&lines)?;
    Maker::Bird.start(node, &plan)
}

/// Takes a router over as `docs/migration.md` has it: BIRD ends, its devices and routes become dlan's, the agent starts.
fn take_over(lab: &Lab, router: &str) -> Result<(), LabError> {
    let node = lab.node(router)?;
    let mut config = lab.read_config(router)?;
    let others = lab.topology.routers.iter().filter(|other| other.name != router);
    for (position, other) in others.enumerate() {
        let number = node.read(&format!("/sys/class/net/vx{position}/ifindex"))?;
        let option = format!("\toption interface_id '{}'\n", number.trim());
        config = with_section_options(&config, &format!("config link '{}'", other.name), &option);
    }
    lab.write_config(router, &config)?;
    node.run("sh", &["-c", STOP])?;
    node.run("dlan", &["--config", CONFIG, "take-over"])?;
    node.run("sh", &["-c", RELEASE])?;
    lab.start_agent(router)?;
    wait_for_agent(lab, router).map(drop)
}

/// Returns a configuration without the numbers that BIRD gave to links.
fn without_numbers(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.contains("option interface_id"));
    kept.map(|line| format!("{line}\n")).collect()
}
