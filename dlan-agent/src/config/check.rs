//! Looks at what must fit together: within a section, across sections, and with the mesh's arithmetic.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use vxlan::link::LinkName;
use vxlan::mtu::OuterFamily;

use super::check_zones;
use super::dhcp;
use super::error::ConfigError;
use super::problem::{Place, Problem};
use super::schema::{TypedOption, delegate, lan, link, mesh, names, nat64, ospf_key, record, wan};
use super::service;
use super::types::HostId;
use super::view::{View, Views};
use crate::addressing::{self, LINK_DEVICE_PREFIX, NAT64_DEVICE, Pair};

/// Notes everything that does not fit together, as far as the values can be read.
pub fn check(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    if let Some(mesh) = &views.mesh {
        check_mesh(mesh, errors);
        check_host_ids(mesh, &views.links, errors);
        check_pools(mesh, &views.links, errors);
        check_links(mesh, &views.links, errors);
    }
    check_duplicates(views, errors);
    check_names(views, errors);
    check_wans(views, errors);
    check_devices(views, errors);
    check_overlaps(views, errors);
    check_endpoints(views, errors);
    check_ospf_keys(views, errors);
    check_records(views, errors);
    service::check::check(views, errors);
    check_zones::check(views, errors);
    dhcp::check::check(views, errors);
}

fn check_mesh(mesh: &View<'_>, errors: &mut Vec<ConfigError>) {
    if let Some(device) = mesh.written(&mesh::WG_DEVICE) {
        let name = device.as_str();
        if !name.starts_with("dlan") || name.starts_with(LINK_DEVICE_PREFIX) {
            let problem = Problem::WireGuardDeviceName { device: name.to_owned() };
            errors.push(mesh.error(&mesh::WG_DEVICE, problem));
        }
    }
    if let (Some(mtu), Some(wg_mtu)) = (mesh.value(&mesh::LINK_MTU), mesh.value(&mesh::WG_MTU)) {
        let most = largest_on_links(wg_mtu);
        if mtu > most {
            let option = if mesh.has(&mesh::LINK_MTU) { &mesh::LINK_MTU } else { &mesh::WG_MTU };
            errors.push(mesh.error(option, Problem::MtuTooLarge { mtu, wg_mtu, most }));
        }
    }
    let bounds = (mesh.value(&mesh::AUTO_COST_MIN), mesh.value(&mesh::AUTO_COST_MAX));
    if let (Some(min), Some(max)) = bounds
        && min > max
    {
        let min_is_written = mesh.has(&mesh::AUTO_COST_MIN);
        let option = if min_is_written { &mesh::AUTO_COST_MIN } else { &mesh::AUTO_COST_MAX };
        errors.push(mesh.error(option, Problem::AutoCostBounds { min: min.get(), max: max.get() }));
    }
    let hello = mesh.value(&mesh::HELLO_INTERVAL).map(|interval| interval.as_secs());
    let dead = mesh.value(&mesh::DEAD_INTERVAL).map(|interval| interval.as_secs());
    if let (Some(hello), Some(dead)) = (hello, dead)
        && dead <= hello
    {
        let dead_is_written = mesh.has(&mesh::DEAD_INTERVAL);
        let option = if dead_is_written { &mesh::DEAD_INTERVAL } else { &mesh::HELLO_INTERVAL };
        errors.push(mesh.error(option, Problem::DeadBeforeHello { dead, hello }));
    }
}

/// Returns the largest packet on a link that fits into a WireGuard device's with VXLAN around it.
fn largest_on_links(wg_mtu: u16) -> u16 {
    u16::try_from(vxlan::mtu::vxlan_mtu(wg_mtu.into(), OuterFamily::Ipv4)).unwrap_or_default()
}

fn check_host_ids(mesh: &View<'_>, links: &[View<'_>], errors: &mut Vec<ConfigError>) {
    let own = mesh.value(&mesh::HOST_ID);
    let max_hosts = mesh.value(&mesh::MAX_HOSTS);
    let too_large = |host: HostId| {
        let max_hosts = max_hosts.filter(|&max_hosts| host.0 > max_hosts)?;
        Some(Problem::HostIdTooLarge { host, max_hosts })
    };
    if let Some(problem) = own.and_then(too_large) {
        errors.push(mesh.error(&mesh::HOST_ID, problem));
    }
    for link in links {
        let Some(host) = link.value(&link::HOST_ID) else { continue };
        if let Some(problem) = too_large(host) {
            errors.push(link.error(&link::HOST_ID, problem));
        }
        if own == Some(host) {
            let problem = Problem::LinkToOneself { host, line: mesh.line(&mesh::HOST_ID) };
            errors.push(link.error(&link::HOST_ID, problem));
        }
    }
}

/// Notes the pools that have no address for this router or for a neighbor.
fn check_pools(mesh: &View<'_>, links: &[View<'_>], errors: &mut Vec<ConfigError>) {
    let own = mesh.value(&mesh::HOST_ID).map(|host| (host, mesh.line(&mesh::HOST_ID)));
    let neighbors =
        links.iter().filter_map(|link| Some((link.value(&link::HOST_ID)?, link.line(&link::HOST_ID))));
    let Some((host, line)) = own.into_iter().chain(neighbors).max_by_key(|&(host, _)| host) else { return };
    for option in [&mesh::LOOPBACK_IPV4, &mesh::WG_IPV4] {
        let has_room = |pool| addressing::usable_ipv4(pool, host).is_some();
        let needed = addressing::pool_prefix_len_needed_ipv4(host);
        errors.extend(check_pool(mesh, option, has_room, (host, line, needed)));
    }
    for option in [&mesh::LOOPBACK_IPV6, &mesh::WG_IPV6] {
        let has_room = |pool| addressing::usable_ipv6(pool, host).is_some();
        let needed = addressing::pool_prefix_len_needed_ipv6(host);
        errors.extend(check_pool(mesh, option, has_room, (host, line, needed)));
    }
    if let Some(Some(pool)) = mesh.value(&mesh::LINK_POOL_IPV4) {
        check_link_pool(mesh, links, pool, errors);
    }
}

/// Returns the error of a pool without room for a host id, which stands on that line and needs that prefix length.
fn check_pool<P: Copy + Display + 'static>(
    mesh: &View<'_>,
    option: &TypedOption<P>,
    has_room: impl Fn(P) -> bool,
    (host, line, needed): (HostId, usize, u8),
) -> Option<ConfigError> {
    let pool = mesh.value(option).filter(|&pool| !has_room(pool))?.to_string();
    let problem = Problem::PoolTooSmall { pool, is_default: !mesh.has(option), host, line, needed };
    Some(mesh.error(option, problem))
}

/// Notes the one link that needs the largest pool, if the pool is smaller.
fn check_link_pool(mesh: &View<'_>, links: &[View<'_>], pool: Ipv4Net, errors: &mut Vec<ConfigError>) {
    let (Some(own), Some(max_hosts)) = (mesh.value(&mesh::HOST_ID), mesh.value(&mesh::MAX_HOSTS)) else {
        return;
    };
    let pair = |link| View::value(link, &link::HOST_ID).and_then(|host| Pair::new(max_hosts, own, host).ok());
    let pairs = links.iter().filter_map(|link| Some((pair(link)?, link)));
    let Some((pair, link)) = pairs.max_by_key(|(pair, _)| pair.id()) else { return };
    if pair.subnet(pool).is_err() {
        let problem = Problem::LinkPoolTooSmall {
            pool: pool.to_string(),
            is_default: !mesh.has(&mesh::LINK_POOL_IPV4),
            lower: pair.lower,
            higher: pair.higher,
            pair: pair.id(),
            section: link.title(),
            line: link.section.line,
            needed: pair.pool_prefix_len_needed(),
        };
        errors.push(mesh.error(&mesh::LINK_POOL_IPV4, problem));
    }
}

/// Looks at the numbers of links that set some themselves.
fn check_links(mesh: &View<'_>, links: &[View<'_>], errors: &mut Vec<ConfigError>) {
    for link in links {
        if let (Some(mtu), Some(wg_mtu)) = (link.written(&link::MTU), mesh.value(&mesh::WG_MTU)) {
            let most = largest_on_links(wg_mtu);
            if mtu > most {
                errors.push(link.error(&link::MTU, Problem::MtuTooLarge { mtu, wg_mtu, most }));
            }
        }
        let option =
            if link.has(&link::DEAD_INTERVAL) { &link::DEAD_INTERVAL } else { &link::HELLO_INTERVAL };
        let hello = link.value_or_mesh(&link::HELLO_INTERVAL, mesh, &mesh::HELLO_INTERVAL);
        let dead = link.value_or_mesh(&link::DEAD_INTERVAL, mesh, &mesh::DEAD_INTERVAL);
        if let (true, Some(hello), Some(dead)) = (link.has(option), hello, dead)
            && dead <= hello
        {
            let problem = Problem::DeadBeforeHello { dead: dead.as_secs(), hello: hello.as_secs() };
            errors.push(link.error(option, problem));
        }
    }
}

/// Notes the values that only one section may have.
fn check_duplicates(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    let hosts = "every router has a host id of its own";
    unique(&views.links, &link::HOST_ID, hosts, errors);
    unique(&views.links, &link::PUBLIC_KEY, "every router has a key of its own", errors);
    unique(&views.links, &link::ENDPOINT, "two routers cannot be called at one address and port", errors);
    check_interface_ids(&views.links, errors);
    unique(&views.lans, &lan::DEVICE, "write one section for each device", errors);
    unique(&views.wans, &wan::DEVICE, "write one section for each device", errors);
    unique(&views.wans, &wan::INTERFACE, "write one section for each network", errors);
}

/// Notes links of one Interface ID; what is not written is the neighbor's host id.
fn check_interface_ids(links: &[View<'_>], errors: &mut Vec<ConfigError>) {
    let number =
        |view: &View<'_>| view.written(&link::INTERFACE_ID).or_else(|| Some(view.value(&link::HOST_ID)?.0));
    for (index, view) in links.iter().enumerate() {
        let Some(written) = view.written(&link::INTERFACE_ID) else { continue };
        let others = links.iter().enumerate().filter(|(at, _)| *at != index);
        // Of two that are written, the later one is told.
        let mut twins = others.filter(|(at, other)| {
            number(other) == Some(written) && (*at < index || other.written(&link::INTERFACE_ID).is_none())
        });
        if let Some((_, twin)) = twins.next() {
            let rule = "each link of a router has an Interface ID of its own";
            let line = twin.line(&link::HOST_ID);
            let problem = Problem::Duplicate { value: written.to_string(), other: twin.title(), line, rule };
            errors.push(view.error(&link::INTERFACE_ID, problem));
        }
    }
}

/// Notes neighbors with one name, or with this router's.
fn check_names(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    let mut names: BTreeMap<String, (&View<'_>, usize)> = BTreeMap::new();
    if let Some((mesh, name)) = views.mesh.as_ref().and_then(|mesh| Some((mesh, mesh.written(&mesh::NAME)?)))
    {
        names.insert(name, (mesh, mesh.line(&mesh::NAME)));
    }
    for view in &views.links {
        let written = view.written(&link::NAME);
        let Some(name) = written.or_else(|| view.section.name.clone()) else { continue };
        let line = view.line(&link::NAME);
        match names.get(&name) {
            // Two sections of one name are told as such.
            Some((other, _)) if other.section.name == view.section.name => {}
            Some((other, line)) => {
                let rule = "every router has a name of its own";
                let problem = Problem::Duplicate { value: name, other: other.title(), line: *line, rule };
                errors.push(view.error(&link::NAME, problem));
            }
            None => {
                names.insert(name, (view, line));
            }
        }
    }
}

/// Compares a value of sections of one kind; each is told with the first that has it.
fn unique<T: PartialEq>(
    views: &[View<'_>],
    option: &TypedOption<T>,
    rule: &'static str,
    errors: &mut Vec<ConfigError>,
) {
    for (index, view) in views.iter().enumerate() {
        let Some(value) = view.written(option) else { continue };
        let twin = views.iter().take(index).find(|other| other.written(option).as_ref() == Some(&value));
        if let (Some(twin), Some(entry)) = (twin, view.entry(option.schema.name)) {
            let problem = Problem::Duplicate {
                value: entry.value.clone(),
                other: twin.title(),
                line: twin.line(option),
                rule,
            };
            errors.push(view.error(option, problem));
        }
    }
}

/// Notes keys with one number, and a number that no key has.
fn check_ospf_keys(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    let rule = "every key has a number of its own";
    unique(&views.ospf_keys, &ospf_key::ID, rule, errors);
    let Some(mesh) = &views.mesh else { return };
    let own = mesh.has(&mesh::OSPF_SECRET_FILE).then(|| mesh.value(&mesh::OSPF_SA_ID)).flatten();
    let twin = views.ospf_keys.iter().find(|view| own.is_some() && view.written(&ospf_key::ID) == own);
    if let (Some(view), Some(own)) = (twin, own) {
        let (value, other, line) =
            (own.to_string(), "ospf_secret_file".to_owned(), mesh.line(&mesh::OSPF_SA_ID));
        errors.push(view.error(&ospf_key::ID, Problem::Duplicate { value, other, line, rule }));
    }
    let ids: Vec<u16> = own
        .into_iter()
        .chain(views.ospf_keys.iter().filter_map(|view| view.written(&ospf_key::ID)))
        .collect();
    if let Some(id) = mesh.written(&mesh::OSPF_KEY_ACTIVE).filter(|id| views.is_readable && !ids.contains(id))
    {
        errors.push(mesh.error(&mesh::OSPF_KEY_ACTIVE, Problem::NoSuchKey { id, ids }));
    }
}

/// Notes names of which nothing is said, or more than an alias allows, and delegations of nothing.
fn check_records(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    let said = ["address", "cname", "srv", "txt", "ptr"];
    let count = |view: &View<'_>| said.iter().map(|option| view.entries(option).count()).sum::<usize>();
    for view in views.records.iter().filter(|view| views.is_readable && count(view) == 0) {
        errors.push(view.section_error(Problem::EmptyRecord));
    }
    for (index, view) in views.records.iter().enumerate() {
        let Some(name) = view.written(&record::NAME) else { continue };
        let same = |other: &&View<'_>| other.written(&record::NAME).as_ref() == Some(&name);
        let others = views.records.iter().enumerate().filter(|(other, view)| *other != index && same(view));
        let others: usize = others.map(|(_, view)| count(view)).sum();
        if view.has(&record::CNAME) && count(view) + others > 1 {
            let (name, line) = (name.to_string(), view.line(&record::CNAME));
            errors.push(view.error(&record::CNAME, Problem::AliasWithMore { name, line }));
        }
    }
    let delegates = views.delegates.iter().filter(|_| views.is_readable);
    for view in delegates.filter(|view| !view.has(&delegate::ZONE) && !view.has(&delegate::REVERSE)) {
        errors.push(view.section_error(Problem::EmptyDelegate));
    }
}

fn check_wans(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    for view in &views.wans {
        let both = view.has(&wan::INTERFACE);
        if both == view.has(&wan::DEVICE) && (both || views.is_readable) {
            errors.push(view.section_error(Problem::WanSource { both }));
        }
    }
    let vxlan_port = views.mesh.as_ref().and_then(|mesh| mesh.value(&mesh::VXLAN_PORT));
    for view in &views.wans {
        let port = view.value(&wan::LISTEN_PORT);
        if let Some(port) = port.filter(|_| port == vxlan_port) {
            errors.push(view.error(&wan::LISTEN_PORT, Problem::PortOfVxlan { port }));
        }
    }
    let mut ports = views.wans.iter().filter_map(|view| Some((view.written(&wan::LISTEN_PORT)?, view)));
    let Some((first, first_view)) = ports.next() else { return };
    for (port, view) in ports.filter(|&(port, _)| port != first) {
        let problem = Problem::ListenPorts { port, first, line: first_view.line(&wan::LISTEN_PORT) };
        errors.push(view.error(&wan::LISTEN_PORT, problem));
    }
}

/// Notes LANs and WANs on one device, or on one that dlan makes.
fn check_devices(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    let wans = views.wans.iter().map(|view| (view, &wan::DEVICE));
    let lans = views.lans.iter().map(|view| (view, &lan::DEVICE));
    for (view, option) in wans.chain(lans) {
        let is_ours =
            |device: &LinkName| device.as_str().starts_with("dlan") || device.as_str() == NAT64_DEVICE;
        let Some(device) = view.written(option).filter(is_ours) else { continue };
        errors.push(view.error(option, Problem::OwnDevice { device: device.as_str().to_owned() }));
    }
    for view in &views.lans {
        let Some(device) = view.written(&lan::DEVICE) else { continue };
        let twin = views.wans.iter().find(|wan| wan.written(&wan::DEVICE).as_ref() == Some(&device));
        if let Some(twin) = twin {
            let problem = Problem::Duplicate {
                value: device.as_str().to_owned(),
                other: twin.title(),
                line: twin.line(&wan::DEVICE),
                rule: "a device is either a WAN or a LAN",
            };
            errors.push(view.error(&lan::DEVICE, problem));
        }
    }
}

/// A network of the mesh, and where it is written.
struct Named<'a, 'b> {
    net: IpNet,
    view: &'b View<'a>,
    option: &'static str,
    what: String,
}

impl Named<'_, '_> {
    fn line(&self) -> usize {
        self.view.entry(self.option).map_or(self.view.section.line, |entry| entry.line)
    }
}

/// Returns the mesh's pools, each with what people call it.
fn pools<'a, 'b>(mesh: &'b View<'a>) -> Vec<Named<'a, 'b>> {
    let pool = |net: Option<IpNet>, option: &'static str, what: &str| {
        net.map(|net| Named { net, view: mesh, option, what: what.to_owned() })
    };
    let links = mesh.value(&mesh::LINK_POOL_IPV4).flatten();
    let pools = [
        pool(mesh.value(&mesh::LOOPBACK_IPV4).map(IpNet::V4), "loopback_ipv4", "the pool loopback_ipv4"),
        pool(mesh.value(&mesh::LOOPBACK_IPV6).map(IpNet::V6), "loopback_ipv6", "the pool loopback_ipv6"),
        pool(mesh.value(&mesh::WG_IPV4).map(IpNet::V4), "wg_ipv4", "the pool wg_ipv4"),
        pool(mesh.value(&mesh::WG_IPV6).map(IpNet::V6), "wg_ipv6", "the pool wg_ipv6"),
        pool(links.map(IpNet::V4), "link_pool_ipv4", "the pool link_pool_ipv4"),
    ];
    pools.into_iter().flatten().collect()
}

/// Notes networks that have addresses in common: pools, LANs, and what translates between families.
fn check_overlaps(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    let mut networks: Vec<Named<'_, '_>> = views.mesh.iter().flat_map(pools).collect();
    for view in &views.lans {
        let ipv4 = view.value(&lan::IPV4).map(|address| IpNet::V4(address.network()));
        let ipv6 = view.value(&lan::IPV6).map(|address| IpNet::V6(address.network()));
        let named = |net, option| Named { net, view, option, what: view.title() };
        networks.extend(ipv4.map(|net| named(net, "ipv4")));
        networks.extend(ipv6.map(|net| named(net, "ipv6")));
    }
    let named = |net: IpNet, view, option| Named { net, view, option, what: format!("the network {option}") };
    if let Some(view) = &views.nat64 {
        networks.extend(view.value(&nat64::POOL).map(|net| named(net.into(), view, "pool")));
    }
    if let Some(view) = &views.names {
        let prefix = view.value(&names::DNS64_PREFIX);
        networks.extend(prefix.map(|net| named(net.into(), view, "dns64_prefix")));
    }
    for (index, network) in networks.iter().enumerate() {
        let overlaps =
            |other: &&Named<'_, '_>| network.net.contains(&other.net) || other.net.contains(&network.net);
        let Some(other) = networks.iter().take(index).find(overlaps) else { continue };
        // Of two pools the written one is wrong, not the default.
        let default = network.view.entry(network.option).is_none();
        let (one, other) = if default { (other, network) } else { (network, other) };
        let problem = Problem::Overlap {
            network: one.net.to_string(),
            other_network: other.net.to_string(),
            other: other.what.clone(),
            place: other.view.entry(other.option).map_or(Place::Default, |entry| Place::Line(entry.line)),
        };
        errors.push(one.view.error_at(one.line(), one.option, problem));
    }
}

/// Notes neighbors that are to be called at an address of the mesh itself.
fn check_endpoints(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    let pools: Vec<Named<'_, '_>> = views.mesh.iter().flat_map(pools).collect();
    for view in &views.links {
        let Some(endpoint) = view.written(&link::ENDPOINT) else { continue };
        let Ok(address) = endpoint.host.parse::<IpAddr>() else { continue };
        if let Some(pool) = pools.iter().find(|pool| pool.net.contains(&address)) {
            let problem = Problem::EndpointInside {
                host: endpoint.host,
                network: pool.net.to_string(),
                pool: pool.option,
            };
            errors.push(view.error(&link::ENDPOINT, problem));
        }
    }
}
