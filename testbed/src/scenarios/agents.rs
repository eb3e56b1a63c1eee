//! Agents die, end and come back while the traffic flows, beside dlan and beside BIRD.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::hosts::{put_back, serve};
use super::many::{leases, programs};
use super::services::{expose, wait_for};
use crate::agent::dlan_program;
use crate::dhcp::Guest;
use crate::error::LabError;
use crate::foreign::{Maker, bird};
use crate::lab::{Lab, read_file};
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::serving::{Line, Server, any};
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "agent-killed",
        claim: "A killed agent leaves traffic flowing; started again after 2 s it adopts what stands and plans nothing, and on a path without alternative no packet is lost.",
        topology: "reference",
        run: agent_killed,
    },
    Scenario {
        name: "agent-away",
        claim: "An agent that is killed and comes back after twice RouterDeadInterval, and one that is stopped for so long, cost a path without alternative no packet.",
        topology: "reference",
        run: agent_away,
    },
    Scenario {
        name: "upgraded",
        claim: "An agent that gives way to another version, and this one to the former again after it was killed, cost transfers and pings through the router nothing, nor a host its lease and its proxied connection; WireGuard's, nginx's and dnsmasq's processes stay.",
        topology: "reference",
        run: upgraded,
    },
    Scenario {
        name: "restart-beside-bird",
        claim: "With BIRD 2 as the only neighbor on the way, an agent that is killed for 2 s or stopped for twice RouterDeadInterval, and a BIRD that is away as long for a graceful restart, cost no packet.",
        topology: "reference",
        run: restart_beside_bird,
    },
];

/// A version that never was, as long as the program's own.
pub(super) const OTHER_VERSION: &str = "9.9.9";
/// A TCP sender on a busy machine may take its time.
const TRANSFER_LIMIT: Duration = Duration::from_secs(150);
const LIMIT: Duration = Duration::from_secs(60);
/// How long a killed agent stays dead: within RouterDeadInterval, which is 4 s.
const DEAD_TIME: Duration = Duration::from_secs(2);
/// How long after a restart the traffic is watched: the grace goes back, and what was put off comes.
const AFTERWARDS: Duration = Duration::from_secs(8);

/// How long the pings go on after the far end was seen to answer.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// How an agent ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Killed,
    Stopped,
}

fn agent_killed(stage: &mut Stage) -> Result<(), LabError> {
    // s3 is behind r2, s5 behind r3, which hangs on r2 alone.
    let devices = stage.lab.node("r2")?.run("ip", &["-br", "link", "show"])?;
    stage.lab.wait_for_acknowledgments(LIMIT)?;
    let pings = start_pings(stage, "s1", "s5")?;
    let before = stage.lab.sent_packets("r2", "dlan-vx3")?;
    stage.lab.kill_agent("r2")?;
    let killed = Instant::now();
    wait::until(LIMIT, "the traffic to flow while the agent is dead", || {
        let carried = stage.lab.sent_packets("r2", "dlan-vx3").unwrap_or_default().saturating_sub(before);
        let enough = killed.elapsed() >= DEAD_TIME && carried > 200;
        if enough { Ok(()) } else { Err(format!("{carried} packets passed r2")) }
    })?;
    let carried = stage.lab.sent_packets("r2", "dlan-vx3")?.saturating_sub(before);
    stage.saw(format!(
        "r2's agent dead for {:.1} s: {carried} packets went on to r3",
        killed.elapsed().as_secs_f64()
    ));
    stage.lab.start_agent("r2")?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    let plan = wait::until(LIMIT, "an empty plan", || {
        let plan = stage.lab.dlan("r2", &["plan"]).map_err(|error| error.with_causes())?;
        let empty = stage.lab.plans_nothing("r2").map_err(|error| error.with_causes())?;
        if empty { Ok(plan) } else { Err(plan) }
    })?;
    stage.saw(format!("started again: `dlan plan` says: {}", plan.trim()));
    let after = stage.lab.node("r2")?.run("ip", &["-br", "link", "show"])?;
    claim(devices == after, || format!("the devices are not the same:\n{devices}\n{after}"))?;
    stop_pings(stage, "killed for 2 s", pings)
}

fn agent_away(stage: &mut Stage) -> Result<(), LabError> {
    let away = away_time(&stage.lab);
    for end in [End::Killed, End::Stopped] {
        let what = restart_agent(stage, ("r2", "s1", "s5"), end, away)?;
        stage.saw(what);
    }
    Ok(())
}

/// Returns how long one is away that its neighbors wait for: twice RouterDeadInterval.
fn away_time(lab: &Lab) -> Duration {
    Duration::from_secs(2 * u64::from(lab.topology.mesh.dead_interval))
}

fn upgraded(stage: &mut Stage) -> Result<(), LabError> {
    let (router, from, to) = ("r2", "s1", "s5");
    let node = stage.lab.node(router)?.clone();
    let next = another_version()?;
    let wireguard =
        || node.processes(|arguments| arguments.get(1).is_some_and(|command| command == "wireguard"));
    let before = wireguard();
    // Not both at once: transfers fill queues, in which pings are lost whatever the agent does.
    let pings = start_pings(stage, from, to)?;
    change_versions(stage, router, &next, || Ok(()))?;
    stop_pings(stage, "another version and back", pings)?;
    let kept = upgraded_beside_guest(stage, router, &next, (from, to))?;
    let log = read_file(&stage.lab.log(router))?;
    claim(log.contains(&format!("version=\"{OTHER_VERSION}\"")), || {
        "the other version never ran".to_owned()
    })?;
    claim(wireguard() == before, || {
        format!("WireGuard's processes were {before:?} and are {:?}", wireguard())
    })?;
    kept.into_iter().for_each(|what| stage.saw(what));
    Ok(())
}

/// The service through which a host of the upgraded router speaks.
const PORT: u16 = 9001;

/// Changes versions while transfers cross the router, a host of its LAN has a lease, and a connection through its proxy;
/// returns what was kept.
fn upgraded_beside_guest(
    stage: &Stage,
    router: &str,
    next: &Path,
    (from, to): (&str, &str),
) -> Result<Vec<String>, LabError> {
    let lab = &stage.lab;
    let guest = Guest::unplug(lab, "s4")?;
    let good = serve(lab, router, &format!("\toption dhcp '1'\n\tlist lease '{} 77 s4'\n", guest.mac()?))?;
    let service = format!(
        "\nconfig service 'web'\n\tlist listen '0.0.0.0:{PORT}'\n\tlist upstream '{}:8080'\n",
        lab.address_of(from, false)?
    );
    expose(lab, router, &service)?;
    let _server = Server::tcp(lab, from, any(8080))?;
    guest.plug()?;
    wait::until(LIMIT, "the leased address", || guest.ask_ipv4())?;
    wait_for(lab, "s4", ("10.2.2.1", PORT), from)?;
    let mut line = Line::open(lab, "s4", ("10.2.2.1", PORT))?;
    line.exchange(1)?;
    let node = lab.node(router)?;
    let (leased, running) = (leases(node)?, programs(node));
    let mut transfers = Vec::new();
    for is_ipv6 in [true, false] {
        transfers.push(Transfer::start(lab, from, to, is_ipv6, u64::MAX)?);
    }
    change_versions(stage, router, next, || {
        line.exchange(1)?;
        let (lease, run) = (leases(node)?, programs(node));
        claim(lease == leased, || format!("the leases were {leased:?} and are {lease:?}"))?;
        claim(run == running, || format!("the programs were {running:?} and are {run:?}"))?;
        transfers.iter().try_for_each(goes_on)
    })?;
    let mut kept =
        vec![format!("a lease with its time, and a proxied connection with {} octets", line.octets)];
    for transfer in transfers {
        let (done, pause) = transfer.stop().map(|done| (done.octets, done.longest_pause.as_secs_f64()))?;
        kept.push(format!("{done} octets checked, {pause:.1} s between two at most"));
    }
    drop(line);
    guest.restore()?;
    put_back(lab, router, &good)?;
    Ok(kept)
}

/// Waits until a transfer has gone on for more than any buffer holds.
fn goes_on(transfer: &Transfer) -> Result<(), LabError> {
    let goal = transfer.received() + 20_000_000;
    wait::until(TRANSFER_LIMIT, "the transfer to go on", || {
        let received = transfer.received();
        let is_over = received >= goal || transfer.has_ended();
        if is_over { Ok(()) } else { Err(format!("{received} of {goal} octets")) }
    })
}

/// Has another version take over from an agent that ends, and the former from that one when it is killed; looks after each.
fn change_versions(
    stage: &Stage,
    router: &str,
    next: &Path,
    mut look: impl FnMut() -> Result<(), LabError>,
) -> Result<(), LabError> {
    for (end, program) in [(End::Stopped, next.to_owned()), (End::Killed, dlan_program()?)] {
        match end {
            End::Killed => stage.lab.kill_agent(router)?,
            End::Stopped => stage.lab.stop_agent(router)?,
        }
        stage.lab.start_agent_of(router, &program)?;
        stage.lab.wait_for_adjacencies(LIMIT)?;
        stage.lab.wait_for_routes(LIMIT)?;
        look()?;
        // What was put off comes, and a change of topology would end the grace of the next one.
        sleep(AFTERWARDS);
    }
    Ok(())
}

/// Makes a program that is this one but for its version, in a directory beside it, and returns where.
pub(super) fn another_version() -> Result<PathBuf, LabError> {
    let own = dlan_program()?;
    let directory = own.with_file_name("another-version");
    let path = directory.join("dlan");
    let failed = |source| LabError::File { act: "make", path: path.clone(), source };
    let mut octets = std::fs::read(own).map_err(failed)?;
    let (own, other) = (env!("CARGO_PKG_VERSION").as_bytes(), OTHER_VERSION.as_bytes());
    let is_number = |octet: &u8| octet.is_ascii_digit() || *octet == b'.';
    let mut place = 1;
    while let Some(part) = octets.get_mut(place - 1..=place + own.len()) {
        // Addresses have such parts too.
        if let [before, middle @ .., after] = part
            && middle == own
            && !is_number(before)
            && !is_number(after)
        {
            middle.copy_from_slice(other);
        }
        place += 1;
    }
    std::fs::create_dir_all(&directory).map_err(failed)?;
    // A program that runs still cannot be written over; another can take its place.
    let aside = directory.join("dlan.part");
    std::fs::write(&aside, octets).map_err(failed)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    std::fs::rename(&aside, &path).map_err(failed)?;
    Ok(path)
}

fn restart_beside_bird(stage: &mut Stage) -> Result<(), LabError> {
    stage.lab.replace_agent("r4", Maker::Bird)?;
    // From r1 to r2 there is only BIRD left.
    stage.lab.set_cut("r1", "r5", true)?;
    wait::until(LIMIT, "the way to be through BIRD", || {
        let way = stage.lab.way("r1", "r2").map_err(|error| error.with_causes())?;
        let reached = [true, false].map(|is_ipv6| stage.lab.pings("s1", "s3", is_ipv6).unwrap_or_default());
        if way == ["r1", "r4", "r2"] && reached == [true, true] {
            Ok(())
        } else {
            Err(format!("it goes {}, answers {reached:?}", way.join(" - ")))
        }
    })?;
    // Until it is quiet: a change of topology ends a graceful restart.
    sleep(AFTERWARDS);
    let away = away_time(&stage.lab);
    for (end, away) in [(End::Killed, DEAD_TIME), (End::Stopped, away)] {
        let what = restart_agent(stage, ("r2", "s1", "s3"), end, away)?;
        stage.saw(what);
    }
    let node = stage.lab.node("r4")?.clone();
    let pings = start_pings(stage, "s1", "s3")?;
    bird::end_gracefully(&node)?;
    wait::until(LIMIT, "BIRD to end", || {
        if Maker::Bird.processes(&node).is_empty() { Ok(()) } else { Err("it runs".to_owned()) }
    })?;
    sleep(away);
    stop_pings(stage, &format!("BIRD away for {} s", away.as_secs()), pings)?;
    bird::start_again(&node)?;
    stage.lab.set_cut("r1", "r5", false)?;
    Maker::Bird.stop(stage.lab.node("r4")?)?;
    stage.lab.start_agent("r4")?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// Has an agent end, be away and come back while pings cross its router; returns what was seen if none is lost.
fn restart_agent(
    stage: &mut Stage,
    (router, from, to): (&str, &str, &str),
    end: End,
    away: Duration,
) -> Result<String, LabError> {
    let pings = start_pings(stage, from, to)?;
    sleep(Duration::from_secs(1));
    stage.lab.wait_for_acknowledgments(LIMIT)?;
    match end {
        End::Killed => stage.lab.kill_agent(router)?,
        End::Stopped => stage.lab.stop_agent(router)?,
    }
    sleep(away);
    stage.lab.start_agent(router)?;
    sleep(AFTERWARDS);
    let what = format!("{router}'s agent {end:?} for {} s", away.as_secs());
    stop_pings(stage, &what, pings)?;
    Ok(format!("{what}, and back"))
}

/// Pings between two hosts in both families.
struct Pings {
    from: String,
    to: String,
    runs: Vec<(bool, PingRun)>,
}

fn start_pings(stage: &Stage, from: &str, to: &str) -> Result<Pings, LabError> {
    let node = stage.lab.node(from)?.clone();
    let start = |is_ipv6| Ok((is_ipv6, PingRun::start(&node, stage.lab.address_of(to, is_ipv6)?, 10)?));
    let runs: Result<_, LabError> = [true, false].into_iter().map(start).collect();
    Ok(Pings { from: from.to_owned(), to: to.to_owned(), runs: runs? })
}

/// Claims that no ping is lost, and that the far end still answers: what is lost at the end is not counted.
fn stop_pings(stage: &mut Stage, what: &str, pings: Pings) -> Result<(), LabError> {
    let Pings { from, to, runs } = pings;
    for (is_ipv6, ping) in runs {
        let family = family(is_ipv6);
        claim(stage.lab.pings(&from, &to, is_ipv6)?, || format!("{what}, {family}: no answer in the end"))?;
        sleep(LAST_ANSWERS);
        let count = ping.stop()?;
        stage.saw(format!(
            "{what}, {family}: {} pings at 10 ms, {} lost, {:.2} s between two answers at most",
            count.sent, count.lost, count.longest_gap
        ));
        claim(count.lost == 0, || {
            format!("{what}, {family}: {} pings lost, away for {:.2} s", count.lost, count.longest_gap)
        })?;
    }
    Ok(())
}
