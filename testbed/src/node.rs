//! A running node: starting and ending it, and running things inside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::{self, CommandError};
use crate::error::LabError;
use crate::files::{read_file, write_file};

/// Files of `/etc` that each node has for itself; everything else is the host's, seen through a symbolic link.
const OWN_FILES: [&str; 7] = ["config", "dlan", "hosts", "hostname", "iproute2", "resolv.conf", "sysctl.d"];

/// What a machine has this program as.
const LAB: &str = "dlan-lab";
/// Has a machine kill a process and wait until it is gone.
const KILL: &str =
    "kill -9 $0; tries=500; while [ -e /proc/$0 ] && [ $((tries -= 1)) -gt 0 ]; do usleep 2000; done";

/// A running node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its first process, as the host numbers it; a machine's is its cabinet's.
    pub pid: i32,
    /// Whether it is a machine.
    pub is_machine: bool,
}

impl Node {
    /// Starts a node whose `/etc` is the directory `etc`, which is made if it is not there.
    pub fn start(lab: &str, name: &str, etc: &Path, hosts: &str) -> Result<Self, LabError> {
        prepare_etc(name, etc, hosts).map_err(|source| LabError::File {
            act: "prepare",
            path: etc.to_owned(),
            source,
        })?;
        let program = own_program()?;
        let said = command::run(Command::new(program).args(["node-init", lab, name]).arg(etc), "")?;
        let pid = said.trim().parse().map_err(|_| LabError::Node {
            node: name.to_owned(),
            why: format!("its first process is unknown: '{}'", said.trim()),
        })?;
        Ok(Self { name: name.to_owned(), pid, is_machine: false })
    }

    /// Returns the namespaces that a machine stands in; any other node is its own.
    pub fn cabinet(&self) -> Self {
        Self { is_machine: false, ..self.clone() }
    }

    /// Returns a command that runs inside the node.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, program: &str, arguments: &[S]) -> Command {
        if self.is_machine {
            // What lies somewhere here, the machine has by its name.
            let program = program.rsplit('/').next().unwrap_or(program);
            let mut command = Command::new("/proc/self/exe");
            command.args(["in-machine", &self.pid.to_string(), "--"]).arg(program).args(arguments);
            return command;
        }
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid.to_string(), "-n", "-m", "-u", "-p", "--", program]).args(arguments);
        command
    }

    /// Runs a program in the node that must succeed, and returns what it wrote.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String, CommandError> {
        command::run(&mut self.command(program, arguments), "")
    }

    /// Runs a program in the node that must succeed, giving it `input`.
    pub fn feed(&self, program: &str, arguments: &[&str], input: &str) -> Result<String, CommandError> {
        command::run(&mut self.command(program, arguments), input)
    }

    /// Runs a program in the node and returns whether it succeeded.
    pub fn succeeds(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = self.command(program, arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Applies lines of `ip` commands, all or an error that names the line.
    pub fn ip(&self, lines: &[String]) -> Result<(), CommandError> {
        let mut text = lines.join("\n");
        text.push('\n');
        // The batch reader wants a file name: "-" is the standard input.
        self.feed("ip", &["-batch", "-"], &text).map(drop)
    }

    /// Runs `body` in a thread whose sockets are the node's.
    pub fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        let path = format!("/proc/{}/ns/net", self.pid);
        let entered = |why: String| LabError::Node { node: self.name.clone(), why };
        let namespace =
            fs::File::open(&path).map_err(|source| entered(format!("it does not run ({source})")))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| match setns(namespace, CloneFlags::CLONE_NEWNET) {
                Ok(()) => Ok(body()),
                Err(source) => Err(entered(format!("cannot enter its network namespace: {source}"))),
            });
            thread.join().unwrap_or_else(|_| Err(entered("what ran inside it ended in a panic".to_owned())))
        })
    }

    /// Returns the text of a file in the node.
    pub fn read(&self, path: &str) -> Result<String, LabError> {
        if self.is_machine {
            return Ok(self.run("cat", &[path])?);
        }
        read_file(&self.path(path))
    }

    /// Replaces a file in the node; a machine's is on its disk when this returns.
    pub fn write(&self, path: &str, text: &str) -> Result<(), LabError> {
        if self.is_machine {
            self.feed("sh", &["-c", "cat > \"$0\" && sync", path], text)?;
            return Ok(());
        }
        write_file(&self.path(path), text)
    }

    /// Returns whether there is such a file in the node.
    pub fn exists(&self, path: &str) -> bool {
        if self.is_machine { self.succeeds("test", &["-e", path]) } else { self.path(path).exists() }
    }

    /// Returns a path of the node's file system as the host sees it; a machine's file system nobody else sees.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.pid))
    }

    /// Returns the process ids of the node's processes whose command line satisfies `is_it`: the host's, or in a machine those of its own
    /// kernel; none where it does not answer.
    pub fn processes(&self, is_it: impl Fn(&[String]) -> bool) -> Vec<i32> {
        if self.is_machine {
            let said = self.run(LAB, &["machine-processes"]).unwrap_or_default();
            let all: Vec<(i32, Vec<String>)> = serde_json::from_str(&said).unwrap_or_default();
            return all.into_iter().filter(|(_, arguments)| is_it(arguments)).map(|(pid, _)| pid).collect();
        }
        let Ok(ours) = fs::read_link(format!("/proc/{}/ns/pid", self.pid)) else { return Vec::new() };
        all_processes()
            .filter(|(pid, arguments)| {
                *pid != self.pid
                    && is_it(arguments)
                    && fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|theirs| theirs == ours)
            })
            .map(|(pid, _)| pid)
            .collect()
    }

    /// Kills one of the node's processes, which gets no chance to do anything, and waits until it is gone.
    pub fn kill(&self, pid: i32) {
        if self.is_machine {
            // One that has ended by itself is as gone as one that was killed.
            self.succeeds("sh", &["-c", KILL, &pid.to_string()]);
        } else {
            end_process(pid);
        }
    }

    /// Ends the node and everything in it, at once, as a power cut does.
    pub fn end(&self) {
        end_process(self.pid);
    }
}

/// Kills a process and waits until it is gone.
pub fn end_process(pid: i32) {
    // A process that has ended by itself is as gone as one that was killed.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    for _ in 0..500 {
        if has_ended(pid) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Returns whether a process has ended, though nobody may have asked about it yet.
pub fn has_ended(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// Returns the processes that hold nodes of `lab` (of every lab, if it is `None`), with the nodes' names.
pub fn holders(lab: Option<&str>) -> Vec<(i32, String, String)> {
    all_processes()
        .filter_map(|(pid, arguments)| match arguments.as_slice() {
            [_, init, first, of, node, _] if init == "node-init" && first == "--first" => {
                (lab.is_none_or(|lab| lab == of)).then(|| (pid, of.clone(), node.clone()))
            }
            _ => None,
        })
        .collect()
}

/// Returns the path of this program.
pub fn own_program() -> Result<PathBuf, LabError> {
    std::env::current_exe().map_err(|source| LabError::File {
        act: "find",
        path: PathBuf::from("/proc/self/exe"),
        source,
    })
}

/// Returns every process with its command line, for who asks from outside of a machine.
pub fn list_processes() -> String {
    let all: Vec<_> = all_processes().collect();
    serde_json::to_string(&all).unwrap_or_default()
}

/// Returns every process with its command line.
fn all_processes() -> impl Iterator<Item = (i32, Vec<String>)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let arguments: Vec<String> = line
            .split(|octet| *octet == 0)
            .filter(|part| !part.is_empty())
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
        (!arguments.is_empty()).then_some((pid, arguments))
    })
}

/// Makes a node's `/etc`: its own files, and links to the host's for everything else.
fn prepare_etc(name: &str, etc: &Path, hosts: &str) -> std::io::Result<()> {
    if etc.join("hostname").exists() {
        return Ok(());
    }
    fs::create_dir_all(etc)?;
    for entry in fs::read_dir("/etc")?.flatten() {
        let file = entry.file_name();
        if !OWN_FILES.iter().any(|own| file.to_str() == Some(own)) {
            std::os::unix::fs::symlink(Path::new("/run/host-etc").join(&file), etc.join(&file))?;
        }
    }
    for own in ["config", "iproute2", "sysctl.d"] {
        fs::create_dir_all(etc.join(own))?;
    }
    if let Ok(tables) = fs::read("/etc/iproute2/rt_tables") {
        fs::write(etc.join("iproute2/rt_tables"), tables)?;
    }
    fs::write(etc.join("hosts"), hosts)?;
    fs::write(etc.join("resolv.conf"), "")?;
    fs::write(etc.join("hostname"), format!("{name}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_from_outside_can_read_the_list_of_processes() {
        let all: Vec<(i32, Vec<String>)> = serde_json::from_str(&list_processes()).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(all.iter().any(|(pid, arguments)| *pid == own && !arguments.is_empty()), "{all:?}");
    }
}
