//! Small files, read and written whole: a reader sees the old text or the whole other one, never half.
//!
//! They are a few kilobytes at most, on memory file systems or written only when something changed, so that waiting
//! for them does not hold up the runtime.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The mode of files that only we may read.
pub const PRIVATE: u32 = 0o600;
/// The mode of files that anyone may read.
pub const PUBLIC: u32 = 0o644;

/// Writes a file that is to outlive a power cut, by way of a neighbor that takes its place.
pub fn write_whole(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    write(path, text, mode, File::sync_all)?;
    sync_directory(path)
}

/// Sees to it that a name put into, or taken out of, the directory of `path` outlives a power cut.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Writes a file of the run directory, which does not outlive the kernel anyway.
pub fn write_volatile(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    write(path, text, mode, |_| Ok(()))
}

fn write(path: &Path, text: &[u8], mode: u32, sync: fn(&File) -> io::Result<()>) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let aside = PathBuf::from(aside);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&aside)?;
    // A file left behind keeps its mode when it is opened again.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text)?;
    sync(&file)?;
    std::fs::rename(&aside, path)
}

/// Writes over a file where it lies, which takes no room on a file system that is full. A power cut may leave it torn.
pub fn overwrite(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(text)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

/// Removes a file; one that is not there is removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Makes a directory that only we may enter, with those above it.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}
