//! What a firewall of the system's own must let in from WANs: WireGuard and what services listen on; pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::service::{self, Transport};
use crate::config::{Config, DeviceSource};

/// What is to be let in, and where from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Openings {
    /// The WANs that are networks of OpenWrt.
    pub networks: BTreeSet<String>,
    /// The WANs that are devices.
    pub devices: BTreeSet<String>,
    /// What is let in from each of them.
    pub openings: Vec<PortsOpening>,
}

/// Ports that are alike in everything else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortsOpening {
    /// For whom.
    pub purpose: Purpose,
    /// TCP or UDP.
    pub protocol: Transport,
    /// For which address family.
    pub family: OpeningFamily,
    /// Towards which address of this router; none stands for all.
    pub address: Option<IpAddr>,
    /// The ports.
    pub ports: BTreeSet<u16>,
}

/// For whom something is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// The links.
    WireGuard,
    /// A service.
    Service,
}

/// The address families that something is let in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpeningFamily {
    /// Both.
    Any,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Openings {
    /// Returns what a configuration needs.
    pub fn of(config: &Config) -> Self {
        let (mut networks, mut devices) = (BTreeSet::new(), BTreeSet::new());
        for wan in &config.wans {
            match &wan.source {
                DeviceSource::Interface(network) => networks.insert(network.clone()),
                DeviceSource::Device(device) => devices.insert(device.to_string()),
            };
        }
        let wireguard = config.wans.first().map(|wan| PortsOpening {
            purpose: Purpose::WireGuard,
            protocol: Transport::Udp,
            family: OpeningFamily::Any,
            address: None,
            ports: BTreeSet::from([wan.listen_port]),
        });
        let services = services(config).filter(|_| !config.wans.is_empty());
        Self { networks, devices, openings: wireguard.into_iter().chain(services).collect() }
    }
}

fn services(config: &Config) -> impl Iterator<Item = PortsOpening> {
    // Of each port towards each address, or all: the families.
    let mut sockets: BTreeMap<(Transport, Option<IpAddr>, u16), BTreeSet<OpeningFamily>> = BTreeMap::new();
    for opening in service::openings(config) {
        let address = Some(opening.socket.ip()).filter(|address| !address.is_unspecified());
        let family = if opening.socket.is_ipv4() { OpeningFamily::Ipv4 } else { OpeningFamily::Ipv6 };
        sockets.entry((opening.transport, address, opening.socket.port())).or_default().insert(family);
    }
    let mut ports: BTreeMap<_, BTreeSet<u16>> = BTreeMap::new();
    for ((protocol, address, port), families) in sockets {
        let family = match families.first() {
            Some(family) if families.len() == 1 => *family,
            _ => OpeningFamily::Any,
        };
        ports.entry((protocol, family, address)).or_default().insert(port);
    }
    let opening = |((protocol, family, address), ports)| PortsOpening {
        purpose: Purpose::Service,
        protocol,
        family,
        address,
        ports,
    };
    ports.into_iter().map(opening)
}

/// A line for each WAN and each opening, in words that a shell reads without care: none is empty, and ports come last.
impl fmt::Display for Openings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.networks.iter().try_for_each(|network| writeln!(f, "network {network}"))?;
        self.devices.iter().try_for_each(|device| writeln!(f, "device {device}"))?;
        for opening in &self.openings {
            let purpose = match opening.purpose {
                Purpose::WireGuard => "wireguard",
                Purpose::Service => "service",
            };
            let family = match opening.family {
                OpeningFamily::Any => "any",
                OpeningFamily::Ipv4 => "ipv4",
                OpeningFamily::Ipv6 => "ipv6",
            };
            let address = opening.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
            write!(f, "{purpose} {} {family} {address}", opening.protocol)?;
            opening.ports.iter().try_for_each(|port| write!(f, " {port}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}
