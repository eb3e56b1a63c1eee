//! Costs steer the traffic.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use crate::agent_config::{LISTEN_PORT, with_link_option, with_mesh_option};
use crate::error::LabError;
use crate::ping::PingRun;
use crate::relay::Relay;
use crate::scenarios::{Scenario, Stage, claim, family, in_parallel};
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "costs",
        claim: "Raising a cost moves the traffic, equal costs use both ways, lowering it moves it back; no ping is lost.",
        topology: "reference",
        run: costs,
    },
    Scenario {
        name: "costs-automatic",
        claim: "An automatic cost follows the link's round-trip time: traffic leaves a path that has grown long and comes \
                back when it is short again; no ping is lost.",
        topology: "reference",
        run: automatic,
    },
];

/// Where the relay between r1 and r4 listens: on the stranger in r1's home.
const RELAY_PORT: u16 = 51_900;
/// How long the relay holds a packet, each way, when the path has grown long.
const LONG: Duration = Duration::from_millis(40);
/// What a link costs whose echoes take twice as long: the least cost, 10, and a point for each millisecond.
const LONG_COST: u64 = 10 + 80;

/// How many flows show that both ways are used.
const FLOWS: u32 = 60;

const LIMIT: Duration = Duration::from_secs(60);

fn costs(stage: &mut Stage) -> Result<(), LabError> {
    wait_for_way(stage, &["dlan-vx4"])?;
    let node = stage.lab.node("s1")?.clone();
    let mut pings = Vec::new();
    for is_ipv6 in [true, false] {
        pings.push((is_ipv6, PingRun::start(&node, stage.lab.address_of("s3", is_ipv6)?, 10)?));
    }
    let mut steps = Vec::new();
    // By r5 the way costs 20 + 20.
    for (cost, devices) in
        [(50, ["dlan-vx5"].as_slice()), (30, &["dlan-vx4", "dlan-vx5"]), (10, &["dlan-vx4"])]
    {
        steps.push((since_epoch(), cost));
        set_both(stage, cost)?;
        wait_for_way(stage, devices)?;
        stage.saw(format!("r1-r4 at {cost}: r1 sends to r2 by {}", devices.join(" and ")));
        if devices.len() > 1 {
            let fork = Fork { router: "r1", devices: ["dlan-vx4", "dlan-vx5"], from: "s1", to: "s3" };
            both_ways_carry(stage, &fork, true)?;
            both_ways_carry(stage, &fork, false)?;
        }
    }
    for (is_ipv6, ping) in pings {
        let count = ping.stop()?;
        let name = family(is_ipv6);
        let gap = count.longest_gap * 1000.0;
        stage.saw(format!(
            "{name}: {} pings at 10 ms, {} lost, longest gap {gap:.0} ms",
            count.sent, count.lost
        ));
        claim(count.lost == 0, || {
            let moments = count.lost_after.iter().map(|moment| when(&steps, *moment));
            format!(
                "{name}: {} of {} pings lost: {}",
                count.lost,
                count.sent,
                moments.collect::<Vec<_>>().join(", ")
            )
        })?;
    }
    Ok(())
}

fn automatic(stage: &mut Stage) -> Result<(), LabError> {
    wait_for_way(stage, &["dlan-vx4"])?;
    let before = [stage.lab.read_config("r1")?, stage.lab.read_config("r4")?];
    let (stranger, far) = far_ends(stage)?;
    let relay = Relay::start(stage.lab.node("x1")?, RELAY_PORT, SocketAddr::new(far, LISTEN_PORT))?;
    let around = format!("{stranger}:{RELAY_PORT}");
    let texts = [
        with_link_option(&automatic_cost(&before[0], "r4"), "r4", ("endpoint", &around)),
        automatic_cost(&before[1], "r1"),
    ];
    apply(stage, &texts)?;
    wait_for_cost(stage, |cost| cost < LONG_COST / 2)?;
    wait_for_way(stage, &["dlan-vx4"])?;
    let node = stage.lab.node("s1")?.clone();
    let mut pings = Vec::new();
    for is_ipv6 in [true, false] {
        pings.push((is_ipv6, PingRun::start(&node, stage.lab.address_of("s3", is_ipv6)?, 10)?));
    }
    relay.set_delay(LONG);
    let long = wait_for_cost(stage, |cost| cost >= LONG_COST * 9 / 10)?;
    wait_for_way(stage, &["dlan-vx5"])?;
    stage.saw(format!(
        "r1-r4 takes {} ms longer: cost {long}, r1 sends to r2 by dlan-vx5",
        2 * LONG.as_millis()
    ));
    relay.set_delay(Duration::ZERO);
    let short = wait_for_cost(stage, |cost| cost < LONG_COST / 2)?;
    wait_for_way(stage, &["dlan-vx4"])?;
    stage.saw(format!("short again: cost {short}, r1 sends to r2 by dlan-vx4"));
    for (is_ipv6, ping) in pings {
        let count = ping.stop()?;
        let name = family(is_ipv6);
        stage.saw(format!("{name}: {} pings at 10 ms, {} lost", count.sent, count.lost));
        claim(count.lost == 0, || format!("{name}: {} of {} pings lost", count.lost, count.sent))?;
    }
    apply(stage, &before)?;
    drop(relay);
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// Returns where the stranger in r1's home and r4 are reached from the WAN, in IPv4.
fn far_ends(stage: &Stage) -> Result<(Ipv4Addr, IpAddr), LabError> {
    let topology = &stage.lab.topology;
    let stranger = topology.strangers.iter().find(|stranger| stranger.name == "x1");
    let far = topology.router("r4").and_then(|router| router.wan_addresses()).map(|(ipv4, _)| ipv4.into());
    stranger
        .map(|it| it.ipv4)
        .zip(far)
        .ok_or_else(|| LabError::Asked("the topology has no x1 and r4".to_owned()))
}

fn automatic_cost(text: &str, neighbor: &str) -> String {
    let text = with_mesh_option(text, "round_trip_interval", Some("1"));
    with_link_option(&text, neighbor, ("cost", "auto"))
}

/// Gives r1 and r4 these configurations.
fn apply(stage: &Stage, texts: &[String; 2]) -> Result<(), LabError> {
    for (router, text) in ["r1", "r4"].into_iter().zip(texts) {
        stage.lab.write_config(router, text)?;
        stage.lab.dlan(router, &["apply"])?;
    }
    Ok(())
}

/// Waits until the cost of r1-r4 is as it should be at both ends, and returns r1's.
fn wait_for_cost(stage: &Stage, is_right: impl Fn(u64) -> bool) -> Result<u64, LabError> {
    let cost_at = |router: &str, neighbor: &str| {
        let links = stage.lab.dlan_json(router, &["links"]).map_err(|error| error.with_causes())?;
        let link = links
            .as_array()
            .and_then(|all| all.iter().find(|link| link.get("name").is_some_and(|name| name == neighbor)));
        let cost = link.and_then(|link| link.get("cost")?.as_u64());
        match cost {
            Some(cost) if is_right(cost) => Ok(cost),
            cost => Err(format!("{router} has {cost:?}")),
        }
    };
    wait::until(LIMIT, "the cost of r1-r4 to follow", || {
        cost_at("r4", "r1")?;
        cost_at("r1", "r4")
    })
}

fn since_epoch() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Returns a moment in words: how long after which step.
fn when(steps: &[(f64, u16)], moment: f64) -> String {
    let step = steps.iter().rev().find(|(begun, _)| *begun <= moment);
    step.map_or("before all".to_owned(), |(begun, cost)| format!("{:.3} s after cost {cost}", moment - begun))
}

/// Sets the cost of r1-r4 at both ends.
fn set_both(stage: &Stage, cost: u16) -> Result<(), LabError> {
    stage.lab.set_cost("r1", "r4", cost)?;
    stage.lab.set_cost("r4", "r1", cost)
}

/// Waits until r1's routes to r2's LAN leave by exactly these devices.
fn wait_for_way(stage: &Stage, devices: &[&str]) -> Result<(), LabError> {
    let router = stage.lab.topology.router("r2");
    let prefixes =
        router.map(|router| [router.lan_ipv4.trunc().to_string(), router.lan_ipv6.trunc().to_string()]);
    for prefix in prefixes.iter().flatten() {
        wait::until(LIMIT, &format!("r1's route to {prefix} by {}", devices.join(" and ")), || {
            let seen = stage.lab.route_devices("r1", prefix).map_err(|error| error.with_causes())?;
            if seen == devices { Ok(()) } else { Err(format!("it leaves by {}", seen.join(" and "))) }
        })?;
    }
    Ok(())
}

/// A router before two ways of equal cost, and the hosts whose traffic meets it.
pub(super) struct Fork {
    /// The router.
    pub router: &'static str,
    /// The devices by which the ways leave it.
    pub devices: [&'static str; 2],
    /// Who sends.
    pub from: &'static str,
    /// Who receives.
    pub to: &'static str,
}

/// Sends many flows and counts packets on both ways: each carries a tenth at least.
pub(super) fn both_ways_carry(stage: &mut Stage, fork: &Fork, is_ipv6: bool) -> Result<(), LabError> {
    let before = counts(stage, fork)?;
    let lab = &stage.lab;
    // Many and small, so that no queue runs over and takes a ping with it.
    let flows: Vec<u32> = (0..FLOWS).collect();
    let failures = in_parallel(flows, 2, |_| {
        let done = Transfer::start(lab, fork.from, fork.to, is_ipv6, 30_000).and_then(Transfer::wait);
        done.map(drop).map_err(|error| error.with_causes())
    });
    claim(failures.is_empty(), || failures.join("; "))?;
    let after = counts(stage, fork)?;
    let sent = [after[0].saturating_sub(before[0]), after[1].saturating_sub(before[1])];
    let (name, devices) = (family(is_ipv6), fork.devices);
    stage.saw(format!(
        "{name}, equal costs, {FLOWS} flows from {}: {} packets by {}, {} by {}",
        fork.from, sent[0], devices[0], sent[1], devices[1]
    ));
    let least = (sent[0] + sent[1]) / 10;
    claim(sent.iter().all(|way| *way > least), || {
        format!("{name}: one way carries less than a tenth: {sent:?}")
    })
}

fn counts(stage: &Stage, fork: &Fork) -> Result<[u64; 2], LabError> {
    let [one, other] = fork.devices;
    Ok([stage.lab.sent_packets(fork.router, one)?, stage.lab.sent_packets(fork.router, other)?])
}
