//! Links that come back soon after they were lost: where there is another way to the neighbor, they wait until the routers
//! around are through with the loss, and take the good news all alike. Those that are lost again and again are left alone
//! until they stay, or are the only way; of several that are, one alone is taken up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Config;
use crate::ids::{InterfaceId, RouterId};
use crate::ospf::area::Area;
use crate::ospf::interface::{Interface, InterfaceState, hello};
use crate::ospf::neighbor::{Neighbor, NeighborInput, NeighborState, events};
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
/// How long an adjacency that has begun counts as a way that is about to be there.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How long the first of several links that are taken up counts so before its neighbor answers: about as long as it takes until
/// the far end has heard that it is needed.
pub const ANSWER: Duration = Duration::from_millis(30);

/// Which links are on their way back.
#[derive(Debug, Default)]
pub struct Returns {
    /// Those that may be lost, as they were when it was last looked.
    in_use: BTreeMap<InterfaceId, Use>,
    /// How those were lost that may be lost again in a row.
    lost: BTreeMap<InterfaceId, Loss>,
    /// Those that are back and not told of.
    held: BTreeSet<InterfaceId>,
    /// Those that flap and are left alone, up or down.
    quiet: BTreeSet<InterfaceId>,
    /// Those that flap and have no adjacency: what they would add to the area is about to be lost again.
    untold: BTreeSet<InterfaceId>,
    /// Those by which there is about to be a way.
    coming: BTreeMap<InterfaceId, Coming>,
    /// Those that are taken down on purpose: no loss that counts in a row.
    intended: BTreeSet<InterfaceId>,
}

/// A link that may be lost.
#[derive(Debug, Clone, Copy)]
struct Use {
    /// Who is at the far end.
    neighbor: RouterId,
    /// Whether there is an adjacency; else it flaps, and is up.
    is_adjacent: bool,
}

/// A link whose adjacency is not there yet.
#[derive(Debug, Clone, Copy)]
struct Coming {
    /// Who is at the far end.
    neighbor: RouterId,
    /// Whether the adjacency has begun; else the link was taken up before others.
    is_begun: bool,
    /// Until when it counts as a way.
    until: Instant,
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
    /// The neighbor with which an adjacency has begun.
    begun: Option<RouterId>,
}

impl Link {
    fn of(interface: &Interface) -> Self {
        let is_up = interface.state == InterfaceState::PointToPoint;
        let neighbor = interface.neighbor.as_ref().filter(|_| is_up);
        let who = |neighbor: &Neighbor| neighbor.router_id;
        Self {
            is_up,
            adjacent: neighbor.filter(|neighbor| neighbor.is_adjacent()).map(who),
            begun: neighbor.filter(|neighbor| neighbor.state > NeighborState::TwoWay).map(who),
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

    /// Returns whether a link flaps and has no adjacency: its prefixes are not to be told of.
    pub fn is_untold(&self, id: InterfaceId) -> bool {
        self.untold.contains(&id)
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

    /// Returns the link that was lost last: where links flap alike it stays for longest.
    fn latest(&self, links: &BTreeSet<InterfaceId>) -> Option<InterfaceId> {
        links.iter().copied().max_by_key(|id| self.lost.get(id).map(|loss| loss.at))
    }

    /// Takes in which links are in use no longer.
    fn handle_lost(&mut self, links: &BTreeMap<InterfaceId, Link>, now: Instant) {
        for (id, Use { neighbor, is_adjacent }) in &self.in_use {
            let stands = |link: &Link| if *is_adjacent { link.adjacent.is_some() } else { link.is_up };
            if links.get(id).is_some_and(stands) {
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

    /// Takes that a link is taken up and the others wait for its answer. If one did so in vain, they do not wait again.
    fn ask(&mut self, id: InterfaceId, now: Instant) {
        let Some(Loss { neighbor, .. }) = self.lost.get(&id) else { return };
        if self.coming.values().all(|coming| coming.is_begun) {
            self.coming.insert(id, Coming { neighbor: *neighbor, is_begun: false, until: now + ANSWER });
        }
    }

    /// Returns whether there is about to be a way by a link.
    fn is_coming(&self, id: InterfaceId, now: Instant) -> bool {
        self.coming.get(&id).is_some_and(|coming| now < coming.until)
    }

    /// Takes in by which links there is about to be a way, for as long as one that flaps may wait for that.
    fn handle_begun(&mut self, links: &BTreeMap<InterfaceId, Link>, cx: &mut Cx<'_>) {
        let before = std::mem::take(&mut self.coming);
        let still = |id: &InterfaceId, link: &Link| {
            let before = before.get(id).filter(|before| before.is_begun == link.begun.is_some());
            let begun = |neighbor| Coming { neighbor, is_begun: true, until: cx.now + PATIENCE };
            before.copied().or_else(|| link.begun.map(begun))
        };
        let absent = links.iter().filter(|(_, link)| link.is_up && link.adjacent.is_none());
        self.coming = absent.filter_map(|(id, link)| Some((*id, still(id, link)?))).collect();
        if self.lost.values().any(Loss::flaps) {
            let over = self.coming.values().map(|coming| coming.until).filter(|until| cx.now < *until);
            over.for_each(|over| cx.timers.arm_no_later(TimerKey::Return, over));
        }
    }

    /// Finds out which links wait, and for how long at most; returns those that are left alone no longer. `is_reached` says
    /// whether there is a way to a router by any of others.
    fn decide(
        &mut self,
        links: &BTreeMap<InterfaceId, Link>,
        is_reached: impl Fn(RouterId, &BTreeSet<RouterId>) -> bool,
        cx: &mut Cx<'_>,
    ) -> BTreeSet<InterfaceId> {
        let before = std::mem::take(&mut self.quiet);
        self.held.clear();
        self.untold.clear();
        for (id, loss) in &mut self.lost {
            let link = links.get(id);
            let is_adjacent = link.is_some_and(|link| link.adjacent.is_some());
            let is_begun = link.is_some_and(|link| link.begun.is_some());
            if !is_adjacent && loss.flaps() && cx.now < loss.at + CALM {
                self.untold.insert(*id);
                cx.timers.arm_no_later(TimerKey::Return, loss.at + CALM);
            }
            let others = links.iter().filter(|(by, _)| *by != id);
            let mut others: BTreeSet<RouterId> = others.filter_map(|(_, link)| link.adjacent).collect();
            let (waiting, until) = match is_adjacent {
                true if !loss.is_told => (&mut self.held, loss.at + hold(cx.config)),
                false if loss.flaps() && !is_begun => {
                    let coming = self.coming.iter().filter(|(by, coming)| *by != id && cx.now < coming.until);
                    others.extend(coming.map(|(_, coming)| coming.neighbor));
                    (&mut self.quiet, loss.at + CALM)
                }
                _ => continue,
            };
            if cx.now < until && is_reached(loss.neighbor, &others) {
                waiting.insert(*id);
                cx.timers.arm_no_later(TimerKey::Return, until);
            } else {
                loss.is_told |= is_adjacent;
            }
        }
        self.coming.retain(|id, _| !self.quiet.contains(id));
        let is_up = |id: &InterfaceId| links.get(id).is_some_and(|link| link.is_up);
        let flapping = self.lost.iter().filter(|(id, loss)| loss.flaps() && is_up(id));
        let flapping = flapping.map(|(id, loss)| (*id, Use { neighbor: loss.neighbor, is_adjacent: false }));
        let adjacent = links.iter().filter_map(|(id, link)| Some((*id, link.adjacent?)));
        let adjacent = adjacent.map(|(id, neighbor)| (id, Use { neighbor, is_adjacent: true }));
        self.in_use = flapping.chain(adjacent).collect();
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
    area.due.links = false;
    let mut taken_up = look(area, routing, cx);
    while let Some(id) = area.originations.returns.latest(&taken_up) {
        taken_up.remove(&id);
        if !taken_up.is_empty() {
            area.originations.returns.ask(id, cx.now);
        }
        hello::start(area, id, cx);
        events::handle_input(area, id, NeighborInput::AdjOk, cx);
        let is_begun = area.interfaces.get(&id).is_some_and(|interface| Link::of(interface).begun.is_some());
        let is_way = is_begun || area.originations.returns.is_coming(id, cx.now);
        if is_way && !taken_up.is_empty() {
            // It may be the way for which the others were to be taken up.
            taken_up.extend(look(area, routing, cx));
            taken_up.retain(|id| !area.originations.returns.is_quiet(*id));
        }
    }
}

/// Looks at all links, and returns those that are left alone no longer.
fn look(area: &mut Area, routing: &Routing, cx: &mut Cx<'_>) -> BTreeSet<InterfaceId> {
    let links: BTreeMap<InterfaceId, Link> =
        area.interfaces.iter().map(|(id, interface)| (*id, Link::of(interface))).collect();
    let is_settled = area.is_settled();
    let is_reached = |neighbor: RouterId, others: &BTreeSet<RouterId>| {
        is_settled && routing.is_reached(neighbor, |router| others.contains(&router))
    };
    let returns = &mut area.originations.returns;
    let before = (returns.held.clone(), returns.quiet.clone(), returns.untold.clone());
    returns.handle_lost(&links, cx.now);
    returns.handle_begun(&links, cx);
    let taken_up = returns.decide(&links, is_reached, cx);
    for id in returns.quiet.difference(&before.1) {
        [TimerKey::Hello(*id), TimerKey::HelloAnswer(*id)].into_iter().for_each(|key| cx.timers.disarm(key));
    }
    area.due.origination |=
        before.0 != returns.held || before.1 != returns.quiet || before.2 != returns.untold;
    taken_up
}
