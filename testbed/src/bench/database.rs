//! What a change costs a router whose area is large: ours and BIRD, fed the same LSAs.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::area::Change;
use super::cpu::{Memory, processor_time, resident_memory};
use super::player::{INTERVALS, signal_of};
use crate::command::{self, CommandError};
use crate::console::Console;
use crate::error::LabError;
use crate::lab::{Lab, RUN_DIR, write_file};
use crate::node::{Node, own_program};

/// The lab's name: nodes of an interrupted run are found by it.
const LAB: &str = "bench-database";
/// The device at both ends.
const DEVICE: &str = "area";
const PLAYER_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const LISTENER_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// BIRD's files, in its node.
const BIRD_CONF: &str = "/run/bird.conf";
const BIRD_SOCKET: &str = "/run/bird.ctl";
/// How many windows with a change, and how many without, are measured; the median counts.
const WINDOWS: usize = 5;
/// How long a change is watched: BIRD waits a second before it calculates, and after three without a change the engine takes
/// the next for the first again, and calculates at once.
const CHANGE_WINDOW: Duration = Duration::from_millis(3500);
/// How long an area may take to load.
const LOAD_LIMIT: Duration = Duration::from_secs(240);

/// What changes, one after the other; the second makes everything worked out anew.
const CHANGES: [Change; 4] = [Change::Far, Change::Near, Change::Leaf, Change::Prefix];

/// Who listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// The project's driver with its engine.
    Ours,
    /// BIRD, the program at this path.
    Bird(PathBuf),
}

/// What was seen of one listener.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// From the start until the whole area is in and worked out.
    load: Duration,
    /// In a window in which nothing changes.
    idle: Duration,
    /// More than that in a window with one change, in the order of [`CHANGES`].
    changes: [Duration; CHANGES.len()],
    memory: Memory,
}

/// Measures areas of these sizes and prints a table.
pub fn measure(console: Console, bird: &Path, sizes: &[usize]) -> Result<(), LabError> {
    console.heading(&format!(
        "A change in a large area: processor time of one router in ms, medians of {WINDOWS} windows of {} s",
        CHANGE_WINDOW.as_secs_f64()
    ));
    console.line("all distances: a change next to the router, after which nothing is where it was; the other changes are far away");
    console.line(
        "routers  daemon  at rest  a link  all distances    a leaf  a prefix  to load all  resident   private",
    );
    for &routers in sizes {
        for subject in [Subject::Ours, Subject::Bird(bird.to_owned())] {
            let name = if subject == Subject::Ours { "dlan" } else { "BIRD" };
            console.replace(format!("{routers} routers, {name}: loading"));
            let figures = measure_one(routers, &subject)?;
            console.replace("");
            console.line(format!(
                "{routers:>7}  {name:<6}  {:>7.2}  {}  {:>11.0}  {:>5.1} MB  {:>5.1} MB",
                figures.idle.as_secs_f64() * 1e3,
                columns(&figures.changes),
                figures.load.as_secs_f64() * 1e3,
                super::megabytes(figures.memory.resident),
                super::megabytes(figures.memory.private),
            ));
        }
    }
    Ok(())
}

fn columns(changes: &[Duration; CHANGES.len()]) -> String {
    let [far, near, leaf, prefix] = changes.map(|change| change.as_secs_f64() * 1e3);
    format!("{far:>6.2}  {near:>13.2}  {leaf:>8.3}  {prefix:>8.3}")
}

/// Two nodes with a cable; gone when dropped.
struct Stage {
    player: Node,
    listener: Node,
}

impl Stage {
    fn build() -> Result<Self, LabError> {
        Lab::down(LAB)?;
        let directory = Path::new(RUN_DIR).join(LAB);
        let start = |name: &str| Node::start(LAB, name, &directory.join(name), "");
        let (player, listener) = (start("player")?, start("listener")?);
        let stage = Self { player, listener };
        let (near, far) = (stage.player.pid.to_string(), stage.listener.pid.to_string());
        let mut cable = Command::new("ip");
        cable.args([
            "link", "add", DEVICE, "netns", &near, "type", "veth", "peer", "name", DEVICE, "netns", &far,
        ]);
        command::run(&mut cable, "")?;
        for (node, address) in [(&stage.player, PLAYER_ADDRESS), (&stage.listener, LISTENER_ADDRESS)] {
            node.ip(&[
                "link set lo up".to_owned(),
                format!("link set {DEVICE} addrgenmode none"),
                format!("link set {DEVICE} up"),
                format!("addr add {address}/64 dev {DEVICE} nodad"),
            ])?;
        }
        Ok(stage)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed is removed by the next run, or by `dlan-lab down`.
        let _ = Lab::down(LAB);
    }
}

fn measure_one(routers: usize, subject: &Subject) -> Result<Figures, LabError> {
    let stage = Stage::build()?;
    let listener = start_listener(&stage, subject)?;
    let before = time_of(&stage.listener, listener)?;
    let mut player = Player::start(&stage.player, routers)?;
    player.wait_for("full")?;
    wait_until_idle(&stage.listener, listener)?;
    let load = time_of(&stage.listener, listener)?.saturating_sub(before);
    let idle = median(|| watch(&stage.listener, listener, CHANGE_WINDOW))?;
    let mut changes = [Duration::ZERO; CHANGES.len()];
    for (slot, change) in changes.iter_mut().zip(CHANGES) {
        let busy = median(|| {
            player.change(change)?;
            watch(&stage.listener, listener, CHANGE_WINDOW)
        })?;
        *slot = busy.saturating_sub(idle);
    }
    let memory = resident_memory(listener).map_err(|error| gone(&stage.listener, &error))?;
    Ok(Figures { load, idle, changes, memory })
}

/// Returns the median of as many measurements as are made of everything.
fn median(mut measure: impl FnMut() -> Result<Duration, LabError>) -> Result<Duration, LabError> {
    let mut all = Vec::with_capacity(WINDOWS);
    for _ in 0..WINDOWS {
        all.push(measure()?);
    }
    all.sort_unstable();
    Ok(all.get(WINDOWS / 2).copied().unwrap_or_default())
}

fn start_listener(stage: &Stage, subject: &Subject) -> Result<i32, LabError> {
    let (program, arguments) = match subject {
        Subject::Ours => {
            let program = own_program()?;
            let arguments = ["bench", "listen", DEVICE].map(str::to_owned).to_vec();
            (program, [arguments, vec![LISTENER_ADDRESS.to_string()]].concat())
        }
        Subject::Bird(program) => {
            write_file(&stage.listener.path(BIRD_CONF), &bird_configuration())?;
            let words = ["-f", "-c", BIRD_CONF, "-s", BIRD_SOCKET].map(str::to_owned);
            (program.clone(), words.to_vec())
        }
    };
    let mut starting = stage.listener.command(&program.to_string_lossy(), &arguments);
    starting.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let line = command::line_of(&starting);
    starting.spawn().map_err(|source| CommandError::Start { line, source })?;
    process_of(&stage.listener, &program)
}

fn bird_configuration() -> String {
    format!(
        "router id {};\nlog stderr {{ fatal, error }};\nprotocol device {{}}\nprotocol ospf v3 {{\n  ipv6 {{ import all; \
         export none; }};\n  area 0 {{\n    interface \"{DEVICE}\" {{ type ptp; hello {}; dead {}; }};\n  }};\n}}\n",
        super::listener::ROUTER_ID,
        INTERVALS.0.as_secs(),
        INTERVALS.1.as_secs()
    )
}

/// Waits until the program runs in the node and returns its number.
fn process_of(node: &Node, program: &Path) -> Result<i32, LabError> {
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
struct Player {
    child: Child,
    said: BufReader<ChildStdout>,
    node: Node,
    pid: i32,
}

impl Player {
    fn start(node: &Node, routers: usize) -> Result<Self, LabError> {
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

    fn wait_for(&mut self, word: &str) -> Result<(), LabError> {
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

    fn change(&mut self, change: Change) -> Result<(), LabError> {
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

fn time_of(node: &Node, pid: i32) -> Result<Duration, LabError> {
    processor_time(pid).map_err(|error| gone(node, &error))
}

fn watch(node: &Node, pid: i32, window: Duration) -> Result<Duration, LabError> {
    let before = time_of(node, pid)?;
    sleep(window);
    Ok(time_of(node, pid)?.saturating_sub(before))
}

/// Waits until the process has next to nothing to do: under 5 ms in two windows one after the other.
fn wait_until_idle(node: &Node, pid: i32) -> Result<(), LabError> {
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

fn gone(node: &Node, error: &std::io::Error) -> LabError {
    LabError::Node { node: node.name.clone(), why: error.to_string() }
}
