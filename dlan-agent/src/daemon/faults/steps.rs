//! Every step of every kind of change fails, and the process dies after each.

use std::collections::BTreeSet;

use super::machine::{Machine, Side, Way, run, sample};
use super::plans::{CASES, Case, EVERY_KIND};
use crate::system::file::faults::{self, Fault};

/// How many kill points there are at least.
const KILLS_MIN: usize = 200;

/// Applies a case with a kernel that misbehaves as `spoil` says, and returns the router with what it answered.
async fn applied(
    case: &Case,
    way: Way,
    spoil: impl Fn(&mut Machine),
) -> (Machine, Option<crate::daemon::Daemon>) {
    let mut machine = Machine::settled().await;
    let mut daemon = machine.start().await.unwrap().unwrap();
    spoil(&mut machine);
    machine.apply(&mut daemon, case, way, true).await;
    let is_alive = machine.kernel.die_after != Some(0) && !faults::is_dead();
    (machine, is_alive.then_some(daemon))
}

#[test]
fn the_cases_make_every_kind_of_step() {
    run(async || {
        let mut made = BTreeSet::new();
        for case in CASES {
            let (machine, daemon) = applied(case, Way::Plain, |_| {}).await;
            let side = machine.side(&daemon.unwrap(), case, true, case.name);
            let (before, after) = case.texts();
            assert_eq!(side == Side::After, before != after, "{}", case.name);
            made.extend(machine.kinds.iter().copied());
            assert!(!machine.kinds.is_empty(), "{} changes nothing", case.name);
        }
        let every = EVERY_KIND.iter().flat_map(|(kind, acts)| acts.iter().map(|act| (*kind, *act)));
        let missing: Vec<_> = every.filter(|kind| !made.contains(kind)).collect();
        assert_eq!(missing, [], "no case makes these");
    });
}

#[test]
fn whichever_step_fails_the_end_is_one_of_the_two_states() {
    run(async || {
        let mut failures = 0;
        for case in CASES {
            for way in [Way::Plain, Way::Confirmed, Way::TimedOut] {
                // Alone, and with those that take it back.
                for more in [0, 3] {
                    for step in sample(failures, 11) {
                        let spoil = |machine: &mut Machine| {
                            machine.kernel.fail_after = Some(step);
                            machine.kernel.fail_more = more;
                        };
                        let (machine, daemon) = applied(case, way, spoil).await;
                        if machine.kernel.fail_after.is_some_and(|left| left > 0) {
                            break;
                        }
                        failures += 1;
                        let what = format!("{}, {way:?}, step {step} fails and {more} more", case.name);
                        let side = machine.side(&daemon.unwrap(), case, true, &what);
                        assert_ne!((way, side), (Way::TimedOut, Side::After), "{what}");
                    }
                }
            }
        }
        println!("{failures} failing steps, in {} cases", CASES.len());
    });
}

#[test]
fn whenever_the_process_dies_the_next_start_comes_to_one_of_the_two_states() {
    run(async || {
        let mut kills = 0;
        for case in CASES {
            for way in [Way::Plain, Way::TimedOut] {
                for step in sample(kills, 5) {
                    let (mut machine, daemon) =
                        applied(case, way, |machine| machine.kernel.die_after = Some(step)).await;
                    if daemon.is_some() {
                        break;
                    }
                    kills += 1;
                    faults::begin(Fault::None);
                    machine.kernel.die_after = None;
                    let daemon = machine.start().await.unwrap().unwrap();
                    let what = format!("{}, {way:?}, dead after {step} steps", case.name);
                    let side = machine.side(&daemon, case, true, &what);
                    let (before, after) = case.texts();
                    let expected = if way == Way::Plain { Side::After } else { Side::Before };
                    assert!(before == after || side == expected, "{what}: {side:?}");
                }
            }
        }
        println!("{kills} kill points between the steps of {} cases", CASES.len());
        assert!(kills >= KILLS_MIN, "{kills}");
    });
}
