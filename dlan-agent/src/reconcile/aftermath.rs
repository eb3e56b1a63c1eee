//! What a plan that was carried out leaves behind: a settled router, a configuration given up, something to try again.

use ospf_lite::time::Instant;
use tracing::{debug, info, warn};

use super::adoption::Installed;
use super::report::{Health, Report};
use super::target::Target;
use super::{Busy, DRIFT_TOLD_MAX, Reconciler, Scope};
use crate::plan::Plan;
use crate::plan::change::{Act, Change, ChangeView};
use crate::plan::outcome::Outcome;

/// After so many steps, what is known of the routes is put in order.
const MANY: usize = 256;

impl Reconciler {
    /// Takes what became of a plan.
    pub fn handle_applied(&mut self, now: Instant, outcome: Outcome) {
        let Some(Busy::Applying { scope, plan, target }) = self.busy.take() else { return };
        let Target { state, standing } = target;
        let is_stale = std::mem::take(&mut self.is_stale);
        self.observe_due |= is_stale;
        match (scope, outcome.is_success()) {
            (Scope::Endpoint, true) => {}
            (Scope::Endpoint, false) => warn!(%outcome, "cannot tell WireGuard a neighbor's endpoint"),
            (Scope::Routes, is_success) => {
                // A route that is there though it should be gone is no other program's while the kernel is at it.
                let is_settling = self.failover.is_settling();
                if is_success {
                    self.pace.handle_routes_set();
                } else if is_settling || !self.occupied.handle_failure(now, &plan, &outcome) {
                    let (failed, of) = (outcome.failures.len(), plan.steps().len());
                    if self.pace.handle_routes_failed(now) {
                        warn!(failed, of, %outcome, "routes not set");
                    } else {
                        debug!(failed, of, %outcome, "routes not set, tried again");
                    }
                }
                self.handle_routes_applied(&plan, &outcome);
                self.standing = standing.filter(|_| is_success && !is_stale);
                if is_success {
                    self.note_installed();
                }
            }
            (Scope::Full, true) => {
                self.programs.handle_success();
                self.occupied.handle_success();
                self.known = state.map(|state| *state).or_else(|| self.known.take());
                self.standing = standing.filter(|_| !is_stale);
                self.note_installed();
                self.verifying = !is_stale;
                self.observe_due = true;
                self.report(Report::Applied { generation: self.generation, plan });
            }
            (Scope::Full, false) => self.handle_full_failure(now, &plan, &outcome),
        }
    }

    pub(super) fn settle(&mut self) {
        self.pace.forget_failures();
        self.occupied.handle_success();
        // That a configuration was given up stays said until there is another.
        if let Some(error) = &self.given_up {
            self.health = Health::Reverted(error.clone());
        } else if self.health != Health::Settled {
            self.health = Health::Settled;
            self.has_stood = true;
            if !self.is_trial {
                self.good.clone_from(&self.config);
            }
            info!(generation = self.generation, "settled");
            self.report(Report::Settled { generation: self.generation });
        }
    }

    fn handle_routes_applied(&mut self, plan: &Plan, outcome: &Outcome) {
        let Some(known) = &mut self.known else { return };
        for (index, step) in plan.steps().iter().enumerate() {
            if outcome.failures.iter().any(|failure| failure.index == index) {
                continue;
            }
            match step {
                Change::Route(edit) => edit.enter(&mut known.routes),
                Change::NextHop(edit) => edit.enter(&mut known.next_hops),
                _ => {}
            }
        }
        if plan.steps().len() > MANY {
            // Filled one by one a map is half empty, made of all at once it is full.
            known.routes = std::mem::take(&mut known.routes).into_iter().collect();
        }
    }

    /// Routes of an earlier start stand, and were seen.
    pub(super) fn note_adopted(&mut self) {
        if self.adoption.installed() == Installed::Adopted {
            self.note_installed();
        }
    }

    /// What the routing protocol wants is in the kernel, unless it has wanted something else since.
    pub(super) fn note_installed(&mut self) {
        let installed = self.adoption.installed();
        if !self.routes_due && installed > self.installed {
            self.installed = installed;
            self.report(Report::Installed);
        }
    }

    /// A configuration that cannot be brought about gives way to the one before it.
    fn handle_full_failure(&mut self, now: Instant, plan: &Plan, outcome: &Outcome) {
        let reverted = self.good.is_some() && self.good != self.config && !self.has_stood;
        let error = outcome.to_string();
        if self.occupied.handle_failure(now, plan, outcome) {
            debug!(%error, "done without it");
        } else if reverted {
            self.config.clone_from(&self.good);
            self.report(Report::Failed { generation: self.generation, error: error.clone(), reverted });
            warn!(%error, "configuration not applied: the one before it stays in force");
            self.health = Health::Reverted(error.clone());
            self.given_up = Some(error);
        } else if self.programs.handle_failure(now, plan, outcome) {
            warn!(%error, "a program is left as it is");
        } else {
            self.fail(now, error);
        }
        self.standing = None;
        self.has_failed = true;
        // What was known before stands again, as far as it could be taken back, and routes go on by it until the next look.
        self.look();
    }

    pub(super) fn fail(&mut self, now: Instant, error: String) {
        let delay = self.pace.handle_failure(now);
        warn!(%error, retry_in = ?delay, "reconciling failed");
        self.report(Report::Failed { generation: self.generation, error: error.clone(), reverted: false });
        self.health = Health::Failing(error);
    }

    pub(super) fn report_drift(&mut self, strayed: &Plan) {
        let mut repairs = Vec::new();
        for step in strayed.steps().iter().take(DRIFT_TOLD_MAX) {
            let (repair, found) = (ChangeView::of(step).to_string(), found(step.act()));
            warn!(%repair, "drift: somebody {found} what is ours");
            repairs.push(repair);
        }
        let more = strayed.steps().len().saturating_sub(DRIFT_TOLD_MAX);
        if more > 0 {
            warn!(more, "drift: somebody changed more of what is ours");
            repairs.push(format!("and {more} more"));
        }
        self.report(Report::Drift { repairs });
    }
}

/// Returns what somebody did that this act repairs.
const fn found(repair: Act) -> &'static str {
    match repair {
        Act::Add => "took away",
        Act::Remove => "added to",
        Act::Change => "changed",
    }
}
