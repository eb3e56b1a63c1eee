//! Kernel next hop objects of ours as values: single ways, and groups of ways that routes refer to.

use std::collections::BTreeSet;
use std::fmt;

use ospf_lite::ospf::lfa::ALTERNATES_MAX;
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
    /// The ways that the kernel itself goes over to when it drops the last of those, with their device. They lie in the
    /// group with so small a weight that none of the buckets is theirs.
    pub standbys: BTreeSet<NextHopId>,
    /// Among how many buckets the ways share what is sent. None: the group is of the plain kind, which has no place for
    /// standbys. Nothing changes this number in a group that stands.
    pub buckets: u16,
}

impl Group {
    /// The buckets of a group that can have standbys: so few that a weight of 1 for each of these beside [`Self::WEIGHT`]
    /// comes to no more than half of one, which the kernel gives to the way in use.
    pub const BUCKETS: u16 = 64;
    /// The weight of a way in use, where a standby has 1: the most that every kernel takes.
    pub const WEIGHT: u16 = 256;

    /// Returns every way in it, with the standbys.
    pub fn members(&self) -> impl Iterator<Item = NextHopId> + '_ {
        self.ways.iter().chain(&self.standbys).copied()
    }

    /// Returns what the kernel makes of it when it drops some ways: nothing without a way that is left.
    pub fn without(&self, lost: &BTreeSet<NextHopId>) -> Option<Self> {
        let mut ways: BTreeSet<NextHopId> = self.ways.difference(lost).copied().collect();
        let mut standbys = self.standbys.difference(lost).copied().collect();
        if ways.is_empty() {
            ways.append(&mut standbys);
        }
        (!ways.is_empty()).then_some(Self { ways, standbys, buckets: self.buckets })
    }
}

const _: () = {
    let (buckets, weight) = (Group::BUCKETS as usize, Group::WEIGHT as usize);
    assert!(2 * buckets * ALTERNATES_MAX <= weight + ALTERNATES_MAX, "no standby has a bucket");
};

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
                let mut standbys = group.standbys.iter();
                standbys.try_for_each(|standby| write!(f, " standby {standby}"))
            }
        }
    }
}
