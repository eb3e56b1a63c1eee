//! Every way at every moment of the disk: what the tests about it go through.

use nix::libc::{ENOSPC, EROFS};

use super::machine::{Machine, Way, sample};
use super::plans::Case;
use crate::daemon::Daemon;
use crate::system::file::faults::{self, Fault};

/// How an apply comes to its end.
pub const WAYS: [Way; 3] = [Way::Plain, Way::Confirmed, Way::TimedOut];

/// Tries these ways with a process that dies before its first write, before its second, and so on, until it lives through
/// them all, of which `attempt` returns whether it died; returns how often it did.
pub async fn death(ways: &[Way], mut attempt: impl AsyncFnMut(Way, Fault, &str) -> bool) -> usize {
    let mut kills = 0;
    for way in ways {
        for step in 0.. {
            if !attempt(*way, Fault::Death(step), &format!("{way:?}, dead before write {step}")).await {
                break;
            }
            kills += 1;
        }
    }
    kills
}

/// Has a case applied in every way, and judges the router on each disk that a power cut may leave meanwhile; returns how many.
pub async fn power_cut(
    case: &Case,
    begin: impl AsyncFn() -> (Machine, Daemon),
    mut judge: impl AsyncFnMut(&mut Machine, &str),
) -> usize {
    let mut cuts = 0;
    for way in WAYS {
        let (mut machine, mut daemon) = begin().await;
        let before = machine.files().into_iter();
        let before = before.map(|(path, octets)| (machine.path(path.to_str().unwrap()), octets)).collect();
        faults::begin(Fault::None);
        machine.apply(&mut daemon, case, way, true).await.unwrap();
        drop(daemon);
        for files in faults::after_power_cuts(&before) {
            let below = files.into_iter().map(|(path, octets)| (machine.below(&path), octets)).collect();
            machine.put(&below);
            machine.kernel = Default::default();
            judge(&mut machine, &format!("{way:?}, power cut {cuts}")).await;
            cuts += 1;
        }
    }
    cuts
}

/// Tries every way on a disk that is full or read-only from a write on, or at that one only; `attempt` returns whether there
/// was such a write. Returns how many were refused.
pub async fn refusal(mut attempt: impl AsyncFnMut(Way, Fault, &str) -> bool) -> usize {
    let mut refusals = 0;
    for way in WAYS {
        for (name, error) in [("full", ENOSPC), ("read-only", EROFS)] {
            for (how, fault) in [("once", Fault::Error as fn(_, _) -> _), ("for good", Fault::Errors)] {
                for step in sample(refusals, 4) {
                    let what = format!("{way:?}, disk {name} {how} at write {step}");
                    if !attempt(way, fault(step, error), &what).await {
                        break;
                    }
                    refusals += 1;
                }
            }
        }
    }
    refusals
}
