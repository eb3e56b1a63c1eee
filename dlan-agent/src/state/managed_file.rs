//! A whole file that is ours, as a value.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The first line of every managed file: a file without it is somebody else's.
pub const FILE_HEADER: &str = "# Written by dlan. Changes are overwritten.\n";

/// Where iproute2 reads names of tables.
pub const TABLES_PATH: &str = "/etc/iproute2/rt_tables.d/dlan.conf";
/// Where iproute2 reads names of protocols.
pub const PROTOCOLS_PATH: &str = "/etc/iproute2/rt_protos.d/dlan.conf";

/// A managed file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedFile {
    /// The whole text, header line included.
    pub text: String,
}

impl ManagedFile {
    /// Puts the header line above the text.
    pub fn new(body: &str) -> Self {
        Self { text: format!("{FILE_HEADER}{body}") }
    }

    /// Takes a text that was read, unless it is somebody else's.
    pub fn recognise(text: String) -> Option<Self> {
        text.starts_with(FILE_HEADER).then_some(Self { text })
    }
}

impl fmt::Display for ManagedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines", self.text.lines().count())
    }
}
