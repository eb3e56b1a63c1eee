//! What the agent answers, as values: shown as text for people, as JSON for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// An address family, as replies name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressFamily {
    /// IPv6 unicast.
    Ipv6,
    /// IPv4 unicast.
    Ipv4,
}

impl AddressFamily {
    /// Both, in the order replies list them.
    pub const BOTH: [Self; 2] = [Self::Ipv6, Self::Ipv4];
}

impl std::fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ipv6 => "ipv6",
            Self::Ipv4 => "ipv4",
        })
    }
}

/// How grave a problem is, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something works worse than it could, or will break.
    Warning,
    /// Worth knowing.
    Note,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// A problem in words, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// What a person does next.
    pub next_step: String,
}

/// One screen about this router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Seconds that the restart of this router's routing may take still, while the routes of before are kept; the longer of
    /// both families.
    pub restart_seconds_left: Option<u64>,
    /// Whether an agent answered; `false` when the command line looked at the kernel itself.
    pub agent_running: bool,
    /// Whether other routers' traffic is kept away, until `dlan undrain`.
    #[serde(default)]
    pub drained: bool,
    /// The agent's version, or the command line's when no agent runs.
    pub version: String,
    /// Seconds since the agent started.
    pub uptime_seconds: Option<u64>,
    /// This router's name.
    pub name: String,
    /// This router's number.
    pub host_id: u16,
    /// The mesh's domain.
    pub domain: String,
    /// This router's loopback identities.
    pub loopbacks: Vec<IpAddr>,
    /// Which WireGuard carries the links: `kernel`, `embedded` or `none` yet.
    pub wireguard: String,
    /// How many routers the database knows, this one included.
    pub routers: usize,
    /// How many of them can be reached, this one included.
    pub routers_reachable: usize,
    /// What is wrong, gravest first.
    pub problems: Vec<Problem>,
    /// The configured links, in the configuration's order.
    pub links: Vec<LinkReport>,
    /// The LANs.
    pub lans: Vec<LanReport>,
    /// What this router translates between IPv6 and IPv4, where it does.
    #[serde(default)]
    pub nat64: Option<Nat64Report>,
    /// How many routes of the mesh are in the kernel, IPv6.
    pub routes_ipv6: usize,
    /// The same for IPv4.
    pub routes_ipv4: usize,
}

/// A configured link and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReport {
    /// The neighbor's name, as configured.
    pub name: String,
    /// The neighbor's number.
    pub host_id: u16,
    /// The VXLAN device.
    pub device: String,
    /// Whether the device is there and up.
    pub up: bool,
    /// Where the neighbor is called, as configured.
    pub endpoint_configured: Option<String>,
    /// Where its packets come from or are sent to.
    pub endpoint: Option<String>,
    /// Seconds since the last WireGuard handshake.
    pub handshake_seconds: Option<u64>,
    /// Octets received through WireGuard.
    pub received_octets: u64,
    /// Octets sent through WireGuard.
    pub sent_octets: u64,
    /// The neighbor's state in the IPv6 family.
    pub state_ipv6: String,
    /// The neighbor's state in the IPv4 family.
    pub state_ipv4: String,
    /// Whether the far end is to be watched by BFD.
    #[serde(default)]
    pub bfd_wanted: bool,
    /// The BFD session, once there is one.
    #[serde(default)]
    pub bfd: Option<BfdReport>,
    /// This end's output cost.
    pub cost: u16,
    /// The far end's output cost, from the database.
    pub cost_back: Option<u16>,
    /// The device's MTU, in octets.
    pub mtu: u16,
    /// Whether `cost` follows the round-trip time.
    pub auto_cost: bool,
    /// The smoothed round-trip time to the neighbor's link-local address, while it answers.
    pub round_trip_micros: Option<u64>,
    /// How many of the last echoes the neighbor was asked for.
    pub echoes: usize,
    /// How many of those had no answer.
    pub echoes_lost: usize,
}

/// How the far end of a link is watched by BFD (RFC 5880), for both families.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BfdReport {
    /// This end's session state: AdminDown, Down, Init or Up.
    pub state: String,
    /// The state that the far end told last.
    pub remote_state: String,
    /// Seconds since the state last changed.
    pub since_seconds: u64,
    /// What the session says of the far end.
    pub far_end: FarEnd,
    /// Whether the session was ever Up, and nobody has taken it down on purpose since.
    pub was_up: bool,
    /// How often it came Up.
    pub ups: u64,
    /// The Detection Time agreed on, in microseconds.
    pub detection_micros: u64,
    /// The interval between this end's packets before jitter, in microseconds; none when the far end wants no packets.
    pub transmit_micros: Option<u64>,
    /// Why this end's state last changed.
    pub diagnostic: String,
    /// Why the far end's state last changed.
    pub remote_diagnostic: String,
    /// Control packets sent.
    pub sent: u64,
    /// Control packets accepted.
    pub received: u64,
    /// Control packets refused, by the reason.
    pub refused: BTreeMap<String, u64>,
}

/// What BFD says of the far end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FarEnd {
    /// Nothing speaks against it.
    Reachable,
    /// Its agent is silent, but its kernel answers: it goes on forwarding.
    Forwarding,
    /// Nothing gets through in at least one direction.
    Unreachable,
}

/// The translator between IPv6 and IPv4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nat64Report {
    /// What stands for IPv4 addresses.
    pub prefix: Ipv6Net,
    /// The addresses that hosts have in between.
    pub pool: Ipv4Net,
    /// Whether it runs.
    pub running: bool,
}

/// A LAN and its prefixes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanReport {
    /// The section's name.
    pub name: String,
    /// The device.
    pub device: String,
    /// Whether the device is there.
    pub present: bool,
    /// The advertised prefixes.
    pub prefixes: Vec<IpNet>,
}

/// The routers heard on the links, and what was refused there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighborsReport {
    /// The neighbors heard, in both families.
    pub neighbors: Vec<NeighborReport>,
    /// The links, whether a neighbor is heard or not.
    pub links: Vec<LinkCounters>,
}

/// What became of the packets of a link since the agent started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// The device.
    pub device: String,
    /// The neighbor's name, as configured.
    pub name: String,
    /// OSPF packets sent.
    pub sent: u64,
    /// OSPF packets that the kernel did not take.
    pub send_errors: u64,
    /// OSPF packets handed to an engine.
    pub received: u64,
    /// OSPF packets that no neighbor on the link can have sent: wrong addresses or hop limit, too long.
    pub implausible: u64,
    /// OSPF packets of an Instance ID that is not served here.
    pub foreign_instance: u64,
    /// How often the link was left unread for a moment because refused packets had taken their share of time.
    pub pauses: u64,
    /// Refused packets and LSAs, by the reason's name; every reason is listed, both families added.
    pub refused: BTreeMap<String, u64>,
    /// Of those refused lately: what is refused and what to do about it.
    pub notes: Vec<String>,
}

/// A router heard on a link, in one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighborReport {
    /// The family.
    pub family: AddressFamily,
    /// The device it is heard on.
    pub device: String,
    /// Its Router ID.
    pub router_id: Ipv4Addr,
    /// Its name, from the database or the configuration.
    pub name: Option<String>,
    /// Its state (RFC 2328 section 10.1).
    pub state: String,
    /// The state of the BFD session with it, for both families.
    #[serde(default)]
    pub bfd: Option<String>,
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// Whether it is a dlan router: its router information is in the database.
    pub is_dlan: bool,
    /// Seconds until it counts as dead.
    pub dead_in_seconds: Option<u64>,
    /// Why its link counts whatever its state; none when it does not.
    pub kept: Option<KeptReport>,
    /// The number of the key it signs with; none without authentication.
    pub key: Option<u16>,
    /// LSAs sent to it and not yet acknowledged.
    pub retransmissions: usize,
}

/// A link that counts though its neighbor may not be Full: the neighbor's routing restarts (RFC 3623).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReport {
    /// What shows that the neighbor goes on forwarding: `announced`, `forwarding` or `resuming`.
    pub why: String,
    /// Seconds until the link is given up at the latest.
    pub seconds_left: u64,
}

/// A route of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteReport {
    /// Where to.
    pub prefix: IpNet,
    /// The distance.
    pub distance: u32,
    /// Who announces it: names where known, else Router IDs.
    pub via: Vec<HopReport>,
    /// The routers that announce it.
    pub advertising: Vec<String>,
}

/// One next hop of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopReport {
    /// The device.
    pub device: String,
    /// The neighbor: its name where known, else its Router ID.
    pub neighbor: String,
    /// The gateway's address.
    pub gateway: IpAddr,
}

/// An LSA of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LsaReport {
    /// The family of the database it is in.
    pub family: AddressFamily,
    /// LS type by name, `0xBFF0` style for unknown ones.
    pub ls_type: String,
    /// Link State ID.
    pub link_state_id: Ipv4Addr,
    /// Advertising Router.
    pub advertising_router: Ipv4Addr,
    /// Its name, where known.
    pub name: Option<String>,
    /// LS sequence number, as the octets are read: `80000001` first.
    pub sequence: String,
    /// LS age in seconds.
    pub age: u16,
    /// Octets.
    pub length: u16,
    /// What it says, in one line.
    pub content: String,
}

/// The whole mesh as this router sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// This router.
    pub root: Ipv4Addr,
    /// Every router of the database, by Router ID.
    pub routers: Vec<RouterReport>,
    /// Every link of the database, each once, the lower Router ID first.
    pub links: Vec<EdgeReport>,
}

/// A router of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterReport {
    /// Router ID.
    pub router_id: Ipv4Addr,
    /// Its name, from its router information or from the configuration of a link to it.
    pub name: Option<String>,
    /// Its program's version, when it is a dlan router.
    pub version: Option<String>,
    /// The families in which it can be reached.
    pub reachable: BTreeSet<AddressFamily>,
    /// What it announces, its own addresses included.
    pub prefixes: BTreeSet<PrefixReport>,
}

/// A prefix that a router announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PrefixReport {
    /// The prefix.
    pub prefix: IpNet,
    /// Its metric.
    pub metric: u16,
}

/// A link between two routers of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeReport {
    /// The router with the lower Router ID.
    pub a: Ipv4Addr,
    /// The other one.
    pub b: Ipv4Addr,
    /// The costs in the IPv6 family.
    pub ipv6: EdgeCosts,
    /// The costs in the IPv4 family.
    pub ipv4: EdgeCosts,
    /// The round-trip time that one of its ends tells, in microseconds.
    pub round_trip_micros: Option<u64>,
}

/// What a link costs in one family; a direction nobody announces has none, and the link then carries nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct EdgeCosts {
    /// From `a` to `b`.
    pub a_to_b: Option<u16>,
    /// From `b` to `a`.
    pub b_to_a: Option<u16>,
}

impl EdgeCosts {
    /// Returns whether both ends announce the link.
    pub const fn is_whole(self) -> bool {
        self.a_to_b.is_some() && self.b_to_a.is_some()
    }
}

/// The way a packet takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathReport {
    /// Where to.
    pub destination: IpAddr,
    /// The announced prefix that holds the destination; none when the mesh has no route to it.
    pub prefix: Option<IpNet>,
    /// The sum of the costs, the prefix's own metric included.
    pub distance: u32,
    /// How many ways of this cost there are.
    pub equal_ways: u64,
    /// The routers on the way, this one first, the one that announces the prefix last; of several ways on the first.
    pub hops: Vec<PathHop>,
    /// The other ways of this cost, at most fifteen.
    #[serde(default)]
    pub others: Vec<Vec<PathHop>>,
}

/// A router on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathHop {
    /// Router ID.
    pub router_id: Ipv4Addr,
    /// Its name, where known.
    pub name: Option<String>,
    /// Its identity in the destination's family, where it announces one.
    pub address: Option<IpAddr>,
    /// The cost of the step to it; none for the first.
    pub cost: Option<u16>,
    /// The distance from the first router.
    pub distance: u32,
}
