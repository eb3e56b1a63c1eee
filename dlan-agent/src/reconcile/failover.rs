//! Devices that were just lost: what leads by them is moved at once, and does not come back by routes from before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ospf_lite::time::Instant;
use tracing::{debug, info, warn};
use vxlan::link::LinkName;

use super::{Busy, Reconciler};
use crate::desired::RoutingInput;
use crate::learned::Learned;
use crate::next_hops::{self, Ways};
use crate::plan::Plan;
use crate::plan::outcome::Outcome;
use crate::plan::reroute::{self, Loss};
use crate::state::State;
use crate::state::next_hop::NextHopId;
use crate::state::route::RouteHop;

/// What was lost, and what takes over.
#[derive(Debug, Default)]
pub struct Failover {
    /// The ways that take over for each group.
    alternates: BTreeMap<NextHopId, BTreeSet<NextHopId>>,
    /// Lost, and nothing done about it yet.
    due: Vec<(LinkName, Loss)>,
    /// Lost, and the routing protocol's routes may be those from before.
    lost: BTreeSet<LinkName>,
    /// Down when the kernel last told, and not looked at since.
    down: BTreeSet<LinkName>,
    /// Able to carry packets again since the last look began.
    returned: BTreeSet<LinkName>,
    /// How many plans around what was lost are out.
    out: usize,
    /// What the kernel itself did at a loss was guessed, and not looked at since.
    is_guess: bool,
}

impl Failover {
    /// Takes that a device is lost.
    pub fn handle_lost(&mut self, device: LinkName, loss: Loss) {
        self.is_guess = true;
        self.returned.remove(&device);
        self.lost.insert(device.clone());
        if loss == Loss::Device {
            self.down.insert(device.clone());
        }
        self.due.push((device, loss));
    }

    /// Takes that the routing protocol's routes are those after every loss but of the devices in `outdated`, and returns whether
    /// there was one.
    pub fn handle_routes(&mut self, outdated: &BTreeSet<LinkName>) -> bool {
        let before = self.lost.len();
        self.lost.retain(|device| outdated.contains(device));
        self.lost.len() < before
    }

    /// Takes that a device can carry packets again.
    pub fn handle_returned(&mut self, device: &LinkName) {
        self.down.remove(device);
        self.returned.insert(device.clone());
    }

    /// Takes that a look at the system begins.
    pub fn handle_look(&mut self) {
        self.returned.clear();
    }

    /// Takes that the system was looked at, and returns whether what was known of its routes before was a guess: then a
    /// difference there is nobody's doing. A device that came back meanwhile may have been seen before that.
    pub fn handle_observed(&mut self, observed: &mut State) -> bool {
        self.down.clear();
        observed.without_carrier.retain(|device| !self.returned.contains(device));
        std::mem::take(&mut self.is_guess)
    }

    /// Takes that a plan around what was lost was carried out.
    pub fn handle_rerouted(&mut self) {
        self.out = self.out.saturating_sub(1);
    }

    /// Returns whether a plan around what was lost is out: what would be seen or set beside it may be undone by it.
    pub fn is_out(&self) -> bool {
        self.out > 0
    }

    /// Takes what the routes are about to be.
    pub fn handle_target(&mut self, target: &State, routing: &RoutingInput) {
        self.alternates = next_hops::alternates(target, &routing.routes);
    }

    /// Takes which ways are about to be those that take over for each group.
    pub fn handle_alternates(&mut self, alternates: BTreeMap<NextHopId, BTreeSet<NextHopId>>) {
        self.alternates = alternates;
    }

    /// Returns whether the kernel told that the device is down.
    pub fn is_down(&self, device: &LinkName) -> bool {
        self.down.contains(device)
    }

    /// Returns whether a device was lost since the last look: the kernel may be about to drop what leads by it.
    pub fn is_settling(&self) -> bool {
        !self.down.is_empty()
    }

    /// Returns the steps around what was lost, taken as made in `known`. That may not be all that stands while other steps are
    /// being made.
    pub fn poll(&mut self, known: &mut State, is_applying: bool) -> Option<Plan> {
        let mut steps = Vec::new();
        for (device, loss) in self.due.drain(..) {
            let without = match loss {
                Loss::Neighbor if !is_applying => reroute::without(known, &device),
                Loss::Neighbor | Loss::Device => None,
            };
            let around = without.unwrap_or_else(|| reroute::around(known, &self.alternates, &device, loss));
            if around.is_empty() {
                debug!(%device, ?loss, "a link is lost, and nothing to be done about it");
            } else {
                info!(%device, ?loss, changes = around.len(), "a link is lost");
            }
            steps.extend(around);
        }
        if steps.is_empty() {
            return None;
        }
        self.out += 1;
        Some(Plan::independent(steps))
    }

    /// Takes lost devices out of routes that may be from before the loss. Where that leaves no way the routes stay as they are,
    /// unless the kernel itself has dropped them with the devices: over one that is down it takes none.
    pub fn amend(&self, routes: &mut Learned, known: &State) {
        if self.lost.is_empty() {
            return;
        }
        let is_down =
            |device: &LinkName| self.down.contains(device) || known.without_carrier.contains(device);
        let is_lost = |device: &LinkName| self.lost.contains(device);
        let is_touched =
            |ways: &Ways| ways.hops.iter().chain(&ways.alternates).any(|hop| is_lost(&hop.device));
        routes.replace_ways(|ways| {
            if !is_touched(ways) {
                return None;
            }
            let mut ways = Ways::clone(ways);
            let left = |of: &BTreeSet<RouteHop>| -> BTreeSet<RouteHop> {
                of.iter().filter(|hop| !is_lost(&hop.device)).cloned().collect()
            };
            let (hops, alternates) = (left(&ways.hops), left(&ways.alternates));
            if !hops.is_empty() {
                ways = Ways { hops, alternates };
            } else if !alternates.is_empty() {
                ways = Ways { hops: alternates, alternates: BTreeSet::new() };
            } else {
                ways.hops.retain(|hop| !is_down(&hop.device));
                ways.alternates.retain(|hop| !is_down(&hop.device));
            }
            Some(Arc::new(ways))
        });
    }
}

impl Reconciler {
    /// Takes that nothing gets through by a link's device: what leads by it is moved at once. The routing protocol must have
    /// been told before its next routes are taken.
    pub fn handle_lost(&mut self, now: Instant, device: &LinkName, loss: Loss) {
        self.failover.handle_lost(device.clone(), loss);
        // What is out may have seen, or set, how it was before.
        self.is_stale |= matches!(self.busy, Some(Busy::Observing | Busy::Applying { .. }));
        if loss == Loss::Device {
            self.pace.handle_late_hint(now);
        }
    }

    /// Takes that a device that was down can carry packets again. What was seen of it while it was down is looked at afresh.
    pub fn handle_returned(&mut self, now: Instant, device: &LinkName) {
        self.failover.handle_returned(device);
        if let Some(known) = &mut self.known {
            known.without_carrier.remove(device);
        }
        if self.known.as_ref().is_some_and(|known| known.links.contains_key(device)) && !self.is_up(device) {
            self.pace.handle_hint(now);
        }
    }

    /// Takes what became of moving routes away from a lost device.
    pub fn handle_rerouted(&mut self, now: Instant, outcome: &Outcome) {
        self.failover.handle_rerouted();
        if !outcome.is_success() {
            warn!(%outcome, "routes not moved away from a lost link");
            self.pace.handle_hint(now);
        }
    }

    /// Returns whether a link's device can carry packets, as far as is known.
    pub fn is_up(&self, device: &LinkName) -> bool {
        let carries = |known: &State| known.links.get(device).is_some_and(|link| known.carries(link));
        self.known.as_ref().is_some_and(carries) && !self.failover.is_down(device)
    }

    /// Returns the steps around what was lost, if there are any: they wait for nothing that is out.
    pub fn poll_reroute(&mut self) -> Option<Plan> {
        let is_applying = matches!(self.busy, Some(Busy::Applying { .. }));
        let known = self.known.as_mut()?;
        let plan = self.failover.poll(known, is_applying);
        if let Some(standing) = &mut self.standing {
            standing.handle_dropped(&known.next_hops);
        }
        plan
    }
}
