//! The names of the tests in files `rfcNNNN.rs` and folders `rfcNNNN` anywhere below `*/tests/`, from their text.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// A test about an RFC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestName {
    /// The RFC whose number its file or folder carries.
    pub rfc: u16,
    /// Its file, from the root of the repository.
    pub file: String,
    /// The name of the function.
    pub name: String,
}

/// Reads the names of all tests about RFCs, in order.
pub fn read(root: &Path) -> Result<Vec<TestName>, Error> {
    let mut tests = Vec::new();
    for member in list(root)? {
        let folder = member.join("tests");
        if folder.is_dir() {
            find(root, &folder, &mut tests)?;
        }
    }
    tests.sort();
    Ok(tests)
}

/// Reads what carries the number of an RFC in a folder, and in the folders that carry none.
fn find(root: &Path, folder: &Path, tests: &mut Vec<TestName>) -> Result<(), Error> {
    for entry in list(folder)? {
        match number(&entry) {
            Some(rfc) => read_entry(root, rfc, &entry, tests)?,
            None if entry.is_dir() => find(root, &entry, tests)?,
            None => {}
        }
    }
    Ok(())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(folder).map_err(|source| Error::read(folder, source))?;
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(|source| Error::read(folder, source)))
        .collect()
}

/// Returns the number in `rfc5340.rs` and `rfc5340`.
fn number(path: &Path) -> Option<u16> {
    path.file_stem()?.to_str()?.strip_prefix("rfc")?.parse().ok()
}

fn read_entry(root: &Path, rfc: u16, entry: &Path, tests: &mut Vec<TestName>) -> Result<(), Error> {
    if entry.is_dir() {
        for child in list(entry)? {
            read_entry(root, rfc, &child, tests)?;
        }
    } else if entry.extension().is_some_and(|extension| extension == "rs") {
        let text = std::fs::read_to_string(entry).map_err(|source| Error::read(entry, source))?;
        let file = entry.strip_prefix(root).unwrap_or(entry).to_string_lossy().into_owned();
        tests.extend(names(&text).map(|name| TestName { rfc, file: file.clone(), name: name.to_owned() }));
    }
    Ok(())
}

/// Returns the functions that follow a `#[test]` or `#[tokio::test]`. One that is ignored shows nothing.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().map(str::trim).filter_map(move |line| {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            is_test &= !line.starts_with("#[ignore");
            return None;
        }
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        std::mem::take(&mut is_test).then(|| name.split(['(', '<']).next().unwrap_or(name))
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn only_what_runs_as_a_test_has_a_name() {
        let text = "
            #[test]
            fn plain() {}
            fn no_test() {}
            proptest! {
                /// Some words.
                #[test]
                fn with_arguments(
                    octet in any::<u8>()) {}
            }
            #[tokio::test(flavor = \"current_thread\")]
            async fn on_a_runtime() {}
            #[test]
            #[ignore]
            fn never_run() {}";
        assert_eq!(names(text).collect::<Vec<_>>(), ["plain", "with_arguments", "on_a_runtime"]);
    }
}
