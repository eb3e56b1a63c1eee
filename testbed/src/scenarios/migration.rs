//! A mesh of the predecessor is taken over by the role, router by router, while it is used.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::agent::dlan_program;
use crate::error::LabError;
use crate::foreign::{Algorithm, Authentication, Link, Maker, Plan};
use crate::lab::read_file;
use crate::layout::LAN;
use crate::node::Node;
use crate::scenarios::ansible::borrowed::{KEPT, borrow_routers, give_back};
use crate::scenarios::ansible::operator::{Inventory, Operator, wan_address};
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::topology::Router;
use crate::transfer::Transfer;
use crate::{wait, wireguard};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "migration",
    claim: "A running chain of three routers of the predecessor (BIRD, wg0, vx0 ..) is taken over router by router while a transfer crosses all of it, and nothing of the predecessor runs afterwards.",
    topology: "three",
    run: migration,
}];

const LIMIT: Duration = Duration::from_secs(90);
/// The mesh's secrets, as in the inventory.
const SECRET: &str = "a secret of the lab";
const PSK: [u8; 32] = [7; 32];
/// The predecessor's intervals, in seconds.
const INTERVALS: (u16, u16) = (10, 40);

/// Ends BIRD, as nothing else of the router's is the predecessor's.
const STOP: &str = "for at in /proc/[0-9]*; do case $(tr '\\\\0' ' ' < $at/cmdline) in *run/bird.conf*) kill -9 ${at#/proc/} ;; esac; done";
/// Takes away what of the links was not taken over.
const RELEASE: &str = "for name in vx0 vx1 wg0; do ip link del $name; done";

fn migration(stage: &mut Stage) -> Result<(), LabError> {
    let routers = stage.lab.topology.routers.clone();
    let mut keys = Vec::new();
    for router in &routers {
        let key = stage.lab.dlan_json(&router.name, &["key"])?;
        keys.push(key.get("public_key").and_then(Value::as_str).unwrap_or_default().to_owned());
    }
    let operator = Operator::new(stage)?;
    let configs = borrow_routers(stage, &operator)?;
    let result = try_migration(stage, &operator, &routers, &keys);
    for router in &routers {
        end_predecessor(stage.lab.node(&router.name)?);
    }
    give_back(stage, &operator, &configs)?;
    result
}

fn try_migration(
    stage: &mut Stage,
    operator: &Operator,
    routers: &[Router],
    keys: &[String],
) -> Result<(), LabError> {
    operator.key()?;
    let mut inventory = Inventory::default();
    inventory.every.push("dlan_predecessor_remove: echo nothing to remove".to_owned());
    inventory.every.push(format!("dlan_predecessor_stop: \"{STOP}\""));
    inventory.every.push(format!("dlan_predecessor_release: \"{RELEASE}\""));
    for (index, router) in routers.iter().enumerate() {
        let private = private_key(stage.lab.node(&router.name)?)?;
        start_predecessor(stage.lab.node(&router.name)?, &private, (index, routers, keys))?;
        inventory.own.insert(router.name.clone(), format!("dlan_wg_privkey: {private}"));
    }
    wait::until(LIMIT, "BIRD's routes", || {
        for is_ipv6 in [true, false] {
            match stage.lab.pings("s1", "s3", is_ipv6) {
                Ok(true) => {}
                Ok(false) => return Err(format!("no answer by {}", family(is_ipv6))),
                Err(error) => return Err(error.with_causes()),
            }
        }
        Ok(())
    })?;
    stage.saw("three routers of the predecessor carry s1 to s3");
    let transfer = Transfer::start(&stage.lab, "s1", "s3", false, u64::MAX)?;
    // What a playbook says goes before what became of the transfer.
    let run = ["--limit r1", ""].into_iter().try_for_each(|limit| {
        let words: Vec<&str> = limit.split_whitespace().collect();
        let run = operator.plays("migrate", &inventory, &words)?;
        claim(run.succeeded, || run.said.clone())
    });
    let before_end = transfer.received();
    let done = match run {
        Ok(()) => wait::until(LIMIT, "the transfer to go on", || {
            if transfer.received() > before_end { Ok(()) } else { Err(format!("{before_end} octets")) }
        })
        .and_then(|()| transfer.stop()),
        Err(error) => {
            let _ = transfer.stop();
            return Err(error);
        }
    }?;
    stage.saw(format!(
        "taken over one after the other; {:.0} MB crossed meanwhile, with {:.1} s as the longest pause",
        done.octets as f64 / 1e6,
        done.longest_pause.as_secs_f64()
    ));
    for router in routers {
        let node = stage.lab.node(&router.name)?;
        let links = node.run("ip", &["-o", "link"])?;
        let is_left = ["wg0", "vx0", "vx1"].iter().any(|name| links.contains(&format!(" {name}:")));
        claim(!is_left && Maker::Bird.processes(node).is_empty(), || {
            format!("something of the predecessor is left in {}:\n{links}", router.name)
        })?;
    }
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    let again = operator.plays("migrate", &inventory, &[])?;
    claim(again.succeeded && again.changed.values().all(|changed| *changed == 0), || {
        format!("there is something to migrate a second time:\n{}", again.said)
    })?;
    stage.saw("nothing of the predecessor is left, and a second run changes nothing");
    operator.claim_played("migration")
}

fn private_key(node: &Node) -> Result<String, LabError> {
    Ok(read_file(&node.path(&format!("{KEPT}/wg.key")))?.trim().to_owned())
}

/// Makes a router what the predecessor's files make of it: wg0, a VXLAN device for each link, BIRD.
fn start_predecessor(
    node: &Node,
    private: &str,
    (index, routers, keys): (usize, &[Router], &[String]),
) -> Result<(), LabError> {
    let own = routers.get(index).ok_or_else(|| LabError::Asked("no such router".to_owned()))?;
    let around = [index.checked_sub(1), index.checked_add(1)];
    let neighbors: Vec<(&Router, &String)> =
        around.into_iter().flatten().filter_map(|at| Some((routers.get(at)?, keys.get(at)?))).collect();
    start_wireguard(node, private, &neighbors)?;
    let around: Vec<&Router> = neighbors.iter().map(|(neighbor, _)| *neighbor).collect();
    let secret = Authentication { algorithm: Algorithm::Sha256, secret: SECRET.to_owned() };
    let (lines, plan) = predecessor(own, &around, (INTERVALS, &secret));
    node.ip(&lines)?;
    for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        let path = std::path::PathBuf::from("/proc/sys/net").join(setting);
        node.inside(|| crate::lab::write_file(&path, "1"))??;
    }
    Maker::Bird.start(node, &plan)
}

/// Returns what the predecessor's files make of a router that has `wg0`: lines for `ip`, with a VXLAN device for each neighbor, and what
/// BIRD is told.
pub(super) fn predecessor(
    own: &Router,
    neighbors: &[&Router],
    (intervals, secret): ((u16, u16), &Authentication),
) -> (Vec<String>, Plan) {
    let h = own.host_id;
    let mut lines = vec![
        format!("addr add 10.1.0.{h}/32 dev wg0"),
        format!("addr add fd00:0:1::{h}/128 dev wg0"),
        "link set wg0 up mtu 1420".to_owned(),
        format!("addr add 10.1.1.{h}/32 dev lo"),
        format!("addr add fd00:0:1:1::{h}/128 dev lo"),
    ];
    let mut links = Vec::new();
    for (position, neighbor) in neighbors.iter().enumerate() {
        let n = neighbor.host_id;
        let pair = u32::from(h.min(n)) * 256 + u32::from(h.max(n));
        let base = 0x0a00_0000 + pair * 4;
        let (device, address) = (format!("vx{position}"), Ipv4Addr::from(base + if h < n { 1 } else { 2 }));
        lines.push(format!("route add 10.1.0.{n}/32 dev wg0"));
        lines.push(format!("route add fd00:0:1::{n}/128 dev wg0"));
        lines.push(format!(
            "link add {device} type vxlan id {pair} dstport 4789 local 10.1.0.{h} remote 10.1.0.{n} dev wg0"
        ));
        lines.push(format!("link set {device} up mtu 1370"));
        lines.push(format!("addr add {address}/30 dev {device}"));
        links.push(Link {
            device,
            cost: 10,
            intervals,
            authentication: Some(secret.clone()),
            instance: None,
        });
    }
    let sources =
        Some((Ipv4Addr::new(10, 1, 1, h.to_le_bytes()[0]), Ipv6Addr::new(0xfd00, 0, 1, 1, 0, 0, 0, h)));
    let plan =
        Plan { links, stubs: vec![LAN.to_owned()], sources, ..Plan::new(Ipv4Addr::from(u32::from(h))) };
    (lines, plan)
}

/// Starts an embedded WireGuard under the predecessor's name: the kernel of the lab may have none.
fn start_wireguard(node: &Node, private: &str, neighbors: &[(&Router, &String)]) -> Result<(), LabError> {
    let mut command =
        node.command(&dlan_program()?.to_string_lossy(), &["wireguard", "wg0", "--mtu", "1420"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().map(drop).map_err(|source| LabError::Node {
        node: node.name.clone(),
        why: format!("cannot start wg0: {source}"),
    })?;
    let hex = |text: &str| -> String {
        BASE64.decode(text).unwrap_or_default().iter().map(|octet| format!("{octet:02x}")).collect()
    };
    let psk: String = PSK.iter().map(|octet| format!("{octet:02x}")).collect();
    let mut request = format!("set=1\nprivate_key={}\nlisten_port=51820\n", hex(private));
    for (neighbor, key) in neighbors {
        let (key, n) = (hex(key), neighbor.host_id);
        request += &format!(
            "public_key={key}\npreshared_key={psk}\nendpoint={}:51820\npersistent_keepalive_interval=30\n\
             replace_allowed_ips=true\nallowed_ip=10.1.0.{n}/32\nallowed_ip=fd00:0:1::{n}/128\n",
            wan_address(neighbor)
        );
    }
    wait::until(LIMIT, "wg0 to be there", || {
        match wireguard::tell_device(node, "wg0", &format!("{request}\n")) {
            Ok(answer) if answer.contains("errno=0") => Ok(()),
            Ok(answer) => Err(answer),
            Err(error) => Err(error.with_causes()),
        }
    })
}

/// Ends what a failed run has left of the predecessor.
fn end_predecessor(node: &Node) {
    Maker::Bird.kill(node);
    for name in ["vx0", "vx1", "wg0"] {
        // Not there is as good as gone.
        let _ = node.run("ip", &["link", "del", name]);
    }
    let _ = fs::remove_dir_all(node.path("/run/dlan-migration"));
}
