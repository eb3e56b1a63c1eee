//! The one real clock: turns the operating system's monotonic time into the machines' time line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::time::TimeSpec;

use crate::time::Instant;

/// What musl adds to a packet's stamp on 32-bit systems, where there is room: the same one with 64 bits. Where there is none
/// the packet counts as cut off.
pub(super) type OtherStamp = [i64; 2];

/// Returns the moment that a packet's stamp says; nothing of one that says none.
pub(super) fn moment(stamp: TimeSpec) -> Option<SystemTime> {
    let since = Duration::new(stamp.tv_sec().try_into().ok()?, stamp.tv_nsec().try_into().ok()?);
    UNIX_EPOCH.checked_add(since)
}

/// A monotonic clock whose origin is the moment it was made.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// Starts a time line at this moment.
    #[expect(clippy::disallowed_methods, reason = "the shell is where time comes from")]
    pub fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// Returns the time since the start.
    pub fn now(&self) -> Instant {
        Instant::ORIGIN + self.origin.elapsed()
    }

    /// Returns how long ago the kernel has put a stamp on a packet; nothing of it where its clock was set since: it was no longer
    /// ago than `since`.
    #[expect(clippy::disallowed_methods, reason = "the shell is where time comes from")]
    pub(super) fn age(&self, stamp: Option<SystemTime>, since: Instant) -> Duration {
        let age = stamp.and_then(|stamp| SystemTime::now().duration_since(stamp).ok());
        age.filter(|age| *age <= self.now().since(since)).unwrap_or_default()
    }

    /// Returns the runtime's word for a moment of this time line.
    pub(super) fn deadline(&self, at: Instant) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.origin + Duration::from_micros(at.as_micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test is its own shell")]
    fn a_packet_is_as_old_as_its_stamp_says_unless_the_real_clock_was_set() {
        let clock = Clock { origin: std::time::Instant::now() - Duration::from_secs(10) };
        let (looked, now) = (clock.now(), SystemTime::now());
        let looked_before = Instant::ORIGIN + Duration::from_secs(8);
        let age = clock.age(now.checked_sub(Duration::from_secs(1)), looked_before);
        assert!(age >= Duration::from_secs(1) && age < Duration::from_secs(2), "{age:?}");
        assert_eq!(clock.age(now.checked_sub(Duration::from_secs(3600)), looked_before), Duration::ZERO);
        assert_eq!(clock.age(now.checked_sub(Duration::from_secs(1)), looked), Duration::ZERO);
        assert_eq!(clock.age(now.checked_add(Duration::from_secs(3600)), looked_before), Duration::ZERO);
        assert_eq!(clock.age(None, looked_before), Duration::ZERO);
    }

    #[test]
    fn a_stamp_from_before_1970_says_nothing() {
        let stamp = |seconds, nanoseconds| moment(TimeSpec::new(seconds, nanoseconds));
        assert_eq!(stamp(2, 3), UNIX_EPOCH.checked_add(Duration::new(2, 3)));
        for (seconds, nanoseconds) in [(-1, 0), (0, -1)] {
            assert_eq!(stamp(seconds, nanoseconds), None);
        }
    }

    #[test]
    fn the_time_line_never_goes_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.deadline(first + Duration::from_secs(1)) > clock.deadline(first));
    }
}
