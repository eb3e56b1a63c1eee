//! A link loses its carrier at both ends: it has it back at one before the other, and it loses it again and again.

use std::time::Duration;

use serde_json::Value;

use crate::error::LabError;
use crate::probe::Probe;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "carrier",
        claim: "A link whose carrier comes back is used as soon as both ends have it: no Hello is waited for, and no probe is lost, though one end has it first and asks for the other in vain.",
        topology: "triangle",
        run: carrier,
    },
    Scenario {
        name: "flapping",
        claim: "A link that loses its carrier again and again is left alone, which `dlan status` says at both ends, by BFD too, and nobody wakes up for its carrier, until it stays: then it is used again. At most one probe is lost at each loss.",
        topology: "triangle",
        run: flapping,
    },
];

/// One end of the link that fails, and what leads from there over it.
struct End {
    router: &'static str,
    host: &'static str,
    /// The link's device.
    device: &'static str,
    /// That of the way around.
    around: &'static str,
    /// The other end's address on the link.
    peer: &'static str,
    /// The other end's LANs.
    prefixes: [&'static str; 2],
}

const ENDS: [End; 2] = [
    End {
        router: "r2",
        host: "s2",
        device: "dlan-vx3",
        around: "dlan-vx1",
        peer: "fe80::3:2",
        prefixes: ["10.2.3.0/24", "fd79:2de7:db86:3::/64"],
    },
    End {
        router: "r3",
        host: "s3",
        device: "dlan-vx2",
        around: "dlan-vx1",
        peer: "fe80::2:3",
        prefixes: ["10.2.2.0/24", "fd79:2de7:db86:2::/64"],
    },
];
const LIMIT: Duration = Duration::from_secs(90);
/// How long the ends may take to be adjacent again: less than half of the topology's HelloInterval.
const ADJACENT_LIMIT: Duration = Duration::from_secs(2);
/// So slow that what carries the flows may stand still for a second before it loses any.
const PACE: Duration = Duration::from_millis(20);
/// How many probes must arrive before the carrier returns, and once the link is in use: for longer than the kernel waits before
/// it asks for a neighbor again.
const ENOUGH: u64 = 75;

/// What is said of a link that is left alone.
const LEFT_ALONE: &str = "times in a row, and left alone";
/// How long it takes at most until that is known everywhere in the agent: less than it is left alone for.
const LEFT_ALONE_LIMIT: Duration = Duration::from_secs(5);
/// How many losses may be needed before it is: one that follows late does not count.
const LOSSES_MAX: usize = 10;

fn carrier(stage: &mut Stage) -> Result<(), LabError> {
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    // A third loss might come so soon that the link is left alone.
    for (first, second) in [(&ENDS[0], &ENDS[1]), (&ENDS[1], &ENDS[0])] {
        let seen = lose_and_return(stage, first, second)?;
        stage.saw(seen);
    }
    Ok(())
}

fn flapping(stage: &mut Stage) -> Result<(), LabError> {
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    let probes = start_probes(stage)?;
    wait_for_probes(&probes)?;
    for end in &ENDS {
        claim(!is_put_aside(stage, end)?, || format!("{} puts a carrier aside", end.router))?;
    }
    let mut losses = 0;
    while !is_left_alone(stage, &ENDS[0])? {
        claim(losses < LOSSES_MAX, || format!("after {losses} losses it is not left alone"))?;
        losses += 1;
        for end in &ENDS {
            set_carrier(stage, end, false)?;
        }
        for end in &ENDS {
            wait_for_carrier(stage, end, false)?;
            wait_for_way(stage, end, end.around, LIMIT)?;
        }
        for end in &ENDS {
            set_carrier(stage, end, true)?;
        }
        wait::until(LIMIT, "both ends to be adjacent, or to leave the link alone", || {
            let mut is_settled = true;
            for end in &ENDS {
                let is_left_alone = is_left_alone(stage, end).map_err(|error| error.with_causes())?;
                is_settled &= is_left_alone || states(stage, end)? == ["Full", "Full"];
            }
            if is_settled { Ok(()) } else { Err("neither".to_owned()) }
        })?;
    }
    claim(is_left_alone(stage, &ENDS[1])?, || format!("{} does not leave it alone", ENDS[1].router))?;
    wait::until(LIMIT, "its carrier to be put aside at both ends", || {
        let is_put_aside = |end| is_put_aside(stage, end).map_err(|error| error.with_causes());
        if is_put_aside(&ENDS[0])? && is_put_aside(&ENDS[1])? {
            return Ok(());
        }
        // It is for a while after a loss, which may be over.
        for is_there in [false, true] {
            for end in &ENDS {
                set_carrier(stage, end, is_there).map_err(|error| error.with_causes())?;
                wait_for_carrier(stage, end, is_there).map_err(|error| error.with_causes())?;
            }
        }
        Err("it is heard of at once".to_owned())
    })?;
    for end in &ENDS {
        wait::until(LEFT_ALONE_LIMIT, &format!("{} to have no BFD session on it", end.router), || {
            let links = stage.lab.dlan_json(end.router, &["links"]).map_err(|error| error.with_causes())?;
            let mut links = links.as_array().into_iter().flatten();
            let link = links.find(|link| link.get("device").is_some_and(|device| device == end.device));
            match link.and_then(|link| link.get("bfd")) {
                Some(Value::Null) => Ok(()),
                said => Err(format!("it says {said:?}")),
            }
        })?;
    }
    stage
        .saw(format!("left alone at both ends after {losses} losses, by BFD too, and its carrier put aside"));
    for end in &ENDS {
        wait_for_way(stage, end, end.device, LIMIT)?;
        wait::until(LIMIT, &format!("{} to say no more of it", end.router), || {
            let is_left_alone = is_left_alone(stage, end).map_err(|error| error.with_causes())?;
            if is_left_alone { Err("it is left alone".to_owned()) } else { Ok(()) }
        })?;
        claim(!is_put_aside(stage, end)?, || format!("{} still puts its carrier aside", end.router))?;
    }
    wait_for_probes(&probes)?;
    let mut worst = 0;
    for (what, probe) in probes {
        let gaps = probe.stop()?;
        claim(gaps.lost <= losses, || format!("{what}: {} probes lost at {losses} losses", gaps.lost))?;
        worst = worst.max(gaps.lost);
    }
    stage.saw(format!("used again when it stayed; {worst} probes lost at most, one each 20 ms"));
    Ok(())
}

/// Returns whether a router says that it leaves the link alone.
fn is_left_alone(stage: &Stage, end: &End) -> Result<bool, LabError> {
    let status = stage.lab.dlan_json(end.router, &["status"])?;
    let problems = status.get("problems").and_then(Value::as_array).into_iter().flatten();
    let mut said = problems.filter_map(|problem| problem.get("what")?.as_str());
    Ok(said.any(|what| what.contains(LEFT_ALONE)))
}

/// Returns whether a router has a socket for what the kernel tells of devices alone: one for carriers that are put aside.
fn is_put_aside(stage: &Stage, end: &End) -> Result<bool, LabError> {
    let sockets = stage.lab.node(end.router)?.run("cat", &["/proc/net/netlink"])?;
    let mut sockets = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    Ok(sockets.any(|columns| matches!(columns.as_slice(), [_, "0", _, "00000001", ..])))
}

fn lose_and_return(stage: &Stage, first: &End, second: &End) -> Result<String, LabError> {
    for end in &ENDS {
        set_carrier(stage, end, false)?;
    }
    for end in &ENDS {
        wait_for_carrier(stage, end, false)?;
        wait_for_way(stage, end, end.around, LIMIT)?;
    }
    let probes = start_probes(stage)?;
    wait_for_probes(&probes)?;
    set_carrier(stage, first, true)?;
    wait_for_carrier(stage, first, true)?;
    ask_in_vain(stage, first)?;
    set_carrier(stage, second, true)?;
    wait_for_adjacency(stage, second)?;
    for end in &ENDS {
        wait_for_way(stage, end, end.device, LIMIT)?;
    }
    wait_for_probes(&probes)?;
    let flows = probes.len();
    for (what, probe) in probes {
        let gaps = probe.stop()?;
        claim(gaps.lost == 0, || format!("{what}: {} probes lost, {} back first", gaps.lost, first.router))?;
    }
    Ok(format!("{} has its carrier back first: {flows} flows, a probe each 20 ms, none lost", first.router))
}

fn set_carrier(stage: &Stage, end: &End, is_there: bool) -> Result<(), LabError> {
    let word = if is_there { "off" } else { "on" };
    stage.lab.node(end.router)?.run("ip", &["link", "set", end.device, "protodown", word])?;
    Ok(())
}

/// Waits until the kernel has told, and uses the device or does not.
fn wait_for_carrier(stage: &Stage, end: &End, is_there: bool) -> Result<(), LabError> {
    let node = stage.lab.node(end.router)?;
    let state = if is_there { "UP" } else { "DOWN" };
    wait::until(LIMIT, &format!("{} of {} to be {state}", end.device, end.router), || {
        let said = node.run("ip", &["-j", "link", "show", end.device]).map_err(|error| error.to_string())?;
        let devices: Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        match devices.pointer("/0/operstate").and_then(Value::as_str) {
            Some(seen) if seen == state => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
}

/// Has an end's kernel ask for the other end, which cannot answer: after a second it would ask again.
fn ask_in_vain(stage: &Stage, end: &End) -> Result<(), LabError> {
    let node = stage.lab.node(end.router)?;
    wait::until(LIMIT, "the kernel to ask for the other end", || {
        // UDP to a port that nobody minds: what asks is the kernel.
        let send = format!("echo > /dev/udp/{}%{}/9", end.peer, end.device);
        node.run("bash", &["-c", &send]).map_err(|error| error.to_string())?;
        let entry = node
            .run("ip", &["-6", "neighbor", "show", end.peer, "dev", end.device])
            .map_err(|error| error.to_string())?;
        if entry.contains("INCOMPLETE") { Ok(()) } else { Err(entry) }
    })
}

fn wait_for_adjacency(stage: &Stage, end: &End) -> Result<(), LabError> {
    wait::until(ADJACENT_LIMIT, &format!("{} to be adjacent again", end.router), || {
        let states = states(stage, end)?;
        if states == ["Full", "Full"] { Ok(()) } else { Err(format!("{states:?}")) }
    })
}

/// Returns the states of the neighbor at the link's other end, one for each family.
fn states(stage: &Stage, end: &End) -> Result<Vec<String>, String> {
    let said = stage.lab.dlan_json(end.router, &["neighbors"]).map_err(|error| error.with_causes())?;
    let neighbors = said.get("neighbors").and_then(Value::as_array).into_iter().flatten();
    let on_link = neighbors.filter(|one| one.get("device").is_some_and(|device| device == end.device));
    Ok(on_link.filter_map(|one| Some(one.get("state")?.as_str()?.to_owned())).collect())
}

fn wait_for_way(stage: &Stage, end: &End, device: &str, limit: Duration) -> Result<(), LabError> {
    for prefix in end.prefixes {
        wait::until(limit, &format!("{} to send to {prefix} by {device}", end.router), || {
            let seen = stage.lab.route_devices(end.router, prefix).map_err(|error| error.with_causes())?;
            if seen == [device] { Ok(()) } else { Err(format!("it sends by {}", seen.join(" and "))) }
        })?;
    }
    Ok(())
}

/// Starts a flow from each end's host to the other's in each family.
fn start_probes(stage: &Stage) -> Result<Vec<(String, Probe)>, LabError> {
    let [near, far] = [ENDS[0].host, ENDS[1].host];
    let mut probes = Vec::new();
    for (from, to) in [(near, far), (far, near)] {
        for is_ipv6 in [true, false] {
            let (at, target) = (stage.lab.node(from)?, stage.lab.node(to)?);
            let probe = Probe::start(at, target, stage.lab.address_of(to, is_ipv6)?, PACE)?;
            probes.push((format!("{from} to {to}, {}", family(is_ipv6)), probe));
        }
    }
    Ok(probes)
}

fn wait_for_probes(probes: &[(String, Probe)]) -> Result<(), LabError> {
    for (what, probe) in probes {
        probe.mark(Duration::ZERO);
        wait::until(LIMIT, what, || match probe.arrived() {
            enough if enough >= ENOUGH => Ok(()),
            arrived => Err(format!("{arrived} of {ENOUGH} probes arrived")),
        })?;
    }
    Ok(())
}
