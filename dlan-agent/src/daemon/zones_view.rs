//! Puts zones and the filter's counters into their report: pure.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use ospf_lite::io::Route;

use super::engine_view::EngineView;
use super::snapshot::{AgentView, router};
use crate::config::service::{self, Transport};
use crate::config::zone::{INTERNAL, Ports, Protocol, WanInput};
use crate::config::{Config, WanConfig};
use crate::control::report::RouterReport;
use crate::control::zones::{
    Contradiction, DropReport, WanReport, ZoneLan, ZonePrefix, ZoneReport, ZonesReport,
};
use crate::render::nftables::counters::{MEANINGS, of_zone};
use crate::zones;

/// Returns the zones, with what each counter of the filter has counted.
pub fn report(agent: &AgentView, engine: &EngineView, counts: &BTreeMap<String, u64>) -> ZonesReport {
    let config = &agent.config;
    let mut elsewhere = elsewhere(engine);
    let names: BTreeSet<String> = zones::names(config).into_iter().chain(elsewhere.keys().cloned()).collect();
    let of_name = |name: String| zone(agent, name, &mut elsewhere, counts);
    ZonesReport {
        zones: names.into_iter().map(of_name).collect(),
        contradictions: contradictions(engine),
        wans: config.wans.iter().map(|wan| wan_report(agent, wan)).collect(),
        drops: drops(config, counts),
    }
}

/// Returns the prefixes of which the mesh says that they are in several zones.
pub fn contradictions(engine: &EngineView) -> Vec<Contradiction> {
    let claimed = zones::claimed(&engine.tables, &engine.zones);
    let contradiction = |(prefix, route): (&IpNet, &Route)| {
        let zones = claimed.get(prefix).filter(|zones| zones.len() > 1)?.clone();
        Some(Contradiction { prefix: *prefix, zones, routers: announcers(engine, route) })
    };
    engine.routes().filter_map(contradiction).collect()
}

/// Returns other routers' prefixes by their zones.
fn elsewhere(engine: &EngineView) -> BTreeMap<String, Vec<ZonePrefix>> {
    let claimed = zones::claimed(&engine.tables, &engine.zones);
    let mut elsewhere: BTreeMap<String, Vec<ZonePrefix>> = BTreeMap::new();
    let internal = BTreeSet::from([INTERNAL.to_owned()]);
    let routes = engine.routes().filter(|(_, route)| !route.next_hops.is_empty());
    for (prefix, route) in routes.filter(|(prefix, _)| prefix.prefix_len() > 0) {
        let zones = claimed.get(prefix).unwrap_or(&internal);
        if let Some(zone) = zones.first().filter(|_| zones.len() == 1) {
            let told = ZonePrefix { prefix: *prefix, routers: announcers(engine, route) };
            elsewhere.entry(zone.clone()).or_default().push(told);
        }
    }
    elsewhere
}

fn announcers(engine: &EngineView, route: &Route) -> Vec<String> {
    let label = |id| router(engine, id).map_or_else(|| id.to_string(), RouterReport::label);
    route.advertising.iter().map(|id| label(*id)).collect()
}

fn zone(
    agent: &AgentView,
    name: String,
    elsewhere: &mut BTreeMap<String, Vec<ZonePrefix>>,
    counts: &BTreeMap<String, u64>,
) -> ZoneReport {
    let config = &agent.config;
    let rules = zones::rules(config, &name);
    let prefixes = |lan| -> BTreeSet<IpNet> {
        let facts = agent.facts.iter();
        facts.flat_map(|facts| facts.lan_prefixes(lan)).map(|(_, prefix)| prefix).collect()
    };
    let lans = config.lans.iter().filter(|lan| lan.zone == name);
    let lans: Vec<ZoneLan> = lans
        .map(|lan| ZoneLan {
            name: lan.name.clone(),
            device: lan.device.to_string(),
            prefixes: prefixes(lan),
        })
        .collect();
    let is_held = rules.is_some() && !lans.is_empty();
    ZoneReport {
        known: zones::names(config).contains(&name),
        lans,
        elsewhere: elsewhere.remove(&name).unwrap_or_default(),
        everything: rules.is_none(),
        reach: rules.iter().flat_map(|rules| &rules.reach).map(ToString::to_string).collect(),
        allow: rules.iter().flat_map(|rules| &rules.allow).map(ToString::to_string).collect(),
        dropped: is_held.then(|| counts.get(&of_zone(&name)).copied().unwrap_or_default()),
        name,
    }
}

fn wan_report(agent: &AgentView, wan: &WanConfig) -> WanReport {
    let found = agent.facts.as_ref().and_then(|facts| facts.wans.get(&wan.name)?.device.clone());
    let closed = wan.input == WanInput::Drop;
    let ssh = wan.ssh.map(|port| Ports::one(Protocol::Tcp, port));
    let ports = [Ports::one(Protocol::Udp, wan.listen_port)].into_iter().chain(ssh).chain(wan.open.clone());
    let services = service::openings(&agent.config).into_iter().map(|opening| {
        let protocol = match opening.transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        };
        format!("{protocol} {}", opening.socket)
    });
    WanReport {
        name: wan.name.clone(),
        device: found.map(|device| device.to_string()),
        closed,
        open: if closed {
            ports.map(|ports| ports.to_string()).chain(services).collect()
        } else {
            Vec::new()
        },
        masquerade: wan.masquerade,
    }
}

fn drops(config: &Config, counts: &BTreeMap<String, u64>) -> Vec<DropReport> {
    let count = |counter: &str| counts.get(counter).copied().unwrap_or_default();
    let of_all = MEANINGS.iter().map(|(counter, what)| ((*counter).to_owned(), (*what).to_owned()));
    let of_zones = zones::held(config).into_iter().map(|zone| {
        let what = format!("from the zone {}, to where it does not reach", zone.name);
        (of_zone(&zone.name), what)
    });
    of_all
        .chain(of_zones)
        .map(|(counter, what)| DropReport { packets: count(&counter), counter, what })
        .collect()
}
