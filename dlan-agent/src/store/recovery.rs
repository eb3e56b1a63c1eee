//! What a start finds when an apply was cut short: the window on disk, which says how to return to what was before it.

use std::path::Path;

use tracing::{error, warn};

use super::durable::{self, StoreError};
use super::history::{ApplyOutcome, History, HistoryEntry, ReturnReason};
use crate::causes::with_causes;
use crate::window::Window;

/// What a start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// No window was open.
    Nothing,
    /// This one was, and the files are as before it.
    Returned(Window),
    /// One was, and it is damaged: the configuration on disk is one that nobody confirmed. The window is still there.
    Unknown,
}

/// Returns the window that is open, if one is.
pub fn read(window: &Path) -> Result<Option<Window>, StoreError> {
    let Some(text) = durable::read(window)? else { return Ok(None) };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|_| StoreError::Damaged { path: window.to_owned(), why: "it is not a window" })
}

/// Writes down what is to come back.
pub fn write(path: &Path, window: &Window) -> Result<(), StoreError> {
    let text = serde_json::to_string(window).map_err(|error| StoreError::Io {
        act: "encode",
        path: path.to_owned(),
        source: error.into(),
    })?;
    durable::write(path, &text).map(drop)
}

/// Returns to the last confirmed state if a window is open. Cut short in its turn, it is done again by the next start.
pub fn recover(window: &Path, history: &Path) -> Result<Recovered, StoreError> {
    match read(window) {
        Ok(None) => Ok(Recovered::Nothing),
        Ok(Some(open)) => {
            warn!(by = %open.by, "an apply was cut short before it was confirmed: returning to the state before it");
            close(&open, ApplyOutcome::Returned(ReturnReason::Interrupted), window, history)?;
            Ok(Recovered::Returned(open))
        }
        Err(error @ StoreError::Damaged { .. }) => {
            error!(%error, "cannot tell what was before an unconfirmed apply");
            Ok(Recovered::Unknown)
        }
        Err(error) => Err(error),
    }
}

/// Puts back what was before a window and forgets the window; files first, so that a power cut in between has it done again.
/// Returns whether any file but the configuration had to be changed.
pub fn close(
    open: &Window,
    outcome: ApplyOutcome,
    window: &Path,
    history: &Path,
) -> Result<bool, StoreError> {
    let mut others = false;
    for (index, file) in open.confirmed.iter().enumerate() {
        // The first one is the configuration, which the agent itself brings about.
        others |= file.put()? && index > 0;
    }
    remember(history, Attempt::of(open), outcome);
    durable::remove(window)?;
    Ok(others)
}

/// An apply, as the history is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// Who asked.
    pub by: &'a str,
    /// When it began, in seconds since 1970.
    pub time: u64,
    /// The configuration that it brought.
    pub config: &'a str,
    /// The token of its window, if it had one.
    pub window: Option<&'a str>,
}

impl<'a> Attempt<'a> {
    /// The apply that a window tries.
    pub fn of(window: &'a Window) -> Self {
        let Window { token, by, time, tried, .. } = window;
        Self { by, time: *time, config: tried, window: Some(token) }
    }
}

/// Adds an apply to the history; a history that cannot be kept is no reason to fail.
pub fn remember(history: &Path, attempt: Attempt<'_>, outcome: ApplyOutcome) {
    let Attempt { by, time, config, window } = attempt;
    let mut kept = History::read(history).unwrap_or_else(|error| {
        warn!(%error, "beginning a fresh history");
        History::default()
    });
    // What changes nothing writes nothing.
    if outcome == ApplyOutcome::Applied && kept.is_in_force(config) {
        return;
    }
    let (by, config, window) = (by.to_owned(), config.to_owned(), window.map(str::to_owned));
    kept.add(HistoryEntry { number: 0, time, by, outcome, config, window });
    if let Err(error) = kept.write(history) {
        warn!(error = with_causes(&error), "this apply will not be in the history");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::store::snapshot::FileSnapshot;

    /// A router's disk: a configuration and another file, both changed under a window that is open.
    struct Disk {
        root: tempfile::TempDir,
    }

    impl Disk {
        fn tried() -> Self {
            let disk = Self { root: tempfile::tempdir().unwrap() };
            fs::write(disk.path("dlan"), "before").unwrap();
            fs::write(disk.path("network"), "network before").unwrap();
            let confirmed =
                ["dlan", "network", "made"].map(|name| FileSnapshot::take(&disk.path(name)).unwrap()).into();
            let window = Window {
                token: "abcd-efgh".to_owned(),
                by: "root".to_owned(),
                time: 7,
                tried: "after".to_owned(),
                confirmed,
            };
            durable::write(&disk.path("window"), &serde_json::to_string(&window).unwrap()).unwrap();
            fs::write(disk.path("dlan"), "after").unwrap();
            fs::write(disk.path("network"), "network after").unwrap();
            fs::write(disk.path("made"), "made").unwrap();
            disk
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn recover(&self) -> Result<Recovered, StoreError> {
            recover(&self.path("window"), &self.path("history"))
        }

        fn assert_before(&self) {
            assert_eq!(fs::read_to_string(self.path("dlan")).unwrap(), "before");
            assert_eq!(fs::read_to_string(self.path("network")).unwrap(), "network before");
            assert!(!self.path("made").exists());
            assert!(!self.path("window").exists());
        }
    }

    #[test]
    fn a_start_in_a_window_returns_to_what_was_before_it_and_remembers_what_was_tried() {
        let disk = Disk::tried();
        let recovered = disk.recover().unwrap();
        assert!(matches!(recovered, Recovered::Returned(window) if window.by == "root"));
        disk.assert_before();
        let history = History::read(&disk.path("history")).unwrap();
        let [entry] = history.entries.as_slice() else { panic!("{history:?}") };
        assert_eq!((entry.config.as_str(), entry.time), ("after", 7));
        assert_eq!(entry.outcome, ApplyOutcome::Returned(ReturnReason::Interrupted));
        assert_eq!(disk.recover().unwrap(), Recovered::Nothing);
    }

    #[test]
    fn windows_of_one_second_that_tried_the_same_are_told_apart_by_their_tokens() {
        let disk = Disk::tried();
        let text = durable::read(&disk.path("window")).unwrap().unwrap();
        // The second telling of one window's end is cut short before the window is gone.
        for (token, count) in [("abcd-efgh", 1), ("abcd-efgh", 1), ("wxyz-2345", 2)] {
            durable::write(&disk.path("window"), &text.replace("abcd-efgh", token)).unwrap();
            disk.recover().unwrap();
            assert_eq!(History::read(&disk.path("history")).unwrap().entries.len(), count, "{token}");
        }
    }

    #[test]
    fn a_return_cut_short_after_any_file_is_done_again() {
        for done in 0..3 {
            let disk = Disk::tried();
            let text = durable::read(&disk.path("window")).unwrap().unwrap();
            let window: Window = serde_json::from_str(&text).unwrap();
            for file in window.confirmed.iter().take(done) {
                file.put().unwrap();
            }
            disk.recover().unwrap();
            disk.assert_before();
        }
    }

    #[test]
    fn a_damaged_window_is_said_and_does_not_keep_the_agent_from_starting() {
        let disk = Disk::tried();
        fs::write(disk.path("window"), "dlan-state 1 rubbish").unwrap();
        assert_eq!(disk.recover().unwrap(), Recovered::Unknown);
        assert!(disk.path("window").exists(), "it goes when the last good configuration is back");
    }

    #[test]
    fn a_later_versions_window_is_left_alone() {
        let disk = Disk::tried();
        fs::write(disk.path("window"), "dlan-state 2 x\n").unwrap();
        assert!(matches!(disk.recover(), Err(StoreError::Later { .. })));
        assert!(disk.path("window").exists());
    }

    #[test]
    fn a_file_that_cannot_be_put_back_leaves_the_window_for_the_next_start() {
        let disk = Disk::tried();
        fs::remove_file(disk.path("network")).unwrap();
        fs::create_dir(disk.path("network")).unwrap();
        assert!(disk.recover().is_err());
        assert!(disk.path("window").exists());
        fs::remove_dir(disk.path("network")).unwrap();
        disk.recover().unwrap();
        disk.assert_before();
    }
}
