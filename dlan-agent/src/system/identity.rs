//! This router's key and secrets: read from files that only root may read, the key made at the first start.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tracing::{info, warn};
use vxlan::key::{KeyError, PresharedKey, PrivateKey, RandomnessError};

use super::file;
use crate::state::facts::Secret;

/// The longest secret file that is read, in octets.
const SECRET_MAX: u64 = 4096;

/// Why there is no key or secret.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no key in it.
    #[error("{} holds no key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// It is empty.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// No key could be made.
    #[error("cannot make a key")]
    Randomness(#[from] RandomnessError),
}

/// Returns this router's key; makes one where there is none, and says so.
pub fn private_key(path: &Path) -> Result<PrivateKey, IdentityError> {
    match read_text(path) {
        Ok(text) => text.trim().parse().map_err(|source| IdentityError::NoKey { path: path.into(), source }),
        Err(IdentityError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => make_key(path),
        Err(error) => Err(error),
    }
}

/// Reads a pre-shared key.
pub fn preshared_key(path: &Path) -> Result<PresharedKey, IdentityError> {
    read_text(path)?.trim().parse().map_err(|source| IdentityError::NoKey { path: path.into(), source })
}

/// Reads a secret: all of the file but the line ends after it.
pub fn secret(path: &Path) -> Result<Secret, IdentityError> {
    let text = read_text(path)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(IdentityError::Empty { path: path.into() });
    }
    Ok(Secret::new(text.as_bytes().to_vec()))
}

fn make_key(path: &Path) -> Result<PrivateKey, IdentityError> {
    let key = PrivateKey::generate()?;
    let failed = |source| IdentityError::Write { path: path.into(), source };
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        file::make_private_directory(directory).map_err(failed)?;
    }
    let mut text = key.to_base64().as_bytes().to_vec();
    text.push(b'\n');
    file::write_whole(path, &text, file::PRIVATE).map_err(failed)?;
    info!(path = %path.display(), public_key = %key.public_key(), "private key made");
    Ok(key)
}

fn read_text(path: &Path) -> Result<String, IdentityError> {
    let failed = |source| IdentityError::Read { path: path.into(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.len() > SECRET_MAX {
        return Err(failed(io::Error::other(format!("larger than {SECRET_MAX} octets"))));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        warn!(path = %path.display(), "others may read this secret: chmod 600 it");
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_root_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dlan/private.key");
        let key = private_key(&path).unwrap();
        assert_eq!(private_key(&path).unwrap(), key);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_broken_key_file_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("private.key");
        std::fs::write(&path, "not a key\n").unwrap();
        assert!(matches!(private_key(&path), Err(IdentityError::NoKey { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a key\n");
    }

    #[test]
    fn a_secret_is_all_but_the_last_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, " two words \n").unwrap();
        assert_eq!(secret(&path).unwrap().octets(), b" two words ");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(secret(&path), Err(IdentityError::Empty { .. })));
    }
}
