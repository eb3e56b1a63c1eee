//! Why the lab could not do what it was asked for.

use std::path::PathBuf;

use thiserror::Error;

use crate::command::CommandError;
use crate::node_init::NodeInitError;
use crate::topology::TopologyError;

/// Why the lab could not do what it was asked for.
#[derive(Debug, Error)]
pub enum LabError {
    /// The topology file is refused.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A program of the system failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A node's namespaces could not be made.
    #[error(transparent)]
    NodeInit(#[from] NodeInitError),
    /// A file could not be used.
    #[error("cannot {act} {path}")]
    File {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A node does not do its part.
    #[error("node {node}: {why}")]
    Node {
        /// The node.
        node: String,
        /// Why.
        why: String,
    },
    /// Something was asked for that is not there, or that cannot be.
    #[error("{0}")]
    Asked(String),
    /// What a scenario claims does not hold.
    #[error("{0}")]
    Claim(String),
    /// A condition did not come true in time.
    #[error("waited {waited} s in vain: {what}")]
    Waited {
        /// How long.
        waited: u64,
        /// For what, and how far it came.
        what: String,
    },
}

impl LabError {
    /// Returns the error with all its causes on one line.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            let more = source.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = source.source();
        }
        text
    }
}
