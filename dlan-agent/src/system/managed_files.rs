//! Managed files: written whole, recognised by their first line.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::file;
use super::record::Record;
use crate::plan::change::Edit;
use crate::state::managed_file::{ManagedFile, PROTOCOLS_PATH, TABLES_PATH};

/// Every place where a managed file may be.
const PATHS: [&str; 2] = [TABLES_PATH, PROTOCOLS_PATH];

/// Why a managed file could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ManagedFileError {
    /// It could not be written or removed.
    #[error("cannot change {}", path.display())]
    Change {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is a file that is not ours.
    #[error("{} is somebody else's: it lacks our first line", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// Returns the managed files that are there.
pub fn observe(root: &Path) -> BTreeMap<PathBuf, ManagedFile> {
    let found = PATHS.iter().filter_map(|path| {
        let path = PathBuf::from(path);
        let text = std::fs::read_to_string(place(root, &path)).ok()?;
        Some((path, ManagedFile::recognise(text)?))
    });
    found.collect()
}

/// Makes the edit; directories made on the way are recorded, and removed with the last file in them.
pub fn apply(
    root: &Path,
    record: &mut Record,
    edit: &Edit<PathBuf, ManagedFile>,
) -> Result<(), ManagedFileError> {
    let path = place(root, &edit.key);
    let failed = |source| ManagedFileError::Change { path: path.clone(), source };
    let standing = std::fs::read_to_string(&path).ok();
    if standing.is_some_and(|text| ManagedFile::recognise(text).is_none()) {
        return Err(ManagedFileError::Foreign { path });
    }
    match &edit.to {
        Some(to) => {
            make_directories(&path, record).map_err(failed)?;
            file::write_whole(&path, to.text.as_bytes(), file::PUBLIC).map_err(failed)
        }
        None => {
            file::remove(&path).map_err(failed)?;
            remove_directories(&path, record);
            Ok(())
        }
    }
}

fn make_directories(path: &Path, record: &mut Record) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|above| !above.exists()).collect();
    for directory in missing.into_iter().rev() {
        std::fs::create_dir(directory)?;
        record.directories.insert(directory.to_owned());
    }
    Ok(())
}

fn remove_directories(path: &Path, record: &mut Record) {
    for directory in path.ancestors().skip(1) {
        // One with something in it stays, and is ours no longer than that.
        if !record.directories.contains(directory) || std::fs::remove_dir(directory).is_err() {
            return;
        }
        record.directories.remove(directory);
    }
}

/// Returns where a path is under a root.
pub(super) fn place(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(to: Option<&str>) -> Edit<PathBuf, ManagedFile> {
        Edit { key: TABLES_PATH.into(), from: None, to: to.map(ManagedFile::new) }
    }

    #[test]
    fn a_file_comes_and_goes_with_the_directories_made_for_it() {
        let (root, mut record) = (tempfile::tempdir().unwrap(), Record::default());
        std::fs::create_dir(root.path().join("etc")).unwrap();
        apply(root.path(), &mut record, &edit(Some("141\tdlan\n"))).unwrap();
        assert_eq!(observe(root.path()).len(), 1);
        apply(root.path(), &mut record, &edit(None)).unwrap();
        assert_eq!(observe(root.path()).len(), 0);
        assert!(root.path().join("etc").exists());
        assert!(!root.path().join("etc/iproute2").exists());
        assert_eq!(record, Record::default());
    }

    #[test]
    fn somebody_elses_file_is_neither_seen_nor_touched() {
        let (root, mut record) = (tempfile::tempdir().unwrap(), Record::default());
        let path = place(root.path(), Path::new(TABLES_PATH));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "77 mine\n").unwrap();
        assert_eq!(observe(root.path()).len(), 0);
        for to in [Some("141\tdlan\n"), None] {
            let refused = apply(root.path(), &mut record, &edit(to));
            assert!(matches!(refused, Err(ManagedFileError::Foreign { .. })));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "77 mine\n");
    }
}
