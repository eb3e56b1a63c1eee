//! A link of a world: what it does to the packets that cross it.

use std::time::Duration;

use super::topology::{PerSide, Side, TopologyLink};
use crate::ids::Cost;
use crate::time::Instant;

/// What a link does to packets. Probabilities are in packets of a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkQuality {
    /// How long a packet takes at least.
    pub delay: Duration,
    /// How much longer it may take.
    pub jitter: Duration,
    /// How many packets are lost.
    pub loss: u16,
    /// How many arrive twice.
    pub duplication: u16,
    /// How many may be overtaken by later ones; the others arrive in order.
    pub reordering: u16,
}

impl LinkQuality {
    /// A link that delivers everything once and in order after a millisecond.
    pub const GOOD: Self = Self {
        delay: Duration::from_millis(1),
        jitter: Duration::ZERO,
        loss: 0,
        duplication: 0,
        reordering: 0,
    };

    /// A link over a busy radio: slow, uneven, with a tenth of the packets lost.
    pub const POOR: Self = Self {
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(80),
        loss: 100,
        duplication: 50,
        reordering: 200,
    };
}

/// A link and its condition.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub topology: TopologyLink,
    /// The cost that each end has configured.
    pub costs: PerSide<Cost>,
    pub quality: LinkQuality,
    /// Whether the ends' devices say that they can carry packets.
    pub carrier: bool,
    /// Whether packets sent at an end vanish without a sign.
    pub blocked: PerSide<bool>,
    /// Whether what watches the link has last said that packets cross it.
    pub reported: bool,
    /// When the last packet sent at an end arrives.
    arrives: PerSide<Instant>,
}

impl Link {
    pub fn new(topology: TopologyLink, quality: LinkQuality) -> Self {
        Self {
            topology,
            costs: topology.costs,
            quality,
            carrier: true,
            blocked: PerSide::default(),
            reported: true,
            arrives: PerSide::default(),
        }
    }

    /// Returns whether a packet sent at an end can arrive.
    pub fn carries(&self, from: Side) -> bool {
        self.carrier && !self.blocked.at(from)
    }

    /// Returns whether packets cross in both directions.
    pub fn is_whole(&self) -> bool {
        self.carries(Side::A) && self.carries(Side::B)
    }

    /// Returns when a packet sent at an end arrives: never, once or twice.
    pub fn send(&mut self, now: Instant, from: Side, rng: &mut fastrand::Rng) -> [Option<Instant>; 2] {
        if !self.carries(from) || happens(self.quality.loss, rng) {
            return [None; 2];
        }
        let first = self.arrival(now, from, rng);
        let second = happens(self.quality.duplication, rng).then(|| self.arrival(now, from, rng));
        [Some(first), second]
    }

    fn arrival(&mut self, now: Instant, from: Side, rng: &mut fastrand::Rng) -> Instant {
        let jitter = u64::try_from(self.quality.jitter.as_micros()).unwrap_or(u64::MAX);
        let at = now
            + self.quality.delay
            + Duration::from_micros(if jitter == 0 { 0 } else { rng.u64(0..jitter) });
        if happens(self.quality.reordering, rng) {
            return at;
        }
        let last = self.arrives.at_mut(from);
        *last = at.max(*last);
        *last
    }
}

/// Returns whether something that happens in `per_thousand` cases of a thousand happens. Draws only when in doubt.
fn happens(per_thousand: u16, rng: &mut fastrand::Rng) -> bool {
    per_thousand > 0 && rng.u16(0..1000) < per_thousand
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::topology::Topology;

    fn arrivals(quality: LinkQuality) -> Vec<[Option<Instant>; 2]> {
        let topology = Topology::line(2);
        let mut link = Link::new(topology.links[0], quality);
        let mut rng = fastrand::Rng::with_seed(1);
        (0..1000).map(|packet| link.send(Instant::from_micros(packet * 100), Side::A, &mut rng)).collect()
    }

    #[test]
    fn packets_stay_in_order_unless_reordering_is_asked_for() {
        let quality = LinkQuality { jitter: Duration::from_millis(9), ..LinkQuality::GOOD };
        let in_order = |all: &[[Option<Instant>; 2]]| all.iter().map(|pair| pair[0]).is_sorted();
        assert!(in_order(&arrivals(quality)));
        assert!(!in_order(&arrivals(LinkQuality { reordering: 100, ..quality })));
    }

    #[test]
    fn loss_and_duplication_are_about_as_frequent_as_asked_for() {
        let all = arrivals(LinkQuality { loss: 200, duplication: 100, ..LinkQuality::GOOD });
        let lost = all.iter().filter(|pair| pair[0].is_none()).count();
        let doubled = all.iter().filter(|pair| pair[1].is_some()).count();
        assert!((150..250).contains(&lost), "{lost}");
        assert!((50..130).contains(&doubled), "{doubled}");
    }

    #[test]
    fn a_blocked_direction_leaves_the_other_open() {
        let mut link = Link::new(Topology::line(2).links[0], LinkQuality::GOOD);
        link.blocked.a = true;
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(link.send(Instant::ORIGIN, Side::A, &mut rng), [None; 2]);
        assert!(link.send(Instant::ORIGIN, Side::B, &mut rng)[0].is_some());
        assert!(!link.is_whole());
    }
}
