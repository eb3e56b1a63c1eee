//! What a change costs a router whose area is large: ours and BIRD, fed the same LSAs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::area::Change;
use super::cpu::{Memory, resident_memory};
use super::played::{
    self, DEVICE, LISTENER_ADDRESS, Player, gone, process_of, time_of, wait_until_idle, watch,
};
use super::player::INTERVALS;
use crate::command::{self, CommandError};
use crate::console::Console;
use crate::error::LabError;
use crate::lab::{Lab, RUN_DIR, write_file};
use crate::node::{Node, own_program};

/// The lab's name: nodes of an interrupted run are found by it.
const LAB: &str = "bench-database";
/// BIRD's files, in its node.
const BIRD_CONF: &str = "/run/bird.conf";
const BIRD_SOCKET: &str = "/run/bird.ctl";
/// How long a change is watched: BIRD waits a second before it calculates, and after three without a change the engine takes
/// the next for the first again, and calculates at once.
const CHANGE_WINDOW: Duration = Duration::from_millis(3500);

/// What changes, one after the other; the second makes everything worked out anew.
const CHANGES: [Change; 4] = [Change::Far, Change::Near, Change::Leaf, Change::Prefix];

/// What to measure.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Sizes of the area.
    pub routers: Vec<usize>,
    /// How many windows with each change, and how many without; the median counts.
    pub windows: usize,
}

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
pub fn measure(console: Console, bird: &Path, orders: &Orders) -> Result<(), LabError> {
    console.heading(&format!(
        "A change in a large area: processor time of one router in ms, medians of {} windows of {} s",
        orders.windows,
        CHANGE_WINDOW.as_secs_f64()
    ));
    console.line("all distances: a change next to the router, after which nothing is where it was; the other changes are far away");
    console.line(
        "routers  daemon  at rest  a link  all distances    a leaf  a prefix  to load all  resident   private",
    );
    for &routers in &orders.routers {
        for subject in [Subject::Ours, Subject::Bird(bird.to_owned())] {
            let name = if subject == Subject::Ours { "dlan" } else { "BIRD" };
            console.replace(format!("{routers} routers, {name}: loading"));
            let figures = measure_one((routers, orders.windows), &subject)?;
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
        played::cable(&stage.player, &stage.listener)?;
        Ok(stage)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed is removed by the next run, or by `dlan-lab down`.
        let _ = Lab::down(LAB);
    }
}

fn measure_one((routers, windows): (usize, usize), subject: &Subject) -> Result<Figures, LabError> {
    let stage = Stage::build()?;
    let listener = start_listener(&stage, subject)?;
    let before = time_of(&stage.listener, listener)?;
    let mut player = Player::start(&stage.player, routers)?;
    player.wait_for("full")?;
    wait_until_idle(&stage.listener, listener)?;
    let load = time_of(&stage.listener, listener)?.saturating_sub(before);
    let idle = median(windows, || watch(&stage.listener, listener, CHANGE_WINDOW))?;
    let mut changes = [Duration::ZERO; CHANGES.len()];
    for (slot, change) in changes.iter_mut().zip(CHANGES) {
        let busy = median(windows, || {
            player.change(change)?;
            watch(&stage.listener, listener, CHANGE_WINDOW)
        })?;
        *slot = busy.saturating_sub(idle);
    }
    let memory = resident_memory(listener).map_err(|error| gone(&stage.listener, &error))?;
    Ok(Figures { load, idle, changes, memory })
}

/// Returns the median of so many measurements.
fn median(
    windows: usize,
    mut measure: impl FnMut() -> Result<Duration, LabError>,
) -> Result<Duration, LabError> {
    let mut all = Vec::with_capacity(windows);
    for _ in 0..windows {
        all.push(measure()?);
    }
    all.sort_unstable();
    Ok(all.get(windows / 2).copied().unwrap_or_default())
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
