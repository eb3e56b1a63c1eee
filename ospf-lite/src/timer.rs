//! Every deadline of an engine in one ordered queue.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::InterfaceId;
use crate::time::Instant;

/// What a deadline is for. A point-to-point link has one neighbor, so its interface names the neighbor's timers too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKey {
    /// The next periodic Hello.
    Hello(InterfaceId),
    /// A Hello that answers one, put off because another answer has just gone out.
    HelloAnswer(InterfaceId),
    /// The neighbor has been silent for RouterDeadInterval.
    Inactivity(InterfaceId),
    /// The link of a neighbor that is not Full counts no longer.
    Help(InterfaceId),
    /// The neighbor has not acknowledged that this router restarts.
    Announce(InterfaceId),
    /// The neighbor owes an answer: Database Description, requests or acknowledgments (RxmtInterval).
    Retransmit(InterfaceId),
    /// Delayed acknowledgments are due.
    Acknowledge(InterfaceId),
    /// LSAs waiting to be flooded may go out.
    Flood(InterfaceId),
    /// The first LSA of the database needs a refresh or reaches MaxAge.
    Aging,
    /// Flushed LSAs are looked through for those that every neighbor has acknowledged.
    Sweep,
    /// An own LSA that MinLSInterval held back may be originated.
    Originate,
    /// A link that was lost has waited.
    Return,
    /// The router has started, and must not wait for its neighbors any longer.
    Settle,
    /// The first routes have had the time to be put to use.
    Transit,
    /// The graceful restart of this router has had its time.
    Restart,
    /// SPF_TIMER of RFC 8405.
    ShortestPaths,
    /// LEARN_TIMER of RFC 8405.
    Learn,
    /// HOLDDOWN_TIMER of RFC 8405.
    Holddown,
    /// The routes are out, and their alternates may be computed.
    Alternates,
}

/// The armed deadlines, at most one per key. Equal deadlines come out in the order of their keys.
#[derive(Debug, Default)]
pub struct Timers {
    deadlines: BTreeMap<TimerKey, Instant>,
    queue: BTreeSet<(Instant, TimerKey)>,
}

impl Timers {
    /// Sets the deadline of a key, in place of the one it may have.
    pub fn arm(&mut self, key: TimerKey, at: Instant) {
        if let Some(old) = self.deadlines.insert(key, at) {
            if old == at {
                return;
            }
            self.queue.remove(&(old, key));
        }
        self.queue.insert((at, key));
    }

    /// Sets the deadline of a key unless it has an earlier one.
    pub fn arm_no_later(&mut self, key: TimerKey, at: Instant) {
        if self.deadline(key).is_none_or(|old| at < old) {
            self.arm(key, at);
        }
    }

    /// Takes the deadline of a key away.
    pub fn disarm(&mut self, key: TimerKey) {
        if let Some(old) = self.deadlines.remove(&key) {
            self.queue.remove(&(old, key));
        }
    }

    /// Returns the deadline of a key.
    pub fn deadline(&self, key: TimerKey) -> Option<Instant> {
        self.deadlines.get(&key).copied()
    }

    /// Returns the first deadline.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Returns the keys whose deadline has come.
    pub fn due(&self, now: Instant) -> impl Iterator<Item = TimerKey> {
        self.queue.iter().take_while(move |(at, _)| *at <= now).map(|(_, key)| *key)
    }

    /// Takes out the first key whose deadline has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        let (at, key) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        self.deadlines.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    #[test]
    fn deadlines_come_out_in_order_and_none_before_its_time() {
        let mut timers = Timers::default();
        timers.arm(TimerKey::Sweep, at(2));
        timers.arm(TimerKey::Aging, at(2));
        timers.arm(TimerKey::Originate, at(1));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.pop_due(at(0)), None);
        assert_eq!(timers.pop_due(at(2)), Some(TimerKey::Originate));
        assert_eq!(timers.pop_due(at(2)), Some(TimerKey::Aging));
        assert_eq!(timers.pop_due(at(2)), Some(TimerKey::Sweep));
        assert_eq!(timers.pop_due(at(2)), None);
    }

    #[test]
    fn a_key_has_one_deadline() {
        let mut timers = Timers::default();
        timers.arm(TimerKey::Aging, at(5));
        timers.arm(TimerKey::Aging, at(3));
        timers.arm_no_later(TimerKey::Aging, at(4));
        assert_eq!(timers.deadline(TimerKey::Aging), Some(at(3)));
        assert_eq!(timers.pop_due(at(9)), Some(TimerKey::Aging));
        assert_eq!(timers.pop_due(at(9)), None);
    }

    #[test]
    fn a_disarmed_deadline_never_comes() {
        let mut timers = Timers::default();
        timers.arm(TimerKey::Aging, at(5));
        timers.disarm(TimerKey::Aging);
        assert_eq!(timers.next(), None);
        assert_eq!(timers.pop_due(at(9)), None);
    }
}
