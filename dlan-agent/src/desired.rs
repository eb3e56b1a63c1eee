//! What this router shall be, worked out from the configuration, the facts and the routes; pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vxlan::link::{Link, LinkKind, LinkName};
use vxlan::vtep::VxlanLink;
use vxlan::wireguard::{Peer, WIREGUARD_ALIAS, WireGuardLink};

use crate::addressing::{self, AddressingError, LinkAddressing, NAT64_DEVICE, RouterAddresses};
use crate::config::{Config, DeviceSource, LanConfig, LinkConfig, MeshConfig, WanConfig};
use crate::learned::Learned;
use crate::names::domain::DomainName;
use crate::next_hops::{self, Assigned, Make, Ways};
use crate::render::{dnsmasq, iproute2, nftables, nginx, tayga, uci};
use crate::state::facts::{Facts, LanFacts, Sides, WanFacts};
use crate::state::managed_file::{ManagedFile, PROTOCOLS_PATH, TABLES_PATH};
use crate::state::next_hop::NextHopId;
use crate::state::program::{Program, ProgramName};
use crate::state::route::{
    METRIC_LEARNED, METRIC_NEIGHBOR, METRIC_TRANSLATED, METRIC_UNREACHABLE, Route, RouteAction, RouteHop,
    RouteKey,
};
use crate::state::rule::{Rule, RuleFamily};
use crate::state::ruleset::Ruleset;
use crate::state::setting::{Setting, SettingValue};
use crate::state::{DeviceAddress, LOOPBACK_DEVICE, State};
use crate::zones::{self, FarZones, ZoneSets};

/// The routes of the routing protocol, resolved to what the kernel is to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoutingInput {
    /// Where to send to each prefix of either family; this router's own prefixes are left out. Prefixes with the same ways
    /// share them: there are few, however many the prefixes.
    pub routes: Learned,
    /// Prefixes to which nothing may ever go by the WAN, whether there is a route or not.
    pub learned: BTreeSet<IpNet>,
    /// What is known of the zones of other routers' prefixes.
    pub zones: FarZones,
    /// Whether both families' routes follow from a whole database.
    pub complete: bool,
    /// Whether both families' engines have settled: before that, what stands in the kernel is kept.
    pub settled: bool,
    /// Whether nothing was heard of the mesh since boot, so that nobody knows which private addresses are its own.
    pub is_unheard: bool,
    /// The devices that routes lead over though nobody is adjacent there: those are from before a loss, and the routing protocol
    /// is about to calculate others.
    pub outdated: BTreeSet<LinkName>,
}

/// The kernel's main routing table.
const TABLE_MAIN: u32 = 254;

/// Works out the state this router shall be in. What stands decides nothing but which numbers next hop objects have.
pub fn desired(
    config: &Config,
    facts: &Facts,
    routing: &RoutingInput,
    standing: &State,
) -> Result<State, AddressingError> {
    let mesh = &config.mesh;
    let links = links(config)?;
    let own = addressing::wireguard(mesh, mesh.host_id)?;
    let mut devices = BTreeMap::new();
    devices.insert(mesh.wg_device.clone(), wireguard_link(config, facts, own, &links));
    for (link, at) in &links {
        devices.insert(at.device.clone(), vxlan_link(mesh, link, at));
    }
    let guarded = guarded_prefixes(config, facts.sides(), routing);
    let make = Make { protocol: mesh.route_protocol, has_standbys: facts.has_standbys };
    let Assigned { objects, groups } =
        next_hops::assign(make, &learned_ways(mesh, routing, &devices), standing);
    let learned = learned_routes(mesh, groups.into_iter().map(|(key, group)| (key, Some(group))))?;
    let routes = neighbor_routes(mesh, own, &links)
        .into_iter()
        .chain(translated_routes(config, facts))
        .chain(guarded.iter().map(|prefix| unreachable_route(mesh, *prefix)))
        .chain(learned.filter_map(|(key, route)| Some((key, route?))));
    // Made of all at once, a map has no empty places.
    let routes = routes.collect();
    let addresses = addresses(config, facts)?;
    let own_addresses = addresses.iter().map(|own| own.address.addr()).chain(facts.addresses.iter().copied());
    let own_addresses: BTreeSet<IpAddr> = own_addresses.collect();
    Ok(State {
        without_carrier: BTreeSet::new(),
        addresses,
        next_hops: objects,
        routes,
        rules: rules(mesh),
        settings: settings(facts, &devices),
        ruleset: Some(nftables::render(&nftables::Inputs {
            config,
            sides: facts.sides(),
            links: &links,
            guarded: &guarded,
            holds_private: holds_private(config, routing),
            members: &zones::members(config, facts.sides(), routing.routes.keys(), &routing.zones),
        })),
        files: files(mesh),
        programs: programs(config, facts, &own_addresses, standing)?,
        uci: uci::render(
            config,
            facts,
            addressing::loopback(mesh, mesh.host_id)?,
            &foreign_names(config, facts, standing),
        ),
        links: devices,
    })
}

/// Works out the filter that holds before anything was found of the router: what the configuration alone says. Of other
/// routers' zones nothing is known.
pub fn boot_ruleset(config: &Config) -> Result<Ruleset, AddressingError> {
    let device = |wan: &WanConfig| match &wan.source {
        DeviceSource::Device(device) => Some(device.clone()),
        DeviceSource::Interface(_) => None,
    };
    let wan = |wan: &WanConfig| {
        let facts = WanFacts { device: device(wan), lives_by_ra: false, prefixes: BTreeSet::new() };
        (wan.name.clone(), facts)
    };
    let lan = |lan: &LanConfig| {
        let facts = LanFacts { device: lan.device.clone(), exists: true, addresses: BTreeSet::new() };
        (lan.name.clone(), facts)
    };
    let wans = config.wans.iter().map(wan).collect();
    let lans = config.lans.iter().map(lan).collect();
    let sides = Sides { wans: &wans, lans: &lans };
    let links = links(config)?;
    let routing = RoutingInput { is_unheard: true, ..RoutingInput::default() };
    let far = FarZones { standing: Some(ZoneSets::new()), ..FarZones::default() };
    Ok(nftables::render(&nftables::Inputs {
        config,
        sides,
        links: &links,
        guarded: &guarded_prefixes(config, sides, &routing),
        holds_private: holds_private(config, &routing),
        members: &zones::members(config, sides, [], &far),
    }))
}

fn links(config: &Config) -> Result<Vec<(&LinkConfig, LinkAddressing)>, AddressingError> {
    config.links.iter().map(|link| Ok((link, addressing::link(&config.mesh, link.host_id)?))).collect()
}

fn wireguard_link(
    config: &Config,
    facts: &Facts,
    own: RouterAddresses,
    links: &[(&LinkConfig, LinkAddressing)],
) -> Link {
    let mesh = &config.mesh;
    let peer = |link: &LinkConfig, at: &LinkAddressing| Peer {
        endpoint: facts.endpoints.get(&link.host_id).copied(),
        preshared_key: facts.link_psks.get(&link.host_id).cloned(),
        keepalive: (link.keepalive > 0).then_some(link.keepalive),
        allowed_ips: at.neighbor_underlay.host_prefixes().into(),
    };
    Link {
        name: mesh.wg_device.clone(),
        alias: WIREGUARD_ALIAS.to_owned(),
        mtu: mesh.wg_mtu.into(),
        up: true,
        addresses: own.host_prefixes().into(),
        kind: LinkKind::WireGuard(WireGuardLink {
            private_key: facts.private_key.clone(),
            listen_port: config.wans.first().map_or(0, |wan| wan.listen_port),
            fwmark: mesh.fwmark,
            peers: links.iter().map(|(link, at)| (link.public_key, peer(link, at))).collect(),
        }),
    }
}

fn vxlan_link(mesh: &MeshConfig, link: &LinkConfig, at: &LinkAddressing) -> Link {
    let mut addresses = BTreeSet::new();
    addresses.extend(Ipv6Net::new(at.link_local, 64).map(IpNet::V6));
    addresses.extend(at.ipv4.map(IpNet::V4));
    Link {
        name: at.device.clone(),
        alias: link.name.clone(),
        // The engine tells the neighbor of the link's own MTU; what is sent may be a few octets smaller.
        mtu: vxlan::mtu::without_padding(link.mtu.into(), mesh.wg_mtu.into()),
        up: true,
        addresses,
        kind: LinkKind::Vxlan(VxlanLink {
            vni: at.vni,
            local: at.underlay.ipv4,
            port: mesh.vxlan_port,
            underlay: mesh.wg_device.clone(),
            mac: at.mac,
            remotes: BTreeSet::from([at.neighbor_underlay.ipv4]),
        }),
    }
}

fn addresses(config: &Config, facts: &Facts) -> Result<BTreeSet<DeviceAddress>, AddressingError> {
    let mut addresses = BTreeSet::new();
    let identity = addressing::loopback(&config.mesh, config.mesh.host_id)?;
    if let Ok(device) = LinkName::new(LOOPBACK_DEVICE) {
        for address in identity.host_prefixes() {
            addresses.insert(DeviceAddress { device: device.clone(), address });
        }
    }
    for lan in &config.lans {
        let Some(found) = facts.lans.get(&lan.name).filter(|found| found.exists) else { continue };
        let ipv4 = lan.ipv4.and_then(|own| Ipv4Net::new(own.address, own.prefix_len).ok()).map(IpNet::V4);
        let ipv6 = lan.ipv6.and_then(|own| Ipv6Net::new(own.address, own.prefix_len).ok()).map(IpNet::V6);
        // What somebody else set is taken as it is and never taken away.
        let missing = ipv4.into_iter().chain(ipv6).filter(|address| !found.addresses.contains(address));
        addresses.extend(missing.map(|address| DeviceAddress { device: found.device.clone(), address }));
    }
    Ok(addresses)
}

/// Returns whether no private address is to be reached by a WAN: while any of them may be the mesh's. Without links there is no
/// mesh, and who says what is inside has said what is not.
fn holds_private(config: &Config, routing: &RoutingInput) -> bool {
    routing.is_unheard && config.mesh.inside.is_empty() && !config.links.is_empty()
}

/// Returns every prefix that must never be reached by the WAN: the mesh's pools, this router's LANs, what the operator says is
/// inside, and what was ever learned; but no default route, or the internet would go with it.
fn guarded_prefixes(config: &Config, sides: Sides<'_>, routing: &RoutingInput) -> BTreeSet<IpNet> {
    let mesh = &config.mesh;
    let pools = [mesh.loopback_ipv4, mesh.wg_ipv4].into_iter().chain(mesh.link_pool_ipv4).map(IpNet::V4);
    let pools = pools.chain([mesh.loopback_ipv6, mesh.wg_ipv6].map(IpNet::V6));
    let translated =
        config.nat64.iter().flat_map(|nat64| [nat64.pool.into(), config.names.dns64_prefix.into()]);
    pools
        .chain(translated)
        .chain(mesh.inside.iter().copied())
        .chain(config.lans.iter().flat_map(|lan| sides.lan_prefixes(lan)).map(|(_, prefix)| prefix))
        .chain(routing.learned.iter().copied())
        .chain(routing.routes.keys().copied())
        .filter(|prefix| prefix.prefix_len() > 0)
        .map(|prefix| prefix.trunc())
        .collect()
}

/// Returns the prefixes that must never be reached by the WAN, whatever is learned.
pub fn guarded_anyway(config: &Config, sides: Sides<'_>) -> BTreeSet<IpNet> {
    guarded_prefixes(config, sides, &RoutingInput::default())
}

/// Returns the prefix that this router translates to IPv4.
pub fn translated_prefix(config: &Config, facts: &Facts) -> Option<Ipv6Net> {
    config.nat64.as_ref().filter(|_| facts.tayga.is_some()).map(|_| config.names.dns64_prefix)
}

/// Returns the routes to the translator: what is to become IPv4, and the answers.
fn translated_routes(config: &Config, facts: &Facts) -> BTreeMap<RouteKey, Route> {
    let mesh = &config.mesh;
    let (Some(prefix), Some(nat64), Ok(device)) =
        (translated_prefix(config, facts), &config.nat64, LinkName::new(NAT64_DEVICE))
    else {
        return BTreeMap::new();
    };
    let route = |prefix: IpNet| {
        let next_hops = BTreeSet::from([RouteHop { device: device.clone(), via: None }]);
        let action = RouteAction::unicast(next_hops, None);
        let key = RouteKey { table: mesh.route_table, prefix, metric: METRIC_TRANSLATED };
        (key, Route { protocol: mesh.route_protocol, action })
    };
    BTreeMap::from([prefix.into(), nat64.pool.into()].map(route))
}

/// Returns the prefixes of this router's LANs: those set, and the private ones found.
pub fn lan_prefixes(config: &Config, facts: &Facts) -> BTreeSet<IpNet> {
    config.lans.iter().flat_map(|lan| facts.lan_prefixes(lan)).map(|(_, prefix)| prefix).collect()
}

fn neighbor_routes(
    mesh: &MeshConfig,
    own: RouterAddresses,
    links: &[(&LinkConfig, LinkAddressing)],
) -> BTreeMap<RouteKey, Route> {
    let mut routes = BTreeMap::new();
    for (_, at) in links {
        for prefix in at.neighbor_underlay.host_prefixes() {
            let hop = RouteHop { device: mesh.wg_device.clone(), via: None };
            let source = source_for(&prefix, own);
            let key = RouteKey { table: mesh.route_table, prefix, metric: METRIC_NEIGHBOR };
            routes.insert(key, unicast(mesh, BTreeSet::from([hop]), source));
        }
    }
    routes
}

/// Returns the learned routes over devices that are there: the engine may be a moment behind a link that goes.
fn learned_ways(
    mesh: &MeshConfig,
    routing: &RoutingInput,
    devices: &BTreeMap<LinkName, Link>,
) -> Vec<(RouteKey, Arc<Ways>)> {
    let learned = routing.routes.iter().filter_map(|(prefix, ways)| {
        let ways = next_hops::over(ways, |device| devices.contains_key(device));
        let key = RouteKey { table: mesh.route_table, prefix: *prefix, metric: METRIC_LEARNED };
        (!ways.hops.is_empty()).then_some((key, ways))
    });
    learned.collect()
}

/// Returns the learned routes by these groups; none by none.
pub fn learned_routes(
    mesh: &MeshConfig,
    groups: impl IntoIterator<Item = (RouteKey, Option<NextHopId>)>,
) -> Result<impl Iterator<Item = (RouteKey, Option<Route>)>, AddressingError> {
    let identity = addressing::loopback(mesh, mesh.host_id)?;
    let route = move |(key, group): (RouteKey, Option<NextHopId>)| {
        let source = Some(source_for(&key.prefix, identity));
        let action = group.map(|group| RouteAction::Group { group, source });
        (key, action.map(|action| Route { protocol: mesh.route_protocol, action }))
    };
    Ok(groups.into_iter().map(route))
}

fn unicast(mesh: &MeshConfig, next_hops: BTreeSet<RouteHop>, source: IpAddr) -> Route {
    let action = RouteAction::unicast(next_hops, Some(source));
    Route { protocol: mesh.route_protocol, action }
}

/// Returns the route that keeps a prefix from the WAN where there is no other.
pub fn unreachable_route(mesh: &MeshConfig, prefix: IpNet) -> (RouteKey, Route) {
    let key = RouteKey { table: mesh.route_table, prefix, metric: METRIC_UNREACHABLE };
    (key, Route { protocol: mesh.route_protocol, action: RouteAction::Unreachable })
}

fn source_for(prefix: &IpNet, addresses: RouterAddresses) -> IpAddr {
    match prefix {
        IpNet::V4(_) => addresses.ipv4.into(),
        IpNet::V6(_) => addresses.ipv6.into(),
    }
}

/// Main's specific routes first, then ours for all but WireGuard's own packets; main's default comes after.
fn rules(mesh: &MeshConfig) -> BTreeSet<Rule> {
    let pair = |family| {
        let rule = |offset, table| Rule {
            family,
            preference: mesh.rule_preference.saturating_add(offset),
            protocol: mesh.route_protocol,
            table,
            unless_mark: None,
            suppress_prefix_length: None,
        };
        [
            Rule { suppress_prefix_length: Some(0), ..rule(0, TABLE_MAIN) },
            Rule { unless_mark: Some(mesh.fwmark), ..rule(1, mesh.route_table) },
        ]
    };
    [RuleFamily::Ipv6, RuleFamily::Ipv4].into_iter().flat_map(pair).collect()
}

fn settings(facts: &Facts, devices: &BTreeMap<LinkName, Link>) -> BTreeMap<Setting, SettingValue> {
    let mut settings = BTreeMap::from([
        (Setting::ForwardingIpv4, SettingValue(1)),
        (Setting::ForwardingIpv6, SettingValue(1)),
        (Setting::MultipathHashIpv4, SettingValue(1)),
        (Setting::MultipathHashIpv6, SettingValue(1)),
        (Setting::NextHopCompatibility, SettingValue(0)),
        (Setting::SendRedirectsEverywhere, SettingValue(0)),
    ]);
    for wan in facts.wans.values().filter(|wan| wan.lives_by_ra) {
        settings.extend(wan.device.clone().map(|device| (Setting::AcceptRa(device), SettingValue(2))));
    }
    for device in devices.keys() {
        settings.insert(Setting::RpFilter(device.clone()), SettingValue(2));
        settings.insert(Setting::SendRedirects(device.clone()), SettingValue(0));
    }
    settings
}

/// Returns the programs that the configuration asks for and that are not installed.
pub fn programs_missing(config: &Config, facts: &Facts) -> BTreeSet<ProgramName> {
    let wants_dnsmasq = !facts.is_openwrt() && config.lans.iter().any(|lan| lan.dhcp.is_served());
    let lacks_dnsmasq = wants_dnsmasq && facts.dnsmasq.is_none();
    let lacks_nginx = !config.services.is_empty() && facts.nginx.is_none();
    let lacks_tayga = config.nat64.is_some() && facts.tayga.is_none();
    let missing = [
        lacks_dnsmasq.then_some(ProgramName::Dnsmasq),
        lacks_nginx.then_some(ProgramName::Nginx),
        lacks_tayga.then_some(ProgramName::Tayga),
    ];
    missing.into_iter().flatten().collect()
}

/// Returns the programs that are wanted and installed.
fn programs(
    config: &Config,
    facts: &Facts,
    addresses: &BTreeSet<IpAddr>,
    standing: &State,
) -> Result<BTreeMap<ProgramName, Program>, AddressingError> {
    let identity = addressing::loopback(&config.mesh, config.mesh.host_id)?;
    let dnsmasq = dnsmasq::render(config, facts, identity, &foreign_names(config, facts, standing));
    let dnsmasq = dnsmasq.map(|program| (ProgramName::Dnsmasq, program));
    let services = services(config, facts, addresses, standing);
    let services = services.map(|program| (ProgramName::Nginx, program));
    let tayga = tayga::render(config, facts, identity).map(|program| (ProgramName::Tayga, program));
    Ok(dnsmasq.into_iter().chain(services).chain(tayga).collect())
}

/// Returns the names outside the mesh's domain that its records are about: before they are known, those that stand.
fn foreign_names(config: &Config, facts: &Facts, standing: &State) -> BTreeSet<DomainName> {
    let by_dnsmasq =
        || standing.programs.get(&ProgramName::Dnsmasq).map(|program| dnsmasq::names_of(config, program));
    let by_uci = || standing.uci.as_ref().map(|standing| uci::names_of(config, standing));
    facts.foreign_names.clone().or_else(by_dnsmasq).or_else(by_uci).unwrap_or_default()
}

fn services(
    config: &Config,
    facts: &Facts,
    addresses: &BTreeSet<IpAddr>,
    standing: &State,
) -> Option<Program> {
    if config.services.is_empty() {
        return None;
    }
    // Until upstreams were asked for once, those of an earlier start of the agent are better than none.
    let of_before = standing.programs.get(&ProgramName::Nginx).filter(|_| !facts.upstreams.is_settled);
    if let Some(program) = of_before {
        return Some(Program { is_running: true, ..program.clone() });
    }
    let nginx = facts.nginx.as_ref()?;
    nginx::render(&config.services, nginx::Router { nginx, addresses, upstreams: &facts.upstreams })
}

fn files(mesh: &MeshConfig) -> BTreeMap<PathBuf, ManagedFile> {
    BTreeMap::from([
        (PathBuf::from(TABLES_PATH), iproute2::name(mesh.route_table)),
        (PathBuf::from(PROTOCOLS_PATH), iproute2::name(mesh.route_protocol.into())),
    ])
}
