//! Small files, read and written whole: a reader sees the old text or the whole other one, never half.
//!
//! They are a few kilobytes at most, on memory file systems or written only when something changed, so that waiting
//! for them does not hold up the runtime.

#[cfg(test)]
pub(crate) mod faults;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
#[cfg(not(test))]
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The mode of files that only we may read.
pub const PRIVATE: u32 = 0o600;
/// The mode of files that anyone may read.
pub const PUBLIC: u32 = 0o644;

/// What is done to the file system: after each of these steps the power may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DiskAct {
    /// A file is opened to be written from its beginning.
    Create,
    /// A file's octets are written.
    Write,
    /// A file's octets are made to outlive a power cut.
    Sync,
    /// A file takes another name, and the place of what had it.
    Rename,
    /// A file goes.
    Remove,
    /// The names in a directory are made to outlive a power cut.
    SyncDirectory,
    /// A directory comes.
    MakeDirectory,
}

/// Takes one step with a path, and, to rename, with the other name. Tests count these steps, and have them fail.
#[cfg(not(test))]
fn step<T>(_: DiskAct, _: &Path, _: Option<&Path>, take: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    take()
}

#[cfg(not(test))]
fn write_octets(file: &mut File, path: &Path, octets: &[u8]) -> io::Result<()> {
    step(DiskAct::Write, path, None, || file.write_all(octets))
}

#[cfg(test)]
use faults::{step, write_octets};

/// Writes a file that is to outlive a power cut, by way of a neighbor that takes its place.
pub fn write_whole(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    write_whole_of(path, text, mode, None)
}

/// Does the same with a file that belongs to this user and group, in place of the agent's.
pub fn write_whole_of(path: &Path, text: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    write((path, owner), text, mode, File::sync_all)?;
    sync_directory(path)
}

/// Sees to it that a name put into, or taken out of, the directory of `path` outlives a power cut.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    step(DiskAct::SyncDirectory, directory, None, || File::open(directory)?.sync_all())
}

/// Writes a file of the run directory, which does not outlive the kernel anyway.
pub fn write_volatile(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    write((path, None), text, mode, |_| Ok(()))
}

fn write(
    (path, owner): (&Path, Option<(u32, u32)>),
    text: &[u8],
    mode: u32,
    sync: fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    let aside = aside(path);
    let mut file = step(DiskAct::Create, &aside, None, || {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&aside)?;
        if let Some((user, group)) = owner {
            fchown(&file, Some(user), Some(group))?;
        }
        // A file left behind keeps its mode when it is opened again.
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(file)
    })?;
    write_octets(&mut file, &aside, text)?;
    step(DiskAct::Sync, &aside, None, || sync(&file))?;
    rename(&aside, path)
}

/// Returns where a file or a directory is made before it takes its place; a power cut may leave it there.
pub fn aside(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    aside.into()
}

/// Gives a file another name, in place of what had it.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step(DiskAct::Rename, from, Some(to), || std::fs::rename(from, to))
}

/// Writes over a file where it lies, which takes no room on a file system that is full. A power cut may leave it torn.
pub fn overwrite(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    write_octets(&mut file, path, text)?;
    file.set_len(text.len() as u64)?;
    step(DiskAct::Sync, path, None, || file.sync_all())
}

/// Removes a file; one that is not there is removed.
pub fn remove(path: &Path) -> io::Result<()> {
    step(DiskAct::Remove, path, None, || match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    })
}

/// Makes a directory that only we may enter, with those above it.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    step(DiskAct::MakeDirectory, path, None, || {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o700))
    })
}

/// Makes a directory that anyone may enter, with those above it.
pub fn make_directory(path: &Path) -> io::Result<()> {
    step(DiskAct::MakeDirectory, path, None, || std::fs::create_dir_all(path))
}
