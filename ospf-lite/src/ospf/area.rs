//! An area: its interfaces, its database, and what the present input has left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{Family, InterfaceId, RouterId};
use crate::io::Event;
use crate::ospf::interface::Interface;
use crate::ospf::lsa::{LsType, LsaKey};
use crate::ospf::lsdb::{Lsdb, LsdbKey};
use crate::ospf::neighbor::{Neighbor, NeighborState};
use crate::ospf::outbox::Cx;
use crate::ospf::own::{Originations, Start};
use crate::ospf::refusal::Refusal;
use crate::ospf::view::Transit;
use crate::time::Instant;
use crate::timer::TimerKey;

/// How long after its first interface came up a router waits at least before it counts as settled: the neighbors with
/// the longest way answer the first Hello within it, and their links get into one Router-LSA.
pub const SETTLE_MIN: Duration = Duration::from_millis(300);
/// How long a router without point-to-point interfaces waits for one: the usual RouterDeadInterval.
pub const SETTLE_ALONE: Duration = Duration::from_secs(40);
/// How long a neighbor that has been heard may take to start the exchange of databases before it is not waited for.
pub const SETTLE_GRACE: Duration = Duration::from_secs(1);

/// The area.
#[derive(Debug)]
pub struct Area {
    /// The interfaces.
    pub interfaces: BTreeMap<InterfaceId, Interface>,
    /// The database.
    pub lsdb: Lsdb,
    /// What this router originates.
    pub originations: Originations,
    /// What the present input has left to do.
    pub due: Due,
    /// From when on the first of the next periodic Hellos may go; it may be a stale one's.
    pub hellos_from: Option<Instant>,
    /// The interfaces with whose neighbors the database is being compared.
    pub synchronizing: BTreeSet<InterfaceId>,
    /// Since when the first database is in.
    settled: Option<Instant>,
    patience: Patience,
}

/// What the settling of a router that has just started is reckoned from.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// When the first point-to-point interface came up.
    first_up: Option<Instant>,
    /// Until when to wait for anybody to be heard, and for databases that do not become equal.
    patience_until: Instant,
}

/// What must be done before an input is over.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Due {
    /// Links changed: they may have to wait, or to be taken up.
    pub links: bool,
    /// Facts changed that own LSAs are derived from.
    pub origination: bool,
    /// Which of this router's links count may have changed.
    pub topology: bool,
    /// Next hops may have changed.
    pub prefixes: bool,
    /// The LSAs that routes depend on and whose content changed.
    pub lsas: BTreeSet<LsaKey>,
    /// The content of an LSA that tells of the topology changed: neighbors are helped no longer.
    pub news: bool,
    /// The interfaces over which LSAs or acknowledgments may have to be sent.
    pub sending: BTreeSet<InterfaceId>,
}

impl Area {
    /// Makes an area without interfaces.
    pub fn new(router_id: RouterId, now: Instant) -> Self {
        Self {
            interfaces: BTreeMap::new(),
            lsdb: Lsdb::new(router_id),
            originations: Originations::default(),
            due: Due::default(),
            hellos_from: None,
            synchronizing: BTreeSet::new(),
            settled: None,
            patience: Patience { first_up: None, patience_until: now + SETTLE_ALONE },
        }
    }

    /// Returns whether the first database is in.
    pub const fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// Returns whether this router offers itself for transit (R-bit): when its first database is in and its routes have
    /// been put to use.
    pub fn offers_transit(&self) -> bool {
        let Originations { start, is_installed, .. } = &self.originations;
        self.is_settled() && *is_installed && *start != Start::Returning
    }

    /// Returns what this router offers other routers' traffic.
    pub fn transit(&self) -> Transit {
        match (self.offers_transit(), self.originations.is_stub_router) {
            (false, _) => Transit::Refused,
            (true, true) => Transit::LastResort,
            (true, false) => Transit::Offered,
        }
    }

    /// Returns whether a neighbor owes an acknowledgment of an own LSA.
    pub fn awaits_acknowledgment(&self, own: RouterId) -> bool {
        let is_own = |key: &LsdbKey| key.lsa.advertising_router == own;
        self.interfaces.values().any(|interface| {
            let unacknowledged =
                interface.neighbor.iter().flat_map(|neighbor| neighbor.retransmissions.keys());
            unacknowledged.chain(&interface.flooding).any(is_own)
        })
    }

    /// Returns when the first point-to-point interface came up.
    pub const fn started_at(&self) -> Option<Instant> {
        self.patience.first_up
    }

    /// Returns until when to wait for anybody to be heard.
    pub const fn patience_until(&self) -> Instant {
        self.patience.patience_until
    }

    /// Returns since when the first database is in.
    pub const fn settled_at(&self) -> Option<Instant> {
        self.settled
    }

    /// Returns whether the database is being compared with that of any neighbor.
    pub fn is_synchronizing(&self) -> bool {
        !self.synchronizing.is_empty()
    }

    /// Notes that the content of this LSA changed in the database.
    pub fn note_change(&mut self, key: &LsaKey, cx: &mut Cx<'_>) {
        self.due.news |= key.ls_type.is_topology();
        match key.ls_type {
            LsType::GRACE => {}
            // IPv6 next hops are the sources of packets; only IPv4 ones are in Link-LSAs.
            LsType::LINK => self.due.prefixes |= cx.config.family == Family::Ipv4,
            known if known.is_known() => _ = self.due.lsas.insert(*key),
            _ => cx.outbox.raise(Event::OtherLsasChanged),
        }
        if matches!(key.ls_type, LsType::ROUTER | LsType::NETWORK) {
            self.due.origination |= !self.is_settled();
        }
    }

    /// Notes that an interface came up over which routers may be heard for the first `dead_interval`.
    pub fn note_start(&mut self, dead_interval: Duration, now: Instant) {
        if self.patience.first_up.is_none() {
            self.patience = Patience { first_up: Some(now), patience_until: now + dead_interval };
        }
    }

    /// Settles when the first database is in.
    ///
    /// That is when an adjacency is Full, no database is being compared, and no neighbor is about to start; or when
    /// RouterDeadInterval has passed: whoever is there is not going to answer.
    pub fn handle_settling(&mut self, cx: &mut Cx<'_>) {
        if self.is_settled() || self.originations.is_restarting() {
            return;
        }
        let ready = self.settles_at();
        if cx.now < ready {
            cx.timers.arm(TimerKey::Settle, ready);
            return;
        }
        self.settle(cx);
    }

    /// Settles: the first database is in.
    pub fn settle(&mut self, cx: &mut Cx<'_>) {
        tracing::info!(family = %cx.config.family, "the first database is in");
        self.settled = Some(cx.now);
        self.due.origination = true;
        cx.timers.disarm(TimerKey::Settle);
    }

    /// Returns when the first database is in as far as can be told, unless something comes between.
    pub fn settles_at(&self) -> Instant {
        let Patience { first_up, patience_until } = self.patience;
        let is_full = self.neighbor_states().any(|(state, _)| state == NeighborState::Full);
        let Some(first_up) = first_up.filter(|_| is_full && !self.is_synchronizing()) else {
            return patience_until;
        };
        let others = self.neighbor_states().filter(|(state, _)| *state != NeighborState::Full);
        let awaited = others.map(|(_, since)| since + SETTLE_GRACE).max().unwrap_or_default();
        awaited.max(first_up + SETTLE_MIN).min(patience_until)
    }

    /// Returns how far the conversation with the neighbor of an interface has come.
    pub fn neighbor_state(&self, id: InterfaceId) -> NeighborState {
        self.interfaces
            .get(&id)
            .and_then(|interface| interface.neighbor.as_ref())
            .map_or(NeighborState::Down, |neighbor| neighbor.state)
    }

    /// Returns the neighbor of an interface.
    pub fn neighbor_mut(&mut self, id: InterfaceId) -> Result<&mut Neighbor, Refusal> {
        self.interfaces
            .get_mut(&id)
            .and_then(|interface| interface.neighbor.as_mut())
            .ok_or(Refusal::UnknownNeighbor)
    }

    fn neighbor_states(&self) -> impl Iterator<Item = (NeighborState, Instant)> {
        self.interfaces
            .values()
            .filter_map(|interface| interface.neighbor.as_ref())
            .map(|neighbor| (neighbor.state, neighbor.since))
    }
}
