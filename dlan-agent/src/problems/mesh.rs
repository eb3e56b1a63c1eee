//! What is wrong between routers, as far as the database tells.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use ospf_lite::ids::Cost;

use super::{Facts, error, note, warning};
use crate::control::report::{AddressFamily, Problem, RouterReport};
use crate::control::zones::Contradiction;

/// Returns the problems.
pub(super) fn find(facts: &Facts) -> Vec<Problem> {
    let mut problems = undeclared(facts);
    problems.extend(unequal_costs(facts));
    problems.extend(overlapping_lans(facts));
    problems.extend(facts.contradictions.iter().map(contradiction));
    problems
}

fn contradiction(of: &Contradiction) -> Problem {
    let zones: Vec<&str> = of.zones.iter().map(String::as_str).collect();
    warning(
        format!(
            "{} is announced by {} as of the zones {}",
            of.prefix,
            of.routers.join(" and "),
            zones.join(" and ")
        ),
        "put it into the same zone on each of them; until then it is in none, and only `internal` reaches it",
    )
}

/// A link that one of two dlan routers does not know of.
fn undeclared(facts: &Facts) -> Vec<Problem> {
    let own = number(facts.router_id);
    let mut problems = Vec::new();
    for (router_id, declared) in &facts.declared {
        let Some(their) = number(*router_id).filter(|_| is_other(facts, *router_id)) else { continue };
        let ours = facts.links.iter().find(|link| link.host_id == their);
        let theirs = own.is_some_and(|own| declared.contains(&own));
        match (ours, theirs) {
            (Some(link), false) => problems.push(warning(
                format!("link {}: it is declared here, but not at the neighbor", link.name),
                format!(
                    "add the section that `dlan key` prints here to {}'s configuration",
                    label(facts, *router_id)
                ),
            )),
            (None, true) => problems.push(warning(
                format!(
                    "{} declares a link to this router that is not declared here",
                    label(facts, *router_id)
                ),
                "add the section that `dlan key` prints there, or remove the link there",
            )),
            (Some(_), true) | (None, false) => {}
        }
    }
    problems
}

fn unequal_costs(facts: &Facts) -> Vec<Problem> {
    let back = |host_id: u16| {
        let neighbor = Ipv4Addr::from(u32::from(host_id));
        let (a, b) = (facts.router_id.min(neighbor), facts.router_id.max(neighbor));
        let edge = facts.topology.links.iter().find(|edge| (edge.a, edge.b) == (a, b))?;
        AddressFamily::BOTH.iter().find_map(|family| {
            let costs = edge.costs(*family);
            if facts.router_id == a { costs.b_to_a } else { costs.a_to_b }
        })
    };
    let links = facts.links.iter();
    links
        .filter_map(|link| {
            back(link.host_id).filter(|theirs| *theirs != link.cost).map(|theirs| (link, theirs))
        })
        .map(|(link, theirs)| {
            if theirs == Cost::MAX.get() {
                return note(
                    format!("link {}: the neighbor is drained: it carries nothing between others", link.name),
                    "`dlan undrain` there, when its maintenance is over",
                );
            }
            note(
                format!(
                    "link {}: it costs {} from here and {theirs} from the neighbor",
                    link.name, link.cost
                ),
                "nothing, when the ways there and back may differ; else set the same `cost` at both ends",
            )
        })
        .collect()
}

fn overlapping_lans(facts: &Facts) -> Vec<Problem> {
    let others = facts.topology.routers.iter().filter(|router| is_other(facts, router.router_id));
    let announced =
        others.flat_map(|router| router.prefixes.iter().map(move |announced| (router, announced.prefix)));
    let overlap = |(router, theirs): (&RouterReport, IpNet)| {
        let ours = facts.lans.iter().find(|ours| ours.contains(&theirs) || theirs.contains(*ours))?;
        Some(error(
            format!("LAN {ours} of this router and {theirs} of {} overlap", router.label()),
            "give one of the two LANs other addresses: hosts in both cannot reach each other",
        ))
    };
    announced.filter_map(overlap).collect()
}

/// Returns whether this is another router, and one that can be reached: of others the database may hold what they said an
/// hour ago, perhaps under a Router ID that they have given up.
fn is_other(facts: &Facts, router_id: Ipv4Addr) -> bool {
    let mut routers = facts.topology.routers.iter();
    router_id != facts.router_id
        && routers.any(|router| router.router_id == router_id && !router.reachable.is_empty())
}

fn label(facts: &Facts, router_id: Ipv4Addr) -> String {
    let router = facts.topology.routers.iter().find(|router| router.router_id == router_id);
    router.map_or_else(|| router_id.to_string(), RouterReport::label)
}

/// Returns the host id behind a Router ID; none when it is not one of the mesh's.
fn number(router_id: Ipv4Addr) -> Option<u16> {
    u16::try_from(u32::from(router_id)).ok()
}
