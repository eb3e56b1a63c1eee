//! Reads the files of secrets that the configuration names.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ospf_lite::config::AuthenticationKey;
use vxlan::key::{KeyError, PresharedKey, PrivateKey};

/// The largest file of a secret, in octets.
pub const SECRET_OCTETS_MAX: u64 = 1024;

/// Permissions of everyone but the owner and the group.
const OTHERS: u32 = 0o007;

/// Which option names a secret's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whence {
    /// The section, as people call it: `mesh` or `link 'r4'`.
    pub section: String,
    /// The option's name.
    pub option: &'static str,
}

/// A file of a secret that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: option {}: {}: {problem}", whence.section, whence.option, path.display())]
pub struct SecretError {
    /// Which option names it.
    pub whence: Whence,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: SecretProblem,
}

/// What is wrong with a file of a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretProblem {
    /// There is no such file.
    #[error("there is no such file")]
    NoFile,
    /// The file cannot be opened or read.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// The path is a directory, a device or the like.
    #[error("it is not a regular file")]
    NotAFile,
    /// Everyone on the router can read it or write to it.
    #[error("everyone on this router can get at it (mode {mode:04o}): run chmod 600 {}", path.display())]
    OpenToOthers {
        /// Its permissions.
        mode: u32,
        /// The file again, for the command.
        path: PathBuf,
    },
    /// The file is larger than any secret.
    #[error("it is larger than {SECRET_OCTETS_MAX} octets, so it is no secret of dlan")]
    TooLarge,
    /// The file is not text.
    #[error("it is not text")]
    NotText,
    /// Nothing but blanks.
    #[error("it is empty")]
    Empty,
    /// More than one line.
    #[error("it has more than one line; a secret is one line")]
    SeveralLines,
    /// Not a key of WireGuard.
    #[error("{0}; {1}")]
    BadKey(KeyError, &'static str),
}

/// Reads WireGuard's pre-shared key.
pub fn read_preshared_key(path: &Path, whence: &Whence) -> Result<PresharedKey, SecretError> {
    read_line(path)
        .and_then(|line| {
            line.parse().map_err(|error| SecretProblem::BadKey(error, "wg genpsk makes a pre-shared key"))
        })
        .map_err(|problem| at(path, whence, problem))
}

/// Reads this router's private key; [`SecretProblem::NoFile`] means that it is not made yet.
pub fn read_private_key(path: &Path, whence: &Whence) -> Result<PrivateKey, SecretError> {
    read_line(path)
        .and_then(|line| {
            line.parse().map_err(|error| SecretProblem::BadKey(error, "wg genkey makes a private key"))
        })
        .map_err(|problem| at(path, whence, problem))
}

/// Reads the secret that authenticates routing packets.
pub fn read_ospf_secret(path: &Path, whence: &Whence) -> Result<AuthenticationKey, SecretError> {
    read_line(path).map(AuthenticationKey::new).map_err(|problem| at(path, whence, problem))
}

fn at(path: &Path, whence: &Whence, problem: SecretProblem) -> SecretError {
    SecretError { whence: whence.clone(), path: path.to_owned(), problem }
}

/// Reads the file's one line, without the line's end.
fn read_line(path: &Path) -> Result<String, SecretProblem> {
    let unreadable = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => SecretProblem::NoFile,
        _ => SecretProblem::Unreadable(error),
    };
    // Before opening, because opening a named pipe waits; after opening, because only that is what is read.
    check_metadata(path, &std::fs::metadata(path).map_err(unreadable)?)?;
    let file = File::open(path).map_err(unreadable)?;
    check_metadata(path, &file.metadata().map_err(unreadable)?)?;
    let mut octets = Vec::new();
    file.take(SECRET_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(unreadable)?;
    if octets.len() as u64 > SECRET_OCTETS_MAX {
        return Err(SecretProblem::TooLarge);
    }
    let text = String::from_utf8(octets).map_err(|_| SecretProblem::NotText)?;
    let line = text.trim_end_matches(['\n', '\r']);
    if line.trim().is_empty() {
        return Err(SecretProblem::Empty);
    }
    if line.contains(['\n', '\r']) {
        return Err(SecretProblem::SeveralLines);
    }
    if line.chars().any(char::is_control) {
        return Err(SecretProblem::NotText);
    }
    Ok(line.to_owned())
}

fn check_metadata(path: &Path, metadata: &Metadata) -> Result<(), SecretProblem> {
    if !metadata.is_file() {
        return Err(SecretProblem::NotAFile);
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(SecretProblem::OpenToOthers { mode: metadata.mode() & 0o7777, path: path.to_owned() });
    }
    Ok(())
}
