//! Load on a server that has a processor to itself: clients, each of which asks again as soon as it is answered.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::command;
use crate::error::LabError;

/// The processor of the server that is measured.
const OF_THE_SERVER: usize = 0;
/// The processor of everything else, where there are two.
const OF_THE_CLIENTS: usize = 1;

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// How many answers came in a second.
    pub per_second: f64,
    /// Within what 99 of 100 came.
    pub percentile: Duration,
    /// How many did not come.
    pub missed: usize,
}

/// Keeps a process with all its threads on the server's processor.
pub fn pin_server(pid: i32) -> Result<(), LabError> {
    let mut taskset = Command::new("taskset");
    taskset.args(["--all-tasks", "--cpu-list", "--pid", &OF_THE_SERVER.to_string(), &pid.to_string()]);
    Ok(command::run(&mut taskset, "").map(drop)?)
}

/// Keeps the thread that calls on the clients' processor.
pub fn pin_client() {
    let mut processors = CpuSet::new();
    // With one processor alone both share it.
    if processors.set(OF_THE_CLIENTS).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &processors);
    }
}

/// Runs clients for some time, each of its own making; what one does counts when it says so.
pub fn run<C: Send>(
    clients: usize,
    window: Duration,
    begin: impl Fn(usize) -> std::io::Result<C> + Sync,
    ask: impl Fn(&mut C, usize) -> std::io::Result<bool> + Sync,
) -> Result<Load, LabError> {
    let client = |number: usize| -> std::io::Result<(Vec<Duration>, usize)> {
        pin_client();
        let (mut client, mut taken, mut missed) = (begin(number)?, Vec::new(), 0);
        let begun = Instant::now();
        for round in 0.. {
            let asked = Instant::now();
            if asked.duration_since(begun) >= window {
                break;
            }
            match ask(&mut client, round) {
                Ok(true) => taken.push(asked.elapsed()),
                _ => missed += 1,
            }
        }
        Ok((taken, missed))
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|number| scope.spawn(move || client(number))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let (mut taken, mut missed) = (Vec::new(), 0);
    for result in results {
        let (of_one, missed_by_one) = result.map_err(|why| LabError::Asked(format!("a client: {why}")))?;
        taken.extend(of_one);
        missed += missed_by_one;
    }
    taken.sort();
    let percentile = taken.get(taken.len() * 99 / 100).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
    let per_second = taken.len() as f64 / window.as_secs_f64();
    Ok(Load { per_second, percentile, missed })
}
