//! Processes as `/proc` shows them: told from later ones of the same number, found by what they run, and signalled.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

pub(super) use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process: its number and when it began, for numbers come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it began, in clock ticks since the boot.
    pub start_time: u64,
}

impl Process {
    /// Returns the process of that number, if there is one that has not ended.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, start_time: start_time(&stat)? })
    }
}

/// Reads when a process began from its `stat` file (proc(5)); nothing of one that has ended and was not waited for.
fn start_time(stat: &str) -> Option<u64> {
    // The second field is the program's name, in which anything can stand, brackets too.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // The state is field 3, the start time field 22.
    fields.nth(18)?.parse().ok()
}

/// Returns whether it goes on.
pub(super) fn runs(process: Process) -> bool {
    Process::of(process.pid) == Some(process)
}

/// Returns the processes of this network namespace that run a program with `mark` in their command line.
pub(super) fn find(program: &Path, mark: &str) -> Vec<Process> {
    let namespace = fs::read_link("/proc/self/ns/net").ok();
    let is_it = |pid: &i32| {
        let of = |what: &str| Path::new("/proc").join(pid.to_string()).join(what);
        let is_marked = fs::read(of("cmdline")).is_ok_and(|line| contains(&line, mark.as_bytes()));
        is_marked && runs_program(&of("exe"), program) && fs::read_link(of("ns/net")).ok() == namespace
    };
    pids().filter(is_it).filter_map(Process::of).collect()
}

/// Returns the processes that run a program in the session that a process began.
pub(super) fn of_session(program: &Path, session: i32) -> Vec<Process> {
    let of = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Field 6, after the state and two more.
        stat.rsplit_once(") ")?.1.split_ascii_whitespace().nth(3)?.parse::<i32>().ok()
    };
    let is_it = |pid: &i32| {
        of(pid) == Some(session)
            && runs_program(&Path::new("/proc").join(pid.to_string()).join("exe"), program)
    };
    pids().filter(is_it).filter_map(Process::of).collect()
}

/// Returns the children of a process with `mark` in their command line.
pub(super) fn children(parent: i32, mark: &str) -> Vec<Process> {
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        // Field 4, after the state.
        let field =
            stat.as_deref().and_then(|stat| stat.rsplit_once(") ")?.1.split_ascii_whitespace().nth(1));
        field.and_then(|field| field.parse::<i32>().ok()) == Some(parent)
    };
    let is_marked = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| contains(&line, mark.as_bytes()))
    };
    pids().filter(is_child).filter(is_marked).filter_map(Process::of).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
}

fn runs_program(link: &Path, program: &Path) -> bool {
    let Ok(runs) = fs::read_link(link) else { return false };
    // A file that was replaced by an upgrade is shown with a note.
    let runs = runs.to_string_lossy();
    let runs = Path::new(runs.strip_suffix(" (deleted)").unwrap_or(&runs));
    runs == program || fs::canonicalize(program).is_ok_and(|program| runs == program)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Sends a signal; to one that has ended none is sent.
pub(super) fn signal(process: Process, signal: Signal) -> io::Result<()> {
    let Some(handle) = open(process)? else { return Ok(()) };
    match pidfd_send_signal(&handle, signal) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        result => Ok(result?),
    }
}

/// Waits until a process has ended.
pub(super) async fn ended(process: Process) -> io::Result<()> {
    let Some(handle) = open(process)? else { return Ok(()) };
    #[expect(deprecated, reason = "unsound for what can change its descriptor, which an OwnedFd cannot")]
    let handle = AsyncFd::with_interest(handle, Interest::READABLE)?;
    handle.readable().await?.retain_ready();
    Ok(())
}

/// Opens a handle of the very process; `None` when it has ended.
fn open(process: Process) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(process.pid) else { return Ok(None) };
    let handle = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        result => result?,
    };
    // Only what is open cannot become another process.
    Ok(runs(process).then_some(handle))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_stat_is_read_or_not(text in ".{0,80}") {
            let _ = start_time(&text);
        }

        #[test]
        fn the_name_of_a_program_hides_nothing(name in ".{0,15}") {
            let stat = format!("7 ({name}) S 1 7 7 0 -1 4194560 5 0 0 0 1 2 3 4 20 0 1 0 123456 1 2");
            prop_assert_eq!(start_time(&stat), Some(123_456));
        }
    }

    #[test]
    fn a_process_is_found_by_what_it_runs_and_seen_to_end() {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark");
        fs::write(&mark, "").unwrap();
        let mut child = Command::new("tail").arg("-f").arg(&mark).spawn().unwrap();
        let tail = fs::canonicalize(format!("/proc/{}/exe", child.id()));
        let process = Process::of(child.id().try_into().unwrap()).unwrap();
        // Between fork and exec it is this program.
        while find(Path::new("/usr/bin/tail"), mark.to_str().unwrap()).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(find(Path::new("/usr/bin/tail"), mark.to_str().unwrap()), [process], "{tail:?}");
        assert_eq!(find(Path::new("/usr/bin/head"), mark.to_str().unwrap()), []);
        assert_eq!(find(Path::new("/usr/bin/tail"), "another mark"), []);
        let other = Process { start_time: process.start_time + 1, ..process };
        signal(other, Signal::KILL).unwrap();
        assert!(runs(process) && !runs(other));
        signal(process, Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(!runs(process));
        signal(process, Signal::KILL).unwrap();
    }

    #[test]
    fn the_end_of_a_process_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
            let process = Process::of(child.id().try_into().unwrap()).unwrap();
            let waiting = tokio::spawn(ended(process));
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished());
            signal(process, Signal::TERM).unwrap();
            waiting.await.unwrap().unwrap();
            child.wait().unwrap();
            ended(process).await.unwrap();
        });
    }
}
