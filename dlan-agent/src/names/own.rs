//! What follows for names from this router's configuration: what it tells the mesh, what its server goes by, where it listens; pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::announcement::Announcement;
use super::asking;
use super::domain::DomainName;
use super::record::{Record, RecordData};
use super::resolver::{Service, Settings};
use super::server::Places;
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

/// Returns whether another program answers for this router's own zone, at its identity: dlan's dnsmasq, OpenWrt's, or one of
/// the operator's, who has delegated the zone.
pub fn has_zone_server(config: &Config, facts: &Facts) -> bool {
    let zone = zone(&config.mesh);
    config.lans.iter().any(|lan| lan.dhcp.is_served())
        || facts.is_openwrt()
        || config.delegates.iter().any(|delegate| delegate.zone.is_some() && delegate.zone == zone)
}

/// Returns what the name server goes by, but for the prefixes that the mesh has routes to.
pub fn settings(config: &Config, facts: &Facts) -> Settings {
    let (mesh, names) = (&config.mesh, &config.names);
    let ipv4 = [mesh.loopback_ipv4, mesh.wg_ipv4].into_iter().chain(mesh.link_pool_ipv4).map(IpNet::V4);
    let ipv6 = [mesh.loopback_ipv6, mesh.wg_ipv6].map(IpNet::V6);
    let upstreams = match names.upstreams.as_slice() {
        // This router asks others: one that asked itself would ask in a circle.
        [] => facts.resolvers.iter().copied().filter(|server| !is_own(config, facts, *server)).collect(),
        written => written.to_vec(),
    };
    Settings {
        own: mesh.host_id,
        has_zone_server: has_zone_server(config, facts),
        stale_time: names.stale_time,
        cache: names.cache.into(),
        rate: names.rate,
        dns64_prefix: names.dns64_prefix,
        upstreams,
        clients: ipv4.chain(ipv6).chain(crate::desired::lan_prefixes(config, facts)).collect(),
    }
}

fn is_own(config: &Config, facts: &Facts, address: IpAddr) -> bool {
    let lans = config.lans.iter().flat_map(|lan| facts.lan_prefixes(lan));
    identity(&config.mesh).contains(&address) || lans.into_iter().any(|(own, _)| own == address)
}

/// Returns where the name server is asked: by this router's own programs; by the mesh at the identity, unless another program
/// answers there; by hosts of LANs with DNS64.
pub fn places(config: &Config, facts: &Facts) -> Places {
    let port = config.names.port;
    let local = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let mut places: Places = local.map(|address| (SocketAddr::new(address, port), Service::Mesh)).into();
    if !has_zone_server(config, facts) {
        let at = |address| (SocketAddr::new(address, asking::PORT), Service::Mesh);
        places.extend(identity(&config.mesh).into_iter().map(at));
    }
    for lan in config.lans.iter().filter(|lan| lan.dns64) {
        let at = |(address, _)| (SocketAddr::new(address, port), Service::Dns64);
        places.extend(facts.lan_prefixes(lan).into_iter().map(at));
    }
    places
}
