//! One measurement at a time: labs that wait do so side by side, what happens within milliseconds has the machine for itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel tells of a lost carrier at once only when it has told of none on the machine for a second. Of a link's two ends
/// it tells of the second a second after the first.
const CARRIER_PAUSE: Duration = Duration::from_millis(2_200);

/// Who has it measures.
#[derive(Debug)]
pub(super) struct Floor {
    last_carrier: Mutex<Instant>,
}

/// Held while something is measured, or while a carrier is taken or given back.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    last_carrier: MutexGuard<'a, Instant>,
}

impl Floor {
    /// Makes one that nobody has.
    pub fn new() -> Self {
        Self { last_carrier: Mutex::new(Instant::now()) }
    }

    /// Waits until nobody else has it.
    pub fn take(&self) -> Turn<'_> {
        Turn { last_carrier: self.last_carrier.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Turn<'_> {
    /// Waits until the kernel would tell of a carrier at once.
    pub fn rest(&self) {
        sleep(CARRIER_PAUSE.saturating_sub(self.last_carrier.elapsed()));
    }

    /// Notes that a carrier was taken or given back.
    pub fn note_carrier(&mut self) {
        *self.last_carrier = Instant::now();
    }
}
