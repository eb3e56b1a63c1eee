//! Floods of forged, malformed and recorded routing packets from a LAN or the WAN change nothing and cost the agent nothing.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::cpu::processor_time;
use crate::error::LabError;
use crate::flood::{self, Aim, Kind, Pace};
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "floods",
    claim: "Floods of forged, malformed and recorded OSPF and BFD packets from a LAN and from the WAN lose no packet \
            and no adjacency, change no database, and cost the agent nothing.",
    topology: "reference",
    run: floods,
}];

/// The router that is flooded, and a neighbor of it whose packets are recorded.
const TARGET: &str = "r4";
const NEIGHBOR: &str = "r1";
/// The link's device at each of them.
const TARGET_DEVICE: &str = "dlan-vx1";
const NEIGHBOR_DEVICE: &str = "dlan-vx4";
/// A host's device.
const LAN: &str = "eth0";
/// How much, from each place.
const PACE: Pace = Pace { rate: 20_000, time: Duration::from_secs(4) };
/// The most that the agent may use meanwhile, in percent of one processor: what it always does, and no more.
const SHARE_MAX: u64 = 10;
/// Pings through the router.
const PAIRS: [(&str, &str); 3] = [("s3", "s6"), ("s6", "s7"), ("s5", "s7")];

fn floods(stage: &mut Stage) -> Result<(), LabError> {
    let neighbor = link_local(stage, NEIGHBOR, NEIGHBOR_DEVICE)?;
    let recorded = flood::record(stage.lab.node(TARGET)?, TARGET_DEVICE, neighbor, Duration::from_secs(4))?;
    claim(recorded.len() >= 4, || {
        format!("only {} packets of {NEIGHBOR} could be recorded", recorded.len())
    })?;
    let made_up =
        vec![vec![3, 1, 0xff, 0xff], vec![0xaa; 1_200], [&[3, 4, 4, 0][..], &[0x55; 1_020]].concat()];
    let bfd = vec![
        vec![0x20, 0xc0, 3, 24, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![7; 60],
    ];
    let wan =
        stage.lab.topology.router(TARGET).and_then(|router| router.wan_ipv6.split('/').next()?.parse().ok());
    let wan = wan.ok_or_else(|| LabError::Asked(format!("{TARGET} has no address on the WAN")))?;
    let by = |device, to, kind| Aim { device: Some(device), to, kind };
    let routed = |kind| Aim { device: None, to: wan, kind };
    let IpAddr::V6(lan) = stage.lab.address_of(TARGET, true)? else {
        return Err(LabError::Asked(format!("{TARGET} has no IPv6 address on its LAN")));
    };
    for (what, node, aim, packets, pace) in [
        ("recorded OSPF from a LAN host", "s6", by(LAN, lan, Kind::Ospf), &recorded, PACE),
        ("made-up OSPF from a LAN host", "s6", by(LAN, lan, Kind::Ospf), &made_up, PACE),
        ("BFD from a LAN host", "s6", by(LAN, lan, Kind::Bfd), &bfd, PACE),
        ("recorded OSPF from the WAN", "x1", routed(Kind::Ospf), &recorded, PACE),
        ("BFD from the WAN", "x1", routed(Kind::Bfd), &bfd, PACE),
    ] {
        one(stage, (what, node), &aim, packets, pace)?;
    }
    Ok(())
}

fn one(
    stage: &mut Stage,
    (what, node): (&str, &str),
    aim: &Aim,
    packets: &[Vec<u8>],
    pace: Pace,
) -> Result<(), LabError> {
    let before = (database(stage)?, counted(stage)?, used(stage)?);
    let mut pings = Vec::new();
    for (from, to) in PAIRS {
        let address = stage.lab.address_of(to, true)?;
        pings.push((from, to, PingRun::start(stage.lab.node(from)?, address, 10)?));
    }
    let begin = Instant::now();
    let sent = flood::send(stage.lab.node(node)?, aim, packets, pace)?;
    let took = begin.elapsed();
    let after = (database(stage)?, counted(stage)?, used(stage)?);
    let mut answered = 0;
    for (from, to, ping) in pings {
        let count = ping.stop()?;
        claim(count.lost == 0, || {
            format!("{what}: {from} to {to} lost {} of {} pings", count.lost, count.sent)
        })?;
        answered += count.sent;
    }
    let missing = stage.lab.missing_adjacencies();
    claim(missing.is_empty(), || format!("{what}: {}", missing.join(", ")))?;
    claim(before.0 == after.0, || {
        let changed: Vec<_> = before.0.symmetric_difference(&after.0).cloned().collect();
        format!("{what}: the database changed: {}", changed.join("; "))
    })?;
    let refused = after.1.saturating_sub(before.1);
    claim(refused > 0, || format!("{what}: {sent} packets were sent, and none was counted as refused"))?;
    let share = after.2.saturating_sub(before.2).as_millis() * 100 / took.as_millis().max(1);
    claim(share <= u128::from(SHARE_MAX), || format!("{what}: the agent took {share} % of a processor"))?;
    let rate = u128::from(sent) * 1_000 / took.as_millis().max(1);
    stage.saw(format!(
        "{what}: {sent} packets ({rate}/s), {refused} counted; agent {share} % of a processor; {answered} pings, none lost"
    ));
    Ok(())
}

/// The database of the router that is flooded: every LSA with its sequence number.
fn database(stage: &Stage) -> Result<BTreeSet<String>, LabError> {
    let lsas = stage.lab.dlan_json(TARGET, &["lsdb"])?;
    let field = |lsa: &Value, name: &str| lsa.get(name).map(ToString::to_string).unwrap_or_default();
    let lsas = lsas.as_array().into_iter().flatten().map(|lsa| {
        ["family", "ls_type", "link_state_id", "advertising_router", "sequence"]
            .map(|name| field(lsa, name))
            .join(" ")
    });
    Ok(lsas.collect())
}

/// How many packets the target's filter and its agent have refused.
fn counted(stage: &Stage) -> Result<u64, LabError> {
    let report = stage.lab.dlan_json(TARGET, &["neighbors"])?;
    let links = report.get("links").and_then(Value::as_array).into_iter().flatten();
    let of_agent: u64 = links
        .flat_map(|link| {
            let refused = link.get("refused").and_then(Value::as_object).into_iter().flatten();
            let others = ["implausible", "foreign_instance", "pauses"].map(|name| link.get(name));
            refused.map(|(_, count)| Some(count)).chain(others).filter_map(|count| count?.as_u64())
        })
        .sum();
    Ok(of_agent + stage.lab.dropped(TARGET)?)
}

fn used(stage: &Stage) -> Result<Duration, LabError> {
    let pid = stage.lab.agents(TARGET)?.first().copied();
    let pid = pid.ok_or_else(|| LabError::Asked(format!("no agent runs on {TARGET}")))?;
    processor_time(pid)
        .map_err(|error| LabError::Asked(format!("processor time of {TARGET}'s agent: {error}")))
}

/// Returns the link-local address of a node's device.
fn link_local(stage: &Stage, node: &str, device: &str) -> Result<Ipv6Addr, LabError> {
    let text =
        stage.lab.node(node)?.run("ip", &["-6", "-o", "address", "show", "dev", device, "scope", "link"])?;
    let mut words = text.split_whitespace();
    let address =
        words.find(|word| *word == "inet6").and_then(|_| words.next()?.split('/').next()?.parse().ok());
    address.ok_or_else(|| LabError::Asked(format!("{device} of {node} has no link-local address")))
}
