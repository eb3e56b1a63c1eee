//! One agent at a time on a router: a lock that ends with its process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// The run directory, for the lock and the sockets; empty after a boot.
pub const RUN_DIRECTORY: &str = "/run/dlan";
/// The lock file in it.
const LOCK_FILE: &str = "agent.lock";

/// The held lock.
#[derive(Debug)]
pub struct AgentLock {
    _file: Flock<File>,
    path: PathBuf,
}

/// Why the lock is not held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another agent runs.
    #[error("an agent is running already{}", pid.map_or_else(String::new, |pid| format!(", as process {pid}")))]
    Held {
        /// Its process, when the file says so.
        pid: Option<u32>,
    },
    /// The file cannot be had.
    #[error("cannot lock {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl AgentLock {
    /// Takes the lock in the run directory, which is made when it is not there.
    pub fn take(run_directory: &Path) -> Result<Self, LockError> {
        let path = run_directory.join(LOCK_FILE);
        let failed = |source| LockError::Io { path: run_directory.join(LOCK_FILE), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(run_directory).map_err(failed)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                file.set_len(0).map_err(failed)?;
                writeln!(file, "{}", std::process::id()).map_err(failed)?;
                Ok(Self { _file: file, path })
            }
            Err((mut file, Errno::EAGAIN)) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                Err(LockError::Held { pid })
            }
            Err((_, error)) => Err(failed(error.into())),
        }
    }
}

impl AgentLock {
    /// Gives the lock back for good: its file goes as well.
    pub fn remove(self) -> Result<(), LockError> {
        fs::remove_file(&self.path).map_err(|source| LockError::Io { path: self.path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_told_who_runs() {
        let directory = tempfile::tempdir().unwrap();
        let first = AgentLock::take(&directory.path().join("run")).unwrap();
        let second = AgentLock::take(&directory.path().join("run"));
        let own = std::process::id();
        assert!(matches!(second, Err(LockError::Held { pid: Some(pid) }) if pid == own), "{second:?}");
        first.remove().unwrap();
        assert!(!directory.path().join("run").join(LOCK_FILE).exists());
        AgentLock::take(&directory.path().join("run")).unwrap();
    }
}
