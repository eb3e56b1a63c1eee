//! Makes the steps of a plan in order, and takes them back when one fails.

use std::error::Error;

use crate::causes::with_causes;
use crate::plan::change::{Change, Edit};
use crate::plan::outcome::{Failure, Outcome};
use crate::plan::{OnError, Plan};
use crate::state::route::{Route, RouteKey};

/// What can make steps.
pub(super) trait Executor {
    /// Why a step could not be made.
    type Error: Error;

    /// Returns whether a step could not be made because something that is not ours stands in its place.
    fn is_taken(error: &Self::Error) -> bool;

    /// Checks a step with its own tool, touching nothing.
    async fn check(&mut self, change: &Change) -> Result<(), Self::Error>;

    /// Makes one step; any but a route.
    async fn make(&mut self, change: &Change) -> Result<(), Self::Error>;

    /// Makes route steps in order, and says of each what became of it.
    async fn make_routes(&mut self, edits: &[&Edit<RouteKey, Route>]) -> Vec<Result<(), Self::Error>>;
}

/// Makes a plan's steps.
pub(super) async fn execute(executor: &mut impl Executor, plan: &Plan) -> Outcome {
    for (index, step) in plan.steps().iter().enumerate() {
        if let Err(error) = executor.check(step).await {
            let failures = vec![failure(index, step, &error, false)];
            return Outcome { failures, ..Outcome::default() };
        }
    }
    let run = run(executor, plan.steps(), plan.on_error()).await;
    let mut outcome = Outcome { applied: run.made.len(), failures: run.failures, ..Outcome::default() };
    if !outcome.is_success() && plan.on_error() == OnError::RollBack {
        let made = run.made.iter().rev().filter_map(|index| plan.steps().get(*index));
        let inverses: Vec<Change> = made.map(Change::inverse).collect();
        let back = self::run(executor, &inverses, OnError::KeepGoing).await;
        outcome.applied = outcome.applied.saturating_sub(back.made.len());
        outcome.rolled_back = true;
        outcome.rollback_failures = back.failures;
    }
    outcome
}

#[derive(Default)]
struct Run {
    /// The places of the steps that were made, in order.
    made: Vec<usize>,
    failures: Vec<Failure>,
}

async fn run<E: Executor>(executor: &mut E, steps: &[Change], on_error: OnError) -> Run {
    let mut run = Run::default();
    let mut index = 0;
    while let Some(step) = steps.get(index) {
        let routes: Vec<&Edit<RouteKey, Route>> = routes_from(steps, index).collect();
        let results = if routes.is_empty() {
            vec![executor.make(step).await]
        } else {
            executor.make_routes(&routes).await
        };
        for result in results {
            match (result, steps.get(index)) {
                (Err(error), Some(step)) => {
                    run.failures.push(failure(index, step, &error, E::is_taken(&error)));
                }
                (Ok(()) | Err(_), _) => run.made.push(index),
            }
            index += 1;
        }
        if on_error == OnError::RollBack && !run.failures.is_empty() {
            return run;
        }
    }
    run
}

/// Returns the route steps from a place on, up to the first step of another kind.
fn routes_from(steps: &[Change], index: usize) -> impl Iterator<Item = &Edit<RouteKey, Route>> {
    steps.iter().skip(index).map_while(|step| match step {
        Change::Route(edit) => Some(edit),
        _ => None,
    })
}

fn failure(index: usize, step: &Change, error: &dyn Error, is_taken: bool) -> Failure {
    Failure { index, step: step.to_string(), error: with_causes(error), is_taken }
}
