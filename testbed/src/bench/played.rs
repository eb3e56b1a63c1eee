//! An area that is played at the far end of a cable, and when who listens to it has come to rest.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::area::Change;
use super::cpu::processor_time;
use super::player::signal_of;
use crate::command::{self, CommandError};
use crate::error::LabError;
use crate::node::{Node, own_program};

/// The device at both ends of the cable.
pub const DEVICE: &str = "area";
/// Where the player is.
const PLAYER_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// Where who listens is.
pub const LISTENER_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// How long an area may take to load.
const LOAD_LIMIT: Duration = Duration::from_secs(240);

/// Puts a cable between the node of a player and that of who listens.
pub fn cable(player: &Node, listener: &Node) -> Result<(), LabError> {
    let (near, far) = (player.pid.to_string(), listener.pid.to_string());
    let mut cable = Command::new("ip");
    cable
        .args(["link", "add", DEVICE, "netns", &near, "type", "veth", "peer", "name", DEVICE, "netns", &far]);
    command::run(&mut cable, "")?;
    for (node, address) in [(player, PLAYER_ADDRESS), (listener, LISTENER_ADDRESS)] {
        node.ip(&[
            "link set lo up".to_owned(),
            format!("link set {DEVICE} addrgenmode none"),
            format!("link set {DEVICE} up"),
            format!("addr add {address}/64 dev {DEVICE} nodad"),
        ])?;
    }
    Ok(())
}

/// Waits until the program runs in the node and returns its number.
pub fn process_of(node: &Node, program: &Path) -> Result<i32, LabError> {
    let program = program.to_string_lossy().into_owned();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let found = node.processes(|arguments| arguments.first() == Some(&program));
        if let Some(pid) = found.first() {
            return Ok(*pid);
        }
        sleep(Duration::from_millis(20));
    }
    Err(LabError::Waited { waited: 10, what: format!("{program} to run in {}", node.name) })
}

/// The process that plays the area.
#[derive(Debug)]
pub struct Player {
    child: Child,
    said: BufReader<ChildStdout>,
    node: Node,
    pid: i32,
}

impl Player {
    /// Starts it in a node that has a [`cable`].
    pub fn start(node: &Node, routers: usize) -> Result<Self, LabError> {
        let program = own_program()?;
        let arguments = ["bench", "play", DEVICE, &PLAYER_ADDRESS.to_string(), &routers.to_string()];
        let mut starting = node.command(&program.to_string_lossy(), &arguments);
        starting.stdin(Stdio::null()).stdout(Stdio::piped());
        let line = command::line_of(&starting);
        let mut child = starting.spawn().map_err(|source| CommandError::Start { line, source })?;
        let said =
            child.stdout.take().ok_or_else(|| LabError::Asked("the player says nothing".to_owned()))?;
        let pid = process_of(node, &program)?;
        Ok(Self { child, said: BufReader::new(said), node: node.clone(), pid })
    }

    /// Waits until it says a word.
    pub fn wait_for(&mut self, word: &str) -> Result<(), LabError> {
        let mut line = String::new();
        loop {
            line.clear();
            let octets = self.said.read_line(&mut line).map_err(|error| gone(&self.node, &error))?;
            if octets == 0 {
                let why = format!("the player ended before it said '{word}'");
                return Err(LabError::Node { node: self.node.name.clone(), why });
            }
            if line.trim() == word {
                return Ok(());
            }
        }
    }

    /// Has it make a change.
    pub fn change(&mut self, change: Change) -> Result<(), LabError> {
        kill(Pid::from_raw(self.pid), signal_of(change))
            .map_err(|errno| gone(&self.node, &std::io::Error::from(errno)))?;
        self.wait_for("changed")
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Returns the processor time that a process has used.
pub fn time_of(node: &Node, pid: i32) -> Result<Duration, LabError> {
    processor_time(pid).map_err(|error| gone(node, &error))
}

/// Returns the processor time that a process uses in a window.
pub fn watch(node: &Node, pid: i32, window: Duration) -> Result<Duration, LabError> {
    let before = time_of(node, pid)?;
    sleep(window);
    Ok(time_of(node, pid)?.saturating_sub(before))
}

/// Waits until the process has next to nothing to do: under 5 ms in two windows one after the other.
pub fn wait_until_idle(node: &Node, pid: i32) -> Result<(), LabError> {
    let deadline = Instant::now() + LOAD_LIMIT;
    let mut quiet = 0;
    while quiet < 2 {
        let used = watch(node, pid, Duration::from_secs(2))?;
        quiet = if used < Duration::from_millis(5) { quiet + 1 } else { 0 };
        if Instant::now() > deadline {
            return Err(LabError::Waited {
                waited: LOAD_LIMIT.as_secs(),
                what: format!("the listener to come to rest; it still uses {} ms in 2 s", used.as_millis()),
            });
        }
    }
    Ok(())
}

/// Says that a process could not be looked at.
pub fn gone(node: &Node, error: &std::io::Error) -> LabError {
    LabError::Node { node: node.name.clone(), why: error.to_string() }
}
