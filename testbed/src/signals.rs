//! A lab that is interrupted takes itself down.

use std::sync::atomic::Ordering;

use nix::sys::signal::{SigSet, Signal};

use crate::console::Console;
use crate::error::LabError;
use crate::lab::{Lab, STOPPING};

/// From here on, an interrupt takes the lab called `name` down and ends the program with code 130.
pub fn take_down_when_interrupted(name: &str) -> Result<(), LabError> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    // Threads started later inherit the mask; programs started later do not.
    signals
        .thread_block()
        .map_err(|errno| LabError::Asked(format!("cannot block interrupting signals: {errno}")))?;
    let name = name.to_owned();
    std::thread::spawn(move || {
        while signals.wait().is_err() {}
        STOPPING.store(true, Ordering::SeqCst);
        Console::complain("interrupted: taking the lab down");
        if let Err(error) = Lab::down(&name) {
            Console::complain(&error.with_causes());
        }
        std::process::exit(130);
    });
    Ok(())
}
