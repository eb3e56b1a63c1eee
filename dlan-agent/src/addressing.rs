//! Computes every address, number and name that follows from host ids; all of the mesh's arithmetic is here.
//!
//! | item | rule |
//! | --- | --- |
//! | loopback, WireGuard | the h-th usable address of the pool |
//! | pair id | `max_hosts` x lower host id + higher host id |
//! | VNI | the pair id |
//! | link subnet | the pair-id-th /30 of the link pool; the lower host id has the first usable address |
//! | device | `dlan-vx` and the neighbor's host id |
//! | MAC address | `02:d1:` and the two host ids of 16 bits, the own one first: different at each end, and on each link |
//! | link-local address | `fe80::<own host id>:<neighbor's host id>`, in hexadecimal |
//! | Router ID | the host id |
//! | Interface ID | of a link the neighbor's host id; of the loopback 0x10000; of LANs the numbers after it |

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use ospf_lite::ids::{InterfaceId, RouterId};
use vxlan::link::LinkName;
use vxlan::vtep::{MacAddress, Vni};

use crate::config::{HostId, LinkConfig, MeshConfig};

/// What the names of the links' devices begin with.
pub const LINK_DEVICE_PREFIX: &str = "dlan-vx";

/// The device behind which packets are translated between IPv6 and IPv4. It does not begin as the links' do: where they are a
/// zone of the system's firewall, this one leads to the internet and is another.
pub const NAT64_DEVICE: &str = "nat64-dlan";

/// The Interface ID of the loopback; above every host id, which are the Interface IDs of links.
pub const LOOPBACK_INTERFACE_ID: InterfaceId = InterfaceId(0x1_0000);

/// The length of a link's IPv4 prefix.
pub const LINK_PREFIX_LEN: u8 = 30;

/// An address that cannot be computed; a checked configuration has none for its own host ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressingError {
    /// The pool ends before the host id's address.
    #[error("host id {host} has no address in {pool}")]
    HostOutsidePool {
        /// The host id.
        host: HostId,
        /// The pool.
        pool: ipnet::IpNet,
    },
    /// The pool ends before the link's /30.
    #[error("the link between host ids {lower} and {higher} has no /30 in {pool}")]
    LinkOutsidePool {
        /// The lower host id.
        lower: HostId,
        /// The higher host id.
        higher: HostId,
        /// The pool.
        pool: Ipv4Net,
    },
    /// The two host ids do not make a link.
    #[error("host ids {own} and {neighbor} make no link: they differ and are from 1 to {max_hosts}")]
    NoPair {
        /// One host id.
        own: HostId,
        /// The other.
        neighbor: HostId,
        /// The largest there is.
        max_hosts: u16,
    },
}

/// Two different host ids of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The lower host id.
    pub lower: HostId,
    /// The higher host id.
    pub higher: HostId,
    number: u32,
}

impl Pair {
    /// Orders two host ids; they differ and lie in 1..=`max_hosts`.
    pub fn new(max_hosts: u16, one: HostId, other: HostId) -> Result<Self, AddressingError> {
        let (lower, higher) = (one.min(other), one.max(other));
        if lower == higher || lower.0 == 0 || higher.0 > max_hosts {
            return Err(AddressingError::NoPair { own: one, neighbor: other, max_hosts });
        }
        let number = u32::from(max_hosts) * u32::from(lower.0) + u32::from(higher.0);
        Ok(Self { lower, higher, number })
    }

    /// Returns the pair id.
    pub fn id(self) -> u32 {
        self.number
    }

    /// Returns the VNI, which has room for every pair while `max_hosts` is at most 4095.
    pub fn vni(self) -> Option<Vni> {
        Vni::new(self.number)
    }

    /// Returns the pair's /30 of a pool.
    pub fn subnet(self, pool: Ipv4Net) -> Result<Ipv4Net, AddressingError> {
        let outside = AddressingError::LinkOutsidePool { lower: self.lower, higher: self.higher, pool };
        let offset = u64::from(self.number) * 4;
        if offset + 4 > ipv4_size(pool) {
            return Err(outside);
        }
        let first =
            u32::try_from(u64::from(u32::from(pool.network())) + offset).map_err(|_| outside.clone())?;
        Ipv4Net::new(Ipv4Addr::from(first), LINK_PREFIX_LEN).map_err(|_| outside)
    }

    /// Returns the length of the longest prefix a link pool may have to hold the pair's /30.
    pub fn pool_prefix_len_needed(self) -> u8 {
        let octets = (u64::from(self.number) + 1) * 4;
        prefix_len_for(octets)
    }
}

/// Everything about one link that follows from the two host ids, seen from one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkAddressing {
    /// The two routers.
    pub pair: Pair,
    /// The VXLAN network identifier.
    pub vni: Vni,
    /// The device.
    pub device: LinkName,
    /// The device's MAC address at this end.
    pub mac: MacAddress,
    /// The link-local address of this end.
    pub link_local: Ipv6Addr,
    /// The link-local address of the other end, if it is a dlan router.
    pub neighbor_link_local: Ipv6Addr,
    /// The IPv4 address of this end with its /30; `None` on an unnumbered link.
    pub ipv4: Option<Ipv4Net>,
    /// The IPv4 address of the other end.
    pub neighbor_ipv4: Option<Ipv4Addr>,
    /// The WireGuard addresses of this end.
    pub underlay: RouterAddresses,
    /// The WireGuard addresses of the other end: a peer's allowed IPs.
    pub neighbor_underlay: RouterAddresses,
}

/// One router's addresses of both families from one kind of pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouterAddresses {
    /// The IPv4 address.
    pub ipv4: Ipv4Addr,
    /// The IPv6 address.
    pub ipv6: Ipv6Addr,
}

impl RouterAddresses {
    /// Returns the two as a /32 and a /128.
    pub fn host_prefixes(self) -> [ipnet::IpNet; 2] {
        [Ipv4Net::from(self.ipv4).into(), Ipv6Net::from(self.ipv6).into()]
    }
}

/// Computes the link between this router and a neighbor, from this router's end.
pub fn link(mesh: &MeshConfig, neighbor: HostId) -> Result<LinkAddressing, AddressingError> {
    let own = mesh.host_id;
    let pair = Pair::new(mesh.max_hosts, own, neighbor)?;
    let no_pair = || AddressingError::NoPair { own, neighbor, max_hosts: mesh.max_hosts };
    let subnet = mesh.link_pool_ipv4.map(|pool| pair.subnet(pool)).transpose()?;
    let ends = subnet.and_then(|subnet| link_ends(subnet, own == pair.lower));
    Ok(LinkAddressing {
        pair,
        vni: pair.vni().ok_or_else(no_pair)?,
        device: link_device(neighbor).ok_or_else(no_pair)?,
        mac: link_mac(own, neighbor),
        link_local: link_local(own, neighbor),
        neighbor_link_local: link_local(neighbor, own),
        ipv4: ends.map(|(own, _)| own),
        neighbor_ipv4: ends.map(|(_, neighbor)| neighbor.addr()),
        underlay: wireguard(mesh, own)?,
        neighbor_underlay: wireguard(mesh, neighbor)?,
    })
}

fn link_ends(subnet: Ipv4Net, own_first: bool) -> Option<(Ipv4Net, Ipv4Net)> {
    let mut hosts = subnet.hosts().map(|host| Ipv4Net::new(host, LINK_PREFIX_LEN).ok());
    let (first, second) = (hosts.next()??, hosts.next()??);
    Some(if own_first { (first, second) } else { (second, first) })
}

/// Returns a router's loopback identity.
pub fn loopback(mesh: &MeshConfig, host: HostId) -> Result<RouterAddresses, AddressingError> {
    router_addresses(mesh.loopback_ipv4, mesh.loopback_ipv6, host)
}

/// Returns a router's WireGuard addresses.
pub fn wireguard(mesh: &MeshConfig, host: HostId) -> Result<RouterAddresses, AddressingError> {
    router_addresses(mesh.wg_ipv4, mesh.wg_ipv6, host)
}

fn router_addresses(ipv4: Ipv4Net, ipv6: Ipv6Net, host: HostId) -> Result<RouterAddresses, AddressingError> {
    let outside = |pool: ipnet::IpNet| AddressingError::HostOutsidePool { host, pool };
    Ok(RouterAddresses {
        ipv4: usable_ipv4(ipv4, host).ok_or_else(|| outside(ipv4.into()))?,
        ipv6: usable_ipv6(ipv6, host).ok_or_else(|| outside(ipv6.into()))?,
    })
}

/// Returns the h-th usable address of a pool: neither the network's own nor the broadcast address.
pub fn usable_ipv4(pool: Ipv4Net, host: HostId) -> Option<Ipv4Addr> {
    let offset = u64::from(host.0);
    if offset == 0 || offset + 1 >= ipv4_size(pool) {
        return None;
    }
    let address = u64::from(u32::from(pool.network())) + offset;
    u32::try_from(address).ok().map(Ipv4Addr::from)
}

/// Returns the h-th usable address of a pool: any but the network's own.
pub fn usable_ipv6(pool: Ipv6Net, host: HostId) -> Option<Ipv6Addr> {
    let offset = u128::from(host.0);
    let last = u128::from(pool.broadcast());
    let address = u128::from(pool.network()).checked_add(offset)?;
    (offset != 0 && address <= last).then(|| Ipv6Addr::from(address))
}

/// Returns the length of the longest prefix an IPv4 pool may have to hold a host id's address.
pub fn pool_prefix_len_needed_ipv4(host: HostId) -> u8 {
    prefix_len_for(u64::from(host.0) + 2)
}

/// Returns the length of the longest prefix an IPv6 pool may have to hold a host id's address.
pub fn pool_prefix_len_needed_ipv6(host: HostId) -> u8 {
    prefix_len_for(u64::from(host.0) + 1) + 96
}

fn ipv4_size(pool: Ipv4Net) -> u64 {
    1 << (32 - u32::from(pool.prefix_len().min(32)))
}

/// Returns the length of the longest IPv4 prefix that holds so many addresses.
fn prefix_len_for(addresses: u64) -> u8 {
    let bits = addresses.next_power_of_two().trailing_zeros();
    u8::try_from(32_u32.saturating_sub(bits)).unwrap_or_default()
}

/// Returns a router's Router ID: its host id.
pub fn router_id(host: HostId) -> RouterId {
    RouterId(host.0.into())
}

/// Returns the host id that a Router ID stands for, if it is one.
pub fn host_id(router: RouterId) -> Option<HostId> {
    u16::try_from(router.0).ok().filter(|&id| id != 0).map(HostId)
}

/// Returns the Interface ID of a link: the neighbor's host id unless it is configured, so that it stays the same over restarts.
pub fn link_interface_id(link: &LinkConfig) -> InterfaceId {
    InterfaceId(link.interface_id.unwrap_or(link.host_id.0).into())
}

/// Returns the Interface ID of the LAN at that place of the configuration, counted from 0.
pub fn lan_interface_id(index: usize) -> InterfaceId {
    let number = u32::try_from(index).unwrap_or(u32::MAX);
    InterfaceId(LOOPBACK_INTERFACE_ID.0.saturating_add(1).saturating_add(number))
}

/// Returns the name of the link's device to a neighbor.
pub fn link_device(neighbor: HostId) -> Option<LinkName> {
    LinkName::new(&format!("{LINK_DEVICE_PREFIX}{neighbor}")).ok()
}

/// Returns the MAC address of a link's device at the end of `own`; locally administered, unicast.
pub fn link_mac(own: HostId, neighbor: HostId) -> MacAddress {
    let [own_high, own_low] = own.0.to_be_bytes();
    let [neighbor_high, neighbor_low] = neighbor.0.to_be_bytes();
    MacAddress([0x02, 0xd1, own_high, own_low, neighbor_high, neighbor_low])
}

/// Returns the link-local address of a link's device at the end of `own`.
pub fn link_local(own: HostId, neighbor: HostId) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, own.0, neighbor.0)
}
