//! Tells of programs of ours that end.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::process::{self, Process};

/// Tells of programs that end.
#[derive(Debug)]
pub struct ProgramEnds {
    processes: watch::Receiver<BTreeSet<Process>>,
    told: BTreeSet<Process>,
}

impl ProgramEnds {
    pub(super) fn new(processes: watch::Receiver<BTreeSet<Process>>) -> Self {
        Self { processes, told: BTreeSet::new() }
    }

    /// Waits until the process of a program ends; each is told once.
    pub async fn next(&mut self) {
        loop {
            let processes = self.processes.borrow_and_update().clone();
            self.told.retain(|process| processes.contains(process));
            let mut ends: FuturesUnordered<_> = processes
                .difference(&self.told)
                .map(|process| async {
                    // One that cannot be watched is looked at.
                    let _ = process::ended(*process).await;
                    *process
                })
                .collect();
            tokio::select! {
                Some(process) = ends.next() => {
                    drop(ends);
                    self.told.insert(process);
                    return;
                }
                changed = self.processes.changed() => {
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            }
        }
    }
}
