//! A link device as a value: one type for the wanted and the seen device.

use std::collections::BTreeSet;

use ipnet::IpNet;

pub use crate::name::{BadLinkName, LinkName};
use crate::vtep::VxlanLink;
use crate::wireguard::WireGuardLink;

/// A device of ours: what makes it what it is, whether wanted or seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The device's name.
    pub name: LinkName,
    /// The device's ifalias, never empty: a device of ours without one is not taken for ours (see `netlink`). A
    /// WireGuard device is called `dlan`, a VXLAN device like its neighbor.
    pub alias: String,
    /// The largest packet it carries, in octets.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Its addresses with their prefix lengths, link-local ones included.
    pub addresses: BTreeSet<IpNet>,
    /// What kind of device it is.
    pub kind: LinkKind,
}

/// What kind of device a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A WireGuard device, the kernel's or the embedded one.
    WireGuard(WireGuardLink),
    /// A point-to-point VXLAN device.
    Vxlan(VxlanLink),
}

impl Link {
    /// Returns what it is as a WireGuard device, if it is one.
    pub fn wireguard(&self) -> Option<&WireGuardLink> {
        match &self.kind {
            LinkKind::WireGuard(wireguard) => Some(wireguard),
            LinkKind::Vxlan(_) => None,
        }
    }

    /// Returns what it is as a VXLAN device, if it is one.
    pub fn vxlan(&self) -> Option<&VxlanLink> {
        match &self.kind {
            LinkKind::WireGuard(_) => None,
            LinkKind::Vxlan(vxlan) => Some(vxlan),
        }
    }
}
