//! Intervals: what both ends agree on, and the jitter (RFC 5880 sections 6.8.2 to 6.8.4 and 6.8.7).

use std::num::NonZeroU8;
use std::time::Duration;

use super::packet::ControlPacket;
use crate::random::Random;

/// The least interval at which an end sends while its session is not Up (section 6.8.3).
pub const SLOW_INTERVAL: Duration = Duration::from_secs(1);

/// This end's intervals: what it tells, and what it goes by.
///
/// They differ while the far end may not know of a change yet (section 6.8.3): sending slower and expecting packets
/// sooner both wait until the Poll Sequence is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// bfd.DesiredMinTxInterval, as told.
    pub desired_min_tx: Duration,
    /// bfd.RequiredMinRxInterval, as told.
    pub required_min_rx: Duration,
    used_min_tx: Duration,
    used_min_rx: Duration,
}

impl Local {
    /// Makes those of a session that begins.
    pub fn new(interval: Duration) -> Self {
        let slow = interval.max(SLOW_INTERVAL);
        Self { desired_min_tx: slow, required_min_rx: interval, used_min_tx: slow, used_min_rx: interval }
    }

    /// Takes over what is wanted, and returns whether anything changed that the far end must be told by a Poll Sequence.
    pub fn change(&mut self, interval: Duration, is_up: bool) -> bool {
        let desired_min_tx = if is_up { interval } else { interval.max(SLOW_INTERVAL) };
        let is_changed = (self.desired_min_tx, self.required_min_rx) != (desired_min_tx, interval);
        self.desired_min_tx = desired_min_tx;
        self.required_min_rx = interval;
        if is_up {
            self.used_min_tx = self.used_min_tx.min(desired_min_tx);
            self.used_min_rx = self.used_min_rx.max(interval);
        } else {
            self.settle();
        }
        is_changed
    }

    /// Goes by what was told: the far end knows it, or does not matter.
    pub const fn settle(&mut self) {
        self.used_min_tx = self.desired_min_tx;
        self.used_min_rx = self.required_min_rx;
    }
}

/// What the far end told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    /// Its Desired Min TX Interval.
    pub desired_min_tx: Duration,
    /// bfd.RemoteMinRxInterval.
    pub required_min_rx: Duration,
    /// Its Detect Mult.
    pub detect_mult: NonZeroU8,
}

impl Default for Remote {
    /// Those of a far end that has not been heard: RemoteMinRxInterval is 1 microsecond (section 6.8.1).
    fn default() -> Self {
        Self {
            desired_min_tx: SLOW_INTERVAL,
            required_min_rx: Duration::from_micros(1),
            detect_mult: NonZeroU8::MIN,
        }
    }
}

impl From<&ControlPacket> for Remote {
    fn from(packet: &ControlPacket) -> Self {
        Self {
            desired_min_tx: packet.desired_min_tx,
            required_min_rx: packet.required_min_rx,
            detect_mult: packet.detect_mult,
        }
    }
}

/// Returns the interval between this end's periodic packets before jitter; nothing when the far end wants none (section
/// 6.8.7).
pub fn transmit_interval(local: &Local, remote: &Remote) -> Option<Duration> {
    (!remote.required_min_rx.is_zero()).then(|| local.used_min_tx.max(remote.required_min_rx))
}

/// Returns the longest interval between the far end's periodic packets.
pub fn receive_interval(local: &Local, remote: &Remote) -> Duration {
    local.used_min_rx.max(remote.desired_min_tx)
}

/// Returns the Detection Time in Asynchronous mode (section 6.8.4).
pub fn detection_time(local: &Local, remote: &Remote) -> Duration {
    receive_interval(local, remote).saturating_mul(u32::from(remote.detect_mult.get()))
}

/// Returns the time to the next periodic packet: 75 to 100 % of the interval, and at most 90 % where the first packet
/// missed is a failure (section 6.8.7).
pub fn jittered(interval: Duration, detect_mult: NonZeroU8, random: &mut Random) -> Duration {
    let longest = if detect_mult == NonZeroU8::MIN { interval / 10 * 9 } else { interval };
    let shortest = shortest(interval);
    shortest + random.below(longest.saturating_sub(shortest))
}

/// Returns how soon a periodic packet may follow the one before: 75 % of the interval.
pub fn shortest(interval: Duration) -> Duration {
    interval / 4 * 3
}
