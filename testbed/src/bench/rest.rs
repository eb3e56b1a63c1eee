//! What routing costs a router while nothing happens, and while its links flap: processor time and wake-ups, beside BIRD
//! and FRR.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::cpu::{Usage, usage};
use super::failover::{Case, Subject};
use super::shapes;
use crate::console::Console;
use crate::error::LabError;
use crate::foreign::Maker;
use crate::lab::Lab;
use crate::topology::Topology;

/// The lab's name.
const LAB: &str = "bench-rest";
/// The router that is measured: the hub of a wheel.
const HUB: &str = "r1";
/// How long nothing happens before a measurement: longer than every back-off, throttle and confirmation of any of the three.
const QUIET: Duration = Duration::from_secs(20);
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(150);
/// How long a link is down, and up again: with HelloInterval 1 s everyone has it back in that time.
const FLAP: Duration = Duration::from_secs(2);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Orders {
    /// How long a window is in which each of them is watched.
    pub window: Duration,
    /// How many windows there are; the median counts.
    pub runs: usize,
    /// How many links the measured router has.
    pub links: usize,
    /// Whom.
    pub subjects: Vec<Subject>,
    /// In which situations.
    pub situations: Vec<Situation>,
}

/// What happens meanwhile, with which timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Situation {
    /// Nothing; HelloInterval 1 s, no BFD.
    Hello,
    /// Nothing; HelloInterval 10 s, BFD 300 ms x 3 on every link.
    Bfd,
    /// Every link of the measured router loses its carrier for 2 s and has it for 2 s, in turns; HelloInterval 1 s, no BFD.
    Flaps,
    /// The same with HelloInterval 10 s, BFD 300 ms x 3.
    FlapsBfd,
}

impl Situation {
    const fn title(self) -> &'static str {
        match self {
            Self::Hello => "at rest, hello 1 s",
            Self::Bfd => "at rest, BFD 3 x 300 ms",
            Self::Flaps => "every link flaps, hello 1 s",
            Self::FlapsBfd => "every link flaps, BFD",
        }
    }

    /// Returns the failure whose timers these are.
    const fn timers(self) -> Case {
        match self {
            Self::Hello | Self::Flaps => Case::Hello,
            Self::Bfd | Self::FlapsBfd => Case::Bfd300,
        }
    }
}

/// Measures everything that is asked for and prints a table.
pub fn measure(console: Console, orders: &Orders) -> Result<(), LabError> {
    let mut lab = bring_up(console, topology(orders.links)?)?;
    let result = table(console, &mut lab, orders);
    Lab::down(LAB)?;
    result
}

/// A wheel: the measured router in the middle, linked with each of the others, which are in a ring around it.
fn topology(links: usize) -> Result<Topology, LabError> {
    let spokes = (2..links + 2).map(|n| (1, n));
    let rim = (0..links).map(|n| (n + 2, (n + 1) % links + 2));
    let all: Vec<_> = spokes.chain(rim.filter(|_| links > 2)).collect();
    Ok(Topology::parse(&shapes::topology(LAB, "ospf_secret = false\n", &all, &[]), LAB)?)
}

fn bring_up(console: Console, topology: Topology) -> Result<Lab, LabError> {
    Lab::down(LAB)?;
    let progress = |step: &str| console.replace(format!("{LAB}: {step}"));
    let started = Lab::up(topology, &progress).and_then(|lab| {
        lab.start_mesh(&progress)?;
        lab.wait_for_routes(LIMIT)?;
        Ok(lab)
    });
    console.replace("");
    if started.is_err() {
        Lab::down(LAB)?;
    }
    started
}

fn table(console: Console, lab: &mut Lab, orders: &Orders) -> Result<(), LabError> {
    console.heading(&format!(
        "A router with {} links among {}: its routing, programs that it starts included; median of {} windows of {} s (worst)",
        orders.links,
        lab.topology.routers.len(),
        orders.runs,
        orders.window.as_secs()
    ));
    console.line("situation                     daemon             CPU ms in 60 s  wake-ups a second");
    let names: Vec<String> = lab.topology.routers.iter().map(|router| router.name.clone()).collect();
    let mut running = Subject::Dlan;
    for situation in &orders.situations {
        for subject in &orders.subjects {
            running.stop(lab, &names)?;
            running = *subject;
            console.replace(format!("{}, {}: starting", situation.title(), subject.name()));
            subject.start(lab, situation.timers(), &names)?;
            lab.wait_for_routes(LIMIT)?;
            sleep(QUIET);
            let mut windows = Vec::new();
            for run in 1..=orders.runs {
                console.replace(format!("{}, {}: window {run}", situation.title(), subject.name()));
                windows.push(watch(lab, *situation, *subject, orders)?);
            }
            console.replace("");
            console.line(row(situation.title(), subject.name(), &windows));
        }
    }
    Ok(())
}

/// Returns what the routing of the measured router uses in a window, and how long that was.
fn watch(
    lab: &Lab,
    situation: Situation,
    subject: Subject,
    orders: &Orders,
) -> Result<(Usage, Duration), LabError> {
    let node = lab.node(HUB)?;
    let pids = match subject {
        Subject::Dlan => lab.agents(HUB)?,
        Subject::Bird => Maker::Bird.processes(node),
        Subject::Frr => Maker::Frr.processes(node),
    };
    let used = || -> Result<Usage, LabError> {
        let each = pids.iter().map(|pid| usage(*pid));
        each.sum::<std::io::Result<Usage>>()
            .map_err(|error| LabError::Node { node: HUB.to_owned(), why: error.to_string() })
    };
    let (before, begun) = (used()?, Instant::now());
    match situation {
        Situation::Hello | Situation::Bfd => sleep(orders.window),
        Situation::Flaps | Situation::FlapsBfd => flap(lab, orders, begun)?,
    }
    Ok((used()?.since(before), begun.elapsed()))
}

/// Takes the carrier from one link after the other, and gives it back, over a window. It ends as it began, with all of them
/// there, where the window is whole turns; the next one goes on.
fn flap(lab: &Lab, orders: &Orders, begun: Instant) -> Result<(), LabError> {
    let step = FLAP / u32::try_from(orders.links.max(1)).unwrap_or(1);
    let mut turn = 0;
    let mut at = begun;
    while at < begun + orders.window {
        sleep(at.saturating_duration_since(Instant::now()));
        let (link, is_down) = (turn % orders.links, (turn / orders.links).is_multiple_of(2));
        let word = if is_down { "on" } else { "off" };
        let spoke = link + 2;
        lab.node(HUB)?.run("ip", &["link", "set", &format!("dlan-vx{spoke}"), "protodown", word])?;
        lab.node(&format!("r{spoke}"))?.run("ip", &["link", "set", "dlan-vx1", "protodown", word])?;
        turn += 1;
        at += step;
    }
    Ok(())
}

fn row(situation: &str, subject: &str, windows: &[(Usage, Duration)]) -> String {
    let of = |rate: fn(&Usage) -> f64, seconds: f64| -> Vec<f64> {
        windows.iter().map(|(used, watched)| rate(used) * seconds / watched.as_secs_f64()).collect()
    };
    let processor = of(|used| used.processor.as_secs_f64() * 1e3, 60.0);
    let wakeups = of(|used| used.wakeups(), 1.0);
    let worst = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
    format!(
        "{situation:<28}  {subject:<17}  {:>6.0} ({:>5.0})  {:>9.1} ({:>5.1})",
        super::median(&processor),
        worst(&processor),
        super::median(&wakeups),
        worst(&wakeups),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_router_has_as_many_links_as_were_asked_for() {
        for links in [1, 2, 4, 10, 20] {
            let topology = topology(links).unwrap();
            assert_eq!(topology.links.iter().filter(|link| link.other_end(HUB).is_some()).count(), links);
        }
    }
}
