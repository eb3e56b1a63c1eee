//! Routing daemons of others in a lab's nodes: what one is told, in one form for BIRD and FRR.

pub mod bird;
pub mod frr;
mod in_lab;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ipnet::IpNet;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::LabError;
use crate::node::{Node, own_program};
use crate::wait;

/// How long a daemon may take to end when it is asked to.
const END_LIMIT: Duration = Duration::from_secs(3);

/// Whose daemon it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maker {
    /// BIRD 2: one process, both families.
    Bird,
    /// FRR: zebra with ospf6d for IPv6, and with ospfd (OSPFv2) for IPv4 where a plan asks for it.
    Frr,
}

/// Everything a daemon is told.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its Router ID.
    pub router_id: Ipv4Addr,
    /// The links it speaks over.
    pub links: Vec<Link>,
    /// Devices whose prefixes it advertises without speaking there.
    pub stubs: Vec<String>,
    /// What the packets it sends itself come from, where it can be told.
    pub sources: Option<(Ipv4Addr, Ipv6Addr)>,
    /// Prefixes that it redistributes from static routes: AS-External LSAs.
    pub externals: Vec<IpNet>,
    /// A device in area 1, whose prefixes reach the backbone as Inter-Area-Prefix LSAs.
    pub other_area: Option<String>,
    /// BFD on every link.
    pub bfd: Option<Bfd>,
    /// IPv4 by OSPFv2: FRR has it in no other way.
    pub ospfv2: bool,
}

impl Plan {
    /// Returns the plan of a router without any link.
    pub fn new(router_id: Ipv4Addr) -> Self {
        Self {
            router_id,
            links: Vec::new(),
            stubs: Vec::new(),
            sources: None,
            externals: Vec::new(),
            other_area: None,
            bfd: None,
            ospfv2: false,
        }
    }
}

/// A link of a daemon.
#[derive(Debug, Clone)]
pub struct Link {
    /// The device.
    pub device: String,
    /// The output cost.
    pub cost: u16,
    /// HelloInterval and RouterDeadInterval, in seconds.
    pub intervals: (u16, u16),
    /// Authentication with SA ID 1.
    pub authentication: Option<Authentication>,
    /// The Instance ID, where it is not the daemon's own choice; FRR's only.
    pub instance: Option<u8>,
}

/// How a link is authenticated.
#[derive(Debug, Clone)]
pub struct Authentication {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The secret.
    pub secret: String,
}

/// The algorithms of RFC 7166.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-1.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-384.
    Sha384,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// Returns the digest's length in bits, by which daemons name the algorithm.
    pub const fn bits(self) -> u16 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256 => 256,
            Self::Sha384 => 384,
            Self::Sha512 => 512,
        }
    }
}

/// How BFD is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bfd {
    /// Desired Min TX Interval and Required Min RX Interval, in milliseconds.
    pub interval_ms: u16,
    /// Detect Mult.
    pub multiplier: u8,
}

impl Maker {
    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bird => "BIRD",
            Self::Frr => "FRR",
        }
    }

    /// Starts the daemon in a node.
    pub fn start(self, node: &Node, plan: &Plan) -> Result<(), LabError> {
        match self {
            Self::Bird => bird::start(node, plan),
            Self::Frr => frr::start(node, plan),
        }
    }

    /// Returns the host's process ids of the daemon's processes in a node.
    pub fn processes(self, node: &Node) -> Vec<i32> {
        match self {
            Self::Bird => node.processes(|arguments| is_program(arguments, "/bird")),
            Self::Frr => node.processes(|arguments| {
                arguments.first().is_some_and(|program| program.contains("/lib/frr/"))
            }),
        }
    }

    /// Ends the daemon, which takes its routes along, and waits until it is gone.
    pub fn stop(self, node: &Node) -> Result<(), LabError> {
        for pid in self.processes(node) {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let ended = wait::until(END_LIMIT, &format!("{} to end in {}", self.name(), node.name), || {
            if self.processes(node).is_empty() { Ok(()) } else { Err("it runs".to_owned()) }
        });
        if ended.is_err() {
            // Of FRR's daemons one now and then waits for the other for good.
            self.kill(node);
            self.flush_routes(node)?;
        }
        Ok(())
    }

    /// Kills the daemon, which gets no chance to do anything: its routes stay.
    pub fn kill(self, node: &Node) {
        for pid in self.processes(node) {
            crate::node::end_process(pid);
        }
    }

    /// Takes the routes that a killed daemon has left out of the kernel.
    pub fn flush_routes(self, node: &Node) -> Result<(), LabError> {
        let protocol = match self {
            Self::Bird => "bird",
            Self::Frr => "ospf",
        };
        for family in ["-4", "-6"] {
            node.run("ip", &[family, "route", "flush", "proto", protocol])?;
        }
        Ok(())
    }
}

fn is_program(arguments: &[String], end: &str) -> bool {
    arguments.first().is_some_and(|program| program.ends_with(end))
}

/// Returns where a program is: what an environment variable says, else below what set-up unpacked, else in the system.
pub(crate) fn find(variable: &str, tool: &str, path: &str) -> Result<PathBuf, LabError> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let unpacked = own_program()?
        .parent()
        .map(|directory| directory.join("../tools").join(tool).join(path.trim_start_matches('/')));
    let candidates = named.into_iter().chain(unpacked).chain([PathBuf::from(path)]);
    candidates.into_iter().find(|path| path.exists()).ok_or_else(|| {
        LabError::Asked(format!(
            "there is no {path}: `testbed/setup --test` unpacks it, {variable} names one"
        ))
    })
}

/// Starts a program in a node that goes on by itself; what it says goes nowhere, it logs to a file.
fn spawn(node: &Node, program: &Path, arguments: &[&str], libraries: &str) -> Result<(), LabError> {
    let mut command = node.command(&program.to_string_lossy(), arguments);
    if !libraries.is_empty() {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(|source| LabError::Node {
        node: node.name.clone(),
        why: format!("cannot start {}: {source}", program.display()),
    })
}
