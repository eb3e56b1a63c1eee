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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::names::announcement::Announcement;
    use crate::names::domain::DomainName;
    use crate::names::record::{Record, RecordData};
    use crate::names::zones::{Belief, ZoneTable};
    use crate::problems::find;
    use crate::problems::tests::healthy;
    use crate::show;

    const EMPTY: BTreeSet<DomainName> = BTreeSet::new();

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    /// A router that answers for a zone and a network, and announces the address 10.9.9.<host> of each name.
    fn router(host: u8, zone: &str, prefix: &str, names: &[&str]) -> (HostId, Announcement) {
        let data = RecordData::A([10, 9, 9, host].into());
        let record = |text: &&str| Record { name: name(text), data: data.clone() };
        let told = Announcement {
            zones: BTreeSet::from([name(zone)]),
            reverse: BTreeSet::from([prefix.parse().unwrap()]),
            servers: BTreeSet::from([[10, 1, 1, host].into()]),
            records: names.iter().map(record).collect(),
        };
        (HostId(host.into()), told)
    }

    /// Returns what a router, here r4, is told where routers announce this, and it believes others about these domains.
    fn told(
        routers: impl Into<BTreeMap<HostId, Announcement>>,
        domains: &BTreeSet<DomainName>,
    ) -> Vec<Problem> {
        let belief = Belief { own: HostId(4), domains };
        let table = ZoneTable::new(&name("lan"), &routers.into(), &[], belief);
        find(&Facts { name_conflicts: table.conflicts, ..healthy() })
    }

    #[test]
    fn of_two_routers_that_announce_one_zone_it_is_said_which_has_it_and_what_to_do() {
        let both = [router(5, "shop.lan", "10.2.0.0/16", &[]), router(1, "shop.lan", "10.2.1.0/24", &[])];
        let problems = told(both, &EMPTY);
        let text = show::problems(&problems, 200);
        for line in [
            "r5 answers for the zone shop.lan, which meets shop.lan of r1: the lower host id has it",
            "give one of the two routers another name",
            "r5 answers for the names of 10.2.0.0/16, which meets 10.2.1.0/24 of r1: the lower host id has it",
            "give one of the two LANs other addresses",
        ] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
        assert_eq!(problems.len(), 2, "{text}");
        let json = serde_json::to_value(&problems).unwrap();
        assert_eq!(json[0]["severity"], "warning", "{json}");
        assert!(json[0]["what"].as_str().unwrap().contains("of r1: the lower host id has it"), "{json}");
        assert!(json[0]["next_step"].as_str().unwrap().starts_with("give one of the two"), "{json}");
    }

    #[test]
    fn every_claim_that_was_not_granted_is_told_with_who_claims_it_and_the_next_step() {
        let routers = [
            router(1, "r1.lan", "10.2.1.0/24", &["www.lan"]),
            router(2, "lan", "10.0.0.0/7", &["wpad", "nas.r1.lan", "www.bank.example"]),
            router(99, "r99.lan", "10.2.99.0/24", &["www.lan"]),
        ];
        let text = show::problems(&told(routers, &BTreeSet::from([name("example.org")])), 250);
        for line in [
            "r2 answers for the zone lan, which is none of the mesh's: that is not taken",
            "r2 answers for the reverse zone of 10.0.0.0/7, which is none of the mesh's",
            "r2 answers for the name wpad, which is none of the mesh's",
            "r2 announces records of nas.r1.lan, which lies in the zone of r1: they are not taken",
            "write them in the configuration of r1",
            "r2 announces records of www.bank.example, about which this router believes nobody",
            "take the domain into `list foreign` of `config names`",
            "host id 99 announces other records of www.lan than r1, whose lower host id decides",
            "write the records of www.lan at one router only, or the same at both",
        ] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
        let rest = BTreeSet::from([
            Conflict::TooMany { by: HostId(2) },
            Conflict::NotUnderstood { by: HostId(3), why: "version 9 of the format is not known".to_owned() },
        ]);
        let text = show::problems(&find(&Facts { name_conflicts: rest, ..healthy() }), 250);
        assert!(text.contains("r2 announces more records than the mesh's table has room for"), "{text}");
        assert!(text.contains("what r3 announces about names is not understood: version 9"), "{text}");
    }
}
