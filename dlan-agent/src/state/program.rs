//! A program that stands beside the agent, outlives it, and reads files that are ours, as a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vxlan::link::LinkName;

use super::managed_file::ManagedFile;

/// Where the programs' files are, a directory for each program. Not below the agent's own, which nobody but root may
/// enter: programs give up their rights before they read some of their files again.
pub const PROGRAMS_DIRECTORY: &str = "/run/dlan-programs";

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramName {
    /// Addresses and names for the LANs.
    Dnsmasq,
    /// What runs inside, for clients outside.
    Nginx,
    /// Translation between IPv6 and IPv4.
    Tayga,
}

/// A program as it shall run, or as it runs: one process with its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The program's file, an absolute path.
    pub path: PathBuf,
    /// Its arguments. It must stay in the foreground: its process is the one that was started.
    pub arguments: Vec<String>,
    /// The arguments with which it judges its files and ends, touching nothing; `None` where it cannot.
    pub check: Option<Vec<String>>,
    /// Directories that must be there for what it keeps; they outlive it.
    pub directories: BTreeSet<PathBuf>,
    /// The files in its directory, by name.
    pub files: BTreeMap<String, ProgramFile>,
    /// The device that its process makes and takes along: set up when it is there, and what stands on it comes after.
    #[serde(default)]
    pub device: Option<LinkName>,
    /// Whether its process runs, and its device is up.
    pub is_running: bool,
}

/// A file that a program reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramFile {
    /// Its content.
    pub file: ManagedFile,
    /// What makes the program read it again.
    pub reread: Reread,
}

/// What makes a program read a changed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reread {
    /// SIGHUP.
    Reload,
    /// Only another start.
    Restart,
}

/// What has to be done to a program's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// Nothing: only files came or went that no process reads.
    Nothing,
    /// It is started; what may be left of an earlier one is ended before.
    Start,
    /// It is told to read its files again.
    Reload,
    /// It is ended and started.
    Restart,
    /// It is ended.
    Stop,
}

impl ProgramName {
    /// Returns the program's name: of its file, its directory and its unit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dnsmasq => "dnsmasq",
            Self::Nginx => "nginx",
            Self::Tayga => "tayga",
        }
    }

    /// Returns the directory of its files.
    pub fn directory(self) -> PathBuf {
        Path::new(PROGRAMS_DIRECTORY).join(self.as_str())
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Program {
    /// Returns whether both are the same program with the same arguments, whatever their files say.
    fn is_same_command(&self, other: &Self) -> bool {
        (&self.path, &self.arguments, &self.directories, &self.device)
            == (&other.path, &other.arguments, &other.directories, &other.device)
    }

    /// Returns how the process must learn of what changed in the files, coming from `from`.
    fn reread_after(&self, from: &Self) -> Option<Reread> {
        let names: BTreeSet<&String> = self.files.keys().chain(from.files.keys()).collect();
        let changed =
            names.into_iter().filter_map(|name| match (from.files.get(name), self.files.get(name)) {
                (Some(from), Some(to)) if from.file == to.file => None,
                (from, to) => from.into_iter().chain(to).map(|file| file.reread).max(),
            });
        changed.max()
    }
}

impl Transition {
    /// Works out how the process gets from one value to another.
    pub fn between(from: Option<&Program>, to: Option<&Program>) -> Self {
        let runs = |program: Option<&Program>| program.is_some_and(|program| program.is_running);
        match (from, to) {
            (Some(from), Some(to)) if from.is_running && to.is_running => {
                if !to.is_same_command(from) {
                    return Self::Restart;
                }
                match to.reread_after(from) {
                    Some(Reread::Restart) => Self::Restart,
                    Some(Reread::Reload) => Self::Reload,
                    None => Self::Nothing,
                }
            }
            _ if runs(to) => Self::Start,
            _ if runs(from) => Self::Stop,
            _ => Self::Nothing,
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_running { "runs" } else { "does not run" })?;
        for (name, file) in &self.files {
            write!(f, ", {name} {}", file.file)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(config: &str, hosts: &str) -> Program {
        let file = |text, reread| ProgramFile { file: ManagedFile::new(text), reread };
        Program {
            path: "/usr/sbin/dnsmasq".into(),
            arguments: vec!["--keep-in-foreground".to_owned()],
            check: None,
            directories: BTreeSet::new(),
            files: BTreeMap::from([
                ("config".to_owned(), file(config, Reread::Restart)),
                ("hosts".to_owned(), file(hosts, Reread::Reload)),
            ]),
            device: None,
            is_running: true,
        }
    }

    #[test]
    fn what_changed_decides_what_the_process_is_told() {
        let stands = program("a", "b");
        let dead = Program { is_running: false, ..program("a", "b") };
        let mut other_command = program("a", "b");
        other_command.arguments.push("--conf-file=x".to_owned());
        let mut with_more = program("a", "b");
        with_more.files.insert("more".to_owned(), stands.files["hosts"].clone());
        let cases = [
            (Some(&stands), Some(program("a", "b")), Transition::Nothing),
            (Some(&stands), Some(program("a", "c")), Transition::Reload),
            (Some(&stands), Some(with_more), Transition::Reload),
            (Some(&stands), Some(program("c", "c")), Transition::Restart),
            (Some(&stands), Some(other_command), Transition::Restart),
            (Some(&stands), Some(dead.clone()), Transition::Stop),
            (Some(&stands), None, Transition::Stop),
            (Some(&dead), Some(program("a", "b")), Transition::Start),
            (Some(&dead), None, Transition::Nothing),
            (None, Some(program("a", "b")), Transition::Start),
            (None, Some(dead.clone()), Transition::Nothing),
        ];
        for (from, to, expected) in cases {
            assert_eq!(Transition::between(from, to.as_ref()), expected, "{from:?} -> {to:?}");
        }
    }
}
