//! A machine's serial console in this terminal.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::LabError;

/// Ctrl-], which leaves the console.
const LEAVE: u8 = 0x1d;

/// Joins this terminal with a machine's serial console until Ctrl-] is typed, or the input ends.
pub fn attach(socket: &Path) -> Result<(), LabError> {
    let failed = |source| LabError::File { act: "speak to", path: socket.to_owned(), source };
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    let mut sender = stream.try_clone().map_err(failed)?;
    let before = std::io::stdin().is_terminal().then(|| settings(&["-g"]));
    if before.is_some() {
        settings(&["raw", "-echo"]);
    }
    std::thread::spawn(move || {
        let (mut input, mut buffer) = (std::io::stdin(), [0; 256]);
        while let Ok(count @ 1..) = input.read(&mut buffer) {
            let typed = buffer.get(..count).unwrap_or_default();
            if typed.contains(&LEAVE) || sender.write_all(typed).is_err() {
                break;
            }
        }
        // Ends the loop below as well.
        let _ = sender.shutdown(Shutdown::Both);
    });
    let (mut buffer, mut output) = ([0; 4096], std::io::stdout());
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let said = buffer.get(..count).unwrap_or_default();
        if output.write_all(said).and_then(|()| output.flush()).is_err() {
            break;
        }
    }
    if let Some(before) = before {
        settings(&[before.trim()]);
    }
    Ok(())
}

/// Changes or returns the terminal's settings.
fn settings(arguments: &[&str]) -> String {
    let said = Command::new("stty").args(arguments).stdin(Stdio::inherit()).stderr(Stdio::null()).output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default()
}
