//! Links that die without a word are noticed by BFD, agents that die are told from links, and a busy router raises no alarm.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::LabError;
use crate::foreign::{Bfd, Maker};
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "bfd-silent-loss",
        claim: "A link that drops everything without a word is left by BFD, long before RouterDeadInterval.",
        topology: "reference",
        run: silent_loss,
    },
    Scenario {
        name: "bfd-agent-killed",
        claim: "Beside a killed agent whose kernel answers, the link is kept: no ping is lost while the agent is away.",
        topology: "reference",
        run: agent_killed,
    },
    Scenario {
        name: "bfd-under-load",
        claim: "With a full-speed transfer that gets on and every core busy, no BFD session of the mesh goes down.",
        topology: "reference",
        run: under_load,
    },
    Scenario {
        name: "bfd-bird",
        claim: "BIRD's BFD is a full far end: intervals are agreed on and changed while it is Up, and silent loss is noticed \
                at both ends.",
        topology: "reference",
        run: bird,
    },
    Scenario {
        name: "bfd-frr",
        claim: "FRR's bfdd is a full far end: intervals are agreed on and changed while it is Up, and silent loss is noticed.",
        topology: "two",
        run: frr,
    },
];

const LIMIT: Duration = Duration::from_secs(60);
/// RouterDeadInterval, in seconds, while links fall silent: so long that only BFD can be what heals them.
const DEAD_INTERVAL: u16 = 120;
/// How long the load lasts, in seconds, unless the environment's `DLAN_LOAD_SECONDS` says otherwise.
const LOAD_SECONDS: u64 = 30;
/// What the transfer carries at least meanwhile, in Mbit/s: one that stands still is no load.
const LOAD_RATE_MIN: f64 = 10.0;
/// How long an agent is away.
const AWAY: Duration = Duration::from_millis(2500);

fn silent_loss(stage: &mut Stage) -> Result<(), LabError> {
    let usual = stage.lab.topology.mesh.dead_interval;
    set_dead_interval(stage, usual, DEAD_INTERVAL)?;
    wait_for_sessions(stage)?;
    let node = stage.lab.node("s1")?.clone();
    for link in [("r1", "r4"), ("r4", "r2")] {
        let mut pings = Vec::new();
        for is_ipv6 in [true, false] {
            pings.push((is_ipv6, PingRun::start(&node, stage.lab.address_of("s3", is_ipv6)?, 10)?));
        }
        wait_for_way(stage, "dlan-vx4")?;
        stage.lab.set_cut(link.0, link.1, true)?;
        wait::until(LIMIT, "s1 to reach s3 again", || match stage.lab.pings("s1", "s3", true) {
            Ok(true) => Ok(()),
            _ => Err("no answer".to_owned()),
        })?;
        std::thread::sleep(AWAY);
        for (is_ipv6, ping) in pings {
            let count = ping.stop()?;
            let (a, b) = link;
            stage.saw(format!(
                "{a}-{b} drops everything: s1 to s3, {}: no answer for {:.2} s",
                family(is_ipv6),
                count.longest_gap
            ));
            claim(count.longest_gap < f64::from(DEAD_INTERVAL) / 2.0, || {
                format!("{a}-{b}: {}: no answer for {:.2} s", family(is_ipv6), count.longest_gap)
            })?;
        }
        stage.lab.set_cut(link.0, link.1, false)?;
        stage.lab.wait_for_adjacencies(LIMIT)?;
        stage.lab.wait_for_routes(LIMIT)?;
        wait_for_sessions(stage)?;
    }
    set_dead_interval(stage, DEAD_INTERVAL, usual)
}

/// Changes RouterDeadInterval on every router, and waits until all are neighbors again.
fn set_dead_interval(stage: &Stage, from: u16, to: u16) -> Result<(), LabError> {
    let option = |seconds| format!("option dead_interval '{seconds}'");
    for router in &stage.lab.topology.routers {
        let text = stage.lab.read_config(&router.name)?;
        claim(text.contains(&option(from)), || format!("{} has no {}", router.name, option(from)))?;
        stage.lab.write_config(&router.name, &text.replace(&option(from), &option(to)))?;
        stage.lab.dlan(&router.name, &["apply"])?;
    }
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

fn agent_killed(stage: &mut Stage) -> Result<(), LabError> {
    wait_for_sessions(stage)?;
    wait_for_way(stage, "dlan-vx4")?;
    stage.lab.wait_for_acknowledgments(LIMIT)?;
    let node = stage.lab.node("s1")?.clone();
    let mut pings = Vec::new();
    for is_ipv6 in [true, false] {
        pings.push((is_ipv6, PingRun::start(&node, stage.lab.address_of("s3", is_ipv6)?, 10)?));
    }
    stage.lab.kill_agent("r4")?;
    let begun = Instant::now();
    wait::until(LIMIT, "r1 to say that r4 still forwards", || {
        match session_field(stage, "r1", "r4", "far_end") {
            Some(Value::String(said)) if said == "forwarding" => Ok(()),
            other => Err(format!("it says {other:?}")),
        }
    })?;
    stage.saw(format!(
        "r4's agent killed; r1 knows after {:.1} s that its kernel answers",
        begun.elapsed().as_secs_f64()
    ));
    std::thread::sleep(AWAY.saturating_sub(begun.elapsed()));
    stage.lab.start_agent("r4")?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    wait_for_sessions(stage)?;
    for (is_ipv6, ping) in pings {
        let count = ping.stop()?;
        stage.saw(format!(
            "s1 to s3 through r4, {}: {} pings, {} lost",
            family(is_ipv6),
            count.sent,
            count.lost
        ));
        claim(count.lost == 0, || {
            format!("{}: {} of {} pings lost", family(is_ipv6), count.lost, count.sent)
        })?;
    }
    stage.lab.wait_for_routes(LIMIT)
}

fn under_load(stage: &mut Stage) -> Result<(), LabError> {
    wait_for_sessions(stage)?;
    let before = session_ends(stage)?;
    let seconds = std::env::var("DLAN_LOAD_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(LOAD_SECONDS));
    let transfer = Transfer::start(&stage.lab, "s1", "s3", true, u64::MAX)?;
    keep_busy(length);
    let after = session_ends(stage)?;
    let done = transfer.stop()?;
    let rate = done.megabits_per_second();
    stage.saw(format!(
        "{} s with every core busy and {rate:.0} Mbit/s from s1 to s3, longest pause {:.1} s: {} ends of sessions, none went down",
        length.as_secs(),
        done.longest_pause.as_secs_f64(),
        after.len()
    ));
    claim(rate >= LOAD_RATE_MIN, || format!("the transfer carried {rate:.1} Mbit/s"))?;
    let down: Vec<_> = after.iter().filter(|end| end.state != "Up").collect();
    claim(down.is_empty(), || format!("sessions are not Up at the end: {down:?}"))?;
    claim(before == after, || {
        let differ: Vec<_> = before
            .iter()
            .zip(&after)
            .filter(|(a, b)| a != b)
            .map(|(a, b)| format!("{a:?} -> {b:?}"))
            .collect();
        format!("sessions came up again: {}", differ.join(", "))
    })
}

fn bird(stage: &mut Stage) -> Result<(), LabError> {
    wait_for_sessions(stage)?;
    let links = [("r1", "r4"), ("r2", "r4"), ("r5", "r4")].map(|link| (link, times_up(stage, link)));
    stage.lab.kill_agent("r4")?;
    stage.lab.flush_routes("r4")?;
    let mut plan = stage.lab.foreign_plan("r4")?;
    plan.bfd = Some(Bfd { interval_ms: 100, multiplier: 3 });
    Maker::Bird.start(stage.lab.node("r4")?, &plan)?;
    for (link, before) in links {
        wait_for_next_session(stage, link, before)?;
    }
    stage.saw("r1, r2 and r5 have sessions Up with BIRD, Detection Time 900 ms");
    intervals_change(stage, ("r1", "r4"), 300_000)?;
    loss_is_noticed(stage, ("r1", "r4"))?;
    Maker::Bird.stop(stage.lab.node("r4")?)?;
    stage.lab.start_agent("r4")?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

fn frr(stage: &mut Stage) -> Result<(), LabError> {
    wait_for_sessions(stage)?;
    let before = stage.lab.read_config("r1")?;
    let without_secret: Vec<&str> =
        before.lines().filter(|line| !line.contains("option ospf_secret_file")).collect();
    stage.lab.write_config("r1", &(without_secret.join("\n") + "\n"))?;
    stage.lab.dlan("r1", &["apply"])?;
    let before_frr = times_up(stage, ("r1", "r2"));
    stage.lab.kill_agent("r2")?;
    stage.lab.flush_routes("r2")?;
    let mut plan = stage.lab.foreign_plan("r2")?;
    plan.bfd = Some(Bfd { interval_ms: 100, multiplier: 3 });
    plan.links.iter_mut().for_each(|link| link.authentication = None);
    Maker::Frr.start(stage.lab.node("r2")?, &plan)?;
    wait_for_next_session(stage, ("r1", "r2"), before_frr)?;
    stage.saw("r1 has a session Up with FRR, Detection Time 900 ms");
    intervals_change(stage, ("r1", "r2"), 300_000)?;
    loss_is_noticed(stage, ("r1", "r2"))?;
    Maker::Frr.stop(stage.lab.node("r2")?)?;
    stage.lab.write_config("r1", &before)?;
    stage.lab.dlan("r1", &["apply"])?;
    stage.lab.start_agent("r2")?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// Sets 100 ms on this router and waits for the new Detection Time, without the session having gone down.
fn intervals_change(stage: &mut Stage, link: (&str, &str), micros: u64) -> Result<(), LabError> {
    let text = stage.lab.read_config(link.0)?;
    let before = session_field(stage, link.0, link.1, "ups");
    let fast = text.replacen("config mesh 'mesh'", "config mesh 'mesh'\n\toption bfd_interval '100'", 1);
    stage.lab.write_config(link.0, &fast)?;
    stage.lab.dlan(link.0, &["apply"])?;
    wait_for_detection(stage, link, micros)?;
    let after = session_field(stage, link.0, link.1, "ups");
    claim(before == after, || format!("the session went down: it came up {before:?} times, then {after:?}"))?;
    stage.saw(format!(
        "{} changes to 100 ms: Detection Time {} ms, the session stays Up",
        link.0,
        micros / 1000
    ));
    stage.lab.write_config(link.0, &text)?;
    stage.lab.dlan(link.0, &["apply"])?;
    wait_for_detection(stage, link, 900_000)
}

/// Cuts the link and waits until its neighbor is gone in both families and the session is down, then heals it.
fn loss_is_noticed(stage: &mut Stage, (router, neighbor): (&str, &str)) -> Result<(), LabError> {
    stage.lab.set_cut(router, neighbor, true)?;
    let begun = Instant::now();
    wait::until(LIMIT, &format!("{router} to take {neighbor} for unreachable"), || {
        match session_field(stage, router, neighbor, "far_end") {
            Some(Value::String(said)) if said == "unreachable" => Ok(()),
            other => Err(format!("it says {other:?}")),
        }
    })?;
    stage.saw(format!("cut without a word: unreachable after {:.1} s", begun.elapsed().as_secs_f64()));
    stage.lab.set_cut(router, neighbor, false)?;
    wait_for_detection(stage, (router, neighbor), 900_000)?;
    stage.saw("healed: Up again");
    Ok(())
}

fn session_field(stage: &Stage, router: &str, neighbor: &str, field: &str) -> Option<Value> {
    let links = stage.lab.dlan_json(router, &["links"]).ok()?;
    let link =
        links.as_array()?.iter().find(|link| link.get("name").is_some_and(|name| name == neighbor))?.clone();
    link.get("bfd")?.get(field).cloned()
}

/// Waits until a session is Up with a Detection Time.
fn wait_for_detection(stage: &Stage, (router, neighbor): (&str, &str), micros: u64) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("{router}'s session with {neighbor}, Detection Time {micros} us"), || {
        let state = session_field(stage, router, neighbor, "state");
        let detection = session_field(stage, router, neighbor, "detection_micros");
        match (&state, detection.as_ref().and_then(Value::as_u64)) {
            (Some(Value::String(state)), Some(seen)) if state == "Up" && seen == micros => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
}

/// Waits until a session that came up `before` times with the agent of a neighbor is Up with the daemon in its place: until it has
/// noticed, it still shows the one before.
fn wait_for_next_session(stage: &Stage, link: (&str, &str), before: u64) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("{}'s session with the daemon in {}", link.0, link.1), || {
        let seen = times_up(stage, link);
        if seen > before { Ok(()) } else { Err(format!("it came up {seen} times")) }
    })?;
    wait_for_detection(stage, link, 900_000)
}

/// Returns how often a session came up.
fn times_up(stage: &Stage, (router, neighbor): (&str, &str)) -> u64 {
    session_field(stage, router, neighbor, "ups").as_ref().and_then(Value::as_u64).unwrap_or_default()
}

/// Waits until every session of every router is Up.
fn wait_for_sessions(stage: &Stage) -> Result<(), LabError> {
    for link in &stage.lab.topology.links {
        let (a, b) = (&link.between.0, &link.between.1);
        wait_for_detection(stage, (a, b), 900_000)?;
        wait_for_detection(stage, (b, a), 900_000)?;
    }
    Ok(())
}

/// One end of a session: how it stands, and how often it came up.
#[derive(Debug, PartialEq, Eq)]
struct SessionEnd {
    router: String,
    neighbor: String,
    state: String,
    ups: u64,
}

/// Returns each end of each session.
fn session_ends(stage: &Stage) -> Result<Vec<SessionEnd>, LabError> {
    let links = &stage.lab.topology.links;
    let ends = links.iter().flat_map(|link| {
        let (a, b) = (&link.between.0, &link.between.1);
        [(a, b), (b, a)]
    });
    ends.map(|(router, neighbor)| {
        let field = |name| session_field(stage, router, neighbor, name);
        let (state, ups) = (field("state"), field("ups"));
        let told = state.as_ref().and_then(Value::as_str).zip(ups.as_ref().and_then(Value::as_u64));
        let (state, ups) = told.ok_or_else(|| {
            LabError::Claim(format!("{router} tells nothing of its session with {neighbor}"))
        })?;
        Ok(SessionEnd { router: router.clone(), neighbor: neighbor.clone(), state: state.to_owned(), ups })
    })
    .collect()
}

fn wait_for_way(stage: &Stage, device: &str) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("r1 to send by {device}"), || {
        let seen = stage.lab.route_devices("r1", "10.2.2.0/24").map_err(|error| error.with_causes())?;
        if seen == [device] { Ok(()) } else { Err(format!("it sends by {}", seen.join(" and "))) }
    })
}

/// Keeps every core busy for a while.
fn keep_busy(length: Duration) {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        std::thread::sleep(length);
        is_over.store(true, Ordering::Relaxed);
    });
}
