//! How much time refused packets may take: a flood on one link must not cost the whole processor, nor starve the others.

use std::time::Duration;

use crate::time::Instant;

/// What the shares are of.
const WINDOW: Duration = Duration::from_millis(100);
/// What the refused packets of one device may take of a window. A device that has used it up is read again when the next
/// window begins; what does not fit into its socket meanwhile is lost, as on a link that is full.
const SHARE: Duration = Duration::from_millis(25);

/// The time that a device's refused packets have taken in the present window.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    since: Instant,
    spent: Duration,
}

impl Budget {
    /// Takes down that a refused packet has taken so long, up to `now`.
    pub fn charge(&mut self, now: Instant, time: Duration) {
        if now.since(self.since) >= WINDOW {
            *self = Self { since: now, spent: Duration::ZERO };
        }
        self.spent += time;
    }

    /// Returns until when the device is not read.
    pub fn paused_until(&self) -> Option<Instant> {
        (self.spent >= SHARE).then(|| self.since + WINDOW)
    }

    /// Returns whether the device is not read at `now`.
    pub fn is_paused(&self, now: Instant) -> bool {
        self.paused_until().is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    #[test]
    fn a_flood_takes_its_share_of_each_window_and_no_more() {
        let mut budget = Budget::default();
        let (mut spent, mut now) = (0, 1_000);
        while now < 11_000 {
            if !budget.is_paused(at(now)) {
                budget.charge(at(now + 1), Duration::from_millis(1));
                spent += 1;
            }
            now += 1;
        }
        assert!((2_300..=2_600).contains(&spent), "{spent} ms of 10 s");
    }

    #[test]
    fn a_device_that_was_paused_is_read_again_in_the_next_window() {
        let mut budget = Budget::default();
        budget.charge(at(500), SHARE);
        assert!(budget.is_paused(at(501)) && budget.is_paused(at(599)));
        assert!(!budget.is_paused(at(600)));
        budget.charge(at(601), Duration::from_millis(1));
        assert_eq!(budget.paused_until(), None);
    }
}
