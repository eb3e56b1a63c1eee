//! nginx's workers: those that it has replaced, and those by which it shows that it serves by the files that it was given.
//!
//! A reload that fails leaves nginx as it was without another word than in its log: most of all when a port is taken by
//! another program, which `nginx -t` does not look at. One that succeeds begins with another worker.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::process::{self, Process};

/// What a worker calls itself.
const WORKER: &str = "nginx: worker process";
/// What a worker that was replaced calls itself.
const REPLACED: &str = "nginx: worker process is shutting down";
/// How long nginx may take until it has another worker. A port that is taken it tries again for 2.5 s.
const LIMIT: Duration = Duration::from_secs(10);
/// How often it is looked.
const POLL: Duration = Duration::from_millis(10);
/// What nginx says when it has tried a port that is taken for the last time.
const GIVES_UP: &str = "still could not bind()";

/// Returns the workers that were replaced and have connections still.
pub(super) fn replaced(master: Process) -> Vec<Process> {
    process::children(master.pid, REPLACED)
}

/// Returns the workers that take clients.
pub(super) fn serving(master: Process) -> BTreeSet<Process> {
    let replaced = replaced(master);
    process::children(master.pid, WORKER).into_iter().filter(|worker| !replaced.contains(worker)).collect()
}

/// What nginx has said in a file, from some time on.
#[derive(Debug)]
pub(super) struct Words<'a> {
    file: &'a Path,
    from: usize,
}

impl<'a> Words<'a> {
    /// Listens to what comes from now on.
    pub(super) fn after_now(file: &'a Path) -> Self {
        let from = std::fs::metadata(file).map(|metadata| metadata.len()).unwrap_or_default();
        Self { file, from: usize::try_from(from).unwrap_or_default() }
    }

    /// Returns what it has said since.
    pub(super) fn read(&self) -> String {
        let said = std::fs::read(self.file).unwrap_or_default();
        String::from_utf8_lossy(said.get(self.from..).unwrap_or_default()).trim().to_owned()
    }
}

/// Waits until nginx has a worker that it did not have before; returns whether it has.
pub(super) async fn has_another(master: Process, before: &BTreeSet<Process>, words: &Words<'_>) -> bool {
    let limit = Instant::now() + LIMIT;
    while Instant::now() < limit && process::runs(master) {
        if serving(master).iter().any(|worker| !before.contains(worker)) {
            return true;
        }
        if words.read().contains(GIVES_UP) {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
    false
}
