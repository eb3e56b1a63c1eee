//! Floods of forged, malformed and recorded routing packets from a LAN, the WAN, a cable that is no link, and a link itself change
//! nothing and cost the agent little.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::cpu::processor_time;
use crate::command;
use crate::error::LabError;
use crate::flood::{self, Aim, Kind, Pace};
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "floods",
    claim: "Floods of forged, malformed and recorded OSPF and BFD packets from a LAN, from the WAN and from a cable that is no \
            link lose no packet and no adjacency, change no database, and cost the agent nothing; one over a link takes \
            no more than that link's share of its time, and no other link with it.",
    topology: "reference",
    run: floods,
}];

/// The router that is flooded, and a neighbor of it whose packets are recorded.
const TARGET: &str = "r4";
const NEIGHBOR: &str = "r1";
/// The link's device at each of them.
const TARGET_DEVICE: &str = "dlan-vx1";
const NEIGHBOR_DEVICE: &str = "dlan-vx4";
/// A host on the target's LAN, and its device; its end and the target's of a further cable.
const HOST: &str = "s6";
const LAN: &str = "eth0";
const CABLE: &str = "cable";
/// Where OSPF's packets go, but for a few.
const ALL_SPF_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 5);
/// How much, from each place.
const PACE: Pace = Pace { rate: 20_000, time: Duration::from_secs(4) };
/// How much over a link: more than this WireGuard itself takes the processor from everything else that one machine plays.
const LINK_PACE: Pace = Pace { rate: 5_000, ..PACE };
/// The most that the agent may use meanwhile, in percent of one processor: what it always does, and no more.
const SHARE_MAX: u64 = 10;
/// What a link's refused packets may use besides: 25 ms of every 100 ms.
const LINK_SHARE: u64 = 25;
/// How many percent of what was sent must be counted as refused, where anything counts it.
const COUNTED_MIN: u64 = 90;
/// How long the flooded link may take to be as before.
const LIMIT: Duration = Duration::from_secs(60);
/// Pings through the router.
const PAIRS: [(&str, &str); 3] = [("s3", "s6"), ("s6", "s7"), ("s5", "s7")];

/// A flood.
struct Row<'a> {
    what: &'static str,
    node: &'static str,
    aim: Aim,
    packets: &'a [Vec<u8>],
    /// Whether what comes is counted: the kernel itself drops packets to a group that nobody on the device is a member of.
    counted: bool,
    pace: Pace,
}

fn floods(stage: &mut Stage) -> Result<(), LabError> {
    plug_cable(stage)?;
    let result = all(stage);
    stage.lab.node(HOST)?.run("ip", &["link", "delete", CABLE])?;
    result
}

fn all(stage: &mut Stage) -> Result<(), LabError> {
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
    let IpAddr::V6(lan) = stage.lab.address_of(TARGET, true)? else {
        return Err(LabError::Asked(format!("{TARGET} has no IPv6 address on its LAN")));
    };
    let cable = link_local(stage, TARGET, CABLE)?;
    let by = |device, to, kind| Aim { device: Some(device), to, kind, from: None };
    let forged = |device, to| Aim { from: Some(neighbor), ..by(device, to, Kind::Ospf) };
    let routed = |kind| Aim { device: None, to: wan, kind, from: None };
    let row = |what, node, aim, packets| Row { what, node, aim, packets, counted: true, pace: PACE };
    let unheard = |what, node, aim, packets| Row { counted: false, ..row(what, node, aim, packets) };
    for row in [
        row("recorded OSPF from a LAN host", HOST, by(LAN, lan, Kind::Ospf), &recorded),
        row("made-up OSPF from a LAN host", HOST, by(LAN, lan, Kind::Ospf), &made_up),
        row("recorded OSPF from a LAN host as the neighbor", HOST, forged(LAN, lan), &recorded),
        unheard(
            "recorded OSPF from a LAN host to ff02::5 as the neighbor",
            HOST,
            forged(LAN, ALL_SPF_ROUTERS),
            &recorded,
        ),
        row("BFD from a LAN host", HOST, by(LAN, lan, Kind::Bfd), &bfd),
        row("recorded OSPF from the WAN", "x1", routed(Kind::Ospf), &recorded),
        row("made-up OSPF from the WAN", "x1", routed(Kind::Ospf), &made_up),
        row("BFD from the WAN", "x1", routed(Kind::Bfd), &bfd),
        row("recorded OSPF by a cable that is no link", HOST, forged(CABLE, cable), &recorded),
        unheard(
            "recorded OSPF by a cable that is no link to ff02::5",
            HOST,
            forged(CABLE, ALL_SPF_ROUTERS),
            &recorded,
        ),
    ] {
        from_elsewhere(stage, &row)?;
    }
    let both = [&recorded[..], &made_up].concat();
    let aim = by(NEIGHBOR_DEVICE, ALL_SPF_ROUTERS, Kind::Ospf);
    let row = row("recorded and made-up OSPF over a link", NEIGHBOR, aim, &both);
    over_the_link(stage, &Row { pace: LINK_PACE, ..row })
}

/// Joins the host and the target by a cable that the target's configuration says nothing of.
fn plug_cable(stage: &Stage) -> Result<(), LabError> {
    let (host, target) = (stage.lab.node(HOST)?, stage.lab.node(TARGET)?);
    let (near, far) = (host.pid.to_string(), target.pid.to_string());
    let mut cable = Command::new("ip");
    cable.args(["link", "add", CABLE, "netns", &near, "type", "veth", "peer", "name", CABLE, "netns", &far]);
    command::run(&mut cable, "")?;
    for (node, address) in [(host, "fe80::6:1/64"), (target, "fe80::6:2/64")] {
        node.ip(&[
            format!("link set {CABLE} addrgenmode none"),
            format!("link set {CABLE} up"),
            format!("addr add {address} dev {CABLE} nodad"),
        ])?;
    }
    Ok(())
}

/// What a flood came to.
struct Outcome {
    sent: u64,
    refused: u64,
    /// Percent of a processor.
    share: u64,
    /// Packets a second.
    rate: u64,
    pings: u64,
}

/// Floods while pings go through the router, of which none may be lost.
fn flood(stage: &Stage, row: &Row) -> Result<Outcome, LabError> {
    let before = (counted(stage)?, used(stage)?);
    let mut pings = Vec::new();
    for (from, to) in PAIRS {
        let address = stage.lab.address_of(to, true)?;
        pings.push((from, to, PingRun::start(stage.lab.node(from)?, address, 10)?));
    }
    let begin = Instant::now();
    let sent = flood::send(stage.lab.node(row.node)?, &row.aim, row.packets, row.pace)?;
    let took = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    let after = (counted(stage)?, used(stage)?);
    let mut answered = 0;
    for (from, to, ping) in pings {
        let count = ping.stop()?;
        claim(count.lost == 0, || {
            format!("{}: {from} to {to} lost {} of {} pings", row.what, count.lost, count.sent)
        })?;
        answered += count.sent;
    }
    let spent = u64::try_from(after.1.saturating_sub(before.1).as_millis()).unwrap_or(u64::MAX);
    Ok(Outcome {
        sent,
        refused: after.0.saturating_sub(before.0),
        share: spent * 100 / took,
        rate: sent * 1_000 / took,
        pings: answered,
    })
}

fn report(stage: &mut Stage, what: &str, outcome: &Outcome) {
    let Outcome { sent, refused, share, rate, pings } = outcome;
    stage.saw(format!(
        "{what}: {sent} packets ({rate}/s), {refused} counted; agent {share} % of a processor; {pings} pings, none lost"
    ));
}

fn from_elsewhere(stage: &mut Stage, row: &Row) -> Result<(), LabError> {
    let (what, before) = (row.what, database(stage)?);
    let outcome = flood(stage, row)?;
    let after = database(stage)?;
    let missing = stage.lab.missing_adjacencies();
    claim(missing.is_empty(), || format!("{what}: {}", missing.join(", ")))?;
    claim(before == after, || {
        let changed: Vec<_> = before.symmetric_difference(&after).cloned().collect();
        format!("{what}: the database changed: {}", changed.join("; "))
    })?;
    let Outcome { sent, refused, share, .. } = outcome;
    claim(!row.counted || refused * 100 >= sent * COUNTED_MIN, || {
        format!("{what}: {sent} packets were sent, and {refused} counted as refused")
    })?;
    claim(share <= SHARE_MAX, || format!("{what}: the agent took {share} % of a processor"))?;
    report(stage, what, &outcome);
    Ok(())
}

/// The link itself may suffer: whoever sits on it can break it. No other one does.
fn over_the_link(stage: &mut Stage, row: &Row) -> Result<(), LabError> {
    let what = row.what;
    let outcome = flood(stage, row)?;
    let is_of_link =
        |words: &&String| [TARGET, NEIGHBOR].iter().all(|end| words.split(' ').any(|word| word == *end));
    let missing = stage.lab.missing_adjacencies();
    let others: Vec<_> = missing.iter().filter(|words| !is_of_link(words)).cloned().collect();
    claim(others.is_empty(), || format!("{what}: {}", others.join(", ")))?;
    let share = outcome.share;
    claim(share <= SHARE_MAX + LINK_SHARE, || format!("{what}: the agent took {share} % of a processor"))?;
    claim(outcome.refused > 0, || {
        format!("{what}: {} packets were sent, and none was counted", outcome.sent)
    })?;
    report(stage, what, &outcome);
    let kept = if missing.is_empty() { "it" } else { "it, begun anew," };
    wait::until(LIMIT, "the flooded link to be Full", || {
        let missing = stage.lab.missing_adjacencies();
        if missing.is_empty() { Ok(()) } else { Err(missing.join(", ")) }
    })?;
    stage.saw(format!("after the flood over the link {kept} is Full"));
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
