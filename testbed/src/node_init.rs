//! The process that a node lives in: makes the namespaces, then stays as their first process until it is killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use thiserror::Error;

/// Why a node could not be made.
#[derive(Debug, Error)]
pub enum NodeInitError {
    /// A namespace was refused.
    #[error("cannot make the namespaces of node {node} (root is needed)")]
    Unshare {
        /// The node.
        node: String,
        /// Why.
        source: nix::Error,
    },
    /// A mount was refused.
    #[error("cannot mount {what} in node {node}")]
    Mount {
        /// The node.
        node: String,
        /// What.
        what: &'static str,
        /// Why.
        source: nix::Error,
    },
    /// Anything else the system refused.
    #[error("cannot {act} for node {node}")]
    System {
        /// The node.
        node: String,
        /// What was tried.
        act: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// Makes the namespaces, starts their first process, writes its process id to the standard output and ends.
pub fn make(lab: &str, node: &str, etc: &Path) -> Result<(), NodeInitError> {
    let system = |act| move |source| NodeInitError::System { node: node.to_owned(), act, source };
    unshare(
        CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWPID,
    )
    .map_err(|source| NodeInitError::Unshare { node: node.to_owned(), source })?;
    let mut first = Command::new("/proc/self/exe")
        .args(["node-init", "--first", lab, node])
        .arg(etc)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(system("start the first process"))?;
    let mut ready = String::new();
    if let Some(stdout) = first.stdout.take() {
        BufReader::new(stdout).read_line(&mut ready).map_err(system("hear of the first process"))?;
    }
    if ready.trim() != "ready" {
        let _ = first.wait();
        return Err(system("start the first process")(std::io::Error::other(ready.trim().to_owned())));
    }
    writeln!(std::io::stdout(), "{}", first.id()).map_err(system("report the first process"))
}

/// The first process of a node: sets its view of the file system up, says so or why not, and reaps orphans for ever.
pub fn first(node: &str, etc: &Path) -> Result<(), NodeInitError> {
    let stayed = stay(node, etc);
    if let Err(error) = &stayed {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        // Who started this process reads one line; where it is gone, nobody needs it.
        let _ = writeln!(std::io::stdout(), "{error}: {cause}");
    }
    stayed
}

fn stay(node: &str, etc: &Path) -> Result<(), NodeInitError> {
    let system = |act| move |source| NodeInitError::System { node: node.to_owned(), act, source };
    let children = SigSet::from_iter([Signal::SIGCHLD]);
    children.thread_block().map_err(|source| system("block SIGCHLD")(source.into()))?;
    nix::unistd::setsid().map_err(|source| system("make a session")(source.into()))?;
    std::env::set_current_dir("/").map_err(system("change directory"))?;
    mount_all(node, etc)?;
    std::fs::write("/proc/sys/kernel/hostname", node).map_err(system("set the host name"))?;
    writeln!(std::io::stdout(), "ready").map_err(system("say that it is ready"))?;
    loop {
        // An interrupted wait leaves nothing undone: the children are looked at either way.
        let _ = children.wait();
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
    }
}

/// Mounts what a node has of its own: `/proc`, `/sys`, `/run`, `/var/lib` and `/etc`.
fn mount_all(node: &str, etc: &Path) -> Result<(), NodeInitError> {
    let mounted = |what| move |source| NodeInitError::Mount { node: node.to_owned(), what, source };
    let none = None::<&str>;
    let sealed = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(mounted("a private root"))?;
    mount(Some("proc"), "/proc", Some("proc"), sealed | MsFlags::MS_NOEXEC, none)
        .map_err(mounted("/proc"))?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), sealed | MsFlags::MS_NOEXEC, none)
        .map_err(mounted("/sys"))?;
    // The node's /etc lies below the /run that gets hidden: the open directory keeps a way to it.
    let kept = File::open(etc).map_err(|source| NodeInitError::System {
        node: node.to_owned(),
        act: "open the directory for /etc",
        source,
    })?;
    let kept_path = format!("/proc/self/fd/{}", kept.as_raw_fd());
    mount(Some("tmpfs"), "/run", Some("tmpfs"), sealed, Some("mode=0755,size=64m"))
        .map_err(mounted("/run"))?;
    mount(Some("tmpfs"), "/var/lib", Some("tmpfs"), sealed, Some("mode=0755,size=16m"))
        .map_err(mounted("/var/lib"))?;
    std::fs::create_dir("/run/host-etc").map_err(|source| NodeInitError::System {
        node: node.to_owned(),
        act: "make /run/host-etc",
        source,
    })?;
    mount(Some("/etc"), "/run/host-etc", none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .map_err(mounted("the host's /etc aside"))?;
    mount(Some(kept_path.as_str()), "/etc", none, MsFlags::MS_BIND, none).map_err(mounted("/etc"))
}
