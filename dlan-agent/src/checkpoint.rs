//! The last configuration that was brought about whole, kept on disk for a start with a rejected one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where it is kept: beside the keys, so that it outlives a reboot.
pub const CHECKPOINT_FILE: &str = "/etc/dlan/last-good-config";

/// The checkpoint cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} the last good configuration, {path}")]
pub struct CheckpointError {
    act: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Returns the text that was kept; nothing when none was.
pub fn read(path: &Path) -> Result<Option<String>, CheckpointError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CheckpointError { act: "read", path: path.to_owned(), source }),
    }
}

/// Keeps the text, whole or not at all; a text that is kept already is not written again, for flash wears out. Returns
/// whether it was written.
pub fn write(path: &Path, text: &str) -> Result<bool, CheckpointError> {
    if read(path).is_ok_and(|kept| kept.as_deref() == Some(text)) {
        return Ok(false);
    }
    replace(path, text).map_err(|source| CheckpointError { act: "write", path: path.to_owned(), source })?;
    Ok(true)
}

/// Writes a file that only its owner may read, whole or not at all, in place of what was there.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut young = path.as_os_str().to_owned();
    young.push(".young");
    let young = PathBuf::from(young);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&young)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&young, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_and_the_same_text_is_not_written_twice() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("etc").join("last-good-config");
        assert_eq!(read(&path).unwrap(), None);
        assert!(write(&path, "config mesh").unwrap());
        assert!(!write(&path, "config mesh").unwrap());
        assert!(write(&path, "config mesh 'mesh'").unwrap());
        assert_eq!(read(&path).unwrap().as_deref(), Some("config mesh 'mesh'"));
        assert_eq!(fs::read_dir(directory.path().join("etc")).unwrap().count(), 1);
    }
}
