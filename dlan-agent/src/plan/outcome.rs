//! What became of a plan.

use std::fmt;

use serde::Serialize;

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Outcome {
    /// How many steps were made and stand.
    pub applied: usize,
    /// The steps that failed; empty when all went well.
    pub failures: Vec<Failure>,
    /// Whether the steps before the failed one were taken back.
    pub rolled_back: bool,
    /// What failed while taking back.
    pub rollback_failures: Vec<Failure>,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The step's place in the plan, from 0.
    pub index: usize,
    /// The step as text.
    pub step: String,
    /// Why, with the causes.
    pub error: String,
    /// Whether something that is not ours stands in the place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_taken: bool,
}

impl Outcome {
    /// Returns whether every step was made.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "failed: {failure}")?;
        }
        for failure in &self.rollback_failures {
            writeln!(f, "failed while taking back: {failure}")?;
        }
        if self.rolled_back {
            writeln!(f, "the steps before it were taken back")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.error)
    }
}
