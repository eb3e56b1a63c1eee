//! A sample of the tests is shown to fail: lines that they guard are broken one by one, in a copy, and the tests are run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

use crate::error::Error;

/// The list of mutants, from the root of the repository.
pub const LIST: &str = "docs/conformance/mutants.toml";
/// Where the copy is built, below the target folder.
const COPY: &str = "mutants";
/// How many seconds a mutant's build and tests may take: one that never ends counts as found.
const PATIENCE: &str = "300";

/// A line to break, and the clause, or the claim, whose tests must notice.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// The file, from the root of the repository.
    pub file: String,
    /// What is in it, in one place.
    pub line: String,
    /// What is put there instead.
    pub becomes: String,
    /// Which tests are run: `rfc2328`, or another name of tests of the engine's.
    pub tests: String,
    /// How the names of the tests begin that guard the line.
    pub guard: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// Reads the list.
pub fn read(root: &Path) -> Result<Vec<Mutant>, Error> {
    let path = root.join(LIST);
    let text = std::fs::read_to_string(&path).map_err(|source| Error::read(&path, source))?;
    let list: List = toml::from_str(&text).map_err(|source| Error::parse(&path, source))?;
    Ok(list.mutant)
}

/// Returns the mutants whose line is not in its file, or more than once.
pub fn check(root: &Path, mutants: &[Mutant]) -> Result<Vec<String>, Error> {
    let mut problems = Vec::new();
    for mutant in mutants {
        let found = text_of(root, mutant)?.matches(&mutant.line).count();
        if found != 1 {
            problems.push(format!("{LIST}: `{}` is {found} times in {}", mutant.line, mutant.file));
        }
    }
    Ok(problems)
}

fn text_of(root: &Path, mutant: &Mutant) -> Result<String, Error> {
    let path = root.join(&mutant.file);
    std::fs::read_to_string(&path).map_err(|source| Error::read(&path, source))
}

/// Breaks every `step`-th line in a copy of the repository, tells of each with `tell`, and returns those that no test
/// of the guarding clause noticed.
pub fn run(root: &Path, step: usize, mut tell: impl FnMut(String)) -> Result<Vec<String>, Error> {
    let mutants = read(root)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let copy = target.join(COPY);
    copy_tree(root, &copy)?;
    let mut survivors = Vec::new();
    for mutant in mutants.iter().step_by(step.max(1)) {
        let path = copy.join(&mutant.file);
        let sound = text_of(root, mutant)?;
        let broken = sound.replacen(&mutant.line, &mutant.becomes, 1);
        std::fs::write(&path, broken).map_err(|source| Error::write(&path, source))?;
        let outcome = outcome(&test(&copy, mutant)?);
        std::fs::write(&path, sound).map_err(|source| Error::write(&path, source))?;
        let place = mutant.file.rsplit("src/").next().unwrap_or(&mutant.file);
        let what = format!("{place}: `{}` -> `{}`", mutant.line.trim(), mutant.becomes.trim());
        let failed = match outcome {
            Ok(failed) => failed,
            Err(words) => {
                survivors.push(format!("{what}: {words}"));
                continue;
            }
        };
        let (guards, others): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|name| name.starts_with(&mutant.guard));
        tell(format!("{} {what}", mutant.tests));
        guards.iter().for_each(|name| tell(format!("    fails: {name}")));
        if !others.is_empty() {
            tell(format!("    and {} more", others.len()));
        }
        if guards.is_empty() {
            survivors.push(format!("{what}: no test {}* of {} fails", mutant.guard, mutant.tests));
        }
    }
    Ok(survivors)
}

/// Copies what git knows, and what is there beside it and not ignored.
fn copy_tree(root: &Path, copy: &Path) -> Result<(), Error> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|source| Error::Run { program: "git", source })?;
    for name in String::from_utf8_lossy(&listed.stdout).lines() {
        let (from, to) = (root.join(name), copy.join(name));
        let Ok(mut octets) = std::fs::read(&from) else { continue };
        if name == "Cargo.toml" {
            octets = lenient(&octets);
        }
        // A file that is as it was keeps its time, so that it is not built again.
        if std::fs::read(&to).is_ok_and(|there| there == octets) {
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
        }
        std::fs::write(&to, octets).map_err(|source| Error::write(&to, source))?;
    }
    Ok(())
}

/// Returns the workspace's manifest with lints that warn: a broken line may leave an import without a use.
fn lenient(manifest: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(manifest)
        .replace("warnings = { level = \"deny\"", "warnings = { level = \"warn\"")
        .into_bytes()
}

fn test(copy: &Path, mutant: &Mutant) -> Result<Output, Error> {
    Command::new("timeout")
        .args([
            PATIENCE,
            "cargo",
            "test",
            "--quiet",
            "--locked",
            "-p",
            "ospf-lite",
            "--features",
            "sim",
            "--test",
        ])
        .args([mutant.tests.as_str(), "--", "--format", "pretty"])
        .current_dir(copy)
        .output()
        .map_err(|source| Error::Run { program: "timeout", source })
}

/// Returns the names of the tests that failed, or why there are none to tell of.
fn outcome(output: &Output) -> Result<Vec<String>, &'static str> {
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.lines().any(|line| line.starts_with("running ")) {
        return Err("it does not build");
    }
    let names = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    Ok(names.map(|name| name.rsplit("::").next().unwrap_or(name).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{ExitStatus, Output};

    use super::outcome;

    fn output(text: &str) -> Output {
        Output { status: ExitStatus::from_raw(0), stdout: text.into(), stderr: Vec::new() }
    }

    #[test]
    fn failed_tests_are_told_by_their_names_alone() {
        let text = "running 2 tests\ntest hello::s9_5_a ... FAILED\ntest s9_5_b ... ok\n";
        assert_eq!(outcome(&output(text)), Ok(vec!["s9_5_a".to_owned()]));
    }

    #[test]
    fn the_copy_is_built_in_spite_of_warnings() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = std::fs::read(root.join("Cargo.toml")).unwrap();
        assert_ne!(super::lenient(&manifest), manifest);
    }

    #[test]
    fn what_does_not_build_has_no_failed_tests() {
        assert!(outcome(&output("error: no such field\n")).is_err());
    }
}
