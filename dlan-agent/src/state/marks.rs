//! How dlan's own things are told from everybody else's.

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use vxlan::link::LinkName;

use crate::config::MeshConfig;

/// The numbers and names by which `observe` recognises what is ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Marks {
    /// The kernel routing table.
    pub route_table: u32,
    /// The protocol number of routes, rules and addresses.
    pub route_protocol: u8,
    /// The pools whose addresses on `lo` are this mesh's identities.
    pub loopback_ipv4: Ipv4Net,
    /// The same for IPv6.
    pub loopback_ipv6: Ipv6Net,
    /// The WireGuard device.
    pub wg_device: LinkName,
}

impl Marks {
    /// Takes the marks from the configuration.
    pub fn of(mesh: &MeshConfig) -> Self {
        Self {
            route_table: mesh.route_table,
            route_protocol: mesh.route_protocol,
            loopback_ipv4: mesh.loopback_ipv4,
            loopback_ipv6: mesh.loopback_ipv6,
            wg_device: mesh.wg_device.clone(),
        }
    }
}
