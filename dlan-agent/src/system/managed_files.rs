//! Managed files: written whole, recognised by their first line.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::file;
use crate::plan::change::Edit;
use crate::state::managed_file::{ManagedFile, PROTOCOLS_PATH, TABLES_PATH};

/// Every place where a managed file may be.
const PATHS: [&str; 2] = [TABLES_PATH, PROTOCOLS_PATH];
/// The empty file that tells a directory made for ours from others' ones, also after a reboot. iproute2 does not read it.
const DIRECTORY_MARK: &str = ".dlan";

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

/// Makes the edit; directories made on the way are marked, and removed with the last file in them.
pub fn apply(root: &Path, edit: &Edit<PathBuf, ManagedFile>) -> Result<(), ManagedFileError> {
    let path = place(root, &edit.key);
    let failed = |source| ManagedFileError::Change { path: path.clone(), source };
    let standing = std::fs::read_to_string(&path).ok();
    if standing.is_some_and(|text| ManagedFile::recognise(text).is_none()) {
        return Err(ManagedFileError::Foreign { path });
    }
    match &edit.to {
        Some(to) => {
            make_directories(&path).map_err(failed)?;
            file::write_whole(&path, to.text.as_bytes(), file::PUBLIC).map_err(failed)
        }
        None => {
            file::remove(&path).map_err(failed)?;
            file::remove(&file::aside(&path)).map_err(failed)?;
            remove_directories(&path);
            Ok(())
        }
    }
}

/// Makes the directories above a path. Each comes with its mark: a power cut leaves none without.
fn make_directories(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|above| !above.exists()).collect();
    for directory in missing.into_iter().rev() {
        let aside = file::aside(directory);
        file::make_directory(&aside)?;
        file::write_whole(&aside.join(DIRECTORY_MARK), b"", file::PUBLIC)?;
        file::rename(&aside, directory)?;
        file::sync_directory(directory)?;
    }
    Ok(())
}

fn remove_directories(path: &Path) {
    for directory in path.ancestors().skip(1) {
        let mark = directory.join(DIRECTORY_MARK);
        // One that others use stays, with its mark: it goes once they have left it and a file of ours goes again.
        let is_unused = std::fs::read_dir(directory)
            .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| entry.path() == mark)));
        if !mark.exists()
            || !is_unused
            || file::remove(&mark).is_err()
            || std::fs::remove_dir(directory).is_err()
        {
            return;
        }
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
    fn a_file_comes_and_goes_with_the_directories_made_for_it_whatever_was_remembered_meanwhile() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        // What a power cut has left of an earlier attempt.
        std::fs::create_dir(root.path().join("etc/iproute2.part")).unwrap();
        apply(root.path(), &edit(Some("141\tdlan\n"))).unwrap();
        assert_eq!(observe(root.path()).len(), 1);
        std::fs::write(file::aside(&place(root.path(), Path::new(TABLES_PATH))), "141").unwrap();
        apply(root.path(), &edit(None)).unwrap();
        assert_eq!(observe(root.path()).len(), 0);
        let left: Vec<_> = std::fs::read_dir(root.path().join("etc")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(root.path().join("etc").exists());
    }

    #[test]
    fn directories_that_others_made_or_use_stay() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc/iproute2")).unwrap();
        for text in [Some("141\tdlan\n"), None] {
            apply(root.path(), &edit(text)).unwrap();
        }
        assert!(root.path().join("etc/iproute2").exists());
        assert!(!root.path().join("etc/iproute2/rt_tables.d").exists());
        apply(root.path(), &edit(Some("141\tdlan\n"))).unwrap();
        let theirs = root.path().join("etc/iproute2/rt_tables.d/theirs.conf");
        std::fs::write(&theirs, "77\ttheirs\n").unwrap();
        apply(root.path(), &edit(None)).unwrap();
        assert!(theirs.exists());
    }

    #[test]
    fn somebody_elses_file_is_neither_seen_nor_touched() {
        let root = tempfile::tempdir().unwrap();
        let path = place(root.path(), Path::new(TABLES_PATH));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "77 mine\n").unwrap();
        assert_eq!(observe(root.path()).len(), 0);
        for to in [Some("141\tdlan\n"), None] {
            let refused = apply(root.path(), &edit(to));
            assert!(matches!(refused, Err(ManagedFileError::Foreign { .. })));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "77 mine\n");
    }
}
