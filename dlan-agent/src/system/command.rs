//! Runs another program, with its input, a deadline and its words when it fails.

use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a program may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long an init script may take: it may start, stop and wait for programs, on a router that does much else when the mesh comes up.
/// OpenWrt's restart of dnsmasq was seen to take 18 s.
const SCRIPT_DEADLINE: Duration = Duration::from_secs(60);

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started, spoken to or waited for.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took too long and was ended.
    #[error("{program} did not end within {deadline:?}")]
    Late {
        /// The program.
        program: String,
        /// How long it had.
        deadline: Duration,
    },
    /// It failed.
    #[error("{program} failed: {words}")]
    Failed {
        /// The program.
        program: String,
        /// What it said.
        words: String,
    },
}

/// Runs a program to its end and returns what it wrote.
pub async fn run(program: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, CommandError> {
    run_to_end(program, arguments, input, DEADLINE).await.map(|output| output.stdout)
}

/// Has an init script act.
pub async fn run_script(script: &Path, act: &str) -> Result<(), CommandError> {
    run_to_end(&script.to_string_lossy(), &[act], b"", SCRIPT_DEADLINE).await.map(drop)
}

/// Runs a program that writes its answer where others write their errors, and returns all that it wrote.
pub async fn run_for_both(program: &str, arguments: &[&str]) -> Result<Vec<u8>, CommandError> {
    let Output { mut stdout, stderr, .. } = run_to_end(program, arguments, b"", DEADLINE).await?;
    stdout.extend(stderr);
    Ok(stdout)
}

async fn run_to_end(
    program: &str,
    arguments: &[&str],
    input: &[u8],
    deadline: Duration,
) -> Result<Output, CommandError> {
    let failed = |source| CommandError::Run { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let stdin = child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read its input says why it failed by itself.
            let _ = stdin.write_all(input).await;
        }
    };
    let both = async { tokio::join!(write, child.wait_with_output()).1 };
    let output = tokio::time::timeout(deadline, both)
        .await
        .map_err(|_| CommandError::Late { program: program.to_owned(), deadline })?;
    let output = output.map_err(failed)?;
    if output.status.success() {
        return Ok(output);
    }
    let Output { stdout, stderr, .. } = output;
    let said = if stderr.is_empty() { stdout } else { stderr };
    Err(CommandError::Failed {
        program: program.to_owned(),
        words: String::from_utf8_lossy(&said).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_and_named() {
        let end = run_to_end("sleep", &["infinity"], b"", Duration::from_millis(10)).await;
        assert_eq!(end.unwrap_err().to_string(), "sleep did not end within 10ms");
    }

    #[tokio::test]
    async fn a_script_that_fails_is_told_with_its_words() {
        let end = run_script(Path::new("/bin/sh"), "/nowhere").await;
        let words = end.unwrap_err().to_string();
        assert!(words.starts_with("/bin/sh failed: ") && words.contains("/nowhere"), "{words}");
    }
}
