//! What this router originates, and how often it may (RFC 2328 section 12.4).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ospf::lsa::RestartReason;
use crate::ospf::lsdb::LsdbKey;
use crate::ospf::returns::Returns;
use crate::ospf::wanted::{Places, Private};
use crate::time::Instant;

/// MinLSInterval (RFC 2328 appendix B).
pub const MIN_LS_INTERVAL: Duration = Duration::from_secs(5);
/// How soon the second origination in a row may follow the first. Departure from RFC 2328 section 12.4, which has
/// MinLSInterval here: after a failure and its repair the network must not wait five seconds. A little over
/// MinLSArrival, for the two instances may take ways of different length.
pub const SECOND_INTERVAL: Duration = Duration::from_millis(1100);

/// What this router originates, and when it last did.
#[derive(Debug, Default)]
pub struct Originations {
    /// The owner's content.
    pub private: Private,
    /// Under which Link State ID each link and prefix is.
    pub places: Places,
    /// When each was last originated, as long as that matters.
    pub throttles: BTreeMap<LsdbKey, Throttle>,
    /// Those to originate again though their content has not changed.
    pub refreshes: BTreeSet<LsdbKey>,
    /// What the others know of this router as it starts.
    pub start: Start,
    /// A graceful restart of this router, or what is left of it.
    pub restart: Option<Restart>,
    /// Whether this router is about to leave the area: then it wants nothing originated.
    pub leaves: bool,
    /// Whether other routers' traffic is to keep away from this one (RFC 6987).
    pub is_stub_router: bool,
    /// Whether the routes are in use.
    pub is_installed: bool,
    /// Links that were lost and come back.
    pub returns: Returns,
    /// Until when the Router-LSAs wait for the router to settle; set when the first link is there.
    pub held_until: Option<Instant>,
}

/// What the others know of a router that starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Start {
    /// Nothing; or it is not known yet what.
    #[default]
    Unknown,
    /// Its earlier life's Router-LSA, and they still count on it: only its routing was restarted.
    Resuming,
    /// Its earlier life's Router-LSA, but they have given it up: it comes back with nothing in place.
    Returning,
}

/// A graceful restart of this router (RFC 3623 section 2). The neighbors hold a Grace-LSA all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// It is going to stop, and has asked for grace.
    Announced {
        /// Why it stops.
        reason: RestartReason,
    },
    /// It has started again, and originates nothing while its adjacencies come back.
    Running {
        /// When the grace period is over.
        until: Instant,
    },
    /// It is done; its neighbors are told so a little later.
    Lingering,
}

impl Originations {
    /// Returns until when the adjacencies of the time before a restart may take to come back, while they do.
    pub const fn restart_until(&self) -> Option<Instant> {
        match self.restart {
            Some(Restart::Running { until }) => Some(until),
            Some(Restart::Announced { .. } | Restart::Lingering) | None => None,
        }
    }

    /// Returns whether the adjacencies of the time before a restart are still on their way back.
    pub const fn is_restarting(&self) -> bool {
        self.restart_until().is_some()
    }

    /// Notes that an own LSA must be refreshed.
    pub fn refresh(&mut self, key: LsdbKey) {
        self.refreshes.insert(key);
    }
}

/// When an LSA was last originated, and as the how many-th in a row. Each MinLSInterval without another takes one off, so
/// that a link that fails, comes back and fails once more some seconds later is told of as soon as the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    last: Instant,
    in_a_row: u8,
}

/// What the row counts to: from here on all are MinLSInterval apart.
const IN_A_ROW_MAX: u8 = 2;

impl Throttle {
    /// Returns whether the next origination still counts as one of the row.
    pub fn matters(self, now: Instant) -> bool {
        self.left(now) > 0
    }

    /// Returns how many of the row still count.
    fn left(self, now: Instant) -> u8 {
        let passed = now.since(self.last).as_secs() / MIN_LS_INTERVAL.as_secs();
        self.in_a_row.saturating_sub(u8::try_from(passed).unwrap_or(u8::MAX))
    }

    /// Returns when the next instance may follow.
    pub fn allowed_at(self) -> Instant {
        self.last + if self.in_a_row > 1 { MIN_LS_INTERVAL } else { SECOND_INTERVAL }
    }

    /// Returns what an origination at `now` leaves. The few of a router that starts count as one.
    pub fn after(old: Option<Self>, now: Instant, starts: bool) -> Self {
        if starts {
            return Self { last: now, in_a_row: 1 };
        }
        let in_a_row = old.map_or(0, |old| old.left(now)) + 1;
        Self { last: now, in_a_row: in_a_row.min(IN_A_ROW_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn origination_slows_down_in_a_row_and_recovers_when_it_is_quiet() {
        let start = Instant::ORIGIN + seconds(100);
        let first = Throttle::after(None, start, false);
        assert_eq!(first.allowed_at(), start + SECOND_INTERVAL);
        let second = Throttle::after(Some(first), first.allowed_at(), false);
        assert_eq!(second.allowed_at(), first.allowed_at() + MIN_LS_INTERVAL);
        let third = Throttle::after(Some(second), second.allowed_at(), false);
        assert_eq!(third.allowed_at(), second.allowed_at() + MIN_LS_INTERVAL);
        let quiet = third.last + 2 * MIN_LS_INTERVAL;
        assert!(!third.matters(quiet));
        assert_eq!(Throttle::after(Some(third), quiet, false).allowed_at(), quiet + SECOND_INTERVAL);
    }

    #[test]
    fn one_origination_every_five_seconds_never_makes_a_row() {
        let mut throttle = Throttle::after(None, Instant::ORIGIN, false);
        for step in 1..100 {
            let now = Instant::ORIGIN + step * MIN_LS_INTERVAL;
            throttle = Throttle::after(Some(throttle), now, false);
            assert_eq!(throttle.allowed_at(), now + SECOND_INTERVAL);
        }
    }

    #[test]
    fn a_row_of_any_length_is_forgotten_after_twice_min_ls_interval() {
        let mut throttle = Throttle::after(None, Instant::ORIGIN, false);
        for _ in 0..1_000 {
            throttle = Throttle::after(Some(throttle), throttle.allowed_at(), false);
        }
        assert!(throttle.matters(throttle.last + 2 * MIN_LS_INTERVAL - seconds(1)));
        assert!(!throttle.matters(throttle.last + 2 * MIN_LS_INTERVAL));
    }
}
