//! What is wrong, in words with the next step, from facts: pure, so that every sentence has a test.

mod links;
mod mesh;
mod names;
mod programs;
pub mod refusals;
mod services;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use ospf_lite::ids::Family;
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::refusal::Refusal;
use ospf_lite::query::MtuMismatch;

use crate::control::report::{BfdReport, Problem, Severity, Topology};
use crate::control::service_report::ServicesReport;
use crate::control::zones::Contradiction;
use crate::names::zones::Conflict;
use crate::render::uci::Unserved;
use crate::state::program::ProgramName;
use crate::state::route::RouteKey;

/// How many seconds a handshake may lie back before it is called old: WireGuard makes another after 120 s, and keys die at 180 s.
pub const HANDSHAKE_OLD_SECONDS: u64 = 185;

/// Everything that problems are found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// This router's Router ID.
    pub router_id: Ipv4Addr,
    /// Seconds since the agent started: silence is no problem before the first dead interval is over.
    pub uptime_seconds: u64,
    /// The errors of the configuration on disk, when it was rejected and the last good one runs.
    pub config_errors: Vec<String>,
    /// Whether WireGuard runs embedded because the kernel has none.
    pub embedded_wireguard: bool,
    /// Whether nothing for private addresses is forwarded to a WAN, because nothing was heard of the mesh since boot.
    pub holds_private: bool,
    /// What somebody else changed and was repaired, and how many seconds ago the last time was.
    pub repaired: Option<Repaired>,
    /// Why the last plan could not be made or applied.
    pub apply_failure: Option<String>,
    /// The programs that are wanted and not installed.
    pub programs_missing: BTreeSet<ProgramName>,
    /// What of LANs' configuration does not come about on OpenWrt.
    pub unserved: Vec<Unserved>,
    /// The programs that cannot be brought about, and why.
    pub program_errors: BTreeMap<ProgramName, String>,
    /// The places in our table that other programs' routes have.
    pub occupied: BTreeSet<RouteKey>,
    /// What is said of an apply that waits to be confirmed.
    pub window: Option<String>,
    /// The configured links.
    pub links: Vec<LinkFacts>,
    /// This router's LAN prefixes.
    pub lans: BTreeSet<IpNet>,
    /// The mesh, from the databases.
    pub topology: Topology,
    /// For each dlan router that tells it: its Router ID with the neighbors it has links configured to.
    pub declared: Vec<(Ipv4Addr, BTreeSet<u16>)>,
    /// What routers claim about names and do not have.
    pub name_conflicts: BTreeSet<Conflict>,
    /// Where the name server cannot listen, with the reason.
    pub name_server_refused: BTreeMap<SocketAddr, String>,
    /// How services stand.
    pub services: ServicesReport,
    /// The prefixes of which the mesh says that they are in several zones.
    pub contradictions: Vec<Contradiction>,
}

/// Drift that was repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Seconds since.
    pub seconds: u64,
    /// What was put back, one line per step.
    pub what: Vec<String>,
}

/// What is known of a configured link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFacts {
    /// The neighbor's name, as configured.
    pub name: String,
    /// The neighbor's number.
    pub host_id: u16,
    /// The VXLAN device.
    pub device: String,
    /// Whether the device is there and up.
    pub up: bool,
    /// Where the neighbor is called, as configured.
    pub endpoint: Option<String>,
    /// Why the endpoint's name has no address.
    pub resolve_error: Option<String>,
    /// Seconds since the last handshake; none when there never was one or the device does not tell.
    pub handshake_seconds: Option<u64>,
    /// This end's MTU.
    pub mtu: u16,
    /// The MTU the configuration asks for, when the neighbor's smaller one is in use instead.
    pub mtu_configured: Option<u16>,
    /// This end's cost.
    pub cost: u16,
    /// HelloInterval in seconds.
    pub hello_seconds: u64,
    /// RouterDeadInterval in seconds.
    pub dead_seconds: u64,
    /// Each family's neighbor, when one is heard.
    pub neighbors: Vec<NeighborFacts>,
    /// How many times in a row it was lost, while it is left alone for that.
    pub flaps: Option<u8>,
    /// The BFD session, when there is one.
    pub bfd: Option<BfdReport>,
    /// The number of the key that this router signs with.
    pub key: Option<u16>,
    /// What was refused on the link within the last few RouterDeadIntervals.
    pub refused: BTreeSet<Refusal>,
}

/// A neighbor heard on a link, in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborFacts {
    /// The family.
    pub family: Family,
    /// Its Router ID.
    pub router_id: Ipv4Addr,
    /// Its state.
    pub state: NeighborState,
    /// The MTUs of both ends, when they differ.
    pub mtu_mismatch: Option<MtuMismatch>,
    /// The number of the key that it signs with.
    pub key: Option<u16>,
}

/// Returns what is wrong, gravest first.
pub fn find(facts: &Facts) -> Vec<Problem> {
    let mut problems = router_problems(facts);
    problems.extend(programs::find(facts));
    for link in &facts.links {
        problems.extend(links::find(link, facts.uptime_seconds));
    }
    problems.extend(mesh::find(facts));
    problems.extend(names::find(facts));
    problems.extend(services::find(&facts.services));
    problems.sort_by_key(|problem| problem.severity);
    problems
}

/// Returns what is said while OSPF does not run yet: why, where something is in its way.
pub fn find_before_ospf(apply_failure: Option<&str>) -> Vec<Problem> {
    vec![apply_failure.map_or_else(
        || note("the agent is starting: OSPF does not run yet".to_owned(), "wait a moment"),
        not_applied,
    )]
}

fn not_applied(failure: &str) -> Problem {
    error(
        format!("the router could not be brought to its configuration: {}", first_line(failure)),
        "see what is left to do with `dlan plan`; the agent tries again by itself",
    )
}

/// Says that another program's route is in the way, and so many more.
fn taken_place(first: &RouteKey, more: usize) -> Problem {
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let family = if first.prefix.addr().is_ipv6() { "-6 " } else { "" };
    error(
        format!("another program's route stands at {first}: dlan's own is left out{more}"),
        format!(
            "see whose it is with `ip {family}route show table {}`; remove it, or give dlan a table of its own with \
             option route_table in config mesh",
            first.table
        ),
    )
}

fn router_problems(facts: &Facts) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(window) = &facts.window {
        problems.push(error(
            format!("the last apply is {window}"),
            "keep it as said, from a new login; or undo it at once with `dlan rollback`",
        ));
    }
    if let Some(first) = facts.config_errors.first() {
        let count = facts.config_errors.len();
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        problems.push(error(
            format!("the configuration is rejected, the last good one runs: {first}{more}"),
            "see all errors with `dlan config check`, correct them, then `dlan apply`",
        ));
    }
    problems.extend(facts.apply_failure.as_deref().map(not_applied));
    if let Some(repaired) = &facts.repaired {
        let first = repaired.what.first().map_or("something of dlan's", String::as_str);
        let more = repaired.what.len().saturating_sub(1);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        problems.push(warning(
            format!(
                "something else changed what is dlan's; put back {} s ago: {first}{more}",
                repaired.seconds
            ),
            "find out which program does that; a network manager may have to be told to leave `dlan-*` alone",
        ));
    }
    problems.extend(held_private(facts));
    problems.extend(facts.occupied.iter().next().map(|first| taken_place(first, facts.occupied.len() - 1)));
    if facts.embedded_wireguard {
        problems.push(note(
            "WireGuard is not the kernel's: an embedded one in user space carries the links, slower".to_owned(),
            "install the kernel module (OpenWrt: kmod-wireguard) if there is none yet, then `dlan down` and start the agent again",
        ));
    }
    problems
}

/// Says that private addresses are held back, and what for: once a neighbor is Full in both families the routers behind it
/// have a RouterDeadInterval to be heard, and the hold ends by itself.
fn held_private(facts: &Facts) -> Option<Problem> {
    let patience = facts.links.iter().map(|link| link.dead_seconds).max().unwrap_or_default();
    let has_full = |family| {
        let mut neighbors = facts.links.iter().flat_map(|link| &link.neighbors);
        neighbors.any(|neighbor| neighbor.family == family && neighbor.state == NeighborState::Full)
    };
    let missing = match (has_full(Family::Ipv6), has_full(Family::Ipv4)) {
        (true, true) => return None,
        (true, false) => "no neighbor was heard by IPv4",
        (false, true) => "no neighbor was heard by IPv6",
        (false, false) => "no neighbor was heard",
    };
    (facts.holds_private && facts.uptime_seconds > patience).then(|| {
        note(
            format!(
                "{missing} since this router booted: until one is, nothing for private addresses beyond the WANs is forwarded"
            ),
            "reach a neighbor; or say with `list inside` in config mesh which networks are the mesh's, and all others are reached",
        )
    })
}

fn first_line(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    match lines.count() {
        0 => first.to_owned(),
        more => format!("{first} (and {more} more lines in the log)"),
    }
}

fn error(what: String, next_step: impl Into<String>) -> Problem {
    Problem { severity: Severity::Error, what, next_step: next_step.into() }
}

fn warning(what: String, next_step: impl Into<String>) -> Problem {
    Problem { severity: Severity::Warning, what, next_step: next_step.into() }
}

fn note(what: String, next_step: impl Into<String>) -> Problem {
    Problem { severity: Severity::Note, what, next_step: next_step.into() }
}

#[cfg(test)]
mod tests;
