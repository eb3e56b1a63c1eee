//! Programs that cannot be brought about: they are left as they are and tried again, and nothing else waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ospf_lite::time::Instant;

use crate::plan::Plan;
use crate::plan::change::Change;
use crate::plan::outcome::Outcome;
use crate::state::State;
use crate::state::program::ProgramName;

/// The wait after the first failure; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How far apart the ends of a program are that have nothing to do with each other.
const CALM: Duration = Duration::from_secs(60);
/// How often a program is started again at once.
const PATIENCE: u32 = 3;

/// What is known of programs that fail.
#[derive(Debug, Clone, Default)]
pub(super) struct Programs {
    failing: BTreeMap<ProgramName, Failing>,
    /// When each was last seen to have ended, and how often in a row.
    ends: BTreeMap<ProgramName, (Instant, u32)>,
}

#[derive(Debug, Clone)]
struct Failing {
    error: String,
    failures: u32,
    /// When it is tried again; none while it is.
    retry_at: Option<Instant>,
}

impl Programs {
    /// Takes what became of a plan. Returns whether nothing but programs failed, which is dealt with here.
    pub(super) fn handle_failure(&mut self, now: Instant, plan: &Plan, outcome: &Outcome) -> bool {
        let failed = outcome.failures.iter().map(|failure| match plan.steps().get(failure.index) {
            Some(Change::Program(edit)) => Some((edit.key, failure.error.clone())),
            _ => None,
        });
        let Some(failed) = failed.collect::<Option<Vec<_>>>().filter(|failed| !failed.is_empty()) else {
            return false;
        };
        for (name, error) in failed {
            self.fail(now, name, error);
        }
        true
    }

    /// Takes that everything wanted was brought about.
    pub(super) fn handle_success(&mut self) {
        self.failing.retain(|_, failing| failing.retry_at.is_some());
    }

    /// Takes what was seen where `known` had been: a program that ends again and again is not started at once for ever.
    pub(super) fn handle_observed(&mut self, now: Instant, known: Option<&State>, observed: &State) {
        let running = |state: &State| -> BTreeSet<ProgramName> {
            state.programs.iter().filter(|(_, program)| program.is_running).map(|(name, _)| *name).collect()
        };
        let seen = running(observed);
        for name in known.map(running).unwrap_or_default().difference(&seen) {
            let before = self.ends.get(name).filter(|(last, _)| now.since(*last) < CALM);
            let count = before.map_or(1, |(_, count)| count.saturating_add(1));
            self.ends.insert(*name, (now, count));
            if count > PATIENCE {
                self.fail(now, *name, format!("it was started {count} times and ended each time"));
            }
        }
    }

    /// Takes that time has passed. Returns whether something is to be tried again.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = |failing: &mut Failing| failing.retry_at.take_if(|at| *at <= now).is_some();
        self.failing.values_mut().map(due).fold(false, |any, is_due| any | is_due)
    }

    /// Returns when `handle_timeout` is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.failing.values().filter_map(|failing| failing.retry_at).min()
    }

    /// Wants the programs that wait to be tried again as they are.
    pub(super) fn amend(&self, target: &mut State, known: &State) {
        for (name, _) in self.failing.iter().filter(|(_, failing)| failing.retry_at.is_some()) {
            let wanted = target.programs.get(name).cloned();
            match known.programs.get(name) {
                Some(program) => target.programs.insert(*name, program.clone()),
                None => target.programs.remove(name),
            };
            // What would stand on a device that is not there waits with the program that makes it.
            let standing = known.programs.get(name).filter(|program| program.is_running);
            let wanted = wanted.and_then(|program| program.device);
            if let Some(device) = wanted.filter(|_| standing.is_none()) {
                target.routes.retain(|_, route| !route.action.is_over(&device));
            }
        }
    }

    /// Starts afresh, with another configuration.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Returns which programs fail, and why.
    pub(super) fn errors(&self) -> BTreeMap<ProgramName, String> {
        self.failing.iter().map(|(name, failing)| (*name, failing.error.clone())).collect()
    }

    fn fail(&mut self, now: Instant, name: ProgramName, error: String) {
        let failures = self.failing.get(&name).map_or(0, |failing| failing.failures);
        let delay = (RETRY_FIRST * 2_u32.pow(failures.min(5))).min(RETRY_MAX);
        let failing = Failing { error, failures: failures.saturating_add(1), retry_at: Some(now + delay) };
        self.failing.insert(name, failing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::change::Edit;
    use crate::plan::outcome::Failure;
    use vxlan::link::LinkName;

    use crate::state::program::Program;
    use crate::state::route::{Route, RouteAction, RouteHop, RouteKey};

    const NAME: ProgramName = ProgramName::Dnsmasq;

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn with_program(is_running: bool) -> State {
        let program = Program {
            path: "/usr/sbin/dnsmasq".into(),
            arguments: Vec::new(),
            check: None,
            directories: BTreeSet::new(),
            files: BTreeMap::new(),
            device: None,
            is_running,
        };
        State { programs: BTreeMap::from([(NAME, program)]), ..State::default() }
    }

    fn failure() -> (Plan, Outcome) {
        let to = with_program(true).programs.remove(&NAME);
        let plan = Plan::of(Change::Program(Box::new(Edit { key: NAME, from: None, to })));
        let failure =
            Failure { index: 0, step: "+ program".to_owned(), error: "no".to_owned(), is_taken: false };
        (plan, Outcome { failures: vec![failure], ..Outcome::default() })
    }

    #[test]
    fn a_program_that_fails_is_left_as_it_is_until_it_is_tried_again_ever_later() {
        let mut programs = Programs::default();
        let (plan, outcome) = failure();
        let mut now = at(10);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(programs.handle_failure(now, &plan, &outcome));
            let mut target = with_program(true);
            programs.amend(&mut target, &State::default());
            assert!(target.programs.is_empty());
            assert_eq!(programs.poll_timeout(), Some(now + Duration::from_secs(seconds)));
            assert!(!programs.handle_timeout(now));
            now = now + Duration::from_secs(seconds);
            assert!(programs.handle_timeout(now));
            let mut target = with_program(true);
            programs.amend(&mut target, &State::default());
            assert_eq!(target, with_program(true));
            assert_eq!(programs.errors(), BTreeMap::from([(NAME, "no".to_owned())]));
        }
        programs.handle_success();
        assert!(programs.errors().is_empty());
    }

    #[test]
    fn routes_over_a_device_wait_for_the_program_that_makes_it() {
        let device: LinkName = "device0".parse().unwrap();
        let mut wanted = with_program(true);
        wanted.programs.get_mut(&NAME).unwrap().device = Some(device.clone());
        let hop = RouteHop { device, via: None };
        let action = RouteAction::unicast(BTreeSet::from([hop]), None);
        let key = RouteKey { table: 1, prefix: "64:ff9b::/96".parse().unwrap(), metric: 16 };
        wanted.routes.insert(key, Route { protocol: 1, action });
        let mut programs = Programs::default();
        let (plan, outcome) = failure();
        assert!(programs.handle_failure(at(1), &plan, &outcome));
        let amended = |known: &State| {
            let mut target = wanted.clone();
            programs.amend(&mut target, known);
            target.routes.len()
        };
        assert_eq!(amended(&State::default()), 0);
        assert_eq!(amended(&wanted), 1);
    }

    #[test]
    fn what_fails_beside_a_program_is_not_dealt_with_here() {
        let mut programs = Programs::default();
        let (_, outcome) = failure();
        let other = Plan::of(Change::File(Edit { key: "/etc/x".into(), from: None, to: None }));
        assert!(!programs.handle_failure(at(1), &other, &outcome));
        assert!(!programs.handle_failure(at(1), &other, &Outcome::default()));
        assert!(programs.errors().is_empty());
    }

    #[test]
    fn a_program_that_ends_again_and_again_is_not_started_at_once_for_ever() {
        let mut programs = Programs::default();
        let (runs, ended) = (with_program(true), with_program(false));
        for count in 1..=PATIENCE {
            programs.handle_observed(at(count.into()), Some(&runs), &ended);
            assert!(programs.errors().is_empty());
        }
        programs.handle_observed(at(9), Some(&ended), &ended);
        programs.handle_observed(at(9), Some(&runs), &runs);
        assert!(programs.errors().is_empty());
        programs.handle_observed(at(9), Some(&runs), &ended);
        assert_eq!(programs.poll_timeout(), Some(at(10)));
        let mut calm = Programs::default();
        for minute in 1..9 {
            calm.handle_observed(at(minute * 60), Some(&runs), &ended);
        }
        assert!(calm.errors().is_empty());
    }
}
