//! An interface: what is known of it and what its events do.

mod fsm;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{InterfaceConfig, InterfaceKind, PointToPointConfig};
use crate::ospf::lsa::{LsaHeader, LsaKey};
use crate::ospf::lsdb::LsdbKey;
use crate::ospf::neighbor::Neighbor;
use crate::ospf::refusal::Refusals;
use crate::time::Instant;

pub use fsm::{InterfaceInput, InterfaceState};

/// An interface of the area.
#[derive(Debug)]
pub struct Interface {
    /// What the owner said of it.
    pub config: InterfaceConfig,
    /// What it is good for.
    pub state: InterfaceState,
    /// The router at the far end, once heard. A point-to-point link has one.
    pub neighbor: Option<Neighbor>,
    /// The LSAs to be flooded over it with the next Update.
    pub flooding: BTreeSet<LsdbKey>,
    /// When the last Update with flooded LSAs was sent.
    pub flooded_at: Option<Instant>,
    /// The LSAs to be acknowledged when the delay is over.
    pub delayed_acknowledgments: BTreeMap<LsaKey, LsaHeader>,
    /// The LSAs to be acknowledged at the end of the input.
    pub direct_acknowledgments: Vec<LsaHeader>,
    /// When a Hello was last answered out of turn.
    pub hello_answered: Option<Instant>,
    /// What was refused on it.
    pub refusals: Refusals,
}

impl Interface {
    /// Makes an interface that is down.
    pub const fn new(config: InterfaceConfig) -> Self {
        Self {
            config,
            state: InterfaceState::Down,
            neighbor: None,
            flooding: BTreeSet::new(),
            flooded_at: None,
            delayed_acknowledgments: BTreeMap::new(),
            direct_acknowledgments: Vec::new(),
            hello_answered: None,
            refusals: Refusals::new(),
        }
    }

    /// Returns how packets are exchanged, unless it is a stub.
    pub const fn link(&self) -> Option<&PointToPointConfig> {
        match &self.config.kind {
            InterfaceKind::PointToPoint(link) => Some(link),
            InterfaceKind::Stub => None,
        }
    }
}
