//! A file that no power cut can damage: checksummed, put in place whole, the one before it kept beside it.
//!
//! The first line names the format, the SHA-256 of what follows and its length. A reader takes the file itself, or, when that is
//! missing or damaged, the one before it. Writing the same again does not touch the flash.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use crate::system::file;

/// What the first line begins with.
const MAGIC: &str = "dlan-state";
/// The format that this version writes; it reads no later one. Format 0 was the text alone, see [`migrate`].
const FORMAT: u32 = 1;
/// The longest file that is read, in octets: a configuration of thousands of links with its history.
const OCTETS_MAX: u64 = 4 * 1024 * 1024;

/// A durable file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refuses.
    #[error("cannot {act} {}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file was cut short or changed, and so was the one before it.
    #[error("{} is damaged ({why}), and so is the one before it, or there is none", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A later version wrote it.
    #[error(
        "{} was written by a later version of dlan (format {format}, this one reads up to {FORMAT}): install that version, \
         or remove the file",
        path.display()
    )]
    Later {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
}

/// Returns what was kept last; nothing when nothing was.
pub fn read(path: &Path) -> Result<Option<String>, StoreError> {
    match read_one(path) {
        Ok(Some(text)) => Ok(Some(text)),
        Err(StoreError::Damaged { why, .. }) => {
            warn!(file = %path.display(), why, "damaged: taking the one before it");
            read_one(&previous(path))?
                .map(Some)
                .ok_or_else(|| StoreError::Damaged { path: path.to_owned(), why })
        }
        // A power cut between two renames leaves only the one before.
        Ok(None) => read_one(&previous(path)),
        Err(error) => Err(error),
    }
}

/// Brings a file of format 0 into the present one: the text alone, which `is_one` knows from anything else. Returns whether it was one.
pub fn migrate(path: &Path, is_one: impl Fn(&str) -> bool) -> Result<bool, StoreError> {
    if !matches!(read_one(path), Err(StoreError::Damaged { .. })) {
        return Ok(false);
    }
    let failed = |source| StoreError::Io { act: "read", path: path.to_owned(), source };
    let mut octets = Vec::new();
    File::open(path).and_then(|file| file.take(OCTETS_MAX).read_to_end(&mut octets)).map_err(failed)?;
    match String::from_utf8(octets) {
        Ok(text) if is_one(&text) => {
            info!(file = %path.display(), "an earlier version wrote it: brought into the present format");
            write(path, &text)
        }
        _ => Ok(false),
    }
}

/// Keeps a text, whole or not at all, and returns whether it had to be written.
pub fn write(path: &Path, text: &str) -> Result<bool, StoreError> {
    let is_there = match read_one(path) {
        Ok(Some(kept)) if kept == text => return Ok(false),
        Ok(kept) => kept.is_some(),
        // What cannot be read must not take the place of a good one before it.
        Err(_) => false,
    };
    let failed = |act| move |source| StoreError::Io { act, path: path.to_owned(), source };
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        file::make_private_directory(directory).map_err(failed("make the directory of"))?;
    }
    let aside = with_suffix(path, ".next");
    file::write_whole(&aside, encode(text).as_bytes(), file::PRIVATE).map_err(failed("write"))?;
    if is_there {
        file::rename(path, &previous(path)).map_err(failed("keep the one before"))?;
    }
    file::rename(&aside, path).map_err(failed("put in place"))?;
    file::sync_directory(path).map_err(failed("write the directory of"))?;
    Ok(true)
}

/// Removes the file and the one before it: after a power cut at any moment a reader finds the file or nothing.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    for path in [&previous(path), path] {
        let failed = |source| StoreError::Io { act: "remove", path: path.to_owned(), source };
        if path.exists() {
            file::remove(path).and_then(|()| file::sync_directory(path)).map_err(failed)?;
        }
    }
    Ok(())
}

fn read_one(path: &Path) -> Result<Option<String>, StoreError> {
    let failed = |source| StoreError::Io { act: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut octets = Vec::new();
    file.take(OCTETS_MAX).read_to_end(&mut octets).map_err(failed)?;
    decode(&octets).map(Some).map_err(|flaw| match flaw {
        Flaw::Damaged(why) => StoreError::Damaged { path: path.to_owned(), why },
        Flaw::Later(format) => StoreError::Later { path: path.to_owned(), format },
    })
}

/// Why octets are not a durable file of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Damaged(&'static str),
    Later(u32),
}

fn encode(text: &str) -> String {
    format!("{MAGIC} {FORMAT} {} {}\n{text}", checksum(text), text.len())
}

fn decode(octets: &[u8]) -> Result<String, Flaw> {
    let Ok(whole) = str::from_utf8(octets) else { return Err(Flaw::Damaged("it is not text")) };
    let (head, text) = whole.split_once('\n').ok_or(Flaw::Damaged("its first line does not end"))?;
    let mut words = head.split(' ');
    if words.next() != Some(MAGIC) {
        return Err(Flaw::Damaged("its first line is not ours"));
    }
    let format: u32 =
        words.next().and_then(|word| word.parse().ok()).ok_or(Flaw::Damaged("it has no format"))?;
    if format > FORMAT {
        return Err(Flaw::Later(format));
    }
    if format != FORMAT {
        return Err(Flaw::Damaged("it has no format that ever was"));
    }
    let sum = words.next();
    let length: Option<usize> = words.next().and_then(|word| word.parse().ok());
    if length != Some(text.len()) {
        return Err(Flaw::Damaged("it is not as long as it says"));
    }
    if sum != Some(checksum(text).as_str()) {
        return Err(Flaw::Damaged("its checksum is another"));
    }
    Ok(text.to_owned())
}

fn checksum(text: &str) -> String {
    Sha256::digest(text).iter().map(|octet| format!("{octet:02x}")).collect()
}

fn previous(path: &Path) -> PathBuf {
    with_suffix(path, ".previous")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_text_is_kept_with_the_one_before_it_and_the_same_is_not_written_twice() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("etc").join("kept");
        assert_eq!(read(&path).unwrap(), None);
        assert!(write(&path, "one").unwrap());
        assert!(!write(&path, "one").unwrap());
        assert!(write(&path, "two\n\u{e9}").unwrap());
        assert_eq!(read(&path).unwrap().as_deref(), Some("two\n\u{e9}"));
        assert_eq!(read(&previous(&path)).unwrap().as_deref(), Some("one"));
        assert_eq!(names(path.parent().unwrap()), ["kept", "kept.previous"]);
        remove(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        assert_eq!(names(path.parent().unwrap()), [""; 0]);
    }

    #[test]
    fn a_file_cut_short_or_changed_gives_way_to_the_one_before_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("kept");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read(&path).unwrap().as_deref(), Some("one"), "cut to {length} octets");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("one"), "cut between two renames");
        // What is damaged does not take the place of the good one before it.
        fs::write(&path, "dlan-state 1").unwrap();
        write(&path, "three").unwrap();
        assert_eq!(read(&previous(&path)).unwrap().as_deref(), Some("one"));
    }

    #[test]
    fn damage_without_one_before_is_called_damage() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("kept");
        fs::write(&path, "config mesh 'mesh'\n").unwrap();
        assert!(matches!(read(&path), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn what_a_later_version_wrote_is_refused_by_that_name() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("kept");
        write(&path, "one").unwrap();
        fs::write(&path, "dlan-state 2 whatever it has there\n").unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, StoreError::Later { format: 2, .. }), "{error}");
        assert!(error.to_string().contains("later version"), "{error}");
    }

    #[test]
    fn what_an_earlier_version_wrote_is_brought_into_the_present_format_once() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("kept");
        let is_one = |text: &str| text.starts_with("config ");
        assert!(!migrate(&path, is_one).unwrap());
        fs::write(&path, "config mesh 'mesh'\n").unwrap();
        assert!(migrate(&path, is_one).unwrap());
        assert_eq!(read(&path).unwrap().as_deref(), Some("config mesh 'mesh'\n"));
        assert!(!migrate(&path, is_one).unwrap());
        // What is damaged is no earlier format.
        fs::write(&path, "dlan-state 1 0 19\nconfig mesh 'mesh'\n").unwrap();
        assert!(!migrate(&path, is_one).unwrap());
        assert!(matches!(read(&path), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_directory_in_the_way_is_an_error_and_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("kept");
        write(&path, "one").unwrap();
        fs::create_dir(with_suffix(&path, ".next")).unwrap();
        assert!(write(&path, "two").is_err());
        assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_back(text in "\\PC{0,300}") {
            prop_assert_eq!(decode(encode(&text).as_bytes()), Ok(text));
        }

        #[test]
        fn no_flipped_bit_goes_unseen(text in "[ -~\n]{0,80}", place in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let mut octets = encode(&text).into_bytes();
            let place = place.index(octets.len());
            octets[place] ^= 1 << bit;
            prop_assert!(decode(&octets).is_err());
        }

        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&octets);
        }
    }
}
