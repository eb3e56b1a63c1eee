//! Puts what the agent knows into the reports that are shown: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ospf_lite::bfd::io::SessionView;
use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::io::Reachability;
use ospf_lite::ospf::neighbor::{HelpReason, NeighborState};
use ospf_lite::ospf::refusal::Refusal;
use vxlan::wireguard::PeerStatus;

use super::engine_view::{EngineView, NeighborSeen, address_family};
use crate::addressing;
use crate::config::{Config, HostId, LinkConfig};
use crate::control::apply_report::{HistoryReport, PlanReport, WindowReport};
use crate::control::report::{
    AddressFamily, BfdReport, FarEnd, HopReport, KeptReport, LanReport, LinkCounters, LinkReport,
    Nat64Report, NeighborReport, NeighborsReport, RouteReport, RouterReport, Status,
};
use crate::control::service_report::ServicesReport;
use crate::names::zones::Conflict;
use crate::plan::Plan;
use crate::problems::{self, LinkFacts, NeighborFacts, Repaired, refusals};
use crate::render::{nftables, uci};
use crate::round_trips::LinkQuality;
use crate::routing::{family_of, gateway};
use crate::state::State;
use crate::state::facts::{Facts, WireGuardKind};
use crate::state::program::ProgramName;
use crate::state::route::RouteKey;
use crate::store::history::History;
use crate::topology::dotted;

/// What is said of a neighbor's state where no engine can be asked.
const STATE_UNKNOWN: &str = "?";
/// What is said of a neighbor that is not heard.
const STATE_DOWN: &str = "Down";

/// Everything but the engines' knowledge, at one moment.
#[derive(Debug, Clone)]
pub struct AgentView {
    /// Seconds since the agent started; none when no agent runs.
    pub uptime_seconds: Option<u64>,
    /// The configuration in force, with the MTUs in use.
    pub config: Config,
    /// The MTUs the configuration asks for where others are in use.
    pub mtu_configured: BTreeMap<HostId, u16>,
    /// Whether other routers' traffic is kept away.
    pub is_drained: bool,
    /// The errors of the configuration on disk.
    pub config_errors: Vec<String>,
    /// What was found on the router.
    pub facts: Option<Facts>,
    /// The system as last known.
    pub known: State,
    /// What WireGuard says of the neighbors.
    pub peers: BTreeMap<HostId, PeerStatus>,
    /// Why endpoints' names have no address.
    pub resolve_errors: BTreeMap<HostId, String>,
    /// What each interface refused lately.
    pub refused: BTreeMap<InterfaceId, BTreeSet<Refusal>>,
    /// How services stand.
    pub services: ServicesReport,
    /// The last repair of drift.
    pub repaired: Option<Repaired>,
    /// Why the last plan could not be made or applied.
    pub apply_failure: Option<String>,
    /// The programs that cannot be brought about, and why.
    pub program_errors: BTreeMap<ProgramName, String>,
    /// The places in our table that other programs' routes have.
    pub occupied: BTreeSet<RouteKey>,
    /// What echoes over each link came to.
    pub qualities: BTreeMap<HostId, LinkQuality>,
    /// The apply that waits to be confirmed.
    pub window: Option<WindowReport>,
    /// What routers claim about names and do not have.
    pub name_conflicts: BTreeSet<Conflict>,
    /// Where the name server cannot listen.
    pub name_server_refused: BTreeMap<SocketAddr, String>,
}

impl AgentView {
    /// Returns the names of this router and of the configured neighbors.
    pub fn names(&self) -> BTreeMap<RouterId, String> {
        names(&self.config)
    }
}

/// Returns the names of this router and of the configured neighbors.
pub fn names(config: &Config) -> BTreeMap<RouterId, String> {
    let own = (addressing::router_id(config.mesh.host_id), config.mesh.name.clone());
    let links = config.links.iter().map(|link| (addressing::router_id(link.host_id), link.name.clone()));
    std::iter::once(own).chain(links).collect()
}

/// Returns a plan as it is shown; `ospf` says what changes there.
pub fn plan(plan: &Plan, ospf: Vec<String>) -> PlanReport {
    PlanReport {
        steps: plan.steps().len() + ospf.len(),
        text: ospf.iter().fold(plan.to_string(), |text, line| text + line + "\n"),
        // A plan that cannot be said in JSON is still said in words.
        plan: serde_json::to_value(plan).unwrap_or_default(),
        ospf,
    }
}

/// Returns the one screen.
pub fn status(agent: &AgentView, engine: Option<&EngineView>) -> Status {
    let mesh = &agent.config.mesh;
    let loopbacks = addressing::loopback(mesh, mesh.host_id);
    let routers = engine.map_or(&[][..], |engine| &engine.topology.routers);
    let is_reachable = |router: &&RouterReport| !router.reachable.is_empty();
    Status {
        restart_seconds_left: engine.and_then(|engine| engine.restart_left).map(|left| left.as_secs()),
        agent_running: agent.uptime_seconds.is_some(),
        drained: agent.is_drained,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: agent.uptime_seconds,
        name: mesh.name.clone(),
        host_id: mesh.host_id.0,
        domain: mesh.domain.clone(),
        loopbacks: loopbacks.map(|own| vec![IpAddr::V6(own.ipv6), IpAddr::V4(own.ipv4)]).unwrap_or_default(),
        wireguard: match agent.facts.as_ref().map(|facts| facts.wireguard) {
            Some(WireGuardKind::Kernel) => "kernel",
            Some(WireGuardKind::Embedded) => "embedded",
            None => "unknown",
        }
        .to_owned(),
        routers: routers.len(),
        routers_reachable: routers.iter().filter(is_reachable).count(),
        problems: engine.map(|engine| problems::find(&problem_facts(agent, engine))).unwrap_or_default(),
        links: links(agent, engine),
        lans: lans(agent),
        nat64: agent.config.nat64.map(|nat64| Nat64Report {
            prefix: agent.config.names.dns64_prefix,
            pool: nat64.pool,
            running: agent.known.programs.get(&ProgramName::Tayga).is_some_and(|tayga| tayga.is_running),
        }),
        routes_ipv6: learned_routes(&agent.known, Family::Ipv6),
        routes_ipv4: learned_routes(&agent.known, Family::Ipv4),
    }
}

fn learned_routes(known: &State, family: Family) -> usize {
    known.routes.keys().filter(|key| key.is_learned() && family_of(&key.prefix) == family).count()
}

fn lans(agent: &AgentView) -> Vec<LanReport> {
    let report = |lan: &crate::config::LanConfig| LanReport {
        name: lan.name.clone(),
        device: lan.device.to_string(),
        present: agent
            .facts
            .as_ref()
            .is_some_and(|facts| facts.lans.get(&lan.name).is_some_and(|found| found.exists)),
        prefixes: agent
            .facts
            .as_ref()
            .map(|facts| facts.lan_prefixes(lan).into_iter().map(|(_, prefix)| prefix).collect())
            .unwrap_or_default(),
    };
    agent.config.lans.iter().map(report).collect()
}

/// Returns every configured link.
pub fn links(agent: &AgentView, engine: Option<&EngineView>) -> Vec<LinkReport> {
    agent.config.links.iter().map(|link| link_report(agent, engine, link)).collect()
}

fn link_report(agent: &AgentView, engine: Option<&EngineView>, link: &LinkConfig) -> LinkReport {
    let device = addressing::link_device(link.host_id);
    let quality = agent.qualities.get(&link.host_id).copied().unwrap_or_default();
    let peer = agent.peers.get(&link.host_id).copied().unwrap_or_default();
    let state = |family| match engine {
        Some(engine) => neighbor(engine, link, family).map_or_else(|| STATE_DOWN.to_owned(), state_of),
        None => STATE_UNKNOWN.to_owned(),
    };
    LinkReport {
        name: link.name.clone(),
        host_id: link.host_id.0,
        up: device.as_ref().and_then(|device| agent.known.links.get(device)).is_some_and(|seen| seen.up),
        device: device.map(|device| device.to_string()).unwrap_or_default(),
        endpoint_configured: link.endpoint.as_ref().map(ToString::to_string),
        endpoint: peer.endpoint.map(|endpoint| endpoint.to_string()),
        handshake_seconds: peer.handshake_age.map(|age| age.as_secs()),
        received_octets: peer.rx_bytes,
        sent_octets: peer.tx_bytes,
        state_ipv6: state(Family::Ipv6),
        state_ipv4: state(Family::Ipv4),
        bfd_wanted: link.bfd,
        bfd: engine
            .and_then(|engine| engine.sessions.get(&addressing::link_interface_id(link)))
            .map(|(session, seconds)| bfd_report(session, *seconds)),
        cost: link.cost.get(),
        cost_back: engine.and_then(|engine| cost_back(agent, engine, link)),
        mtu: link.mtu,
        auto_cost: link.auto_cost,
        round_trip_micros: quality.round_trip_micros,
        echoes: quality.echoes,
        echoes_lost: quality.echoes_lost,
    }
}

fn bfd_report(session: &SessionView, since_seconds: u64) -> BfdReport {
    let micros = |interval: Duration| u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
    BfdReport {
        state: session.state.to_string(),
        remote_state: session.remote_state.to_string(),
        since_seconds,
        far_end: match session.reachability {
            Reachability::Reachable => FarEnd::Reachable,
            Reachability::Forwarding => FarEnd::Forwarding,
            Reachability::Unreachable => FarEnd::Unreachable,
        },
        was_up: session.was_up,
        ups: session.ups,
        detection_micros: micros(session.detection_time),
        transmit_micros: session.transmit_interval.map(micros),
        diagnostic: session.diagnostic.to_string(),
        remote_diagnostic: session.remote_diagnostic.to_string(),
        sent: session.sent,
        received: session.received,
        refused: session.refusals.iter().map(|(refusal, count)| (refusal.to_string(), count)).collect(),
    }
}

fn neighbor<'a>(engine: &'a EngineView, link: &LinkConfig, family: Family) -> Option<&'a NeighborSeen> {
    let interface = addressing::link_interface_id(link);
    engine.neighbors.iter().find(|seen| seen.interface == interface && seen.family == family)
}

fn cost_back(agent: &AgentView, engine: &EngineView, link: &LinkConfig) -> Option<u16> {
    let own = dotted(addressing::router_id(agent.config.mesh.host_id));
    let far = dotted(addressing::router_id(link.host_id));
    let edge = engine.topology.links.iter().find(|edge| (edge.a, edge.b) == (own.min(far), own.max(far)))?;
    AddressFamily::BOTH.iter().find_map(|family| {
        let costs = edge.costs(*family);
        if own == edge.a { costs.b_to_a } else { costs.a_to_b }
    })
}

/// Returns every neighbor heard, and what was refused on the links.
pub fn neighbors(agent: &AgentView, engine: &EngineView) -> NeighborsReport {
    let links = agent.config.links.iter().map(|link| link_counters(agent, engine, link));
    NeighborsReport { neighbors: neighbors_heard(engine), links: links.collect() }
}

fn link_counters(agent: &AgentView, engine: &EngineView, link: &LinkConfig) -> LinkCounters {
    let id = addressing::link_interface_id(link);
    let (packets, refused) = engine.counters.get(&id).cloned().unwrap_or_default();
    let count = |refusal: &Refusal| refused.get(refusal).copied().unwrap_or_default();
    let recent = agent.refused.get(&id).into_iter().flatten();
    let device = addressing::link_device(link.host_id);
    LinkCounters {
        device: device.map(|device| device.to_string()).unwrap_or_default(),
        name: link.name.clone(),
        sent: packets.sent,
        send_errors: packets.send_errors,
        received: packets.received,
        implausible: packets.implausible,
        foreign_instance: packets.foreign_instance,
        pauses: packets.pauses,
        refused: Refusal::ALL.iter().map(|kind| (kind.name().to_owned(), count(kind))).collect(),
        notes: recent.filter_map(|kind| refusals::note(*kind, count(kind))).collect(),
    }
}

/// Returns a neighbor's state, and whether its link counts though it is not Full.
fn state_of(neighbor: &NeighborSeen) -> String {
    let is_kept = neighbor.help.is_some() && neighbor.state != NeighborState::Full;
    if is_kept { format!("{}, kept", neighbor.state) } else { neighbor.state.to_string() }
}

const fn kept(why: HelpReason) -> &'static str {
    match why {
        HelpReason::Announced => "announced",
        HelpReason::Forwarding => "forwarding",
        HelpReason::Resuming => "resuming",
    }
}

fn neighbors_heard(engine: &EngineView) -> Vec<NeighborReport> {
    let report = |seen: &NeighborSeen| NeighborReport {
        family: address_family(seen.family),
        device: seen.device.clone(),
        router_id: dotted(seen.router_id),
        name: router(engine, seen.router_id).and_then(|router| router.name.clone()),
        state: seen.state.to_string(),
        bfd: engine.sessions.get(&seen.interface).map(|(session, _)| session.state.to_string()),
        address: seen.address,
        is_dlan: engine.dlan_routers.contains(&seen.router_id),
        dead_in_seconds: Some(seen.dead_in.as_secs()),
        kept: seen
            .help
            .map(|(why, left)| KeptReport { why: kept(why).to_owned(), seconds_left: left.as_secs() }),
        key: seen.sa_id,
        retransmissions: seen.retransmissions,
    };
    engine.neighbors.iter().map(report).collect()
}

/// Returns the routes of both families.
pub fn routes(agent: &AgentView, engine: &EngineView) -> Vec<RouteReport> {
    let label = |id: RouterId| router(engine, id).map_or_else(|| id.to_string(), RouterReport::label);
    let device = |interface: InterfaceId| {
        let link = agent.config.links.iter().find(|link| addressing::link_interface_id(link) == interface);
        link.and_then(|link| addressing::link_device(link.host_id)).map(|device| device.to_string())
    };
    let report = |(prefix, route): (&ipnet::IpNet, &ospf_lite::io::Route)| RouteReport {
        prefix: *prefix,
        distance: route.distance.0,
        via: route
            .next_hops
            .iter()
            .filter_map(|hop| {
                Some(HopReport {
                    device: device(hop.interface)?,
                    neighbor: label(hop.neighbor),
                    gateway: gateway(family_of(prefix), hop, &engine.dlan_routers)?,
                })
            })
            .collect(),
        advertising: route.advertising.iter().map(|id| label(*id)).collect(),
    };
    engine.routes().map(report).collect()
}

pub(super) fn router(engine: &EngineView, id: RouterId) -> Option<&RouterReport> {
    engine.topology.routers.iter().find(|router| router.router_id == dotted(id))
}

fn problem_facts(agent: &AgentView, engine: &EngineView) -> problems::Facts {
    let mesh = &agent.config.mesh;
    let facts = agent.facts.as_ref();
    problems::Facts {
        router_id: dotted(addressing::router_id(mesh.host_id)),
        uptime_seconds: agent.uptime_seconds.unwrap_or_default(),
        config_errors: agent.config_errors.clone(),
        holds_private: agent.known.ruleset.as_ref().is_some_and(nftables::holds_private),
        embedded_wireguard: facts.is_some_and(|facts| facts.wireguard == WireGuardKind::Embedded),
        repaired: agent.repaired.clone(),
        apply_failure: agent.apply_failure.clone(),
        programs_missing: facts
            .map(|facts| crate::desired::programs_missing(&agent.config, facts))
            .unwrap_or_default(),
        unserved: facts.map(|facts| uci::unserved(&agent.config, facts)).unwrap_or_default(),
        program_errors: agent.program_errors.clone(),
        occupied: agent.occupied.clone(),
        window: agent.window.as_ref().map(|window| window.text.clone()),
        links: agent.config.links.iter().map(|link| link_facts(agent, engine, link)).collect(),
        lans: facts.map(|facts| crate::desired::lan_prefixes(&agent.config, facts)).unwrap_or_default(),
        topology: engine.topology.clone(),
        declared: engine.declared.clone(),
        name_conflicts: agent.name_conflicts.clone(),
        name_server_refused: agent.name_server_refused.clone(),
        services: agent.services.clone(),
        contradictions: super::zones_view::contradictions(engine),
    }
}

fn link_facts(agent: &AgentView, engine: &EngineView, link: &LinkConfig) -> LinkFacts {
    let report = link_report(agent, Some(engine), link);
    let interface = addressing::link_interface_id(link);
    let neighbors = engine.neighbors.iter().filter(|seen| seen.interface == interface);
    LinkFacts {
        name: report.name,
        host_id: report.host_id,
        device: report.device,
        up: report.up,
        endpoint: report.endpoint_configured,
        resolve_error: agent.resolve_errors.get(&link.host_id).cloned(),
        handshake_seconds: report.handshake_seconds,
        mtu: link.mtu,
        mtu_configured: agent.mtu_configured.get(&link.host_id).copied(),
        cost: report.cost,
        hello_seconds: link.hello_interval.as_secs(),
        dead_seconds: link.dead_interval.as_secs(),
        neighbors: neighbors
            .map(|seen| NeighborFacts {
                family: seen.family,
                router_id: dotted(seen.router_id),
                state: seen.state,
                mtu_mismatch: seen.mtu_mismatch,
                key: seen.sa_id,
            })
            .collect(),
        flaps: engine.flaps.get(&interface).copied(),
        bfd: report.bfd,
        key: agent.config.ospf_keys.first().map(|key| key.id),
        refused: agent.refused.get(&interface).cloned().unwrap_or_default(),
    }
}

/// Returns the last applies, the oldest first.
pub fn history(history: &History) -> Vec<HistoryReport> {
    let entries = history.entries.iter();
    entries
        .map(|entry| HistoryReport {
            number: entry.number,
            time: entry.time,
            by: entry.by.clone(),
            outcome: entry.outcome.to_string(),
            in_force: entry.was_in_force(),
            diff: history.diff(entry.number).unwrap_or_default(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
