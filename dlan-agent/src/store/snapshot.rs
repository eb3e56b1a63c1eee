//! Files as they were: taken before a change, put back after it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::durable::StoreError;
use crate::system::file;

/// The longest file that is taken, in octets.
const OCTETS_MAX: u64 = 1024 * 1024;

/// A file as it was, or that it was not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSnapshot {
    /// Which file.
    pub path: PathBuf,
    /// What was in it; nothing when it was not there.
    pub content: Option<FileContent>,
}

/// What is in a file, whose it is, and who may read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileContent {
    /// The text.
    pub text: String,
    /// The permission bits.
    pub mode: u32,
    /// The user and the group whose it is; none leaves it to those who have what is in its place, or to the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<(u32, u32)>,
}

impl FileContent {
    /// Returns it without saying whose it is.
    pub fn of_nobody(self) -> Self {
        Self { owner: None, ..self }
    }
}

impl FileSnapshot {
    /// Takes a file as it is. What is not a file of text of at most a megabyte is an error.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Io { act: "take a snapshot of", path: path.to_owned(), source };
        let content = match File::open(path) {
            Ok(file) => Some(read(&file).map_err(failed)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// Returns whether the file is like this.
    pub fn holds(&self) -> bool {
        let asks_whose = self.content.as_ref().is_some_and(|content| content.owner.is_some());
        let told = |content: FileContent| if asks_whose { content } else { content.of_nobody() };
        Self::take(&self.path).is_ok_and(|seen| seen.content.map(told) == self.content)
    }

    /// Returns whether this is a configuration that nobody has written: no file, or one without a section.
    pub fn is_blank_config(&self) -> bool {
        let begins_section = |line: &str| line.split_whitespace().next() == Some("config");
        self.content.as_ref().is_none_or(|content| !content.text.lines().any(begins_section))
    }

    /// Makes the file like this, whole or not at all, and returns whether it had to be changed.
    pub fn put(&self) -> Result<bool, StoreError> {
        if self.holds() {
            return Ok(false);
        }
        let put = match &self.content {
            Some(content) => {
                let directory = self.path.parent().unwrap_or(Path::new("/"));
                let present = || std::fs::metadata(&self.path).ok().map(|found| (found.uid(), found.gid()));
                let owner = content.owner.or_else(present);
                file::make_directory(directory).and_then(|()| {
                    file::write_whole_of(&self.path, content.text.as_bytes(), content.mode, owner)
                })
            }
            None => file::remove(&self.path).and_then(|()| file::sync_directory(&self.path)),
        };
        put.map_err(|source| StoreError::Io { act: "put back", path: self.path.clone(), source })?;
        Ok(true)
    }
}

fn read(file: &File) -> io::Result<FileContent> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if metadata.len() > OCTETS_MAX {
        return Err(io::Error::other(format!("it has more than {OCTETS_MAX} octets")));
    }
    let mut text = String::new();
    file.take(OCTETS_MAX).read_to_string(&mut text)?;
    let owner = Some((metadata.uid(), metadata.gid()));
    Ok(FileContent { text, mode: metadata.permissions().mode() & 0o7777, owner })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_put_back_as_they_were_also_those_that_were_not_there() {
        let root = tempfile::tempdir().unwrap();
        let (kept, absent) = (root.path().join("kept"), root.path().join("absent"));
        fs::write(&kept, "as it was").unwrap();
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o640)).unwrap();
        let before = [FileSnapshot::take(&kept).unwrap(), FileSnapshot::take(&absent).unwrap()];
        fs::write(&kept, "changed").unwrap();
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&absent, "made").unwrap();
        for snapshot in &before {
            assert!(!snapshot.holds());
            assert!(snapshot.put().unwrap());
            assert!(snapshot.holds());
            assert!(!snapshot.put().unwrap());
        }
        assert_eq!(fs::read_to_string(&kept).unwrap(), "as it was");
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(!absent.exists());
    }

    #[test]
    fn a_file_of_somebody_elses_stays_theirs_when_it_is_replaced_and_when_it_is_put_back() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("theirs");
        fs::write(&path, "as it was").unwrap();
        let theirs = (4711, 4712);
        let is_theirs = |path: &Path| fs::metadata(path).is_ok_and(|it| (it.uid(), it.gid()) == theirs);
        if std::os::unix::fs::chown(&path, Some(theirs.0), Some(theirs.1)).is_err() {
            // Only root gives files away.
            return;
        }
        let before = FileSnapshot::take(&path).unwrap();
        let content = Some(FileContent { text: "staged".to_owned(), mode: 0o640, owner: None });
        let staged = FileSnapshot { path: path.clone(), content };
        assert!(staged.put().unwrap() && staged.holds() && is_theirs(&path));
        // An editor makes it root's.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "as it was").unwrap();
        assert!(!before.holds() && before.put().unwrap() && is_theirs(&path));
    }

    #[test]
    fn what_is_not_a_small_text_is_refused() {
        let root = tempfile::tempdir().unwrap();
        assert!(FileSnapshot::take(root.path()).is_err());
        let binary = root.path().join("binary");
        fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert!(FileSnapshot::take(&binary).is_err());
        let large = root.path().join("large");
        File::create(&large).unwrap().set_len(OCTETS_MAX + 1).unwrap();
        assert!(FileSnapshot::take(&large).is_err());
    }
}
