//! The one real clock: turns the operating system's monotonic time into the machines' time line.

use std::time::Duration;

use crate::time::Instant;

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

    /// Returns the runtime's word for a moment of this time line.
    pub(super) fn deadline(&self, at: Instant) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.origin + Duration::from_micros(at.as_micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_line_never_goes_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.deadline(first + Duration::from_secs(1)) > clock.deadline(first));
    }
}
