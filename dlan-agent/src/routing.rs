//! Between the router's configuration and its OSPF engines: which interfaces they have, and what their routes mean to the
//! kernel. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use ospf_lite::config::{
    AdvertisedPrefix, InterfaceConfig, InterfaceKind, PointToPointConfig, SecurityAssociation,
};
use ospf_lite::driver::{BfdConfig, DeviceInterface};
use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::io::NextHop;
use ospf_lite::ospf::route::RouteTable;
use vxlan::link::LinkName;

use crate::addressing::{self, AddressingError, LinkAddressing};
use crate::config::{Config, LinkConfig, MeshConfig, OspfKeyConfig};
use crate::desired::{self, RoutingInput};
use crate::learned::Learned;
use crate::next_hops::Ways;
use crate::state::LOOPBACK_DEVICE;
use crate::state::facts::Facts;
use crate::state::route::RouteHop;
use crate::zones::{self, Announced, FarZones};

/// InfTransDelay: what an LSA ages on a link, at least a second by the standard.
const INF_TRANS_DELAY: Duration = Duration::from_secs(1);

/// An interface as both engines shall have it, before the kernel has said which number its device has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedInterface {
    /// The device.
    pub device: LinkName,
    /// For the IPv6 family.
    pub ipv6: InterfaceConfig,
    /// For the IPv4 family.
    pub ipv4: InterfaceConfig,
    /// How the far end is watched, for both families.
    pub bfd: Option<BfdConfig>,
}

impl WantedInterface {
    /// Returns the interface on the device of this number.
    fn on(&self, ifindex: u32) -> DeviceInterface {
        DeviceInterface {
            ifindex,
            name: self.device.to_string(),
            ipv6: self.ipv6.clone(),
            ipv4: self.ipv4.clone(),
            bfd: self.bfd,
        }
    }

    /// Returns whether the interface on the device of this number is what was told.
    fn is_told(&self, told: &DeviceInterface, ifindex: u32) -> bool {
        let is_same_device = told.ifindex == ifindex && told.name == self.device.as_str();
        is_same_device && told.ipv6 == self.ipv6 && told.ipv4 == self.ipv4 && told.bfd == self.bfd
    }
}

/// The interfaces that both engines shall have.
pub type WantedInterfaces = BTreeMap<InterfaceId, WantedInterface>;

/// Returns the interfaces: the links, the LANs that are there, and the loopback identity.
pub fn interfaces(config: &Config, facts: &Facts) -> Result<WantedInterfaces, AddressingError> {
    let mesh = &config.mesh;
    let association = |key: &OspfKeyConfig| {
        let secret = facts.ospf_secrets.get(&key.id)?.clone();
        Some(SecurityAssociation { id: key.id, algorithm: key.algorithm, key: secret })
    };
    let authentication: Vec<SecurityAssociation> = config.ospf_keys.iter().filter_map(association).collect();
    let mut wanted = Vec::new();
    for link in &config.links {
        wanted.push(link_interface(mesh, link, addressing::link(mesh, link.host_id)?, &authentication));
    }
    let identity = addressing::loopback(mesh, mesh.host_id)?.host_prefixes();
    let identity = identity.map(|prefix| AdvertisedPrefix { prefix, metric: 0, local_address: true });
    // What is sent there goes on as IPv4 from here: it is nobody's address, and the nearest such router has it.
    let translated = desired::translated_prefix(config, facts).map(|prefix| AdvertisedPrefix {
        prefix: prefix.into(),
        metric: mesh.lan_metric,
        local_address: false,
    });
    let identity: Vec<AdvertisedPrefix> = identity.into_iter().chain(translated).collect();
    if let Ok(device) = LinkName::new(LOOPBACK_DEVICE) {
        wanted.push(stub(addressing::LOOPBACK_INTERFACE_ID, device, &identity));
    }
    for (index, lan) in config.lans.iter().enumerate() {
        let prefixes: Vec<AdvertisedPrefix> = facts
            .lan_prefixes(lan)
            .into_iter()
            .map(|(_, prefix)| AdvertisedPrefix { prefix, metric: mesh.lan_metric, local_address: false })
            .collect();
        wanted.push(stub(addressing::lan_interface_id(index), lan.device.clone(), &prefixes));
    }
    Ok(wanted.into_iter().map(|interface| (interface.ipv6.id, interface)).collect())
}

fn link_interface(
    mesh: &MeshConfig,
    link: &LinkConfig,
    at: LinkAddressing,
    authentication: &[SecurityAssociation],
) -> WantedInterface {
    let kind = InterfaceKind::PointToPoint(PointToPointConfig {
        cost: link.cost,
        hello_interval: link.hello_interval,
        dead_interval: link.dead_interval,
        rxmt_interval: mesh.rxmt_interval,
        inf_trans_delay: INF_TRANS_DELAY,
        mtu: link.mtu,
        link_local: at.link_local,
        neighbor: Some(addressing::router_id(link.host_id)),
        ipv4_address: at.ipv4.map(|own| own.addr()),
        authentication: authentication.to_vec(),
    });
    // Routers of the predecessor send from their link address, so each /30 must be reachable, at the link's cost.
    let subnet = at.ipv4.map(|own| AdvertisedPrefix {
        prefix: IpNet::V4(own.trunc()),
        metric: link.cost.get(),
        local_address: false,
    });
    let interface = |prefixes| InterfaceConfig {
        id: addressing::link_interface_id(link),
        name: at.device.to_string(),
        prefixes,
        kind: kind.clone(),
    };
    WantedInterface {
        ipv6: interface(Vec::new()),
        ipv4: interface(subnet.into_iter().collect()),
        bfd: link.bfd.then_some(BfdConfig { interval: link.bfd_interval, multiplier: link.bfd_multiplier }),
        device: at.device.clone(),
    }
}

fn stub(id: InterfaceId, device: LinkName, prefixes: &[AdvertisedPrefix]) -> WantedInterface {
    let of = |family| InterfaceConfig {
        id,
        name: device.to_string(),
        prefixes: prefixes
            .iter()
            .copied()
            .filter(|announced| family_of(&announced.prefix) == family)
            .collect(),
        kind: InterfaceKind::Stub,
    };
    WantedInterface { ipv6: of(Family::Ipv6), ipv4: of(Family::Ipv4), bfd: None, device }
}

/// Returns the family a prefix belongs to.
pub const fn family_of(prefix: &IpNet) -> Family {
    match prefix {
        IpNet::V6(_) => Family::Ipv6,
        IpNet::V4(_) => Family::Ipv4,
    }
}

/// Returns what differs between two sets of interfaces, one line each, as a plan shows its steps: what changes in OSPF and
/// leaves the kernel as it is would go unsaid otherwise.
pub fn describe_changes(from: &WantedInterfaces, to: &WantedInterfaces) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, before) in from {
        match to.get(id) {
            None => lines.push(format!("- ospf {}", before.device)),
            Some(after) if after != before => {
                let what = differences(before, after).join(", ");
                lines.push(format!("~ ospf {}: {what}", after.device));
            }
            Some(_) => {}
        }
    }
    let added = to.iter().filter(|(id, _)| !from.contains_key(id));
    lines.extend(added.map(|(_, interface)| format!("+ ospf {}", interface.device)));
    lines
}

fn differences(before: &WantedInterface, after: &WantedInterface) -> Vec<String> {
    let mut said = Vec::new();
    if let (InterfaceKind::PointToPoint(from), InterfaceKind::PointToPoint(to)) =
        (&before.ipv6.kind, &after.ipv6.kind)
    {
        let mut say = |what: &str, from: String, to: String| {
            if from != to {
                said.push(format!("{what} {from} -> {to}"));
            }
        };
        let seconds = |duration: Duration| format!("{} s", duration.as_secs());
        say("cost", from.cost.to_string(), to.cost.to_string());
        say("hello interval", seconds(from.hello_interval), seconds(to.hello_interval));
        say("dead interval", seconds(from.dead_interval), seconds(to.dead_interval));
        say("retransmission interval", seconds(from.rxmt_interval), seconds(to.rxmt_interval));
        say("mtu", from.mtu.to_string(), to.mtu.to_string());
        if from.authentication != to.authentication {
            said.push(authentication(&to.authentication));
        }
    }
    if before.bfd != after.bfd {
        said.push(after.bfd.map_or_else(
            || "without BFD".to_owned(),
            |bfd| format!("BFD {} ms x {}", bfd.interval.as_millis(), bfd.multiplier),
        ));
    }
    let prefixes = |interface: &WantedInterface| -> BTreeSet<String> {
        let all = interface.ipv6.prefixes.iter().chain(&interface.ipv4.prefixes);
        all.map(|announced| format!("{} metric {}", announced.prefix, announced.metric)).collect()
    };
    let (from, to) = (prefixes(before), prefixes(after));
    said.extend(from.difference(&to).map(|prefix| format!("without {prefix}")));
    said.extend(to.difference(&from).map(|prefix| format!("with {prefix}")));
    if before.device != after.device {
        said.push(format!("in place of {}", before.device));
    }
    if said.is_empty() {
        said.push("changed".to_owned());
    }
    said
}

/// Says which keys there are; of an authentication with the same numbers the secrets or algorithms are others.
fn authentication(associations: &[SecurityAssociation]) -> String {
    let ids: Vec<String> = associations.iter().map(|association| association.id.to_string()).collect();
    match ids.as_slice() {
        [] => "no authentication".to_owned(),
        [only] => format!("authentication with key {only}"),
        [first, ..] => format!("authentication: signs with key {first}, accepts {}", ids.join(", ")),
    }
}

/// A device as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSeen {
    /// The kernel's number of the device.
    pub ifindex: u32,
    /// Whether it can carry packets.
    pub up: bool,
}

/// What the engines must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceChange {
    /// An interface is there, or is another than before.
    Configure(Box<DeviceInterface>),
    /// It can carry packets.
    Up(InterfaceId),
    /// It cannot.
    Down(InterfaceId),
    /// It is gone.
    Remove(InterfaceId),
}

/// What the engines have been told of the router's interfaces.
#[derive(Debug, Clone, Default)]
pub struct InterfaceFeed {
    told: BTreeMap<InterfaceId, (DeviceInterface, bool)>,
}

impl InterfaceFeed {
    /// Returns what must be told so that the engines have the wanted interfaces, as far as their devices are there, and
    /// takes it as told.
    pub fn diff(
        &mut self,
        wanted: &WantedInterfaces,
        seen: &BTreeMap<LinkName, DeviceSeen>,
    ) -> Vec<InterfaceChange> {
        let device = |interface: &WantedInterface| seen.get(&interface.device);
        let is_there = |id: &InterfaceId| wanted.get(id).is_some_and(|interface| device(interface).is_some());
        let gone: Vec<InterfaceId> = self.told.keys().filter(|id| !is_there(id)).copied().collect();
        gone.iter().for_each(|id| _ = self.told.remove(id));
        let mut changes: Vec<InterfaceChange> = gone.into_iter().map(InterfaceChange::Remove).collect();
        for (id, interface) in wanted {
            let Some(device) = device(interface) else { continue };
            let told = self.told.get_mut(id);
            let was_up = told.as_ref().is_some_and(|(_, up)| *up);
            match told.filter(|(told, _)| interface.is_told(told, device.ifindex)) {
                Some((_, up)) => *up = device.up,
                None => {
                    let told = interface.on(device.ifindex);
                    changes.push(InterfaceChange::Configure(Box::new(told.clone())));
                    self.told.insert(*id, (told, device.up));
                }
            }
            match (was_up, device.up) {
                (false, true) => changes.push(InterfaceChange::Up(*id)),
                (true, false) => changes.push(InterfaceChange::Down(*id)),
                (true, true) | (false, false) => {}
            }
        }
        changes
    }

    /// Returns what must be told when a device can, or can no longer, carry packets, and takes it as told. Nothing if it is no
    /// interface: others may stand on it.
    pub fn set_up(&mut self, device: &LinkName, up: bool) -> Option<Vec<InterfaceChange>> {
        self.told.values().find(|(told, _)| told.name == device.as_str())?;
        let of_device = self.told.iter_mut().filter(|(_, (told, _))| told.name == device.as_str());
        let changed =
            of_device.filter_map(|(id, (_, is_up))| (std::mem::replace(is_up, up) != up).then_some(*id));
        let change = if up { InterfaceChange::Up } else { InterfaceChange::Down };
        Some(changed.map(change).collect())
    }

    /// Returns the kernel's numbers of devices, as far as they were told.
    pub fn numbers(&self, devices: &BTreeSet<LinkName>) -> BTreeSet<u32> {
        let named = |told: &&DeviceInterface| devices.iter().any(|device| device.as_str() == told.name);
        self.told.values().map(|(told, _)| told).filter(named).map(|told| told.ifindex).collect()
    }

    /// Returns the device behind an interface.
    pub fn device(&self, id: InterfaceId) -> Option<&str> {
        self.told.get(&id).map(|(interface, _)| interface.name.as_str())
    }
}

/// The engines' routes, and what it takes to read them.
#[derive(Debug, Clone, Default)]
pub struct EngineRoutes {
    /// The routes of both families, IPv6 first.
    pub tables: [RouteTable; 2],
    /// The interfaces of both families with an adjacency, IPv6 first.
    pub adjacent: [BTreeSet<InterfaceId>; 2],
    /// The neighbors whose router information is in the database: dlan routers, which route IPv4 over IPv6 next hops.
    pub dlan_routers: BTreeSet<RouterId>,
    /// What routers say of the zones of their prefixes.
    pub zones: Announced,
    /// Whether both families' routes follow from a whole database.
    pub complete: bool,
    /// Whether both families have settled.
    pub settled: bool,
}

/// Returns the routes as the kernel shall have them; this router's own prefixes are left out.
pub fn routing_input(engine: &EngineRoutes, feed: &InterfaceFeed) -> RoutingInput {
    let mut routes = Learned::default();
    let mut known: BTreeSet<Arc<Ways>> = BTreeSet::new();
    let mut outdated = BTreeSet::new();
    let families = [Family::Ipv6, Family::Ipv4].into_iter().zip(&engine.tables);
    for ((family, table), adjacent) in families.zip(&engine.adjacent) {
        let way = |hop: &NextHop| {
            let device = LinkName::new(feed.device(hop.interface)?).ok()?;
            let via = gateway(family, hop, &engine.dlan_routers)?;
            Some(RouteHop { device, via: Some(via) })
        };
        let of = routes.of_mut(family);
        of.places = Arc::clone(table.places());
        for (id, route) in table.routes() {
            let hops: BTreeSet<RouteHop> = route.next_hops.iter().filter_map(way).collect();
            let is_outdated = |hop: &&NextHop| !adjacent.contains(&hop.interface);
            let led = route.next_hops.iter().chain(&*route.alternates).filter(is_outdated);
            outdated.extend(led.filter_map(|hop| LinkName::new(feed.device(hop.interface)?).ok()));
            if hops.is_empty() {
                continue;
            }
            let ways = Ways { hops, alternates: route.alternates.iter().filter_map(way).collect() };
            let ways = known.get(&ways).cloned().unwrap_or_else(|| {
                let ways = Arc::new(ways);
                known.insert(Arc::clone(&ways));
                ways
            });
            of.ways.insert(id, ways);
        }
    }
    let claimed = zones::claimed(&engine.tables, &engine.zones);
    RoutingInput {
        routes,
        learned: BTreeSet::new(),
        zones: FarZones { claimed, standing: None },
        complete: engine.complete,
        settled: engine.settled,
        is_unheard: false,
        outdated,
    }
}

/// Returns where to send packets of a family: to the neighbor's link-local address, or for IPv4 towards a router that is
/// not dlan to its IPv4 address. Nothing when such a router told none.
pub fn gateway(family: Family, hop: &NextHop, dlan_routers: &BTreeSet<RouterId>) -> Option<IpAddr> {
    match family {
        Family::Ipv4 if !dlan_routers.contains(&hop.neighbor) => hop.ipv4.map(IpAddr::V4),
        Family::Ipv4 | Family::Ipv6 => Some(IpAddr::V6(hop.link_local)),
    }
}

#[cfg(test)]
mod tests;
