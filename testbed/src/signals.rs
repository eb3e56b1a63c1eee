//! A lab that is interrupted takes itself down: one process works, another waits and cleans up after it.

use std::process::{Child, Command};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};

use crate::console::Console;
use crate::error::LabError;
use crate::lab::Lab;

/// Tells the working process that it is one.
const SUPERVISED: &str = "DLAN_LAB_SUPERVISED";
/// The exit code of an interrupted program.
const INTERRUPTED: u8 = 130;

/// Returns whether this is the process that works; its signals are as a program expects them.
pub fn is_working_process() -> Result<bool, LabError> {
    if std::env::var_os(SUPERVISED).is_none() {
        return Ok(false);
    }
    // Whoever cleans up being gone, going on would leave a lab behind.
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| {
        LabError::Asked(format!("cannot tie this process to the one that cleans up: {errno}"))
    })?;
    watched()
        .thread_unblock()
        .map_err(|errno| LabError::Asked(format!("cannot unblock signals: {errno}")))?;
    Ok(true)
}

/// Runs this program once more to do the work, and returns its exit code; takes `labs` down when it is interrupted.
pub fn supervise(labs: &[String]) -> Result<u8, LabError> {
    let signals = watched();
    // From here on no signal ends this process before it has cleaned up.
    signals.thread_block().map_err(|errno| LabError::Asked(format!("cannot block signals: {errno}")))?;
    let mut work = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .env(SUPERVISED, "1")
        .spawn()
        .map_err(|source| LabError::Asked(format!("cannot run this program once more: {source}")))?;
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Ok(Some(status)) = work.try_wait() {
                    let code = status.code().and_then(|code| u8::try_from(code).ok());
                    return code.map_or_else(|| interrupted(&mut work, labs), Ok);
                }
            }
            Ok(_) => return interrupted(&mut work, labs),
            Err(_) => {}
        }
    }
}

fn watched() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD])
}

fn interrupted(work: &mut Child, labs: &[String]) -> Result<u8, LabError> {
    // One that has ended already needs no end.
    let _ = work.kill();
    let _ = work.wait();
    Console::complain("interrupted: taking the lab down");
    for lab in labs {
        Lab::down(lab)?;
    }
    Ok(INTERRUPTED)
}
