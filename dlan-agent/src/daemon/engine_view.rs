//! Reads what the two engines know into values of the agent: the only place that looks into them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use ospf_lite::bfd::io::SessionView;
use ospf_lite::driver::{Engines, SocketCounters};
use ospf_lite::engine::Engine;
use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::io::Route;
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody, LsaHeader, MAX_AGE, RestartReason};
use ospf_lite::ospf::neighbor::{HelpReason, NeighborState};
use ospf_lite::ospf::refusal::Refusal;
use ospf_lite::ospf::route::RouteTable;
use ospf_lite::query::MtuMismatch;

use crate::control::report::{AddressFamily, LsaReport, Topology};
use crate::names::announcement::{Announcement, NAMES};
use crate::router_information::{ROUTER_INFORMATION, RouterInformation};
use crate::routing::EngineRoutes;
use crate::topology::{TopologyBuilder, dotted};
use crate::zones::announcement::ZONES;
use crate::zones::{self, Announced};

/// What both engines know, but for the LSAs one by one.
#[derive(Debug, Clone)]
pub struct EngineView {
    /// The mesh.
    pub topology: Topology,
    /// The neighbors of both families.
    pub neighbors: Vec<NeighborSeen>,
    /// What became of the packets of each interface, and what was refused, both families added.
    pub counters: BTreeMap<InterfaceId, (SocketCounters, BTreeMap<Refusal, u64>)>,
    /// How many times in a row the links were lost that are left alone for that.
    pub flaps: BTreeMap<InterfaceId, u8>,
    /// The BFD sessions, with how many seconds ago each last changed its state.
    pub sessions: BTreeMap<InterfaceId, (SessionView, u64)>,
    /// The neighbors that each dlan router has links configured to, where it tells.
    pub declared: Vec<(Ipv4Addr, BTreeSet<u16>)>,
    /// The routes of both families, IPv6 first.
    pub tables: [RouteTable; 2],
    /// What routers say of the zones of their prefixes.
    pub zones: Announced,
    /// The routers whose router information is in the database.
    pub dlan_routers: BTreeSet<RouterId>,
    /// How long this router's own restart may take still.
    pub restart_left: Option<Duration>,
}

impl EngineView {
    /// Returns the routes of both families by their prefixes, IPv6 first.
    pub fn routes(&self) -> impl Iterator<Item = (&IpNet, &Route)> {
        self.tables.iter().flat_map(RouteTable::iter)
    }
}

/// A neighbor in one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighborSeen {
    /// The family.
    pub family: Family,
    /// The interface it is heard on.
    pub interface: InterfaceId,
    /// The device of the interface.
    pub device: String,
    /// Its Router ID.
    pub router_id: RouterId,
    /// Its state.
    pub state: NeighborState,
    /// The source of its packets.
    pub address: Ipv6Addr,
    /// How long until it counts as dead.
    pub dead_in: Duration,
    /// Why its link counts whatever its state, and for how long still.
    pub help: Option<(HelpReason, Duration)>,
    /// The MTUs of both ends, when they differ.
    pub mtu_mismatch: Option<MtuMismatch>,
    /// The SA ID of the key it signs with.
    pub sa_id: Option<u16>,
    /// LSAs it has not acknowledged.
    pub retransmissions: usize,
}

/// Returns the routes and what it takes to read them: little enough to do it at each change.
pub fn read_routes(engines: &Engines) -> EngineRoutes {
    let (dlan_routers, zones) = told_by_routers(engines);
    EngineRoutes {
        tables: tables(engines),
        adjacent: [&engines.ipv6, &engines.ipv4].map(|engine| engine.adjacent().collect()),
        dlan_routers,
        zones,
        complete: engines.ipv6.has_database() && engines.ipv4.has_database(),
        settled: engines.ipv6.is_settled() && engines.ipv4.is_settled(),
    }
}

/// Returns whether the neighbor on an interface is Full in both families.
pub fn is_full(engines: &Engines, id: InterfaceId) -> bool {
    families(engines).all(|(_, engine)| {
        engine.neighbors().any(|seen| seen.interface == id && seen.state == NeighborState::Full)
    })
}

/// Signs of trouble, cheap enough to be looked for every few seconds.
#[derive(Debug, Clone)]
pub struct Signs {
    /// What each interface refused since the start, both families added.
    pub refusals: BTreeMap<(InterfaceId, Refusal), u64>,
    /// The links whose ends have different MTUs.
    pub mtu_mismatches: BTreeMap<InterfaceId, MtuMismatch>,
}

/// Returns the signs of trouble.
pub fn read_signs(engines: &Engines) -> Signs {
    let mut refusals = BTreeMap::new();
    let mut mtu_mismatches = BTreeMap::new();
    for (_, engine) in families(engines) {
        for (interface, refusal, count) in engine.refusals() {
            *refusals.entry((interface, refusal)).or_insert(0) += count;
        }
        let mismatch =
            |neighbor: ospf_lite::query::NeighborView<'_>| Some((neighbor.interface, neighbor.mtu_mismatch?));
        mtu_mismatches.extend(engine.neighbors().filter_map(mismatch));
    }
    Signs { refusals, mtu_mismatches }
}

/// Returns everything but the LSAs one by one. `names` are those of the configuration.
pub fn read(engines: &Engines, names: &BTreeMap<RouterId, String>) -> EngineView {
    let mut topology = TopologyBuilder::new(engines.ipv6.config().router_id, names);
    let mut neighbors = Vec::new();
    let mut declared = BTreeMap::new();
    for (family, engine) in families(engines) {
        for (_, lsa) in living(engine) {
            topology.add(address_family(family), lsa);
            if let Some(links) = RouterInformation::decode(lsa).and_then(|information| information.links) {
                let router = dotted(lsa.header().key.advertising_router);
                declared.insert(router, links.into_iter().collect::<BTreeSet<u16>>());
            }
        }
        neighbors.extend(engine.neighbors().map(|neighbor| NeighborSeen {
            family,
            interface: neighbor.interface,
            device: neighbor.interface_name.to_owned(),
            router_id: neighbor.router_id,
            state: neighbor.state,
            address: neighbor.link_local,
            dead_in: neighbor.dead_in,
            help: neighbor.help,
            mtu_mismatch: neighbor.mtu_mismatch,
            sa_id: neighbor.sa_id,
            retransmissions: neighbor.retransmissions,
        }));
    }
    let (dlan_routers, zones) = told_by_routers(engines);
    EngineView {
        topology: topology.finish(),
        neighbors,
        counters: counters(engines),
        flaps: flaps(engines),
        sessions: engines
            .sessions()
            .into_iter()
            .map(|(id, session)| {
                let seconds = engines.now.since(session.since).as_secs();
                (id, (session, seconds))
            })
            .collect(),
        declared: declared.into_iter().collect(),
        tables: tables(engines),
        zones,
        dlan_routers,
        restart_left: families(engines).filter_map(|(_, engine)| engine.restart_left()).max(),
    }
}

fn counters(engines: &Engines) -> BTreeMap<InterfaceId, (SocketCounters, BTreeMap<Refusal, u64>)> {
    let mut counters = BTreeMap::new();
    for (_, engine) in families(engines) {
        for interface in engine.interfaces() {
            let id = interface.config.id;
            let Some((_, packets)) = engines.device(id) else { continue };
            let (_, refusals) = counters.entry(id).or_insert_with(|| (packets, BTreeMap::new()));
            for (refusal, count) in interface.refusals.iter() {
                *refusals.entry(refusal).or_default() += count;
            }
        }
    }
    counters
}

fn flaps(engines: &Engines) -> BTreeMap<InterfaceId, u8> {
    let interfaces = families(engines).flat_map(|(_, engine)| engine.interfaces());
    interfaces.filter_map(|interface| Some((interface.config.id, interface.flaps?))).collect()
}

/// Returns the LSAs of both databases.
pub fn read_lsdb(engines: &Engines, names: &BTreeMap<RouterId, String>) -> Vec<LsaReport> {
    let mut known = names.clone();
    for (_, engine) in families(engines) {
        for (header, lsa) in living(engine) {
            if let Some(information) = RouterInformation::decode(lsa) {
                known.insert(header.key.advertising_router, information.name);
            }
        }
    }
    let reports = families(engines).flat_map(|(family, engine)| {
        engine
            .database()
            .map(|view| lsa_report(address_family(family), view.header, view.lsa, &known))
            .collect::<Vec<_>>()
    });
    reports.collect()
}

/// Returns a family in the form of the reports.
pub const fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::Ipv6 => AddressFamily::Ipv6,
        Family::Ipv4 => AddressFamily::Ipv4,
    }
}

fn families(engines: &Engines) -> impl Iterator<Item = (Family, &Engine)> {
    [Family::Ipv6, Family::Ipv4].into_iter().map(|family| (family, engines.of(family)))
}

/// Returns the routes of both families, which are shared and not copied.
fn tables(engines: &Engines) -> [RouteTable; 2] {
    [&engines.ipv6, &engines.ipv4].map(|engine| engine.routes().clone())
}

/// Returns the LSAs that are not being flushed, with their headers.
fn living(engine: &Engine) -> impl Iterator<Item = (LsaHeader, &Lsa)> {
    engine.database().filter(|view| view.header.age < MAX_AGE).map(|view| (view.header, view.lsa.as_ref()))
}

/// Returns the LSAs in which routers tell about names, those of the IPv6 family first.
pub fn announcements(engines: &Engines) -> impl Iterator<Item = &Arc<Lsa>> {
    [&engines.ipv6, &engines.ipv4].into_iter().flat_map(|engine| {
        let own = engine.config().router_id;
        engine.living_of(NAMES).filter(move |lsa| lsa.header().key.advertising_router != own)
    })
}

/// Returns the dlan routers, and what routers say of the zones of their prefixes. The type alone marks a dlan router.
fn told_by_routers(engines: &Engines) -> (BTreeSet<RouterId>, Announced) {
    let (mut dlan_routers, mut announced) = (BTreeSet::new(), Announced::new());
    for (_, engine) in families(engines) {
        let router = |lsa: &Lsa| lsa.header().key.advertising_router;
        dlan_routers.extend(engine.living_of(ROUTER_INFORMATION).map(|lsa| router(lsa)));
        for lsa in engine.living_of(ZONES) {
            for (zone, prefixes) in zones::announcement::decode(lsa).unwrap_or_default() {
                for prefix in prefixes {
                    announced.entry((router(lsa), prefix)).or_default().insert(zone.clone());
                }
            }
        }
    }
    (dlan_routers, announced)
}

fn lsa_report(
    family: AddressFamily,
    header: LsaHeader,
    lsa: &Lsa,
    names: &BTreeMap<RouterId, String>,
) -> LsaReport {
    let key = header.key;
    LsaReport {
        family,
        ls_type: type_name(key.ls_type),
        link_state_id: Ipv4Addr::from(key.link_state_id.0),
        advertising_router: dotted(key.advertising_router),
        name: names.get(&key.advertising_router).cloned(),
        sequence: format!("{:08x}", header.sequence.0),
        age: header.age,
        length: header.length,
        content: content(lsa, names),
    }
}

fn type_name(ls_type: LsType) -> String {
    let name = match ls_type {
        LsType::ROUTER => "Router",
        LsType::NETWORK => "Network",
        LsType::INTER_AREA_PREFIX => "Inter-Area-Prefix",
        LsType::INTER_AREA_ROUTER => "Inter-Area-Router",
        LsType::AS_EXTERNAL => "AS-External",
        LsType::LINK => "Link",
        LsType::INTRA_AREA_PREFIX => "Intra-Area-Prefix",
        LsType::GRACE => "Grace",
        ROUTER_INFORMATION => "dlan router",
        NAMES => "dlan names",
        ZONES => "dlan zones",
        other => return format!("0x{:04X}", other.bits()),
    };
    name.to_owned()
}

/// Says what an LSA says in one line.
fn content(lsa: &Lsa, names: &BTreeMap<RouterId, String>) -> String {
    let label = |id: RouterId| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
    match lsa.body() {
        LsaBody::Router(body) => {
            let links = body.links.iter();
            joined(links.map(|link| format!("to {} cost {}", label(link.neighbor_router_id), link.metric)))
        }
        LsaBody::Network(body) => joined(body.attached_routers.iter().map(|router| label(*router))),
        LsaBody::InterAreaPrefix(body) => format!("{} metric {}", body.prefix.net, body.metric),
        LsaBody::InterAreaRouter(body) => format!("{} metric {}", label(body.destination), body.metric),
        LsaBody::AsExternal(body) => format!("{} metric {}", body.prefix.net, body.metric),
        LsaBody::Link(body) => {
            let prefixes = body.prefixes.iter().map(|prefix| prefix.net.to_string());
            joined(std::iter::once(body.address.to_string()).chain(prefixes))
        }
        LsaBody::IntraAreaPrefix(body) => {
            joined(body.prefixes.iter().map(|(prefix, metric)| format!("{} metric {metric}", prefix.net)))
        }
        LsaBody::Grace(body) => format!("{} s, {}", body.period, reason(body.reason)),
        LsaBody::Unknown(octets) => match RouterInformation::decode(lsa) {
            Some(information) => {
                format!("{} {} host id {}", information.name, information.version, information.host_id)
            }
            None => announced(lsa)
                .or_else(|| zones_told(lsa))
                .unwrap_or_else(|| format!("{} octets", octets.len())),
        },
    }
}

/// Says what a part of an announcement says.
fn announced(lsa: &Lsa) -> Option<String> {
    let told = Announcement::decode(lsa)?.ok()?;
    let zones = told.zones.iter().map(|zone| format!("zone {zone}"));
    let reverse = told.reverse.iter().map(|prefix| format!("reverse {prefix}"));
    let records = told.records.iter().map(|record| format!("{} {}", record.name, record.data.type_name()));
    Some(joined(zones.chain(reverse).chain(records)))
}

fn zones_told(lsa: &Lsa) -> Option<String> {
    let of_zone = |(zone, prefixes): (&String, &BTreeSet<IpNet>)| {
        let prefixes: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
        format!("{zone} {}", prefixes.join(" "))
    };
    zones::announcement::decode(lsa).map(|zones| joined(zones.iter().map(of_zone)))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

const fn reason(reason: RestartReason) -> &'static str {
    match reason {
        RestartReason::Unknown => "reason unknown",
        RestartReason::SoftwareRestart => "software restart",
        RestartReason::SoftwareReload => "software upgrade",
        RestartReason::RedundantProcessor => "another processor",
        RestartReason::Other(_) => "another reason",
    }
}
