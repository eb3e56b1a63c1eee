//! Routes in whose place another program's route stands: they are left out and tried again, and nothing else waits for them.

use std::collections::BTreeMap;
use std::time::Duration;

use ospf_lite::time::Instant;
use tracing::warn;

use crate::plan::Plan;
use crate::plan::change::Change;
use crate::plan::outcome::Outcome;
use crate::state::State;
use crate::state::route::RouteKey;

/// How soon it is looked whether the other route is gone.
const RETRY: Duration = Duration::from_secs(30);

/// Our routes whose place is another's, with when each is tried again; none while it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Occupied {
    places: BTreeMap<RouteKey, Option<Instant>>,
}

impl Occupied {
    /// Takes what became of a plan. Returns whether nothing failed but routes whose place is another's, which is dealt with here.
    pub(super) fn handle_failure(&mut self, now: Instant, plan: &Plan, outcome: &Outcome) -> bool {
        let failed = outcome.failures.iter().map(|failure| match plan.steps().get(failure.index) {
            Some(Change::Route(edit)) if failure.is_taken => Some(edit.key),
            _ => None,
        });
        let Some(failed) = failed.collect::<Option<Vec<_>>>().filter(|failed| !failed.is_empty()) else {
            return false;
        };
        for key in failed {
            if self.places.insert(key, Some(now + RETRY)).is_none() {
                warn!(route = %key, "another program's route stands in this place: ours is left out");
            }
        }
        true
    }

    /// Takes that everything wanted was brought about.
    pub(super) fn handle_success(&mut self) {
        self.places.retain(|_, retry_at| retry_at.is_some());
    }

    /// Takes that time has passed. Returns whether something is to be tried again.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = |retry_at: &mut Option<Instant>| retry_at.take_if(|at| *at <= now).is_some();
        self.places.values_mut().map(due).fold(false, |any, is_due| any | is_due)
    }

    /// Returns when `handle_timeout` is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.places.values().filter_map(|retry_at| *retry_at).min()
    }

    /// Wants the routes that wait to be tried again as they are.
    pub(super) fn amend(&self, target: &mut State, known: &State) {
        for (key, _) in self.places.iter().filter(|(_, retry_at)| retry_at.is_some()) {
            match known.routes.get(key) {
                Some(route) => target.routes.insert(*key, route.clone()),
                None => target.routes.remove(key),
            };
        }
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the places.
    pub(super) fn places(&self) -> impl Iterator<Item = RouteKey> {
        self.places.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::change::Edit;
    use crate::plan::outcome::Failure;
    use crate::state::route::{Route, RouteAction};

    const ROUTE: Route = Route { protocol: 141, action: RouteAction::Unreachable };

    fn key(prefix: &str) -> RouteKey {
        RouteKey { table: 141, prefix: prefix.parse().unwrap(), metric: 32 }
    }

    fn wanted() -> State {
        State {
            routes: BTreeMap::from([(key("10.3.0.0/24"), ROUTE), (key("10.4.0.0/24"), ROUTE)]),
            ..State::default()
        }
    }

    fn failure(is_taken: bool) -> (Plan, Outcome) {
        let plan = Plan::of(Change::Route(Edit { key: key("10.3.0.0/24"), from: None, to: Some(ROUTE) }));
        let failure = Failure { index: 0, step: "+ route".to_owned(), error: "no".to_owned(), is_taken };
        (plan, Outcome { failures: vec![failure], ..Outcome::default() })
    }

    #[test]
    fn a_route_whose_place_is_anothers_is_left_out_until_it_is_tried_again() {
        let mut occupied = Occupied::default();
        let now = Instant::ORIGIN;
        let (plan, outcome) = failure(true);
        for round in 0..3 {
            assert!(occupied.handle_failure(now + RETRY * round, &plan, &outcome));
            let mut target = wanted();
            occupied.amend(&mut target, &State::default());
            assert_eq!(target.routes.into_keys().collect::<Vec<_>>(), [key("10.4.0.0/24")]);
            // Success without it is none of its own.
            occupied.handle_success();
            assert_eq!(occupied.places().collect::<Vec<_>>(), [key("10.3.0.0/24")]);
            let due = now + RETRY * (round + 1);
            assert_eq!(occupied.poll_timeout(), Some(due));
            assert!(occupied.handle_timeout(due));
            let mut target = wanted();
            occupied.amend(&mut target, &State::default());
            assert_eq!(target, wanted());
        }
        occupied.handle_success();
        assert_eq!(occupied.places().count(), 0);
    }

    #[test]
    fn any_other_failure_is_not_dealt_with() {
        let (plan, outcome) = failure(false);
        assert!(!Occupied::default().handle_failure(Instant::ORIGIN, &plan, &outcome));
        assert!(!Occupied::default().handle_failure(Instant::ORIGIN, &plan, &Outcome::default()));
    }
}
