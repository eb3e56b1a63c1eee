//! Puts what is known of services into the report that is shown: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::Services;
use super::health::Verdict;
use crate::config::Config;
use crate::config::service::{Listen, Opening, ServiceConfig, Upstream};
use crate::control::service_report::{
    ListenReport, ListenState, ServiceReport, ServicesReport, Traffic, UpstreamReport, UpstreamState,
};
use crate::render::nftables::counters::{ServiceCount, of_service};
use crate::render::nginx::{Router, Unexposed, unexposed};
use crate::state::State;
use crate::state::facts::Facts;
use crate::state::nginx::{NginxFacts, PROXY_VERSION_2, StreamModule};
use crate::state::program::ProgramName;
use crate::state::ruleset::Counted;

/// Returns the report.
pub fn report(
    config: &Config,
    facts: Option<&Facts>,
    known: Option<&State>,
    services: &Services,
) -> ServicesReport {
    if config.services.is_empty() {
        return ServicesReport::default();
    }
    let nginx = facts.and_then(|facts| facts.nginx.as_ref());
    let nginx = nginx.filter(|nginx| nginx.stream != StreamModule::Missing);
    let program = known.and_then(|known| known.programs.get(&ProgramName::Nginx));
    let running = program.is_some_and(|program| program.is_running);
    let mut addresses = facts.map(|facts| facts.addresses.clone()).unwrap_or_default();
    addresses.extend(known.iter().flat_map(|known| &known.addresses).map(|own| own.address.addr()));
    let of = |service| service_report(service, (nginx, running), &addresses, services);
    ServicesReport {
        nginx: nginx.map(|nginx| nginx.version.to_string()),
        running,
        reloads: 0,
        services: config.services.iter().map(of).collect(),
    }
}

/// Puts in what the filter has counted.
pub fn add_counts(report: &mut ServicesReport, config: &Config, counts: &BTreeMap<String, Counted>) {
    for service in &mut report.services {
        let Some(transport) =
            config.services.iter().find(|it| it.name == service.name).map(|service| service.protocol)
        else {
            continue;
        };
        for listen in &mut service.listen {
            let opening = Opening { transport, socket: listen.socket };
            let counted = |what| counts.get(&of_service(&opening, what)).copied();
            let traffic = |received: Counted| Traffic {
                connections: counted(ServiceCount::Begun).map(|begun| begun.packets),
                received: received.octets,
                sent: counted(ServiceCount::Sent).unwrap_or_default().octets,
            };
            listen.traffic = counted(ServiceCount::Received).map(traffic);
        }
    }
}

fn service_report(
    service: &ServiceConfig,
    (nginx, is_running): (Option<&NginxFacts>, bool),
    addresses: &BTreeSet<IpAddr>,
    services: &Services,
) -> ServiceReport {
    let upstreams = services.facts();
    let reasons = nginx.map(|nginx| unexposed(service, Router { nginx, addresses, upstreams: &upstreams }));
    let state = |socket: &SocketAddr| match &reasons {
        None => ListenState::Closed,
        Some(reasons) if reasons.contains(&Unexposed::NotOurs(*socket)) => ListenState::NotHere,
        Some(reasons)
            if [Unexposed::NoUpstream, Unexposed::ProxyVersion].iter().any(|it| reasons.contains(it)) =>
        {
            ListenState::Closed
        }
        Some(_) if !is_running => ListenState::Closed,
        Some(_) => ListenState::Open,
    };
    let sockets: BTreeSet<SocketAddr> = service.listen.iter().flat_map(Listen::sockets).collect();
    let lacks_version = reasons.as_ref().is_some_and(|reasons| reasons.contains(&Unexposed::ProxyVersion));
    let lacks = nginx.filter(|_| lacks_version).map(|nginx| {
        format!(
            "version 2 of the PROXY protocol needs nginx {PROXY_VERSION_2}, and this is {}",
            nginx.version
        )
    });
    ServiceReport {
        name: service.name.clone(),
        protocol: service.protocol.to_string(),
        listen: sockets
            .iter()
            .map(|socket| ListenReport { socket: *socket, state: state(socket), traffic: None })
            .collect(),
        server_names: service.server_names.iter().map(ToString::to_string).collect(),
        upstreams: service.upstreams.iter().flat_map(|it| upstream_reports(service, it, services)).collect(),
        lacks,
    }
}

fn upstream_reports(
    service: &ServiceConfig,
    upstream: &Upstream,
    services: &Services,
) -> Vec<UpstreamReport> {
    let name_error = services.name_error(&upstream.endpoint.host).map(str::to_owned);
    let of = |address: Option<SocketAddr>, state, why: Option<String>| UpstreamReport {
        upstream: upstream.endpoint.to_string(),
        address,
        state,
        why,
        backup: upstream.is_backup,
    };
    if upstream.is_down {
        return vec![of(None, UpstreamState::LeftOut, None)];
    }
    let addresses = services.facts().addresses(upstream);
    if addresses.is_empty() {
        let why = name_error.unwrap_or_else(|| "its name was not answered for yet".to_owned());
        return vec![of(None, UpstreamState::Unresolved, Some(why))];
    }
    let report = |address: SocketAddr| {
        let (state, why) = match services.health().verdict(&(service.name.clone(), address)) {
            Some((Verdict::Up, _)) => (UpstreamState::Up, None),
            Some((Verdict::Down, why)) => (UpstreamState::Down, why.map(str::to_owned)),
            Some((Verdict::Untried, _)) | None => (UpstreamState::Unchecked, None),
        };
        of(Some(address), state, why.or_else(|| name_error.clone()))
    };
    addresses.into_iter().map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    #[test]
    fn what_the_filter_has_counted_is_put_to_its_socket() {
        let text = "config mesh\n option host_id 1\nconfig wan\n option device eth0\n\
            config service web\n list listen '*:443'\n list upstream '10.2.0.2:1'\n\
            config service dns\n option protocol udp\n list listen '[2001:db8::4]:53'\n list upstream '10.2.0.2:53'\n";
        let config = parse(Source { file: "dlan", text, hostname: "r1" }).unwrap().config;
        let counted = |name: &str, packets, octets| (format!("service_{name}"), Counted { packets, octets });
        let counts = BTreeMap::from([
            counted("tcp_0.0.0.0_443_begun", 3, 180),
            counted("tcp_0.0.0.0_443_received", 20, 2_000),
            counted("tcp_0.0.0.0_443_sent", 30, 30_000),
            counted("udp_2001_db8__4_53_received", 2, 120),
            counted("udp_2001_db8__4_53_sent", 1, 200),
        ]);
        let mut found = report(&config, None, None, &Services::default());
        add_counts(&mut found, &config, &counts);
        let traffic: Vec<_> =
            found.services.iter().flat_map(|service| &service.listen).map(|listen| listen.traffic).collect();
        let of = |connections, received, sent| Some(Traffic { connections, received, sent });
        assert_eq!(traffic, [of(Some(3), 2_000, 30_000), None, of(None, 120, 200)]);
    }
}
