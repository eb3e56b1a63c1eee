//! What the README promises, as claims that are tried on a running lab: one function each.

mod agents;
mod ansible;
mod bfd;
mod bird;
mod carrier;
mod confirm;
mod costs;
mod defaults;
mod documents;
mod drift;
mod failures;
mod filters;
mod first;
mod floods;
mod hosts;
mod keys;
mod leaks;
mod lifecycle;
mod logins;
pub mod machines;
mod maintenance;
mod many;
mod migration;
mod mixed;
mod mixed_causes;
mod names;
mod nat64;
mod peering;
mod plain;
mod privacy;
mod reach;
mod service_limits;
mod service_moves;
mod services;
mod wan;
mod zones;

pub use self::many::{many_links, many_services};

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use crate::error::LabError;
use crate::lab::Lab;

/// A claim and how it is tried.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it claims, in one sentence.
    pub claim: &'static str,
    /// The shipped topology it needs.
    pub topology: &'static str,
    /// Tries it; the lab must be whole again when it returns `Ok`.
    pub run: fn(&mut Stage) -> Result<(), LabError>,
}

/// Where a scenario plays: a running lab, and a list of what was seen there.
#[derive(Debug)]
pub struct Stage {
    /// The lab.
    pub lab: Lab,
    /// What was measured, for the report.
    pub evidence: Vec<String>,
    /// When each of that was noted.
    pub moments: Vec<Instant>,
    /// Figures that are worth comparing: what, and how much.
    pub figures: Vec<(String, String)>,
}

impl Stage {
    /// Notes something measured for the report.
    pub fn saw(&mut self, evidence: impl Into<String>) {
        self.saw_at(Instant::now(), evidence);
    }

    /// Notes something that was measured before, at that moment.
    pub fn saw_at(&mut self, moment: Instant, evidence: impl Into<String>) {
        self.evidence.push(evidence.into());
        self.moments.push(moment);
    }

    /// Notes a figure for the report's table.
    pub fn figure(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.figures.push((what.into(), value.into()));
    }
}

/// Returns every scenario, in the order in which they run.
pub fn all() -> Vec<Scenario> {
    [
        reach::SCENARIOS,
        privacy::SCENARIOS,
        peering::SCENARIOS,
        costs::SCENARIOS,
        maintenance::SCENARIOS,
        filters::SCENARIOS,
        zones::SCENARIOS,
        wan::SCENARIOS,
        keys::SCENARIOS,
        floods::SCENARIOS,
        hosts::SCENARIOS,
        lifecycle::SCENARIOS,
        agents::SCENARIOS,
        ansible::SCENARIOS,
        bird::SCENARIOS,
        bfd::SCENARIOS,
        failures::SCENARIOS,
        carrier::SCENARIOS,
        leaks::SCENARIOS,
        confirm::SCENARIOS,
        first::SCENARIOS,
        services::SCENARIOS,
        service_limits::SCENARIOS,
        service_moves::SCENARIOS,
        logins::SCENARIOS,
        drift::SCENARIOS,
        documents::SCENARIOS,
        many::SCENARIOS,
        migration::SCENARIOS,
        mixed::SCENARIOS,
        mixed_causes::SCENARIOS,
        defaults::SCENARIOS,
        names::SCENARIOS,
        nat64::SCENARIOS,
        plain::SCENARIOS,
    ]
    .concat()
}

/// Returns whether a scenario keeps the whole machine busy on purpose, so that nothing else should run beside it.
pub fn wants_the_machine(name: &str) -> bool {
    ["bfd-under-load", "floods", "transfer-large"].contains(&name)
}

/// Fails the scenario with a sentence unless `holds`.
pub fn claim(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), LabError> {
    if holds { Ok(()) } else { Err(LabError::Claim(otherwise())) }
}

/// Runs `body` on every item, `width` at a time, and returns the failures.
pub fn in_parallel<T: Send>(
    items: Vec<T>,
    width: usize,
    body: impl Fn(&T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let queue = Mutex::new(VecDeque::from(items));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..width {
            scope.spawn(|| {
                while let Some(item) = queue.lock().ok().and_then(|mut queue| queue.pop_front()) {
                    if let (Err(failure), Ok(mut failures)) = (body(&item), failures.lock()) {
                        failures.push(failure);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap_or_default()
}

/// Returns every ordered pair of hosts whose routers run and are connected, in both families.
pub fn connected_pairs(lab: &Lab) -> Vec<(String, String, bool)> {
    let cuts = lab.cuts();
    let mut pairs = Vec::new();
    for from in &lab.topology.hosts {
        for is_ipv6 in [true, false] {
            let connected = lab.topology.reachable_from(&from.router, |link| {
                cuts.contains(&link.name())
                    || !lab.topology.routes(link, is_ipv6)
                    || !lab.nodes.contains_key(&link.between.0)
                    || !lab.nodes.contains_key(&link.between.1)
            });
            let others = lab.topology.hosts.iter().filter(|to| to.name != from.name);
            for to in others.filter(|to| connected.contains(&to.router)) {
                pairs.push((from.name.clone(), to.name.clone(), is_ipv6));
            }
        }
    }
    pairs
}

/// Returns a family's name.
pub fn family(is_ipv6: bool) -> &'static str {
    if is_ipv6 { "IPv6" } else { "IPv4" }
}
