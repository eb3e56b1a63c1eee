//! When LSAs of the database must be looked at again: own ones for their refresh, others because they reach MaxAge.
//!
//! Most LSAs are refreshed long before they reach MaxAge. When they do is not kept for each: those that are close are picked
//! from the database from time to time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::LsdbKey;
use crate::time::Instant;

/// For how long ahead the LSAs that reach MaxAge are picked.
const AHEAD: Duration = Duration::from_secs(60);

/// The deadlines of a database.
#[derive(Debug, Clone)]
pub(super) struct Deadlines {
    /// Those of own LSAs, and those before `horizon`.
    near: BTreeSet<(Instant, LsdbKey)>,
    /// Those of own LSAs.
    refreshes: BTreeMap<LsdbKey, Instant>,
    horizon: Instant,
    /// No other deadline is before that.
    far: Option<Instant>,
}

impl Deadlines {
    pub(super) const fn new() -> Self {
        Self { near: BTreeSet::new(), refreshes: BTreeMap::new(), horizon: Instant::ORIGIN, far: None }
    }

    /// Sets when an own LSA must be refreshed; it has no deadline yet.
    pub(super) fn set_refresh(&mut self, key: LsdbKey, at: Instant) {
        self.refreshes.insert(key, at);
        self.near.insert((at, key));
    }

    /// Takes in when another's LSA reaches MaxAge.
    pub(super) fn note_end(&mut self, key: LsdbKey, at: Instant) {
        if at < self.horizon {
            self.near.insert((at, key));
        } else {
            self.far = Some(self.far.map_or(at, |far| far.min(at)));
        }
    }

    /// Forgets the deadline of an LSA, which reaches MaxAge at `end`.
    pub(super) fn forget(&mut self, key: &LsdbKey, end: Option<Instant>) {
        for at in self.refreshes.remove(key).into_iter().chain(end) {
            self.near.remove(&(at, *key));
        }
    }

    /// Returns when to look: when the first deadline comes, or sooner.
    pub(super) fn next(&self) -> Option<Instant> {
        let near = self.near.first().map(|(at, _)| *at);
        near.into_iter().chain(self.far).min()
    }

    /// Takes out the first LSA whose deadline has come; `ends` are those of all others' LSAs.
    pub(super) fn pop_due<'a>(
        &mut self,
        now: Instant,
        ends: impl Iterator<Item = (&'a LsdbKey, Instant)>,
    ) -> Option<LsdbKey> {
        if self.far.is_some_and(|far| far <= now) {
            self.far = None;
            // What has had its deadline is not picked again.
            let picked = std::mem::replace(&mut self.horizon, now + AHEAD);
            ends.filter(|(_, at)| *at >= picked).for_each(|(key, at)| self.note_end(*key, at));
        }
        let (at, key) = *self.near.first().filter(|(at, _)| *at <= now)?;
        self.near.remove(&(at, key));
        self.refreshes.remove(&key);
        Some(key)
    }
}
