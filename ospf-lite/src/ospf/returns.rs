//! Links that come back soon after they were lost: where there is another way to the neighbor, they wait until the routers
//! around are through with the loss, and take the good news all alike. Those that are lost again and again are left alone
//! until they stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Config;
use crate::ids::{InterfaceId, RouterId};
use crate::ospf::area::Area;
use crate::ospf::interface::{Interface, InterfaceState, hello};
use crate::ospf::neighbor::{NeighborInput, NeighborState, events};
use crate::ospf::outbox::Cx;
use crate::ospf::routing::Routing;
use crate::time::Instant;
use crate::timer::TimerKey;

/// How much later than this router the last one may have heard of the loss and calculated.
pub const MARGIN: Duration = Duration::from_secs(1);
/// How many losses in a row make a link one that flaps.
pub const FLAPS_MIN: u8 = 3;
/// For how long a link that flaps is left alone after a loss; and how soon after the last loss, or after it was taken up again,
/// the next one follows in a row.
pub const CALM: Duration = Duration::from_secs(10);

/// Which links are on their way back.
#[derive(Debug, Default)]
pub struct Returns {
    /// Those that were in use when it was last looked, with the neighbor: adjacent, or up and left alone.
    in_use: BTreeMap<InterfaceId, RouterId>,
    /// How those were lost that may be lost again in a row.
    lost: BTreeMap<InterfaceId, Loss>,
    /// Those that are back and not told of.
    held: BTreeSet<InterfaceId>,
    /// Those that flap and are left alone, up or down.
    quiet: BTreeSet<InterfaceId>,
    /// Those that are taken down on purpose: no loss that counts in a row.
    intended: BTreeSet<InterfaceId>,
}

/// The last loss of a link.
#[derive(Debug, Clone, Copy)]
struct Loss {
    at: Instant,
    /// Who was at the far end.
    neighbor: RouterId,
    /// The how many-th in a row it is.
    in_a_row: u8,
    /// Whether the link was told of since.
    is_told: bool,
}

impl Loss {
    const fn flaps(&self) -> bool {
        self.in_a_row >= FLAPS_MIN
    }

    /// Returns until when another loss follows it in a row.
    fn counts_until(&self) -> Instant {
        self.at + if self.flaps() { 2 * CALM } else { CALM }
    }
}

/// A link as it is.
#[derive(Debug, Clone, Copy)]
struct Link {
    is_up: bool,
    /// The neighbor with which there is an adjacency.
    adjacent: Option<RouterId>,
    /// Whether an adjacency has begun.
    is_begun: bool,
}

impl Link {
    fn of(interface: &Interface) -> Self {
        let is_up = interface.state == InterfaceState::PointToPoint;
        let neighbor = interface.neighbor.as_ref().filter(|_| is_up);
        Self {
            is_up,
            adjacent: neighbor.filter(|neighbor| neighbor.is_adjacent()).map(|neighbor| neighbor.router_id),
            is_begun: neighbor.is_some_and(|neighbor| neighbor.state > NeighborState::TwoWay),
        }
    }
}

impl Returns {
    /// Returns whether a link's return is not to be told of.
    pub fn holds(&self, id: InterfaceId) -> bool {
        self.held.contains(&id)
    }

    /// Returns whether a link flaps and is left alone: nothing is sent over it, and no adjacency is begun.
    pub fn is_quiet(&self, id: InterfaceId) -> bool {
        self.quiet.contains(&id)
    }

    /// Returns how many times in a row a link was lost that is left alone.
    pub fn flaps(&self, id: InterfaceId) -> Option<u8> {
        self.lost.get(&id).filter(|_| self.is_quiet(id)).map(|loss| loss.in_a_row)
    }

    /// Takes that a link is about to be lost on purpose, as for another configuration.
    pub fn intend(&mut self, id: InterfaceId) {
        self.intended.insert(id);
    }

    /// Returns whether what is done with any link depends on whether there is another way.
    pub fn asks_for_ways(&self) -> bool {
        !self.held.is_empty() || self.lost.values().any(Loss::flaps)
    }

    /// Takes in which links are in use no longer.
    fn handle_lost(&mut self, links: &BTreeMap<InterfaceId, Link>, now: Instant) {
        for (id, neighbor) in &self.in_use {
            let is_in_use = |link: &Link| link.adjacent.is_some() || (link.is_up && self.quiet.contains(id));
            if links.get(id).is_some_and(is_in_use) {
                continue;
            }
            let before = self.lost.get(id).filter(|loss| now < loss.counts_until());
            let counted = before.map_or(0, |loss| loss.in_a_row);
            let in_a_row = counted.saturating_add(u8::from(!self.intended.contains(id)));
            self.lost.insert(*id, Loss { at: now, neighbor: *neighbor, in_a_row, is_told: false });
        }
        self.intended.clear();
        self.lost.retain(|_, loss| now < loss.counts_until());
    }

    /// Finds out which links wait, and for how long at most; returns those that are left alone no longer.
    fn decide(
        &mut self,
        links: &BTreeMap<InterfaceId, Link>,
        has_other_way: impl Fn(InterfaceId, RouterId) -> bool,
        cx: &mut Cx<'_>,
    ) -> BTreeSet<InterfaceId> {
        let before = std::mem::take(&mut self.quiet);
        self.held.clear();
        for (id, loss) in &mut self.lost {
            let link = links.get(id);
            let is_adjacent = link.is_some_and(|link| link.adjacent.is_some());
            let is_begun = link.is_some_and(|link| link.is_begun);
            let (waiting, until) = match is_adjacent {
                true if !loss.is_told => (&mut self.held, loss.at + hold(cx.config)),
                false if loss.flaps() && !is_begun => (&mut self.quiet, loss.at + CALM),
                _ => continue,
            };
            if cx.now < until && has_other_way(*id, loss.neighbor) {
                waiting.insert(*id);
                cx.timers.arm_no_later(TimerKey::Return, until);
            } else {
                loss.is_told |= is_adjacent;
            }
        }
        let adjacent = links.iter().filter_map(|(id, link)| Some((*id, link.adjacent?)));
        let is_up = |id: &InterfaceId| links.get(id).is_some_and(|link| link.is_up);
        let left_alone = self.quiet.iter().filter(|id| is_up(id));
        let left_alone = left_alone.filter_map(|id| Some((*id, self.lost.get(id)?.neighbor)));
        self.in_use = adjacent.chain(left_alone).collect();
        before.into_iter().filter(|id| !self.quiet.contains(id) && is_up(id)).collect()
    }
}

/// Returns how long after its loss a link waits: HOLDDOWN_INTERVAL, until the back-off that the loss has left in every
/// router is over (RFC 8405), and a margin.
///
/// A router whose back-off is not over would take the return later than others, and they would send by it what it sends back.
pub fn hold(config: &Config) -> Duration {
    config.spf_delay.holddown + MARGIN
}

/// Finds out which links are back and wait, and which flap and are left alone. Departure from RFC 2328 section 12.4.1.1, by
/// which a Full neighbor's link is in the Router-LSA at once, and from section 9.5, by which an interface that is up sends
/// Hellos.
pub fn handle_links(area: &mut Area, routing: &Routing, cx: &mut Cx<'_>) {
    let links: BTreeMap<InterfaceId, Link> =
        area.interfaces.iter().map(|(id, interface)| (*id, Link::of(interface))).collect();
    let is_settled = area.is_settled();
    let returns = &mut area.originations.returns;
    returns.handle_lost(&links, cx.now);
    let has_other_way = |id: InterfaceId, neighbor: RouterId| {
        let others = links.iter().filter(|(by, _)| **by != id);
        let others: BTreeSet<RouterId> = others.filter_map(|(_, link)| link.adjacent).collect();
        is_settled && routing.is_reached(neighbor, |router| others.contains(&router))
    };
    for id in returns.decide(&links, has_other_way, cx) {
        hello::start(area, id, cx);
        events::handle_input(area, id, NeighborInput::AdjOk, cx);
    }
}
