//! What is wrong with names: claims that were not granted, addresses where the server cannot be asked.

use super::{Facts, error, warning};
use crate::config::HostId;
use crate::control::report::Problem;
use crate::names::zones::Conflict;

/// Returns the problems.
pub(super) fn find(facts: &Facts) -> Vec<Problem> {
    let conflicts = facts.name_conflicts.iter().map(|conflict| conflict_problem(facts, conflict));
    let refused = facts.name_server_refused.iter().map(|(at, reason)| {
        error(
            format!("the name server cannot listen at {at}: {reason}"),
            format!(
                "see with `ss -lnp` which program has port {}; the agent tries again by itself",
                at.port()
            ),
        )
    });
    refused.chain(conflicts).collect()
}

fn conflict_problem(facts: &Facts, conflict: &Conflict) -> Problem {
    let who = |host: HostId| router(facts, host);
    let by = who(conflict.by());
    match conflict {
        Conflict::Zone { zone, other, owner, .. } => warning(
            format!(
                "{by} answers for the zone {zone}, which meets {other} of {}: the lower host id has it",
                who(*owner)
            ),
            "give one of the two routers another name",
        ),
        Conflict::Reverse { prefix, other, owner, .. } => warning(
            format!(
                "{by} answers for the names of {prefix}, which meets {other} of {}: the lower host id has it",
                who(*owner)
            ),
            "give one of the two LANs other addresses",
        ),
        Conflict::Name { name, owner, .. } => warning(
            format!(
                "{by} announces other records of {name} than {}, whose lower host id decides",
                who(*owner)
            ),
            format!("write the records of {name} at one router only, or the same at both"),
        ),
        Conflict::Inside { name, owner, .. } => warning(
            format!(
                "{by} announces records of {name}, which lies in the zone of {}: they are not taken",
                who(*owner)
            ),
            format!("write them in the configuration of {}", who(*owner)),
        ),
        Conflict::Outside { what, .. } => warning(
            format!("{by} answers for the {what}, which is none of the mesh's: that is not taken"),
            "use the same `domain` on every router",
        ),
        Conflict::NotBelieved { name, .. } => warning(
            format!(
                "{by} announces records of {name}, about which this router believes nobody: they are not taken"
            ),
            "where they are meant, take the domain into `list foreign` of `config names`; else ask who runs that router",
        ),
        Conflict::TooMany { .. } => warning(
            format!("{by} announces more records than the mesh's table has room for: the rest is not taken"),
            "take records out that nobody needs",
        ),
        Conflict::NotUnderstood { why, .. } => warning(
            format!("what {by} announces about names is not understood: {why}"),
            "use the same version of dlan on every router",
        ),
    }
}

fn router(facts: &Facts, host: HostId) -> String {
    let mut routers = facts.topology.routers.iter();
    let is_it = |id: u32| id == u32::from(host.0);
    let router = routers.find(|router| is_it(router.router_id.into()));
    router.and_then(|router| router.name.clone()).unwrap_or_else(|| format!("host id {host}"))
}
