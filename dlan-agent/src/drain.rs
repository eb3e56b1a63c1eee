//! Whether this router is drained: a mark on disk, so that it stays so over restarts of the agent and of the router.

use std::io;
use std::path::{Path, PathBuf};

use crate::system::file;

/// Where the mark is: beside the keys, so that it outlives a reboot.
pub const DRAINED_FILE: &str = "/etc/dlan/drained";

/// What the mark says to who finds it.
const TEXT: &str = "This router is drained: traffic between others is kept away. `dlan undrain` ends it.\n";

/// The mark cannot be set or taken away.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} {path}")]
pub struct DrainError {
    act: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Returns whether the mark is there.
pub fn is_drained(path: &Path) -> bool {
    path.exists()
}

/// Sets the mark or takes it away.
pub fn write(path: &Path, is_drained: bool) -> Result<(), DrainError> {
    let (act, done) = if is_drained { ("write", set(path)) } else { ("remove", file::remove(path)) };
    done.map_err(|source| DrainError { act, path: path.to_owned(), source })
}

fn set(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        file::make_private_directory(directory)?;
    }
    file::write_whole(path, TEXT.as_bytes(), file::PRIVATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stays_until_it_is_taken_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("etc").join("drained");
        assert!(!is_drained(&path));
        write(&path, false).unwrap();
        for _ in 0..2 {
            write(&path, true).unwrap();
            assert!(is_drained(&path));
        }
        write(&path, false).unwrap();
        assert!(!is_drained(&path));
    }
}
