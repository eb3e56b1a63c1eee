//! Tells when the machine itself stood still: then what a scenario saw says nothing of the mesh.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the watch wants to be woken.
const WAKE_INTERVAL: Duration = Duration::from_millis(20);
/// How late a wake-up is when the machine counts as having stood still: a third of BFD's Detection Time as shipped.
const STANDSTILL: Duration = Duration::from_millis(300);

/// A thread that asks to be woken again and again, and notes how late that comes at most.
#[derive(Debug)]
pub struct Watch {
    latest: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to watch.
    pub fn start() -> Self {
        let watch = Self { latest: Arc::default(), is_over: Arc::default() };
        let (latest, is_over) = (Arc::clone(&watch.latest), Arc::clone(&watch.is_over));
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                std::thread::sleep(WAKE_INTERVAL);
                note(&latest, begun.elapsed());
            }
        });
        watch
    }

    /// Returns for how long the machine stood still at most since the last call; `None` when it ran all the time.
    pub fn take(&self) -> Option<Duration> {
        let latest = Duration::from_micros(self.latest.swap(0, Ordering::Relaxed));
        (latest >= STANDSTILL).then_some(latest)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn note(latest: &AtomicU64, slept: Duration) {
    let late = slept.saturating_sub(WAKE_INTERVAL).as_micros();
    latest.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wake_up_that_comes_far_too_late_is_a_standstill() {
        let watch = Watch { latest: Arc::default(), is_over: Arc::default() };
        note(&watch.latest, WAKE_INTERVAL + STANDSTILL / 2);
        assert_eq!(watch.take(), None);
        note(&watch.latest, WAKE_INTERVAL + STANDSTILL * 3);
        note(&watch.latest, WAKE_INTERVAL);
        assert_eq!(watch.take(), Some(STANDSTILL * 3));
        assert_eq!(watch.take(), None);
    }
}
