//! What is known of the upstreams of services: the addresses of names, and which do not work.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::config::service::{ServiceConfig, Upstream};

/// What is known of the upstreams of services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamFacts {
    /// The addresses of names: none for one that does not resolve, no entry for one that nobody has answered for yet.
    pub names: BTreeMap<String, BTreeSet<IpAddr>>,
    /// The addresses that a service's health check found not working.
    pub down: BTreeSet<(String, SocketAddr)>,
    /// Whether everything was asked for once: before that an agent that has just started leaves things as they are.
    pub is_settled: bool,
}

impl UpstreamFacts {
    /// Returns the addresses of an upstream, whether they work or not.
    pub fn addresses(&self, upstream: &Upstream) -> Vec<SocketAddr> {
        let (host, port) = (&upstream.endpoint.host, upstream.endpoint.port);
        match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let addresses = self.names.get(host).into_iter().flatten();
                addresses.map(|address| SocketAddr::new(*address, port)).collect()
            }
        }
    }

    /// Returns where clients of a service can be passed on to, each address once.
    pub fn usable<'a>(&self, service: &'a ServiceConfig) -> Vec<(&'a Upstream, SocketAddr)> {
        let mut seen = BTreeSet::new();
        let upstreams = service.upstreams.iter().filter(|upstream| !upstream.is_down);
        let addresses = upstreams.flat_map(|upstream| {
            self.addresses(upstream).into_iter().map(move |address| (upstream, address))
        });
        addresses
            .filter(|(_, address)| !self.down.contains(&(service.name.clone(), *address)))
            .filter(|(_, address)| seen.insert(*address))
            .collect()
    }
}
