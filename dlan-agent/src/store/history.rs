//! The last applies: when, by whom, what came of each, and the configuration that it brought.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::durable::{self, StoreError};

/// Where the history is kept.
pub const HISTORY_FILE: &str = "/etc/dlan/history";
/// How many applies are remembered; the oldest go.
const ENTRIES_MAX: usize = 20;
/// How many octets of configurations are remembered; the oldest applies go. The latest stays whatever its size.
const OCTETS_MAX: usize = 256 * 1024;

/// One apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Its number, counted from 1 on this router.
    pub number: u64,
    /// When it began, in seconds since 1970 by the router's clock, which may be wrong before it heard the time.
    pub time: u64,
    /// Who asked.
    pub by: String,
    /// What came of it.
    pub outcome: ApplyOutcome,
    /// The configuration that it brought.
    pub config: String,
    /// The token of the window that it was tried in, which tells it from another one of the same second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
}

/// What came of an apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "why", rename_all = "kebab-case")]
pub enum ApplyOutcome {
    /// It was brought about, without a window to confirm it in.
    Applied,
    /// It was confirmed within its window.
    Confirmed,
    /// The state before it came back.
    Returned(ReturnReason),
    /// It could not be brought about, and the state before it stayed.
    Failed(String),
}

/// Why the state before an apply came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnReason {
    /// Nobody confirmed it in time.
    TimeOut,
    /// The agent ended, or the router was switched off, before it was confirmed.
    Interrupted,
    /// Somebody asked for it.
    Asked,
}

impl std::fmt::Display for ApplyOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Applied => f.write_str("applied"),
            Self::Confirmed => f.write_str("confirmed"),
            Self::Returned(ReturnReason::TimeOut) => f.write_str("undone: not confirmed in time"),
            Self::Returned(ReturnReason::Interrupted) => {
                f.write_str("undone: the agent or the router ended before it was confirmed")
            }
            Self::Returned(ReturnReason::Asked) => f.write_str("undone: rollback"),
            Self::Failed(why) => write!(f, "failed: {}", why.lines().next().unwrap_or_default()),
        }
    }
}

/// The remembered applies, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// They.
    pub entries: Vec<HistoryEntry>,
}

impl History {
    /// Reads the history; nothing when none was kept.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let Some(text) = durable::read(path)? else { return Ok(Self::default()) };
        serde_json::from_str(&text)
            .map_err(|_| StoreError::Damaged { path: path.to_owned(), why: "it is not a history" })
    }

    /// Writes the history.
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_string(self).map_err(|error| StoreError::Io {
            act: "encode",
            path: path.to_owned(),
            source: error.into(),
        })?;
        durable::write(path, &text).map(drop)
    }

    /// Adds an apply and forgets the oldest beyond the limits. Its number is given here. An end that is told a second time,
    /// because the first telling was cut short, counts once.
    pub fn add(&mut self, entry: HistoryEntry) {
        let is_same = |last: &HistoryEntry| HistoryEntry { number: 0, ..last.clone() } == entry;
        if entry.outcome != ApplyOutcome::Applied && self.entries.last().is_some_and(is_same) {
            return;
        }
        let number = self.entries.last().map_or(1, |last| last.number.saturating_add(1));
        self.entries.push(HistoryEntry { number, ..entry });
        while self.entries.len() > ENTRIES_MAX || (self.octets() > OCTETS_MAX && self.entries.len() > 1) {
            self.entries.remove(0);
        }
    }

    /// Returns whether this configuration is the last one that came into force.
    pub fn is_in_force(&self, config: &str) -> bool {
        let last = self.entries.iter().rev().find(|entry| entry.was_in_force());
        last.is_some_and(|entry| entry.config == config)
    }

    fn octets(&self) -> usize {
        self.entries.iter().map(|entry| entry.config.len()).sum()
    }

    /// Returns the configuration to return to: that of apply `number`, or the last one in force that differs from `current`.
    pub fn config_before(&self, number: Option<u64>, current: &str) -> Option<&HistoryEntry> {
        match number {
            Some(number) => self.entries.iter().find(|entry| entry.number == number),
            None => self.entries.iter().rev().find(|entry| entry.was_in_force() && entry.config != current),
        }
    }

    /// Returns what an apply changed: the difference between its configuration and the one in force before it.
    pub fn diff(&self, number: u64) -> Option<String> {
        let index = self.entries.iter().position(|entry| entry.number == number)?;
        let (before, rest) = self.entries.split_at(index);
        let old = before.iter().rev().find(|entry| entry.was_in_force()).map_or("", |entry| &entry.config);
        Some(diff(old, &rest.first()?.config))
    }
}

impl HistoryEntry {
    /// Returns whether its configuration came into force.
    pub const fn was_in_force(&self) -> bool {
        matches!(self.outcome, ApplyOutcome::Applied | ApplyOutcome::Confirmed)
    }
}

/// Returns the lines that go and those that come, in order, each with its mark; lines in common only where they are near.
fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let common = common_lengths(&old, &new);
    let at = |i: usize, j: usize| common.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default();
    let (mut i, mut j, mut text) = (0, 0, String::new());
    loop {
        match (old.get(i), new.get(j)) {
            (None, None) => return text,
            (Some(one), Some(other)) if one == other => {
                // A section's head tells where the lines below it belong.
                if one.starts_with("config ") {
                    text.push_str(&format!("  {one}\n"));
                }
                (i, j) = (i + 1, j + 1);
            }
            (Some(line), other) if other.is_none() || at(i + 1, j) >= at(i, j + 1) => {
                text.push_str(&format!("- {line}\n"));
                i += 1;
            }
            (_, Some(line)) => {
                text.push_str(&format!("+ {line}\n"));
                j += 1;
            }
            (Some(_), None) => return text,
        }
    }
}

/// Returns, for every pair of places, how many lines the rests have in common.
fn common_lengths(old: &[&str], new: &[&str]) -> Vec<Vec<u32>> {
    let mut below = vec![0_u32; new.len() + 1];
    let mut rows = vec![below.clone()];
    for line in old.iter().rev() {
        let mut row = vec![0_u32];
        for (index, other) in new.iter().enumerate().rev() {
            let right = row.last().copied().unwrap_or_default();
            let (down, diagonal) = (below.get(index), below.get(index + 1));
            let equal = diagonal.copied().unwrap_or_default() + 1;
            row.push(if line == other { equal } else { right.max(down.copied().unwrap_or_default()) });
        }
        row.reverse();
        below.clone_from(&row);
        rows.push(row);
    }
    rows.reverse();
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(config: &str, outcome: ApplyOutcome) -> HistoryEntry {
        let (by, config) = ("root".to_owned(), config.to_owned());
        HistoryEntry { number: 0, time: 7, by, outcome, config, window: None }
    }

    fn history(entries: &[(&str, ApplyOutcome)]) -> History {
        let mut history = History::default();
        for (config, outcome) in entries {
            history.add(entry(config, outcome.clone()));
        }
        history
    }

    #[test]
    fn the_oldest_applies_are_forgotten_and_numbers_go_on() {
        let mut history = History::default();
        for number in 1..=30 {
            history.add(entry(&number.to_string(), ApplyOutcome::Applied));
        }
        let numbers: Vec<u64> = history.entries.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, (11..=30).collect::<Vec<_>>());
        history.add(entry(&"x".repeat(OCTETS_MAX + 1), ApplyOutcome::Applied));
        assert_eq!(history.entries.len(), 1);
        assert_eq!(history.entries.last().unwrap().number, 31);
    }

    #[test]
    fn the_state_to_return_to_is_the_last_other_one_that_was_in_force() {
        let returned = ApplyOutcome::Returned(ReturnReason::TimeOut);
        let history = history(&[
            ("a", ApplyOutcome::Applied),
            ("b", ApplyOutcome::Confirmed),
            ("c", returned),
            ("b", ApplyOutcome::Applied),
        ]);
        let number = |asked, current| history.config_before(asked, current).map(|entry| entry.number);
        assert_eq!(number(None, "b"), Some(1));
        assert_eq!(number(None, "x"), Some(4));
        assert_eq!(number(Some(3), "b"), Some(3));
        assert_eq!(number(Some(9), "b"), None);
    }

    #[test]
    fn two_windows_of_one_second_are_two_applies_and_an_end_told_twice_is_one() {
        let mut history = History::default();
        let undone = || entry("a", ApplyOutcome::Returned(ReturnReason::Interrupted));
        for (window, count) in [("one", 1), ("one", 1), ("other", 2), ("other", 2)] {
            history.add(HistoryEntry { window: Some(window.to_owned()), ..undone() });
            assert_eq!(history.entries.len(), count, "{window}");
        }
    }

    #[test]
    fn a_history_without_windows_is_read() {
        let old =
            r#"{"entries":[{"number":1,"time":7,"by":"root","outcome":{"outcome":"applied"},"config":"a"}]}"#;
        let read: History = serde_json::from_str(old).unwrap();
        assert_eq!(read, history(&[("a", ApplyOutcome::Applied)]));
    }

    #[test]
    fn a_difference_names_the_section_it_is_in() {
        let history = history(&[
            ("config mesh\n\toption a '1'\nconfig link\n\toption cost '10'\n", ApplyOutcome::Applied),
            ("config mesh\n\toption a '1'\nconfig link\n\toption cost '20'\n", ApplyOutcome::Applied),
        ]);
        let told = "  config mesh\n  config link\n- \toption cost '10'\n+ \toption cost '20'\n";
        assert_eq!(history.diff(2).unwrap(), told);
        assert!(history.diff(1).unwrap().lines().all(|line| line.starts_with("+ ")));
        assert_eq!(history.diff(3), None);
    }

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("history");
        assert_eq!(History::read(&path).unwrap(), History::default());
        let kept = history(&[("a", ApplyOutcome::Failed("no".to_owned())), ("b", ApplyOutcome::Confirmed)]);
        kept.write(&path).unwrap();
        assert_eq!(History::read(&path).unwrap(), kept);
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_the_one_to_the_other(
            old in proptest::collection::vec("[a-c]{1}", 0..8),
            new in proptest::collection::vec("[a-c]{1}", 0..8),
        ) {
            let text = diff(&old.join("\n"), &new.join("\n"));
            let marked = |mark: &str| -> Vec<String> {
                text.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect()
            };
            let (gone, come) = (marked("- "), marked("+ "));
            let count = |lines: &[String], line: &str| lines.iter().filter(|it| *it == line).count();
            for line in ["a", "b", "c"] {
                prop_assert_eq!(
                    count(&old, line) + count(&come, line),
                    count(&new, line) + count(&gone, line)
                );
            }
        }
    }
}
