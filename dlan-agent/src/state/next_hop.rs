//! Kernel next hop objects of ours as values: single ways, and groups of ways that routes refer to.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::route::RouteHop;

/// What tells next hop objects apart; one number space for the whole router, strangers' objects included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NextHopId(pub u32);

impl NextHopId {
    /// The lowest number of ours: far from those that the kernel and other routing daemons begin with.
    pub const FIRST: Self = Self(141_000_001);
}

/// A next hop object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHop {
    /// The protocol number it carries.
    pub protocol: u8,
    /// What it stands for.
    pub target: NextHopTarget,
}

/// What a next hop object stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NextHopTarget {
    /// One way.
    Way(RouteHop),
    /// Several ways side by side, or one that can be exchanged for another under all its routes at once. Never empty.
    Group(BTreeSet<NextHopId>),
}

impl NextHop {
    /// Returns the way, if it is a single one.
    pub fn way(&self) -> Option<&RouteHop> {
        match &self.target {
            NextHopTarget::Way(way) => Some(way),
            NextHopTarget::Group(_) => None,
        }
    }

    /// Returns the members, if it is a group.
    pub fn members(&self) -> Option<&BTreeSet<NextHopId>> {
        match &self.target {
            NextHopTarget::Group(members) => Some(members),
            NextHopTarget::Way(_) => None,
        }
    }
}

impl fmt::Display for NextHopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            NextHopTarget::Way(way) => way.fmt(f),
            NextHopTarget::Group(members) => {
                let members: Vec<String> = members.iter().map(ToString::to_string).collect();
                write!(f, "group {}", members.join(" "))
            }
        }
    }
}
