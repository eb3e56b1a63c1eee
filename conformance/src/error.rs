//! What can go wrong with the files.

use std::path::{Path, PathBuf};

/// Why the work could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What cannot be read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// What cannot be written.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A list does not have the form of one.
    #[error("{path}: {source}")]
    Parse {
        /// The list.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A program cannot be started.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Names the file that cannot be read.
    pub fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    /// Names the file that cannot be written.
    pub fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    /// Names the list that cannot be understood.
    pub fn parse(path: &Path, source: toml::de::Error) -> Self {
        Self::Parse { path: path.to_owned(), source: Box::new(source) }
    }
}
