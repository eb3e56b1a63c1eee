//! An area: its interfaces, its database, and what the present input has left to do.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{InterfaceId, RouterId};
use crate::io::Event;
use crate::ospf::interface::{Interface, InterfaceState};
use crate::ospf::lsa::LsType;
use crate::ospf::lsdb::Lsdb;
use crate::ospf::neighbor::NeighborState;
use crate::ospf::originate::Originations;
use crate::ospf::outbox::Cx;
use crate::time::Instant;
use crate::timer::TimerKey;

/// How long after its first interface came up a router waits at least before it counts as settled: the neighbors with
/// the longest way answer the first Hello within it, and their links get into one Router-LSA.
pub const SETTLE_MIN: Duration = Duration::from_millis(300);
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
    /// Whether the first database is in.
    settled: bool,
    /// When the first point-to-point interface came up, and until when to wait for anybody to be heard.
    started: Option<(Instant, Instant)>,
}

/// What must be done before an input is over.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Facts changed that own LSAs are derived from.
    pub origination: bool,
    /// The graph may have changed.
    pub topology: bool,
    /// Prefixes or next hops may have changed.
    pub prefixes: bool,
}

impl Area {
    /// Makes an area without interfaces.
    pub fn new(router_id: RouterId) -> Self {
        Self {
            interfaces: BTreeMap::new(),
            lsdb: Lsdb::new(router_id),
            originations: Originations::default(),
            due: Due::default(),
            settled: false,
            started: None,
        }
    }

    /// Returns whether the first database is in.
    pub const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Returns whether the database is being compared with that of any neighbor.
    pub fn is_synchronizing(&self) -> bool {
        self.neighbor_states().any(|(state, _)| state.is_synchronizing())
    }

    /// Notes that the content of the database changed in an LSA of this type.
    pub fn note_change(&mut self, ls_type: LsType, cx: &mut Cx<'_>) {
        cx.outbox.raise(Event::DatabaseChanged);
        match ls_type {
            LsType::ROUTER | LsType::NETWORK => self.due.topology = true,
            known if known.is_known() => self.due.prefixes = true,
            _ => {}
        }
    }

    /// Notes that an interface came up over which routers may be heard for the first `dead_interval`.
    pub fn note_start(&mut self, dead_interval: Duration, cx: &mut Cx<'_>) {
        if !self.settled && self.started.is_none() {
            self.started = Some((cx.now, cx.now + dead_interval));
            cx.timers.arm(TimerKey::Settle, cx.now + SETTLE_MIN);
        }
    }

    /// Settles when the first database is in.
    ///
    /// That is when an adjacency is Full, no database is being compared, and no neighbor is about to start; or when
    /// RouterDeadInterval has passed and no database is being compared: whoever is there is not going to answer.
    pub fn handle_settling(&mut self, cx: &mut Cx<'_>) {
        let Some((started, heard_until)) = self.started.filter(|_| !self.settled) else {
            return;
        };
        let is_full = self.neighbor_states().any(|(state, _)| state == NeighborState::Full);
        let awaited = self
            .neighbor_states()
            .filter(|(state, _)| *state != NeighborState::Full)
            .map(|(_, since)| since + SETTLE_GRACE)
            .max();
        let ready =
            if is_full { awaited.unwrap_or(Instant::ORIGIN).max(started + SETTLE_MIN) } else { heard_until };
        if cx.now < ready {
            cx.timers.arm(TimerKey::Settle, ready);
        } else if !self.is_synchronizing() || cx.now >= heard_until {
            tracing::info!("the first database is in");
            self.settled = true;
            self.due.origination = true;
            cx.timers.disarm(TimerKey::Settle);
        }
    }

    /// Returns the interfaces over which packets are exchanged.
    pub fn links(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.values().filter(|interface| interface.state == InterfaceState::PointToPoint)
    }

    fn neighbor_states(&self) -> impl Iterator<Item = (NeighborState, Instant)> {
        self.interfaces
            .values()
            .filter_map(|interface| interface.neighbor.as_ref())
            .map(|neighbor| (neighbor.state, neighbor.since))
    }
}
