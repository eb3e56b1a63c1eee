//! What the configuration does not say and the router does: devices found, addresses on them, secrets read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use ospf_lite::config::AuthenticationKey;
use vxlan::key::{PresharedKey, PrivateKey};
use vxlan::link::LinkName;

use super::nginx::NginxFacts;
use super::uci::UciFacts;
use super::upstreams::UpstreamFacts;
use crate::config::{HostId, LanConfig};
use crate::names::domain::DomainName;

/// What was found on this router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// This router's key.
    pub private_key: PrivateKey,
    /// The links' pre-shared keys, by neighbor.
    pub link_psks: BTreeMap<HostId, PresharedKey>,
    /// The secrets of routing packets, by SA ID.
    pub ospf_secrets: BTreeMap<u16, AuthenticationKey>,
    /// The WANs, by section name.
    pub wans: BTreeMap<String, WanFacts>,
    /// The LANs, by section name.
    pub lans: BTreeMap<String, LanFacts>,
    /// Where the neighbors were last found, by name resolution.
    pub endpoints: BTreeMap<HostId, SocketAddr>,
    /// Which WireGuard there is.
    pub wireguard: WireGuardKind,
    /// This router's own addresses that can be listened on, whoever set them.
    pub addresses: BTreeSet<IpAddr>,
    /// The nginx that is installed, where services are configured.
    pub nginx: Option<NginxFacts>,
    /// What is known of the upstreams of services.
    pub upstreams: UpstreamFacts,
    /// The names outside the mesh's domain of which routers have records; `None` before the databases are known.
    pub foreign_names: Option<BTreeSet<DomainName>>,
    /// The name servers of the rest of the world, as the system knows them.
    pub resolvers: Vec<IpAddr>,
    /// Where the dnsmasq is that is installed.
    pub dnsmasq: Option<PathBuf>,
    /// Whether the kernel has groups of next hops that can have standbys.
    pub has_standbys: bool,
    /// Where the tayga is that is installed.
    pub tayga: Option<PathBuf>,
    /// What OpenWrt's own configuration says of LANs, where the system is OpenWrt, which gives hosts their addresses itself.
    pub uci: Option<UciFacts>,
}

/// A WAN's device as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WanFacts {
    /// The device; `None` while OpenWrt's network has none (not connected).
    pub device: Option<LinkName>,
    /// Whether the device's IPv6 configuration comes by router advertisements that the kernel reads.
    pub lives_by_ra: bool,
    /// The prefixes on the device, host bits zero.
    pub prefixes: BTreeSet<IpNet>,
}

/// A LAN's device as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanFacts {
    /// The device.
    pub device: LinkName,
    /// Whether it exists.
    pub exists: bool,
    /// The addresses on it that dlan did not set, with their prefix lengths.
    pub addresses: BTreeSet<IpNet>,
}

/// Which WireGuard serves the device: the one that it was made with, whatever has come to the kernel since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireGuardKind {
    /// The kernel's.
    Kernel,
    /// The embedded one, in a process of its own.
    Embedded,
}

/// What was found of the sides of the router.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// The WANs, by section name.
    pub wans: &'a BTreeMap<String, WanFacts>,
    /// The LANs, by section name.
    pub lans: &'a BTreeMap<String, LanFacts>,
}

impl Facts {
    /// Returns whether the system is OpenWrt.
    pub fn is_openwrt(&self) -> bool {
        self.uci.is_some()
    }

    /// Returns what was found of the router's sides.
    pub const fn sides(&self) -> Sides<'_> {
        Sides { wans: &self.wans, lans: &self.lans }
    }

    /// Returns a LAN's own addresses with their prefixes: those the configuration sets, else the private ones found.
    pub fn lan_prefixes(&self, lan: &LanConfig) -> Vec<(IpAddr, IpNet)> {
        self.sides().lan_prefixes(lan)
    }
}

impl Sides<'_> {
    /// Returns a LAN's own addresses with their prefixes: those the configuration sets, else the private ones found.
    pub fn lan_prefixes(&self, lan: &LanConfig) -> Vec<(IpAddr, IpNet)> {
        let found = self.lans.get(&lan.name).filter(|found| found.exists);
        let set_ipv4 = lan.ipv4.and_then(|own| Ipv4Net::new(own.address, own.prefix_len).ok()).map(IpNet::V4);
        let set_ipv6 = lan.ipv6.and_then(|own| Ipv6Net::new(own.address, own.prefix_len).ok()).map(IpNet::V6);
        let mut own: Vec<IpNet> = set_ipv4.into_iter().chain(set_ipv6).collect();
        for address in found.iter().flat_map(|found| &found.addresses) {
            let is_set = match address {
                IpNet::V4(_) => set_ipv4.is_some(),
                IpNet::V6(_) => set_ipv6.is_some(),
            };
            if !is_set && is_private(address) {
                own.push(*address);
            }
        }
        own.into_iter().map(|own| (own.addr(), own.trunc())).collect()
    }
}

/// Returns whether a prefix is nobody's on the internet: RFC 1918, RFC 6598 and RFC 4193.
pub fn is_private(prefix: &IpNet) -> bool {
    match prefix {
        IpNet::V4(net) => {
            let [a, b, ..] = net.network().octets();
            let (length, second) = (net.prefix_len(), u16::from(b));
            (a == 10 && length >= 8)
                || (a == 172 && (16..32).contains(&second) && length >= 12)
                || (a == 192 && b == 168 && length >= 16)
                || (a == 100 && (64..128).contains(&second) && length >= 10)
        }
        IpNet::V6(net) => {
            net.prefix_len() >= 7 && net.network().octets().first().is_some_and(|first| first & 0xfe == 0xfc)
        }
    }
}
