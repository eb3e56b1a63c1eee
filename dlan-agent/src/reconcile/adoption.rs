//! The routes to have: the engine's, and until it has settled those that a former start left in the kernel.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use ospf_lite::ids::Family;
use ospf_lite::time::Instant;
use tracing::{info, warn};

use crate::config::Config;
use crate::desired::RoutingInput;
use crate::learned::Learned;
use crate::next_hops::Ways;
use crate::render::nftables;
use crate::routing::family_of;
use crate::state::State;
use crate::state::route::{METRIC_UNREACHABLE, RouteAction, RouteHop};
use crate::zones::ZoneSets;

/// How long routes of a former start are kept at least if the engine does not settle.
const ADOPTED_FOR: Duration = Duration::from_secs(120);
/// How long after the grace period of a restart, when the engine has given up waiting for the neighbors of before.
const ADOPTED_AFTER_GRACE: Duration = Duration::from_secs(60);
/// How many prefixes once learned are remembered at most.
const LEARNED_MAX: usize = 4096;

/// Which routes packets of others would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Installed {
    /// None that can be counted on.
    #[default]
    Nothing,
    /// Those that an earlier start left.
    Adopted,
    /// Those of a whole database that has both ends of this router's links.
    Whole,
}

/// What the routing protocol says, and what is kept beside it.
#[derive(Debug, Clone, Default)]
pub struct Adoption {
    engine: RoutingInput,
    learned: BTreeSet<IpNet>,
    adopted: Learned,
    /// When the adopted routes go at the latest; `None` before there was a look.
    until: Option<Instant>,
    has_looked: bool,
    /// The zones' sets as they stood at the first look.
    zones: ZoneSets,
    /// Whether the engine once had a whole database.
    was_complete: bool,
    /// What is known of the mesh since boot.
    heard: Heard,
    /// How long the routers of the mesh may take to hear of each other.
    patience: Duration,
}

/// What was heard of the mesh since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Heard {
    #[default]
    Nothing,
    /// Routes of both families, first at this time: where many routers boot together, those of others follow.
    Since(Instant),
    /// Whatever routers there are, now or by an earlier start.
    Mesh,
}

impl Adoption {
    /// Takes the engine's routes and returns whether there is a difference.
    pub fn handle_routes(&mut self, now: Instant, routing: RoutingInput) -> bool {
        let is_changed = !routing.routes.apart(&self.engine.routes).is_empty() || self.engine != routing;
        self.learn(routing.routes.apart_from(&self.engine.routes));
        self.learn(routing.learned.iter().copied());
        if routing.settled && self.has_any_adopted() {
            let count = self.adopted.keys().count();
            info!(count, "the engine has settled: adopted routes are its own business");
            self.adopted = Learned::default();
            self.until = None;
        }
        self.was_complete |= routing.complete;
        // A database that is whole because no neighbor answers says nothing.
        let has = |family| routing.routes.keys().any(|prefix| family_of(prefix) == family);
        if self.heard == Heard::Nothing && routing.complete && has(Family::Ipv6) && has(Family::Ipv4) {
            self.heard = Heard::Since(now);
        }
        self.engine = routing;
        is_changed
    }

    /// Forgets the engine's routes, but not which prefixes were learned; the next look is a first one.
    pub fn forget_engine(&mut self) {
        *self = Self { learned: std::mem::take(&mut self.learned), ..Self::default() };
    }

    /// Returns whether a prefix is remembered as once learned.
    pub fn has_learned(&self, prefix: &IpNet) -> bool {
        self.learned.contains(prefix)
    }

    /// Returns the engine's routes where they alone are wanted, and follow from a whole database.
    pub fn engine(&self) -> Option<&RoutingInput> {
        Some(&self.engine).filter(|_| self.was_complete && !self.has_any_adopted())
    }

    /// Takes over what stands, at the first look only.
    pub fn adopt(&mut self, now: Instant, observed: &State, config: &Config) {
        if std::mem::replace(&mut self.has_looked, true) {
            return;
        }
        let ours = observed.routes.iter().filter(|(key, _)| key.table == config.mesh.route_table);
        let (mut once_learned, mut adopted) = (Vec::new(), Vec::new());
        for (key, route) in ours {
            match &route.action {
                RouteAction::Unreachable if key.metric == METRIC_UNREACHABLE => once_learned.push(key.prefix),
                RouteAction::Unreachable => {}
                RouteAction::Unicast(_) | RouteAction::Group { .. } => {
                    let hops: BTreeSet<RouteHop> = observed.hops(route).into_iter().cloned().collect();
                    let alternates = observed.standbys(route).into_iter().cloned().collect();
                    if key.is_learned() && !self.engine.settled && !hops.is_empty() {
                        adopted.push((key.prefix, Arc::new(Ways { hops, alternates })));
                    }
                }
            }
        }
        // Somebody may have taken the routes away while no agent ran; the filter still says what they guarded.
        let standing = IpNet::aggregate(&once_learned);
        let is_guarded = |prefix: &IpNet| standing.iter().any(|net| net.contains(prefix));
        once_learned
            .extend(observed.ruleset.iter().flat_map(nftables::inside_of).filter(|net| !is_guarded(net)));
        self.learn(once_learned);
        // What an earlier start let go by a WAN is not held back again.
        self.patience = config.mesh.dead_interval;
        if observed.ruleset.as_ref().is_some_and(|standing| !nftables::holds_private(standing)) {
            self.heard = Heard::Mesh;
        }
        self.zones = observed.ruleset.as_ref().map(nftables::sets_of).unwrap_or_default();
        if !adopted.is_empty() {
            info!(count = adopted.len(), "routes adopted");
            self.adopted = adopted.into_iter().collect();
            self.until = Some(now + ADOPTED_FOR.max(config.mesh.grace_period + ADOPTED_AFTER_GRACE));
        }
    }

    /// Returns which routes are wanted in use.
    pub fn installed(&self) -> Installed {
        match (self.engine.complete && self.engine.settled, !self.has_any_adopted()) {
            (true, _) => Installed::Whole,
            (false, false) => Installed::Adopted,
            (false, true) => Installed::Nothing,
        }
    }

    /// Returns whether routes of a family are kept that a former start left.
    pub fn has_adopted(&self, family: Family) -> bool {
        !self.adopted.of(family).ways.is_empty()
    }

    fn has_any_adopted(&self) -> bool {
        self.adopted.ways().next().is_some()
    }

    /// Returns what the routes are to be made from. Beside adopted routes of a family the engine's are not used: until it
    /// has settled they are made from what of the database is in (RFC 3623 section 2).
    pub fn routing(&self) -> RoutingInput {
        let mut routing = self.engine.clone();
        routing.learned.clone_from(&self.learned);
        routing.is_unheard = self.heard != Heard::Mesh;
        routing.zones.standing = (!self.was_complete).then(|| self.zones.clone());
        for family in [Family::Ipv6, Family::Ipv4].into_iter().filter(|family| self.has_adopted(*family)) {
            routing.routes.of_mut(family).clone_from(self.adopted.of(family));
        }
        routing
    }

    /// Lets go of what may be the mesh's, once every router has been heard; returns whether it did.
    pub fn handle_heard(&mut self, now: Instant) -> bool {
        let is_heard = self.known_at().is_some_and(|at| at <= now);
        if is_heard {
            info!("the mesh is known: other private addresses are none of its own");
            self.heard = Heard::Mesh;
        }
        is_heard
    }

    /// Lets go of adopted routes when their time is over, and returns whether it did.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_over = self.until.take_if(|until| *until <= now).is_some();
        if is_over {
            warn!(
                count = self.adopted.keys().count(),
                "the engine has not settled in time: adopted routes are let go"
            );
            self.adopted = Learned::default();
        }
        is_over
    }

    /// Returns when [`Adoption::handle_timeout`] or [`Adoption::handle_heard`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.until.into_iter().chain(self.known_at()).min()
    }

    /// Returns when every router of the mesh has been heard, if any was.
    fn known_at(&self) -> Option<Instant> {
        match self.heard {
            Heard::Since(first) => Some(first + self.patience),
            Heard::Nothing | Heard::Mesh => None,
        }
    }

    fn learn(&mut self, prefixes: impl IntoIterator<Item = IpNet>) {
        for prefix in prefixes {
            if self.learned.len() >= LEARNED_MAX {
                return;
            }
            self.learned.insert(prefix);
        }
    }
}
