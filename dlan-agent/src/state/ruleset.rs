//! The content of the nftables table `inet dlan` as a value.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The family of our nftables table.
pub const TABLE_FAMILY: &str = "inet";
/// The name of our nftables table.
pub const TABLE_NAME: &str = "dlan";

/// What stands in the table: JSON objects of libnftables, in the order in which they are added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    /// The objects to add, the table itself first, without handles and counts.
    pub objects: Vec<serde_json::Value>,
}

impl Ruleset {
    /// Returns how many objects of a kind (`chain`, `rule`, `set` ..) there are.
    pub fn count(&self, kind: &str) -> usize {
        self.objects.iter().filter(|object| object.get(kind).is_some()).count()
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} chains, {} rules", self.count("chain"), self.count("rule"))
    }
}
