//! The first apply of a router that nobody has configured: what it returns to is nothing at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::every::{self, WAYS};
use super::machine::{Begun, Machine, OTHERS, Side, Way, run, sample};
use super::plans::{CASES, Case};
use crate::control::protocol::Reply;
use crate::daemon::idle::Idle;
use crate::daemon::{Daemon, Ground};
use crate::openings::Openings;
use crate::state::State;
use crate::store::durable;
use crate::store::history::{ApplyOutcome, History, ReturnReason};
use crate::store::recovery;
use crate::system::file::faults::{self, Fault, Files};

/// What a package puts in the place of a configuration.
const BLANK: &str = "# dlan does nothing until it is told who this router is:\n#\n#   config dlan\n";

fn case() -> &'static Case {
    CASES.iter().find(|case| case.name == "everything").unwrap()
}

/// A router that nobody has configured.
async fn fresh() -> Machine {
    let mut machine = Machine::with(&Files::new(), State::default());
    machine.write("etc/config/dlan", BLANK);
    for name in OTHERS {
        machine.write(&format!("etc/config/{name}"), "before");
    }
    assert!(matches!(machine.begin().await, Ok(Some(Begun::Idle))));
    machine
}

/// Has the first configuration applied on a router that misbehaves as `spoil` says; returns who has done it, if it lives.
async fn applied(way: Way, spoil: impl FnOnce(&mut Machine)) -> (Machine, Option<Daemon>, Option<Reply>) {
    let mut machine = fresh().await;
    let mut daemon = machine.first(case());
    spoil(&mut machine);
    let reply = machine.apply(&mut daemon, case(), way, true).await;
    let is_alive = machine.kernel.die_after != Some(0) && !faults::is_dead();
    (machine, is_alive.then_some(daemon), reply)
}

/// Lets the router come to rest, and says on which side it is, which it must be wholly.
async fn side(machine: &mut Machine, daemon: Option<Daemon>, what: &str) -> Side {
    faults::begin(Fault::None);
    machine.kernel.die_after = None;
    let begun = match daemon {
        Some(daemon) if daemon.ground == Ground::GivenUp => {
            if let Some(unreturned) = &daemon.unreturned {
                let (window, history) = (&daemon.paths.window, &daemon.paths.history);
                recovery::close(&unreturned.window, unreturned.outcome.clone(), window, history).unwrap();
            }
            assert!(machine.tidy_up().await);
            Begun::Idle
        }
        Some(daemon) => Begun::Working(Box::new(daemon)),
        None => machine.begin().await.unwrap().unwrap(),
    };
    match begun {
        Begun::Working(daemon) => {
            assert_eq!(machine.side(&daemon, case(), true, what), Side::After, "{what}");
            Side::After
        }
        Begun::Idle => {
            assert_nothing(machine, Some(BLANK), what);
            Side::Before
        }
    }
}

fn assert_nothing(machine: &Machine, config: Option<&str>, what: &str) {
    assert_eq!(machine.kernel.state, State::default(), "{what}: the kernel is between");
    let text = fs::read_to_string(machine.path("etc/config/dlan")).ok();
    assert_eq!(text.as_deref(), config, "{what}: the configuration");
    for name in OTHERS {
        let text = fs::read_to_string(machine.path(&format!("etc/config/{name}"))).unwrap();
        assert_eq!(text, "before", "{what}: {name}");
    }
    assert!(!machine.path("etc/dlan/window").exists(), "{what}: a window is left");
    let good = durable::read(&machine.path("etc/dlan/last-good-config")).unwrap();
    assert_eq!(good, None, "{what}: something is called good");
}

/// Returns whether the client was told that it is done.
fn is_done(reply: Option<&Reply>) -> bool {
    matches!(reply, Some(Reply::Confirmed)) || matches!(reply, Some(Reply::Apply(report)) if report.done)
}

/// Checks the end: where the client was told that it is done all of it stands, where the time was over nothing.
fn assert_end(way: Way, reply: Option<&Reply>, seen: Side, what: &str) {
    let is_told = is_done(reply) && way != Way::TimedOut;
    assert!(!is_told || seen == Side::After, "{what}");
    assert!(way != Way::TimedOut || seen == Side::Before, "{what}");
}

#[test]
fn a_first_apply_stands_when_it_is_confirmed_and_is_wholly_gone_when_it_is_not() {
    run(async || {
        for (way, expected, outcome) in [
            (Way::Plain, Side::After, ApplyOutcome::Applied),
            (Way::Confirmed, Side::After, ApplyOutcome::Confirmed),
            (Way::TimedOut, Side::Before, ApplyOutcome::Returned(ReturnReason::TimeOut)),
        ] {
            let (mut machine, daemon, _) = applied(way, |_| {}).await;
            let what = format!("{way:?}");
            assert_eq!(side(&mut machine, daemon, &what).await, expected, "{what}");
            let history = History::read(&machine.path("etc/dlan/history")).unwrap();
            let [entry] = history.entries.as_slice() else { panic!("{what}: {history:?}") };
            assert_eq!((&entry.outcome, &entry.config), (&outcome, &case().texts().1), "{what}");
            // So does the next start see it.
            assert_eq!(side(&mut machine, None, &what).await, expected, "{what}, started again");
        }
    });
}

#[test]
fn a_first_configuration_that_was_written_in_place_goes_into_the_history_when_nobody_confirms_it() {
    run(async || {
        let mut machine = fresh().await;
        let mut daemon = machine.first(case());
        machine.apply(&mut daemon, case(), Way::TimedOut, false).await;
        assert_eq!(daemon.ground, Ground::GivenUp);
        assert!(machine.tidy_up().await);
        assert_nothing(&machine, None, "written in place");
        let history = History::read(&machine.path("etc/dlan/history")).unwrap();
        assert_eq!(history.entries[0].config, case().texts().1);
        assert!(matches!(machine.begin().await, Ok(Some(Begun::Idle))));
    });
}

#[test]
fn a_first_apply_of_which_any_step_fails_stands_whole_or_not_at_all() {
    run(async || {
        let mut failures = 0;
        for way in WAYS {
            // Alone, and with those that take it back.
            for more in [0, 3] {
                for step in sample(failures, 5) {
                    let (mut machine, daemon, reply) = applied(way, |machine| {
                        machine.kernel.fail_after = Some(step);
                        machine.kernel.fail_more = more;
                    })
                    .await;
                    if machine.kernel.fail_after.is_some_and(|left| left > 0) {
                        break;
                    }
                    failures += 1;
                    let what = format!("{way:?}, step {step} fails and {more} more");
                    let is_told = is_done(reply.as_ref()) && way != Way::TimedOut;
                    let expected = if is_told { Side::After } else { Side::Before };
                    assert_eq!(side(&mut machine, daemon, &what).await, expected, "{what}");
                }
            }
        }
        assert!(failures >= 10, "{failures}");
    });
}

#[test]
fn whenever_the_process_dies_a_first_apply_stands_whole_or_not_at_all() {
    run(async || {
        let mut kills = 0;
        for way in WAYS {
            for step in sample(kills, 3) {
                let (mut machine, daemon, _) =
                    applied(way, |machine| machine.kernel.die_after = Some(step)).await;
                if daemon.is_some() {
                    break;
                }
                kills += 1;
                let what = format!("{way:?}, dead after {step} steps");
                let expected = if way == Way::Plain { Side::After } else { Side::Before };
                assert_eq!(side(&mut machine, None, &what).await, expected, "{what}");
            }
        }
        // On its way back, too.
        for step in 0.. {
            let (mut machine, daemon, _) = applied(Way::TimedOut, |_| {}).await;
            assert_eq!(daemon.unwrap().ground, Ground::GivenUp);
            machine.kernel.die_after = Some(step);
            if machine.tidy_up().await {
                break;
            }
            kills += 1;
            let what = format!("dead after {step} steps of the removal");
            assert_eq!(side(&mut machine, None, &what).await, Side::Before, "{what}");
        }
        println!("{kills} kill points between the steps of a first apply");
        assert!(kills >= 20, "{kills}");
    });
}

#[test]
fn whichever_write_the_process_dies_at_a_first_apply_stands_whole_or_not_at_all() {
    run(async || {
        let kills = every::death(&WAYS, async |way, fault, what| {
            let (mut machine, daemon, reply) = applied(way, |_| faults::begin(fault)).await;
            if !faults::is_dead() {
                return false;
            }
            drop(daemon);
            assert_end(way, reply.as_ref(), side(&mut machine, None, what).await, what);
            true
        })
        .await;
        println!("{kills} kill points at the writes of a first apply");
        assert!(kills >= 50, "{kills}");
    });
}

#[test]
fn a_power_cut_at_any_moment_of_a_first_apply_leaves_it_whole_or_nothing() {
    run(async || {
        let begin = async || {
            let mut machine = fresh().await;
            let daemon = machine.first(case());
            (machine, daemon)
        };
        let cuts = every::power_cut(case(), begin, async |machine, what| {
            side(machine, None, what).await;
        })
        .await;
        println!("{cuts} states of a disk behind a power cut in a first apply");
    });
}

#[test]
fn a_disk_that_refuses_loses_nothing_of_a_first_apply() {
    run(async || {
        let refusals = every::refusal(async |way, fault, what| {
            let (mut machine, daemon, reply) = applied(way, |_| faults::begin(fault)).await;
            if !faults::has_struck() {
                return false;
            }
            faults::begin(Fault::None);
            let mut daemon = daemon.unwrap();
            if daemon.window.is_some() {
                daemon.end_window(ApplyOutcome::Returned(ReturnReason::TimeOut));
            }
            daemon.give_back_again();
            if daemon.ground == Ground::Configuration {
                daemon.keep_checkpoint();
            }
            assert_end(way, reply.as_ref(), side(&mut machine, Some(daemon), what).await, what);
            true
        })
        .await;
        println!("{refusals} writes of a first apply refused");
    });
}

#[test]
fn a_damaged_window_of_a_first_apply_leaves_nothing_and_the_configuration_in_the_history() {
    run(async || {
        let mut machine = fresh().await;
        let mut daemon = machine.first(case());
        machine.apply(&mut daemon, case(), Way::Open, false).await;
        drop(daemon);
        fs::write(machine.path("etc/dlan/window"), "dlan-state 1 rubbish").unwrap();
        assert!(matches!(machine.begin().await, Ok(Some(Begun::Idle))));
        assert_nothing(&machine, None, "damaged");
        let history = History::read(&machine.path("etc/dlan/history")).unwrap();
        assert_eq!(history.entries[0].config, case().texts().1);
    });
}

/// Waits until the service's script was called so many times.
async fn told(machine: &Machine, times: usize) {
    let text = || fs::read_to_string(machine.path("told")).unwrap_or_default();
    while text().lines().count() < times {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(text(), "openings\n".repeat(times));
}

#[test]
fn the_systems_firewall_hears_of_the_first_configuration_and_of_its_return() {
    run(async || {
        let mut machine = fresh().await;
        let script = format!("#!/bin/sh\necho \"$@\" >> {}\n", machine.path("told").display());
        machine.write("init.d/dlan", &script);
        fs::set_permissions(machine.path("init.d/dlan"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut daemon = machine.first(case());
        machine.apply(&mut daemon, case(), Way::Open, true).await;
        told(&machine, 1).await;
        assert_eq!(daemon.openings(), Openings::of(&daemon.config));
        assert_ne!(daemon.openings(), Openings::default());
        // An apply that opens and closes nothing is not told.
        let text = daemon.text.clone();
        let loaded = daemon.parse(&text).unwrap();
        daemon.take_config(loaded);
        daemon.end_window(ApplyOutcome::Returned(ReturnReason::TimeOut));
        assert_eq!(daemon.ground, Ground::GivenUp);
        Idle::after(daemon).tidy_up().await;
        told(&machine, 2).await;
    });
}
