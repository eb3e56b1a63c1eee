//! What this router tells the mesh about names; pure.

use std::net::IpAddr;

use super::announcement::Announcement;
use super::domain::DomainName;
use super::record::{Record, RecordData};
use crate::addressing;
use crate::config::{Config, MeshConfig};
use crate::state::facts::Facts;

/// Returns this router's zone: its name in the mesh's domain.
pub fn zone(mesh: &MeshConfig) -> Option<DomainName> {
    domain(mesh)?.child(&mesh.name).ok()
}

/// Returns the mesh's domain.
pub fn domain(mesh: &MeshConfig) -> Option<DomainName> {
    mesh.domain.parse().ok()
}

/// Returns this router's identity, IPv6 first.
pub fn identity(mesh: &MeshConfig) -> Vec<IpAddr> {
    let own = addressing::loopback(mesh, mesh.host_id);
    own.map(|own| vec![own.ipv6.into(), own.ipv4.into()]).unwrap_or_default()
}

/// Returns the announcement: its zone with its own name's addresses, its LANs' reverse zones, where it is asked about them,
/// and the records of the configuration.
pub fn announcement(config: &Config, facts: &Facts) -> Announcement {
    let mesh = &config.mesh;
    let zone = zone(mesh);
    let of_identity = |address| Some(Record { name: zone.clone()?, data: RecordData::address(address) });
    let identity = identity(mesh);
    Announcement {
        records: identity
            .iter()
            .filter_map(|address| of_identity(*address))
            .chain(config.records.clone())
            .collect(),
        reverse: crate::desired::lan_prefixes(config, facts),
        servers: identity.into_iter().collect(),
        zones: zone.into_iter().collect(),
    }
}
