//! How long traffic is away when a link fails: ours, BIRD and FRR on the same links, with the same timers, in one run.

mod case;
mod prefixes;
mod subject;

use std::thread::sleep;
use std::time::{Duration, Instant};

pub use case::Case;
pub use subject::Subject;

use super::shapes;
use crate::console::Console;
use crate::error::LabError;
use crate::lab::Lab;
use crate::probe::{Gaps, Probe};
use crate::topology::Topology;
use crate::wait;

/// How long nothing happens before a link fails: longer than every back-off and throttle of any of the three.
const QUIET: Duration = Duration::from_secs(11);
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(150);
/// How many probes must arrive before and after a failure.
const ENOUGH: u64 = 200;
/// How long the flows are watched after the way back is in use.
const SETTLE: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Orders {
    /// How often; the median counts.
    pub runs: usize,
    /// Whom.
    pub subjects: Vec<Subject>,
    /// Which failures with which timers.
    pub cases: Vec<Case>,
    /// In which shapes.
    pub shapes: Vec<Shape>,
    /// How many prefixes behind the failed neighbor, in the mesh; none to leave this out.
    pub prefixes: Vec<usize>,
}

/// A mesh in which the link between r1 and r2 fails while s1 sends to s2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// Six routers in a ring: no alternate is loop-free, so flooding and SPF are measured.
    Ring,
    /// Four routers, each linked with every other: every alternate is loop-free.
    Mesh,
}

impl Shape {
    const fn title(self) -> &'static str {
        match self {
            Self::Ring => "a ring of six, no loop-free alternate",
            Self::Mesh => "a full mesh of four, loop-free alternates",
        }
    }

    fn topology(self) -> Result<Topology, LabError> {
        let (name, links) = match self {
            Self::Ring => ("bench-ring", shapes::ring(6, None)),
            Self::Mesh => ("bench-full", shapes::full_mesh(4)),
        };
        Ok(Topology::parse(&shapes::topology(name, "ospf_secret = false\n", &links, &[1, 2]), name)?)
    }
}

/// What one failure did.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    /// To IPv6 and IPv4.
    away: [Gaps; 2],
    /// The same when the link came back.
    back: [Gaps; 2],
    /// Processor time of r1's routing meanwhile.
    processor: Duration,
}

/// Measures everything that is asked for and prints tables.
pub fn measure(console: Console, orders: &Orders) -> Result<(), LabError> {
    for shape in &orders.shapes {
        let mut lab = bring_up(console, shape.topology()?)?;
        let result = shape_table(console, &mut lab, *shape, orders);
        Lab::down(&lab.topology.name)?;
        result?;
    }
    if orders.prefixes.iter().all(|count| *count == 0) {
        return Ok(());
    }
    let mut lab = bring_up(console, Shape::Mesh.topology()?)?;
    let result = prefixes::table(console, &mut lab, orders);
    Lab::down(&lab.topology.name)?;
    result
}

fn bring_up(console: Console, topology: Topology) -> Result<Lab, LabError> {
    Lab::down(&topology.name)?;
    let name = topology.name.clone();
    let progress = |step: &str| console.replace(format!("{name}: {step}"));
    let started = Lab::up(topology, &progress).and_then(|lab| {
        lab.start_mesh(&progress)?;
        lab.wait_for_routes(LIMIT)?;
        Ok(lab)
    });
    console.replace("");
    if started.is_err() {
        Lab::down(&name)?;
    }
    started
}

fn shape_table(console: Console, lab: &mut Lab, shape: Shape, orders: &Orders) -> Result<(), LabError> {
    console.heading(&format!(
        "The link R1-R2 fails: how long traffic is away, in ms, in {} (median and worst of {} runs)",
        shape.title(),
        orders.runs
    ));
    console.line("failure, timers               daemon             IPv6 median  worst  IPv4 median  worst  lost at return     CPU");
    let names: Vec<String> = lab.topology.routers.iter().map(|router| router.name.clone()).collect();
    let mut running = Subject::Dlan;
    for case in &orders.cases {
        for subject in &orders.subjects {
            running.stop(lab, &names)?;
            running = *subject;
            subject.start(lab, *case, &names)?;
            lab.wait_for_routes(LIMIT)?;
            let mut samples = Vec::new();
            for run in 1..=orders.runs {
                console.replace(format!(
                    "{}, {}: run {run} of {}",
                    case.title(),
                    subject.name(),
                    orders.runs
                ));
                samples.push(fail_once(lab, *subject, *case)?);
            }
            console.replace("");
            console.line(row(case.title(), subject.name(), &samples));
        }
    }
    Ok(())
}

/// Lets the link fail and come back once.
fn fail_once(lab: &Lab, subject: Subject, case: Case) -> Result<Sample, LabError> {
    let prefixes = lans(lab)?;
    wait_for_way(lab, &prefixes, true)?;
    sleep(QUIET);
    let mut sample = Sample::default();
    let (near, far) = (lab.node("s1")?, lab.node("s2")?);
    let start = |is_ipv6| Probe::start(near, far, lab.address_of("s2", is_ipv6)?);
    let probes = [start(true)?, start(false)?];
    wait_for_more(&probes)?;
    let before = subject.processor_time(lab, "r1")?;
    case.fail(lab)?;
    wait_for_way(lab, &prefixes, false)?;
    wait_for_more(&probes)?;
    sample.processor = subject.processor_time(lab, "r1")?.saturating_sub(before);
    for (slot, probe) in sample.away.iter_mut().zip(probes) {
        *slot = probe.stop()?;
    }
    let probes = [start(true)?, start(false)?];
    wait_for_more(&probes)?;
    case.heal(lab)?;
    wait_for_way(lab, &prefixes, true)?;
    sleep(SETTLE);
    for (slot, probe) in sample.back.iter_mut().zip(probes) {
        *slot = probe.stop()?;
    }
    Ok(sample)
}

/// Returns the prefixes of r2's LAN.
fn lans(lab: &Lab) -> Result<[String; 2], LabError> {
    let router = lab.topology.router("r2");
    router
        .map(|router| [router.lan_ipv6.trunc().to_string(), router.lan_ipv4.trunc().to_string()])
        .ok_or_else(|| LabError::Asked("there is no r2".to_owned()))
}

/// Waits until r1 sends to each prefix over the link to r2, or over any other.
fn wait_for_way(lab: &Lab, prefixes: &[String], direct: bool) -> Result<(), LabError> {
    for prefix in prefixes {
        wait::until(
            LIMIT,
            &format!("r1's route to {prefix}, {}", if direct { "direct" } else { "around" }),
            || {
                let devices = lab.route_devices("r1", prefix).map_err(|error| error.with_causes())?;
                let is_direct = devices == ["dlan-vx2"];
                let is_around = !devices.is_empty() && devices.iter().all(|device| device != "dlan-vx2");
                if if direct { is_direct } else { is_around } {
                    Ok(())
                } else {
                    Err(format!("it leaves by {devices:?}"))
                }
            },
        )?;
    }
    Ok(())
}

fn wait_for_more(probes: &[Probe]) -> Result<(), LabError> {
    for probe in probes {
        let (begun, goal) = (Instant::now(), probe.arrived() + ENOUGH);
        wait::until(LIMIT, "probes to arrive", || {
            let missing = goal.saturating_sub(probe.arrived());
            let why =
                || format!("{missing} more are waited for since {:.1} s", begun.elapsed().as_secs_f64());
            if missing == 0 { Ok(()) } else { Err(why()) }
        })?;
    }
    Ok(())
}

fn row(case: &str, subject: &str, samples: &[Sample]) -> String {
    let away = |family: usize| {
        let of =
            |sample: &Sample| milliseconds(sample.away.get(family).map_or(Duration::ZERO, |gaps| gaps.away));
        median_and_worst(samples.iter().map(of).collect())
    };
    let (ipv6, ipv4) = (away(0), away(1));
    let back: usize = samples.iter().flat_map(|sample| sample.back).map(|gaps| gaps.lost).sum();
    let (processor, _) =
        median_and_worst(samples.iter().map(|sample| milliseconds(sample.processor)).collect());
    format!(
        "{case:<28}  {subject:<17}  {:>11.0}  {:>5.0}  {:>11.0}  {:>5.0}  {back:>14}  {processor:>6.1}",
        ipv6.0, ipv6.1, ipv4.0, ipv4.1
    )
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn median_and_worst(mut all: Vec<f64>) -> (f64, f64) {
    all.sort_by(f64::total_cmp);
    (all.get(all.len() / 2).copied().unwrap_or_default(), all.last().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_are_sound_topologies() {
        let links = |shape: Shape| shape.topology().unwrap().links.len();
        assert_eq!((links(Shape::Ring), links(Shape::Mesh)), (6, 6));
    }
}
