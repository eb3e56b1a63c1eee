//! Runs another program, with its input, a deadline and its words when it fails.

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a program may take.
const DEADLINE: Duration = Duration::from_secs(20);

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
    #[error("{program} did not end within {DEADLINE:?}")]
    Late {
        /// The program.
        program: String,
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
    run_to_end(program, arguments, input).await.map(|output| output.stdout)
}

/// Runs a program that writes its answer where others write their errors, and returns all that it wrote.
pub async fn run_for_both(program: &str, arguments: &[&str]) -> Result<Vec<u8>, CommandError> {
    let Output { mut stdout, stderr, .. } = run_to_end(program, arguments, b"").await?;
    stdout.extend(stderr);
    Ok(stdout)
}

async fn run_to_end(program: &str, arguments: &[&str], input: &[u8]) -> Result<Output, CommandError> {
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
    let output = tokio::time::timeout(DEADLINE, both)
        .await
        .map_err(|_| CommandError::Late { program: program.to_owned() })?;
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
