//! Runs scenarios one after the other on as few labs as possible, and says how each went.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::console::Console;
use crate::error::LabError;
use crate::lab::{Backend, Lab};
use crate::observe::COLD_START_LIMIT;
use crate::report::{self, Outcome};
use crate::scenarios::{self, Scenario, Stage};
use crate::signals;
use crate::standstill::Watch;
use crate::topology::Topology;

/// How often a scenario is tried at most when the machine stood still while it ran.
const TRIES: usize = 3;
/// How often it is tried at most otherwise: what fails twice is broken, what then holds is told at the end.
const TRIES_AWAKE: usize = 2;

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
}

impl Orders {
    /// Returns what the lab of a scenario is called.
    fn lab_of(&self, scenario: &Scenario) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}-{}", scenario.topology),
            None => scenario.topology.to_owned(),
        }
    }
}

/// Runs scenarios and returns the exit code: 0 when every claim holds.
pub fn run(console: Console, orders: &Orders) -> Result<u8, LabError> {
    let chosen = choose(orders)?;
    if !signals::is_working_process()? {
        let mut labs: Vec<String> = chosen.iter().map(|scenario| orders.lab_of(scenario)).collect();
        labs.dedup();
        if orders.backend == Backend::Machines {
            labs.extend(labs.clone().iter().map(|lab| scenarios::machines::beside(lab)));
        }
        return signals::supervise(&labs);
    }
    let begun = Instant::now();
    let watch = Watch::start();
    let mut stage: Option<Stage> = None;
    let mut outcomes = Vec::new();
    for (number, scenario) in chosen.iter().enumerate() {
        let title = format!("[{}/{}] {}", number + 1, chosen.len(), scenario.name);
        console.line(format!("{}  {}", console.bold(&title), console.faint(scenario.claim)));
        outcomes.push(try_one(console, scenario, orders, (&watch, &mut stage))?);
    }
    if let Some(stage) = stage.take() {
        Lab::down(&stage.lab.topology.name)?;
    }
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

/// Lists the scenarios.
pub fn list(console: Console, backend: Backend) {
    for scenario in known(backend) {
        console.line(format!("{:<22} {}", scenario.name, scenario.claim));
    }
}

fn known(backend: Backend) -> Vec<Scenario> {
    match backend {
        Backend::Namespaces => scenarios::all(),
        Backend::Machines => scenarios::machines::all(),
    }
}

fn choose(orders: &Orders) -> Result<Vec<Scenario>, LabError> {
    let all = known(orders.backend);
    for name in &orders.names {
        if let (Backend::Machines, Some(why)) = (orders.backend, scenarios::machines::refusal(name)) {
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
    let is_chosen = |name: &str| match orders.names.as_slice() {
        [] => orders.all || !scenarios::machines::is_long(name),
        names => names.iter().any(|chosen| chosen == name),
    };
    Ok(all.into_iter().filter(|scenario| is_chosen(scenario.name)).collect())
}

/// Runs a scenario; again, on a lab made anew, when it fails: what a busy machine broke holds then.
fn try_one(
    console: Console,
    scenario: &Scenario,
    orders: &Orders,
    (watch, stage): (&Watch, &mut Option<Stage>),
) -> Result<Outcome, LabError> {
    let mut earlier_failures = Vec::new();
    loop {
        watch.take();
        let mut outcome = run_one(console, scenario, (orders.backend, &orders.lab_of(scenario)), stage);
        show(console, &outcome);
        let Some(why) = outcome.failure.clone() else {
            outcome.earlier_failures = earlier_failures;
            return Ok(outcome);
        };
        if let Some(failed) = stage.take() {
            leave_trace(console, &orders.traces, &outcome, &failed.lab);
            Lab::down(&failed.lab.topology.name)?;
        }
        let stood = watch.take();
        if !may_try_again(orders.is_strict, earlier_failures.len() + 1, stood.is_some()) {
            outcome.earlier_failures = earlier_failures;
            return Ok(outcome);
        }
        console.line(match stood {
            Some(stood) => format!(
                "      the machine itself stood still for {} ms meanwhile: once more",
                stood.as_millis()
            ),
            None => "      once more, to see whether it fails again".to_owned(),
        });
        earlier_failures.push(why);
    }
}

/// Returns whether a scenario that failed `tries` times is tried again.
fn may_try_again(is_strict: bool, tries: usize, stood_still: bool) -> bool {
    !is_strict && tries < if stood_still { TRIES } else { TRIES_AWAKE }
}

fn run_one(
    console: Console,
    scenario: &Scenario,
    (backend, lab): (Backend, &str),
    stage: &mut Option<Stage>,
) -> Outcome {
    let mut outcome = Outcome {
        name: scenario.name,
        claim: scenario.claim,
        seconds: 0.0,
        evidence: Vec::new(),
        moments: Vec::new(),
        earlier_failures: Vec::new(),
        figures: Vec::new(),
        failure: None,
    };
    if let Err(error) = prepare(console, scenario, (backend, lab), stage) {
        outcome.failure = Some(format!("the lab does not come up: {}", error.with_causes()));
        return outcome;
    }
    let Some(stage) = stage else { return outcome };
    let begun = Instant::now();
    stage.evidence.clear();
    stage.moments.clear();
    stage.figures.clear();
    outcome.failure = (scenario.run)(stage).err().map(|error| error.with_causes());
    outcome.seconds = begun.elapsed().as_secs_f64();
    outcome.evidence = std::mem::take(&mut stage.evidence);
    outcome.figures = std::mem::take(&mut stage.figures);
    outcome.moments = stage.moments.iter().map(|moment| moment.duration_since(begun).as_secs_f64()).collect();
    outcome
}

/// Sees to it that the lab a scenario needs is up, whole, and called `name`.
fn prepare(
    console: Console,
    scenario: &Scenario,
    (backend, name): (Backend, &str),
    stage: &mut Option<Stage>,
) -> Result<(), LabError> {
    if stage.as_ref().is_some_and(|stage| stage.lab.topology.name == name) {
        return Ok(());
    }
    if let Some(other) = stage.take() {
        Lab::down(&other.lab.topology.name)?;
    }
    let begun = Instant::now();
    let mut topology = Topology::find(Path::new(scenario.topology))?;
    name.clone_into(&mut topology.name);
    Lab::down(name)?;
    let lab = Lab::up_on(backend, topology, &|step| console.replace(format!("      {step}")))?;
    let lab = stage.insert(Stage { lab, evidence: Vec::new(), moments: Vec::new(), figures: Vec::new() });
    lab.lab.start_mesh(&|step| console.replace(format!("      {step}")))?;
    console.replace("      waiting for routes");
    lab.lab.wait_for_routes(COLD_START_LIMIT)?;
    lab.lab.wait_for_adjacencies(COLD_START_LIMIT)?;
    console.replace("");
    let took = begun.elapsed().as_secs_f64();
    console
        .line(console.faint(&format!("      mesh '{}' up and converged in {took:.1} s", scenario.topology)));
    Ok(())
}

fn show(console: Console, outcome: &Outcome) {
    for line in &outcome.evidence {
        console.line(format!("      {line}"));
    }
    for (what, value) in &outcome.figures {
        console.line(format!("      {what}: {value}"));
    }
    match &outcome.failure {
        None => console.line(format!("      {} ({:.1} s)", console.good("holds"), outcome.seconds)),
        Some(why) => {
            console.line(format!("      {} ({:.1} s): {why}", console.bad("does not hold"), outcome.seconds));
        }
    }
}

/// Leaves what every router knew when a claim failed.
fn leave_trace(console: Console, directory: &Path, outcome: &Outcome, lab: &Lab) {
    let directory = directory.join(outcome.name);
    let _ = std::fs::remove_dir_all(&directory);
    if std::fs::create_dir_all(&directory).is_err() {
        return;
    }
    for router in &lab.topology.routers {
        let Ok(node) = lab.node(&router.name) else { continue };
        let mut text = String::new();
        for arguments in [["status"].as_slice(), &["neighbors"], &["routes"], &["lsdb"], &["plan"]] {
            let said = lab.dlan(&router.name, arguments).unwrap_or_else(|error| error.with_causes());
            text.push_str(&format!("$ dlan {}\n{said}\n", arguments.join(" ")));
        }
        for line in [
            "ip -d addr",
            "ip rule",
            "ip route show table all",
            "ip -6 route show table all",
            "nft list ruleset",
        ] {
            let said = node.run("sh", &["-c", line]).unwrap_or_else(|error| error.to_string());
            text.push_str(&format!("$ {line}\n{said}\n"));
        }
        // A trace is a help, not a duty.
        let _ = std::fs::write(directory.join(format!("{}.txt", router.name)), text);
        let _ = std::fs::copy(lab.log(&router.name), directory.join(format!("{}.log", router.name)));
    }
    console.line(format!("      what every router knew: {}", directory.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_twice_on_a_machine_that_runs_is_not_tried_again() {
        assert!(may_try_again(false, 1, false));
        assert!(!may_try_again(false, 2, false));
        assert!(may_try_again(false, 2, true) && !may_try_again(false, 3, true));
        assert!(!may_try_again(true, 1, true), "strict: the first try decides");
    }
}
