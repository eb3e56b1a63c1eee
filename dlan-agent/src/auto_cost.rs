//! A link's round-trip time from single echoes, smoothed so that its cost does not follow noise. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use ospf_lite::ids::Cost;

/// How many answers a first estimate is made of.
const FIRST: usize = 4;
/// The least of so many answers in a row is what is smoothed: queues only ever make an answer later.
const FILTERED: usize = 4;
/// How many echoes the loss is counted over.
const COUNTED: usize = 60;
/// After so many unanswered echoes in a row the estimate begins afresh: the link may have another path since.
const SILENCE_MAX: u32 = 12;
/// How many answers must lie between two changes.
const STEADY: u32 = 12;
/// The least difference that counts.
const LEAST: Duration = Duration::from_millis(2);

/// The bounds of automatic costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The cost of a link that takes no time.
    pub min: Cost,
    /// The highest cost; that of a link that has not been measured.
    pub max: Cost,
}

impl Bounds {
    /// Returns the cost of a round-trip time: the least cost, and one more for each millisecond, rounded.
    pub fn cost(self, round_trip: Option<Duration>) -> Cost {
        let Some(round_trip) = round_trip else { return self.max };
        let milliseconds = (round_trip.as_micros() + 500) / 1000;
        let milliseconds = u16::try_from(milliseconds).unwrap_or(u16::MAX);
        Cost::new(self.min.get().saturating_add(milliseconds)).map_or(self.max, |cost| cost.min(self.max))
    }
}

/// What echoes over one link came to.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    /// The latest answers, oldest first, at most [`FILTERED`].
    latest: VecDeque<Duration>,
    /// The last echoes, oldest first, and whether each was answered; at most [`COUNTED`].
    outcomes: VecDeque<bool>,
    smoothed: Option<Smoothed>,
    /// The round-trip time that counts.
    settled: Option<Duration>,
    /// Answers since it last changed.
    steady: u32,
    /// Unanswered echoes in a row.
    silence: u32,
}

/// The smoothed round-trip time and its mean deviation, as TCP has them (RFC 6298 section 2) but for the deviation, which
/// is smoothed over longer: it decides what is noise.
#[derive(Debug, Clone, Copy)]
struct Smoothed {
    mean: Duration,
    deviation: Duration,
}

impl Smoothed {
    fn new(first: Duration) -> Self {
        Self { mean: first, deviation: first / 8 }
    }

    fn next(self, answer: Duration) -> Self {
        let deviation = (self.deviation * 15 + self.mean.abs_diff(answer)) / 16;
        Self { mean: (self.mean * 7 + answer) / 8, deviation }
    }
}

impl Meter {
    /// Makes a meter that starts from what an earlier start had settled on.
    pub fn adopted(settled: Duration) -> Self {
        Self { settled: Some(settled), ..Self::default() }
    }

    /// Takes what became of an echo, and returns whether another round-trip time counts from then on.
    ///
    /// It does when the smoothed one differs by more than a quarter, by more than [`LEAST`], and by more than four times
    /// what answers differ from each other; and when the last change was [`STEADY`] answers ago.
    pub fn handle_echo(&mut self, answer: Option<Duration>) -> bool {
        if answer.is_some() && self.latest.is_empty() {
            // What was asked before there was a neighbor, or another path to it, is no loss of this one.
            self.outcomes.clear();
        }
        push(&mut self.outcomes, answer.is_some(), COUNTED);
        let Some(answer) = answer else {
            self.silence += 1;
            if self.silence == SILENCE_MAX {
                self.latest.clear();
                self.smoothed = None;
            }
            return false;
        };
        self.silence = 0;
        self.steady = self.steady.saturating_add(1);
        push(&mut self.latest, answer, FILTERED.max(FIRST));
        let Some(least) = self.latest.iter().min().copied().filter(|_| self.latest.len() >= FIRST) else {
            return false;
        };
        let smoothed = self.smoothed.map_or_else(|| Smoothed::new(least), |smoothed| smoothed.next(least));
        self.smoothed = Some(smoothed);
        let counts = self.settled.is_none_or(|settled| {
            let margin = (settled / 4).max(LEAST).max(smoothed.deviation * 4);
            self.steady > STEADY && smoothed.mean.abs_diff(settled) > margin
        });
        if counts {
            self.settled = Some(smoothed.mean);
            self.steady = 0;
        }
        counts
    }

    /// Returns the round-trip time that counts; nothing before the first answers.
    pub const fn settled(&self) -> Option<Duration> {
        self.settled
    }

    /// Returns the smoothed round-trip time; nothing while the neighbor does not answer.
    pub fn smoothed(&self) -> Option<Duration> {
        self.smoothed.map(|smoothed| smoothed.mean)
    }

    /// Returns how many of the last echoes there were, and how many of them had no answer.
    pub fn loss(&self) -> (usize, usize) {
        (self.outcomes.len(), self.outcomes.iter().filter(|answered| !**answered).count())
    }

    /// Returns whether the first answers are still being waited for, and may come.
    pub fn is_young(&self) -> bool {
        self.smoothed.is_none() && self.silence < SILENCE_MAX
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T, max: usize) {
    if list.len() == max {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests;
