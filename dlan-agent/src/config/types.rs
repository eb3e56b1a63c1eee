//! The configuration's types: valid by construction, every default filled in.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use ospf_lite::config::HmacAlgorithm;
use ospf_lite::ids::Cost;
use serde::{Deserialize, Serialize};
use vxlan::key::PublicKey;
use vxlan::link::LinkName;

use super::dhcp::DhcpConfig;
use super::service::ServiceConfig;
use super::zone::{Ports, WanInput, ZoneConfig};
use crate::names::domain::DomainName;
use crate::names::record::Record;

/// The largest host id there can be: with one more, a VNI (`max_hosts` x lower + higher) would need more than 24 bits.
pub const HOST_ID_LIMIT: u16 = 4095;

/// The UDP port of WireGuard where none is written.
pub const LISTEN_PORT_DEFAULT: u16 = 51820;

/// A host id: a router's number in the mesh, 1..=`max_hosts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub u16);

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A whole, consistent configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The mesh this router belongs to.
    pub mesh: MeshConfig,
    /// The sides that are not trusted.
    pub wans: Vec<WanConfig>,
    /// The sides with hosts.
    pub lans: Vec<LanConfig>,
    /// What the hosts of zones may reach; `internal` is not among them.
    pub zones: Vec<ZoneConfig>,
    /// The configured neighbors.
    pub links: Vec<LinkConfig>,
    /// The keys of routing packets: the first signs, all are accepted. None leaves them without authentication.
    pub ospf_keys: Vec<OspfKeyConfig>,
    /// The name server.
    pub names: NamesConfig,
    /// The translator between IPv6 and IPv4, where this router is one.
    pub nat64: Option<Nat64Config>,
    /// This router's records for the whole mesh.
    pub records: BTreeSet<Record>,
    /// Who answers for what nobody announces.
    pub delegates: Vec<DelegateConfig>,
    /// What runs inside and is reached through this router's addresses.
    pub services: Vec<ServiceConfig>,
}

/// The agent's name server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesConfig {
    /// Its port on this router.
    pub port: u16,
    /// How long answers are given whose owner is away.
    pub stale_time: Duration,
    /// How many answers are kept.
    pub cache: u16,
    /// How many questions one host may ask in a second; 0 sets no limit.
    pub rate: u16,
    /// The /96 of the addresses that stand for IPv4 ones.
    pub dns64_prefix: Ipv6Net,
    /// Who is asked about names outside the mesh; nobody written leaves this router's own dnsmasq.
    pub upstreams: Vec<IpAddr>,
    /// The domains outside the mesh's own about which other routers are believed; any when this is empty.
    pub foreign: BTreeSet<DomainName>,
}

/// The translator between IPv6 and IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nat64Config {
    /// The addresses that hosts have between the two.
    pub pool: Ipv4Net,
}

/// Who answers for names that no router announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegateConfig {
    /// The zone.
    pub zone: Option<DomainName>,
    /// The networks whose reverse names are delegated.
    pub reverse: Vec<IpNet>,
    /// Where they are asked.
    pub servers: Vec<IpAddr>,
}

/// What holds for the whole router, most of it equal on all routers of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshConfig {
    /// This router's number.
    pub host_id: HostId,
    /// This router's name: a DNS label.
    pub name: String,
    /// The mesh's DNS domain.
    pub domain: String,
    /// How many host ids the address arithmetic provides for.
    pub max_hosts: u16,
    /// The pools of the loopback identities.
    pub loopback_ipv4: Ipv4Net,
    /// The same for IPv6.
    pub loopback_ipv6: Ipv6Net,
    /// The pools of the WireGuard addresses.
    pub wg_ipv4: Ipv4Net,
    /// The same for IPv6.
    pub wg_ipv6: Ipv6Net,
    /// The pool that is cut into a /30 per link; `None` leaves the links unnumbered.
    pub link_pool_ipv4: Option<Ipv4Net>,
    /// The networks that LANs of the mesh lie in, as the operator says; none when that is left to be learned.
    pub inside: Vec<IpNet>,
    /// WireGuard's device, `dlan-wg`.
    pub wg_device: LinkName,
    /// MTU of the WireGuard device.
    pub wg_mtu: u16,
    /// MTU of the VXLAN devices, unless a link says otherwise.
    pub link_mtu: u16,
    /// The UDP port of VXLAN.
    pub vxlan_port: u16,
    /// Where the router's private key is.
    pub private_key_file: PathBuf,
    /// The mesh-wide pre-shared key's file.
    pub wg_psk_file: Option<PathBuf>,
    /// Seconds between WireGuard keepalives; 0 sends none.
    pub keepalive: u16,
    /// HelloInterval, unless a link says otherwise.
    pub hello_interval: Duration,
    /// RouterDeadInterval, unless a link says otherwise.
    pub dead_interval: Duration,
    /// RxmtInterval.
    pub rxmt_interval: Duration,
    /// Whether BFD watches the far end, unless a link says otherwise.
    pub bfd: bool,
    /// Desired Min TX Interval and Required Min RX Interval of BFD, unless a link says otherwise.
    pub bfd_interval: Duration,
    /// Detect Mult of BFD, unless a link says otherwise.
    pub bfd_multiplier: NonZeroU8,
    /// Output cost of links that set none.
    pub cost: LinkCost,
    /// The least automatic cost.
    pub auto_cost_min: Cost,
    /// The highest automatic cost.
    pub auto_cost_max: Cost,
    /// How often the round-trip time to each neighbor is measured.
    pub round_trip_interval: Duration,
    /// Metric of LAN prefixes.
    pub lan_metric: u16,
    /// How many equal-cost next hops a route keeps.
    pub equal_cost_max: u8,
    /// Whether restarts of routing keep the traffic as it was, here and at the neighbors (RFC 3623).
    pub graceful_restart: bool,
    /// How long such a restart may take: 1..=1800 s.
    pub grace_period: Duration,
    /// The mark of WireGuard's outer packets.
    pub fwmark: u32,
    /// The kernel routing table that is ours.
    pub route_table: u32,
    /// The kernel route protocol number that is ours.
    pub route_protocol: u8,
    /// Preference of the first of our two policy rules.
    pub rule_preference: u32,
    /// Seconds between looking at the system for drift where no notification tells of it.
    pub drift_interval: Duration,
    /// What is run when files of others were put in place, or back.
    pub reload_program: PathBuf,
}

/// A key of routing packets (RFC 7166 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OspfKeyConfig {
    /// The section that names its file: of an `ospf_key` section UCI's address if it is anonymous.
    pub section: String,
    /// SA ID.
    pub id: u16,
    /// The secret's file.
    pub secret_file: PathBuf,
    /// The algorithm.
    pub algorithm: HmacAlgorithm,
}

/// A side that is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WanConfig {
    /// The section's name; of an anonymous section UCI's address, such as `@lan[0]`.
    pub name: String,
    /// How the device is found.
    pub source: DeviceSource,
    /// WireGuard's UDP port; one for the router, taken from the first WAN.
    pub listen_port: u16,
    /// What becomes of packets for this router that nobody asked for.
    pub input: WanInput,
    /// SSH's port, when it can be reached from there.
    pub ssh: Option<u16>,
    /// Further ports that can.
    pub open: Vec<Ports>,
    /// Whether what leaves from the inside gets this router's address.
    pub masquerade: bool,
}

/// How a device is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSource {
    /// A Linux device.
    Device(LinkName),
    /// An OpenWrt network name.
    Interface(String),
}

/// A side with hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanConfig {
    /// The section's name; of an anonymous section UCI's address, such as `@lan[0]`.
    pub name: String,
    /// Its device.
    pub device: LinkName,
    /// The zone it belongs to.
    pub zone: String,
    /// The router's address on it; `None` adopts the private prefixes found on the device.
    pub ipv4: Option<LanAddress<Ipv4Addr>>,
    /// The same for IPv6.
    pub ipv6: Option<LanAddress<Ipv6Addr>>,
    /// Whether its hosts are given IPv6 addresses for names that have only IPv4 ones.
    pub dns64: bool,
    /// What its hosts are given.
    pub dhcp: DhcpConfig,
}

/// An address with the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LanAddress<A> {
    /// The router's own address.
    pub address: A,
    /// The length of the prefix it lies in.
    pub prefix_len: u8,
}

impl LanAddress<Ipv4Addr> {
    /// Returns the prefix the address lies in.
    pub fn network(&self) -> Ipv4Net {
        Ipv4Net::new(self.address, self.prefix_len)
            .map_or_else(|_| Ipv4Net::from(self.address), |net| net.trunc())
    }
}

impl LanAddress<Ipv6Addr> {
    /// Returns the prefix the address lies in.
    pub fn network(&self) -> Ipv6Net {
        Ipv6Net::new(self.address, self.prefix_len)
            .map_or_else(|_| Ipv6Net::from(self.address), |net| net.trunc())
    }
}

impl<A: fmt::Display> fmt::Display for LanAddress<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// A configured neighbor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConfig {
    /// The neighbor's name.
    pub name: String,
    /// The neighbor's number.
    pub host_id: HostId,
    /// The neighbor's WireGuard key.
    pub public_key: PublicKey,
    /// Where to call it; `None`: it calls us.
    pub endpoint: Option<Endpoint>,
    /// Output cost; an automatic one is the highest until the one that was chosen is put in its place.
    pub cost: Cost,
    /// Whether the cost follows the measured round-trip time.
    pub auto_cost: bool,
    /// The pre-shared key's file: the link's own, else the mesh's.
    pub wg_psk_file: Option<PathBuf>,
    /// Seconds between keepalives.
    pub keepalive: u16,
    /// MTU of the VXLAN device.
    pub mtu: u16,
    /// HelloInterval.
    pub hello_interval: Duration,
    /// RouterDeadInterval.
    pub dead_interval: Duration,
    /// Whether BFD watches the far end.
    pub bfd: bool,
    /// Desired Min TX Interval and Required Min RX Interval of BFD.
    pub bfd_interval: Duration,
    /// Detect Mult of BFD.
    pub bfd_multiplier: NonZeroU8,
    /// OSPF's number of this end; `None`: the neighbor's host id.
    pub interface_id: Option<u16>,
}

/// Where a link's output cost comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkCost {
    /// From the configuration.
    Fixed(Cost),
    /// From the measured round-trip time.
    Auto,
}

/// Where to call a neighbor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
