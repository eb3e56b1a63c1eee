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
    /// Several ways, or one, that can be exchanged for others under all its routes at once.
    Group(Group),
}

/// A group of ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The ways in use, side by side; never empty.
    pub ways: BTreeSet<NextHopId>,
    /// The way that the kernel itself goes over to when it drops the last of those, with their device. It lies in the
    /// group with so small a weight that none of the buckets is its own.
    pub standby: Option<NextHopId>,
    /// Among how many buckets the ways share what is sent. None: the group is of the plain kind, which has no place for a
    /// standby. Nothing changes this number in a group that stands.
    pub buckets: u16,
}

impl Group {
    /// The buckets of a group that can have a standby: so few that a weight of 1 beside [`Self::WEIGHT`] comes to less than
    /// half of one, and so to none.
    pub const BUCKETS: u16 = 128;
    /// The weight of a way in use, where a standby has 1: the most that every kernel takes.
    pub const WEIGHT: u16 = 256;

    /// Returns every way in it, with the standby.
    pub fn members(&self) -> impl Iterator<Item = NextHopId> + '_ {
        self.ways.iter().copied().chain(self.standby)
    }

    /// Returns what the kernel makes of it when it drops some ways: nothing without a way that is left.
    pub fn without(&self, lost: &BTreeSet<NextHopId>) -> Option<Self> {
        let mut ways: BTreeSet<NextHopId> = self.ways.difference(lost).copied().collect();
        let mut standby = self.standby.filter(|standby| !lost.contains(standby));
        if ways.is_empty() {
            ways.extend(standby.take());
        }
        (!ways.is_empty()).then_some(Self { ways, standby, buckets: self.buckets })
    }
}

impl NextHop {
    /// Returns the way, if it is a single one.
    pub fn way(&self) -> Option<&RouteHop> {
        match &self.target {
            NextHopTarget::Way(way) => Some(way),
            NextHopTarget::Group(_) => None,
        }
    }

    /// Returns the group, if it is one.
    pub fn group(&self) -> Option<&Group> {
        match &self.target {
            NextHopTarget::Group(group) => Some(group),
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
            NextHopTarget::Group(group) => {
                let ways: Vec<String> = group.ways.iter().map(ToString::to_string).collect();
                write!(f, "group {}", ways.join(" "))?;
                group.standby.map_or(Ok(()), |standby| write!(f, " standby {standby}"))
            }
        }
    }
}
