//! How much is written to flash: little for an apply, whatever it changes, and nothing at rest.

use super::every::WAYS;
use super::machine::{Machine, OTHERS, Way, run};
use super::plans::CASES;
use crate::caller::Caller;
use crate::daemon::Daemon;
use crate::system::file::DiskAct;
use crate::system::file::faults::{self, Fault};

/// What the agent writes of its own for one apply: the note of its window, the last good configuration, the history.
const OWN_FILES: usize = 3;
/// How often a file is flushed, and the names in a directory, per file that is written; and for each that goes.
const FLUSHES_PER_FILE: usize = 3;
const FLUSHES_PER_REMOVAL: usize = 1;

fn count(acts: &[DiskAct], counted: &[DiskAct]) -> usize {
    acts.iter().filter(|act| counted.contains(act)).count()
}

#[test]
fn an_apply_writes_each_file_that_goes_with_it_once_or_when_it_is_undone_twice_and_three_of_its_own() {
    run(async || {
        for case in CASES {
            for way in WAYS {
                let mut machine = Machine::settled().await;
                let mut daemon = machine.start().await.unwrap().unwrap();
                for is_staged in [true, false] {
                    faults::begin(Fault::None);
                    machine.apply(&mut daemon, case, way, is_staged).await.unwrap();
                    let acts = faults::taken();
                    let files = count(&acts, &[DiskAct::Create]);
                    let staged = if is_staged { OTHERS.len() + 1 } else { 1 };
                    let put = if way == Way::TimedOut { 2 * staged } else { staged };
                    let what = format!("{}, {way:?}, staged: {is_staged}: {acts:?}", case.name);
                    assert!(files <= OWN_FILES + put, "{files} files: {what}");
                    let flushes = count(&acts, &[DiskAct::Sync, DiskAct::SyncDirectory]);
                    let removals = count(&acts, &[DiskAct::Remove]);
                    let most = FLUSHES_PER_FILE * files + FLUSHES_PER_REMOVAL * removals;
                    assert!(flushes <= most, "{flushes} flushes: {what}");
                }
            }
        }
    });
}

#[test]
fn a_router_at_rest_writes_nothing_nor_does_one_that_is_asked_for_what_it_has_or_repairs_drift() {
    run(async || {
        let drift = CASES.iter().find(|case| case.name == "somebody took everything").unwrap();
        let mut machine = Machine::settled().await;
        let mut daemon = machine.start().await.unwrap().unwrap();
        // What is asked for the first time goes into the history.
        machine.apply(&mut daemon, drift, Way::Plain, false).await.unwrap();
        faults::begin(Fault::None);
        for round in 0..20 {
            look(&mut machine, &mut daemon).await;
            daemon.reload();
            assert!(machine.work(&mut daemon).await);
            machine.apply(&mut daemon, drift, Way::Plain, false).await.unwrap();
            let _ = (daemon.history(), daemon.confirm("wrong", &Caller::default(), true));
            assert_eq!(faults::taken(), [], "round {round}");
        }
        // A crash and another start on what stands write nothing either.
        drop(daemon);
        machine.start().await.unwrap().unwrap();
        assert_eq!(faults::taken(), []);
    });
}

/// Lets the agent do what comes with time: its looks at the system, and its ticks.
async fn look(machine: &mut Machine, daemon: &mut Daemon) {
    for _ in 0..5 {
        if let Some(at) = daemon.reconciler.poll_timeout() {
            daemon.reconciler.handle_timeout(at);
        }
        daemon.handle_window_timeout();
        daemon.give_back_again();
        assert!(machine.work(daemon).await);
    }
}
