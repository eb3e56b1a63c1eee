//! When to look at the system again: after hints, at intervals, after failures.

use std::time::Duration;

use ospf_lite::time::Instant;

/// How long a hint waits for others to come with it.
const HINT_DELAY: Duration = Duration::from_millis(200);
/// How long a hint waits that does not hurry: what the kernel does with a device that goes comes with others.
const LATE_HINT_DELAY: Duration = Duration::from_millis(1500);
/// How often that doubles while such hints go on and on, as where links flap: what they come to is known without a look, which
/// costs more than all else there.
const LATE_DOUBLINGS_MAX: u32 = 4;
/// After so long without a look the next hint that does not hurry waits no longer than the first.
const LATE_FORGOTTEN: Duration = Duration::from_secs(30);
/// The least time between two looks for the sake of hints.
const LOOK_SPACING: Duration = Duration::from_millis(800);
/// How long after routes could not be set they are set again: a carrier that is lost is told of within a second, and no route leads
/// over such a device before.
const ROUTES_AGAIN: Duration = Duration::from_millis(700);
/// How often that is done one after the other before a look.
const ROUTES_AGAIN_MAX: u32 = 2;
/// The wait after the first failure; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The reconciler's deadlines.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    look_at: Option<Instant>,
    last_look: Option<Instant>,
    retry_at: Option<Instant>,
    failures: u32,
    /// When routes are set again.
    routes_at: Option<Instant>,
    /// How often one after the other they could not be set.
    routes_failures: u32,
    /// How many looks one after the other were for hints that did not hurry.
    lates: u32,
    is_late: bool,
    /// Whether the look that is out, or was the last, is for hints that did not hurry.
    is_looking_late: bool,
}

impl Pace {
    /// Takes word that something changed: a look is due soon.
    pub fn handle_hint(&mut self, now: Instant) {
        let spaced = self.last_look.map_or(now, |last| last + LOOK_SPACING);
        self.look_by((now + HINT_DELAY).max(spaced));
        self.is_late = false;
    }

    /// Takes word that something changed that does not hurry.
    pub fn handle_late_hint(&mut self, now: Instant) {
        if self.last_look.is_none_or(|last| now >= last + LATE_FORGOTTEN) {
            self.lates = 0;
        }
        let due = now + LATE_HINT_DELAY * 2_u32.pow(self.lates.min(LATE_DOUBLINGS_MAX));
        if self.look_at.is_none_or(|at| due < at) {
            self.look_by(due);
            self.is_late = true;
        }
    }

    fn look_by(&mut self, due: Instant) {
        self.look_at = Some(self.look_at.map_or(due, |at| at.min(due)));
    }

    /// Takes that a look begins: it sees what all hints so far were about.
    pub fn handle_look(&mut self) {
        self.look_at = None;
        self.is_looking_late = std::mem::take(&mut self.is_late);
    }

    /// Takes that a look was had: the next is due after the drift interval, or for a hint that came while it went on.
    pub fn handle_observed(&mut self, now: Instant, drift_interval: Duration) {
        self.last_look = Some(now);
        self.lates = if self.is_looking_late { self.lates.saturating_add(1) } else { 0 };
        let hinted = self.look_at.map(|at| at.max(now + LOOK_SPACING));
        self.look_at = hinted.or_else(|| (!drift_interval.is_zero()).then(|| now + drift_interval));
    }

    /// Takes a failure and returns how long everything waits.
    pub fn handle_failure(&mut self, now: Instant) -> Duration {
        let doublings = self.failures.min(5);
        let delay = (RETRY_FIRST * 2_u32.pow(doublings)).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + delay);
        delay
    }

    /// Returns whether a look is due.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        let retry = is_due(&mut self.retry_at);
        let look = is_due(&mut self.look_at);
        retry || look
    }

    /// Takes that routes could not be set, and returns whether that comes to a look: before, they are only set again.
    pub fn handle_routes_failed(&mut self, now: Instant) -> bool {
        let is_again = self.routes_failures < ROUTES_AGAIN_MAX;
        self.routes_failures = self.routes_failures.saturating_add(1);
        if is_again {
            self.routes_at = Some(now + ROUTES_AGAIN);
        } else {
            self.handle_hint(now);
        }
        !is_again
    }

    /// Takes that all routes were set.
    pub fn handle_routes_set(&mut self) {
        self.routes_at = None;
        self.routes_failures = 0;
    }

    /// Returns whether routes are to be set again.
    pub fn handle_routes_timeout(&mut self, now: Instant) -> bool {
        self.routes_at.take_if(|at| *at <= now).is_some()
    }

    /// Returns whether a failure is being waited out.
    pub fn is_backing_off(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Starts afresh.
    pub fn forget_failures(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    /// Returns the next deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.look_at, self.retry_at, self.routes_at].into_iter().flatten().min()
    }
}
