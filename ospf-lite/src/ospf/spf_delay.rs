//! The back-off between changes and shortest-path runs, as one table (RFC 8405 section 5).

use std::time::Duration;

use crate::config::SpfDelayConfig;
use crate::ospf::outbox::Cx;
use crate::timer::TimerKey;

/// SHORT_SPF_DELAY is meant for topologies of up to this size and grows in proportion to it: what a run costs does too.
pub const SHORT_DELAY_VERTICES: usize = 64;
/// What SHORT_SPF_DELAY grows to at most: the value that RFC 8405 section 6 suggests for it.
pub const SHORT_DELAY_MAX: Duration = Duration::from_millis(200);
/// LONG_SPF_DELAY is meant for topologies of up to this size, and grows in the same way.
pub const LONG_DELAY_VERTICES: usize = 250;
/// What LONG_SPF_DELAY grows to at most: the value that RFC 8405 section 6 suggests for it.
pub const LONG_DELAY_MAX: Duration = Duration::from_secs(5);

/// How lively the network is (RFC 8405 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SpfDelayState {
    /// QUIET: nothing has happened for HOLDDOWN_INTERVAL.
    #[default]
    Quiet,
    /// SHORT_WAIT: the consequences of one event are arriving.
    ShortWait,
    /// LONG_WAIT: more than one event's consequences.
    LongWait,
}

/// What the machine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpfDelayInput {
    /// The database changed so that the routes may change.
    Change,
    /// LEARN_TIMER ran out.
    LearnTimer,
    /// HOLDDOWN_TIMER ran out.
    HolddownTimer,
}

impl SpfDelayState {
    /// Every state, for tests that walk the table.
    pub const ALL: [Self; 3] = [Self::Quiet, Self::ShortWait, Self::LongWait];

    /// Returns the state after an event.
    #[must_use]
    pub const fn next(self, event: SpfDelayInput) -> Self {
        match event {
            SpfDelayInput::Change => match self {
                Self::Quiet => Self::ShortWait,
                Self::ShortWait | Self::LongWait => self,
            },
            SpfDelayInput::LearnTimer => match self {
                Self::ShortWait => Self::LongWait,
                Self::Quiet | Self::LongWait => self,
            },
            SpfDelayInput::HolddownTimer => Self::Quiet,
        }
    }

    /// Returns how long a change that happens in this state waits for its shortest-path run over so many vertices.
    fn delay(self, config: &SpfDelayConfig, vertices: usize) -> Duration {
        match self {
            Self::Quiet => config.initial,
            Self::ShortWait => grown(config.short, vertices / SHORT_DELAY_VERTICES, SHORT_DELAY_MAX),
            Self::LongWait => grown(config.long, vertices / LONG_DELAY_VERTICES, LONG_DELAY_MAX),
        }
    }
}

/// Returns so many times the delay, but no more than `max` unless it is longer itself.
fn grown(delay: Duration, times: usize, max: Duration) -> Duration {
    let times = u32::try_from(times).unwrap_or(u32::MAX).max(1);
    delay.saturating_mul(times).min(max.max(delay))
}

/// The machine with its timers.
#[derive(Debug, Default)]
pub struct SpfDelay {
    state: SpfDelayState,
}

impl SpfDelay {
    /// Takes in an event in a topology of so many vertices; returns whether the shortest paths must be found at once. Else
    /// SPF_TIMER says when.
    pub fn handle_input(&mut self, input: SpfDelayInput, vertices: usize, cx: &mut Cx<'_>) -> bool {
        let from = self.state;
        self.state = from.next(input);
        if from == SpfDelayState::Quiet && self.state == SpfDelayState::ShortWait {
            cx.timers.arm(TimerKey::Learn, cx.now + cx.config.spf_delay.time_to_learn);
        }
        if self.state == SpfDelayState::Quiet {
            cx.timers.disarm(TimerKey::Learn);
        }
        match input {
            SpfDelayInput::LearnTimer | SpfDelayInput::HolddownTimer => false,
            SpfDelayInput::Change => {
                cx.timers.arm(TimerKey::Holddown, cx.now + cx.config.spf_delay.holddown);
                if cx.timers.deadline(TimerKey::ShortestPaths).is_some() {
                    return false;
                }
                let delay = from.delay(&cx.config.spf_delay, vertices);
                if !delay.is_zero() {
                    cx.timers.arm(TimerKey::ShortestPaths, cx.now + delay);
                }
                delay.is_zero()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SpfDelayState::{LongWait, Quiet, ShortWait};
    use crate::config::SpfDelayConfig;

    #[test]
    fn the_short_delay_grows_with_the_topology_up_to_what_the_rfc_suggests() {
        let config = SpfDelayConfig::default();
        let millis =
            [0, 127, 128, 255, 256, 100_000].map(|vertices| ShortWait.delay(&config, vertices).as_millis());
        assert_eq!(millis, [50, 50, 100, 150, 200, 200]);
    }

    #[test]
    fn the_long_delay_grows_with_the_topology_up_to_five_seconds() {
        let config = SpfDelayConfig::default();
        let seconds =
            [0, 499, 500, 1_000, 100_000].map(|vertices| LongWait.delay(&config, vertices).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 5]);
        assert!(Quiet.delay(&config, 100_000).is_zero());
    }
}
