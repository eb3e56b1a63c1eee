//! How long traffic is away when a link fails: ours, BIRD and FRR on the same links, with the same timers, in one run.

mod case;
mod changes;
mod failure;
mod floor;
mod lane;
mod prefixes;
mod subject;
mod tables;

use std::time::Duration;

pub use case::Case;
pub use subject::Subject;

use self::lane::{Desk, Lane, Purpose};
use super::shapes;
use crate::console::Console;
use crate::error::LabError;
use crate::lab::Lab;
use crate::signals;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(150);
/// How often routers that start are looked at.
const LOOK_FOR_ROUTES: Duration = Duration::from_secs(1);

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
    /// How often with prefixes.
    pub prefix_runs: usize,
    /// How many changes of a prefix are followed into the kernel; 0 to leave this out.
    pub changes: usize,
}

/// A mesh in which the link between r1 and r2 fails while s1 sends to s2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Shape {
    /// Six routers in a ring: no alternate is loop-free, so flooding and SPF are measured.
    Ring,
    /// Four routers, each linked with every other: every alternate is loop-free.
    Mesh,
}

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Mesh => "mesh",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Ring => "a ring of six, no loop-free alternate",
            Self::Mesh => "a full mesh of four, loop-free alternates",
        }
    }

    fn links(self) -> Vec<(usize, usize)> {
        match self {
            Self::Ring => shapes::ring(6, None),
            Self::Mesh => shapes::full_mesh(4),
        }
    }
}

/// The failures that are measured with prefixes too: in one the kernel moves routes by itself, in one it does not.
const PREFIX_CASES: [Case; 2] = [Case::Carrier, Case::Bfd300];

impl Orders {
    /// Returns the failures to measure with prefixes.
    fn prefix_cases(&self) -> impl Iterator<Item = Case> + '_ {
        PREFIX_CASES.into_iter().filter(|case| self.cases.contains(case))
    }

    /// Returns the labs that it takes: they are up side by side, and measure one at a time.
    fn lanes(&self) -> Vec<Lane> {
        let mut purposes: Vec<Purpose> = Vec::new();
        if !self.cases.is_empty() {
            purposes.extend(self.shapes.iter().map(|shape| Purpose::Failures(*shape)));
        }
        if self.prefixes.iter().any(|count| *count > 0) && self.prefix_cases().next().is_some() {
            purposes.push(Purpose::Prefixes);
        }
        if self.changes > 0 {
            purposes.push(Purpose::Changes);
        }
        let of =
            |purpose: Purpose| self.subjects.iter().map(move |subject| Lane { purpose, subject: *subject });
        purposes.into_iter().flat_map(of).collect()
    }
}

/// Measures everything that is asked for and prints tables; returns the exit code.
pub fn measure(console: Console, orders: &Orders) -> Result<u8, LabError> {
    let lanes = orders.lanes();
    let names: Vec<String> = lanes.iter().map(|lane| lane.lab()).collect();
    if !signals::is_working_process()? {
        return signals::supervise(&names);
    }
    let desk = Desk::new(console);
    let result = measure_in(&lanes, orders, &desk);
    for name in &names {
        Lab::down(name)?;
    }
    let findings = desk.findings();
    tables::print(console, orders, &findings);
    result.map(|()| 0)
}

/// Brings every lab up, and then measures in all of them; the first error is told when all are through.
fn measure_in(lanes: &[Lane], orders: &Orders, desk: &Desk) -> Result<(), LabError> {
    desk.say(&format!("bringing {} labs up", lanes.len()));
    let labs = side_by_side(lanes.iter().map(|lane| move || lane.bring_up()))?;
    desk.say("measuring");
    // Thousands of prefixes coming and going would disturb the others.
    let (heavy, light): (Vec<_>, Vec<_>) =
        lanes.iter().zip(labs).partition(|(lane, _)| lane.purpose == Purpose::Prefixes);
    let run = |lanes: Vec<(&Lane, Lab)>| {
        side_by_side(lanes.into_iter().map(|(lane, mut lab)| {
            move || {
                let result = lane.run(&mut lab, orders, desk);
                if let Err(error) = &result {
                    desk.say(&format!("{}: {}", lane.lab(), error.with_causes()));
                }
                result
            }
        }))
    };
    let first = run(light);
    let second = run(heavy);
    first.and(second).map(drop)
}

/// Does everything, each in a thread of its own, and returns what came of it or the first error.
fn side_by_side<T: Send, F: FnOnce() -> Result<T, LabError> + Send>(
    work: impl Iterator<Item = F>,
) -> Result<Vec<T>, LabError> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = work.map(|one| scope.spawn(one)).collect();
        let ended: Vec<_> = threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(LabError::Asked("a measurement ended in a panic".to_owned())))
            })
            .collect();
        ended.into_iter().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    #[test]
    fn every_lane_has_a_lab_of_its_own_with_a_sound_topology() {
        let orders = Orders {
            runs: 1,
            subjects: vec![Subject::Dlan, Subject::Bird, Subject::Frr],
            cases: vec![Case::Carrier],
            shapes: vec![Shape::Ring, Shape::Mesh],
            prefixes: vec![0, 10],
            prefix_runs: 1,
            changes: 1,
        };
        let lanes = orders.lanes();
        let names: std::collections::BTreeSet<String> = lanes.iter().map(|lane| lane.lab()).collect();
        assert_eq!((lanes.len(), names.len()), (12, 12));
        for lane in lanes {
            let text = lane.topology();
            assert!(Topology::parse(&text, "test").is_ok(), "{text}");
        }
    }
}
