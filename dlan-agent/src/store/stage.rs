//! Files that are to be put in place with an apply: a directory that holds each under the path it is to have.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::durable::StoreError;
use super::snapshot::{FileContent, FileSnapshot};

/// How many files one apply puts in place, at most.
const FILES_MAX: usize = 64;
/// How deep directories are followed.
const DEPTH_MAX: usize = 8;
/// Where files may be put.
const ALLOWED: &str = "/etc";
/// Where they may not: the agent's own notes live there, and only secrets may be put beside them.
const OWN: [&str; 5] = ["window", "history", "last-good-config", "boots", "drained"];

/// Returns the files below `directory` as they are to be, in order of their paths.
pub fn read(directory: &Path) -> Result<Vec<FileSnapshot>, StoreError> {
    let mut found = Vec::new();
    walk(directory, DEPTH_MAX, &mut found)?;
    found.sort();
    let refused = |path: &Path, why: String| StoreError::Io {
        act: "take the staged file",
        path: path.to_owned(),
        source: io::Error::other(why),
    };
    if found.len() > FILES_MAX {
        return Err(refused(directory, format!("at most {FILES_MAX} files are taken")));
    }
    let mut staged = Vec::new();
    for source in found {
        let relative = source.strip_prefix(directory).unwrap_or(&source);
        let target = Path::new("/").join(relative);
        if !is_allowed(&target) {
            return Err(refused(
                &source,
                format!("files are put below {ALLOWED}, and not in place of the agent's notes"),
            ));
        }
        // Whoever has staged it need not own what it becomes.
        let content = FileSnapshot::take(&source)?.content.map(FileContent::of_nobody);
        staged.push(FileSnapshot { path: target, content });
    }
    Ok(staged)
}

fn is_allowed(target: &Path) -> bool {
    let is_plain = target.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    let is_own = target.parent() == Some(Path::new("/etc/dlan"))
        && target
            .file_name()
            .and_then(|name| name.to_str())
            .is_none_or(|name| OWN.iter().any(|own| name.starts_with(own)));
    is_plain && target.starts_with(ALLOWED) && !is_own
}

fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let failed =
        |source| StoreError::Io { act: "read the staged files in", path: directory.to_owned(), source };
    if depth == 0 {
        return Err(failed(io::Error::other("directories lie too deep")));
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(&entry.path(), depth - 1, found)?;
        } else if kind.is_file() {
            found.push(entry.path());
        } else {
            let name = entry.file_name().display().to_string();
            return Err(failed(io::Error::other(format!("{name} is neither a file nor a directory"))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, file).unwrap();
        }
        root
    }

    #[test]
    fn files_are_taken_with_the_paths_they_are_to_have() {
        let root = staged(&["etc/config/network", "etc/config/dlan", "etc/dlan/wg.psk"]);
        let files = read(root.path()).unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["/etc/config/dlan", "/etc/config/network", "/etc/dlan/wg.psk"]);
        assert_eq!(files[0].content.as_ref().unwrap().text, "etc/config/dlan");
    }

    #[test]
    fn nothing_is_put_outside_etc_nor_over_the_agents_notes_nor_taken_through_a_link() {
        for file in
            ["usr/bin/dlan", "etc/dlan/window", "etc/dlan/history.previous", "etc/dlan/last-good-config"]
        {
            let root = staged(&[file]);
            assert!(read(root.path()).is_err(), "{file}");
        }
        let root = staged(&[]);
        fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.path().join("etc/link")).unwrap();
        assert!(read(root.path()).is_err());
    }

    #[test]
    fn too_many_files_are_refused() {
        let names: Vec<String> = (0..=FILES_MAX).map(|number| format!("etc/{number}")).collect();
        let root = staged(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(read(root.path()).is_err());
    }
}
