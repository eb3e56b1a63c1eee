//! Runs the programs of the system that the lab is built with; what fails says which, with what, and why.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use thiserror::Error;

/// Why a program could not be run, or did not succeed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It is not there or cannot be started.
    #[error("cannot run `{line}`")]
    Start {
        /// The command line.
        line: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ran and failed.
    #[error("`{line}` failed ({status}): {said}")]
    Failed {
        /// The command line.
        line: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it said.
        said: String,
    },
}

/// Runs a command to its end, giving it `input`, and returns what it wrote whether it succeeded or not.
pub fn output(command: &mut Command, input: &str) -> Result<Output, CommandError> {
    let line = line_of(command);
    let start = |source| CommandError::Start { line: line.clone(), source };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(start)?;
    let writer = child.stdin.take().map(|mut stdin| {
        let input = input.to_owned();
        std::thread::spawn(move || {
            // A program that does not read its input to the end closes the pipe: its exit status tells.
            let _ = stdin.write_all(input.as_bytes());
        })
    });
    let result = child.wait_with_output().map_err(start)?;
    if let Some(writer) = writer {
        let _ = writer.join();
    }
    Ok(result)
}

/// Runs a command that must succeed and returns what it wrote to its standard output.
pub fn run(command: &mut Command, input: &str) -> Result<String, CommandError> {
    let result = output(command, input)?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    let mut said = String::from_utf8_lossy(&result.stderr).trim().to_owned();
    if said.is_empty() {
        String::from_utf8_lossy(&result.stdout).trim().clone_into(&mut said);
    }
    Err(CommandError::Failed { line: line_of(command), status: result.status, said })
}

/// Returns a command line as a person would type it.
pub fn line_of(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_says_which_and_what_it_said() {
        let error = run(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]), "").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c") && text.contains("no such thing") && text.contains('3'), "{text}");
    }

    #[test]
    fn large_input_and_output_do_not_block_each_other() {
        let text = "x".repeat(1 << 20);
        assert_eq!(run(&mut Command::new("cat"), &text).unwrap(), text);
    }
}
