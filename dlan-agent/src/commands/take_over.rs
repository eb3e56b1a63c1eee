//! Takes the devices and routes of the predecessor over, so that packets pass while the next agent starts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use vxlan::link::{Link, LinkKind, LinkName};

use super::configuration;
use super::offline::{failed, observe, open};
use super::output::Output;
use crate::causes::with_causes;
use crate::cli::EXIT_OK;
use crate::config::{Config, MeshConfig};
use crate::desired::{RoutingInput, desired};
use crate::lock::{AgentLock, RUN_DIRECTORY};
use crate::plan::Plan;
use crate::plan::change::{Act, Change, Edit};
use crate::reconcile::Reconciler;
use crate::state::State;
use crate::state::facts::Facts;
use crate::state::route::{METRIC_LEARNED, Route, RouteAction, RouteHop, RouteKey};
use crate::system::System;

/// The protocol number of BIRD's routes (`RTPROT_BIRD`).
const BIRD: u8 = 12;

/// What was taken over.
#[derive(Debug, Default, Serialize)]
struct TakenOver {
    /// The names of devices by those that they had.
    devices: BTreeMap<LinkName, LinkName>,
    /// How many routes came along.
    routes: usize,
}

/// Takes over what the predecessor left running. The agent that starts next finds it as if it had been its own.
pub(super) async fn take_over(output: &Output, file: &Path) -> u8 {
    match try_take_over(output, file).await {
        Ok(taken) => {
            output.result(&taken, || {
                let devices = taken.devices.iter().map(|(former, name)| format!("{former} as {name}"));
                format!("Taken over: {}; {} routes.\n", devices.collect::<Vec<_>>().join(", "), taken.routes)
            });
            EXIT_OK
        }
        Err(code) => code,
    }
}

async fn try_take_over(output: &Output, file: &Path) -> Result<TakenOver, u8> {
    // A running agent would see to its own devices meanwhile.
    let _lock =
        AgentLock::take(Path::new(RUN_DIRECTORY)).map_err(|error| failed(output, &with_causes(&error)))?;
    let config = configuration::load(output, file)?.config;
    let system = open(output)?;
    // From here on what is made carries our marks, for `dlan down`.
    observe(output, &system, &config).await?;
    let facts: Facts = system.gather(&config).await.map_err(|error| failed(output, &error.with_causes()))?;
    let left = system.left_routes().await.map_err(|error| failed(output, &error.with_causes()))?;
    let devices = adopt(output, &system, &config, &facts).await?;
    let steps: Vec<Change> = left
        .iter()
        .filter_map(|left| taken_route(&config.mesh, &devices, (&left.key, &left.route)))
        .collect();
    let taken = TakenOver { devices, routes: steps.len() };
    carry_out(output, &system, &Plan::independent(steps)).await?;
    let observed = observe(output, &system, &config).await?;
    let plan = Reconciler::new().preview(&config, &facts, &observed);
    let plan = plan.map_err(|error| failed(output, &error.to_string()))?;
    let steps = plan.steps().iter().filter(|step| carries_packets(step)).cloned().collect();
    carry_out(output, &system, &Plan::independent(steps)).await?;
    let gone = left.iter().filter(|left| left.route.protocol == BIRD || is_over(&left.route, &taken.devices));
    system.remove_left(gone).await.map_err(|error| failed(output, &error.with_causes()))?;
    Ok(taken)
}

/// Makes the devices ours, each with what lies on it, and returns their names by those that they had.
async fn adopt(
    output: &Output,
    system: &System,
    config: &Config,
    facts: &Facts,
) -> Result<BTreeMap<LinkName, LinkName>, u8> {
    let wanted = desired(config, facts, &RoutingInput::default(), &State::default());
    let wanted = wanted.map_err(|error| failed(output, &error.to_string()))?.links;
    let is_below = |link: &&Link| matches!(link.kind, LinkKind::WireGuard(_));
    let (below, above): (Vec<&Link>, Vec<&Link>) = wanted.values().partition(is_below);
    let mut devices = BTreeMap::new();
    for link in below.into_iter().chain(above) {
        let former = system.links().adopt(link).await;
        if let Some(former) = former.map_err(|error| failed(output, &with_causes(&error)))? {
            system.announce(&link.name).map_err(|error| failed(output, &with_causes(&error)))?;
            devices.insert(former, link.name.clone());
        }
    }
    if devices.is_empty() {
        return Err(failed(
            output,
            "no WireGuard device has this router's key: there is nothing to take over",
        ));
    }
    Ok(devices)
}

/// Returns the step that makes a learned route of ours out of one of BIRD's, where every way of it leads over what was taken over.
fn taken_route(
    mesh: &MeshConfig,
    devices: &BTreeMap<LinkName, LinkName>,
    (key, route): (&RouteKey, &Route),
) -> Option<Change> {
    let RouteAction::Unicast(unicast) = &route.action else { return None };
    let hop =
        |hop: &RouteHop| Some(RouteHop { device: devices.get(&hop.device)?.clone(), via: Some(hop.via?) });
    let next_hops: BTreeSet<RouteHop> = unicast.next_hops.iter().map(hop).collect::<Option<_>>()?;
    if route.protocol != BIRD || next_hops.is_empty() {
        return None;
    }
    let key = RouteKey { table: mesh.route_table, prefix: key.prefix, metric: METRIC_LEARNED };
    let action = RouteAction::unicast(next_hops, None);
    let to = Some(Route { protocol: mesh.route_protocol, action });
    Some(Change::Route(Edit { key, from: None, to }))
}

/// Returns whether every way of a route leads over what was taken over.
fn is_over(route: &Route, devices: &BTreeMap<LinkName, LinkName>) -> bool {
    match &route.action {
        RouteAction::Unicast(unicast) => {
            let mut hops = unicast.next_hops.iter();
            !unicast.next_hops.is_empty() && hops.all(|hop| devices.contains_key(&hop.device))
        }
        RouteAction::Group { .. } | RouteAction::Unreachable => false,
    }
}

/// Returns whether packets need a step at once; the rest is the agent's business, and so is making what could not be taken over.
fn carries_packets(step: &Change) -> bool {
    match step {
        Change::Link(_) => step.act() == Act::Change,
        Change::Address(_) | Change::NextHop(_) | Change::Route(_) | Change::Rule(_) | Change::Setting(_) => {
            true
        }
        Change::Ruleset(_) | Change::File(_) | Change::Program(_) | Change::Uci(_) => false,
    }
}

async fn carry_out(output: &Output, system: &System, plan: &Plan) -> Result<(), u8> {
    let outcome = system.apply(plan).await;
    if outcome.is_success() { Ok(()) } else { Err(failed(output, &outcome.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    fn route(protocol: u8, hops: &[(&str, Option<&str>)]) -> Route {
        let hop = |(device, via): &(&str, Option<&str>)| RouteHop {
            device: LinkName::new(device).unwrap(),
            via: via.map(|via| via.parse().unwrap()),
        };
        Route { protocol, action: RouteAction::unicast(hops.iter().map(hop).collect(), None) }
    }

    fn devices() -> BTreeMap<LinkName, LinkName> {
        [("wg0", "dlan-wg"), ("vx0", "dlan-vx2"), ("vx1", "dlan-vx3")]
            .map(|(former, name)| (LinkName::new(former).unwrap(), LinkName::new(name).unwrap()))
            .into()
    }

    fn taken(route: &Route) -> Option<String> {
        let text = "config mesh\n option host_id 1\nconfig wan\n option device eth0\n";
        let config = parse(Source { file: "dlan", text, hostname: "r1" }).unwrap().config;
        let key = RouteKey { table: 254, prefix: "10.2.0.0/24".parse().unwrap(), metric: 32 };
        taken_route(&config.mesh, &devices(), (&key, route)).map(|change| change.to_string())
    }

    #[test]
    fn birds_routes_over_what_was_taken_over_become_ours_under_the_new_names() {
        let both = route(BIRD, &[("vx0", Some("10.0.4.10")), ("vx1", Some("10.0.4.14"))]);
        let change = taken(&both).unwrap();
        assert!(
            change.contains("10.0.4.10 dev dlan-vx2") && change.contains("10.0.4.14 dev dlan-vx3"),
            "{change}"
        );
        assert!(is_over(&both, &devices()));
    }

    #[test]
    fn what_leads_elsewhere_or_is_anothers_stays() {
        assert_eq!(taken(&route(BIRD, &[("vx0", Some("10.0.4.10")), ("eth0", Some("192.0.2.1"))])), None);
        assert_eq!(
            taken(&route(BIRD, &[("vx0", None)])),
            None,
            "the link's own subnet is the kernel's affair"
        );
        assert_eq!(taken(&route(4, &[("wg0", None)])), None);
        assert!(
            is_over(&route(4, &[("wg0", None)]), &devices()),
            "a route to a neighbor's end goes with the device's name"
        );
        assert!(!is_over(&route(4, &[("eth0", None)]), &devices()));
        assert!(!is_over(&route(BIRD, &[]), &devices()));
    }
}
