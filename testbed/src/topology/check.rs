//! What a topology file must not say: every contradiction, found before anything is built.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{RouterKind, Topology};

/// How long the name of a lab may be.
const LAB_NAME_MAX: usize = 32;

/// Returns every contradiction in a topology, each a sentence.
pub(super) fn problems(topology: &Topology) -> Vec<String> {
    let mut problems = Vec::new();
    check_names(topology, &mut problems);
    check_routers(topology, &mut problems);
    check_hosts(topology, &mut problems);
    check_links(topology, &mut problems);
    check_prefixes(topology, &mut problems);
    if topology.mesh.hello_interval == 0 || topology.mesh.dead_interval <= topology.mesh.hello_interval {
        problems.push(format!(
            "mesh: dead_interval {} must be above hello_interval {}, which must be at least 1",
            topology.mesh.dead_interval, topology.mesh.hello_interval
        ));
    }
    problems
}

fn check_names(topology: &Topology, problems: &mut Vec<String>) {
    let mut seen = BTreeMap::from([("internet", "the internet")]);
    let names = topology
        .homes
        .iter()
        .map(|home| (home.name.as_str(), "a home"))
        .chain(topology.strangers.iter().map(|stranger| (stranger.name.as_str(), "a stranger")))
        .chain(topology.routers.iter().map(|router| (router.name.as_str(), "a router")))
        .chain(topology.hosts.iter().map(|host| (host.name.as_str(), "a host")));
    if !is_name(&topology.name, LAB_NAME_MAX) {
        problems.push(bad_name("the mesh", &topology.name, LAB_NAME_MAX));
    }
    for (name, what) in names {
        if !is_name(name, 8) {
            problems.push(bad_name(what, name, 8));
        }
        if let Some(other) = seen.insert(name, what) {
            problems.push(format!("the name '{name}' is taken twice: by {other} and by {what}"));
        }
    }
    if topology.routers.is_empty() {
        problems.push("a mesh needs at least one router".to_owned());
    }
}

fn check_routers(topology: &Topology, problems: &mut Vec<String>) {
    let mut ids = BTreeMap::new();
    for router in &topology.routers {
        let name = &router.name;
        if router.host_id == 0 || router.host_id > 254 {
            problems.push(format!("router {name}: host_id {} is not within 1..=254", router.host_id));
        }
        if router.kind == RouterKind::Frr && topology.mesh.ospf_secret {
            problems.push(format!(
                "router {name}: FRR's authentication trailer departs from RFC 7166: set ospf_secret = false in [mesh]"
            ));
        }
        if let Some(other) = ids.insert(router.host_id, name) {
            problems.push(format!("routers {other} and {name} share host_id {}", router.host_id));
        }
        match &router.home {
            None => {
                check_public(&router.wan_ipv4, "wan_ipv4", name, "203.0.113.2/30", problems);
                if router.wan_ipv6.parse::<Ipv6Net>().is_err() {
                    problems.push(wants(name, "wan_ipv6", &router.wan_ipv6, "2001:db8:f4::2/64"));
                }
            }
            Some(home) => match topology.home(home) {
                None => problems.push(format!(
                    "router {name}: there is no home '{home}'{}",
                    near(home, topology.homes.iter().map(|home| home.name.as_str()))
                )),
                Some(home) => {
                    check_inside(&router.wan_ipv4, "wan_ipv4", name, &home.lan_ipv4.into(), problems);
                    check_inside(&router.wan_ipv6, "wan_ipv6", name, &home.lan_ipv6.into(), problems);
                }
            },
        }
    }
    for stranger in &topology.strangers {
        match topology.home(&stranger.home) {
            None => {
                problems.push(format!("stranger {}: there is no home '{}'", stranger.name, stranger.home))
            }
            Some(home) if !home.lan_ipv4.contains(&stranger.ipv4) => problems.push(format!(
                "stranger {}: ipv4 {} is not in {}'s {}",
                stranger.name,
                stranger.ipv4,
                home.name,
                home.lan_ipv4.trunc()
            )),
            Some(_) => {}
        }
    }
}

fn check_hosts(topology: &Topology, problems: &mut Vec<String>) {
    let mut numbers = BTreeMap::new();
    for host in &topology.hosts {
        if topology.router(&host.router).is_none() {
            problems.push(format!(
                "host {}: there is no router '{}'{}",
                host.name,
                host.router,
                near(&host.router, topology.routers.iter().map(|router| router.name.as_str()))
            ));
        }
        if !(2..=254).contains(&host.number) {
            problems.push(format!("host {}: number {} is not within 2..=254", host.name, host.number));
        }
        if let Some(other) = numbers.insert((&host.router, host.number), &host.name) {
            problems.push(format!(
                "hosts {other} and {} share number {} at {}",
                host.name, host.number, host.router
            ));
        }
    }
}

fn check_links(topology: &Topology, problems: &mut Vec<String>) {
    let mut pairs = BTreeSet::new();
    for link in &topology.links {
        let (a, b) = (&link.between.0, &link.between.1);
        for end in [a, b] {
            if topology.router(end).is_none() {
                problems.push(format!(
                    "link {}: there is no router '{end}'{}",
                    link.name(),
                    near(end, topology.routers.iter().map(|router| router.name.as_str()))
                ));
            }
        }
        if a == b {
            problems.push(format!("link {}: a router is no neighbor of itself", link.name()));
        }
        if !pairs.insert(std::cmp::min((a, b), (b, a))) {
            problems.push(format!("link {} is there twice", link.name()));
        }
        if !(0.0..100.0).contains(&link.loss_percent) {
            problems.push(format!(
                "link {}: loss_percent {} is not within 0..100",
                link.name(),
                link.loss_percent
            ));
        }
        if link.cost == 0 {
            problems.push(format!("link {}: cost 0 is not within 1..=65535", link.name()));
        }
        if let (Some(a), Some(b)) = (topology.router(a), topology.router(b))
            && a.home.is_some()
            && b.home.is_some()
            && a.home != b.home
        {
            problems.push(format!(
                "link {}: both ends are behind NAT, in different homes, so neither can call the other",
                link.name()
            ));
        }
    }
}

fn check_prefixes(topology: &Topology, problems: &mut Vec<String>) {
    let mut seen: Vec<(Ipv4Net, String)> = Vec::new();
    let lans =
        topology.routers.iter().map(|router| (router.lan_ipv4.trunc(), format!("{}'s LAN", router.name)));
    let homes =
        topology.homes.iter().map(|home| (home.ipv4.trunc(), format!("{}'s public address", home.name)));
    let publics = topology.routers.iter().filter(|router| router.home.is_none()).filter_map(|router| {
        Some((router.wan_ipv4.parse::<Ipv4Net>().ok()?.trunc(), format!("{}'s public address", router.name)))
    });
    for (prefix, owner) in lans.chain(homes).chain(publics) {
        if let Some((other, theirs)) =
            seen.iter().find(|(other, _)| other.contains(&prefix) || prefix.contains(other))
        {
            problems.push(format!("{owner} {prefix} overlaps {theirs} {other}"));
        }
        seen.push((prefix, owner));
    }
}

/// Returns why a lab cannot be called so.
pub(super) fn lab_name(name: &str) -> Option<String> {
    (!is_name(name, LAB_NAME_MAX)).then(|| bad_name("the lab", name, LAB_NAME_MAX))
}

fn bad_name(what: &str, name: &str, longest: usize) -> String {
    format!("{what} is named '{name}': a name is 1 to {longest} of a-z, 0-9 and '-', beginning with a letter")
}

fn is_name(name: &str, longest: usize) -> bool {
    name.len() <= longest
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn wants(router: &str, key: &str, value: &str, example: &str) -> String {
    format!(
        "router {router}: {key} '{value}' is no address with a prefix length, as a router at the internet needs (for example {example})"
    )
}

fn check_public(value: &str, key: &str, router: &str, example: &str, problems: &mut Vec<String>) {
    match value.parse::<Ipv4Net>() {
        Err(_) => problems.push(wants(router, key, value, example)),
        Ok(net) if net.addr().is_private() => {
            problems.push(format!(
                "router {router}: {key} {value} is private, and a router at the internet needs a public one"
            ));
        }
        Ok(_) => {}
    }
}

fn check_inside(value: &str, key: &str, router: &str, prefix: &IpNet, problems: &mut Vec<String>) {
    match value.parse::<IpAddr>() {
        Ok(address) if prefix.contains(&address) && address != prefix.addr() => {}
        _ => problems.push(format!(
            "router {router}: {key} '{value}' is no free address in its home's {}",
            prefix.trunc()
        )),
    }
}

/// Returns a hint at the known name that differs from `name` in one letter, if there is one.
fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    for candidate in known {
        let differing = candidate.chars().zip(name.chars()).filter(|(a, b)| a != b).count();
        if candidate.len().abs_diff(name.len()) + differing == 1 || candidate.eq_ignore_ascii_case(name) {
            return format!(" (did you mean '{candidate}'?)");
        }
    }
    String::new()
}
