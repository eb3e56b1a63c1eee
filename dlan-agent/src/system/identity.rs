//! This router's key: read from a file that only root may read, and made at the first start.

use std::io;
use std::path::{Path, PathBuf};

use tracing::info;
use vxlan::key::{PrivateKey, RandomnessError};

use super::file;
use crate::config::secret::{SecretError, SecretProblem, Whence, read_private_key};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No key could be made.
    #[error("cannot make a key")]
    Randomness(#[from] RandomnessError),
}

/// Returns this router's key; makes one where there is none, and says so.
pub fn private_key(path: &Path) -> Result<PrivateKey, IdentityError> {
    let whence = Whence { section: "mesh".to_owned(), option: "private_key_file" };
    match read_private_key(path, &whence) {
        Err(SecretError { problem: SecretProblem::NoFile, .. }) => make_key(path),
        result => Ok(result?),
    }
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
        file::write_whole(&path, b"not a key\n", file::PRIVATE).unwrap();
        assert!(matches!(private_key(&path), Err(IdentityError::Secret(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a key\n");
    }
}
