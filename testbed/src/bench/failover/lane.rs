//! A lane: one lab with one kind of router in it, and what is measured there, one after the other.

use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::case::Case;
use super::failure::{Flow, Sample, fail_once};
use super::floor::Floor;
use super::subject::Subject;
use super::{LIMIT, LOOK_FOR_ROUTES, Orders, Shape, changes, prefixes};
use crate::bench::shapes;
use crate::console::Console;
use crate::error::LabError;
use crate::lab::Lab;
use crate::topology::Topology;
use crate::wait;

/// How long daemons that were started or ended keep the machine busy.
const BUSY: Duration = Duration::from_millis(700);

/// What a lane is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// The failures, in a shape.
    Failures(Shape),
    /// Carrier loss with prefixes behind the failed neighbor.
    Prefixes,
    /// From an LSA received to the route in the kernel.
    Changes,
}

/// A lab and what it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    /// What it is for.
    pub purpose: Purpose,
    /// Who routes.
    pub subject: Subject,
}

/// What came out: a row of a table, as far as one subject fills it.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    /// Where.
    pub purpose: Purpose,
    /// Which failure.
    pub case: Case,
    /// With how many prefixes of each family behind the failed neighbor, besides its own.
    pub prefixes: usize,
    /// Whom.
    pub subject: Subject,
    /// What each run came to.
    pub samples: Vec<Sample>,
}

/// Where lanes report.
#[derive(Debug)]
pub(super) struct Desk {
    console: Console,
    begun: Instant,
    /// Who may measure.
    pub floor: Floor,
    findings: Mutex<Vec<Finding>>,
}

impl Desk {
    /// Makes an empty one.
    pub fn new(console: Console) -> Self {
        Self { console, begun: Instant::now(), floor: Floor::new(), findings: Mutex::default() }
    }

    /// Tells the person who waits.
    pub fn say(&self, text: &str) {
        self.console.line(format!("[{:>4.0} s] {text}", self.begun.elapsed().as_secs_f64()));
    }

    /// Does what keeps the machine busy, such as starting daemons, while nobody measures.
    pub fn undisturbed<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.floor.take();
        let done = work();
        sleep(BUSY);
        done
    }

    /// Takes a finding.
    pub fn file(&self, finding: Finding) {
        self.say(&finding.summary());
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
    }

    /// Returns everything that was found.
    pub fn findings(self) -> Vec<Finding> {
        self.findings.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// Returns the lab's name.
    pub fn lab(self) -> String {
        let purpose = match self.purpose {
            Purpose::Failures(shape) => shape.name(),
            Purpose::Prefixes => "prefixes",
            Purpose::Changes => "changes",
        };
        format!("bench-{purpose}-{}", self.subject.short())
    }

    /// Returns its lab as a topology file.
    pub fn topology(self) -> String {
        shapes::topology(&self.lab(), "ospf_secret = false\n", &self.links(), &[1, 2])
    }

    /// Brings the lab up, with agents in every router: they make the links.
    pub fn bring_up(self) -> Result<Lab, LabError> {
        let name = self.lab();
        Lab::down(&name)?;
        let lab = Lab::up(Topology::parse(&self.topology(), &name)?, &|_| {})?;
        lab.start_mesh(&|_| {})?;
        Ok(lab)
    }

    /// Returns the links of its lab.
    fn links(self) -> Vec<(usize, usize)> {
        match self.purpose {
            Purpose::Failures(shape) => shape.links(),
            Purpose::Prefixes => Shape::Mesh.links(),
            Purpose::Changes => vec![(1, 2)],
        }
    }

    /// Measures what it is for.
    pub fn run(self, lab: &mut Lab, orders: &Orders, desk: &Desk) -> Result<(), LabError> {
        let names: Vec<String> = lab.topology.routers.iter().map(|router| router.name.clone()).collect();
        desk.undisturbed(|| Subject::Dlan.stop(lab, &names))?;
        match self.purpose {
            Purpose::Failures(_) => self.failures(lab, &names, (orders, desk)),
            Purpose::Prefixes => prefixes::measure(lab, self, (orders, desk)),
            Purpose::Changes => changes::measure(lab, self.subject, (orders, desk)),
        }
    }

    fn failures(
        self,
        lab: &mut Lab,
        names: &[String],
        (orders, desk): (&Orders, &Desk),
    ) -> Result<(), LabError> {
        for case in &orders.cases {
            desk.undisturbed(|| self.subject.start(lab, *case, names))?;
            wait::every(LOOK_FOR_ROUTES, LIMIT, "routes to every LAN in every router", || {
                let missing = lab.missing_routes();
                if missing.is_empty() { Ok(()) } else { Err(format!("missing: {}", missing.join(", "))) }
            })?;
            let flows = flows(lab)?;
            let mut samples = Vec::new();
            for _ in 0..case.runs(self.subject, orders.runs) {
                samples.push(fail_once(lab, (self.subject, *case), &flows, &desk.floor)?);
            }
            let (purpose, subject) = (self.purpose, self.subject);
            desk.file(Finding { purpose, case: *case, prefixes: 0, subject, samples });
            desk.undisturbed(|| self.subject.stop(lab, names))?;
        }
        Ok(())
    }
}

/// Returns what s1 sends to s2.
fn flows(lab: &Lab) -> Result<Vec<Flow>, LabError> {
    let router = lab.topology.router("r2").ok_or_else(|| LabError::Asked("there is no r2".to_owned()))?;
    let prefixes =
        [(true, router.lan_ipv6.trunc().to_string()), (false, router.lan_ipv4.trunc().to_string())];
    let flow = |(is_ipv6, prefix)| Ok(Flow { prefix, address: lab.address_of("s2", is_ipv6)? });
    prefixes.into_iter().map(flow).collect()
}
