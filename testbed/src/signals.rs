//! A program that is interrupted takes its labs down first.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use nix::sys::signal::{SigSet, Signal};

use crate::console::Console;
use crate::error::LabError;
use crate::lab::{Lab, STOPPING};

/// The labs that this program has to take down.
static LABS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// From here on, an interrupt takes down the labs named by [`also_takes_down`] and ends the program with code 130.
pub fn handle() -> Result<(), LabError> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    // Threads started later inherit the mask; programs started later do not.
    signals
        .thread_block()
        .map_err(|errno| LabError::Asked(format!("cannot block interrupting signals: {errno}")))?;
    std::thread::spawn(move || {
        while signals.wait().is_err() {}
        STOPPING.store(true, Ordering::SeqCst);
        Console::complain("interrupted: taking the lab down");
        let labs = LABS.lock().map(|labs| labs.clone()).unwrap_or_default();
        for lab in labs {
            if let Err(error) = Lab::down(&lab) {
                Console::complain(&error.with_causes());
            }
        }
        std::process::exit(130);
    });
    Ok(())
}

/// Adds a lab to those that an interrupt takes down.
pub fn also_takes_down(lab: &str) {
    if let Ok(mut labs) = LABS.lock() {
        labs.insert(lab.to_owned());
    }
}
