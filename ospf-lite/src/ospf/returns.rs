//! Links that come back soon after they were lost: where there is another way to the neighbor, they wait until the routers
//! around are through with the loss, and take the good news all alike.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Config;
use crate::ids::{InterfaceId, RouterId};
use crate::ospf::area::Area;
use crate::ospf::interface::InterfaceState;
use crate::ospf::neighbor::Neighbor;
use crate::ospf::outbox::Cx;
use crate::ospf::routing::Routing;
use crate::time::Instant;
use crate::timer::TimerKey;

/// How much later than this router the last one may have heard of the loss and calculated.
pub const MARGIN: Duration = Duration::from_secs(1);

/// Which links are on their way back.
#[derive(Debug, Default)]
pub struct Returns {
    /// Those with an adjacency when it was last looked.
    adjacent: BTreeSet<InterfaceId>,
    /// When the others were lost, as long as that matters.
    lost: BTreeMap<InterfaceId, Instant>,
    /// Those that are back and not told of.
    held: BTreeSet<InterfaceId>,
}

impl Returns {
    /// Returns whether a link's return is not to be told of.
    pub fn holds(&self, id: InterfaceId) -> bool {
        self.held.contains(&id)
    }

    /// Returns whether any is.
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }
}

/// Returns how long after its loss a link waits: HOLDDOWN_INTERVAL, until the back-off that the loss has left in every
/// router is over (RFC 8405), and a margin.
///
/// A router whose back-off is not over would take the return later than others, and they would send by it what it sends back.
pub fn hold(config: &Config) -> Duration {
    config.spf_delay.holddown + MARGIN
}

/// Finds out which links are back and wait. Departure from RFC 2328 section 12.4.1.1, by which a Full neighbor's link is in the
/// Router-LSA at once.
pub fn handle_adjacencies(area: &mut Area, routing: &Routing, cx: &mut Cx<'_>) {
    let present: BTreeMap<InterfaceId, RouterId> = area
        .interfaces
        .iter()
        .filter(|(_, interface)| interface.state != InterfaceState::Down)
        .filter_map(|(id, interface)| Some((*id, interface.neighbor.as_ref()?)))
        .filter(|(_, neighbor)| Neighbor::is_adjacent(neighbor))
        .map(|(id, neighbor)| (id, neighbor.router_id))
        .collect();
    let is_settled = area.is_settled();
    let Returns { adjacent, lost, held } = &mut area.originations.returns;
    let now_lost = adjacent.iter().filter(|id| !present.contains_key(id));
    lost.extend(now_lost.map(|id| (*id, cx.now)));
    *adjacent = present.keys().copied().collect();
    held.clear();
    let hold = hold(cx.config);
    lost.retain(|id, since| {
        let until = *since + hold;
        let Some(neighbor) = present.get(id) else { return cx.now < until };
        let is_other = |by: InterfaceId| by != *id && present.contains_key(&by);
        let waits = is_settled && cx.now < until && routing.leads_to(*neighbor, is_other);
        if waits {
            held.insert(*id);
            cx.timers.arm_no_later(TimerKey::Originate, until);
        }
        waits
    });
}
