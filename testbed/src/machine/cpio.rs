//! A tree of files, laid out in a directory or written as the archive that the kernel unpacks as its first file system (cpio,
//! "newc"): the same octets for the same content.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::error::LabError;
use crate::files::failed;

/// The kind of file, in the upper bits of its mode.
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Directory,
    /// A file with its content that may be read by all.
    File(Vec<u8>),
    /// A file with its content that may also be run.
    Program(Vec<u8>),
    /// A symbolic link, and where it points.
    Link(String),
}

/// Files by their absolute paths; the directories above them come about by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Adds an entry, unless there is one of that path.
    pub fn add(&mut self, path: &str, entry: Entry) {
        let path = path.trim_start_matches('/');
        for (end, _) in path.match_indices('/') {
            let above = path.get(..end).unwrap_or_default().to_owned();
            self.entries.entry(above).or_insert(Entry::Directory);
        }
        self.entries.entry(path.to_owned()).or_insert(entry);
    }

    /// Returns whether there is an entry of that path.
    pub fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path.trim_start_matches('/'))
    }

    /// Writes everything below a directory.
    pub fn lay_out(&self, directory: &Path) -> Result<(), LabError> {
        for (path, entry) in &self.entries {
            let to = directory.join(path);
            let written = match entry {
                Entry::Directory => fs::create_dir_all(&to),
                Entry::File(content) => fs::write(&to, content),
                Entry::Program(content) => fs::write(&to, content)
                    .and_then(|()| fs::set_permissions(&to, fs::Permissions::from_mode(0o755))),
                Entry::Link(target) => std::os::unix::fs::symlink(target, &to),
            };
            written.map_err(failed("write", &to))?;
        }
        Ok(())
    }

    /// Returns the archive as octets. Everything belongs to root and has no time.
    pub fn octets(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, (path, entry)) in (1_u32..).zip(&self.entries) {
            let (mode, content): (u32, &[u8]) = match entry {
                Entry::Directory => (DIRECTORY | 0o755, &[]),
                Entry::File(content) => (REGULAR | 0o644, content),
                Entry::Program(content) => (REGULAR | 0o755, content),
                Entry::Link(target) => (LINK | 0o777, target.as_bytes()),
            };
            write_one(&mut out, path, (number, mode), content);
        }
        write_one(&mut out, "TRAILER!!!", (0, 0), &[]);
        out
    }
}

fn write_one(out: &mut Vec<u8>, path: &str, (number, mode): (u32, u32), content: &[u8]) {
    let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let name_size = u32::try_from(path.len()).unwrap_or_default().saturating_add(1);
    out.extend_from_slice(b"070701");
    // Number, mode, owner, group, links, time, size, four device numbers, length of the name with its end, checksum.
    for field in [number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(content);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Archive {
        let mut archive = Archive::default();
        archive.add("/etc/lab/name", Entry::File(b"r1\n".to_vec()));
        archive.add("/bin/true", Entry::Program(b"#!/bin/sh\n".to_vec()));
        archive.add("/bin/sh", Entry::Link("busybox".to_owned()));
        archive
    }

    #[test]
    fn an_archive_read_by_the_rules_of_its_format_has_what_was_put_in() {
        let octets = sample().octets();
        let mut names = Vec::new();
        let mut at = 0;
        loop {
            let field = |number: usize| {
                let from = at + 6 + number * 8;
                usize::from_str_radix(std::str::from_utf8(&octets[from..from + 8]).unwrap(), 16).unwrap()
            };
            assert_eq!(&octets[at..at + 6], b"070701");
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = String::from_utf8(octets[at + 110..at + 110 + name_size - 1].to_vec()).unwrap();
            let content = (at + 110 + name_size).next_multiple_of(4);
            let text = String::from_utf8_lossy(&octets[content..content + size]).into_owned();
            at = (content + size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                break;
            }
            names.push((name, mode, text));
        }
        assert_eq!(at, octets.len());
        let expected = [
            ("bin", 0o040_755, ""),
            ("bin/sh", 0o120_777, "busybox"),
            ("bin/true", 0o100_755, "#!/bin/sh\n"),
            ("etc", 0o040_755, ""),
            ("etc/lab", 0o040_755, ""),
            ("etc/lab/name", 0o100_644, "r1\n"),
        ];
        let expected = expected.map(|(name, mode, text)| (name.to_owned(), mode, text.to_owned()));
        assert_eq!(names, expected);
    }

    #[test]
    fn the_same_content_gives_the_same_octets() {
        assert_eq!(sample().octets(), sample().octets());
    }
}
