//! The way from the observed state to the desired one: ordered steps, each of which can be undone.

pub mod callers_filter;
pub mod callers_path;
pub mod change;
pub mod diff;
pub mod endpoint;
pub mod order;
pub mod outcome;
pub mod reroute;
mod upset;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeSeq, Serializer};
use vxlan::link::LinkName;

use self::change::{Change, ChangeView};
use self::upset::Upset;
use crate::state::State;
use crate::state::next_hop::{NextHop, NextHopId};

/// Ordered steps from one state to another; copies share them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    steps: Arc<Vec<Change>>,
    on_error: OnError,
}

/// What a failing step does to the rest of its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The steps before it are undone, last first.
    #[default]
    RollBack,
    /// The other steps are made: for routes, which do not depend on each other, and for removing everything.
    KeepGoing,
}

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A route would use a device that the same plan removes.
    #[error("route {route} would use {device}, which is to be removed")]
    RouteOverRemovedLink {
        /// The route.
        route: String,
        /// The device.
        device: LinkName,
    },
}

impl Plan {
    /// Works out how to get from `observed` to `desired`.
    pub fn new(observed: &State, desired: &State) -> Result<Self, PlanError> {
        refuse_contradiction(observed, desired)?;
        let mut steps = diff::diff(observed, desired);
        let upset = Upset::by(&steps);
        if !upset.is_empty() {
            let (without, gone) = diff::without(observed, &upset);
            steps = diff::diff(&without, desired);
            steps.extend(gone);
        }
        order::order(&mut steps);
        Ok(Self { steps: Arc::new(steps), on_error: OnError::RollBack })
    }

    /// Works out how to remove everything; what cannot be removed does not hold up the rest.
    pub fn removal(observed: &State) -> Self {
        let mut steps = diff::diff(observed, &State::default());
        order::order(&mut steps);
        Self::independent(steps)
    }

    /// Works out how to get from `observed`'s routes and next hop objects to `desired`'s, leaving all else alone.
    pub fn routes(observed: &State, desired: &State) -> Self {
        let mut steps = diff::routes(observed, desired);
        order::order(&mut steps);
        Self::independent(steps)
    }

    /// Works out how to get from some next hop objects to others, with these changes of routes; the rest of them stay as they
    /// are.
    pub fn moves(
        (observed, desired): (&BTreeMap<NextHopId, NextHop>, &BTreeMap<NextHopId, NextHop>),
        routes: impl IntoIterator<Item = Change>,
    ) -> Self {
        let mut steps = diff::next_hops(observed, desired);
        steps.extend(routes);
        order::order(&mut steps);
        Self::independent(steps)
    }

    /// Makes a plan of steps that do not depend on each other's success.
    pub fn independent(steps: Vec<Change>) -> Self {
        Self { steps: Arc::new(steps), on_error: OnError::KeepGoing }
    }

    /// Makes a plan of one step.
    pub fn of(change: Change) -> Self {
        Self { steps: Arc::new(vec![change]), on_error: OnError::RollBack }
    }

    /// Adds what was done after it.
    pub fn append(&mut self, after: Self) {
        Arc::make_mut(&mut self.steps).extend(Arc::unwrap_or_clone(after.steps));
    }

    /// Returns the steps in the order in which they are to be made.
    pub fn steps(&self) -> &[Change] {
        &self.steps
    }

    /// Returns what a failing step does to the rest.
    pub fn on_error(&self) -> OnError {
        self.on_error
    }

    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the plan but for its routes and next hops.
    pub fn without_routes(&self) -> Self {
        let is_kept = |step: &&Change| !matches!(step, Change::Route(_) | Change::NextHop(_));
        let steps = self.steps.iter().filter(is_kept).cloned().collect();
        Self { steps: Arc::new(steps), on_error: self.on_error }
    }

    /// Returns the plan that takes back this one.
    pub fn inverse(&self) -> Self {
        let steps = self.steps.iter().rev().map(Change::inverse).collect();
        Self { steps: Arc::new(steps), on_error: self.on_error }
    }
}

fn refuse_contradiction(observed: &State, desired: &State) -> Result<(), PlanError> {
    let kept: BTreeSet<&LinkName> = desired.links.keys().collect();
    for (key, route) in &desired.routes {
        for hop in desired.hops(route) {
            if observed.links.contains_key(&hop.device) && !kept.contains(&hop.device) {
                return Err(PlanError::RouteOverRemovedLink {
                    route: key.to_string(),
                    device: hop.device.clone(),
                });
            }
        }
    }
    Ok(())
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.steps() {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.steps.len()))?;
        for step in self.steps() {
            list.serialize_element(&ChangeView::of(step))?;
        }
        list.end()
    }
}
