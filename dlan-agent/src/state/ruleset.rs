//! The content of the nftables table `inet dlan` as a value.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The family of our nftables table.
pub const TABLE_FAMILY: &str = "inet";
/// The name of our nftables table.
pub const TABLE_NAME: &str = "dlan";

/// What a counter has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Packets.
    pub packets: u64,
    /// Their octets, with the headers of IP.
    pub octets: u64,
}

/// What stands in the table: JSON objects of libnftables, in the order in which they are added. They are among the largest
/// things that the agent holds: copies share them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Listed", into = "Listed")]
pub struct Ruleset {
    /// The objects to add, the table itself first, without handles and counts.
    pub objects: Arc<Vec<Value>>,
}

/// A ruleset as it is written down.
#[derive(Serialize, Deserialize)]
struct Listed {
    objects: Vec<Value>,
}

impl From<Listed> for Ruleset {
    fn from(listed: Listed) -> Self {
        Self::from(listed.objects)
    }
}

impl From<Ruleset> for Listed {
    fn from(ruleset: Ruleset) -> Self {
        Self { objects: ruleset.objects.to_vec() }
    }
}

impl From<Vec<Value>> for Ruleset {
    fn from(objects: Vec<Value>) -> Self {
        Self { objects: Arc::new(objects) }
    }
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
