//! What the reconciler tells: how things stand, and what happened.

use serde::Serialize;

use crate::plan::Plan;

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(tag = "state", content = "error", rename_all = "lowercase")]
pub enum Health {
    /// The system was not compared with a configuration yet.
    #[default]
    Starting,
    /// There is something to do.
    Working,
    /// The system is as the configuration wants it, seen with our own eyes.
    Settled,
    /// Something failed; it is tried again.
    Failing(String),
    /// The latest configuration failed; the one before it is in force.
    Reverted(String),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A plan was made to stand; verification follows.
    Applied {
        /// The configuration's number.
        generation: u64,
        /// What was done.
        plan: Plan,
    },
    /// The system was looked at and is as wanted.
    Settled {
        /// The configuration's number.
        generation: u64,
    },
    /// Something failed.
    Failed {
        /// The configuration's number.
        generation: u64,
        /// What and why.
        error: String,
        /// Whether the configuration before it is in force again; else this one is tried again.
        reverted: bool,
    },
    /// Packets of others would find their way: routes are in use that an earlier start left, or, told once more, those of
    /// the routing protocol's first whole database.
    Installed,
    /// Somebody else changed what is ours.
    Drift {
        /// The repairs, one text each; of many the first, and how many more.
        repairs: Vec<String>,
    },
}
