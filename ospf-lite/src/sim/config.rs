//! What a world is made of: its routers, its links, its timers.

use std::time::Duration;

use super::link::LinkQuality;
use super::topology::Topology;
use crate::config::SpfDelayConfig;
use crate::ids::Family;

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct WorldConfig {
    /// The routers and their links.
    pub topology: Topology,
    /// The family that is routed.
    pub family: Family,
    /// What every link does to packets unless a fault changes it.
    pub quality: LinkQuality,
    /// HelloInterval of every link.
    pub hello_interval: Duration,
    /// RouterDeadInterval of every link.
    pub dead_interval: Duration,
    /// The back-off of shortest-path runs.
    pub spf_delay: SpfDelayConfig,
    /// How many equal-cost next hops a route keeps at most.
    pub equal_cost_max: usize,
    /// Every how many-th router calculates its routes: 1 for all.
    pub routes_at_every: usize,
    /// Whether links have a prefix of their own.
    pub numbered: bool,
    /// Whether packets carry an authentication trailer.
    pub authenticated: bool,
    /// Whether something watches the links, as BFD does, and tells both ends of one that is cut or whole again.
    pub watched: bool,
    /// The grace period of routers that restart gracefully.
    pub grace_period: Duration,
    /// The routers start at random moments within this time.
    pub start_within: Duration,
}

impl WorldConfig {
    /// Returns a world with good links without prefixes, hellos every second, and every default of the engine.
    pub fn new(topology: Topology, family: Family) -> Self {
        Self {
            topology,
            family,
            quality: LinkQuality::GOOD,
            hello_interval: Duration::from_secs(1),
            dead_interval: Duration::from_secs(4),
            spf_delay: SpfDelayConfig::default(),
            equal_cost_max: 16,
            routes_at_every: 1,
            numbered: false,
            authenticated: false,
            watched: false,
            grace_period: Duration::from_secs(30),
            start_within: Duration::from_secs(2),
        }
    }
}
