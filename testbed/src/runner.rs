//! Runs scenarios on as few labs as possible, one after the other or several side by side, and says how each went.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::console::Console;
use crate::error::LabError;
use crate::lab::Backend;
use crate::lane::{Lane, Trial};
use crate::report::{self, Outcome};
use crate::scenarios::{self, Scenario};
use crate::signals;
use crate::topology::Topology;

/// What to run and where to report.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Names of scenarios; none means all.
    pub names: Vec<String>,
    /// Where to write a report.
    pub report: Option<PathBuf>,
    /// Where to leave what is known about failures.
    pub traces: PathBuf,
    /// Whether the first try decides.
    pub is_strict: bool,
    /// What the routers are.
    pub backend: Backend,
    /// Also those scenarios that take long, where none is named.
    pub all: bool,
    /// What goes before the names of the labs, so that two runs do not meet.
    pub prefix: Option<String>,
    /// How many scenarios run side by side, each on a lab of its own; at least 1.
    pub jobs: usize,
}

impl Orders {
    /// Returns what the lab of a scenario is called in the lane of this number, counted from 1.
    pub fn lab_of(&self, scenario: &Scenario, lane: usize) -> String {
        let mut name = scenario.topology.to_owned();
        if let Some(prefix) = &self.prefix {
            name = format!("{prefix}-{name}");
        }
        if lane > 1 {
            name.push_str(&format!("-{lane}"));
        }
        name
    }
}

/// Runs scenarios and returns the exit code: 0 when every claim holds.
pub fn run(console: Console, orders: &Orders) -> Result<u8, LabError> {
    let chosen = choose(orders)?;
    if !signals::is_working_process()? {
        let lanes = 1..=orders.jobs;
        let mut labs: Vec<String> =
            lanes.flat_map(|lane| chosen.iter().map(move |scenario| orders.lab_of(scenario, lane))).collect();
        labs.dedup();
        if matches!(orders.backend, Backend::Machines(_)) {
            labs.extend(labs.clone().iter().map(|lab| scenarios::machines::beside(lab)));
        }
        return signals::supervise(&labs);
    }
    let begun = Instant::now();
    let outcomes = try_all(console, orders, &chosen)?;
    if let Some(path) = &orders.report {
        let mut names: Vec<_> = chosen.iter().map(|scenario| scenario.topology).collect();
        names.dedup();
        let topologies: Result<Vec<_>, _> =
            names.iter().map(|name| Topology::find(Path::new(name))).collect();
        report::write(path, &outcomes, &topologies?)?;
        console.line(format!("report: {}", path.display()));
    }
    console.line(format!("took {:.0} s", begun.elapsed().as_secs_f64()));
    for line in report::complaints(&outcomes) {
        console.line(line);
    }
    console.line(report::summary(&outcomes));
    Ok(u8::from(outcomes.iter().any(|outcome| outcome.failure.is_some())))
}

/// What is still to be tried, and what came of the rest.
#[derive(Default)]
struct Board {
    /// What may be tried beside others.
    waiting: Vec<Trial>,
    /// What is tried when nothing else runs.
    alone: Vec<Trial>,
    /// What came out, with the place of each scenario among those chosen.
    outcomes: Vec<(usize, Outcome)>,
}

impl Board {
    fn new(chosen: &[Scenario], jobs: usize) -> Self {
        let trials = chosen.iter().enumerate().map(|(place, scenario)| Trial {
            place,
            scenario: *scenario,
            earlier_failures: Vec::new(),
        });
        let (alone, waiting) =
            trials.partition(|trial| jobs == 1 || scenarios::wants_the_machine(trial.scenario.name));
        Self { waiting, alone, outcomes: Vec::new() }
    }

    /// Takes what a lane tries next: preferably something for which `suits` says that no other lab is needed.
    fn take(&mut self, suits: impl Fn(&Scenario) -> bool) -> Option<Trial> {
        let next = self.waiting.iter().position(|trial| suits(&trial.scenario)).unwrap_or_default();
        (!self.waiting.is_empty()).then(|| self.waiting.remove(next))
    }

    fn into_outcomes(mut self) -> Vec<Outcome> {
        self.outcomes.sort_by_key(|(place, _)| *place);
        self.outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

/// Tries all: side by side where that was ordered, then one by one what wants the machine for itself or failed beside others.
fn try_all(console: Console, orders: &Orders, chosen: &[Scenario]) -> Result<Vec<Outcome>, LabError> {
    let board = Mutex::new(Board::new(chosen, orders.jobs));
    if orders.jobs > 1 {
        std::thread::scope(|scope| {
            let lanes: Vec<_> = (1..=orders.jobs)
                .map(|number| Lane::beside(console, orders, chosen.len(), number))
                .map(|lane| scope.spawn(|| try_beside(lane, &board)))
                .collect();
            lanes.into_iter().try_for_each(|lane| match lane.join() {
                Ok(ended) => ended,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
    }
    let mut board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut lane = Lane::alone(console, orders, chosen.len());
    for mut trial in std::mem::take(&mut board.alone) {
        let outcome = loop {
            if let Some(outcome) = lane.try_once(&mut trial)? {
                break outcome;
            }
        };
        board.outcomes.push((trial.place, outcome));
    }
    lane.close()?;
    Ok(board.into_outcomes())
}

/// Tries what waits until nothing does. What fails is left for when nothing else runs.
fn try_beside(mut lane: Lane<'_>, board: &Mutex<Board>) -> Result<(), LabError> {
    let board = || board.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let Some(mut trial) = board().take(|scenario| lane.suits(scenario)) else { break };
        match lane.try_once(&mut trial)? {
            Some(outcome) => board().outcomes.push((trial.place, outcome)),
            None => board().alone.push(trial),
        }
    }
    lane.close()
}

/// Lists the scenarios.
pub fn list(console: Console, backend: &Backend) {
    for scenario in known(backend) {
        console.line(format!("{:<22} {}", scenario.name, scenario.claim));
    }
}

fn known(backend: &Backend) -> Vec<Scenario> {
    match backend {
        Backend::Namespaces => scenarios::all(),
        Backend::Machines(None) => scenarios::machines::of_debian(),
        Backend::Machines(Some(_)) => scenarios::machines::of_a_tree(),
    }
}

fn choose(orders: &Orders) -> Result<Vec<Scenario>, LabError> {
    let all = known(&orders.backend);
    for name in &orders.names {
        let refusal = match &orders.backend {
            Backend::Namespaces => None,
            Backend::Machines(tree) => scenarios::machines::refusal(name, tree.is_some()),
        };
        if let Some(why) = refusal {
            return Err(LabError::Asked(format!("{name} does not run with machines: {why}")));
        }
        if !all.iter().any(|scenario| scenario.name == name) {
            let known: Vec<_> = all.iter().map(|scenario| scenario.name).collect();
            return Err(LabError::Asked(format!(
                "there is no scenario '{name}'; there are {}",
                known.join(" ")
            )));
        }
    }
    let is_long = |name: &str| orders.backend != Backend::Namespaces && scenarios::machines::is_long(name);
    let is_chosen = |name: &str| match orders.names.as_slice() {
        [] => orders.all || !is_long(name),
        names => names.iter().any(|chosen| chosen == name),
    };
    Ok(all.into_iter().filter(|scenario| is_chosen(scenario.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(prefix: Option<&str>, jobs: usize) -> Orders {
        Orders {
            names: Vec::new(),
            report: None,
            traces: PathBuf::new(),
            is_strict: false,
            backend: Backend::Namespaces,
            all: false,
            prefix: prefix.map(str::to_owned),
            jobs,
        }
    }

    #[test]
    fn where_none_is_named_namespaces_leave_none_out_and_machines_those_that_take_long() {
        let names = |orders: &Orders| -> Vec<_> {
            choose(orders).unwrap().iter().map(|scenario| scenario.name).collect()
        };
        let all: Vec<_> = scenarios::all().iter().map(|scenario| scenario.name).collect();
        assert_eq!(names(&orders(None, 1)), all);
        let machines = Orders { backend: Backend::Machines(None), ..orders(None, 1) };
        let short = names(&machines);
        assert!(short.contains(&"cold-boot") && !short.contains(&"transfer-all"), "{short:?}");
        assert!(names(&Orders { all: true, ..machines }).contains(&"transfer-all"));
    }

    #[test]
    fn no_two_lanes_share_a_lab() {
        let scenario = scenarios::all()[0];
        let names: Vec<_> = (1..=3).map(|lane| orders(None, 3).lab_of(&scenario, lane)).collect();
        assert_eq!(names, ["reference", "reference-2", "reference-3"]);
        assert_eq!(orders(Some("mine"), 2).lab_of(&scenario, 2), "mine-reference-2");
    }

    #[test]
    fn every_scenario_is_tried_once_and_told_in_its_place() {
        let chosen = scenarios::all();
        for jobs in [1, 2] {
            let mut board = Board::new(&chosen, jobs);
            assert_eq!(board.waiting.is_empty(), jobs == 1, "one lane tries nothing beside others");
            let mut taken = std::mem::take(&mut board.alone);
            taken.reverse();
            while let Some(trial) = board.take(|scenario| scenario.topology == "two") {
                taken.push(trial);
            }
            board.outcomes = taken.iter().map(|trial| (trial.place, outcome(trial.scenario.name))).collect();
            let told: Vec<_> = board.into_outcomes().iter().map(|outcome| outcome.name).collect();
            assert_eq!(told, chosen.iter().map(|scenario| scenario.name).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_lane_keeps_its_lab_as_long_as_something_needs_it() {
        let mut board = Board::new(&scenarios::all(), 2);
        let first = board.take(|scenario| scenario.topology == "two").unwrap();
        assert_eq!(first.scenario.topology, "two");
        let next = board.take(|_| false).unwrap();
        assert_eq!(next.place, 0, "where nothing suits, the first that waits");
    }

    fn outcome(name: &'static str) -> Outcome {
        Outcome {
            name,
            claim: "",
            seconds: 0.0,
            evidence: Vec::new(),
            moments: Vec::new(),
            earlier_failures: Vec::new(),
            figures: Vec::new(),
            failure: None,
        }
    }
}
