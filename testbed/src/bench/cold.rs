//! How long a grid of routers takes from cold start until everyone knows every prefix: the bare engine over plain cables, and
//! BIRD.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use ospf_lite::sim::{Side, Topology, TopologyLink};

use crate::command;
use crate::console::Console;
use crate::error::LabError;
use crate::foreign::{Link, Maker, Plan};
use crate::lab::{Lab, RUN_DIR, read_file, write_file};
use crate::node::{Node, own_program};
use crate::speaker::{self, State};
use crate::wait;

/// The lab's name.
const LAB: &str = "bench-cold";
/// How many routers a row of a grid has, at the least.
const ROWS: usize = 5;
/// How long a grid may take.
const LIMIT: Duration = Duration::from_secs(180);
/// The speaker's files, in its node.
const ORDERS: &str = "/run/speaker.json";
const STATE: &str = "/run/speaker.state";

/// What to measure.
#[derive(Debug, Clone)]
pub struct Orders {
    /// How many routers.
    pub routers: Vec<usize>,
    /// HelloIntervals in seconds; RouterDeadInterval is four times as long.
    pub hello: Vec<u16>,
    /// How often; the median counts.
    pub runs: usize,
}

/// Who routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Ours,
    Bird,
}

impl Subject {
    const BOTH: [Self; 2] = [Self::Ours, Self::Bird];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "dlan",
            Self::Bird => "BIRD",
        }
    }
}

/// Measures grids and prints a table.
pub fn measure(console: Console, orders: &Orders) -> Result<(), LabError> {
    console.heading(&format!(
        "Cold start of a grid of routers over plain cables, both families: from the start of the last until every router knows \
         every prefix, in seconds ({} runs)",
        orders.runs
    ));
    console.line("routers  links  hello  daemon  median  worst");
    for &routers in &orders.routers {
        let grid = Grid::build(console, routers)?;
        let result = grid.rows(console, orders);
        Lab::down(LAB)?;
        result?;
    }
    Ok(())
}

/// Routers in a grid with cables; taken down by the caller.
struct Grid {
    topology: Topology,
    nodes: Vec<Node>,
}

impl Grid {
    fn build(console: Console, routers: usize) -> Result<Self, LabError> {
        Lab::down(LAB)?;
        let topology = Topology::grid(ROWS, routers.div_ceil(ROWS));
        let directory = Path::new(RUN_DIR).join(LAB);
        let mut nodes = Vec::new();
        for router in 0..topology.routers {
            console.replace(format!("{LAB}: starting router {router} of {}", topology.routers));
            let name = format!("r{router}");
            let node = Node::start(LAB, &name, &directory.join(&name), "")?;
            let own = prefixes(router).map(|prefix| format!("addr add {prefix} dev lo"));
            node.ip(&[["link set lo up".to_owned()].as_slice(), &own].concat())?;
            nodes.push(node);
        }
        let grid = Self { topology, nodes };
        for (number, link) in grid.topology.links.iter().enumerate() {
            console.replace(format!("{LAB}: cable {number} of {}", grid.topology.links.len()));
            grid.plug(number, link)?;
        }
        console.replace("");
        Ok(grid)
    }

    fn plug(&self, number: usize, link: &TopologyLink) -> Result<(), LabError> {
        let ends = Side::BOTH.map(|side| self.nodes.get(link.ends.at(side).0));
        let [Some(near), Some(far)] = ends else { return Ok(()) };
        let (device, near_pid, far_pid) = (device(number), near.pid.to_string(), far.pid.to_string());
        let mut cable = Command::new("ip");
        cable.args(["link", "add", &device, "netns", &near_pid, "type", "veth"]);
        cable.args(["peer", "name", &device, "netns", &far_pid]);
        command::run(&mut cable, "")?;
        for (node, end) in [(near, 1), (far, 2)] {
            let host = u8::try_from(number % 64 * 4 + end).unwrap_or(u8::MAX);
            node.ip(&[
                format!("link set {device} addrgenmode none"),
                format!("link set {device} up"),
                format!("addr add fe80::{number:x}:{end}/64 dev {device} nodad"),
                format!("addr add 10.66.{}.{host}/30 dev {device}", number / 64),
            ])?;
        }
        Ok(())
    }

    fn rows(&self, console: Console, orders: &Orders) -> Result<(), LabError> {
        for &hello in &orders.hello {
            for subject in Subject::BOTH {
                let mut seconds = Vec::new();
                for run in 1..=orders.runs {
                    console.replace(format!(
                        "{} routers, hello {hello} s, {}: run {run} of {}",
                        self.nodes.len(),
                        subject.name(),
                        orders.runs
                    ));
                    seconds.push(self.cold_start(subject, (hello, 4 * hello))?);
                }
                seconds.sort_by(f64::total_cmp);
                let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
                console.replace("");
                console.line(format!(
                    "{:>7}  {:>5}  {hello:>3} s  {:<6}  {median:>6.2}  {:>5.2}",
                    self.nodes.len(),
                    self.topology.links.len(),
                    subject.name(),
                    seconds.last().copied().unwrap_or_default(),
                ));
            }
        }
        Ok(())
    }

    /// Starts everyone, waits, ends everyone, and returns how many seconds it took since the last was started: how long a
    /// program takes to be started in a node is no concern of routing.
    fn cold_start(&self, subject: Subject, intervals: (u16, u16)) -> Result<f64, LabError> {
        for (router, node) in self.nodes.iter().enumerate() {
            match subject {
                Subject::Ours => self.start_speaker(router, node, intervals)?,
                Subject::Bird => Maker::Bird.start(node, &self.plan(router, intervals))?,
            }
        }
        let begun = Instant::now();
        let mut missing: Vec<usize> = (0..self.nodes.len()).collect();
        wait::until(LIMIT, "everyone to know every prefix", || {
            missing.retain(|router| !self.knows_all(*router, subject));
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} do not")) }
        })?;
        let took = begun.elapsed().as_secs_f64();
        for node in &self.nodes {
            match subject {
                Subject::Ours => {
                    let is_speaker = |words: &[String]| words.get(1).is_some_and(|word| word == "speak");
                    node.processes(is_speaker).into_iter().for_each(crate::node::end_process);
                    // Gone with it is what it knew.
                    let _ = std::fs::remove_file(node.path(STATE));
                }
                Subject::Bird => Maker::Bird.stop(node)?,
            }
        }
        Ok(took)
    }

    /// Returns the names of a router's devices.
    fn devices(&self, router: usize) -> impl Iterator<Item = String> {
        let links = self.topology.links.iter().enumerate();
        let own =
            links.filter(move |(_, link)| Side::BOTH.iter().any(|side| link.ends.at(*side).0 == router));
        own.map(|(number, _)| device(number))
    }

    fn start_speaker(&self, router: usize, node: &Node, intervals: (u16, u16)) -> Result<(), LabError> {
        let link = |device| speaker::Link { device, intervals, authentication: None };
        let orders = speaker::Orders {
            router_id: u32::from(router_id(router)),
            prefixes: prefixes(router).to_vec(),
            links: self.devices(router).map(link).collect(),
            state: STATE.into(),
        };
        write_file(&node.path(ORDERS), &serde_json::to_string(&orders).unwrap_or_default())?;
        let mut command = node.command(&own_program()?.to_string_lossy(), &["speak", ORDERS]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(drop).map_err(|source| LabError::Node {
            node: node.name.clone(),
            why: format!("cannot start the speaker: {source}"),
        })
    }

    fn plan(&self, router: usize, intervals: (u16, u16)) -> Plan {
        let link = |device| Link { device, cost: 10, intervals, authentication: None, instance: None };
        Plan { links: self.devices(router).map(link).collect(), ..Plan::new(router_id(router)) }
    }

    /// Returns whether a router has a way to everyone's prefixes: the engine's own word, and BIRD's in the kernel.
    fn knows_all(&self, router: usize, subject: Subject) -> bool {
        let Some(node) = self.nodes.get(router) else { return false };
        let mut others = (0..self.nodes.len()).filter(|other| *other != router).flat_map(prefixes);
        match subject {
            Subject::Ours => {
                let text = read_file(&node.path(STATE)).unwrap_or_default();
                let state: State = serde_json::from_str(&text).unwrap_or_default();
                others.all(|prefix| state.routes.contains_key(&prefix))
            }
            Subject::Bird => {
                let table = |file: &str| read_file(Path::new(&format!("/proc/{}/net/{file}", node.pid)));
                let (ipv6, ipv4) = (table("ipv6_route"), table("route"));
                let tables = [ipv6.unwrap_or_default(), ipv4.unwrap_or_default()].concat();
                others.all(|prefix| tables.contains(&as_in_proc(&prefix)))
            }
        }
    }
}

fn device(number: usize) -> String {
    format!("c{number}")
}

fn router_id(router: usize) -> Ipv4Addr {
    [10, 67, 0, u8::try_from(router + 1).unwrap_or(u8::MAX)].into()
}

/// Returns a router's own addresses, which it advertises.
fn prefixes(router: usize) -> [IpNet; 2] {
    let ipv6 = std::net::Ipv6Addr::new(0xfd67, 0, 0, 0, 0, 0, 0, u16::try_from(router + 1).unwrap_or(0));
    [IpNet::from(std::net::IpAddr::from(ipv6)), IpNet::from(std::net::IpAddr::from(router_id(router)))]
}

/// Returns how the kernel's lists of routes write a destination: hexadecimal, IPv4 in the order of the machine.
fn as_in_proc(prefix: &IpNet) -> String {
    match prefix {
        IpNet::V6(net) => format!("{:032x} 80 ", u128::from(net.addr())),
        IpNet::V4(net) => format!("\t{:08X}\t", u32::from_ne_bytes(net.addr().octets())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_as_the_kernel_lists_them() {
        let [ipv6, ipv4] = prefixes(0).map(|prefix| as_in_proc(&prefix));
        assert_eq!(ipv6, "fd670000000000000000000000000001 80 ");
        assert_eq!(ipv4.trim(), format!("{:08X}", u32::from_ne_bytes([10, 67, 0, 1])));
    }

    #[test]
    fn every_prefix_of_a_grid_has_one_owner() {
        let all: std::collections::BTreeSet<IpNet> = (0..60).flat_map(prefixes).collect();
        assert_eq!(all.len(), 120);
    }
}
