//! A lane: scenarios one after the other, on a lab that is made anew when one needs another topology or the last one failed.

use std::path::Path;
use std::time::Instant;

use crate::console::Console;
use crate::error::LabError;
use crate::lab::Lab;
use crate::observe::COLD_START_LIMIT;
use crate::report::Outcome;
use crate::runner::Orders;
use crate::scenarios::{Scenario, Stage};
use crate::standstill::Watch;
use crate::topology::Topology;

/// How often a scenario is tried at most when the machine stood still while it ran.
const TRIES: usize = 3;
/// How often it is tried at most otherwise: what fails twice is broken, what then holds is told at the end.
const TRIES_AWAKE: usize = 2;

/// A scenario that is to be tried.
#[derive(Clone)]
pub struct Trial {
    /// Its place among those chosen, counted from 0.
    pub place: usize,
    /// What is tried.
    pub scenario: Scenario,
    /// Why it did not hold at the tries before, the first one first.
    pub earlier_failures: Vec<String>,
}

/// Where scenarios are tried one after the other.
pub struct Lane<'a> {
    orders: &'a Orders,
    /// Which of the lanes this is, counted from 1.
    number: usize,
    /// How many scenarios were chosen in all.
    chosen: usize,
    console: Console,
    /// What it has to say, kept together until a scenario ends; `None` where nobody else speaks.
    held: Option<Vec<String>>,
    watch: Watch,
    stage: Option<Stage>,
}

impl<'a> Lane<'a> {
    /// Returns a lane of its own that speaks as it goes.
    pub fn alone(console: Console, orders: &'a Orders, chosen: usize) -> Self {
        Self { orders, number: 1, chosen, console, held: None, watch: Watch::start(), stage: None }
    }

    /// Returns one of several lanes, whose words on a scenario stay together.
    pub fn beside(console: Console, orders: &'a Orders, chosen: usize, number: usize) -> Self {
        Self { held: Some(Vec::new()), number, ..Self::alone(console, orders, chosen) }
    }

    /// Returns whether the lab that is up is the one that a scenario needs.
    pub fn suits(&self, scenario: &Scenario) -> bool {
        let needed = self.orders.lab_of(scenario, self.number);
        self.stage.as_ref().is_some_and(|stage| stage.lab.topology.name == needed)
    }

    /// Tries a scenario once. Where it is to be tried again, returns `None`, and `trial` keeps why.
    pub fn try_once(&mut self, trial: &mut Trial) -> Result<Option<Outcome>, LabError> {
        let scenario = trial.scenario;
        let title = format!("[{}/{}] {}", trial.place + 1, self.chosen, scenario.name);
        self.say(format!("{}  {}", self.console.bold(&title), self.console.faint(scenario.claim)));
        self.watch.take();
        let mut outcome = self.run(&scenario);
        self.show(&outcome);
        let again = match &outcome.failure {
            Some(why) => self.clear_away(&outcome, trial.earlier_failures.len() + 1)?.then(|| why.clone()),
            None => None,
        };
        if let Some(lines) = &mut self.held {
            self.console.line(std::mem::take(lines).join("\n"));
        }
        if let Some(why) = again {
            trial.earlier_failures.push(why);
            return Ok(None);
        }
        outcome.earlier_failures = std::mem::take(&mut trial.earlier_failures);
        Ok(Some(outcome))
    }

    /// Keeps what the routers of a failed scenario knew, takes its lab down, and returns whether it is tried again.
    fn clear_away(&mut self, outcome: &Outcome, tries: usize) -> Result<bool, LabError> {
        if let Some(failed) = self.stage.take() {
            self.leave_trace(outcome, &failed.lab);
            Lab::down(&failed.lab.topology.name)?;
        }
        let stood = self.watch.take();
        let is_again = may_try_again(self.orders.is_strict, tries, stood.is_some());
        if is_again {
            let when = if self.held.is_some() { "once more when nothing else runs" } else { "once more" };
            self.say(match stood {
                Some(stood) => {
                    format!(
                        "      the machine itself stood still for {} ms meanwhile: {when}",
                        stood.as_millis()
                    )
                }
                None => format!("      {when}, to see whether it fails again"),
            });
        }
        Ok(is_again)
    }

    /// Takes down what is up.
    pub fn close(self) -> Result<(), LabError> {
        self.stage.map_or(Ok(()), |stage| Lab::down(&stage.lab.topology.name).map(drop))
    }

    fn say(&mut self, line: impl Into<String>) {
        match &mut self.held {
            Some(lines) => lines.push(line.into()),
            None => self.console.line(line.into()),
        }
    }

    fn run(&mut self, scenario: &Scenario) -> Outcome {
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
        if let Err(error) = self.prepare(scenario) {
            outcome.failure = Some(format!("the lab does not come up: {}", error.with_causes()));
            return outcome;
        }
        let Some(stage) = &mut self.stage else { return outcome };
        let begun = Instant::now();
        stage.evidence.clear();
        stage.moments.clear();
        stage.figures.clear();
        outcome.failure = (scenario.run)(stage).err().map(|error| error.with_causes());
        outcome.seconds = begun.elapsed().as_secs_f64();
        outcome.evidence = std::mem::take(&mut stage.evidence);
        outcome.figures = std::mem::take(&mut stage.figures);
        outcome.moments =
            stage.moments.iter().map(|moment| moment.duration_since(begun).as_secs_f64()).collect();
        outcome
    }

    /// Sees to it that the lab a scenario needs is up and whole.
    fn prepare(&mut self, scenario: &Scenario) -> Result<(), LabError> {
        if self.suits(scenario) {
            return Ok(());
        }
        if let Some(other) = self.stage.take() {
            Lab::down(&other.lab.topology.name)?;
        }
        let begun = Instant::now();
        let mut topology = Topology::find(Path::new(scenario.topology))?;
        topology.name = self.orders.lab_of(scenario, self.number);
        Lab::down(&topology.name)?;
        let (console, is_watched) = (self.console, self.held.is_none());
        let progress = |step: &str| {
            if is_watched {
                console.replace(step);
            }
        };
        let lab = Lab::up_on(&self.orders.backend, topology, &|step| progress(&format!("      {step}")))?;
        let stage = Stage { lab, evidence: Vec::new(), moments: Vec::new(), figures: Vec::new() };
        let lab = &self.stage.insert(stage).lab;
        lab.start_mesh(&|step| progress(&format!("      {step}")))?;
        progress("      waiting for routes");
        lab.wait_for_routes(COLD_START_LIMIT)?;
        lab.wait_for_adjacencies(COLD_START_LIMIT)?;
        lab.wait_for_acknowledgments(COLD_START_LIMIT)?;
        progress("");
        let took = begun.elapsed().as_secs_f64();
        let what = format!("      mesh '{}' up and converged in {took:.1} s", scenario.topology);
        self.say(self.console.faint(&what));
        Ok(())
    }

    fn show(&mut self, outcome: &Outcome) {
        for line in &outcome.evidence {
            self.say(format!("      {line}"));
        }
        for (what, value) in &outcome.figures {
            self.say(format!("      {what}: {value}"));
        }
        let (console, seconds) = (self.console, outcome.seconds);
        self.say(match &outcome.failure {
            None => format!("      {} ({seconds:.1} s)", console.good("holds")),
            Some(why) => format!("      {} ({seconds:.1} s): {why}", console.bad("does not hold")),
        });
    }

    /// Leaves what every router knew when a claim failed.
    fn leave_trace(&mut self, outcome: &Outcome, lab: &Lab) {
        let directory = self.orders.traces.join(outcome.name);
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
        self.say(format!("      what every router knew: {}", directory.display()));
    }
}

/// Returns whether a scenario that failed `tries` times is tried again.
fn may_try_again(is_strict: bool, tries: usize, stood_still: bool) -> bool {
    !is_strict && tries < if stood_still { TRIES } else { TRIES_AWAKE }
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
