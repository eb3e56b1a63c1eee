//! One failure and its end, and what a flow or two lost meanwhile.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::LIMIT;
use super::case::{Case, Pace};
use super::floor::Floor;
use super::subject::Subject;
use crate::error::LabError;
use crate::lab::Lab;
use crate::probe::Probe;
use crate::wait;

/// How long nothing happens before a link fails: longer than the back-offs and throttles that the return of the link before
/// has left in any of the three.
const QUIET: Duration = Duration::from_secs(9);
/// How long the link stays away: longer than the back-off that its failure has left in routers of ours.
const AWAY: Duration = Duration::from_secs(4);
/// How long probes must arrive before and after a failure.
const ENOUGH: Duration = Duration::from_millis(200);
/// How much later than the failure probes are sent that tell of the way around: those before may have been on their way.
const MARGIN: Duration = Duration::from_millis(50);
/// How long the flows are watched after the way back is in use.
const SETTLE: Duration = Duration::from_millis(500);
/// How often the routes are looked at where nothing hurries.
const LOOK: Duration = Duration::from_millis(500);
/// The time between probes while the link comes back: several labs may do that side by side.
const RETURN_PACE: Duration = Duration::from_millis(5);

/// What is sent to: an address behind r2, and the route of r1 that leads there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flow {
    /// The route's prefix.
    pub prefix: String,
    /// The address.
    pub address: IpAddr,
}

/// What one failure did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// How long it lasted for IPv6 and IPv4, as far as there are flows.
    pub away: [Option<Duration>; 2],
    /// How many probes were lost when the link came back.
    pub lost_at_return: usize,
    /// Processor time of r1's routing from the failure to a moment after the way around was in use.
    pub processor: Duration,
    /// What it uses in as long a time while nothing happens.
    pub rest: Duration,
}

/// Lets the link between r1 and r2 fail and come back once.
pub(super) fn fail_once(
    lab: &Lab,
    (subject, case): (Subject, Case),
    flows: &[Flow],
    floor: &Floor,
) -> Result<Sample, LabError> {
    wait_for_way(lab, flows, true)?;
    sleep(QUIET / 2);
    let (before, begun) = (subject.processor_time(lab, "r1")?, Instant::now());
    sleep(QUIET / 2);
    let at_rest = subject.processor_time(lab, "r1")?.saturating_sub(before);
    let at_rest = at_rest.div_duration_f64(begun.elapsed());
    let mut sample = Sample::default();
    let pace = case.pace(subject);
    let mut turn = match pace {
        Pace::Fast => Some(floor.take()),
        Pace::Slow => None,
    };
    let probes = start(lab, flows, pace.interval())?;
    wait_for_probes(&probes, (Duration::ZERO, pace.interval()))?;
    if let Some(turn) = turn.as_ref().filter(|_| case == Case::Carrier) {
        turn.rest();
    }
    let (before, begun) = (subject.processor_time(lab, "r1")?, Instant::now());
    case.fail(lab)?;
    if let Some(turn) = turn.as_mut().filter(|_| case == Case::Carrier) {
        turn.note_carrier();
    }
    wait_for_probes(&probes, (MARGIN, pace.interval()))?;
    wait_for_way(lab, flows, false)?;
    wait_for_probes(&probes, (MARGIN, pace.interval()))?;
    sample.processor = subject.processor_time(lab, "r1")?.saturating_sub(before);
    sample.rest = begun.elapsed().mul_f64(at_rest);
    for (flow, probe) in flows.iter().zip(probes) {
        let [ipv6, ipv4] = &mut sample.away;
        *if flow.address.is_ipv6() { ipv6 } else { ipv4 } = Some(probe.stop()?.away);
    }
    drop(turn);
    sleep(AWAY);
    let probes = start(lab, flows, RETURN_PACE)?;
    wait_for_probes(&probes, (Duration::ZERO, RETURN_PACE))?;
    heal(lab, case, floor)?;
    wait_for_way(lab, flows, true)?;
    sleep(SETTLE);
    for probe in probes {
        sample.lost_at_return += probe.stop()?.lost;
    }
    Ok(sample)
}

fn heal(lab: &Lab, case: Case, floor: &Floor) -> Result<(), LabError> {
    let mut turn = floor.take();
    case.heal(lab)?;
    if case == Case::Carrier {
        turn.note_carrier();
    }
    Ok(())
}

fn start(lab: &Lab, flows: &[Flow], interval: Duration) -> Result<Vec<Probe>, LabError> {
    let (near, far) = (lab.node("s1")?, lab.node("s2")?);
    flows.iter().map(|flow| Probe::start(near, far, flow.address, interval)).collect()
}

/// Waits until r1 sends to each prefix over the link to r2, or over any other.
fn wait_for_way(lab: &Lab, flows: &[Flow], direct: bool) -> Result<(), LabError> {
    for Flow { prefix, .. } in flows {
        let what = format!("r1's route to {prefix}, {}", if direct { "direct" } else { "around" });
        wait::every(LOOK, LIMIT, &what, || {
            let devices = lab.route_devices("r1", prefix).map_err(|error| error.with_causes())?;
            let is_direct = devices == ["dlan-vx2"];
            let is_around = !devices.is_empty() && devices.iter().all(|device| device != "dlan-vx2");
            if if direct { is_direct } else { is_around } {
                Ok(())
            } else {
                Err(format!("it leaves by {devices:?}"))
            }
        })?;
    }
    Ok(())
}

/// Waits until enough probes have arrived that are sent later than now by a margin.
fn wait_for_probes(probes: &[Probe], (margin, interval): (Duration, Duration)) -> Result<(), LabError> {
    let enough = u64::try_from(ENOUGH.as_nanos() / interval.as_nanos().max(1)).unwrap_or(u64::MAX);
    for probe in probes {
        probe.mark(margin);
    }
    for probe in probes {
        let begun = Instant::now();
        wait::until(LIMIT, "probes to arrive", || {
            let missing = enough.saturating_sub(probe.arrived());
            let why =
                || format!("{missing} more are waited for since {:.1} s", begun.elapsed().as_secs_f64());
            if missing == 0 { Ok(()) } else { Err(why()) }
        })?;
    }
    Ok(())
}
