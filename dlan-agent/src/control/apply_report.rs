//! What the agent answers about changes, as values.

use serde::{Deserialize, Serialize};

/// What would change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanReport {
    /// How many steps there are.
    pub steps: usize,
    /// The steps as a readable difference.
    pub text: String,
    /// The steps in the kernel, for programs.
    pub plan: serde_json::Value,
    /// What changes in OSPF, one line each; with the steps in `plan` these are all there are.
    pub ospf: Vec<String>,
}

/// What came out of an apply that nobody has to confirm, in words.
pub const SETTLED: &str = "Done, and seen to hold.";

/// What an apply came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplyReport {
    /// What was to be done.
    pub plan: PlanReport,
    /// Whether everything was done and seen to hold.
    pub done: bool,
    /// What came out, in words.
    pub outcome: String,
    /// The window in which it waits to be confirmed.
    pub window: Option<WindowReport>,
}

/// An apply that waits to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowReport {
    /// What confirms it.
    pub token: String,
    /// Seconds until it is undone.
    pub seconds_left: u64,
    /// Who opened it.
    pub by: String,
    /// What is required to answer and has not.
    pub waiting_for: Vec<String>,
    /// All that in a sentence, with the command that keeps it.
    pub text: String,
}

/// A remembered apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryReport {
    /// Its number.
    pub number: u64,
    /// When it began, in seconds since 1970 by the router's clock.
    pub time: u64,
    /// Who asked.
    pub by: String,
    /// What came of it, in words.
    pub outcome: String,
    /// Whether its configuration came into force.
    pub in_force: bool,
    /// What it changed in the configuration: lines that went and lines that came.
    pub diff: String,
}

/// What draining, or its end, came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainReport {
    /// Whether other routers' traffic is kept away from then on.
    pub drained: bool,
    /// Whether every neighbor has acknowledged it, in both families.
    pub acknowledged: bool,
    /// The parts of the mesh that reach each other only through this router, and go on doing so; the largest first.
    pub parted: Vec<Vec<String>>,
}
