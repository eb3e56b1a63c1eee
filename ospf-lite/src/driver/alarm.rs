//! Wakes a task at a moment. The runtime's own timers also wake up on the way to a moment that is further off, to be sorted
//! anew, and only to the millisecond: where links flap that was every third time that the agent woke up.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::task::coop::consume_budget;
use tokio::time::sleep_until;

use super::clock::Clock;
use super::ospf_socket::watch;
use crate::time::Instant;

/// A timer of the kernel's for one task, which waits for one moment at a time.
#[derive(Debug)]
pub struct Alarm {
    clock: Clock,
    /// Nothing until it is first waited for, and where there are no file descriptors left.
    timer: Option<AsyncFd<OwnedFd>>,
    /// The moment that the timer is set to.
    set: Option<Instant>,
}

impl Alarm {
    /// Makes one that is not set. It belongs to the runtime in which it is first waited for.
    pub const fn new(clock: Clock) -> Self {
        Self { clock, timer: None, set: None }
    }

    /// Waits until a moment, or for ever without one. A wait that is dropped leaves nothing behind.
    pub async fn wait_until(&mut self, at: Option<Instant>) {
        let Some(at) = at else { return pending().await };
        if self.clock.now() >= at {
            // Whoever is always late lets others have their turn all the same.
            return consume_budget().await;
        }
        if let Err(error) = self.wait_for_timer(at).await {
            tracing::debug!(%error, "no timer of the kernel's");
            self.timer = None;
            sleep_until(self.clock.deadline(at)).await;
        }
    }

    async fn wait_for_timer(&mut self, at: Instant) -> io::Result<()> {
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => {
                self.set = None;
                none.insert(create()?)
            }
        };
        loop {
            let now = self.clock.now();
            if now >= at {
                return Ok(());
            }
            if self.set != Some(at) {
                set(timer, now, at)?;
                self.set = Some(at);
            }
            // What made it readable may be a moment from before, which nobody waited for to the end.
            timer.readable().await?.clear_ready();
            if self.clock.now() < at {
                self.set = None;
            }
        }
    }
}

fn create() -> io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    watch(timer)
}

/// Sets the timer; what it has to say of a moment before is forgotten.
fn set(timer: &AsyncFd<OwnedFd>, now: Instant, at: Instant) -> io::Result<()> {
    let value = Timespec::try_from(at.since(now)).map_err(io::Error::other)?;
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const NEVER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn it_wakes_at_its_moment_and_never_before() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        for wait in [SOON, Duration::from_micros(300), Duration::ZERO, Duration::from_millis(130)] {
            let at = clock.now() + wait;
            alarm.wait_until(Some(at)).await;
            assert!(clock.now() >= at, "{wait:?}");
        }
    }

    #[tokio::test]
    async fn a_wait_that_was_dropped_does_not_end_the_next_one() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        let first = clock.now() + SOON;
        assert!(timeout(Duration::from_millis(1), alarm.wait_until(Some(first))).await.is_err());
        // It has gone off before the next wait begins, and before the runtime has heard of it.
        while clock.now() < first + SOON {
            std::hint::spin_loop();
        }
        let second = clock.now() + 2 * SOON;
        alarm.wait_until(Some(second)).await;
        assert!(clock.now() >= second);
    }

    #[tokio::test]
    async fn a_moment_may_be_put_off_or_brought_forward() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        let far = clock.now() + NEVER;
        assert!(timeout(SOON, alarm.wait_until(Some(far))).await.is_err());
        let near = clock.now() + SOON;
        alarm.wait_until(Some(near)).await;
        assert!(clock.now() >= near);
        assert!(timeout(SOON, alarm.wait_until(Some(far))).await.is_err());
    }

    #[tokio::test]
    async fn a_moment_that_is_always_over_keeps_nobody_from_a_turn() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        let late = async {
            loop {
                alarm.wait_until(Some(clock.now())).await;
            }
        };
        assert!(timeout(SOON, late).await.is_err());
    }

    #[tokio::test]
    async fn without_a_moment_it_waits_for_ever() {
        let mut alarm = Alarm::new(Clock::start());
        assert!(timeout(SOON, alarm.wait_until(None)).await.is_err());
    }
}
