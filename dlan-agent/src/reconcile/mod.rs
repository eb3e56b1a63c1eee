//! The reconciler: decides when to look at the router and what to do to it; pure, with no clock and no system.

mod adoption;
mod aftermath;
mod failover;
mod occupied;
mod pace;
mod programs;
mod report;
mod standing;
mod target;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use ospf_lite::ids::Family;
use ospf_lite::time::Instant;
use tracing::warn;

use self::adoption::{Adoption, Installed};
use self::failover::Failover;
use self::occupied::Occupied;
use self::pace::Pace;
use self::programs::Programs;
pub use self::report::{Health, Report};
use self::standing::Standing;
use self::target::Target;
use crate::addressing::AddressingError;
use crate::config::{Config, HostId};
use crate::desired::{RoutingInput, desired};
use crate::names::domain::DomainName;
use crate::plan::change::Change;
use crate::plan::{Plan, PlanError, endpoint};
use crate::state::State;
use crate::state::facts::Facts;
use crate::state::marks::Marks;
use crate::state::program::ProgramName;
use crate::state::route::RouteKey;
use crate::state::upstreams::UpstreamFacts;

/// What the reconciler wants done. One is out at a time; its answer comes by the handlers named with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Find the facts for this configuration: `handle_facts` or `handle_facts_failed`.
    Gather(Box<Config>),
    /// Look at the system: `handle_observed` or `handle_observe_failed`.
    Observe(Marks),
    /// Make these steps: `handle_applied`.
    Apply(Plan),
}

/// Why it cannot be said what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// The configuration has no addresses for it.
    #[error(transparent)]
    Addressing(#[from] AddressingError),
    /// The states contradict each other.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// The reconciler.
#[derive(Debug, Default)]
pub struct Reconciler {
    /// The configuration to bring about, counted by `generation`.
    config: Option<Config>,
    generation: u64,
    /// The last one that was brought about whole: what runs when its successor cannot be.
    good: Option<Config>,
    /// Whether the configuration is on trial: brought about whole, it is still none to fall back on.
    is_trial: bool,
    /// Whether the configuration was once brought about whole: what fails then is tried again.
    has_stood: bool,
    facts: Option<Facts>,
    endpoints: BTreeMap<HostId, SocketAddr>,
    /// Neighbors whose endpoint the WireGuard device must be told: a difference of state would not say so.
    endpoints_due: BTreeSet<HostId>,
    /// What is known of the upstreams of services.
    upstreams: UpstreamFacts,
    /// The names outside the mesh's domain of which routers have records, once they are known.
    foreign_names: Option<BTreeSet<DomainName>>,
    adoption: Adoption,
    /// Which routes are in use, as far as it was told.
    installed: Installed,
    failover: Failover,
    programs: Programs,
    occupied: Occupied,
    /// The system as last seen, brought forward by what was applied since.
    known: Option<State>,
    /// How learned prefixes stand in it, where that is as they were wanted.
    standing: Option<Standing>,
    /// How often it was worked out what all routes and all else shall be.
    targets: u64,
    /// The action that is out.
    busy: Option<Busy>,
    gather_due: bool,
    observe_due: bool,
    routes_due: bool,
    compare_due: bool,
    /// Whether what is out may not know of a loss.
    is_stale: bool,
    /// Whether the next look verifies an apply.
    verifying: bool,
    /// Whether a plan has failed since the last look: what it left behind nobody else did.
    has_failed: bool,
    pace: Pace,
    health: Health,
    /// Why the latest configuration was given up for the one before it.
    given_up: Option<String>,
    reports: VecDeque<Report>,
}

#[derive(Debug)]
enum Busy {
    Gathering,
    Observing,
    Applying {
        scope: Scope,
        plan: Plan,
        /// Where the plan leads.
        target: Target,
    },
}

/// How much of the state a plan brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Routes,
    Endpoint,
    Full,
}

/// How many reports wait for their reader; beyond that the oldest go.
const REPORTS_MAX: usize = 64;
/// How many repairs of one drift are told in words.
const DRIFT_TOLD_MAX: usize = 10;

impl Reconciler {
    /// Makes a reconciler that wants nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a configuration to bring about and returns its number, which the reports about it carry.
    pub fn handle_config(&mut self, _now: Instant, config: Config) -> u64 {
        self.config = Some(config);
        self.is_trial = false;
        self.has_stood = false;
        self.generation += 1;
        self.health = Health::Working;
        self.given_up = None;
        self.pace.forget_failures();
        self.programs.forget();
        self.look();
        self.generation
    }

    /// Takes that the configuration is on trial: whatever its successor comes to, it is not returned to.
    pub fn handle_trial(&mut self) {
        self.is_trial = true;
    }

    /// Takes that the configuration has stood its trial.
    pub fn handle_kept(&mut self) {
        self.is_trial = false;
        if self.has_stood {
            self.good.clone_from(&self.config);
        }
    }

    /// Takes what was found on the router.
    pub fn handle_facts(&mut self, _now: Instant, facts: Facts) {
        if matches!(self.busy, Some(Busy::Gathering)) {
            self.busy = None;
        }
        let facts = self.with_followed(facts);
        if self.facts.as_ref() != Some(&facts) {
            self.facts = Some(facts);
            self.compare_due = true;
        }
    }

    /// Takes that the facts could not be found, and why.
    pub fn handle_facts_failed(&mut self, now: Instant, error: String) {
        self.busy = None;
        self.gather_due = true;
        self.fail(now, error);
    }

    /// Takes the routes that the routing protocol found.
    pub fn handle_routes(&mut self, now: Instant, mut routing: RoutingInput) {
        self.routes_due |= self.failover.handle_routes(&std::mem::take(&mut routing.outdated));
        self.routes_due |= self.adoption.handle_routes(now, routing);
    }

    /// Takes that the routing protocol begins afresh: the routes that stand are kept until it has settled.
    pub fn handle_routing_restarted(&mut self, now: Instant) {
        self.adoption.forget_engine();
        self.installed = Installed::Nothing;
        if let (Some(known), Some(config)) = (&self.known, &self.config) {
            self.adoption.adopt(now, known, config);
            self.note_adopted();
        }
    }

    /// Returns whether routes of a family that a former start left are kept in use.
    pub fn has_adopted(&self, family: Family) -> bool {
        self.adoption.has_adopted(family)
    }

    /// Takes where a neighbor is to be called. Its link stays up.
    pub fn handle_endpoint(&mut self, _now: Instant, neighbor: HostId, endpoint: SocketAddr) {
        self.endpoints.insert(neighbor, endpoint);
        self.endpoints_due.insert(neighbor);
        if let Some(facts) = &mut self.facts {
            facts.endpoints.insert(neighbor, endpoint);
        }
    }

    /// Takes what is known of the upstreams of services.
    pub fn handle_upstreams(&mut self, _now: Instant, upstreams: UpstreamFacts) {
        if let Some(facts) = &mut self.facts {
            facts.upstreams.clone_from(&upstreams);
            self.compare_due = true;
        }
        self.upstreams = upstreams;
    }

    /// Takes the names outside the mesh's domain of which routers have records.
    pub fn handle_foreign_names(&mut self, _now: Instant, names: BTreeSet<DomainName>) {
        if self.foreign_names.as_ref() == Some(&names) {
            return;
        }
        self.foreign_names = Some(names);
        if let Some(facts) = &mut self.facts {
            facts.foreign_names.clone_from(&self.foreign_names);
            self.compare_due = true;
        }
    }

    /// Takes word that something in the kernel changed.
    pub fn handle_hint(&mut self, now: Instant) {
        self.pace.handle_hint(now);
    }

    /// Takes word that something in the kernel changed that does not hurry.
    pub fn handle_late_hint(&mut self, now: Instant) {
        self.pace.handle_late_hint(now);
    }

    /// Takes the system as it is.
    pub fn handle_observed(&mut self, now: Instant, mut observed: State) {
        self.busy = None;
        if std::mem::take(&mut self.is_stale) {
            self.observe_due = true;
            return;
        }
        let was_guess = self.failover.handle_observed(&mut observed);
        let Some(config) = &self.config else { return };
        self.adoption.adopt(now, &observed, config);
        self.pace.handle_observed(now, config.mesh.drift_interval);
        self.note_adopted();
        self.programs.handle_observed(now, self.known.as_ref(), &observed);
        let verifying = std::mem::take(&mut self.verifying);
        let has_failed = std::mem::take(&mut self.has_failed);
        let mut strayed = match &self.known {
            Some(known) if !has_failed => Plan::new(&observed, known).unwrap_or_default(),
            _ => Plan::default(),
        };
        self.known = Some(observed);
        if strayed.steps().iter().any(|step| matches!(step, Change::Route(_))) {
            self.standing = None;
        }
        if was_guess {
            strayed = strayed.without_routes();
        }
        self.compare_due = true;
        if strayed.is_empty() {
            return;
        }
        if verifying {
            let error = format!("applied, but not as planned; still to do:\n{strayed}");
            self.fail(now, error);
        } else {
            self.report_drift(&strayed);
        }
    }

    /// Takes that the system could not be looked at, and why.
    pub fn handle_observe_failed(&mut self, now: Instant, error: String) {
        self.busy = None;
        self.observe_due = true;
        self.fail(now, error);
    }

    /// Takes that time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.routes_due |= self.adoption.handle_timeout(now);
        self.routes_due |= self.pace.handle_routes_timeout(now);
        self.compare_due |= self.adoption.handle_heard(now);
        self.compare_due |= self.programs.handle_timeout(now);
        self.compare_due |= self.occupied.handle_timeout(now);
        if self.pace.handle_timeout(now) {
            self.look();
        }
    }

    /// Returns the next thing to do, if one is due and none is out, nor a plan around something lost.
    pub fn poll_action(&mut self) -> Option<Action> {
        if self.busy.is_some() || self.failover.is_out() {
            return None;
        }
        let action = self.poll_routes().or_else(|| self.poll_endpoint());
        if action.is_some() || self.pace.is_backing_off() {
            return action;
        }
        let config = self.config.as_ref()?;
        if self.gather_due || self.facts.is_none() {
            self.gather_due = false;
            self.pace.handle_look();
            self.busy = Some(Busy::Gathering);
            return Some(Action::Gather(Box::new(config.clone())));
        }
        if self.observe_due || self.known.is_none() {
            self.observe_due = false;
            if self.verifying {
                // What was hinted at meanwhile was the apply.
                self.pace.handle_look();
            }
            self.failover.handle_look();
            self.busy = Some(Busy::Observing);
            return Some(Action::Observe(Marks::of(&config.mesh)));
        }
        if std::mem::take(&mut self.compare_due) { self.poll_full() } else { None }
    }

    /// Returns the next thing to tell whoever waits for it.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Returns when `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [
            self.pace.poll_timeout(),
            self.adoption.poll_timeout(),
            self.programs.poll_timeout(),
            self.occupied.poll_timeout(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Returns how things stand.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Returns which programs cannot be brought about, and why.
    pub fn program_errors(&self) -> BTreeMap<ProgramName, String> {
        self.programs.errors()
    }

    /// Returns the places in our table that another program's routes have.
    pub fn occupied(&self) -> BTreeSet<RouteKey> {
        self.occupied.places().collect()
    }

    /// Returns the configuration in force.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// Returns what was last found on the router.
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    /// Returns whether what is out changes routes, and nothing else.
    pub const fn is_setting_routes(&self) -> bool {
        matches!(self.busy, Some(Busy::Applying { scope: Scope::Routes, .. }))
    }

    /// Returns how often it was worked out what all routes and all else shall be: what changes have cost.
    pub const fn targets(&self) -> u64 {
        self.targets
    }

    /// Returns the system as last known.
    pub fn known(&self) -> Option<&State> {
        self.known.as_ref()
    }

    /// Works out what this configuration would change, given what was found and seen for it.
    pub fn preview(&self, config: &Config, facts: &Facts, observed: &State) -> Result<Plan, WorkError> {
        let facts = self.with_followed(facts.clone());
        let mut adoption = self.adoption.clone();
        adoption.adopt(Instant::ORIGIN, observed, config);
        Ok(Plan::new(observed, &desired(config, &facts, &adoption.routing(), observed)?)?)
    }

    /// Adds to what was found what is followed all the time.
    fn with_followed(&self, facts: Facts) -> Facts {
        Facts {
            endpoints: self.endpoints.clone(),
            upstreams: self.upstreams.clone(),
            foreign_names: self.foreign_names.clone(),
            ..facts
        }
    }

    fn look(&mut self) {
        self.gather_due = true;
        self.observe_due = true;
        self.compare_due = true;
    }

    fn poll_endpoint(&mut self) -> Option<Action> {
        let (config, known) = (self.config.as_ref()?, self.known.as_ref()?);
        let neighbor = self.endpoints_due.pop_first()?;
        let link = config.links.iter().find(|link| link.host_id == neighbor)?;
        let endpoint = *self.endpoints.get(&neighbor)?;
        let change = endpoint::set_endpoint(known, &config.mesh.wg_device, &link.public_key, endpoint)?;
        let target = Target { state: None, standing: None };
        self.apply(Scope::Endpoint, Plan::of(Change::Link(change)), target)
    }

    fn poll_full(&mut self) -> Option<Action> {
        let target = self.target(|_, _| true)?;
        let known = self.known.as_ref()?;
        let work = target.and_then(|(state, standing)| Ok((Plan::new(known, &state)?, state, standing)));
        match work {
            Ok((plan, _, standing)) if plan.is_empty() => {
                self.standing = standing;
                self.settle();
                None
            }
            Ok((plan, state, standing)) => {
                self.health = Health::Working;
                self.apply(Scope::Full, plan, Target { state: Some(state), standing })
            }
            Err(error) => {
                let error = error.to_string();
                warn!(%error, "no way to what is wanted");
                self.health = Health::Failing(error.clone());
                self.report(Report::Failed { generation: self.generation, error, reverted: false });
                None
            }
        }
    }

    fn apply(&mut self, scope: Scope, plan: Plan, target: Target) -> Option<Action> {
        if plan.is_empty() {
            return None;
        }
        self.busy = Some(Busy::Applying { scope, plan: plan.clone(), target });
        Some(Action::Apply(plan))
    }

    fn report(&mut self, report: Report) {
        if self.reports.len() == REPORTS_MAX {
            self.reports.pop_front();
        }
        self.reports.push_back(report);
    }
}
