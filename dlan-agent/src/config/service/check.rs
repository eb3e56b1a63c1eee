//! Looks at what must fit together in services, and between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::problem::ServiceProblem;
use super::{Balance, HealthKind, Listen, ProxyProtocol, Transport, schema};
use crate::config::error::ConfigError;
use crate::config::parse::listen_port;
use crate::config::schema::{TypedOption, mesh};
use crate::config::view::{View, Views};

/// The UDP ports of BFD, which every link needs.
const BFD_PORTS: [u16; 3] = [3784, 3785, 4784];

/// The longest name of a service: nginx's own names are made from it.
const NAME_MAX: usize = 63;

/// Notes everything that does not fit together, as far as the values can be read.
pub(in crate::config) fn check(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    for view in &views.services {
        if view.section.name.as_ref().is_some_and(|name| name.len() > NAME_MAX) {
            errors.push(view.section_error(ServiceProblem::LongName.into()));
        }
        check_protocol(view, errors);
        check_health(view, errors);
        check_upstreams(view, errors);
        check_listen(view, errors);
        check_own_ports(view, views, errors);
    }
    check_shared(&views.services, errors);
}

/// Returns the values of a list that can be read, each with its line.
fn items<T>(view: &View<'_>, option: &TypedOption<T>) -> Vec<(T, usize)> {
    let entries = view.entries(option.schema.name);
    entries.filter_map(|entry| Some((option.decode(&entry.value).ok()?, entry.line))).collect()
}

fn refuse<T>(view: &View<'_>, option: &TypedOption<T>, problem: ServiceProblem) -> ConfigError {
    view.error(option, problem.into())
}

fn check_protocol(view: &View<'_>, errors: &mut Vec<ConfigError>) {
    if view.value(&schema::PROTOCOL) != Some(Transport::Udp) {
        return;
    }
    if let Some(version) = view.value(&schema::PROXY_PROTOCOL).filter(|it| *it != ProxyProtocol::None) {
        let problem = ServiceProblem::ProxyProtocolOfUdp { version };
        errors.push(refuse(view, &schema::PROXY_PROTOCOL, problem));
    }
    if view.has(&schema::SNI) {
        errors.push(refuse(view, &schema::SNI, ServiceProblem::NamesOfUdp));
    }
}

fn check_health(view: &View<'_>, errors: &mut Vec<ConfigError>) {
    let (Some(health), Some(protocol)) = (view.value(&schema::HEALTH), view.value(&schema::PROTOCOL)) else {
        return;
    };
    let of_other = |health, asks, instead| ServiceProblem::HealthOfOther { health, asks, protocol, instead };
    let problem = match (health, protocol) {
        (HealthKind::Connect, Transport::Udp) => Some(of_other("connect", "tcp", "ask with health 'udp'")),
        (HealthKind::Tls, Transport::Udp) => Some(of_other("tls", "tcp", "ask with health 'udp'")),
        (HealthKind::Udp, Transport::Tcp) => {
            Some(of_other("udp", "udp", "ask with health 'connect' or 'tls'"))
        }
        (HealthKind::Udp, _) if !view.has(&schema::HEALTH_SEND) => Some(ServiceProblem::ProbeWithoutPacket),
        _ => None,
    };
    errors.extend(problem.map(|problem| refuse(view, &schema::HEALTH, problem)));
    if health != HealthKind::Udp {
        let probes = [&schema::HEALTH_SEND, &schema::HEALTH_EXPECT];
        let written = probes.into_iter().filter(|option| view.has(option));
        errors.extend(written.map(|it| refuse(view, it, ServiceProblem::WithoutUdpHealth)));
    }
}

fn check_upstreams(view: &View<'_>, errors: &mut Vec<ConfigError>) {
    let upstreams = items(view, &schema::UPSTREAM);
    let name = schema::UPSTREAM.schema.name;
    for (index, (upstream, line)) in upstreams.iter().enumerate() {
        let twin = upstreams.iter().take(index).find(|(other, _)| other.endpoint == upstream.endpoint);
        if let Some((_, first)) = twin {
            errors.push(view.error_at(*line, name, ServiceProblem::Twice { first: *first }.into()));
        }
        if upstream.is_backup && view.value(&schema::BALANCE) == Some(Balance::Hash) {
            errors.push(view.error_at(*line, name, ServiceProblem::BackupWithHash.into()));
        }
    }
    let is_ordinary = upstreams.iter().any(|(upstream, _)| !upstream.is_backup && !upstream.is_down);
    let is_whole = upstreams.len() == view.entries(name).count();
    if let (false, true, Some((_, line))) = (is_ordinary, is_whole, upstreams.first()) {
        errors.push(view.error_at(*line, name, ServiceProblem::OnlyBackups.into()));
    }
}

fn check_listen(view: &View<'_>, errors: &mut Vec<ConfigError>) {
    let mut seen: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for (listen, line) in items(view, &schema::LISTEN) {
        let first = listen.sockets().iter().find_map(|socket| seen.get(socket).copied());
        if let Some(first) = first {
            let problem = ServiceProblem::Twice { first };
            errors.push(view.error_at(line, schema::LISTEN.schema.name, problem.into()));
        }
        seen.extend(listen.sockets().into_iter().map(|socket| (socket, line)));
    }
}

/// Notes UDP services on a port without which the router has no links.
fn check_own_ports(view: &View<'_>, views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    if view.value(&schema::PROTOCOL) != Some(Transport::Udp) {
        return;
    }
    let vxlan = views.mesh.as_ref().and_then(|mesh| mesh.value(&mesh::VXLAN_PORT));
    for (Listen { port, .. }, line) in items(view, &schema::LISTEN) {
        let what = if port == listen_port(views) {
            "WireGuard's, listen_port"
        } else if Some(port) == vxlan {
            "VXLAN's, vxlan_port"
        } else if BFD_PORTS.contains(&port) {
            "BFD's"
        } else {
            continue;
        };
        let problem = ServiceProblem::OwnPort { port, what };
        errors.push(view.error_at(line, schema::LISTEN.schema.name, problem.into()));
    }
}

/// A service on an address.
struct Taken<'a, 'b> {
    view: &'b View<'a>,
    listen: Listen,
    line: usize,
}

/// Notes services on one address that cannot share it; each is told with the first that is there.
fn check_shared(services: &[View<'_>], errors: &mut Vec<ConfigError>) {
    let mut taken: BTreeMap<(Transport, SocketAddr), Vec<Taken<'_, '_>>> = BTreeMap::new();
    for view in services {
        let Some(transport) = view.value(&schema::PROTOCOL) else { continue };
        let mut told = Vec::new();
        for (listen, line) in items(view, &schema::LISTEN) {
            for socket in listen.sockets() {
                let others = taken.entry((transport, socket)).or_default();
                if others.iter().any(|other| std::ptr::eq(other.view, view)) {
                    continue;
                }
                for other in others.iter() {
                    if told.iter().any(|told| std::ptr::eq(*told, other.view)) {
                        continue;
                    }
                    let before = errors.len();
                    check_pair((view, listen, line), other, transport, errors);
                    if errors.len() > before {
                        told.push(other.view);
                    }
                }
                others.push(Taken { view, listen, line });
            }
        }
    }
}

/// Notes why two services cannot share an address.
fn check_pair(
    (view, listen, line): (&View<'_>, Listen, usize),
    other: &Taken<'_, '_>,
    transport: Transport,
    errors: &mut Vec<ConfigError>,
) {
    let are_told_apart =
        transport == Transport::Tcp && (view.has(&schema::SNI) || other.view.has(&schema::SNI));
    if !are_told_apart {
        let listen = other.listen.to_string();
        let problem =
            ServiceProblem::SharedListen { listen, transport, other: other.view.title(), line: other.line };
        errors.push(view.error_at(line, schema::LISTEN.schema.name, problem.into()));
        return;
    }
    let theirs = items(other.view, &schema::SNI);
    for (name, line) in items(view, &schema::SNI) {
        if let Some((_, first)) = theirs.iter().find(|(theirs, _)| *theirs == name) {
            let problem = ServiceProblem::SharedName {
                name: name.to_string(),
                listen: listen.to_string(),
                other: other.view.title(),
                line: *first,
            };
            errors.push(view.error_at(line, schema::SNI.schema.name, problem.into()));
        }
    }
    let shared = |problem: Option<(&'static str, String, String)>| {
        problem.map(|(option, value, other_value)| ServiceProblem::SharedOption {
            option,
            value,
            other_value,
            other: other.view.title(),
            line: other.view.entry(option).map_or(other.view.section.line, |entry| entry.line),
            listen: listen.to_string(),
        })
    };
    let proxy = differing(view, other.view, &schema::PROXY_PROTOCOL, ToString::to_string);
    errors.extend(shared(proxy).map(|problem| refuse(view, &schema::PROXY_PROTOCOL, problem)));
    for option in [&schema::CONNECT_TIMEOUT, &schema::IDLE_TIMEOUT] {
        let differs = differing(view, other.view, option, |timeout| timeout.as_secs().to_string());
        errors.extend(shared(differs).map(|problem| refuse(view, option, problem)));
    }
    for option in [&schema::CONNECTIONS, &schema::CONNECTIONS_PER_SOURCE] {
        let (own, theirs) = (limit(view, option), limit(other.view, option));
        let differs = (own != theirs).then_some((option.schema.name, own, theirs));
        errors.extend(shared(differs).map(|problem| refuse(view, option, problem)));
    }
}

/// Returns a limit in words.
fn limit(view: &View<'_>, option: &TypedOption<u32>) -> String {
    view.value(option).map_or("no limit".to_owned(), |limit| limit.to_string())
}

/// Returns an option's name and its two values, where they differ.
fn differing<T: PartialEq>(
    view: &View<'_>,
    other: &View<'_>,
    option: &TypedOption<T>,
    show: impl Fn(&T) -> String,
) -> Option<(&'static str, String, String)> {
    let (own, theirs) = (view.value(option)?, other.value(option)?);
    (own != theirs).then(|| (option.schema.name, show(&own), show(&theirs)))
}
