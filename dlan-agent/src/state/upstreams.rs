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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    #[test]
    fn each_address_is_used_once_and_none_of_an_upstream_that_is_left_out_or_does_not_work() {
        let text = "config mesh\n option host_id 1\nconfig wan\n option device eth0\nconfig service web\n list listen '*:80'\n\
            list upstream '10.2.0.2:80'\n list upstream 'nas:80'\n list upstream '10.2.0.3:80 down'\n list upstream 'nobody:80'\n";
        let config = parse(Source { file: "dlan", text, hostname: "r1" }).unwrap().config;
        let addresses = ["10.2.0.2", "10.2.0.4", "10.2.0.5"].map(|text| text.parse().unwrap());
        let facts = UpstreamFacts {
            names: BTreeMap::from([("nas".to_owned(), addresses.into())]),
            down: [("web", "10.2.0.5:80"), ("other", "10.2.0.2:80")]
                .map(|(service, at)| (service.to_owned(), at.parse().unwrap()))
                .into(),
            is_settled: true,
        };
        let usable = facts.usable(&config.services[0]).into_iter();
        let usable: Vec<_> =
            usable.map(|(upstream, at)| (upstream.endpoint.host.as_str(), at.to_string())).collect();
        assert_eq!(usable, [("10.2.0.2", "10.2.0.2:80".to_owned()), ("nas", "10.2.0.4:80".to_owned())]);
    }
}
