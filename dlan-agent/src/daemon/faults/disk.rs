//! The disk: the process dies at each of its writes, it takes nothing, the power goes.

use nix::libc::{ENOSPC, EROFS};

use super::every::{self, WAYS};
use super::machine::{Machine, Side, Way, run};
use super::plans::{CASES, Case};
use crate::control::protocol::Reply;
use crate::daemon::Daemon;
use crate::system::file::faults::{self, Fault};

fn case() -> &'static Case {
    CASES.iter().find(|case| case.name == "everything").unwrap()
}

/// Applies the case with a disk that fails so, and returns the router with its answer.
async fn applied(way: Way, fault: Fault) -> (Machine, Daemon, Option<Reply>) {
    let mut machine = Machine::settled().await;
    let mut daemon = machine.start().await.unwrap().unwrap();
    faults::begin(fault);
    let reply = machine.apply(&mut daemon, case(), way, true).await;
    (machine, daemon, reply)
}

/// Returns whether a client was told that it is done.
fn is_done(reply: Option<&Reply>) -> bool {
    match reply {
        Some(Reply::Apply(report)) => report.done,
        Some(Reply::Confirmed) => true,
        _ => false,
    }
}

/// Checks the end: where the client was told that it is done the one state, where the time was over the other.
fn assert_end(machine: &Machine, daemon: &Daemon, way: Way, reply: Option<&Reply>, what: &str) {
    let side = machine.side(daemon, case(), true, what);
    if way == Way::TimedOut {
        assert_eq!(side, Side::Before, "{what}");
    } else if is_done(reply) {
        assert_eq!(side, Side::After, "{what}: {reply:?}");
    }
}

#[test]
fn whichever_write_the_process_dies_at_the_next_start_comes_to_one_of_the_two_states() {
    run(async || {
        let kills = every::death(&WAYS, async |way, fault, what| {
            let (mut machine, daemon, reply) = applied(way, fault).await;
            if !faults::is_dead() {
                return false;
            }
            drop(daemon);
            faults::begin(Fault::None);
            let daemon = machine.start().await.unwrap().unwrap();
            assert_end(&machine, &daemon, way, reply.as_ref(), what);
            true
        })
        .await;
        println!("{kills} kill points at writes to disk");
        assert!(kills >= 100, "{kills}");
    });
}

#[test]
fn a_start_that_dies_on_its_way_back_is_done_again() {
    run(async || {
        let kills = every::death(&[Way::TimedOut], async |way, fault, what| {
            let mut machine = Machine::settled().await;
            let mut daemon = machine.start().await.unwrap().unwrap();
            machine.kernel.die_after = Some(20);
            assert_eq!(machine.apply(&mut daemon, case(), way, true).await, None);
            drop(daemon);
            machine.kernel.die_after = None;
            faults::begin(fault);
            let second = machine.start().await;
            if !faults::is_dead() {
                return false;
            }
            drop(second);
            faults::begin(Fault::None);
            let daemon = machine.start().await.unwrap().unwrap();
            assert_eq!(machine.side(&daemon, case(), true, what), Side::Before, "dead twice: {what}");
            true
        })
        .await;
        println!("{kills} kill points at writes of a start that returns");
        assert!(kills >= 20, "{kills}");
    });
}

#[test]
fn a_power_cut_at_any_moment_leaves_one_of_the_two_states() {
    run(async || {
        let begin = async || {
            let mut machine = Machine::settled().await;
            let daemon = machine.start().await.unwrap().unwrap();
            (machine, daemon)
        };
        let cuts = every::power_cut(case(), begin, async |machine, what| {
            let daemon = machine.start().await.unwrap().unwrap();
            machine.side(&daemon, case(), true, what);
        })
        .await;
        println!("{cuts} states of a disk behind a power cut");
        assert!(cuts >= 60, "{cuts}");
    });
}

#[test]
fn a_disk_that_refuses_loses_nothing_and_takes_it_later() {
    run(async || {
        let refusals = every::refusal(async |way, fault, what| {
            let (mut machine, mut daemon, reply) = applied(way, fault).await;
            if !faults::has_struck() {
                return false;
            }
            faults::begin(Fault::None);
            settle_later(&mut machine, &mut daemon).await;
            assert_end(&machine, &daemon, way, reply.as_ref(), what);
            true
        })
        .await;
        println!("{refusals} writes refused");
    });
}

#[test]
fn an_agent_behind_a_crash_on_a_disk_that_takes_nothing_runs_the_confirmed_state_and_writes_it_later() {
    run(async || {
        for error in [ENOSPC, EROFS] {
            let mut machine = Machine::settled().await;
            let mut daemon = machine.start().await.unwrap().unwrap();
            machine.kernel.die_after = Some(20);
            assert_eq!(machine.apply(&mut daemon, case(), Way::TimedOut, true).await, None);
            drop(daemon);
            machine.kernel.die_after = None;
            faults::begin(Fault::Errors(0, error));
            let mut daemon = machine.start().await.unwrap().unwrap();
            assert_eq!(daemon.config.mesh.host_id.0, 1, "the confirmed configuration runs");
            let refused = daemon.refuse_a_second().unwrap_err();
            assert!(refused.message.contains("not all back yet"), "{}", refused.message);
            faults::begin(Fault::None);
            settle_later(&mut machine, &mut daemon).await;
            assert_eq!(machine.side(&daemon, case(), true, "later"), Side::Before);
        }
    });
}

/// What comes by itself when the disk takes writes again: the next tick, and the window's end.
async fn settle_later(machine: &mut Machine, daemon: &mut Daemon) {
    daemon.give_back_again();
    if daemon.window.is_some() {
        daemon.end_window(crate::store::history::ApplyOutcome::Returned(
            crate::store::history::ReturnReason::TimeOut,
        ));
    }
    assert!(machine.work(daemon).await);
    daemon.keep_checkpoint();
}
