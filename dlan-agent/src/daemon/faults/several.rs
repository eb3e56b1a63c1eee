//! Several at once, and the first of all: one wins, the other gets a clear word.

use std::fs;

use tokio::sync::oneshot;

use super::machine::{Machine, Side, Way, run};
use super::plans::CASES;
use crate::caller::Caller;
use crate::control::protocol::{ApplyOrders, RefusalKind, Reply};
use crate::daemon::Daemon;
use crate::store::durable;
use crate::store::history::ApplyOutcome;
use crate::store::recovery::{self, Attempt};

/// Asks for an apply as the control socket does, and returns where its answer comes.
fn ask(daemon: &mut Daemon) -> oneshot::Receiver<Reply> {
    let (answer, answered) = oneshot::channel();
    daemon.begin_apply(ApplyOrders::default(), Caller::default(), answer);
    answered
}

fn words(answered: &mut oneshot::Receiver<Reply>) -> String {
    match answered.try_recv() {
        Ok(Reply::Refused(refusal)) if refusal.kind == RefusalKind::Busy => refusal.message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_two_applies_at_once_the_first_goes_on_and_the_second_is_told_whose_that_is() {
    run(async || {
        let mut machine = Machine::settled().await;
        let mut daemon = machine.start().await.unwrap().unwrap();
        let mut first = ask(&mut daemon);
        assert_eq!(words(&mut ask(&mut daemon)), "an apply by root, on the router itself is under way");
        let (answer, mut answered) = oneshot::channel();
        daemon.begin_rollback(None, Caller::default(), answer);
        assert!(words(&mut answered).contains("is under way"));
        assert!(first.try_recv().is_err(), "the first one is not answered yet");
        assert!(daemon.applying.is_some());
    });
}

#[test]
fn an_apply_during_a_rollback_is_told_so_and_the_rollback_goes_through() {
    run(async || {
        let case = &CASES[0];
        let mut machine = Machine::settled().await;
        let mut daemon = machine.start().await.unwrap().unwrap();
        machine.apply(&mut daemon, case, Way::Open, true).await;
        let (answer, mut answered) = oneshot::channel();
        assert!(words(&mut ask(&mut daemon)).contains("unconfirmed"));
        daemon.begin_rollback(None, Caller::default(), answer);
        assert!(words(&mut ask(&mut daemon)).contains("is under way"));
        assert!(machine.work(&mut daemon).await);
        assert!(matches!(answered.try_recv(), Ok(Reply::Apply(report)) if report.done));
        assert_eq!(machine.side(&daemon, case, true, "rolled back"), Side::Before);
    });
}

#[test]
fn a_configuration_that_came_to_nothing_leaves_the_agent_with_the_one_before_it_and_a_rollback_its_file() {
    run(async || {
        let case = &CASES[0];
        let (before, after) = case.texts();
        let mut machine = Machine::settled().await;
        let mut daemon = machine.start().await.unwrap().unwrap();
        let first = Attempt { by: "root", time: 0, config: &before, window: None };
        recovery::remember(&machine.path("etc/dlan/history"), first, ApplyOutcome::Applied);
        // In place, asked for once by `dlan apply` and once by a signal.
        for is_asked in [true, false] {
            machine.kernel.fail_after = Some(3);
            if is_asked {
                machine.apply(&mut daemon, case, Way::Plain, false).await;
            } else {
                daemon.reload();
                assert!(machine.work(&mut daemon).await);
            }
            assert_eq!(machine.kernel.fail_after, None, "nothing failed");
            assert_eq!(machine.side(&daemon, case, false, "failed"), Side::Before);
            assert_eq!(fs::read_to_string(machine.path("etc/config/dlan")).unwrap(), after);
        }
        // What makes the agent look at its configuration again does not bring back what failed.
        daemon.bring_about();
        assert!(machine.work(&mut daemon).await);
        assert_eq!(daemon.reconciler.config(), Some(&daemon.config));
        let (answer, _answered) = oneshot::channel();
        daemon.begin_rollback(None, Caller::default(), answer);
        assert_eq!(daemon.applying.map(|applying| applying.text), Some(before));
    });
}

#[test]
fn a_daemon_stopped_during_an_apply_leaves_its_client_an_answer_and_the_next_start_one_of_the_two_states() {
    run(async || {
        let case = &CASES[0];
        let mut machine = Machine::settled().await;
        let mut daemon = machine.start().await.unwrap().unwrap();
        let mut answered = ask(&mut daemon);
        drop(daemon);
        // The server makes words of this, see its own tests.
        assert!(matches!(answered.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        let daemon = machine.start().await.unwrap().unwrap();
        assert_eq!(machine.side(&daemon, case, true, "stopped"), Side::Before);
    });
}

#[test]
fn a_last_good_configuration_of_an_earlier_version_is_taken_over() {
    run(async || {
        let mut machine = Machine::settled().await;
        let path = machine.path("etc/dlan/last-good-config");
        let text = durable::read(&path).unwrap().unwrap();
        fs::write(&path, &text).unwrap();
        machine.write("etc/config/dlan", "rubbish");
        let daemon = machine.start().await.unwrap().unwrap();
        assert_eq!((&daemon.text, daemon.config_errors.is_empty()), (&text, false));
        assert_eq!(durable::read(&path).unwrap(), Some(text));
    });
}

#[test]
fn a_window_of_a_later_version_keeps_the_agent_from_starting_with_clear_words() {
    run(async || {
        let mut machine = Machine::settled().await;
        machine.write("etc/dlan/window", "dlan-state 2 whatever it has there\n");
        let before = machine.files();
        let Err(error) = machine.start().await else { panic!("it starts") };
        let words = crate::causes::with_causes(&error);
        assert!(words.contains("later version of dlan"), "{words}");
        assert_eq!(machine.files(), before, "nothing is lost");
    });
}

#[test]
fn damage_to_any_file_of_the_store_keeps_no_agent_from_starting() {
    run(async || {
        for name in ["last-good-config", "window", "history"] {
            for damage in [&b"dlan-state 1 rubbish\n"[..], b"", b"\xff\xfe", b"dlan-state 1 0 5\nhello"] {
                let mut machine = Machine::settled().await;
                let path = machine.path(&format!("etc/dlan/{name}"));
                fs::write(&path, damage).unwrap();
                let daemon = machine.start().await.unwrap().unwrap();
                if name == "history" {
                    let Reply::Refused(refusal) = daemon.history() else {
                        panic!("a history out of rubbish")
                    };
                    assert!(refusal.message.contains("damaged"), "{}", refusal.message);
                    fs::remove_file(&path).unwrap();
                }
                let what = format!("{name}, damaged");
                assert_eq!(machine.side(&daemon, &CASES[0], true, &what), Side::Before, "{what}");
            }
        }
    });
}
